/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_book.h — the prices that were set while the gateway runs, by the admin API.
 *
 * From its `from` on, and until it is ended, such a price goes before what the configuration says
 * of its model. Of several that hold the one that began last is in force, of two that began at once
 * the one that was made later. The store's rows are where they come from; what changes a row calls
 * policy_book_apply() with it, and calls that begin from then on go by it.
 *
 * What readers see is a *page*: all prices, sorted, never changed, replaced whole. So a change
 * takes as long as there are prices (some milliseconds for 10,000), and a look-up neither waits nor
 * allocates.
 *
 * Ownership  policy_book_open() hands the book to the caller, who gives it back to
 *            policy_book_close().
 * Limits     POLICY_BOOK_MAX prices, those that ended more than a day ago not counted.
 * Threads    policy_book_find(), policy_book_has() and policy_book_set_turned(): any, at any time.
 *            The others: one thread at a time.
 * Sources    docs/formats/schema.md.
 */
#ifndef POLICY_POLICY_BOOK_H
#define POLICY_POLICY_BOOK_H

#include "base/err.h"
#include "base/span.h"
#include "policy/policy_price.h"

#define POLICY_BOOK_MAX 65536

struct policy_book;
struct store;
struct store_price;

/* What policy_book_load() found. */
struct policy_book_report {
    uint64_t prices;  /* that were taken in */
    uint64_t damaged; /* rows that cannot be what Atlas wrote: they are not */
};

MUST_USE enum err policy_book_open(struct policy_book **out);

/* Closes `*b` and sets it to NULL. Does nothing if it is NULL already. No reader may be left. */
void policy_book_close(struct policy_book **b);

/* Takes all rows of the store in. `now`: what ended more than a day before is left out. Any error
 * of the store; ERR_VALUE_INVALID (there are too many), ERR_NO_MEMORY. */
MUST_USE enum err policy_book_load(struct policy_book *b, struct store *s, wall_us now,
                                   struct policy_book_report *report);

/*
 * Takes in a row, or what it is from now on.
 *
 *   ERR_VALUE_INVALID  it is no price (policy_price_is_valid()), or one too many
 *   ERR_NO_MEMORY      what was said of it stays
 */
MUST_USE enum err policy_book_apply(struct policy_book *b, const struct store_price *row,
                                    wall_us now);

/* The price of a model, by its name in the configuration, that holds at `at`; its id is made.
 * False: it is as the configuration says. */
MUST_USE bool policy_book_find(const struct policy_book *b, struct span model, wall_us at,
                               struct policy_price *out);

/* Whether the model has a price that holds at `at`. */
MUST_USE bool policy_book_has(const struct policy_book *b, struct span model, wall_us at);

/* How many more prices it takes. */
size_t policy_book_room(const struct policy_book *b, wall_us now);

/* Every reader's loop has turned since: what was replaced before is freed at the next change. */
void policy_book_set_turned(struct policy_book *b, mono_us turned);

/* Frees what was replaced before. */
void policy_book_tidy(struct policy_book *b, mono_us turned);

#endif
