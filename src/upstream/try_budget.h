/* SPDX-License-Identifier: Apache-2.0 */
/*
 * try_budget.h — how many more tries calls may make than there are calls: a fifth of those of the
 * last ten seconds, and ten at least. When all model servers fail, retries, fallbacks and hedges
 * would else be twice the load, just then.
 *
 * Ownership  the holder's; zeros are an empty one.
 * Threads    any; two that count at the edge of a second may lose a count.
 * Sources    design.md 4 (routing); Finagle's RetryBudget.
 */
#ifndef UPSTREAM_TRY_BUDGET_H
#define UPSTREAM_TRY_BUDGET_H

#include <stdatomic.h>

#include <stdbool.h>

#include "base/check.h"
#include "base/clock.h"

#define TRY_BUDGET_SECONDS 10
#define TRY_BUDGET_LEAST   10
#define TRY_BUDGET_PERCENT 20

struct try_budget {
    struct try_second {
        _Atomic int64_t second; /* of the monotonic clock, that is counted here */
        _Atomic uint32_t calls, more;
    } seconds[TRY_BUDGET_SECONDS];
};

/* A call makes its first try. */
void try_budget_note_call(struct try_budget *b, mono_us now);

/* A call would make one more. False: there were too many. */
MUST_USE bool try_budget_take(struct try_budget *b, mono_us now);

#endif
