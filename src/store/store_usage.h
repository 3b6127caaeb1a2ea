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
#define STORE_USAGE_NAMES_MAX   256       /* models of one team, key and hour that have rows */
#define STORE_USAGE_OTHER_NAMES "(other)" /* the model that all further ones are summed under */

#define STORE_DAY_HOURS 24
#define STORE_HOUR_MAX  70389527 /* the last one of the year 9999 */

/* Which sums are asked for. */
struct store_usage_filter {
    int32_t from, to; /* hours since 1970, `to` excluded; INT32_MIN and INT32_MAX: all */
    struct span organisation, team, user, key_id, model, upstream, route; /* empty: any */
};

typedef enum err store_on_usage(void *context, const struct store_usage *sums);

/* The UTC hour of `at` in hours since 1970, of a clock that is before it or past the year 9999 the
 * first or last one; and the first hour of the day of `hour`. */
int32_t store_hour(wall_us at);
int32_t store_day_hour(int32_t hour);

/*
 * Adds the sums to those of the same names and hour. In a batch only. A caller who is
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

/*
 * Gives the sums to `on_usage`, in the order of their key: team, hour, key, the rest. It may end
 * the listing with an error, which is then returned, and may not change the store. What is asked
 * for of a team costs what it has in that time; of all teams, a look into each more.
 */
MUST_USE enum err store_usage_list(struct store *s, const struct store_usage_filter *filter,
                                   store_on_usage *on_usage, void *context);

/* How far old usage is summed up; zeros before the first step. */
struct store_usage_keeper {
    int32_t days_before; /* of the pass under way or done: hours before it are kept by days; */
    int32_t gone_before; /* and before this they are forgotten. Both are first hours of days */
    int32_t done_before; /* the days_before of the pass before */
    bool is_begun, is_done;
    struct store_usage place; /* where the next step of the pass begins; its team is in `team` */
    uint8_t team[STORE_TEXT_MAX];
};

/*
 * One step, of bounded length, of summing up usage: what is of hours before `days_before` goes to
 * the first hours of its days, what is before `gone_before` goes; INT32_MIN: nothing does. A step
 * is a batch: whatever dies, each call is counted once. `k->is_done` says whether more is to be
 * done at once. Of the days that were summed up store_usage_days() tells.
 *
 * Fails as store.h says; the next step goes on.
 */
MUST_USE enum err store_usage_keep(struct store *s, struct store_usage_keeper *k,
                                   int32_t days_before, int32_t gone_before);

/* The hour before which only days are kept; 0: hours of all time are. */
MUST_USE enum err store_usage_days(struct store *s, int32_t *out);

#endif
