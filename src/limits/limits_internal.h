/* SPDX-License-Identifier: Apache-2.0 */
/* limits_internal.h — what is published for a subject: limits.c makes it, limits_hold.c takes from
 * it. */
#ifndef LIMITS_LIMITS_INTERNAL_H
#define LIMITS_LIMITS_INTERNAL_H

#include "base/retired.h"
#include "base/slots.h"
#include "limits/limits.h"

/* What was taken by a subject, but of its budgets. Is there for good once there is one. */
struct limits_account {
    struct limits_rate requests, tokens;
    _Atomic int64_t running;
    _Atomic int64_t held; /* tokens that calls under way hold of the rate */
};

/* A budget in force. What it is never changes; only how much it allows does. */
struct limits_budget {
    struct retired retired;
    struct limits_wish is;
    _Atomic int64_t limit;
    _Atomic uint64_t *news; /* counted up when a step of what is spent is passed */
    struct limits_windows windows;
};

/* The terms of a subject. Never changes. */
struct limits_set {
    struct retired retired;
    struct limits_account *account;
    struct limits_pace requests, tokens; /* `each` 0: no limit */
    int64_t requests_per_minute, tokens_per_minute, concurrent, answer_tokens;
    enum limits_priority priority;
    size_t budget_count;
    struct limits_budget *budgets[];
};

/* How many subjects have the highest priority by their terms. */
int64_t limits_high(const struct limits *l);

/* The terms of a slot; NULL: there never were any. */
const struct limits_set *limits_find(const struct limits *l, enum limits_level level,
                                     uint32_t slot);

/* The terms of a place among the subjects; NULL: there is nobody, or there are none. */
static inline const struct limits_set *
limits_set_at(const struct limits *l, const struct limits_subjects *who, size_t place)
{
    return limits_find(l, limits_level_at(place), who->slot[place]);
}

/* Whether a budget counts calls of a model. */
static inline bool limits_counts(const struct limits_budget *b, struct span model,
                                 struct span asked)
{
    return b->is.model[0] == '\0' || span_is(model, b->is.model) || span_is(asked, b->is.model);
}

#endif
