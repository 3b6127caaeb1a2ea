/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_usage.h — what the journal says of calls, summed for those who ask.
 *
 * The journal is applied in batches (store_begin() with STORE_SYNC_LATER): for each record one of
 * the changes below, then store_sequence_set(), then store_commit(). What is in the store is then
 * exactly the records up to store_sequence(), whatever crashed in between; replay goes on after it.
 * What a change returns need not be read each time: a batch in which one failed stays failed.
 *
 * A call whose intent was applied and whose completion was not is *open*: it keeps its identity
 * and reservation here until its completion takes it, or start-up settles it as interrupted.
 *
 * Ownership, threads, common errors: store.h.
 * Sources    tables `usage`, `open_call`, `counter`: docs/formats/schema.md.
 */
#ifndef STORE_STORE_USAGE_H
#define STORE_STORE_USAGE_H

#include "store/store.h"

#define STORE_CALL_ID_BYTES 16

/* Sums of one key, model, upstream and day. */
struct store_usage {
    int32_t day;        /* days since 1970-01-01, UTC: store_day() */
    struct span key_id; /* the four that a row is named by; each may be empty */
    struct span model;
    struct span upstream;
    struct span key_name; /* given out only: of the key of this id; empty if there is none */
    int64_t calls;        /* of these: */
    int64_t interrupted;  /* ended by the client's leaving or the gateway's stopping */
    int64_t failed;       /* ended by an error of ours or the upstream's */
    int64_t estimated;    /* calls whose tokens are our estimate */
    int64_t tokens_in;
    int64_t tokens_out;
    int64_t bytes_in;
    int64_t bytes_out;
    int64_t cost_microusd;
};

struct store_open_call {
    uint8_t id[STORE_CALL_ID_BYTES];
    struct span key_id, model, upstream;
    wall_us started;
    uint64_t sequence; /* of the intent's record in the journal */
    uint32_t attempt;  /* 1 for the call's first */
    int64_t bytes_in;
    int64_t reserved_tokens_in;
    int64_t reserved_tokens_out;
    int64_t reserved_microusd;
};

/* Which sums are asked for. */
struct store_usage_filter {
    int32_t first_day, last_day; /* both included; INT32_MIN and INT32_MAX: all */
    struct span key_id, model;   /* empty: any */
};

typedef enum err store_on_usage(void *context, const struct store_usage *sums);
typedef enum err store_on_open_call(void *context, const struct store_open_call *call);

/* The UTC day of `at` in days since 1970-01-01. */
int32_t store_day(wall_us at);

/* Adds the sums to those of the same day, key, model and upstream. In a batch only. */
enum err store_usage_add(struct store *s, const struct store_usage *more);

/* Notes an open call; a later attempt of the same call replaces an earlier one. In a batch only. */
enum err store_open_call_put(struct store *s, const struct store_open_call *call);

/*
 * Takes an open call out. In a batch only.
 *
 *   ERR_NOT_FOUND_ROW  no such call is open
 */
MUST_USE enum err store_open_call_take(struct store *s, const uint8_t id[STORE_CALL_ID_BYTES],
                                       struct store_open_call *out);

/* Says that all records up to `sequence` are applied. In a batch only. */
enum err store_sequence_set(struct store *s, uint64_t sequence);

/* The last record applied, 0 before the first. */
MUST_USE enum err store_sequence(struct store *s, uint64_t *out);

/* Gives the sums to `on_usage`, by day, key, model, upstream. It may end the listing with an error,
 * which is then returned, and may not call the store. */
MUST_USE enum err store_usage_list(struct store *s, const struct store_usage_filter *filter,
                                   store_on_usage *on_usage, void *context);

/* Gives the open calls to `on_open_call`, by their intents' sequence; as store_usage_list(). */
MUST_USE enum err store_open_call_list(struct store *s, store_on_open_call *on_open_call,
                                       void *context);

#endif
