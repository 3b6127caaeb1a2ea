/* SPDX-License-Identifier: Apache-2.0 */
/* The operations on rows. What a statement takes and gives is in the order of the columns. */
#include "base/memory.h"
#include "store/sqlite/sqlite_internal.h"

#define SQL_BYTES_MAX 8192

/* The statement kept at `at` of a table, ready for binding; `begin` counts for pages only. */
static enum err use(struct sqlite_store *q, const struct store_table *t, size_t at,
                    sqlite3_stmt **out)
{
    sqlite3_stmt **kept = &q->statements[(size_t)(t - q->store.tables->at) * SQL_OF_TABLE + at];
    enum err e = store_sqlite_undo(q);
    if (e == ERR_OK && *kept == NULL) {
        struct buf sql;
        buf_init(&sql, SQL_BYTES_MAX);
        if (at < SQL_VERBS) {
            store_sqlite_write_verb(t, (enum sqlite_verb)at, &sql);
        } else {
            store_sqlite_write_page(t, &t->indexes[(at - SQL_VERBS) / SQL_BEGINS],
                                    (enum sqlite_begin)((at - SQL_VERBS) % SQL_BEGINS), &sql);
        }
        buf_put_byte(&sql, '\0');
        e = buf_failed(&sql) ? ERR_NO_MEMORY : ERR_OK;
        e = e == ERR_OK ? store_sqlite_prepare(q, (const char *)sql.at, kept) : e;
        buf_fini(&sql);
    }
    *out = *kept;
    return e;
}

/* Binds a field. Cannot fail: nothing is copied, and `at` is one of the statement's own. */
static void bind(sqlite3_stmt *st, int at, const struct store_column *c, const void *row)
{
    if (c->type == STORE_INT) {
        (void)sqlite3_bind_int64(st, at, store_field_int(c, row));
        return;
    }
    struct span bytes = store_field_bytes(c, row);
    const char *from = bytes.len == 0 ? "" : (const char *)bytes.at;
    if (c->type == STORE_TEXT) {
        (void)sqlite3_bind_text(st, at, from, (int)bytes.len, SQLITE_STATIC);
    } else {
        (void)sqlite3_bind_blob(st, at, from, (int)bytes.len, SQLITE_STATIC);
    }
}

static void bind_row(sqlite3_stmt *st, const struct store_table *t, const void *row)
{
    for (size_t i = 0; i < t->count; i++) {
        bind(st, (int)i + 1, &t->columns[i], row);
    }
}

static void bind_index(sqlite3_stmt *st, const struct store_table *t, const struct store_index *x,
                       const void *row)
{
    for (size_t i = 0; i < x->count; i++) {
        const struct store_column *c = store_table_column(t, x->fields[i]);
        bind(st, (int)(c - t->columns) + 1, c, row);
    }
}

/* Reads the row that `st` stands on, all of it. Texts and blobs lie in the statement. */
static void read_row(sqlite3_stmt *st, const struct store_table *t, void *row)
{
    bool is_whole = true;
    for (size_t i = 0; i < t->count; i++) {
        const struct store_column *c = &t->columns[i];
        if (c->type == STORE_INT) {
            is_whole &= store_field_put_int(c, row, sqlite3_column_int64(st, (int)i));
            continue;
        }
        const void *at = sqlite3_column_blob(st, (int)i); /* before the length, as SQLite asks */
        struct span bytes = span_make(at, (size_t)sqlite3_column_bytes(st, (int)i));
        is_whole &= store_field_put_bytes_borrow(c, row, bytes);
    }
    bool is_damaged = !is_whole;
    memcpy((uint8_t *)row + t->damaged, &is_damaged, sizeof(is_damaged));
}

enum err store_sqlite_get(struct store *s, const struct store_table *t, void *row)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = use(q, t, SQL_GET, &st);
    if (e != ERR_OK) {
        return e;
    }
    bind_index(st, t, &t->indexes[0], row);
    int code = sqlite3_step(st);
    enum err found = ERR_NOT_FOUND_ROW;
    if (code == SQLITE_ROW) {
        read_row(st, t, row);
        found = store_keep(s, t, row);
    }
    e = store_sqlite_done(q, st, code);
    return e != ERR_OK ? e : found;
}

/* Runs a statement that takes a whole row. */
static enum err run_row(struct store *s, const struct store_table *t, enum sqlite_verb verb,
                        const void *row)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = use(q, t, verb, &st);
    if (e != ERR_OK) {
        return e;
    }
    bind_row(st, t, row);
    return store_sqlite_step(q, st);
}

enum err store_sqlite_insert(struct store *s, const struct store_table *t, const void *row)
{
    return run_row(s, t, SQL_INSERT, row);
}

enum err store_sqlite_replace(struct store *s, const struct store_table *t, const void *row)
{
    return run_row(s, t, SQL_REPLACE, row);
}

enum err store_sqlite_add(struct store *s, const struct store_table *t, const void *row)
{
    return run_row(s, t, SQL_ADD, row);
}

/* Runs a change of the row of this key and revision; ERR_NOT_FOUND_ROW if it changed none. */
static enum err run_on_one(struct store *s, const struct store_table *t, enum sqlite_verb verb,
                           const void *row, uint64_t revision)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = use(q, t, verb, &st);
    if (e != ERR_OK) {
        return e;
    }
    if (verb == SQL_REMOVE) {
        bind_index(st, t, &t->indexes[0], row);
    } else {
        bind_row(st, t, row);
    }
    if (store_table_find_role(t, STORE_REVISION) != NULL) {
        (void)sqlite3_bind_int64(st, (int)t->count + 1, (int64_t)revision); /* cannot fail */
    }
    e = store_sqlite_step(q, st);
    return e == ERR_OK && sqlite3_changes(q->db) == 0 ? ERR_NOT_FOUND_ROW : e;
}

enum err store_sqlite_update(struct store *s, const struct store_table *t, const void *row,
                             uint64_t revision)
{
    return run_on_one(s, t, SQL_UPDATE, row, revision);
}

enum err store_sqlite_remove(struct store *s, const struct store_table *t, const void *row,
                             uint64_t revision)
{
    return run_on_one(s, t, SQL_REMOVE, row, revision);
}

enum err store_sqlite_page(struct store *s, const struct store_table *t, unsigned index,
                           const struct store_page *page, store_on_row *on_row, void *context)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum sqlite_begin begin = page->from == NULL ? SQL_FROM_FIRST
                              : page->after      ? SQL_AFTER_PLACE
                                                 : SQL_FROM_PLACE;
    void *row = memory_new(t->row_size);
    if (row == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = use(q, t, SQL_VERBS + (size_t)index * SQL_BEGINS + begin, &st);
    if (e != ERR_OK) {
        memory_free(row);
        return e;
    }
    if (page->from != NULL) {
        bind_index(st, t, &t->indexes[index], page->from);
    }
    (void)sqlite3_bind_int64(st, (int)t->count + 1, page->limit); /* cannot fail */
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW && e == ERR_OK) {
        read_row(st, t, row);
        e = on_row(context, row);
    }
    enum err done = store_sqlite_done(q, st, code);
    memory_free(row);
    return e != ERR_OK ? e : done;
}

enum err store_sqlite_count(struct store *s, const struct store_table *t, uint64_t *out)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = use(q, t, SQL_COUNT, &st);
    if (e != ERR_OK) {
        return e;
    }
    int code = sqlite3_step(st);
    uint64_t count = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    e = store_sqlite_done(q, st, code);
    if (e == ERR_OK) {
        *out = count;
    }
    return e;
}
