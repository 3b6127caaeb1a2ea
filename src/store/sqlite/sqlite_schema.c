/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose tables are in a file. `meta` says the version and the digest of the tables that were made;
 * a file that says anything else is left alone. Nothing was released before version 4, so there is
 * no way from an older one.
 */
#include "base/memory.h"
#include "store/sqlite/sqlite_internal.h"

#define SQL_BYTES_MAX ((size_t)64 << 10)

static enum err refuse(struct sqlite_store *q, enum err e, const char *why)
{
    span_copy_text(span_of(why), q->store.complaint, sizeof(q->store.complaint));
    return e;
}

static enum err look_at_version(struct sqlite_store *q)
{
    int64_t version = 0;
    int64_t digest = 0;
    enum err e = store_sqlite_number(q, "SELECT number FROM meta WHERE name = 'version'", &version);
    if (e == ERR_OK) {
        e = store_sqlite_number(q, "SELECT number FROM meta WHERE name = 'tables'", &digest);
    }
    if (e != ERR_OK) {
        return e;
    }
    if (version > STORE_TABLES_VERSION) {
        return refuse(q, ERR_STORE_NEWER, "its tables are of a later version than this program's");
    }
    if (version < STORE_TABLES_VERSION ||
        (uint64_t)digest != store_tables_digest(q->store.tables)) {
        return refuse(q, ERR_STORE_OLDER, "its tables are not those of this program");
    }
    return ERR_OK;
}

enum err store_sqlite_look_at_tables(struct sqlite_store *q, bool *is_empty)
{
    int64_t tables, ours, older;
    enum err e = store_sqlite_number(q, "SELECT count(*) FROM sqlite_schema", &tables);
    *is_empty = e == ERR_OK && tables == 0;
    if (e != ERR_OK || tables == 0) {
        return e;
    }
    e = store_sqlite_number(
        q, "SELECT count(*) FROM sqlite_schema WHERE name IN ('meta', 'api_key')", &ours);
    if (e == ERR_OK) {
        e = store_sqlite_number(
            q, "SELECT count(*) FROM sqlite_schema WHERE name IN ('migration', 'api_key')", &older);
    }
    if (e == ERR_OK && ours != 2) {
        return older == 2 ? refuse(q, ERR_STORE_OLDER, "its tables are of an earlier version")
                          : refuse(q, ERR_FILE, "the file is another program's database");
    }
    return e == ERR_OK ? look_at_version(q) : e;
}

static enum err make_all(struct sqlite_store *q)
{
    struct buf sql;
    buf_init(&sql, SQL_BYTES_MAX);
    for (size_t i = 0; i < q->store.tables->count; i++) {
        store_sqlite_write_table(&q->store.tables->at[i], &sql);
    }
    buf_printf(&sql, "INSERT INTO meta VALUES ('version', %d, ''), ('tables', %llu, '');",
               STORE_TABLES_VERSION, (unsigned long long)store_tables_digest(q->store.tables));
    buf_put_byte(&sql, '\0');
    enum err e = buf_failed(&sql) ? ERR_NO_MEMORY : ERR_OK;
    e = e == ERR_OK ? store_sqlite_run(q, (const char *)sql.at) : e;
    buf_fini(&sql);
    return e;
}

enum err store_sqlite_make_tables(struct sqlite_store *q)
{
    bool is_empty = false;
    enum err e = q->store.driver->begin(&q->store, STORE_SYNC_NOW);
    if (e != ERR_OK) {
        return e;
    }
    e = store_sqlite_look_at_tables(q, &is_empty); /* another program may be doing the same */
    if (e == ERR_OK && is_empty) {
        e = make_all(q);
    }
    if (e != ERR_OK) {
        q->store.driver->rollback(&q->store);
        return e;
    }
    return q->store.driver->commit(&q->store);
}
