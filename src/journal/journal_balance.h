/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_balance.h — what a batch's records take of budgets' windows, for the store.
 *
 * A record names the windows that its call holds parts of (the member `budgets`); what it says was
 * used is added to the balance of each, once per batch.
 *
 * Ownership  rows lie in the batch's arena.
 * Limits     JOURNAL_BUDGETS_MAX windows of a record are looked at: a call holds no more.
 * Threads    one at a time.
 * Sources    docs/formats/journal.md, `budgets`.
 */
#ifndef JOURNAL_JOURNAL_BALANCE_H
#define JOURNAL_JOURNAL_BALANCE_H

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "journal/journal_record.h"

#define JOURNAL_BUDGETS_MAX   16
#define JOURNAL_BALANCE_BYTES 192 /* of a row and its name, at most */

struct store;

struct journal_balances {
    struct map map; /* by what the record calls it */
    struct list rows;
};

void journal_balances_init(struct journal_balances *b);
void journal_balances_fini(struct journal_balances *b);

/* Adds what a record says was used. ERR_NO_MEMORY: the arena is full. */
MUST_USE enum err journal_balances_add(struct journal_balances *b, struct arena *arena,
                                       const struct journal_record *r);

/* Adds all to the store's balances, in a batch. */
MUST_USE enum err journal_balances_apply(const struct journal_balances *b, struct store *s);

#endif
