/* SPDX-License-Identifier: Apache-2.0 */
#include "limits/limits_bounds.h"

#include "limits/limits_internal.h"

static int64_t least_set(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

struct limits_bounds limits_bounds_of(const struct limits *l, const struct limits_subjects *who)
{
    struct limits_bounds bounds = {0};
    for (size_t i = 0; i < LIMITS_SLOTS; i++) {
        const struct limits_set *set = limits_set_at(l, who, i);
        if (set != NULL) {
            bounds.answer_tokens = least_set(bounds.answer_tokens, set->answer_tokens);
            bounds.tokens_per_minute = least_set(bounds.tokens_per_minute, set->tokens_per_minute);
            bounds.is_limited |= set->tokens_per_minute > 0 || set->budget_count > 0;
        }
    }
    return bounds;
}

enum limits_priority limits_priority_of(const struct limits *l, const struct limits_subjects *who)
{
    enum limits_priority lowest = LIMITS_UNSAID;
    for (size_t i = 0; i < LIMITS_SLOTS; i++) {
        const struct limits_set *set = limits_set_at(l, who, i);
        if (set != NULL && set->priority != LIMITS_UNSAID) {
            lowest = lowest == LIMITS_UNSAID || set->priority < lowest ? set->priority : lowest;
        }
    }
    return lowest == LIMITS_UNSAID ? LIMITS_NORMAL : lowest;
}

bool limits_has_high(const struct limits *l)
{
    return limits_high(l) > 0;
}
