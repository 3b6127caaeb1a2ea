/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluations: a team that ends by itself, and a test key in it, made by one request. Its row is
 * the team's, which says by `trial` that it is one: the id of that key. So the key's text is made
 * first, then the team, then the key; who sends the request again after a kill makes what is left.
 */
#include "access/access_evaluation.h"
#include "admin/admin_internal.h"
#include "base/arena.h"
#include "base/slots.h"
#include "crypto/hmac.h"
#include "crypto/random.h"
#include "keys/keys_change.h"
#include "policy/policy.h"
#include "store/store_change.h"

#define DAY_US       (INT64_C(86400) * 1000000)
#define DAYS_DEFAULT 7
#define DAYS_MAX     365
#define ANSWER_MAX   32768 /* an evaluation as JSON: a row's texts, escaped */
#define PLAN         SPAN("development")

/* Of an evaluation where there is no such plan. */
static const struct admin_limits default_limits = {.requests_per_minute = 60,
                                                   .tokens_per_minute = 100000,
                                                   .tokens_per_day = 1000000,
                                                   .concurrent = 4};

/* ---- answers ---- */

static bool is_over(const struct admin_operation *op, const struct store_team *t)
{
    return t->ended.us != 0 || (t->expires.us != 0 && t->expires.us <= op->now.us);
}

static struct admin_evaluation show(const struct admin_operation *op, const struct store_team *t,
                                    struct span key)
{
    int64_t lasts = t->expires.us - t->created.us;
    return (struct admin_evaluation){.id = t->id,
                                     .name = t->name,
                                     .team = t->id,
                                     .organisation = t->organisation,
                                     .plan = t->plan,
                                     .key = key,
                                     .key_id = t->trial,
                                     .models = t->models,
                                     .days = lasts <= 0 ? 0 : (lasts + DAY_US - 1) / DAY_US,
                                     .status = is_over(op, t),
                                     .created_at = t->created,
                                     .expires_at = t->expires,
                                     .ended_at = t->ended};
}

static enum err answer(const struct admin_operation *op, const struct store_team *t,
                       struct span key)
{
    const struct admin_evaluation shown = show(op, t, key);
    return admin_answer_object(op, ADMIN_OBJECT_evaluation, &shown);
}

/* ---- making ---- */

static enum err refuse_end(const struct admin_operation *op, const char *member, const char *why)
{
    return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, span_of(member), "%s", why);
}

/* Which of them are not null. */
static uint64_t asked_ends(const struct admin_evaluation *asked)
{
    return (asked->days != 0 ? ADMIN_GAVE(evaluation, days) : 0) |
           (asked->expires_at.us != 0 ? ADMIN_GAVE(evaluation, expires_at) : 0);
}

/* What a request that gives `given` says of the end of one that was made `from`. */
static enum err read_end(const struct admin_operation *op, const struct admin_evaluation *asked,
                         uint64_t given, wall_us from, wall_us *out)
{
    uint64_t told = given & asked_ends(asked);
    bool has_days = (told & ADMIN_GAVE(evaluation, days)) != 0;
    bool has_end = (told & ADMIN_GAVE(evaluation, expires_at)) != 0;
    if (has_days && has_end) {
        return refuse_end(op, "days", "say 'days' or 'expires_at', not both");
    }
    int64_t days = has_days ? asked->days : DAYS_DEFAULT;
    out->us = has_end ? asked->expires_at.us : from.us + days * DAY_US;
    if (out->us <= op->now.us) {
        return refuse_end(op, "days",
                          "it was made more than so many days ago: to have it over, end "
                          "it");
    }
    return out->us <= from.us + DAYS_MAX * DAY_US
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("expires_at"),
                                 "an evaluation ends after %d days at most", DAYS_MAX);
}

/* What is misspelt would be found out by the one who evaluates. */
static enum err check_models(const struct admin_operation *op, struct span names)
{
    struct policy_match match;
    for (size_t at = 0; op->policy != NULL && at < names.len;) {
        size_t end = span_find(names, '\n', at);
        struct span name = span_cut(names, at, end - at);
        if (!policy_find(op->policy, name, &match)) {
            return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("models"),
                                   "the configuration has no model '%.*s'",
                                   SPAN_ARGS(span_cut_text(name, 64)));
        }
        at = end + 1;
    }
    return ERR_OK;
}

/* The plan that is asked for, or else `development`, if there is one. */
static enum err choose_plan(const struct admin_operation *op, struct span asked, struct span *out)
{
    const struct directory *d = access_directory(op->rights);
    *out = SPAN("");
    if (asked.len == 0 &&
        directory_slot_of_name(d, DIRECTORY_PLAN, PLAN, SLOTS_NONE) == SLOTS_NONE) {
        return ERR_OK;
    }
    return admin_resolve(op, DIRECTORY_PLAN, asked.len == 0 ? PLAN : asked, "plan", SLOTS_NONE,
                         out);
}

static enum err fill(const struct admin_operation *op, const struct admin_evaluation *asked,
                     uint64_t given, struct store_team *t)
{
    t->name = asked->name;
    t->models = asked->models;
    t->created = op->now;
    enum err e = read_end(op, asked, given, op->now, &t->expires);
    e = e == ERR_OK ? check_models(op, t->models) : e;
    e = e == ERR_OK ? choose_plan(op, asked->plan, &t->plan) : e;
    return e == ERR_OK ? admin_team_place(op, asked->organisation, t) : e;
}

/* Puts the team, whose limits are there before it is. */
static enum err put_team(const struct admin_operation *op, const struct store_team *t)
{
    enum err e = t->plan.len > 0 ? ERR_OK : admin_limits_put(op, t->id, &default_limits);
    return e == ERR_OK ? access_change(op->rights, op->store, STORE_TABLE_TEAM, t,
                                       op->route->action, op->request->actor)
                       : e;
}

/* Makes its key; the same one again is that which was made. */
static enum err put_key(const struct admin_operation *op, const struct store_team *t,
                        const uint8_t seed[ADMIN_SEED_BYTES], struct key_text *text)
{
    char id[KEY_ID_CHARS + 1];
    const struct key_wish wish = {.kind = KEY_TEST,
                                  .name = t->name,
                                  .expires = t->expires,
                                  .team = t->id,
                                  .actor = op->request->actor,
                                  .seed = seed};
    enum err e = keys_create(op->keys, op->store, &wish, op->now, text, id);
    return e == ERR_EXISTS ? ERR_OK : e;
}

/* The row that the same request made before it was killed in the middle, or a new one. */
static enum err find_or_make(const struct admin_operation *op, const struct admin_evaluation *asked,
                             uint64_t given, struct arena *arena, struct store_team *t)
{
    struct store_team made = {.id = t->id};
    enum err e = store_change_get(op->store, STORE_TABLE_TEAM, &made);
    if (e == ERR_OK) {
        *t = made;
        return store_row_keep(STORE_TABLE_TEAM, t, arena);
    }
    e = e == ERR_NOT_FOUND_ROW ? fill(op, asked, given, t) : e;
    return e == ERR_OK ? put_team(op, t) : e;
}

static enum err make(const struct admin_operation *op, const struct admin_evaluation *asked,
                     uint64_t given, struct arena *arena)
{
    struct key_text text;
    struct key_parts parts;
    char id[ADMIN_ID_BYTES], key_id[KEY_ID_CHARS];
    uint8_t seed[ADMIN_SEED_BYTES];
    struct store_team t = {.id = admin_make_id(op, "team_", id)};
    if (op->seed != NULL) {
        memcpy(seed, op->seed, sizeof(seed));
    } else {
        crypto_random(seed, sizeof(seed));
    }
    key_string_make_of(KEY_TEST, seed, &text);
    enum err e = key_string_parse(span_of(text.text), &parts);
    CHECK(e == ERR_OK); /* it was just made */
    memcpy(key_id, parts.id.at, KEY_ID_CHARS);
    t.trial = span_make(key_id, KEY_ID_CHARS);
    e = buf_reserve(op->out, ANSWER_MAX) == NULL ? ERR_NO_MEMORY : ERR_OK; /* it tells the text */
    e = e == ERR_OK ? find_or_make(op, asked, given, arena, &t) : e;
    e = e == ERR_OK ? put_key(op, &t, seed, &text) : e;
    if (e == ERR_OK) {
        admin_note(op, op->route->action, t.id);
        e = answer(op, &t, span_of(text.text));
    }
    crypto_wipe(&text, sizeof(text));
    crypto_wipe(seed, sizeof(seed));
    return e;
}

enum err admin_evaluation_create(const struct admin_operation *op)
{
    struct arena arena;
    struct admin_evaluation asked = {.days = 0};
    struct admin_reading reading =
        admin_reading_of(op, ADMIN_OBJECT_evaluation, ADMIN_MAKES, &arena);
    arena_init(&arena, 2 * ADMIN_BODY_BYTES_MAX);
    enum err e = admin_object_read(&reading, &asked);
    e = e == ERR_OK ? store_change_begin(op->store) : e;
    e = e == ERR_OK ? make(op, &asked, reading.given, &arena) : e;
    arena_fini(&arena);
    return e;
}

/* ---- one ---- */

/* Finds the one that the path names by id or name, as it was changed last. */
static enum err find(const struct admin_operation *op, struct arena *arena, struct store_team *t)
{
    const struct directory *d = access_directory(op->rights);
    uint32_t slot = directory_slot(d, DIRECTORY_TEAM, op->id);
    *t = (struct store_team){.number = 0};
    slot =
        slot != SLOTS_NONE ? slot : directory_slot_of_name(d, DIRECTORY_TEAM, op->id, SLOTS_NONE);
    enum err e = slot == SLOTS_NONE ? ERR_NOT_FOUND_ROW : ERR_OK;
    if (e == ERR_OK) {
        t->id = span_of(directory_find(d, DIRECTORY_TEAM, slot)->id);
        e = store_change_get(op->store, STORE_TABLE_TEAM, t);
    }
    e = e == ERR_OK ? store_row_keep(STORE_TABLE_TEAM, t, arena) : e;
    e = e == ERR_OK && (t->trial.len == 0 || !admin_sees(op, t->id)) ? ERR_NOT_FOUND_ROW : e;
    return e == ERR_NOT_FOUND_ROW ? admin_refuse(op, e, "there is no evaluation of this id or name")
                                  : e;
}

enum err admin_evaluation_show(const struct admin_operation *op)
{
    struct arena arena;
    struct store_team t;
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = find(op, &arena, &t);
    e = e == ERR_OK ? answer(op, &t, SPAN("")) : e;
    arena_fini(&arena);
    return e;
}

/* Has its key end with it. One that was revoked or deleted, was never made, or has a damaged row,
 * works no more and needs no end. */
static enum err move_key(const struct admin_operation *op, const struct store_team *t)
{
    struct store_key row;
    const struct key_change change = {
        .has_expires = true, .expires = t->expires, .actor = op->request->actor};
    bool is_over = keys_revoked(op->keys, t->trial).us != 0;
    enum err e = is_over ? ERR_NOT_FOUND_ROW
                         : keys_change(op->keys, op->store, t->trial, &change, op->now, &row);
    return e == ERR_NOT_FOUND_ROW || e == ERR_VALUE_INVALID ? ERR_OK : e;
}

/* Puts what a request that gives `given` changes of it; its key first, for who sends the request
 * again finds the team as it was. */
static enum err put_change(const struct admin_operation *op, const struct admin_evaluation *asked,
                           uint64_t given, struct store_team *t)
{
    const uint64_t ends = ADMIN_GAVE(evaluation, days) | ADMIN_GAVE(evaluation, expires_at);
    wall_us before = t->expires;
    enum err e = ERR_OK;
    if ((given & ends) != 0 && (given & ends & asked_ends(asked)) == 0) {
        e = refuse_end(op, "expires_at", "an evaluation has an end: say 'days' or 'expires_at'");
    } else if ((given & ends) != 0) {
        e = read_end(op, asked, given, t->created, &t->expires);
    }
    if (e == ERR_OK && (given & ADMIN_GAVE(evaluation, models)) != 0) {
        t->models = asked->models;
        e = check_models(op, t->models);
    }
    e = e == ERR_OK && t->expires.us != before.us ? move_key(op, t) : e;
    e = e == ERR_OK ? access_change(op->rights, op->store, STORE_TABLE_TEAM, t, op->route->action,
                                    op->request->actor)
                    : e;
    if (e == ERR_OK) {
        admin_note(op, op->route->action, t->id);
        e = answer(op, t, SPAN(""));
    }
    return e;
}

static enum err change(const struct admin_operation *op, struct arena *arena, struct store_team *t)
{
    struct admin_evaluation shown = show(op, t, SPAN(""));
    struct admin_reading reading =
        admin_reading_of(op, ADMIN_OBJECT_evaluation, ADMIN_CHANGES, arena);
    enum err e = admin_judge(op, ADMIN_OBJECT_evaluation, &shown);
    if (e == ERR_OK && is_over(op, t)) {
        e = admin_refuse(op, ERR_EXISTS, "this evaluation is over: it cannot be changed");
    }
    e = e == ERR_OK ? admin_object_read(&reading, &shown) : e;
    return e == ERR_OK ? put_change(op, &shown, reading.given, t) : e;
}

enum err admin_evaluation_change(const struct admin_operation *op)
{
    struct arena arena;
    struct store_team t;
    arena_init(&arena, 2 * ADMIN_BODY_BYTES_MAX);
    enum err e = store_change_begin(op->store);
    e = e == ERR_OK ? find(op, &arena, &t) : e;
    e = e == ERR_OK ? change(op, &arena, &t) : e;
    arena_fini(&arena);
    return e;
}

static enum err end(const struct admin_operation *op, struct store_team *t)
{
    const struct admin_evaluation shown = show(op, t, SPAN(""));
    bool was_ended = t->ended.us != 0;
    enum err e = admin_judge(op, ADMIN_OBJECT_evaluation, &shown);
    e = e == ERR_OK ? access_end_evaluation(op->rights, op->store, t, op->route->action,
                                            op->request->actor, op->now)
                    : e;
    if (e == ERR_OK && !was_ended) {
        admin_note(op, op->route->action, t->id);
    }
    return e == ERR_OK ? answer(op, t, SPAN("")) : e;
}

enum err admin_evaluation_end(const struct admin_operation *op)
{
    struct arena arena;
    struct store_team t;
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = store_change_begin(op->store);
    e = e == ERR_OK ? find(op, &arena, &t) : e;
    e = e == ERR_OK ? end(op, &t) : e;
    arena_fini(&arena);
    return e;
}

/* ---- all ---- */

static enum err on_team(void *context, const void *given)
{
    struct admin_lister *l = context;
    const struct store_team *t = given;
    if (t->trial.len == 0 || (is_over(l->op, t) && !l->has_ended) || !admin_sees(l->op, t->id)) {
        return ERR_OK;
    }
    const struct admin_evaluation shown = show(l->op, t, SPAN(""));
    enum err e = admin_pager_next(&l->pager, t->number);
    if (e == ERR_OK) {
        admin_object_write(&l->pager.w, ADMIN_OBJECT_evaluation, &shown);
    }
    return e == ERR_OK && buf_failed(l->pager.w.out) ? ERR_NO_MEMORY : e;
}

enum err admin_evaluation_list(const struct admin_operation *op)
{
    const struct admin_value *after = admin_param(op, "after");
    const struct store_team from = {.number = after == NULL ? 0 : after->number};
    struct admin_lister l = {.op = op};
    enum err e = admin_include(op, &l.has_ended);
    if (e != ERR_OK) {
        return e;
    }
    e = admin_pager_rows(&l.pager, op, STORE_TABLE_TEAM, STORE_INDEX_TEAM_BY_NUMBER, &from,
                         on_team);
    return e == ERR_OK || e == ERR_NOT_FOUND_ROW ? admin_pager_end(&l.pager) : e;
}
