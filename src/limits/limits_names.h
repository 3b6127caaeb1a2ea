/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_names.h — which budgets would count a call of some subjects, asked before there is one.
 *
 * Ownership  nothing is kept.
 * Threads    any, within a turn of its loop.
 * Sources    docs/decisions/0092-records-name-the-windows.md.
 */
#ifndef LIMITS_LIMITS_NAMES_H
#define LIMITS_LIMITS_NAMES_H

#include "limits/limits.h"

/* Whether a call of these subjects, of whichever model, can name all windows that it counts in, if
 * these budgets were theirs besides; one whose id they have is no other. */
bool limits_names_fit(const struct limits *l, const struct limits_subjects *who,
                      const struct limits_wish *more, size_t count);

/* Whether the budgets that count calls of two models, which were asked for by one name, are the
 * same. */
bool limits_count_alike(const struct limits *l, const struct limits_subjects *who,
                        struct span asked, struct span a, struct span b);

#endif
