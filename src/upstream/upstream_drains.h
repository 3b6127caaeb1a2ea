/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_drains.h — the names of the model servers that the operator has taken out. A deployment
 * begins as its name stands here, so a reload that takes an upstream away and brings it back, or
 * gives it other settings, puts none back in.
 *
 * Ownership  one set for the process; names are copied.
 * Threads    any; it is locked, and not looked at on a call's path.
 */
#ifndef UPSTREAM_UPSTREAM_DRAINS_H
#define UPSTREAM_UPSTREAM_DRAINS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/err.h"
#include "base/span.h"

/* Takes it out, or puts it back in: nothing if that is so already. ERR_NO_MEMORY. */
MUST_USE enum err upstream_drains_set(struct span name, bool is_drained);

bool upstream_drains_has(struct span name);

/* Counts up with each change. */
uint64_t upstream_drains_revision(void);

/* Forgets all: the gateway has ended. */
void upstream_drains_clear(void);

#endif
