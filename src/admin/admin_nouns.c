/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Organisations, teams, users and plans: made, listed, shown, changed, ended. What they differ in
 * is a row of `nouns`.
 *
 * Limits are rows of their own. They are put before the noun that they are of is made: it is never
 * there without.
 */
#include <stdio.h>

#include "admin/admin_internal.h"
#include "base/arena.h"
#include "base/slots.h"
#include "store/store_change.h"

#define DEFAULT_NAME SPAN("default")

union row {
    struct store_organisation organisation;
    struct store_team team;
    struct store_user user;
    struct store_plan plan;
};

union shown {
    struct admin_organisation organisation;
    struct admin_team team;
    struct admin_user user;
    struct admin_plan plan;
};

/* What all rows have. */
struct common {
    struct span *id, *name;
    wall_us *created, *ended;
    int64_t number;
    struct span team; /* that it belongs to, or is */
    bool is_for_all;  /* who is bound to a team sees it, too */
};

struct noun {
    const char *word, *prefix;
    enum directory_kind kind;
    enum store_table_id table;
    unsigned by_number;
    enum admin_object object;
    struct common (*common)(union row *row);
    void (*show)(const struct admin_operation *op, const union row *row, union shown *out);
    /* Makes the row what the request says of it. */
    enum err (*fill)(const struct admin_operation *op, const union shown *asked, union row *row);
    enum err (*put_limits)(const struct admin_operation *op, const union shown *asked,
                           struct span id);
};

static bool sees(const struct admin_operation *op, const struct common *common)
{
    return common->is_for_all || admin_sees(op, common->team);
}

/* ---- organisations ---- */

static struct common organisation_common(union row *row)
{
    struct store_organisation *o = &row->organisation;
    return (struct common){&o->id, &o->name, &o->created, &o->ended, o->number, SPAN(""), false};
}

static void organisation_show(const struct admin_operation *op, const union row *row,
                              union shown *out)
{
    const struct store_organisation *o = &row->organisation;
    out->organisation = (struct admin_organisation){.id = o->id,
                                                    .name = o->name,
                                                    .limits = admin_limits_of(op, o->id),
                                                    .status = o->ended.us != 0,
                                                    .created_at = o->created,
                                                    .ended_at = o->ended};
}

static enum err organisation_fill(const struct admin_operation *op, const union shown *asked,
                                  union row *row)
{
    row->organisation.name = asked->organisation.name;
    return admin_limits_judge(op, row->organisation.id, &asked->organisation.limits);
}

static enum err organisation_limits(const struct admin_operation *op, const union shown *asked,
                                    struct span id)
{
    return admin_limits_put(op, id, &asked->organisation.limits);
}

/* ---- teams ---- */

static struct common team_common(union row *row)
{
    struct store_team *t = &row->team;
    return (struct common){&t->id, &t->name, &t->created, &t->ended, t->number, t->id, false};
}

/* The limits that a team gives each of its keys, or users. */
static struct span each_of(struct span team, const char *end, char out[ADMIN_SUBJECT_BYTES])
{
    int len = snprintf(out, ADMIN_SUBJECT_BYTES, "%.*s%s", SPAN_ARGS(team), end); /* fits */
    return span_make(out, (size_t)len);
}

static struct span plan_name(const struct admin_operation *op, struct span id)
{
    const struct directory *d = access_directory(op->rights);
    const struct directory_entry *plan =
        id.len == 0 ? NULL
                    : directory_find(d, DIRECTORY_PLAN, directory_slot(d, DIRECTORY_PLAN, id));
    return plan == NULL ? SPAN("") : plan->name;
}

static void team_show(const struct admin_operation *op, const union row *row, union shown *out)
{
    const struct store_team *t = &row->team;
    char id[ADMIN_SUBJECT_BYTES];
    out->team = (struct admin_team){.id = t->id,
                                    .name = t->name,
                                    .organisation = t->organisation,
                                    .plan = t->plan,
                                    .plan_name = plan_name(op, t->plan),
                                    .models = t->models,
                                    .region = t->region,
                                    .regions = t->regions,
                                    .max_class = t->max_class,
                                    .default_class = t->default_class,
                                    .local_only = t->local_only != 0,
                                    .guard = t->guard,
                                    .limits = admin_limits_of(op, t->id),
                                    .key_limits = admin_limits_of(op, each_of(t->id, "/key", id)),
                                    .status = t->ended.us != 0 ||
                                              (t->expires.us != 0 && t->expires.us <= op->now.us),
                                    .created_at = t->created,
                                    .expires_at = t->expires,
                                    .ended_at = t->ended};
    out->team.user_limits = admin_limits_of(op, each_of(t->id, "/user", id));
}

/* "default", or the only organisation that has not ended; it is made where there is none. */
static enum err find_organisation(const struct admin_operation *op, struct span *out);

static enum err team_fill(const struct admin_operation *op, const union shown *asked,
                          union row *row)
{
    const struct admin_team *a = &asked->team;
    struct store_team *t = &row->team;
    enum err e =
        admin_give(op, DIRECTORY_ORGANISATION, a->organisation, "organisation", &t->organisation);
    e = e == ERR_OK ? admin_give(op, DIRECTORY_PLAN, a->plan, "plan", &t->plan) : e;
    e = e == ERR_OK ? admin_guard_give(op, a->guard, &t->guard) : e;
    t->name = a->name;
    t->models = a->models;
    t->region = a->region;
    t->regions = a->regions;
    t->max_class = (uint8_t)a->max_class;
    t->default_class = (uint8_t)a->default_class;
    t->local_only = a->local_only;
    t->expires = a->expires_at;
    char key[ADMIN_SUBJECT_BYTES], user[ADMIN_SUBJECT_BYTES];
    const struct admin_day days[] = {
        {t->id, SPAN(""), t->plan, a->limits.tokens_per_day},
        {each_of(t->id, "/key", key), SPAN(""), SPAN(""), a->key_limits.tokens_per_day},
        {each_of(t->id, "/user", user), SPAN(""), SPAN(""), a->user_limits.tokens_per_day}};
    e = e == ERR_OK ? admin_fits_classes(op, a) : e;
    e = e == ERR_OK ? admin_limits_check(op, t->id, &a->limits) : e;
    e = e == ERR_OK ? admin_limits_check(op, days[1].subject, &a->key_limits) : e;
    e = e == ERR_OK ? admin_limits_check(op, days[2].subject, &a->user_limits) : e;
    e = e == ERR_OK ? admin_days_judge(op, days, sizeof(days) / sizeof(days[0])) : e;
    return e == ERR_OK && t->organisation.len == 0 ? find_organisation(op, &t->organisation) : e;
}

static enum err team_limits(const struct admin_operation *op, const union shown *asked,
                            struct span id)
{
    char each[ADMIN_SUBJECT_BYTES];
    enum err e = admin_limits_put(op, id, &asked->team.limits);
    if (e == ERR_OK) {
        e = admin_limits_put(op, each_of(id, "/key", each), &asked->team.key_limits);
    }
    return e == ERR_OK ? admin_limits_put(op, each_of(id, "/user", each), &asked->team.user_limits)
                       : e;
}

/* ---- users ---- */

static struct common user_common(union row *row)
{
    struct store_user *u = &row->user;
    return (struct common){&u->id, &u->name, &u->created, &u->ended, u->number, u->team, false};
}

static void user_show(const struct admin_operation *op, const union row *row, union shown *out)
{
    const struct store_user *u = &row->user;
    out->user = (struct admin_user){.id = u->id,
                                    .name = u->name,
                                    .team = u->team,
                                    .role = u->role,
                                    .limits = admin_limits_of(op, u->id),
                                    .status = u->ended.us != 0,
                                    .created_at = u->created,
                                    .ended_at = u->ended};
}

static enum err judge_role(const struct admin_operation *op, enum key_role role)
{
    return admin_right_gives(&op->request->right, role)
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_SCOPE_DENIED, SPAN("role"),
                                 "only an owner may make, change or end users who are owners or "
                                 "admins");
}

static enum err user_fill(const struct admin_operation *op, const union shown *asked,
                          union row *row)
{
    const struct admin_user *a = &asked->user;
    row->user.name = a->name;
    row->user.role = (uint8_t)a->role;
    enum err e = admin_limits_judge(op, row->user.id, &a->limits);
    e = e != ERR_OK ? e : admin_give(op, DIRECTORY_TEAM, a->team, "team", &row->user.team);
    e = e == ERR_OK ? judge_role(op, (enum key_role)a->role) : e;
    return e == ERR_OK && !admin_sees(op, row->user.team)
               ? admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("team"),
                                 "'team' must be the team that your key is bound to")
               : e;
}

static enum err user_limits(const struct admin_operation *op, const union shown *asked,
                            struct span id)
{
    return admin_limits_put(op, id, &asked->user.limits);
}

/* ---- plans ---- */

static struct common plan_common(union row *row)
{
    struct store_plan *p = &row->plan;
    return (struct common){&p->id, &p->name, &p->created, &p->ended, p->number, SPAN(""), true};
}

static void plan_show(const struct admin_operation *op, const union row *row, union shown *out)
{
    const struct store_plan *p = &row->plan;
    out->plan = (struct admin_plan){.id = p->id,
                                    .name = p->name,
                                    .limits = admin_limits_of(op, p->id),
                                    .status = p->ended.us != 0,
                                    .created_at = p->created,
                                    .ended_at = p->ended};
}

static enum err plan_fill(const struct admin_operation *op, const union shown *asked,
                          union row *row)
{
    row->plan.name = asked->plan.name;
    return admin_limits_judge(op, row->plan.id, &asked->plan.limits);
}

static enum err plan_limits(const struct admin_operation *op, const union shown *asked,
                            struct span id)
{
    return admin_limits_put(op, id, &asked->plan.limits);
}

/* ---- all of them ---- */

#define NOUN(word, PREFIX, TABLE)                                                               \
    {                                                                                           \
#word, PREFIX, DIRECTORY_##TABLE, STORE_TABLE_##TABLE, STORE_INDEX_##TABLE##_BY_NUMBER, \
            ADMIN_OBJECT_##word, word##_common, word##_show, word##_fill, word##_limits         \
    }

static const struct noun organisations = NOUN(organisation, "org_", ORGANISATION);
static const struct noun teams = NOUN(team, "team_", TEAM);
static const struct noun users = NOUN(user, "user_", USER);
static const struct noun plans = NOUN(plan, "plan_", PLAN);

/* No other that has not ended is called so. */
static enum err check_name(const struct admin_operation *op, const struct noun *noun,
                           union row *row)
{
    const struct directory *d = access_directory(op->rights);
    struct common common = noun->common(row);
    uint32_t team = SLOTS_NONE;
    if (noun->kind == DIRECTORY_USER) {
        team = directory_slot(d, DIRECTORY_TEAM, row->user.team);
    }
    uint32_t slot = directory_slot_of_name(d, noun->kind, *common.name, team);
    const struct directory_entry *other =
        slot == SLOTS_NONE ? NULL : directory_find(d, noun->kind, slot);
    bool is_free = other == NULL || span_is(*common.id, other->id);
    return is_free ? ERR_OK
                   : admin_fault_say(&op->answer->fault, ERR_EXISTS, SPAN("name"),
                                     "there is a %s '%.*s' already: %s", noun->word,
                                     SPAN_ARGS(span_cut_text(*common.name, 64)), other->id);
}

static enum err put_row(const struct admin_operation *op, const struct noun *noun,
                        const union row *row, const char *verb)
{
    return access_change(op->rights, op->store, noun->table, row, verb, op->request->actor);
}

static enum err find_organisation(const struct admin_operation *op, struct span *out)
{
    const struct directory *d = access_directory(op->rights);
    size_t found = 0;
    uint32_t count = directory_count(d, DIRECTORY_ORGANISATION);
    uint32_t usual = directory_slot_of_name(d, DIRECTORY_ORGANISATION, DEFAULT_NAME, SLOTS_NONE);
    if (usual != SLOTS_NONE) {
        *out = span_of(directory_find(d, DIRECTORY_ORGANISATION, usual)->id);
        return ERR_OK;
    }
    for (uint32_t slot = 0; slot < count; slot++) {
        const struct directory_entry *e = directory_find(d, DIRECTORY_ORGANISATION, slot);
        if (e != NULL && e->ended.us == 0) {
            found++;
            *out = span_of(e->id);
        }
    }
    if (found > 1) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_MISSING, SPAN("organisation"),
                               "'organisation' is missing, and there are several");
    }
    if (found == 1) {
        return ERR_OK;
    }
    char id[ADMIN_ID_BYTES];
    union row row = {.organisation = {.name = DEFAULT_NAME, .created = op->now}};
    row.organisation.id = admin_make_id(op, organisations.prefix, id);
    enum err e = put_row(op, &organisations, &row, "organisation.create");
    uint32_t slot = directory_slot(d, DIRECTORY_ORGANISATION, row.organisation.id);
    if (e == ERR_OK) {
        *out = span_of(directory_find(d, DIRECTORY_ORGANISATION, slot)->id);
    }
    return e;
}

enum err admin_team_place(const struct admin_operation *op, struct span organisation,
                          struct store_team *team)
{
    union row row = {.team = *team};
    enum err e = admin_resolve(op, DIRECTORY_ORGANISATION, organisation, "organisation", SLOTS_NONE,
                               &team->organisation);
    e = e == ERR_OK ? check_name(op, &teams, &row) : e;
    return e == ERR_OK && team->organisation.len == 0 ? find_organisation(op, &team->organisation)
                                                      : e;
}

static enum err answer(const struct admin_operation *op, const struct noun *noun,
                       const union row *row)
{
    union shown shown;
    noun->show(op, row, &shown);
    return admin_answer_object(op, noun->object, &shown);
}

/* Reads the body over what `shown` says. */
static enum err read_body(const struct admin_operation *op, const struct noun *noun,
                          enum admin_use use, struct arena *arena, union shown *shown)
{
    struct admin_reading reading = admin_reading_of(op, noun->object, use, arena);
    return admin_object_read(&reading, shown);
}

/* Makes the row, and its limits, what the request says, and answers with it. */
static enum err put_all(const struct admin_operation *op, const struct noun *noun,
                        const union shown *asked, union row *row)
{
    struct common common = noun->common(row);
    enum err e = noun->fill(op, asked, row);
    e = e == ERR_OK ? check_name(op, noun, row) : e;
    e = e == ERR_OK ? noun->put_limits(op, asked, *common.id) : e;
    e = e == ERR_OK ? put_row(op, noun, row, op->route->action) : e;
    if (e != ERR_OK) {
        return e;
    }
    admin_note(op, op->route->action, *common.id);
    return answer(op, noun, row);
}

/* Whether the same request made it before the gateway was killed: an id that is new is not there.
 */
static bool is_made(const struct admin_operation *op, const struct noun *noun, struct span id)
{
    return directory_slot(access_directory(op->rights), noun->kind, id) != SLOTS_NONE;
}

static enum err answer_made(const struct admin_operation *op, const struct noun *noun,
                            struct span id)
{
    union row row;
    memset(&row, 0, sizeof(row));
    *noun->common(&row).id = id;
    enum err e = store_change_get(op->store, noun->table, &row);
    return e == ERR_OK ? answer(op, noun, &row) : e;
}

static enum err create(const struct admin_operation *op, const struct noun *noun)
{
    struct arena arena;
    union shown asked;
    union row row;
    char id[ADMIN_ID_BYTES];
    memset(&asked, 0, sizeof(asked));
    memset(&row, 0, sizeof(row));
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    struct common common = noun->common(&row);
    *common.id = admin_make_id(op, noun->prefix, id);
    *common.created = op->now;
    enum err e = read_body(op, noun, ADMIN_MAKES, &arena, &asked);
    e = e == ERR_OK ? store_change_begin(op->store) : e;
    if (e == ERR_OK && is_made(op, noun, *common.id)) {
        e = answer_made(op, noun, *common.id);
    } else {
        e = e == ERR_OK ? put_all(op, noun, &asked, &row) : e;
    }
    arena_fini(&arena);
    return e;
}

/* Finds the one that the path names by id or name, as it was changed last. */
static enum err find(const struct admin_operation *op, const struct noun *noun, struct arena *arena,
                     union row *row)
{
    const struct directory *d = access_directory(op->rights);
    uint32_t slot = directory_slot(d, noun->kind, op->id);
    if (slot == SLOTS_NONE && admin_is_shared_name(op, noun->kind, op->id, SLOTS_NONE)) {
        return admin_refuse(op, ERR_NOT_FOUND_ROW,
                            "several users are called so: say the id of the one you mean");
    }
    slot = slot != SLOTS_NONE ? slot : admin_slot_of_name(op, noun->kind, op->id, SLOTS_NONE);
    char why[64];
    (void)snprintf(why, sizeof(why), "there is no %s of this id or name", noun->word);
    if (slot == SLOTS_NONE) {
        return admin_refuse(op, ERR_NOT_FOUND_ROW, why);
    }
    memset(row, 0, sizeof(*row));
    *noun->common(row).id = span_of(directory_find(d, noun->kind, slot)->id);
    enum err e = store_change_get(op->store, noun->table, row);
    e = e == ERR_OK ? store_row_keep(noun->table, row, arena) : e;
    struct common common = noun->common(row);
    e = e == ERR_OK && !sees(op, &common) ? ERR_NOT_FOUND_ROW : e;
    return e == ERR_NOT_FOUND_ROW ? admin_refuse(op, e, why) : e;
}

static enum err show(const struct admin_operation *op, const struct noun *noun)
{
    struct arena arena;
    union row row;
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = find(op, noun, &arena, &row);
    e = e == ERR_OK ? answer(op, noun, &row) : e;
    arena_fini(&arena);
    return e;
}

/* Finds the one that is to be changed, and judges whether its changer saw it as it is. */
static enum err find_to_change(const struct admin_operation *op, const struct noun *noun,
                               struct arena *arena, union row *row, union shown *shown)
{
    enum err e = store_change_begin(op->store);
    e = e == ERR_OK ? find(op, noun, arena, row) : e;
    if (e != ERR_OK) {
        return e;
    }
    noun->show(op, row, shown);
    return admin_judge(op, noun->object, shown);
}

static enum err refuse_ended(const struct admin_operation *op, const struct noun *noun)
{
    char why[64];
    (void)snprintf(why, sizeof(why), "this %s was ended: it cannot be changed", noun->word);
    return admin_refuse(op, ERR_EXISTS, why);
}

static enum err change(const struct admin_operation *op, const struct noun *noun)
{
    struct arena arena;
    union row row;
    union shown shown;
    arena_init(&arena, 2 * ADMIN_BODY_BYTES_MAX);
    enum err e = find_to_change(op, noun, &arena, &row, &shown);
    struct common common = noun->common(&row);
    if (e == ERR_OK && common.ended->us != 0) {
        e = refuse_ended(op, noun);
    }
    e = e == ERR_OK ? read_body(op, noun, ADMIN_CHANGES, &arena, &shown) : e;
    e = e == ERR_OK ? put_all(op, noun, &shown, &row) : e;
    arena_fini(&arena);
    return e;
}

/* One that was ended before keeps its time. */
static enum err end(const struct admin_operation *op, const struct noun *noun)
{
    struct arena arena;
    union row row;
    union shown shown;
    arena_init(&arena, ADMIN_BODY_BYTES_MAX);
    enum err e = find_to_change(op, noun, &arena, &row, &shown);
    struct common common = noun->common(&row);
    if (e == ERR_OK && noun->kind == DIRECTORY_USER) {
        e = judge_role(op, (enum key_role)row.user.role);
    }
    if (e == ERR_OK && common.ended->us == 0) {
        *common.ended = op->now;
        e = put_row(op, noun, &row, op->route->action);
        admin_note(op, op->route->action, *common.id);
    }
    e = e == ERR_OK ? answer(op, noun, &row) : e;
    arena_fini(&arena);
    return e;
}

/* ---- lists ---- */

struct lister {
    struct admin_pager pager;
    const struct admin_operation *op;
    const struct noun *noun;
    bool has_ended;
};

static enum err on_row(void *context, const void *given)
{
    struct lister *l = context;
    union row row;
    union shown shown;
    memset(&row, 0, sizeof(row));
    memcpy(&row, given, store_row_size(l->noun->table));
    struct common common = l->noun->common(&row);
    if ((common.ended->us != 0 && !l->has_ended) || !sees(l->op, &common)) {
        return admin_pager_skip(&l->pager, common.number);
    }
    enum err e = admin_pager_next(&l->pager, common.number);
    if (e == ERR_OK) {
        l->noun->show(l->op, &row, &shown);
        admin_object_write(&l->pager.w, l->noun->object, &shown);
    }
    return e == ERR_OK && buf_failed(l->pager.w.out) ? ERR_NO_MEMORY : e;
}

static int64_t first_number(const struct admin_operation *op)
{
    const struct admin_value *after = admin_param(op, "after");
    return after == NULL ? 0 : after->number;
}

static enum err list(const struct admin_operation *op, const struct noun *noun,
                     const union row *from)
{
    struct lister l = {.op = op, .noun = noun};
    const struct admin_value *include = admin_param(op, "include");
    const struct store_page page = {.from = from, .after = true, .limit = INT64_MAX};
    l.has_ended = include != NULL && span_is(include->text, "ended");
    if (include != NULL && !l.has_ended) {
        return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("include"),
                               "'include' may be 'ended' alone");
    }
    admin_pager_begin(&l.pager, op);
    enum err e = store_change_page(op->store, noun->table, noun->by_number, &page, on_row, &l);
    return e == ERR_OK || e == ERR_NOT_FOUND_ROW ? admin_pager_end(&l.pager) : e;
}

/* ---- the routes ---- */

#define OPERATIONS(word, many)                                                            \
    enum err admin_##word##_create(const struct admin_operation *op)                      \
    {                                                                                     \
        return create(op, &many);                                                         \
    }                                                                                     \
    enum err admin_##word##_list(const struct admin_operation *op)                        \
    {                                                                                     \
        return list(op, &many, &(const union row){.word = {.number = first_number(op)}}); \
    }                                                                                     \
    enum err admin_##word##_show(const struct admin_operation *op)                        \
    {                                                                                     \
        return show(op, &many);                                                           \
    }                                                                                     \
    enum err admin_##word##_change(const struct admin_operation *op)                      \
    {                                                                                     \
        return change(op, &many);                                                         \
    }                                                                                     \
    enum err admin_##word##_end(const struct admin_operation *op)                         \
    {                                                                                     \
        return end(op, &many);                                                            \
    }

OPERATIONS(organisation, organisations)
OPERATIONS(team, teams)
OPERATIONS(user, users)
OPERATIONS(plan, plans)
