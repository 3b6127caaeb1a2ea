/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_usage_walk.h — walking through usage with leaps. For this part only.
 *
 * Ownership  the walk is the caller's; it is the context of each row's callback.
 * Threads    as the store's.
 */
#ifndef STORE_STORE_USAGE_WALK_H
#define STORE_STORE_USAGE_WALK_H

#include "store/store_usage.h"

/* What ends a walk without having failed. */
#define STORE_USAGE_ENOUGH ERR_NOT_FOUND_ROW

struct store_usage_walk {
    struct store_usage from; /* where it begins, or begins anew */
    uint8_t team[STORE_TEXT_MAX];
    unsigned passed; /* rows that nobody wanted, since one was */
    bool is_again;   /* it begins anew */
};

/*
 * In a callback: nothing before this place is wanted, which is behind the row. Returns what the
 * callback returns. `key_id` outlives the walk.
 */
MUST_USE enum err store_usage_walk_to(struct store_usage_walk *w, struct span team, int32_t hour,
                                      struct span key_id);

/* Walks from `w->from` until `on_row` ends it. */
MUST_USE enum err store_usage_walk(struct store *s, struct store_usage_walk *w,
                                   store_on_row *on_row);

#endif
