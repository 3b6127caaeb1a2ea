/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_bounds.h — what the terms of a call's subjects say together, beside what they count: how
 * long an answer may be, and whose calls go first.
 *
 * Ownership  nothing is kept.
 * Threads    any, at any time.
 */
#ifndef LIMITS_LIMITS_BOUNDS_H
#define LIMITS_LIMITS_BOUNDS_H

#include "limits/limits.h"

/* How much an answer may come to by the terms of these subjects, if its caller says nothing. */
struct limits_bounds {
    int64_t answer_tokens;     /* the least of all terms; 0: none says */
    int64_t tokens_per_minute; /* the least; 0: there is none */
    bool is_limited;           /* some terms count tokens or money */
};

struct limits_bounds limits_bounds_of(const struct limits *l, const struct limits_subjects *who);

/* The lowest priority that the terms of these subjects say; none says one: normal. */
enum limits_priority limits_priority_of(const struct limits *l, const struct limits_subjects *who);

/* Whether the terms of anybody say the highest. */
bool limits_has_high(const struct limits *l);

#endif
