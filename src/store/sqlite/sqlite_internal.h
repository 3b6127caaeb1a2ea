/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_internal.h — what the files of the SQLite driver share: the open database and its
 * statements, each prepared at its first use and kept.
 *
 * Ownership  a statement that store_sqlite_use() gave is given back by store_sqlite_done(); texts
 *            and blobs bound to it must live until then.
 * Threads    one at a time.
 */
#ifndef SQLITE_SQLITE_INTERNAL_H
#define SQLITE_SQLITE_INTERNAL_H

#include <sqlite3.h>

#include "base/buf.h"
#include "store/store_driver.h"

/* Every statement that is kept of a table; those of a page are as many as it has indexes. */
enum sqlite_verb {
    SQL_GET,
    SQL_INSERT,
    SQL_REPLACE,
    SQL_UPDATE,
    SQL_REMOVE,
    SQL_ADD,
    SQL_COUNT,
    SQL_VERBS
};

enum sqlite_begin { SQL_FROM_FIRST, SQL_FROM_PLACE, SQL_AFTER_PLACE, SQL_BEGINS };

#define SQL_INDEXES_MAX 4
#define SQL_OF_TABLE    (SQL_VERBS + SQL_INDEXES_MAX * SQL_BEGINS)

/* Those of no table. */
enum sqlite_plain { SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK, SQL_PLAIN };

struct sqlite_store {
    struct store store;
    sqlite3 *db;
    char *path;
    int64_t busy_ms;
    sqlite3_stmt *plain[SQL_PLAIN];
    sqlite3_stmt **statements; /* SQL_OF_TABLE a table */
    enum store_sync sync;      /* what the database is set to */
    bool undo;                 /* a rollback failed: it comes before anything else */
};

static inline struct sqlite_store *store_sqlite_of(struct store *s)
{
    return (struct sqlite_store *)s;
}

/* Runs statements that return nothing. */
MUST_USE enum err store_sqlite_run(struct sqlite_store *q, const char *sql);

/* Runs a statement and reads the number in its first row's first column; 0 if there is no row. */
MUST_USE enum err store_sqlite_number(struct sqlite_store *q, const char *sql, int64_t *out);

/* Prepares a statement that is kept in `*kept`. */
MUST_USE enum err store_sqlite_prepare(struct sqlite_store *q, const char *sql,
                                       sqlite3_stmt **kept);

/* Undoes what a failed batch has left, so that no statement ever sees it. */
MUST_USE enum err store_sqlite_undo(struct sqlite_store *q);

/* Gives the statement back after its last step returned `code`: ERR_OK for SQLITE_ROW and
 * SQLITE_DONE. */
enum err store_sqlite_done(struct sqlite_store *q, sqlite3_stmt *st, int code);

/* Runs a statement that returns no row, once it is bound, and gives it back. */
MUST_USE enum err store_sqlite_step(struct sqlite_store *q, sqlite3_stmt *st);

/* Writes the statement of a verb, or of a page in an index; and those that make the table. */
void store_sqlite_write_verb(const struct store_table *t, enum sqlite_verb verb, struct buf *out);
void store_sqlite_write_page(const struct store_table *t, const struct store_index *x,
                             enum sqlite_begin begin, struct buf *out);
void store_sqlite_write_table(const struct store_table *t, struct buf *out);

/* Makes the tables in an empty file. */
MUST_USE enum err store_sqlite_make_tables(struct sqlite_store *q);

/* Whether the tables are ours and this program's: ERR_FILE, ERR_STORE_NEWER, ERR_STORE_OLDER.
 * `*is_empty`: there are none. */
MUST_USE enum err store_sqlite_look_at_tables(struct sqlite_store *q, bool *is_empty);

/* The operations, as store_driver.h says. */
enum err store_sqlite_get(struct store *s, const struct store_table *t, void *row);
enum err store_sqlite_insert(struct store *s, const struct store_table *t, const void *row);
enum err store_sqlite_replace(struct store *s, const struct store_table *t, const void *row);
enum err store_sqlite_update(struct store *s, const struct store_table *t, const void *row,
                             uint64_t revision);
enum err store_sqlite_remove(struct store *s, const struct store_table *t, const void *row,
                             uint64_t revision);
enum err store_sqlite_add(struct store *s, const struct store_table *t, const void *row);
enum err store_sqlite_page(struct store *s, const struct store_table *t, unsigned index,
                           const struct store_page *page, store_on_row *on_row, void *context);
enum err store_sqlite_count(struct store *s, const struct store_table *t, uint64_t *out);

#endif
