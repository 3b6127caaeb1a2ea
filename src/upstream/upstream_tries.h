/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_tries.h — how many more tries calls may make than there are calls: a fifth of those of
 * the last ten seconds, and ten at least. When all model servers fail, retries, fallbacks and
 * hedges would else be twice the load, just then.
 *
 * Ownership  the holder's; zeros are an empty one.
 * Threads    any; two that count at the edge of a second may lose a count.
 * Sources    design.md 4 (routing); Finagle's RetryBudget.
 */
#ifndef UPSTREAM_UPSTREAM_TRIES_H
#define UPSTREAM_UPSTREAM_TRIES_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/check.h"
#include "base/clock.h"

#define UPSTREAM_TRIES_SECONDS 10
#define UPSTREAM_TRIES_LEAST   10
#define UPSTREAM_TRIES_PERCENT 20

struct upstream_tries {
    struct upstream_tries_second {
        _Atomic int64_t second; /* of the monotonic clock, that is counted here */
        _Atomic uint32_t calls, more;
    } seconds[UPSTREAM_TRIES_SECONDS];
};

/* A call makes its first try. */
void upstream_tries_note_call(struct upstream_tries *b, mono_us now);

/* A call would make one more. False: there were too many. */
MUST_USE bool upstream_tries_take(struct upstream_tries *b, mono_us now);

#endif
