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

#include "store/store_driver.h"

/* Every statement that is kept: its name and its text, in sqlite_statements.def. */
enum sqlite_statement {
#define STATEMENT(name, sql) SQL_##name,
#include "store/sqlite/sqlite_statements.def"
#undef STATEMENT
    SQL_COUNT
};

struct sqlite_store {
    struct store store;
    sqlite3 *db;
    sqlite3_stmt *statement[SQL_COUNT];
    enum store_sync sync; /* what the database is set to */
    bool undo;            /* a rollback failed: it comes before anything else */
    struct {
        uint8_t id[STORE_KEY_ID_CHARS];
        char text[3][STORE_TEXT_MAX];
    } given; /* where the spans lie that an operation gave out */
};

static inline struct sqlite_store *store_sqlite_of(struct store *s)
{
    return (struct sqlite_store *)s;
}

/* What `code` of SQLite is to us; keeps SQLite's words for store_complaint(). */
enum err store_sqlite_error(struct sqlite_store *q, int code);

/* Runs statements that return nothing. */
MUST_USE enum err store_sqlite_run(struct sqlite_store *q, const char *sql);

/* Runs a statement and reads the number in its first row's first column; 0 if there is no row. */
MUST_USE enum err store_sqlite_number(struct sqlite_store *q, const char *sql, int64_t *out);

/* The statement, ready for binding. What a failed batch has left is undone first, so that no
 * statement ever sees it. */
MUST_USE enum err store_sqlite_use(struct sqlite_store *q, enum sqlite_statement which,
                                   sqlite3_stmt **out);

/* Gives the statement back after its last step returned `code`: ERR_OK for SQLITE_ROW and
 * SQLITE_DONE. */
enum err store_sqlite_done(struct sqlite_store *q, sqlite3_stmt *st, int code);

/* Runs a statement that returns no row, once it is bound, and gives it back. */
MUST_USE enum err store_sqlite_step(struct sqlite_store *q, sqlite3_stmt *st);

void store_sqlite_bind(sqlite3_stmt *st, int at, struct span text);
struct span store_sqlite_column(sqlite3_stmt *st, int at);

/* Copies a column to given.text[slot] and returns it there; longer ones are cut. */
struct span store_sqlite_keep(struct sqlite_store *q, sqlite3_stmt *st, int at, int slot);

/* Brings the tables up to this program's version. See sqlite_schema.c. */
MUST_USE enum err store_sqlite_migrate(struct sqlite_store *q);

/* Reads the version of the tables; 0 for an empty file. ERR_FILE: it is not Atlas's. */
MUST_USE enum err store_sqlite_version(struct sqlite_store *q, int64_t *out);

/* The operations, as store_driver.h says. */
enum err store_sqlite_key_insert(struct store *s, const struct store_key *key);
enum err store_sqlite_key_revoke(struct store *s, struct span id, wall_us when);
enum err store_sqlite_key_find(struct store *s, struct span id, struct store_key *out);
enum err store_sqlite_key_list(struct store *s, store_on_key *on_key, void *context);
enum err store_sqlite_key_revision(struct store *s, uint64_t *out);
enum err store_sqlite_usage_add(struct store *s, const struct store_usage *more);
enum err store_sqlite_usage_list(struct store *s, const struct store_usage_filter *filter,
                                 store_on_usage *on_usage, void *context);
enum err store_sqlite_open_call_put(struct store *s, const struct store_open_call *call);
enum err store_sqlite_open_call_take(struct store *s, const uint8_t id[STORE_CALL_ID_BYTES],
                                     struct store_open_call *out);
enum err store_sqlite_open_call_list(struct store *s, store_on_open_call *on_open_call,
                                     void *context);
enum err store_sqlite_sequence_set(struct store *s, uint64_t sequence);
enum err store_sqlite_sequence(struct store *s, uint64_t *out);

#endif
