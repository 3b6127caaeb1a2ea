/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_batch.h — what some records change in the store, put together. For this part only.
 *
 * A batch of records that follow one another becomes one row an hour and whatever else names a
 * row of usage, and one row a try that is still open; tries that began and ended in it leave no
 * row. What admin records say is kept whole, in their order.
 *
 * Ownership  journal_batch_fini() frees what it holds; it may be used again after it.
 * Limits     of memory, as given to journal_batch_init(); the maps' comes on top, less than half.
 * Threads    one at a time.
 */
#ifndef JOURNAL_JOURNAL_BATCH_H
#define JOURNAL_JOURNAL_BATCH_H

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "journal/journal.h"
#include "journal/journal_balance.h"

/* A record takes no more than this of a batch's memory. */
#define JOURNAL_BATCH_RECORD_MAX ((size_t)12288)

struct store;
struct usage_row;

struct journal_batch {
    struct arena memory;
    struct map usage;       /* name of a row of usage → struct usage_row */
    struct map calls;       /* call id → struct call_row */
    struct list usage_rows; /* the same, in the order of their first records */
    struct list call_rows;
    struct list changes; /* of admin records */
    struct journal_balances balances;
    struct usage_row *last_usage;     /* of the record before: the next is often of the same */
    uint64_t first, last;             /* sequences of its records; 0, 0: none */
    uint8_t head[JOURNAL_HASH_BYTES]; /* leaf hash of the last one */
};

/* An empty batch of at most `bytes`; takes no memory yet. */
void journal_batch_init(struct journal_batch *b, size_t bytes);

/* Frees what it holds; it is empty then. */
void journal_batch_fini(struct journal_batch *b);

/* Whether one more record surely fits. */
bool journal_batch_has_room(const struct journal_batch *b);

/*
 * Adds the record that follows `b->last`.
 *
 *   ERR_NO_MEMORY  the batch is full, and of no further use
 */
MUST_USE enum err journal_batch_add(struct journal_batch *b, const struct journal_told *told);

/* Applies the batch to the store, in one transaction, its rows of usage in the order of their
 * table; as store_commit(). */
MUST_USE enum err journal_batch_apply(struct journal_batch *b, struct store *s);

#endif
