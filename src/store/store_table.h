/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_table.h — a table as data: what drivers and documents are made of. For this part, its
 * tests, and who writes the page of all tables.
 *
 * A row is a C struct; a column says where in it its field lies. Integers have the size of their
 * field, texts and blobs are spans, the rest are arrays. Every row ends with `bool is_damaged`,
 * which is no column: set in a row that was given out and cannot be what Atlas wrote.
 *
 * Ownership  tables are constant and live for ever.
 * Limits     STORE_INDEX_FIELDS_MAX columns in an index; its columns are no blobs.
 * Threads    any.
 * Sources    docs/formats/schema.md.
 */
#ifndef STORE_STORE_TABLE_H
#define STORE_STORE_TABLE_H

#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

/* Of the tables in store_tables.def: a store of another version is refused. */
#define STORE_TABLES_VERSION 18

#define STORE_INDEX_FIELDS_MAX 9

enum store_type { STORE_INT, STORE_TEXT, STORE_BLOB, STORE_BYTES };

/* What a column is for, where the store itself has a use for it. */
enum store_role { STORE_PLAIN, STORE_SUM, STORE_NUMBER, STORE_REVISION };

struct store_column {
    const char *name; /* in SQL */
    const char *meaning;
    size_t offset;      /* of its field in a row */
    size_t size;        /* of the field; of a text or blob 0 */
    size_t least, most; /* bytes of a text or blob */
    enum store_type type;
    enum store_role role;
    bool is_signed;
};

struct store_index {
    const char *name;
    size_t fields[STORE_INDEX_FIELDS_MAX]; /* offsets of the columns, the first one first */
    size_t count;
};

struct store_table {
    const char *name; /* in SQL */
    const char *meaning;
    const struct store_column *columns;
    size_t count;
    const struct store_index *indexes; /* the first one is the key */
    size_t index_count;
    size_t row_size;
    size_t damaged; /* offset of `is_damaged` */
};

struct store_tables {
    const struct store_table *at;
    size_t count;
};

/* Those of store_tables.def, in its order. */
extern const struct store_tables store_tables;

/* The column whose field lies at `offset`. */
const struct store_column *store_table_column(const struct store_table *t, size_t offset);

/* The table's column of a role, or NULL. */
const struct store_column *store_table_find_role(const struct store_table *t, enum store_role role);

/* Whether the column is one of the key's. */
bool store_table_is_key(const struct store_table *t, const struct store_column *c);

/* A number of what the tables are: names, types and orders. 1 to INT64_MAX. */
uint64_t store_tables_digest(const struct store_tables *tables);

/* The field of an integer; and puts one there, false if it does not hold this number. */
int64_t store_field_int(const struct store_column *c, const void *row);
bool store_field_put_int(const struct store_column *c, void *row, int64_t value);

/* The bytes of any other field, borrowed; and puts them there, false if their number is wrong. */
struct span store_field_bytes(const struct store_column *c, const void *row);
bool store_field_put_bytes_borrow(const struct store_column *c, void *row, struct span bytes);

/* Whether a table may hold this row: ERR_OK or ERR_VALUE_INVALID. `key_only`: the key's fields. */
enum err store_row_check(const struct store_table *t, const void *row, bool key_only);

/* How two rows stand to one another in an index: less than 0, 0, more. Texts and bytes are in the
 * order of their bytes, a beginning before the whole. */
int store_row_compare(const struct store_index *x, const struct store_table *t, const void *a,
                      const void *b);

/* How many bytes the row's texts and blobs have; and copies them to `room`, where the row's fields
 * point then. */
size_t store_row_bytes(const struct store_table *t, const void *row);
void store_row_move(const struct store_table *t, void *row, uint8_t *room);

#endif
