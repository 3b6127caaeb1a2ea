/* SPDX-License-Identifier: Apache-2.0 */
/* policy_scanner.h — scanners of the guard as something that is asked. For policy.c. */
#ifndef POLICY_POLICY_SCANNER_H
#define POLICY_POLICY_SCANNER_H

#include "base/arena.h"
#include "policy/policy_settings.h"
#include "upstream/upstream_settings.h"

/* All that are asked for anything: the model servers, and behind them the guard's scanners. Texts
 * are those of the settings. ERR_NO_MEMORY. */
MUST_USE enum err policy_scanner_join(const struct policy_settings *settings,
                                      const struct upstream_settings *upstreams,
                                      struct arena *arena, struct upstream_settings *out);

#endif
