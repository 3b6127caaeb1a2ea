/* SPDX-License-Identifier: Apache-2.0 */
/* policy_scanner.h — a scanner of the guard as something that is asked. For policy.c. */
#ifndef POLICY_POLICY_SCANNER_H
#define POLICY_POLICY_SCANNER_H

#include "guard/guard_form.h"
#include "upstream/upstream_settings.h"

/* Whose texts are those of the form. */
struct upstream_definition policy_scanner_definition(const struct guard_external_form *form);

#endif
