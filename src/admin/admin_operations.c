/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_operations.h"

#include "crypto/random.h"
#include "keys/keys.h"
#include "store/store_keys.h"
#include "store/store_usage.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define ROWS_MAX  4096
#define DEPTH_MAX 16

struct operation {
    struct keys *keys;
    struct store *store;
    struct span id; /* what stood behind the path */
    wall_us now;
    struct json_index *x; /* the body; no row if there is none */
    struct arena *arena;
    struct buf *out;
    struct span *fault;
};

typedef enum err operate(struct operation *op);

static enum err refuse(struct operation *op, enum err e, struct span why)
{
    *op->fault = why;
    return e;
}

/* ---- keys ---- */

static uint32_t member(const struct operation *op, struct span name)
{
    uint32_t row = json_find(op->x, 0, name);
    return row == JSON_NONE || json_kind(op->x, row) == JSON_NULL ? JSON_NONE : row;
}

static enum err read_wish(struct operation *op, struct key_wish *wish)
{
    if (op->x->count == 0 || json_kind(op->x, 0) != JSON_OBJECT) {
        return refuse(op, ERR_VALUE_MISSING, SPAN("send a JSON object with a 'name'"));
    }
    uint32_t name = member(op, SPAN("name")), kind = member(op, SPAN("kind"));
    uint32_t expires = member(op, SPAN("expires_ms"));
    if (name == JSON_NONE || json_text(op->x, name, op->arena, &wish->name) != ERR_OK) {
        return refuse(op, ERR_VALUE_MISSING, SPAN("'name' must be a text of 1 to 255 bytes"));
    }
    wish->kind = KEY_LIVE;
    if (kind != JSON_NONE) {
        wish->kind = json_text_is(op->x, kind, SPAN("live"))    ? KEY_LIVE
                     : json_text_is(op->x, kind, SPAN("test"))  ? KEY_TEST
                     : json_text_is(op->x, kind, SPAN("admin")) ? KEY_ADMIN
                                                                : 0;
    }
    if (wish->kind == 0) {
        return refuse(op, ERR_VALUE_INVALID,
                      SPAN("'kind' must be \"live\", \"test\" or \"admin\""));
    }
    int64_t ms = 0;
    if (expires != JSON_NONE && (json_int64(op->x, expires, &ms) != ERR_OK ||
                                 ms <= op->now.us / 1000 || ms > INT64_MAX / 1000)) {
        return refuse(op, ERR_VALUE_INVALID,
                      SPAN("'expires_ms' must be a time to come, in milliseconds since 1970"));
    }
    wish->expires = (wall_us){ms * 1000};
    return ERR_OK;
}

static enum err create_key(struct operation *op)
{
    struct key_wish wish = {0};
    struct key_text text;
    char id[KEY_ID_CHARS + 1];
    enum err e = read_wish(op, &wish);
    if (e == ERR_OK) {
        e = keys_create(op->keys, op->store, &wish, op->now, &text, id);
    }
    if (e != ERR_OK) {
        return e == ERR_VALUE_INVALID && op->fault->len == 0
                   ? refuse(op, e, SPAN("'name' must be 1 to 255 bytes without control characters"))
                   : e;
    }
    struct json_writer w;
    json_write_init(&w, op->out);
    json_write_object(&w);
    json_write_key(&w, "id");
    json_write_text(&w, id);
    json_write_key(&w, "key");
    json_write_text(&w, text.text);
    json_write_key(&w, "name");
    json_write_string(&w, wish.name);
    json_write_key(&w, "kind");
    json_write_text(&w, key_kind_name((int)wish.kind));
    json_write_end(&w);
    crypto_wipe(&text, sizeof(text));
    return json_write_finish(&w);
}

static void write_time(struct json_writer *w, const char *name, wall_us at)
{
    char text[CLOCK_TEXT_BYTES];
    json_write_key(w, name);
    if (at.us == 0) {
        json_write_null(w);
    } else {
        clock_text(at, text);
        json_write_text(w, text);
    }
}

static enum err write_key(void *context, const struct store_key *key)
{
    struct json_writer *w = context;
    json_write_object(w);
    json_write_key(w, "id");
    json_write_string(w, key->id);
    json_write_key(w, "name");
    json_write_string(w, key->name);
    json_write_key(w, "kind");
    json_write_text(w, key_kind_name(key->kind));
    write_time(w, "created", key->created);
    write_time(w, "expires", key->expires);
    write_time(w, "revoked", key->revoked);
    json_write_end(w);
    return buf_failed(w->out) ? ERR_NO_MEMORY : ERR_OK;
}

static void begin_list(struct json_writer *w, struct buf *out)
{
    json_write_init(w, out);
    json_write_object(w);
    json_write_key(w, "object");
    json_write_text(w, "list");
    json_write_key(w, "data");
    json_write_array(w);
}

static enum err end_list(struct json_writer *w, enum err e)
{
    if (e != ERR_OK) {
        return e;
    }
    json_write_end(w);
    json_write_end(w);
    return json_write_finish(w);
}

static enum err list_keys(struct operation *op)
{
    struct json_writer w;
    begin_list(&w, op->out);
    return end_list(&w, store_key_list(op->store, write_key, &w));
}

static enum err revoke_key(struct operation *op)
{
    enum err e = keys_revoke(op->keys, op->store, op->id, op->now);
    if (e != ERR_OK) {
        return e == ERR_NOT_FOUND_ROW ? refuse(op, e, SPAN("there is no key of this id")) : e;
    }
    struct json_writer w;
    json_write_init(&w, op->out);
    json_write_object(&w);
    json_write_key(&w, "id");
    json_write_string(&w, op->id);
    json_write_key(&w, "revoked");
    json_write_bool(&w, true);
    json_write_end(&w);
    return json_write_finish(&w);
}

/* ---- usage ---- */

static enum err write_usage(void *context, const struct store_usage *sums)
{
    struct json_writer *w = context;
    char day[11];
    clock_day((wall_us){(int64_t)sums->day * 86400 * 1000000}, day);
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"calls", sums->calls},
        {"interrupted", sums->interrupted},
        {"failed", sums->failed},
        {"estimated", sums->estimated},
        {"tokens_in", sums->tokens_in},
        {"tokens_out", sums->tokens_out},
        {"bytes_in", sums->bytes_in},
        {"bytes_out", sums->bytes_out},
        {"cost_micro", sums->cost_microusd},
    };
    json_write_object(w);
    json_write_key(w, "day");
    json_write_text(w, day);
    json_write_key(w, "key");
    json_write_string(w, sums->key_id);
    json_write_key(w, "model");
    json_write_string(w, sums->model);
    json_write_key(w, "upstream");
    json_write_string(w, sums->upstream);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        json_write_key(w, numbers[i].name);
        json_write_int(w, numbers[i].value);
    }
    json_write_end(w);
    return buf_failed(w->out) ? ERR_NO_MEMORY : ERR_OK;
}

static enum err list_usage(struct operation *op)
{
    struct store_usage_filter all = {INT32_MIN, INT32_MAX, SPAN(""), SPAN("")};
    struct json_writer w;
    begin_list(&w, op->out);
    return end_list(&w, store_usage_list(op->store, &all, write_usage, &w));
}

/* ---- which ---- */

static const struct {
    enum http_method method;
    const char *path; /* ends in '/' when an id follows */
    operate *run;
} operations[] = {
    {HTTP_POST, "/admin/v1/keys", create_key},
    {HTTP_GET, "/admin/v1/keys", list_keys},
    {HTTP_DELETE, "/admin/v1/keys/", revoke_key},
    {HTTP_GET, "/admin/v1/usage", list_usage},
};

static bool path_matches(const char *want, struct span path, struct span *id)
{
    struct span fixed = span_of(want);
    if (fixed.at[fixed.len - 1] != '/') {
        return span_equal(fixed, path);
    }
    *id = span_cut(path, fixed.len, path.len);
    return id->len > 0 && span_starts(path, fixed) && span_find(*id, '/', 0) == id->len;
}

static enum err find(enum http_method method, struct span path, operate **out, struct span *id)
{
    enum err e = ERR_ROUTE_UNKNOWN;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (!path_matches(operations[i].path, path, id)) {
            continue;
        }
        if (operations[i].method == method) {
            *out = operations[i].run;
            return ERR_OK;
        }
        e = ERR_METHOD_NOT_ALLOWED;
    }
    return e;
}

enum err admin_operate(struct keys *keys, struct store *store, enum http_method method,
                       struct span path, struct span body, wall_us now, struct buf *out,
                       struct span *fault)
{
    struct json_index index;
    struct arena arena;
    struct operation op = {keys, store, SPAN(""), now, &index, &arena, out, fault};
    operate *run = NULL;
    *fault = SPAN("");
    enum err e = find(method, path, &run, &op.id);
    if (e != ERR_OK) {
        return e;
    }
    json_index_init(&index, ROWS_MAX, DEPTH_MAX);
    arena_init(&arena, ADMIN_BODY_BYTES_MAX * 2);
    if (body.len > 0) {
        e = json_index_parse_borrow(&index, body);
    }
    if (e == ERR_OK) {
        e = run(&op);
    }
    json_index_fini(&index);
    arena_fini(&arena);
    return e;
}
