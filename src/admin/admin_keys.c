/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: made, listed, revoked. A key's text is in one answer only, that of its making. */
#include "admin/admin_internal.h"
#include "crypto/random.h"
#include "http/http_target.h"
#include "keys/keys.h"
#include "store/store_keys.h"
#include "json/json_value.h"

#define ROWS_MAX       64
#define DEPTH_MAX      2
#define TEXT_MAX       4096
#define KEY_ANSWER_MAX 2048 /* a key as JSON; its name is the only part that is long */
#define EXPIRES_MAX_MS INT64_C(253402300799999) /* the last of the year 9999 */

static const struct {
    uint32_t scope;
    const char *name;
} scopes[] = {
    {KEY_SCOPE_CHAT, "chat"},     {KEY_SCOPE_COMPLETIONS, "completions"},
    {KEY_SCOPE_MODELS, "models"}, {KEY_SCOPE_EMBEDDINGS, "embeddings"},
    {KEY_SCOPE_ADMIN, "admin"},
};

#define SCOPES (sizeof(scopes) / sizeof(scopes[0]))

/* The body of a request for a key, while it is read. */
struct wish_reader {
    const struct admin_operation *op;
    const struct json_index *x;
    struct arena *arena;
    struct key_wish *wish;
};

#define NAME_FAULT SPAN("'name' must be a text of 1 to 255 bytes without control characters")
#define SCOPE_FAULT                                                                            \
    SPAN("'scopes' must be a list of some of chat, completions, embeddings, models; an admin " \
         "key's is admin")

static enum err read_name(struct wish_reader *r, uint32_t value)
{
    enum err e = json_text(r->x, value, r->arena, &r->wish->name);
    if (e == ERR_NO_MEMORY) {
        return e;
    }
    return e == ERR_OK && r->wish->name.len > 0
               ? ERR_OK
               : admin_refuse(r->op, ERR_VALUE_INVALID, NAME_FAULT);
}

static enum err read_kind(struct wish_reader *r, uint32_t value)
{
    for (int kind = KEY_LIVE; kind <= KEY_ADMIN; kind++) {
        if (json_text_is(r->x, value, span_of(key_kind_name(kind)))) {
            r->wish->kind = (enum key_kind)kind;
            return ERR_OK;
        }
    }
    return admin_refuse(r->op, ERR_VALUE_INVALID,
                        SPAN("'kind' must be \"live\", \"test\" or \"admin\""));
}

static enum err read_expires_ms(struct wish_reader *r, uint32_t value)
{
    int64_t ms;
    if (json_kind(r->x, value) == JSON_NULL) {
        return ERR_OK;
    }
    enum err e = json_int64(r->x, value, &ms);
    if (e != ERR_OK || ms <= r->op->now.us / 1000 || ms > EXPIRES_MAX_MS) {
        return admin_refuse(
            r->op, ERR_VALUE_INVALID,
            SPAN("'expires_ms' must be a time to come, in milliseconds since 1970"));
    }
    r->wish->expires.us = ms * 1000;
    return ERR_OK;
}

static enum err read_scopes(struct wish_reader *r, uint32_t value)
{
    if (json_first(r->x, value) == JSON_NONE || json_kind(r->x, value) != JSON_ARRAY) {
        return admin_refuse(r->op, ERR_VALUE_INVALID, SCOPE_FAULT);
    }
    for (uint32_t row = json_first(r->x, value); row != JSON_NONE; row = json_next(r->x, row)) {
        size_t i = 0;
        while (i < SCOPES && !json_text_is(r->x, row, span_of(scopes[i].name))) {
            i++;
        }
        if (i == SCOPES) {
            return admin_refuse(r->op, ERR_VALUE_INVALID, SCOPE_FAULT);
        }
        r->wish->scopes |= scopes[i].scope;
    }
    return ERR_OK;
}

static const struct {
    const char *name;
    enum err (*read)(struct wish_reader *r, uint32_t value);
} members[] = {
    {"name", read_name},
    {"kind", read_kind},
    {"expires_ms", read_expires_ms},
    {"scopes", read_scopes},
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

static enum err read_member(struct wish_reader *r, uint32_t key)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        if (json_text_is(r->x, key, span_of(members[i].name))) {
            return members[i].read(r, json_value(r->x, key));
        }
    }
    return admin_refuse(r->op, ERR_VALUE_INVALID,
                        SPAN("a key has 'name', 'kind', 'expires_ms' and 'scopes', nothing else"));
}

static enum err read_wish(struct wish_reader *r)
{
    uint32_t twice;
    if (json_kind(r->x, 0) != JSON_OBJECT) {
        return ERR_BODY_NOT_OBJECT;
    }
    enum err e = json_first_duplicate(r->x, 0, &twice);
    if (e == ERR_OK && twice != JSON_NONE) {
        e = ERR_JSON_DUPLICATE;
    }
    for (uint32_t key = json_first(r->x, 0); e == ERR_OK && key != JSON_NONE;
         key = json_next(r->x, key)) {
        e = read_member(r, key);
    }
    return e == ERR_OK && r->wish->name.len == 0
               ? admin_refuse(r->op, ERR_VALUE_MISSING, SPAN("'name' is missing"))
               : e;
}

static void write_time(struct json_writer *w, const char *key, wall_us at)
{
    char text[CLOCK_TEXT_BYTES];
    json_write_key(w, key);
    if (at.us == 0) {
        json_write_null(w);
        return;
    }
    clock_text(at, text);
    json_write_text(w, text);
}

static const char *status_of(const struct store_key *key, wall_us now)
{
    if (key->revoked.us != 0) {
        return "revoked";
    }
    return key->expires.us != 0 && key->expires.us <= now.us ? "expired" : "active";
}

/* Writes a key as an object; `text` is its text or NULL. */
static void write_key(struct json_writer *w, const struct store_key *key, const char *text,
                      wall_us now)
{
    json_write_object(w);
    json_write_key(w, "id");
    json_write_string(w, key->id);
    if (text != NULL) {
        json_write_key(w, "key");
        json_write_text(w, text);
    }
    json_write_key(w, "name");
    json_write_string(w, key->name);
    json_write_key(w, "kind");
    json_write_text(w, key_kind_name(key->kind));
    json_write_key(w, "status");
    json_write_text(w, status_of(key, now));
    json_write_key(w, "scopes");
    json_write_array(w);
    for (size_t i = 0; i < SCOPES; i++) {
        if ((key->scopes & scopes[i].scope) != 0) {
            json_write_text(w, scopes[i].name);
        }
    }
    json_write_end(w);
    write_time(w, "created", key->created);
    write_time(w, "expires", key->expires);
    write_time(w, "revoked", key->revoked);
    json_write_end(w);
}

/* Makes room for the answer before anything is changed: what was done must not look as if it had
 * failed, and a key whose text cannot be told is lost. */
static enum err take_room(const struct admin_operation *op)
{
    return buf_reserve(op->out, KEY_ANSWER_MAX) == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* Writes a key as the whole answer. */
static enum err answer_key(const struct admin_operation *op, const struct store_key *key,
                           const char *text)
{
    struct json_writer w;
    json_write_init(&w, op->out);
    write_key(&w, key, text, op->now);
    return json_write_finish(&w);
}

static enum err create(const struct admin_operation *op, const struct key_wish *wish)
{
    struct key_text text = {{0}};
    char id[KEY_ID_CHARS + 1];
    enum err e = take_room(op);
    if (e == ERR_OK) {
        e = keys_create(op->keys, op->store, wish, op->now, &text, id);
    }
    if (e == ERR_VALUE_INVALID) {
        e = admin_refuse(op, e, wish->scopes == 0 ? NAME_FAULT : SCOPE_FAULT);
    } else if (e == ERR_OK) {
        const struct store_key made = {.id = span_of(id),
                                       .name = wish->name,
                                       .kind = (uint8_t)wish->kind,
                                       .scopes = keys_scopes(wish),
                                       .created = op->now,
                                       .expires = wish->expires};
        e = answer_key(op, &made, text.text);
    }
    crypto_wipe(&text, sizeof(text));
    return e;
}

enum err admin_key_create(const struct admin_operation *op)
{
    struct json_index x;
    struct arena arena;
    struct key_wish wish = {.kind = KEY_LIVE};
    struct wish_reader reader = {op, &x, &arena, &wish};
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = json_index_parse_borrow(&x, op->request->body);
    if (e == ERR_OK) {
        e = read_wish(&reader);
    }
    if (e == ERR_OK) {
        e = create(op, &wish);
    }
    arena_fini(&arena);
    json_index_fini(&x);
    return e;
}

struct list_writer {
    struct json_writer w;
    wall_us now;
};

static enum err on_key(void *context, const struct store_key *key)
{
    struct list_writer *list = context;
    write_key(&list->w, key, NULL, list->now);
    return buf_failed(list->w.out) ? ERR_NO_MEMORY : ERR_OK;
}

enum err admin_key_list(const struct admin_operation *op)
{
    struct list_writer list = {.now = op->now};
    admin_list_begin(&list.w, op->out);
    return admin_list_end(&list.w, store_key_list(op->store, on_key, &list));
}

/* What the store says of the key before it is changed; `name` is where its name is kept. */
static enum err find_key(const struct admin_operation *op, struct span id,
                         uint8_t name[STORE_TEXT_MAX], struct store_key *out)
{
    enum err e = store_key_find(op->store, id, out);
    if (e == ERR_OK) {
        memcpy(name, out->name.at, out->name.len);
        out->name = span_make(name, out->name.len);
        out->id = id;
    }
    return e;
}

enum err admin_key_revoke(const struct admin_operation *op)
{
    uint8_t room[3 * KEY_ID_CHARS]; /* each character may have been escaped */
    uint8_t name[STORE_TEXT_MAX];
    struct span id;
    struct store_key key;
    enum err e = take_room(op);
    if (e == ERR_OK) {
        e = op->name.len <= sizeof(room) && http_target_decode(op->name, room, &id) == ERR_OK
                ? find_key(op, id, name, &key)
                : ERR_NOT_FOUND_ROW;
    }
    if (e == ERR_OK) {
        e = keys_revoke(op->keys, op->store, id, op->now);
    }
    if (e == ERR_NOT_FOUND_ROW) {
        return admin_refuse(op, e, SPAN("there is no key of this id"));
    }
    if (e != ERR_OK) {
        return e;
    }
    key.revoked = key.revoked.us == 0 ? op->now : key.revoked;
    return answer_key(op, &key, NULL);
}
