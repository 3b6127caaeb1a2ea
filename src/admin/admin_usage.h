/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_usage.h — sums of usage by whatever is asked for. For this part only.
 *
 * Rows of the store are added to the sums of those that are like them in what is asked for, and
 * have their currency. When all are, the sums are put in order; what has no currency, and so no
 * cost, goes to the first one that is like it in all else.
 *
 * Ownership  admin_sums_fini() frees what it holds.
 * Limits     ADMIN_USAGE_ROWS_MAX sums.
 * Threads    one at a time.
 */
#ifndef ADMIN_ADMIN_USAGE_H
#define ADMIN_ADMIN_USAGE_H

#include "admin/admin_routes.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "store/store_usage.h"

/* What sums can be by, in the order of the answer's members. */
enum admin_by {
    ADMIN_BY_ORGANISATION,
    ADMIN_BY_TEAM,
    ADMIN_BY_USER,
    ADMIN_BY_KEY,
    ADMIN_BY_MODEL,
    ADMIN_BY_UPSTREAM,
    ADMIN_BY_ROUTE,
    ADMIN_BY_DAY,
    ADMIN_BY_HOUR,
    ADMIN_BYS
};

/* What is asked for, in this order. */
struct admin_bys {
    enum admin_by at[ADMIN_BYS];
    size_t count;
};

struct admin_sums {
    const struct admin_bys *bys;
    struct arena memory;
    struct map map;          /* names of sums → struct admin_sum */
    struct admin_sum **rows; /* `count` of them, with room for more */
    struct admin_sum *last;  /* what the row before was added to: the next one often is */
    size_t count, room;
};

struct admin_sum {
    struct store_usage sums; /* empty in what is not asked for */
    const struct admin_bys *bys;
};

/*
 * Reads words of enum admin_by, parted by commas.
 *
 *   ERR_VALUE_INVALID  `fault` says what is wrong
 */
MUST_USE enum err admin_bys_read(struct span text, struct admin_bys *out,
                                 struct admin_fault *fault);

bool admin_bys_has(const struct admin_bys *bys, enum admin_by by);

void admin_sums_init(struct admin_sums *s, const struct admin_bys *bys);
void admin_sums_fini(struct admin_sums *s);

/*
 * Adds a row.
 *
 *   ERR_NO_MEMORY
 *   ERR_VALUE_INVALID  there are more sums than ADMIN_USAGE_ROWS_MAX
 */
MUST_USE enum err admin_sums_add(struct admin_sums *s, const struct store_usage *row);

/* Puts them in order, once all are added. Without `bys` there is always one. ERR_NO_MEMORY. */
MUST_USE enum err admin_sums_finish(struct admin_sums *s);

struct admin_operation;

/*
 * The id of an organisation, a team or a user that is given by id or, unless it has ended, by name.
 * One that is not there stays as it is: its usage is nothing.
 *
 *   ERR_VALUE_INVALID  several have this name
 *   and as store.h says
 */
MUST_USE enum err admin_usage_resolve(const struct admin_operation *op, enum admin_by by,
                                      struct span given, uint8_t room[STORE_TEXT_MAX],
                                      struct span *id);

/* Whether there is one of this id (empty: nobody is asked for), for who sees all teams.
 * ERR_NOT_FOUND_ROW, told; and as store.h says. */
MUST_USE enum err admin_usage_check(const struct admin_operation *op, enum admin_by by,
                                    struct span id);

/* Room for the names of one row. */
struct admin_usage_names {
    uint8_t organisation[STORE_TEXT_MAX], team[STORE_TEXT_MAX], user[STORE_TEXT_MAX],
        key[STORE_TEXT_MAX];
};

/* Finds the names of those whom a row names by their ids; of who is not there any more there is
 * none. Fails as store.h says. */
MUST_USE enum err admin_usage_name(struct store *s, struct admin_usage *row,
                                   struct admin_usage_names *room);

/*
 * CSV (RFC 4180) of an object: the line of its members' names, and the line of what it says. A text
 * that a spreadsheet would take for a formula gets an apostrophe before it.
 */
void admin_csv_write_names(struct buf *out, enum admin_object object, uint64_t asked);
void admin_csv_write(struct buf *out, enum admin_object object, const void *in, uint64_t asked);

#endif
