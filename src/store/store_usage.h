/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_usage.h — what the journal says of calls, summed for those who ask.
 *
 * The journal is applied in batches (store_begin() with STORE_SYNC_LATER): for each record one of
 * the changes below, then store_journal_set(), then store_commit(). What is in the store is then
 * exactly the records up to store_sequence(), whatever crashed in between; replay goes on after it.
 *
 * A call whose intent was applied and whose completion was not is *open*: it keeps its identity
 * and reservation here (store_open_call_put()) until its completion takes it out
 * (store_open_call_delete()), or start-up settles it as interrupted.
 *
 * Ownership, threads, common errors: store.h.
 * Sources    tables `usage`, `open_call`, `meta`: docs/formats/schema.md.
 */
#ifndef STORE_STORE_USAGE_H
#define STORE_STORE_USAGE_H

#include "store/store_tables.h"

#define STORE_HEAD_BYTES        32        /* of a record's hash */
#define STORE_USAGE_NAMES_MAX   256       /* models of one key, upstream and day that have rows */
#define STORE_USAGE_OTHER_NAMES "(other)" /* the model that all further ones are summed under */

/* Which sums are asked for. */
struct store_usage_filter {
    int32_t first_day, last_day; /* both included; INT32_MIN and INT32_MAX: all */
    struct span key_id, model;   /* empty: any */
};

/* `key_name` is the name of the key of this id; empty if there is none. */
typedef enum err store_on_usage(void *context, const struct store_usage *sums,
                                struct span key_name);

/* The UTC day of `at` in days since 1970-01-01. */
int32_t store_day(wall_us at);

/*
 * Adds the sums to those of the same day, key, model and upstream. In a batch only. A caller who is
 * let through by a pattern may invent names without end: past STORE_USAGE_NAMES_MAX, models that
 * have no row yet are summed under STORE_USAGE_OTHER_NAMES.
 */
MUST_USE enum err store_usage_add(struct store *s, const struct store_usage *more);

/* Says that all records up to `sequence`, whose hash is `head`, are applied. In a batch only. */
MUST_USE enum err store_journal_set(struct store *s, uint64_t sequence,
                                    const uint8_t head[STORE_HEAD_BYTES]);

/* The last record applied, 0 before the first; and its hash, zeros if none is kept. */
MUST_USE enum err store_sequence(struct store *s, uint64_t *out);
MUST_USE enum err store_journal_head(struct store *s, uint8_t out[STORE_HEAD_BYTES]);

/* The name of the journal that the records are of; "" before the first. */
MUST_USE enum err store_origin(struct store *s, char out[STORE_TEXT_MAX + 1]);
MUST_USE enum err store_origin_set(struct store *s, struct span origin);

/* Gives the sums to `on_usage`, in the order of their key. It may end the listing with an error,
 * which is then returned, and may not change the store. */
MUST_USE enum err store_usage_list(struct store *s, const struct store_usage_filter *filter,
                                   store_on_usage *on_usage, void *context);

#endif
