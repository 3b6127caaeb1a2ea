/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL, from tables. Parameters are numbered: ?1 to ?n are the columns in the table's order, then
 * comes what else a statement takes (the revision that was read, the limit of a page). Names are
 * our own and quoted; values are bound and never written into a text.
 *
 * A table whose rows are numbered has the number as its row id: reading it from the first to the
 * last is one walk through the file. The others lie in the order of their keys.
 */
#include "store/sqlite/sqlite_internal.h"

static size_t place_of(const struct store_table *t, const struct store_column *c)
{
    return (size_t)(c - t->columns) + 1;
}

static void write_names(const struct store_table *t, struct buf *out)
{
    for (size_t i = 0; i < t->count; i++) {
        buf_printf(out, "%s\"%s\"", i == 0 ? "" : ", ", t->columns[i].name);
    }
}

/* "a", "b"  of an index. */
static void write_fields(const struct store_table *t, const struct store_index *x, struct buf *out)
{
    for (size_t i = 0; i < x->count; i++) {
        buf_printf(out, "%s\"%s\"", i == 0 ? "" : ", ", store_table_column(t, x->fields[i])->name);
    }
}

/* ?1, ?4  of an index. */
static void write_places(const struct store_table *t, const struct store_index *x, struct buf *out)
{
    for (size_t i = 0; i < x->count; i++) {
        buf_printf(out, "%s?%zu", i == 0 ? "" : ", ",
                   place_of(t, store_table_column(t, x->fields[i])));
    }
}

static void write_where_key(const struct store_table *t, struct buf *out)
{
    const struct store_index *key = &t->indexes[0];
    for (size_t i = 0; i < key->count; i++) {
        const struct store_column *c = store_table_column(t, key->fields[i]);
        buf_printf(out, "%s\"%s\" = ?%zu", i == 0 ? " WHERE " : " AND ", c->name, place_of(t, c));
    }
}

static void write_insert(const struct store_table *t, const char *verb, struct buf *out)
{
    buf_printf(out, "%s INTO \"%s\" (", verb, t->name);
    write_names(t, out);
    for (size_t i = 0; i < t->count; i++) {
        buf_printf(out, "%s?%zu", i == 0 ? ") VALUES (" : ", ", i + 1);
    }
    buf_put_byte(out, ')');
}

/* Where `revision` is 0 any will do; a table without revisions has none to ask for. */
static void write_if_revision(const struct store_table *t, struct buf *out)
{
    const struct store_column *c = store_table_find_role(t, STORE_REVISION);
    if (c != NULL) {
        buf_printf(out, " AND (?%zu = 0 OR \"%s\" = ?%zu)", t->count + 1, c->name, t->count + 1);
    }
}

/* A row keeps its key and its number. */
static void write_update(const struct store_table *t, struct buf *out)
{
    const char *before = " SET ";
    buf_printf(out, "UPDATE \"%s\"", t->name);
    for (size_t i = 0; i < t->count; i++) {
        const struct store_column *c = &t->columns[i];
        if (!store_table_is_key(t, c) && c->role != STORE_NUMBER) {
            buf_printf(out, "%s\"%s\" = ?%zu", before, c->name, i + 1);
            before = ", ";
        }
    }
    write_where_key(t, out);
    write_if_revision(t, out);
}

/* Sums stop at the largest number there is: + would turn them into something else. */
static void write_add(const struct store_table *t, struct buf *out)
{
    const char *before = " ON CONFLICT DO UPDATE SET ";
    write_insert(t, "INSERT", out);
    for (size_t i = 0; i < t->count; i++) {
        const char *name = t->columns[i].name;
        if (t->columns[i].role == STORE_SUM) {
            buf_printf(out,
                       "%s\"%s\" = CASE WHEN \"%s\" > 0 AND excluded.\"%s\" > %lld - \"%s\""
                       " THEN %lld ELSE \"%s\" + excluded.\"%s\" END",
                       before, name, name, name, (long long)INT64_MAX, name, (long long)INT64_MAX,
                       name, name);
            before = ", ";
        }
    }
}

void store_sqlite_write_verb(const struct store_table *t, enum sqlite_verb verb, struct buf *out)
{
    switch (verb) {
    case SQL_GET:
        buf_put_text(out, "SELECT ");
        write_names(t, out);
        buf_printf(out, " FROM \"%s\"", t->name);
        write_where_key(t, out);
        break;
    case SQL_INSERT:
        write_insert(t, "INSERT", out);
        break;
    case SQL_REPLACE:
        write_insert(t, "INSERT OR REPLACE", out);
        break;
    case SQL_UPDATE:
        write_update(t, out);
        break;
    case SQL_REMOVE:
        buf_printf(out, "DELETE FROM \"%s\"", t->name);
        write_where_key(t, out);
        write_if_revision(t, out);
        break;
    case SQL_ADD:
        write_add(t, out);
        break;
    case SQL_COUNT:
        buf_printf(out, "SELECT count(*) FROM \"%s\"", t->name);
        break;
    case SQL_VERBS:
        NEVER("this is no verb");
    }
}

void store_sqlite_write_page(const struct store_table *t, const struct store_index *x,
                             enum sqlite_begin begin, struct buf *out)
{
    buf_put_text(out, "SELECT ");
    write_names(t, out);
    buf_printf(out, " FROM \"%s\"", t->name);
    if (begin != SQL_FROM_FIRST) {
        buf_put_text(out, " WHERE (");
        write_fields(t, x, out);
        buf_put_text(out, begin == SQL_AFTER_PLACE ? ") > (" : ") >= (");
        write_places(t, x, out);
        buf_put_byte(out, ')');
    }
    buf_put_text(out, " ORDER BY ");
    write_fields(t, x, out);
    buf_printf(out, " LIMIT ?%zu", t->count + 1);
}

/* ---- making ---- */

static void write_column(const struct store_table *t, const struct store_column *c, struct buf *out)
{
    static const char *const types[] = {[STORE_INT] = "INTEGER",
                                        [STORE_TEXT] = "TEXT",
                                        [STORE_BLOB] = "BLOB",
                                        [STORE_BYTES] = "BLOB"};
    buf_printf(out, "%s\"%s\" %s NOT NULL", c == t->columns ? "" : ", ", c->name, types[c->type]);
    if (c->role == STORE_NUMBER) {
        buf_put_text(out, " PRIMARY KEY");
    } else if (c->type == STORE_BYTES) {
        buf_printf(out, " CHECK (length(\"%s\") = %zu)", c->name, c->size);
    }
}

static bool is_number_alone(const struct store_table *t, const struct store_index *x)
{
    return x->count == 1 && store_table_column(t, x->fields[0])->role == STORE_NUMBER;
}

void store_sqlite_write_table(const struct store_table *t, struct buf *out)
{
    bool is_numbered = store_table_find_role(t, STORE_NUMBER) != NULL;
    buf_printf(out, "CREATE TABLE \"%s\" (", t->name);
    for (size_t i = 0; i < t->count; i++) {
        write_column(t, &t->columns[i], out);
    }
    if (!is_number_alone(t, &t->indexes[0])) {
        buf_put_text(out, is_numbered ? ", UNIQUE (" : ", PRIMARY KEY (");
        write_fields(t, &t->indexes[0], out);
        buf_put_byte(out, ')');
    }
    buf_put_text(out, is_numbered ? ") STRICT;" : ") STRICT, WITHOUT ROWID;");
    for (size_t i = 1; i < t->index_count; i++) {
        if (!is_number_alone(t, &t->indexes[i])) {
            buf_printf(out, "CREATE UNIQUE INDEX \"%s_%zu\" ON \"%s\" (", t->name, i, t->name);
            write_fields(t, &t->indexes[i], out);
            buf_put_text(out, ");");
        }
    }
}
