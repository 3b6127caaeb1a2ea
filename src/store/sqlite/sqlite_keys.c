/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, and the counters. The columns of api_key are read and bound in the order of the table. */
#include "store/sqlite/sqlite_internal.h"

#define KEY_REVISION     SPAN("key_revision")
#define JOURNAL_SEQUENCE SPAN("journal_sequence")

static enum err counter_get(struct store *s, struct span name, uint64_t *out)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_COUNTER_GET, &st);
    if (e != ERR_OK) {
        return e;
    }
    store_sqlite_bind(st, 1, name);
    int code = sqlite3_step(st);
    uint64_t value = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    e = store_sqlite_done(q, st, code);
    if (e == ERR_OK) {
        *out = code == SQLITE_ROW ? value : 0;
    }
    return e;
}

static enum err revision_up(struct sqlite_store *q)
{
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_COUNTER_UP, &st);
    if (e != ERR_OK) {
        return e;
    }
    store_sqlite_bind(st, 1, KEY_REVISION);
    return store_sqlite_step(q, st);
}

enum err store_sqlite_key_insert(struct store *s, const struct store_key *key)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_KEY_INSERT, &st);
    if (e != ERR_OK) {
        return e;
    }
    store_sqlite_bind(st, 1, key->id);
    store_sqlite_bind(st, 2, key->name);
    (void)sqlite3_bind_int64(st, 3, key->kind); /* these cannot fail: nothing is copied */
    (void)sqlite3_bind_int64(st, 4, key->pepper);
    (void)sqlite3_bind_blob(st, 5, key->mac, sizeof(key->mac), SQLITE_STATIC);
    (void)sqlite3_bind_int64(st, 6, key->scopes);
    (void)sqlite3_bind_int64(st, 7, key->created.us);
    (void)sqlite3_bind_int64(st, 8, key->expires.us);
    (void)sqlite3_bind_int64(st, 9, key->revoked.us);
    e = store_sqlite_step(q, st);
    return e == ERR_OK ? revision_up(q) : e;
}

enum err store_sqlite_key_revoke(struct store *s, struct span id, wall_us when)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_KEY_REVOKE, &st);
    if (e != ERR_OK) {
        return e;
    }
    store_sqlite_bind(st, 1, id);
    (void)sqlite3_bind_int64(st, 2, when.us); /* cannot fail: nothing is copied */
    e = store_sqlite_step(q, st);
    if (e == ERR_OK && sqlite3_changes(q->db) == 1) {
        return revision_up(q);
    }
    struct store_key revoked_before;
    return e == ERR_OK ? store_sqlite_key_find(s, id, &revoked_before) : e;
}

/* Reads the row that `st` stands on. `id` and `name` lie in the statement. */
static enum err read_key(sqlite3_stmt *st, struct store_key *out)
{
    struct span mac = store_sqlite_column(st, 4);
    if (mac.len != sizeof(out->mac)) {
        return ERR_STORE_CORRUPT;
    }
    out->id = store_sqlite_column(st, 0);
    out->name = store_sqlite_column(st, 1);
    out->kind = (uint8_t)sqlite3_column_int(st, 2);
    out->pepper = (uint8_t)sqlite3_column_int(st, 3);
    memcpy(out->mac, mac.at, sizeof(out->mac));
    out->scopes = (uint32_t)sqlite3_column_int64(st, 5);
    out->created.us = sqlite3_column_int64(st, 6);
    out->expires.us = sqlite3_column_int64(st, 7);
    out->revoked.us = sqlite3_column_int64(st, 8);
    return out->id.len == STORE_KEY_ID_CHARS ? ERR_OK : ERR_STORE_CORRUPT;
}

enum err store_sqlite_key_find(struct store *s, struct span id, struct store_key *out)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_KEY_FIND, &st);
    if (e != ERR_OK) {
        return e;
    }
    store_sqlite_bind(st, 1, id);
    int code = sqlite3_step(st);
    struct store_key key;
    enum err found = code == SQLITE_ROW ? read_key(st, &key) : ERR_NOT_FOUND_ROW;
    if (found == ERR_OK) {
        memcpy(q->given.id, key.id.at, sizeof(q->given.id));
        key.id = span_make(q->given.id, sizeof(q->given.id));
        key.name = store_sqlite_keep(q, st, 1, 0);
    }
    e = store_sqlite_done(q, st, code);
    if (e != ERR_OK || found != ERR_OK) {
        return e != ERR_OK ? e : found;
    }
    *out = key;
    return ERR_OK;
}

enum err store_sqlite_key_list(struct store *s, store_on_key *on_key, void *context)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_KEY_LIST, &st);
    if (e != ERR_OK) {
        return e;
    }
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW && e == ERR_OK) {
        struct store_key key;
        e = read_key(st, &key);
        if (e == ERR_OK) {
            e = on_key(context, &key);
        }
    }
    enum err done = store_sqlite_done(q, st, code);
    return e != ERR_OK ? e : done;
}

enum err store_sqlite_key_revision(struct store *s, uint64_t *out)
{
    return counter_get(s, KEY_REVISION, out);
}

enum err store_sqlite_sequence(struct store *s, uint64_t *out)
{
    return counter_get(s, JOURNAL_SEQUENCE, out);
}

enum err store_sqlite_sequence_set(struct store *s, uint64_t sequence)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_COUNTER_SET, &st);
    if (e != ERR_OK) {
        return e;
    }
    store_sqlite_bind(st, 1, JOURNAL_SEQUENCE);
    (void)sqlite3_bind_int64(st, 2, (int64_t)sequence); /* cannot fail: nothing is copied */
    return store_sqlite_step(q, st);
}
