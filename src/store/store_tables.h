/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_tables.h — the rows of the store's tables, and what can be done with any of them.
 *
 * From each table of store_tables.def come a struct and functions; for `key` that is
 * `struct store_key` and
 *
 *   store_key_get(s, &row)      reads the row of the key that `row` has, into it
 *   store_key_insert(s, &row)   adds a row
 *   store_key_put(s, &row)      puts it in place of the one of its key
 *   store_key_delete(s, &row)   takes the row of this key out
 *   store_key_page(s, index, &page, on_row, context)   gives rows in the order of an index
 *   store_key_count(s, &count)  how many rows there are
 *
 * In a table with revisions each change of a row gives it another `revision`, higher than any that
 * a row of the store ever had. Who puts or deletes says by `row.revision` what he has read: if that
 * is no more what is there, nothing is changed and ERR_REVISION is returned. So a revision is an
 * ETag. A row that was deleted and made anew has another one.
 *
 * A page begins at a place in an index, not at a count of rows: whatever is written between two
 * pages, a row that was there all the time is given exactly once.
 *
 *   ERR_NOT_FOUND_ROW  (get, put with revisions, delete) there is no row of this key
 *   ERR_EXISTS         (insert) there is one; it was left as it is
 *   ERR_REVISION       (put, delete) it has changed meanwhile; it was left as it is
 *   ERR_VALUE_INVALID  (insert, put, add) a text or blob that the table does not hold
 *   and what store.h names for every operation
 *
 * Tables with sums are added to, by store_row_add(): the sums of a row go to those of the row of
 * its key, which is made if it is not there.
 *
 * Ownership  spans that get gives out are valid until the next get on the store; those of a page
 *            until the callback returns. What is passed in is read before the call returns.
 * Threads    as the store's.
 * Sources    store_tables.def; docs/formats/schema.md.
 */
#ifndef STORE_STORE_TABLES_H
#define STORE_STORE_TABLES_H

#include "store/store.h"

enum store_table_id {
#define TABLE(name, id, ...) STORE_TABLE_##id,
#include "store/store_tables.def"
    STORE_TABLE_COUNT
};

// clang-format off
/* The orders of each table; the first one is its key. */
#define TABLE(name, ...)        enum store_index_of_##name {
#define INDEX(name, index, ...) STORE_INDEX_##index,
#define END(name)               };
#include "store/store_tables.def"

/* The rows. */
#define TABLE(name, ...)              struct store_##name {
#define TEXT(name, field, ...)        struct span field;
#define BLOB(name, field, ...)        struct span field;
#define BYTES(name, field, size, ...) uint8_t field[size];
#define INT(name, field, type, ...)   type field;
#define TIME(name, field, ...)        wall_us field;
#define SUM(name, field, ...)         int64_t field;
#define NUMBER(name, ...)             int64_t number;
#define REVISION(name)                uint64_t revision;
#define END(name)                     bool is_damaged; };
#include "store/store_tables.def"
// clang-format on

/* Which rows are given. */
struct store_page {
    const void *from; /* a row: begins at its place in the index; NULL: at the first row. It stays
                         as it is until the page is over */
    bool after;       /* without the row that is at this very place */
    int64_t limit;    /* at most so many; INT64_MAX: all */
};

/* Receives a row; anything but ERR_OK ends the page, which then returns it. It may not change the
 * store. */
typedef enum err store_on_row(void *context, const void *row);

MUST_USE enum err store_row_get(struct store *s, enum store_table_id table, void *row);
MUST_USE enum err store_row_insert(struct store *s, enum store_table_id table, void *row);
MUST_USE enum err store_row_put(struct store *s, enum store_table_id table, void *row);
MUST_USE enum err store_row_delete(struct store *s, enum store_table_id table, const void *row);
MUST_USE enum err store_row_add(struct store *s, enum store_table_id table, const void *row);
MUST_USE enum err store_row_page(struct store *s, enum store_table_id table, unsigned index,
                                 const struct store_page *page, store_on_row *on_row,
                                 void *context);
MUST_USE enum err store_row_count(struct store *s, enum store_table_id table, uint64_t *out);

/* Moves a row's texts into an arena, so that they outlive the next operation. ERR_NO_MEMORY. */
struct arena;
size_t store_row_size(enum store_table_id table);
MUST_USE enum err store_row_keep(enum store_table_id table, void *row, struct arena *arena);

/* The same, of one table each. */
#define TABLE(name, id, ...)                                                                      \
    MUST_USE static inline enum err store_##name##_get(struct store *s, struct store_##name *row) \
    {                                                                                             \
        return store_row_get(s, STORE_TABLE_##id, row);                                           \
    }                                                                                             \
    MUST_USE static inline enum err store_##name##_insert(struct store *s,                        \
                                                          struct store_##name *row)               \
    {                                                                                             \
        return store_row_insert(s, STORE_TABLE_##id, row);                                        \
    }                                                                                             \
    MUST_USE static inline enum err store_##name##_put(struct store *s, struct store_##name *row) \
    {                                                                                             \
        return store_row_put(s, STORE_TABLE_##id, row);                                           \
    }                                                                                             \
    MUST_USE static inline enum err store_##name##_delete(struct store *s,                        \
                                                          const struct store_##name *row)         \
    {                                                                                             \
        return store_row_delete(s, STORE_TABLE_##id, row);                                        \
    }                                                                                             \
    MUST_USE static inline enum err store_##name##_page(                                          \
        struct store *s, enum store_index_of_##name index, const struct store_page *page,         \
        store_on_row *on_row, void *context)                                                      \
    {                                                                                             \
        return store_row_page(s, STORE_TABLE_##id, index, page, on_row, context);                 \
    }                                                                                             \
    MUST_USE static inline enum err store_##name##_count(struct store *s, uint64_t *out)          \
    {                                                                                             \
        return store_row_count(s, STORE_TABLE_##id, out);                                         \
    }
#include "store/store_tables.def"

#endif
