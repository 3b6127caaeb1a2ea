/* SPDX-License-Identifier: Apache-2.0 */
/* Names and ids in requests, and what the nouns' answers have in common. */
#include <stdio.h>

#include "admin/admin_internal.h"
#include "base/slots.h"
#include "crypto/base62.h"
#include "crypto/hmac.h"
#include "policy/policy.h"
#include "store/store_change.h"

#define ID_CHARS 12

#define SKIPPED_MAX 10000 /* rows of others that one page looks at */

static const struct {
    const char *word, *plural;
} kinds[DIRECTORY_KINDS] = {
    [DIRECTORY_ORGANISATION] = {"organisation", "organisations"},
    [DIRECTORY_TEAM] = {"team", "teams"},
    [DIRECTORY_USER] = {"user", "users"},
    [DIRECTORY_PLAN] = {"plan", "plans"},
    [DIRECTORY_TAG] = {"tag", "limits"},
};

/* Of users, those of the caller's team alone, if it is bound to one. */
static uint32_t team_seen(const struct admin_operation *op, enum directory_kind kind, uint32_t team)
{
    return kind == DIRECTORY_USER && team == SLOTS_NONE && op->caller_team.len > 0
               ? directory_slot(access_directory(op->rights), DIRECTORY_TEAM, op->caller_team)
               : team;
}

/* Whether it is there and was not ended; a team's end is its users', too. */
static bool lives(const struct directory *d, const struct directory_entry *e)
{
    const struct directory_entry *team =
        e == NULL || e->kind != DIRECTORY_USER || e->team == SLOTS_NONE
            ? NULL
            : directory_find(d, DIRECTORY_TEAM, e->team);
    return e != NULL && e->ended.us == 0 && (team == NULL || team->ended.us == 0);
}

uint32_t admin_slot_of_name(const struct admin_operation *op, enum directory_kind kind,
                            struct span name, uint32_t team)
{
    const struct directory *d = access_directory(op->rights);
    team = team_seen(op, kind, team);
    uint32_t count = kind == DIRECTORY_USER && team == SLOTS_NONE ? directory_count(d, kind) : 0;
    for (uint32_t slot = 0; slot < count; slot++) {
        const struct directory_entry *e = directory_find(d, kind, slot);
        if (lives(d, e) && span_equal(e->name, name)) {
            return slot;
        }
    }
    return directory_slot_of_name(d, kind, name, team);
}

bool admin_is_shared_name(const struct admin_operation *op, enum directory_kind kind,
                          struct span name, uint32_t team)
{
    const struct directory *d = access_directory(op->rights);
    team = team_seen(op, kind, team);
    uint32_t found = 0, count = kind == DIRECTORY_USER && team == SLOTS_NONE
                                    ? directory_count(d, kind)
                                    : 0; /* the others' names are theirs alone */
    for (uint32_t slot = 0; slot < count && found < 2; slot++) {
        const struct directory_entry *e = directory_find(d, kind, slot);
        found += lives(d, e) && span_equal(e->name, name);
    }
    return found > 1;
}

enum err admin_resolve(const struct admin_operation *op, enum directory_kind kind,
                       struct span given, const char *member, uint32_t team, struct span *id)
{
    const struct directory *d = access_directory(op->rights);
    *id = given;
    if (given.len == 0) {
        return ERR_OK;
    }
    uint32_t slot = directory_slot(d, kind, given);
    if (slot == SLOTS_NONE && admin_is_shared_name(op, kind, given, team)) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, span_of(member),
                               "several %s are called '%.*s': say the id of the one you mean",
                               kinds[kind].plural, SPAN_ARGS(span_cut_text(given, 64)));
    }
    slot = slot != SLOTS_NONE ? slot : admin_slot_of_name(op, kind, given, team);
    if (slot == SLOTS_NONE) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, span_of(member),
                               "there is no %s '%.*s'; GET /admin/v1/%s lists those there are",
                               kinds[kind].word, SPAN_ARGS(span_cut_text(given, 64)),
                               kinds[kind].plural);
    }
    *id = span_of(directory_find(d, kind, slot)->id);
    return ERR_OK;
}

enum err admin_give(const struct admin_operation *op, enum directory_kind kind, struct span given,
                    const char *member, struct span *id)
{
    const struct directory *d = access_directory(op->rights);
    struct span had = *id;
    enum err e = admin_resolve(op, kind, given, member, SLOTS_NONE, id);
    uint32_t slot = e == ERR_OK ? directory_slot(d, kind, *id) : SLOTS_NONE;
    if (slot == SLOTS_NONE || span_equal(had, *id) ||
        directory_find(d, kind, slot)->ended.us == 0) {
        return e;
    }
    return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, span_of(member),
                           "the %s '%.*s' has ended: who has it keeps it, and nobody else gets it",
                           kinds[kind].word, SPAN_ARGS(span_cut_text(given, 64)));
}

enum err admin_check_model(const struct admin_operation *op, struct span name)
{
    const struct policy *p = op->policy;
    for (size_t i = 0; p != NULL && i < p->model_count; i++) {
        if (span_equal(p->models[i].name, name)) {
            return ERR_OK;
        }
    }
    return p == NULL ? ERR_OK
                     : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("model"),
                                       "the configuration has no model '%.*s'; say a model by its "
                                       "name there, not by an alias",
                                       SPAN_ARGS(span_cut_text(name, 64)));
}

/* ---- whose ---- */

static enum err resolve_key(const struct admin_operation *op, struct span given)
{
    struct store_key key = {.id = given};
    enum err e = store_change_get(op->store, STORE_TABLE_KEY, &key);
    return e == ERR_NOT_FOUND_ROW
               ? admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("key"),
                                 "there is no key of this id; GET /admin/v1/keys lists them")
               : e;
}

static enum err refuse_whose(const struct admin_operation *op, bool takes_plans)
{
    return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("team"),
                           "say whose it is: one of organisation, team, user, key%s and tag",
                           takes_plans ? ", plan" : "");
}

enum err admin_resolve_whose(const struct admin_operation *op, const struct admin_whose *given,
                             bool takes_plans, char out[ADMIN_SUBJECT_BYTES])
{
    static const char *const ends[] = {"", "/key", "/user"};
    const struct {
        struct span given;
        enum directory_kind kind;
    } rows[] = {{given->organisation, DIRECTORY_ORGANISATION},
                {given->team, DIRECTORY_TEAM},
                {given->user, DIRECTORY_USER},
                {given->plan, DIRECTORY_PLAN}};
    struct span id = given->key;
    char made[ADMIN_ID_BYTES];
    size_t count = (given->key.len > 0) + (given->tag.len > 0);
    enum err e = given->key.len > 0 ? resolve_key(op, given->key) : ERR_OK;
    if (e == ERR_OK && given->tag.len > 0) {
        e = admin_tag_resolve(op, given->tag, made, &id);
    }
    for (size_t i = 0; e == ERR_OK && i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].given.len > 0) {
            count++;
            e = admin_resolve(op, rows[i].kind, rows[i].given, kinds[rows[i].kind].word, SLOTS_NONE,
                              &id);
        }
    }
    if (e == ERR_OK && (count != 1 || (given->plan.len > 0 && !takes_plans))) {
        return refuse_whose(op, takes_plans);
    }
    if (e == ERR_OK && given->each != 0 && given->team.len == 0) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("each"),
                               "'each' goes with a team");
    }
    (void)snprintf(out, ADMIN_SUBJECT_BYTES, "%.*s%s", SPAN_ARGS(id), ends[given->each]);
    return e;
}

enum err admin_check_lives(const struct admin_operation *op, struct span subject)
{
    const struct directory *d = access_directory(op->rights);
    struct span id = span_cut(subject, 0, span_find(subject, '/', 0));
    bool is_over = op->keys != NULL && keys_revoked(op->keys, id).us != 0;
    for (int kind = 0; !is_over && kind < DIRECTORY_KINDS; kind++) {
        uint32_t slot = kind == DIRECTORY_PLAN /* who has it keeps it */
                            ? SLOTS_NONE
                            : directory_slot(d, (enum directory_kind)kind, id);
        is_over =
            slot != SLOTS_NONE && !lives(d, directory_find(d, (enum directory_kind)kind, slot));
    }
    return is_over
               ? admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN(""),
                                 "'%.*s' has ended: nothing is to be limited there", SPAN_ARGS(id))
               : ERR_OK;
}

struct admin_whose admin_whose_of(const struct admin_operation *op, struct span subject)
{
    struct admin_whose whose = {.each = 0};
    if (span_find(subject, '=', 0) < subject.len) { /* no id has one, and no tag is without */
        whose.tag = subject;
        return whose;
    }
    size_t cut = span_find(subject, '/', 0);
    struct span id = span_cut(subject, 0, cut);
    struct span end = span_cut(subject, cut, subject.len);
    whose.each = span_is(end, "/key") ? 1 : span_is(end, "/user") ? 2 : 0;
    struct span *member = span_starts(id, SPAN("org_"))    ? &whose.organisation
                          : span_starts(id, SPAN("team_")) ? &whose.team
                          : span_starts(id, SPAN("user_")) ? &whose.user
                          : span_starts(id, SPAN("plan_")) ? &whose.plan
                          : span_starts(id, SPAN("tag_"))  ? &whose.tag
                                                           : &whose.key;
    *member = id;
    whose.tag = span_starts(id, SPAN("tag_")) ? admin_tag_name(op, id) : whose.tag;
    return whose;
}

struct span admin_team_of(const struct admin_operation *op, struct span subject)
{
    const struct directory *d = access_directory(op->rights);
    struct admin_whose whose = admin_whose_of(op, subject);
    uint32_t user = directory_slot(d, DIRECTORY_USER, whose.user), key;
    uint32_t team = directory_slot(d, DIRECTORY_TEAM, whose.team);
    if (user != SLOTS_NONE) {
        team = directory_find(d, DIRECTORY_USER, user)->team;
    } else if (op->keys != NULL && key_table_find(keys_table(op->keys), whose.key, &key)) {
        team = atomic_load(&key_table_slot(keys_table(op->keys), key)->team);
    }
    const struct directory_entry *e =
        team == SLOTS_NONE ? NULL : directory_find(d, DIRECTORY_TEAM, team);
    return e == NULL ? SPAN("") : span_of(e->id);
}

/* ---- limits ---- */

struct admin_limits admin_limits_of(const struct admin_operation *op, struct span subject)
{
    struct access_numbers n = access_numbers(op->rights, subject);
    return (struct admin_limits){.requests_per_minute = n.requests_per_minute,
                                 .burst = n.burst,
                                 .tokens_per_minute = n.tokens_per_minute,
                                 .tokens_per_day = n.tokens_per_day,
                                 .concurrent = n.concurrent,
                                 .max_tokens = n.max_tokens,
                                 .priority = (int)n.priority};
}

bool admin_limits_are_alike(const struct admin_limits *a, const struct admin_limits *b)
{
    return a->requests_per_minute == b->requests_per_minute && a->burst == b->burst &&
           a->tokens_per_minute == b->tokens_per_minute && a->tokens_per_day == b->tokens_per_day &&
           a->concurrent == b->concurrent && a->max_tokens == b->max_tokens &&
           a->priority == b->priority;
}

enum err admin_limits_check(const struct admin_operation *op, struct span subject,
                            const struct admin_limits *limits)
{
    struct admin_limits there = admin_limits_of(op, subject);
    if (!admin_limits_are_alike(&there, limits) &&
        !admin_right_has(&op->request->right, ADMIN_SCOPE_MONEY_WRITE)) {
        return admin_fault_say(&op->answer->fault, ERR_SCOPE_DENIED, SPAN("limits"),
                               "the admin key may not set limits: it lacks the scope '%s'",
                               admin_scope_word(ADMIN_SCOPE_MONEY_WRITE));
    }
    long long most = (long long)limits->requests_per_minute * LIMITS_BURST_MINUTES;
    if (most > 0 && limits->burst > most) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("burst"),
                               "'burst' must be at most what comes back in a day: %lld here", most);
    }
    return ERR_OK;
}

enum err admin_limits_put(const struct admin_operation *op, struct span subject,
                          const struct admin_limits *limits)
{
    struct admin_limits there = admin_limits_of(op, subject);
    struct store_limit row = {.id = subject};
    if (admin_limits_are_alike(&there, limits)) {
        return ERR_OK;
    }
    enum err e = store_change_get(op->store, STORE_TABLE_LIMIT, &row);
    if (e == ERR_NOT_FOUND_ROW) {
        row = (struct store_limit){.created = op->now};
        e = ERR_OK;
    }
    row.id = subject;
    row.requests_per_minute = limits->requests_per_minute;
    row.burst = limits->burst;
    row.tokens_per_minute = limits->tokens_per_minute;
    row.tokens_per_day = limits->tokens_per_day;
    row.concurrent = limits->concurrent;
    row.max_tokens = limits->max_tokens;
    row.priority = (uint8_t)limits->priority;
    return e == ERR_OK ? access_change(op->rights, op->store, STORE_TABLE_LIMIT, &row, "limit.set",
                                       op->request->actor)
                       : e;
}

/* ---- ids ---- */

struct span admin_make_id(const struct admin_operation *op, const char *prefix,
                          char out[ADMIN_ID_BYTES])
{
    char chars[ID_CHARS];
    uint8_t hash[CRYPTO_SHA256_BYTES];
    uint64_t half[2];
    if (op->seed == NULL) {
        crypto_base62_random(chars, ID_CHARS);
    } else {
        crypto_sha256_two(span_make(op->seed, ADMIN_SEED_BYTES), span_of(prefix), hash);
        memcpy(half, hash, sizeof(half));
        crypto_base62_write(half[0], chars, ID_CHARS / 2);
        crypto_base62_write(half[1], chars + ID_CHARS / 2, ID_CHARS / 2);
    }
    int len = snprintf(out, ADMIN_ID_BYTES, "%s%.*s", prefix, ID_CHARS, chars); /* it fits */
    return span_make(out, (size_t)len);
}

/* ---- answers ---- */

enum err admin_answer_object(const struct admin_operation *op, enum admin_object object,
                             const void *shown)
{
    struct json_writer w;
    if ((op->route->rules & ADMIN_ETAG) != 0 &&
        admin_object_tag(object, shown, op->answer->tag) != ERR_OK) {
        op->answer->tag[0] = '\0'; /* what was done must not look as if it had failed */
    }
    json_write_init(&w, op->out);
    admin_object_write(&w, object, shown);
    return json_write_finish(&w);
}

void admin_pager_begin(struct admin_pager *p, const struct admin_operation *op)
{
    const struct admin_value *limit = admin_param(op, "limit");
    p->left = limit == NULL ? ADMIN_PAGE_MAX : limit->number;
    p->has_more = false;
    p->last = p->skipped = 0;
    admin_list_begin(&p->w, op->out);
}

enum err admin_include(const struct admin_operation *op, bool *has_ended)
{
    const struct admin_value *include = admin_param(op, "include");
    *has_ended = include != NULL;
    return include == NULL || span_is(include->text, "ended")
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("include"),
                                 "'include' may be 'ended' alone");
}

enum err admin_pager_rows(struct admin_pager *p, const struct admin_operation *op,
                          enum store_table_id table, unsigned index, const void *from,
                          store_on_row *on_row)
{
    const struct store_page page = {.from = from, .after = true, .limit = INT64_MAX};
    admin_pager_begin(p, op);
    return store_change_page(op->store, table, index, &page, on_row, p);
}

enum err admin_pager_next(struct admin_pager *p, int64_t number)
{
    if (p->left == 0) {
        p->has_more = true;
        return ERR_NOT_FOUND_ROW;
    }
    p->left--;
    p->last = number;
    return ERR_OK;
}

enum err admin_pager_skip(struct admin_pager *p, int64_t number)
{
    p->last = number;
    p->has_more = ++p->skipped >= SKIPPED_MAX;
    return p->has_more ? ERR_NOT_FOUND_ROW : ERR_OK;
}

enum err admin_pager_end(struct admin_pager *p)
{
    json_write_end(&p->w);
    json_write_key(&p->w, "has_more");
    json_write_bool(&p->w, p->has_more);
    json_write_key(&p->w, "next_cursor");
    if (p->has_more) {
        char cursor[24];
        (void)snprintf(cursor, sizeof(cursor), "%lld", (long long)p->last);
        json_write_text(&p->w, cursor);
    } else {
        json_write_null(&p->w);
    }
    json_write_end(&p->w);
    return json_write_finish(&p->w);
}
