/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_batch.h — what some records change in the store, put together. For this part only.
 *
 * A batch of records that follow one another becomes one row a key, model, upstream and day, and
 * one row a call that is still open; calls that began and ended in it leave no row.
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
#include "journal/journal_record.h"

/* A record takes no more than this of a batch's memory. */
#define JOURNAL_BATCH_RECORD_MAX ((size_t)2048)

struct store;

struct journal_batch {
    struct arena memory;
    struct map usage;       /* name of a row of usage → struct usage_row */
    struct map calls;       /* call id → struct call_row */
    struct list usage_rows; /* the same, in the order of their first records */
    struct list call_rows;
    uint64_t first, last; /* sequences of its records; 0, 0: none */
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
MUST_USE enum err journal_batch_add(struct journal_batch *b, const struct journal_record *r);

/* Applies the batch to the store, in one transaction, its rows of usage in the order of their
 * table; as store_commit(). */
MUST_USE enum err journal_batch_apply(struct journal_batch *b, struct store *s);

#endif
