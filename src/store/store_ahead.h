/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_ahead.h — rows that are recorded and not in the tables yet: what a change made of them,
 * until the tables have it. For this part only; others read rows by store_change_get().
 *
 * A store that another program locks lags behind its records for as long as it likes. What was
 * changed meanwhile is known here, so that who changes a row, and who reads it, sees it as it was
 * changed last. A change is *published* first, which the writer alone sees; once it is on the disk
 * it is *settled*, and everybody sees it.
 *
 * Always true between two calls:
 *   1. A row that is here is the newest there is of its key; the tables have that one or an older.
 *   2. Of a key there is at most one row that is settled, and one that is not.
 *   3. The revision of a row is higher than any in the tables, and another with each change.
 *
 * Ownership  the writer's store owns it, its reader borrows it. Rows are copied in and out.
 * Limits     STORE_AHEAD_MAX rows; a change of one of these, while it is not settled, is another.
 * Threads    any; it has a lock of its own. Changes are the writer's.
 */
#ifndef STORE_STORE_AHEAD_H
#define STORE_STORE_AHEAD_H

#include "store/store_driver.h"

#define STORE_AHEAD_MAX 1024

struct store_ahead;
struct store_ahead_row;

/* What is known of a row. */
struct store_ahead_sight {
    bool is_here, is_gone;
    uint64_t revision;
};

/* ERR_NO_MEMORY */
MUST_USE enum err store_ahead_open(struct store_ahead **out);
void store_ahead_close(struct store_ahead **a);

/*
 * Makes room for a change of `row`, before it is published: taking it in cannot fail then.
 *
 *   ERR_NO_MEMORY
 *   ERR_STORE_BEHIND  there are as many as there may be
 */
MUST_USE enum err store_ahead_reserve(struct store_ahead *a, const struct store_table *t,
                                      const void *row, bool is_gone, struct store_ahead_row **out);

/* Takes in what was published; gives back what was not. `*made` is then NULL. */
void store_ahead_publish(struct store_ahead *a, struct store_ahead_row **made);
void store_ahead_give_back(struct store_ahead_row **made);

/* All that was published is on the disk. */
void store_ahead_settle(struct store_ahead *a);

/* The tables have all that is here; or they could not take it. */
void store_ahead_clear(struct store_ahead *a);
void store_ahead_lag(struct store_ahead *a);

/* Looks for the row of the key that `row` has; `all`: also for one that is not settled. */
struct store_ahead_sight store_ahead_look(struct store_ahead *a, const struct store_table *t,
                                          const void *row, bool all);

/*
 * The same, and reads it into `row`, its texts by store_keep(). `*found` says what there was.
 *
 *   ERR_NO_MEMORY
 */
MUST_USE enum err store_ahead_get(struct store *s, const struct store_table *t, void *row, bool all,
                                  struct store_ahead_sight *found);

/* A copy of the rows of a table that are settled, as they are now. */
struct store_ahead_view {
    struct store_ahead_view_row *rows;
    size_t count;
};

struct store_ahead_view_row {
    void *row; /* the table's struct */
    bool is_gone;
    bool lags;     /* the tables could not take it when they were to */
    bool was_seen; /* for who walks through the tables */
};

/* ERR_NO_MEMORY */
MUST_USE enum err store_ahead_view_open(struct store_ahead *a, const struct store_table *t,
                                        struct store_ahead_view *out);
void store_ahead_view_close(struct store_ahead_view *v);

/* The row of the key that `row` has; NULL: there is none. */
struct store_ahead_view_row *store_ahead_view_find(struct store_ahead_view *v,
                                                   const struct store_table *t, const void *row);

#endif
