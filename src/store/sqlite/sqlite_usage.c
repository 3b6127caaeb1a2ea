/* SPDX-License-Identifier: Apache-2.0 */
/* Usage and open calls. Columns are read and bound in the order of their tables. */
#include "store/sqlite/sqlite_internal.h"

enum err store_sqlite_usage_add(struct store *s, const struct store_usage *more)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_USAGE_ADD, &st);
    if (e != ERR_OK) {
        return e;
    }
    (void)sqlite3_bind_int64(st, 1, more->day); /* these cannot fail: nothing is copied */
    store_sqlite_bind(st, 2, more->key_id);
    store_sqlite_bind(st, 3, more->model);
    store_sqlite_bind(st, 4, more->upstream);
    (void)sqlite3_bind_int64(st, 5, more->calls);
    (void)sqlite3_bind_int64(st, 6, more->interrupted);
    (void)sqlite3_bind_int64(st, 7, more->failed);
    (void)sqlite3_bind_int64(st, 8, more->estimated);
    (void)sqlite3_bind_int64(st, 9, more->tokens_in);
    (void)sqlite3_bind_int64(st, 10, more->tokens_out);
    (void)sqlite3_bind_int64(st, 11, more->bytes_in);
    (void)sqlite3_bind_int64(st, 12, more->bytes_out);
    (void)sqlite3_bind_int64(st, 13, more->cost_microusd);
    return store_sqlite_step(q, st);
}

enum err store_sqlite_usage_list(struct store *s, const struct store_usage_filter *filter,
                                 store_on_usage *on_usage, void *context)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_USAGE_LIST, &st);
    if (e != ERR_OK) {
        return e;
    }
    (void)sqlite3_bind_int64(st, 1, filter->first_day); /* these cannot fail */
    (void)sqlite3_bind_int64(st, 2, filter->last_day);
    store_sqlite_bind(st, 3, filter->key_id);
    store_sqlite_bind(st, 4, filter->model);
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW && e == ERR_OK) {
        struct store_usage sums = {.day = sqlite3_column_int(st, 0),
                                   .key_id = store_sqlite_column(st, 1),
                                   .model = store_sqlite_column(st, 2),
                                   .upstream = store_sqlite_column(st, 3),
                                   .calls = sqlite3_column_int64(st, 4),
                                   .interrupted = sqlite3_column_int64(st, 5),
                                   .failed = sqlite3_column_int64(st, 6),
                                   .estimated = sqlite3_column_int64(st, 7),
                                   .tokens_in = sqlite3_column_int64(st, 8),
                                   .tokens_out = sqlite3_column_int64(st, 9),
                                   .bytes_in = sqlite3_column_int64(st, 10),
                                   .bytes_out = sqlite3_column_int64(st, 11),
                                   .cost_microusd = sqlite3_column_int64(st, 12),
                                   .key_name = store_sqlite_column(st, 13)};
        e = on_usage(context, &sums);
    }
    enum err done = store_sqlite_done(q, st, code);
    return e != ERR_OK ? e : done;
}

enum err store_sqlite_open_call_put(struct store *s, const struct store_open_call *call)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_OPEN_CALL_PUT, &st);
    if (e != ERR_OK) {
        return e;
    }
    (void)sqlite3_bind_blob(st, 1, call->id, sizeof(call->id), SQLITE_STATIC); /* cannot fail */
    store_sqlite_bind(st, 2, call->key_id);
    store_sqlite_bind(st, 3, call->model);
    store_sqlite_bind(st, 4, call->upstream);
    (void)sqlite3_bind_int64(st, 5, call->started.us);
    (void)sqlite3_bind_int64(st, 6, (int64_t)call->sequence);
    (void)sqlite3_bind_int64(st, 7, call->attempt);
    (void)sqlite3_bind_int64(st, 8, call->bytes_in);
    (void)sqlite3_bind_int64(st, 9, call->reserved_tokens_in);
    (void)sqlite3_bind_int64(st, 10, call->reserved_tokens_out);
    (void)sqlite3_bind_int64(st, 11, call->reserved_microusd);
    return store_sqlite_step(q, st);
}

/* Reads the row that `st` stands on. Its texts lie in the statement. */
static enum err read_call(sqlite3_stmt *st, struct store_open_call *out)
{
    struct span id = store_sqlite_column(st, 0);
    if (id.len != sizeof(out->id)) {
        return ERR_STORE_CORRUPT;
    }
    memcpy(out->id, id.at, sizeof(out->id));
    out->key_id = store_sqlite_column(st, 1);
    out->model = store_sqlite_column(st, 2);
    out->upstream = store_sqlite_column(st, 3);
    out->started.us = sqlite3_column_int64(st, 4);
    out->sequence = (uint64_t)sqlite3_column_int64(st, 5);
    out->attempt = (uint32_t)sqlite3_column_int64(st, 6);
    out->bytes_in = sqlite3_column_int64(st, 7);
    out->reserved_tokens_in = sqlite3_column_int64(st, 8);
    out->reserved_tokens_out = sqlite3_column_int64(st, 9);
    out->reserved_microusd = sqlite3_column_int64(st, 10);
    return ERR_OK;
}

static enum err find_call(struct sqlite_store *q, const uint8_t id[STORE_CALL_ID_BYTES],
                          struct store_open_call *out)
{
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_OPEN_CALL_GET, &st);
    if (e != ERR_OK) {
        return e;
    }
    (void)sqlite3_bind_blob(st, 1, id, STORE_CALL_ID_BYTES, SQLITE_STATIC); /* cannot fail */
    int code = sqlite3_step(st);
    struct store_open_call call;
    enum err found = code == SQLITE_ROW ? read_call(st, &call) : ERR_NOT_FOUND_ROW;
    if (found == ERR_OK) {
        call.key_id = store_sqlite_keep(q, st, 1, 0);
        call.model = store_sqlite_keep(q, st, 2, 1);
        call.upstream = store_sqlite_keep(q, st, 3, 2);
    }
    e = store_sqlite_done(q, st, code);
    if (e != ERR_OK || found != ERR_OK) {
        return e != ERR_OK ? e : found;
    }
    *out = call;
    return ERR_OK;
}

enum err store_sqlite_open_call_take(struct store *s, const uint8_t id[STORE_CALL_ID_BYTES],
                                     struct store_open_call *out)
{
    struct sqlite_store *q = store_sqlite_of(s);
    struct store_open_call call;
    sqlite3_stmt *st = NULL;
    enum err e = find_call(q, id, &call);
    if (e == ERR_OK) {
        e = store_sqlite_use(q, SQL_OPEN_CALL_END, &st);
    }
    if (e != ERR_OK) {
        return e;
    }
    (void)sqlite3_bind_blob(st, 1, id, STORE_CALL_ID_BYTES, SQLITE_STATIC); /* cannot fail */
    e = store_sqlite_step(q, st);
    if (e == ERR_OK) {
        *out = call;
    }
    return e;
}

enum err store_sqlite_open_call_list(struct store *s, store_on_open_call *on_open_call,
                                     void *context)
{
    struct sqlite_store *q = store_sqlite_of(s);
    sqlite3_stmt *st;
    enum err e = store_sqlite_use(q, SQL_OPEN_CALL_LIST, &st);
    if (e != ERR_OK) {
        return e;
    }
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW && e == ERR_OK) {
        struct store_open_call call;
        e = read_call(st, &call);
        if (e == ERR_OK) {
            e = on_open_call(context, &call);
        }
    }
    enum err done = store_sqlite_done(q, st, code);
    return e != ERR_OK ? e : done;
}
