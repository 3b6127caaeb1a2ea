/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: made, listed, shown, revoked. A key's text is in one answer only, that of its making. */
#include <stdio.h>

#include "admin/admin_internal.h"
#include "base/arena.h"
#include "crypto/hmac.h"
#include "crypto/random.h"
#include "keys/keys.h"
#include "store/store_change.h"
#include "store/store_tables.h"

#define KEY_ANSWER_MAX 2048 /* a key as JSON; its name is the only part that is long */

/* The scopes in the order of ADMIN_KEY_SCOPES. */
static const uint32_t scopes[] = {KEY_SCOPE_CHAT, KEY_SCOPE_COMPLETIONS, KEY_SCOPE_EMBEDDINGS,
                                  KEY_SCOPE_MODELS};

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

/* A key as it is shown. */
static struct admin_key show(const struct admin_operation *op, const struct store_key *key)
{
    bool is_kind = key->kind >= KEY_LIVE && key->kind <= KEY_ADMIN;
    struct admin_key shown = {
        .id = key->id,
        .name = key->name,
        .kind = is_kind ? key->kind - KEY_LIVE : 0,
        .scopes = words_of_scopes(key->scopes),
        .role = key->kind == KEY_ADMIN && key->role < KEY_ROLES ? key->role + 1 : 0,
        .team = key->team,
        .created_at = key->created,
        .expires_at = key->expires,
        .revoked_at = key->revoked};
    if (op->keys != NULL && shown.revoked_at.us == 0) {
        shown.revoked_at = keys_revoked(op->keys, key->id);
    }
    shown.status = (int)state_of(op, key, shown.revoked_at);
    return shown;
}

/* Makes room for the answer before anything is changed: what was done must not look as if it had
 * failed, and a key whose text cannot be told is lost. */
static enum err take_room(const struct admin_operation *op)
{
    return buf_reserve(op->out, KEY_ANSWER_MAX) == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* Writes a key as the whole answer, with its ETag if the route has one. */
static enum err answer_key(const struct admin_operation *op, const struct store_key *key,
                           struct span text)
{
    struct json_writer w;
    struct admin_key shown = show(op, key);
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
                           "models; an admin key has a role instead");
}

static enum err refuse_role(const struct admin_operation *op)
{
    return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("role"),
                           "'role' is an admin key's alone: leave it out");
}

/* ---- whose key it may be, and who may touch it ---- */

/* Whether the caller may make, change or end a key of this kind and role. */
static enum err judge_role(const struct admin_operation *op, uint8_t kind, uint8_t role)
{
    enum key_role judged = role < KEY_ROLES ? (enum key_role)role : KEY_ROLE_OWNER; /* damaged */
    return kind != KEY_ADMIN || admin_right_gives(&op->request->right, judged)
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_SCOPE_DENIED, SPAN("role"),
                                 "only an owner may make, change or end the keys of owners and "
                                 "admins");
}

/* The role of a new admin key, less what is left out: who is on the machine makes an owner. */
static enum err choose_role(const struct admin_operation *op, const struct admin_key *asked,
                            uint8_t *role)
{
    if (asked->role == 0 && !op->request->right.is_local) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_MISSING, SPAN("role"),
                               "'role' is missing: an admin key needs one");
    }
    *role = (uint8_t)(asked->role == 0 ? KEY_ROLE_OWNER : asked->role - 1);
    if (*role == KEY_ROLE_DEVELOPER && asked->team.len == 0) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_MISSING, SPAN("team"),
                               "'team' is missing: a developer reads the own team's things alone");
    }
    return judge_role(op, KEY_ADMIN, *role);
}

/* The team of a new key: who is bound to one makes keys of that one. */
static enum err choose_team(const struct admin_operation *op, struct admin_key *asked)
{
    struct store_team team = {.id = asked->team};
    if (op->caller_team.len > 0) {
        bool is_own = asked->team.len == 0 || admin_sees(op, asked->team);
        asked->team = op->caller_team;
        return is_own ? ERR_OK
                      : admin_fault_say(&op->answer->fault, ERR_SCOPE_DENIED, SPAN("team"),
                                        "'team' must be your own team's id, or be left out");
    }
    if (asked->team.len == 0) {
        return ERR_OK;
    }
    enum err e = store_change_get(op->store, STORE_TABLE_TEAM, &team);
    return e == ERR_NOT_FOUND_ROW || (e == ERR_OK && team.ended.us != 0)
               ? admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("team"),
                                 "'team' must be the id of a team that there is")
               : e;
}

static enum err create(const struct admin_operation *op, const struct key_wish *wish)
{
    struct key_text text = {{0}};
    char id[KEY_ID_CHARS + 1];
    enum err e = take_room(op);
    if (e == ERR_OK) {
        e = keys_create(op->keys, op->store, wish, op->now, &text, id);
    }
    if (e == ERR_OK) {
        admin_note(op, op->route->action, span_of(id));
        const struct store_key made = {.id = span_of(id),
                                       .name = wish->name,
                                       .kind = (uint8_t)wish->kind,
                                       .pepper = keys_newest_pepper(op->keys),
                                       .scopes = wish->kind == KEY_ADMIN ? 0 : keys_scopes(wish),
                                       .role = wish->role,
                                       .team = wish->team,
                                       .created = op->now,
                                       .expires = wish->expires};
        e = answer_key(op, &made, span_of(text.text));
    }
    crypto_wipe(&text, sizeof(text));
    return e;
}

/* The body of a request about a key. */
static struct admin_reading reading_of(const struct admin_operation *op, enum admin_use use,
                                       struct arena *arena)
{
    return (struct admin_reading){.object = ADMIN_OBJECT_key,
                                  .use = use,
                                  .body = op->request->body,
                                  .now = op->now,
                                  .arena = arena,
                                  .fault = &op->answer->fault};
}

static enum err make(const struct admin_operation *op, const struct admin_key *asked)
{
    struct key_wish wish = {.kind = (enum key_kind)(asked->kind + KEY_LIVE),
                            .name = asked->name,
                            .expires = asked->expires_at,
                            .scopes = scopes_of_words(asked->scopes),
                            .actor = op->request->actor,
                            .team = asked->team};
    enum err e = ERR_OK;
    if (wish.kind == KEY_ADMIN) {
        e = choose_role(op, asked, &wish.role);
    } else if (asked->role != 0) {
        e = refuse_role(op);
    }
    if (e != ERR_OK) {
        return e;
    }
    return keys_scopes(&wish) == 0 ? refuse_scopes(op) : create(op, &wish);
}

enum err admin_key_create(const struct admin_operation *op)
{
    struct arena arena;
    struct admin_key asked = {0};
    struct admin_reading reading = reading_of(op, ADMIN_MAKES, &arena);
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = admin_object_read(&reading, &asked);
    if (e == ERR_OK) {
        e = choose_team(op, &asked);
    }
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
    const struct admin_key shown = show(list->op, key);
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

/* Where the texts of a row are kept while the store is asked for more. */
struct key_texts {
    uint8_t name[STORE_TEXT_MAX], team[STORE_TEXT_MAX];
};

static struct span keep(uint8_t room[STORE_TEXT_MAX], struct span text)
{
    if (text.len > 0) {
        memcpy(room, text.at, text.len);
    }
    return span_make(room, text.len);
}

/* Finds the key that the path names, as it was changed last. */
static enum err find_named(const struct admin_operation *op, struct key_texts *texts,
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
    if (e == ERR_OK) {
        out->name = keep(texts->name, out->name);
        out->team = keep(texts->team, out->team);
        out->id = op->id;
    }
    return e;
}

/* Finds the key that is to be changed, and judges whether its changer may, and saw it as it is.
 * Nobody else changes it before he does: this is the thread that does. */
static enum err find_to_change(const struct admin_operation *op, struct key_texts *texts,
                               struct store_key *out)
{
    enum err e = find_named(op, texts, out);
    if (e == ERR_OK) {
        e = judge_role(op, out->kind, out->role);
    }
    if (e != ERR_OK) {
        return e;
    }
    const struct admin_key shown = show(op, out);
    return admin_judge(op, ADMIN_OBJECT_key, &shown);
}

enum err admin_key_show(const struct admin_operation *op)
{
    struct key_texts texts;
    struct store_key key;
    enum err e = find_named(op, &texts, &key);
    return e == ERR_OK ? answer_key(op, &key, SPAN("")) : e;
}

/* The role that a key shall have from now on; null takes none away. */
static enum err judge_new_role(const struct admin_operation *op, const struct store_key *key,
                               int asked)
{
    if (key->kind != KEY_ADMIN) {
        return asked == 0 ? ERR_OK : refuse_role(op);
    }
    if (asked == 0) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("role"),
                               "'role' cannot be null: an admin key has one");
    }
    if (asked - 1 == KEY_ROLE_DEVELOPER && key->team.len == 0) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("role"),
                               "'role' can be developer where the key has a team alone");
    }
    return judge_role(op, KEY_ADMIN, (uint8_t)(asked - 1));
}

static enum err change(const struct admin_operation *op, const struct admin_key *asked,
                       uint64_t given)
{
    struct key_texts texts;
    struct store_key key;
    struct key_change wanted = {.has_name = (given & ADMIN_GAVE(key, name)) != 0,
                                .has_expires = (given & ADMIN_GAVE(key, expires_at)) != 0,
                                .has_scopes = (given & ADMIN_GAVE(key, scopes)) != 0,
                                .has_role = (given & ADMIN_GAVE(key, role)) != 0,
                                .name = asked->name,
                                .expires = asked->expires_at,
                                .scopes = scopes_of_words(asked->scopes),
                                .role = (uint8_t)(asked->role - 1),
                                .actor = op->request->actor};
    enum err e = find_to_change(op, &texts, &key);
    if (e == ERR_OK && wanted.has_role) {
        e = judge_new_role(op, &key, asked->role);
        wanted.has_role = asked->role != 0; /* null is what another kind of key has already */
    }
    if (e == ERR_OK) {
        e = keys_change(op->keys, op->store, op->id, &wanted, op->now, &key);
    }
    if (e != ERR_OK) {
        return e == ERR_VALUE_INVALID && op->answer->fault.message[0] == '\0' ? refuse_scopes(op)
                                                                              : e;
    }
    admin_note(op, op->route->action, op->id);
    return answer_key(op, &key, SPAN(""));
}

enum err admin_key_change(const struct admin_operation *op)
{
    struct arena arena;
    struct admin_key asked = {0};
    struct admin_reading reading = reading_of(op, ADMIN_CHANGES, &arena);
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = admin_object_read(&reading, &asked);
    if (e == ERR_OK) {
        e = change(op, &asked, reading.given);
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

static enum err end_key(const struct admin_operation *op, bool forgets)
{
    struct key_texts texts;
    struct store_key key;
    enum err e = find_to_change(op, &texts, &key);
    if (e == ERR_OK) {
        e = forgets ? forget(op, &key) : revoke(op, &key);
    }
    if (e != ERR_OK) {
        return e;
    }
    admin_note(op, forgets ? "key.delete" : op->route->action, op->id);
    const struct admin_key shown = show(op, &key);
    const struct admin_ended_key ended = {shown.id, shown.status, shown.revoked_at};
    struct json_writer w;
    json_write_init(&w, op->out);
    admin_object_write(&w, ADMIN_OBJECT_ended_key, &ended);
    return json_write_finish(&w);
}

enum err admin_key_end(const struct admin_operation *op)
{
    const struct admin_value *forgets = admin_param(op, "forget");
    return end_key(op, forgets != NULL && forgets->number != 0);
}

enum err admin_key_revoke(const struct admin_operation *op)
{
    return end_key(op, false);
}
