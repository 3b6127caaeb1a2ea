/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: made, listed, shown, revoked. A key's text is in one answer only, that of its making. */
#include <stdio.h>

#include "admin/admin_internal.h"
#include "admin/admin_reading.h"
#include "base/arena.h"
#include "crypto/hmac.h"
#include "crypto/random.h"
#include "keys/keys_change.h"
#include "store/store_change.h"
#include "store/store_tables.h"

#define KEY_ANSWER_MAX 16384 /* a key as JSON: a row's texts, escaped */

/* The scopes in the order of ADMIN_KEY_SCOPES. */
static const uint32_t scopes[] = {KEY_SCOPE_CHAT, KEY_SCOPE_COMPLETIONS, KEY_SCOPE_EMBEDDINGS,
                                  KEY_SCOPE_MODELS, KEY_SCOPE_MODERATIONS};

#define SCOPES (sizeof(scopes) / sizeof(scopes[0]))

static uint32_t scopes_of_words(uint32_t words)
{
    uint32_t set = 0;
    for (size_t i = 0; i < SCOPES; i++) {
        set |= (words >> i & 1) != 0 ? scopes[i] : 0;
    }
    return set;
}

static uint32_t words_of_scopes(uint32_t set)
{
    uint32_t words = 0;
    for (size_t i = 0; i < SCOPES; i++) {
        words |= (set & scopes[i]) != 0 ? 1U << i : 0;
    }
    return words;
}

/* What is known of a key: memory may know of a revocation that the store has not heard of, and the
 * pepper file says what a row cannot. `keys` may be NULL: then the store alone is asked. */
static enum admin_key_state state_of(const struct admin_operation *op, const struct store_key *key,
                                     wall_us revoked)
{
    if (key->is_damaged || key->kind < KEY_LIVE || key->kind > KEY_ADMIN ||
        key->role >= KEY_ROLES) {
        return ADMIN_KEY_DAMAGED;
    }
    if (revoked.us != 0) {
        return ADMIN_KEY_REVOKED;
    }
    if (key->expires.us != 0 && key->expires.us <= op->now.us) {
        return ADMIN_KEY_EXPIRED;
    }
    return op->keys != NULL && !keys_has_pepper(op->keys, key->pepper) ? ADMIN_KEY_NO_PEPPER
                                                                       : ADMIN_KEY_ACTIVE;
}

/* When the key was used last; its address is written into `ip`. */
static void show_use(const struct admin_operation *op, struct admin_key *shown,
                     char ip[NET_IP_TEXT])
{
    struct key_last_use use;
    if (op->keys == NULL || !keys_last_use(op->keys, shown->id, &use)) {
        return;
    }
    shown->last_used_at = use.at;
    shown->last_used_secret = use.by_previous ? 2 : 1;
    if (use.has_address) {
        net_ip_text(&use.address, ip);
        shown->last_used_ip = span_of(ip);
    }
}

/* A key as it is shown; an address of it lies in `ip`. */
static struct admin_key show(const struct admin_operation *op, const struct store_key *key,
                             char ip[NET_IP_TEXT])
{
    bool is_kind = key->kind >= KEY_LIVE && key->kind <= KEY_ADMIN;
    struct admin_key shown = {
        .id = key->id,
        .name = key->name,
        .kind = is_kind ? key->kind - KEY_LIVE : 0,
        .scopes = words_of_scopes(key->scopes),
        .role = key->kind == KEY_ADMIN && key->role < KEY_ROLES ? key->role + 1 : 0,
        .team = key->team,
        .user = key->user,
        .plan = key->plan,
        .models = key->models,
        .ip_allowlist = key->networks,
        .tags = key->tags,
        .local_only = key->place.len > 0,
        .limits = admin_limits_of(op, key->id),
        .imported = key->pepper == KEY_PEPPER_NONE,
        .rotate_every_s = key->rotate_every_s,
        .rotated_at = key->rotated,
        .rotation_due_at = keys_due(key),
        .previous_expires_at = {key->before_ends.us > op->now.us ? key->before_ends.us : 0},
        .created_at = key->created,
        .expires_at = key->expires,
        .revoked_at = key->revoked};
    if (op->keys != NULL && shown.revoked_at.us == 0) {
        shown.revoked_at = keys_revoked(op->keys, key->id);
    }
    shown.status = (int)state_of(op, key, shown.revoked_at);
    show_use(op, &shown, ip);
    return shown;
}

/* Makes room for the answer before anything is changed: what was done must not look as if it had
 * failed, and a key whose text cannot be told is lost. */
static enum err take_room(const struct admin_operation *op)
{
    return buf_reserve(op->out, KEY_ANSWER_MAX) == NULL ? ERR_NO_MEMORY : ERR_OK;
}

enum err admin_key_answer(const struct admin_operation *op, const struct store_key *key,
                          struct span text)
{
    struct json_writer w;
    char ip[NET_IP_TEXT];
    struct admin_key shown = show(op, key, ip);
    if (op->route->number == ADMIN_ROUTE_key_rotate) {
        shown.previous_expires_at = key->before_ends; /* though it is now */
    }
    if ((op->route->rules & ADMIN_ETAG) != 0 &&
        admin_object_tag(ADMIN_OBJECT_key, &shown, op->answer->tag) != ERR_OK) {
        op->answer->tag[0] = '\0'; /* what was done must not look as if it had failed */
    }
    shown.key = text;
    json_write_init(&w, op->out);
    admin_object_write(&w, ADMIN_OBJECT_key, &shown);
    return json_write_finish(&w);
}

static enum err refuse_scopes(const struct admin_operation *op)
{
    return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("scopes"),
                           "'scopes' must be a list of some of chat, completions, embeddings, "
                           "models, moderations; an admin key has a role instead");
}

/* What bounds calls bounds no admin key: nobody shall think that it does. */
static enum err judge_admin(const struct admin_operation *op, const struct admin_key *asked,
                            enum key_kind kind)
{
    static const struct admin_limits none;
    const char *member = asked->models.len > 0                            ? "models"
                         : asked->plan.len > 0                            ? "plan"
                         : !admin_limits_are_alike(&asked->limits, &none) ? "limits"
                                                                          : NULL;
    return kind != KEY_ADMIN || member == NULL
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, span_of(member),
                                 "'%s' is for keys that call models: leave it out, an admin key "
                                 "calls none",
                                 member);
}

/* Answers with a key that was made by the same request before. */
static enum err answer_made(const struct admin_operation *op, struct span id, struct span text)
{
    struct store_key made = {.id = id};
    enum err e = store_change_get(op->store, STORE_TABLE_KEY, &made);
    made.id = id;
    return e == ERR_OK ? admin_key_answer(op, &made, text) : e;
}

/* Answers with a key that was made just now. Its row is told as it was wished where the store
 * cannot say it: a key whose text is not told is lost. */
static enum err answer_new(const struct admin_operation *op, const struct key_wish *wish,
                           struct span id, struct span text)
{
    enum err e = answer_made(op, id, text);
    const struct store_key wished = keys_row(wish, id, op->now);
    return e != ERR_OK ? admin_key_answer(op, &wished, text) : e;
}

/* Its limits are put before anybody can know its text. */
static enum err create(const struct admin_operation *op, const struct key_wish *wish,
                       const struct admin_limits *limits)
{
    struct key_text text = {{0}};
    char id[KEY_ID_CHARS + 1];
    enum err e = take_room(op);
    if (e == ERR_OK) {
        e = keys_create(op->keys, op->store, wish, op->now, &text, id);
    }
    if (e == ERR_OK) {
        admin_note(op, op->route->action, span_of(id));
    }
    if (e == ERR_OK || e == ERR_EXISTS) { /* made of this seed before the gateway was killed */
        e = admin_limits_put(op, span_of(id), limits);
    }
    if (e == ERR_OK) {
        e = answer_new(op, wish, span_of(id), span_of(text.text));
    }
    crypto_wipe(&text, sizeof(text));
    return e;
}

static enum err make(const struct admin_operation *op, const struct admin_key *asked)
{
    struct key_wish wish = {.kind = (enum key_kind)(asked->kind + KEY_LIVE),
                            .name = asked->name,
                            .expires = asked->expires_at,
                            .scopes = scopes_of_words(asked->scopes),
                            .rotate_every_s = asked->rotate_every_s,
                            .actor = op->request->actor,
                            .seed = op->seed};
    uint8_t digest[CRYPTO_SHA256_BYTES];
    enum err e = admin_key_wish(op, asked, &wish);
    e = e == ERR_OK ? admin_limits_check(op, SPAN(""), &asked->limits) : e;
    e = e == ERR_OK ? admin_key_take_over(op, asked, &wish, digest) : e;
    if (e != ERR_OK) {
        return e;
    }
    e = keys_scopes(&wish) == 0 ? refuse_scopes(op) : judge_admin(op, asked, wish.kind);
    return e == ERR_OK ? create(op, &wish, &asked->limits) : e;
}

enum err admin_key_create(const struct admin_operation *op)
{
    struct arena arena;
    struct admin_key asked = {0};
    struct admin_reading reading = admin_reading_of(op, ADMIN_OBJECT_key, ADMIN_MAKES, &arena);
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = admin_object_read(&reading, &asked);
    if (e == ERR_OK) {
        e = make(op, &asked);
    }
    arena_fini(&arena);
    return e;
}

struct list_writer {
    struct json_writer w;
    const struct admin_operation *op;
    int64_t left, last; /* rows of this page, and the number of the one that was seen last */
    int64_t unseen;     /* rows that are looked at yet, whosever they are */
    bool has_more;
};

static enum err on_key(void *context, const void *row)
{
    const struct store_key *key = row;
    struct list_writer *list = context;
    if (list->left == 0 || list->unseen == 0) {
        list->has_more = true;
        return ERR_OK;
    }
    list->unseen--;
    list->last = key->number;
    if (!admin_sees(list->op, key->team)) {
        return ERR_OK;
    }
    list->left--;
    char ip[NET_IP_TEXT];
    const struct admin_key shown = show(list->op, key, ip);
    admin_object_write(&list->w, ADMIN_OBJECT_key, &shown);
    return buf_failed(list->w.out) ? ERR_NO_MEMORY : ERR_OK;
}

/* A page is one job of the store's thread: what is urgent goes between two of them. To who sees a
 * team's keys alone it may say fewer than he asked for, though there are more. */
enum err admin_key_list(const struct admin_operation *op)
{
    const struct admin_value *limit = admin_param(op, "limit"), *after = admin_param(op, "after");
    struct list_writer list = {.op = op, .left = limit == NULL ? ADMIN_PAGE_MAX : limit->number};
    const struct store_key last = {.number = after == NULL ? 0 : after->number};
    list.unseen = op->caller_team.len > 0 ? ADMIN_PAGE_MAX : list.left;
    const struct store_page page = {.from = &last, .after = true, .limit = list.unseen + 1};
    admin_list_begin(&list.w, op->out);
    enum err e = store_change_page(op->store, STORE_TABLE_KEY, STORE_INDEX_KEY_BY_NUMBER, &page,
                                   on_key, &list);
    if (e != ERR_OK) {
        return e;
    }
    json_write_end(&list.w);
    json_write_key(&list.w, "has_more");
    json_write_bool(&list.w, list.has_more);
    json_write_key(&list.w, "next_cursor");
    if (list.has_more) {
        char cursor[24];
        (void)snprintf(cursor, sizeof(cursor), "%lld", (long long)list.last);
        json_write_text(&list.w, cursor);
    } else {
        json_write_null(&list.w);
    }
    json_write_end(&list.w);
    return json_write_finish(&list.w);
}

/* Finds the key that the path names, as it was changed last. */
static enum err find_named(const struct admin_operation *op, struct arena *arena,
                           struct store_key *out)
{
    enum err e = take_room(op);
    if (e == ERR_OK) {
        *out = (struct store_key){.id = op->id};
        e = store_change_get(op->store, STORE_TABLE_KEY, out);
    }
    if (e == ERR_NOT_FOUND_ROW || (e == ERR_OK && !admin_sees(op, out->team))) {
        return admin_refuse(op, ERR_NOT_FOUND_ROW, "there is no key of this id");
    }
    return e == ERR_OK ? store_row_keep(STORE_TABLE_KEY, out, arena) : e;
}

enum err admin_key_find(const struct admin_operation *op, struct arena *arena,
                        struct store_key *out)
{
    enum err e = find_named(op, arena, out);
    if (e == ERR_OK) {
        e = admin_key_judge_role(op, out->kind, out->role);
    }
    if (e != ERR_OK) {
        return e;
    }
    char ip[NET_IP_TEXT];
    const struct admin_key shown = show(op, out, ip);
    return admin_judge(op, ADMIN_OBJECT_key, &shown);
}

enum err admin_key_show(const struct admin_operation *op)
{
    struct arena arena;
    struct store_key key;
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = find_named(op, &arena, &key);
    e = e == ERR_OK ? admin_key_answer(op, &key, SPAN("")) : e;
    arena_fini(&arena);
    return e;
}

static bool gave(uint64_t given, uint64_t field)
{
    return (given & field) != 0;
}

static struct key_change change_of(const struct admin_operation *op, const struct admin_key *asked,
                                   uint64_t given)
{
    return (struct key_change){.has_name = gave(given, ADMIN_GAVE(key, name)),
                               .has_expires = gave(given, ADMIN_GAVE(key, expires_at)),
                               .has_scopes = gave(given, ADMIN_GAVE(key, scopes)),
                               .has_role = gave(given, ADMIN_GAVE(key, role)),
                               .has_plan = gave(given, ADMIN_GAVE(key, plan)),
                               .has_models = gave(given, ADMIN_GAVE(key, models)),
                               .has_networks = gave(given, ADMIN_GAVE(key, ip_allowlist)),
                               .has_tags = gave(given, ADMIN_GAVE(key, tags)),
                               .has_place = gave(given, ADMIN_GAVE(key, local_only)),
                               .has_rotate_every = gave(given, ADMIN_GAVE(key, rotate_every_s)),
                               .name = asked->name,
                               .expires = asked->expires_at,
                               .scopes = scopes_of_words(asked->scopes),
                               .role = (uint8_t)(asked->role - 1),
                               .rotate_every_s = asked->rotate_every_s,
                               .grant = admin_key_grant(asked),
                               .actor = op->request->actor};
}

/* Puts a key's limits, and keeps its row meanwhile. */
static enum err put_limits(const struct admin_operation *op, const struct admin_limits *limits,
                           struct arena *arena, struct store_key *key)
{
    enum err e = store_row_keep(STORE_TABLE_KEY, key, arena);
    return e == ERR_OK ? admin_limits_put(op, op->id, limits) : e;
}

/* Tags that a change does not name stay. */
static enum err merge_tags(const struct admin_operation *op, const struct store_key *key,
                           struct arena *arena, struct span *tags)
{
    struct span patch = *tags;
    if (admin_tags_merge(key->tags, patch, arena, tags)) {
        return ERR_OK;
    }
    return arena_failed(arena)
               ? ERR_NO_MEMORY
               : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("tags"),
                                 "with these the key would have more tags than it may: take some "
                                 "away, {\"name\": null}");
}

/* Whether the caller may bind the key's calls so, and they can count in all of it. `limits` NULL:
 * those that it has stay. */
static enum err judge_bounds(const struct admin_operation *op, const struct key_change *wanted,
                             const struct admin_limits *limits, const struct store_key *key)
{
    const struct store_key then = {.id = op->id,
                                   .team = key->team,
                                   .user = key->user,
                                   .plan = wanted->has_plan ? wanted->plan : key->plan,
                                   .tags = wanted->has_tags ? wanted->grant.tags : key->tags};
    int64_t day =
        limits != NULL ? limits->tokens_per_day : admin_limits_of(op, op->id).tokens_per_day;
    enum err e = admin_tags_judge(op, key->tags, then.tags);
    if (e == ERR_OK && limits != NULL) {
        e = admin_limits_check(op, op->id, limits);
    }
    return e == ERR_OK && (wanted->has_tags || wanted->has_plan || limits != NULL)
               ? admin_key_judge_room(op, &then, day)
               : e;
}

/* Makes the key what the request says of it. */
static enum err change_key(const struct admin_operation *op, const struct admin_key *asked,
                           uint64_t given, struct arena *arena, struct store_key *key)
{
    struct key_change wanted = change_of(op, asked, given);
    enum err e = admin_key_find(op, arena, key);
    bool is_over = key->revoked.us != 0 || keys_revoked(op->keys, op->id).us != 0;
    if (e == ERR_OK && is_over) {
        e = admin_refuse(op, ERR_EXISTS, "this key was revoked: it cannot be changed");
    }
    if (e == ERR_OK && wanted.has_tags) {
        e = merge_tags(op, key, arena, &wanted.grant.tags);
    }
    if (e == ERR_OK && wanted.has_role) {
        e = admin_key_judge_new_role(op, key, asked->role);
        wanted.has_role = asked->role != 0; /* null is what another kind of key has already */
    }
    if (e == ERR_OK) {
        e = admin_key_change_wish(op, asked, &wanted);
    }
    bool has_limits = gave(given, ADMIN_GAVE(key, limits));
    if (e == ERR_OK) {
        e = judge_bounds(op, &wanted, has_limits ? &asked->limits : NULL, key);
    }
    if (e == ERR_OK) {
        e = keys_change(op->keys, op->store, op->id, &wanted, op->now, key);
    }
    return e == ERR_OK && has_limits ? put_limits(op, &asked->limits, arena, key) : e;
}

static enum err change(const struct admin_operation *op, const struct admin_key *asked,
                       uint64_t given, struct arena *arena)
{
    struct store_key key = {.number = 0};
    enum err e = change_key(op, asked, given, arena, &key);
    if (e != ERR_OK) {
        return e == ERR_VALUE_INVALID && op->answer->fault.message[0] == '\0' ? refuse_scopes(op)
                                                                              : e;
    }
    admin_note(op, op->route->action, op->id);
    return admin_key_answer(op, &key, SPAN(""));
}

enum err admin_key_change(const struct admin_operation *op)
{
    struct arena arena;
    struct admin_key asked = {.limits = admin_limits_of(op, op->id)};
    struct admin_reading reading = admin_reading_of(op, ADMIN_OBJECT_key, ADMIN_CHANGES, &arena);
    arena_init(&arena, 2 * ADMIN_BODY_BYTES_MAX);
    enum err e = admin_object_read(&reading, &asked);
    if (e == ERR_OK) {
        e = change(op, &asked, reading.given, &arena);
    }
    arena_fini(&arena);
    return e;
}

static enum err revoke(const struct admin_operation *op, struct store_key *key)
{
    enum err e = keys_revoke(op->keys, op->store, key->id, op->request->actor, op->now);
    key->revoked = key->revoked.us == 0 ? key_deny_moment(op->now) : key->revoked;
    return e;
}

static enum err forget(const struct admin_operation *op, const struct store_key *key)
{
    if (!admin_right_has(&op->request->right, ADMIN_SCOPE_KEYS_WRITE)) {
        return admin_fault_say(&op->answer->fault, ERR_SCOPE_DENIED, SPAN("forget"),
                               "the admin key may revoke keys, not delete them: it lacks the "
                               "scope '%s'",
                               admin_scope_word(ADMIN_SCOPE_KEYS_WRITE));
    }
    enum err e = keys_delete(op->keys, op->store, key->id, op->request->actor, op->now);
    return e == ERR_VALUE_INVALID
               ? admin_refuse(op, e, "the key works still: revoke it first, then delete it")
               : e;
}

static enum err end_key(const struct admin_operation *op, bool forgets, struct arena *arena)
{
    struct store_key key;
    enum err e = admin_key_find(op, arena, &key);
    if (e == ERR_OK) {
        e = forgets ? forget(op, &key) : revoke(op, &key);
    }
    if (e != ERR_OK) {
        return e;
    }
    admin_note(op, forgets ? "key.delete" : op->route->action, op->id);
    char ip[NET_IP_TEXT];
    const struct admin_key shown = show(op, &key, ip);
    const struct admin_ended_key ended = {shown.id, shown.status, shown.revoked_at};
    struct json_writer w;
    json_write_init(&w, op->out);
    admin_object_write(&w, ADMIN_OBJECT_ended_key, &ended);
    return json_write_finish(&w);
}

static enum err end(const struct admin_operation *op, bool forgets)
{
    struct arena arena;
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = end_key(op, forgets, &arena);
    arena_fini(&arena);
    return e;
}

enum err admin_key_end(const struct admin_operation *op)
{
    const struct admin_value *forgets = admin_param(op, "forget");
    return end(op, forgets != NULL && forgets->number != 0);
}

enum err admin_key_revoke(const struct admin_operation *op)
{
    return end(op, false);
}
