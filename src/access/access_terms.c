/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terms are put together from the rows of a subject, its plan and its team's template, and put into
 * force whole. One that nothing is said of gets none, and costs nothing.
 */
#include <stdio.h>
#include <string.h>

#include "access/access_internal.h"

#define EACH_KEY  SPAN("/key")
#define EACH_USER SPAN("/user")

/* Where the terms of a subject come from, before all others its own rows. */
struct sources {
    enum limits_level level;
    uint32_t slot;
    struct span id;
    const struct access_rows *own, *plan, *each;
};

struct draft {
    struct limits_terms terms;
    struct limits_wish wishes[LIMITS_BUDGETS_MAX];
};

static int64_t first_set(int64_t a, int64_t b)
{
    return a != 0 ? a : b;
}

/* Fills in what is not said yet. A burst is of the requests that are said with it, or below it. */
static void add_numbers(struct limits_terms *t, int64_t *tokens_per_day,
                        const struct access_rows *rows)
{
    if (rows == NULL) {
        return;
    }
    const struct limits_terms *n = &rows->numbers;
    if (t->requests_per_minute == 0) {
        t->burst = first_set(t->burst, n->burst);
        t->requests_per_minute = n->requests_per_minute;
    }
    t->tokens_per_minute = first_set(t->tokens_per_minute, n->tokens_per_minute);
    t->concurrent = first_set(t->concurrent, n->concurrent);
    t->answer_tokens = first_set(t->answer_tokens, n->answer_tokens);
    t->priority = t->priority != LIMITS_UNSAID ? t->priority : n->priority;
    *tokens_per_day = first_set(*tokens_per_day, rows->tokens_per_day);
}

static struct limits_wish *next_wish(struct draft *d)
{
    return d->terms.budget_count == LIMITS_BUDGETS_MAX ? NULL : &d->wishes[d->terms.budget_count++];
}

/* Adds the budgets of some rows; of a template's, each child has one of its own. */
static bool add_budgets(struct draft *d, const struct access_rows *rows, struct span child)
{
    const struct access_budget *b = rows == NULL ? NULL : rows->budgets;
    for (; b != NULL; b = b->next) {
        struct limits_wish *wish = next_wish(d);
        if (wish == NULL) {
            return false;
        }
        *wish = b->wish;
        if (child.len > 0) {
            int len = snprintf(wish->id, sizeof(wish->id), "%s/%.*s", b->wish.id, SPAN_ARGS(child));
            CHECK(len < (int)sizeof(wish->id)); /* ids have one length */
        }
    }
    return true;
}

static bool add_tokens_per_day(struct draft *d, const struct access_book *book, struct span id,
                               int64_t tokens)
{
    struct limits_wish *wish = tokens == 0 ? NULL : next_wish(d);
    if (wish != NULL) {
        *wish = (struct limits_wish){
            .kind = LIMITS_TOKEN_BUDGET, .limit = tokens, .span = LIMITS_DAY, .zone = book->utc};
        (void)snprintf(wish->id, sizeof(wish->id), "day/%.*s", SPAN_ARGS(id)); /* fits */
    }
    return tokens == 0 || wish != NULL;
}

static enum err put(struct access *a, const struct sources *from)
{
    struct draft d = {.terms = {.budgets = d.wishes}};
    int64_t tokens_per_day = 0;
    bool is_said = from->own != NULL || from->plan != NULL || from->each != NULL;
    if (!is_said && !limits_has(a->limits, from->level, from->slot)) {
        return ERR_OK;
    }
    add_numbers(&d.terms, &tokens_per_day, from->own);
    add_numbers(&d.terms, &tokens_per_day, from->plan);
    add_numbers(&d.terms, &tokens_per_day, from->each);
    int64_t burst_most = d.terms.requests_per_minute * LIMITS_BURST_MINUTES;
    d.terms.burst = d.terms.burst < burst_most ? d.terms.burst : burst_most;
    bool fits = add_budgets(&d, from->own, SPAN("")) && add_budgets(&d, from->each, from->id) &&
                add_tokens_per_day(&d, &a->book, from->id, tokens_per_day);
    limits_tidy(a->limits, (mono_us){atomic_load(&a->turned_us)});
    return fits ? limits_put(a->limits, from->level, from->slot, &d.terms, clock_wall())
                : ERR_VALUE_INVALID;
}

/* ---- whose ---- */

static struct span id_of(const struct access *a, enum directory_kind kind, uint32_t slot)
{
    const struct directory_entry *e = directory_find(a->directory, kind, slot);
    return e == NULL ? SPAN("") : span_of(e->id);
}

/* What a team says of each of its keys, or users. */
static const struct access_rows *find_each(const struct access *a, uint32_t team, struct span end)
{
    char id[ACCESS_ID_BYTES];
    struct span team_id = id_of(a, DIRECTORY_TEAM, team);
    (void)snprintf(id, sizeof(id), "%.*s%.*s", SPAN_ARGS(team_id), SPAN_ARGS(end)); /* fits */
    return team_id.len == 0 ? NULL : access_book_find(&a->book, span_of(id));
}

static const struct access_rows *find_plan(const struct access *a, uint32_t plan)
{
    return access_book_find(&a->book, id_of(a, DIRECTORY_PLAN, plan));
}

enum err access_put_key_terms(struct access *a, uint32_t slot, struct span id,
                              const struct key_bonds *bonds)
{
    const struct sources from = {.level = LIMITS_KEY,
                                 .slot = slot,
                                 .id = id,
                                 .own = access_book_find(&a->book, id),
                                 .plan = find_plan(a, bonds->plan),
                                 .each = find_each(a, bonds->team, EACH_KEY)};
    return put(a, &from);
}

enum err access_put_terms(struct access *a, enum directory_kind kind, uint32_t slot)
{
    static const enum limits_level levels[DIRECTORY_KINDS] = {
        [DIRECTORY_ORGANISATION] = LIMITS_ORGANISATION,
        [DIRECTORY_TEAM] = LIMITS_TEAM,
        [DIRECTORY_USER] = LIMITS_USER,
        [DIRECTORY_PLAN] = LIMITS_LEVELS,
        [DIRECTORY_TAG] = LIMITS_TAG,
    };
    const struct directory_entry *e = directory_find(a->directory, kind, slot);
    if (e == NULL || levels[kind] == LIMITS_LEVELS) {
        return ERR_OK;
    }
    struct sources from = {.level = levels[kind],
                           .slot = slot,
                           .id = span_of(e->id),
                           .own = access_book_find(&a->book, span_of(e->id)),
                           .plan = find_plan(a, e->plan)};
    if (kind == DIRECTORY_USER) {
        from.each = find_each(a, e->team, EACH_USER);
    }
    enum err failed = put(a, &from);
    if (failed == ERR_OK && kind == DIRECTORY_TAG) {
        access_tags_refresh(a, slot);
    }
    return failed;
}

/* ---- all that some rows are of ---- */

static enum err refresh_key(struct access *a, uint32_t slot)
{
    const struct key_slot *key = key_table_slot(keys_table(a->keys), slot);
    const struct key_bonds bonds = {atomic_load(&key->team), atomic_load(&key->user),
                                    atomic_load(&key->plan)};
    return access_put_key_terms(a, slot, span_make(key->id, KEY_ID_CHARS), &bonds);
}

/* Of all keys of a team, or with SLOTS_NONE of all teams, that have a plan (SLOTS_NONE: any). */
static enum err refresh_keys(struct access *a, uint32_t team, uint32_t plan)
{
    size_t count = a->keys == NULL ? 0 : key_table_count(keys_table(a->keys));
    enum err e = ERR_OK;
    for (uint32_t slot = 0; e == ERR_OK && slot < count; slot++) {
        const struct key_slot *key = key_table_slot(keys_table(a->keys), slot);
        if ((team == SLOTS_NONE || atomic_load(&key->team) == team) &&
            (plan == SLOTS_NONE || atomic_load(&key->plan) == plan)) {
            e = refresh_key(a, slot);
        }
    }
    return e;
}

static enum err refresh_users(struct access *a, uint32_t team)
{
    enum err e = ERR_OK;
    for (uint32_t slot = 0; e == ERR_OK && slot < directory_count(a->directory, DIRECTORY_USER);
         slot++) {
        const struct directory_entry *user = directory_find(a->directory, DIRECTORY_USER, slot);
        if (user != NULL && user->team == team) {
            e = access_put_terms(a, DIRECTORY_USER, slot);
        }
    }
    return e;
}

static enum err refresh_plan(struct access *a, uint32_t plan)
{
    enum err e = ERR_OK;
    for (uint32_t slot = 0; e == ERR_OK && slot < directory_count(a->directory, DIRECTORY_TEAM);
         slot++) {
        const struct directory_entry *team = directory_find(a->directory, DIRECTORY_TEAM, slot);
        if (team != NULL && team->plan == plan) {
            e = access_put_terms(a, DIRECTORY_TEAM, slot);
        }
    }
    return e == ERR_OK ? refresh_keys(a, SLOTS_NONE, plan) : e;
}

enum directory_kind access_kind_of(enum limits_level level)
{
    static const enum directory_kind kinds[LIMITS_LEVELS] = {
        [LIMITS_USER] = DIRECTORY_USER,
        [LIMITS_TEAM] = DIRECTORY_TEAM,
        [LIMITS_ORGANISATION] = DIRECTORY_ORGANISATION,
        [LIMITS_TAG] = DIRECTORY_TAG,
    };
    return kinds[level];
}

bool access_find_subject(const struct access *a, struct span id, enum limits_level *level,
                         uint32_t *slot)
{
    static const struct {
        enum directory_kind kind;
        enum limits_level level;
    } rows[] = {{DIRECTORY_ORGANISATION, LIMITS_ORGANISATION},
                {DIRECTORY_TEAM, LIMITS_TEAM},
                {DIRECTORY_USER, LIMITS_USER},
                {DIRECTORY_TAG, LIMITS_TAG}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        *level = rows[i].level;
        *slot = directory_slot(a->directory, rows[i].kind, id);
        if (*slot != SLOTS_NONE) {
            return true;
        }
    }
    *level = LIMITS_KEY;
    return a->keys != NULL && key_table_find(keys_table(a->keys), id, slot);
}

static enum err refresh_subject(struct access *a, struct span id)
{
    enum limits_level level;
    uint32_t slot;
    if (!access_find_subject(a, id, &level, &slot)) {
        return ERR_OK;
    }
    return level == LIMITS_KEY ? refresh_key(a, slot)
                               : access_put_terms(a, access_kind_of(level), slot);
}

enum err access_refresh(struct access *a, struct span id)
{
    struct span team = span_cut(id, 0, span_find(id, '/', 0));
    uint32_t slot = directory_slot(a->directory, DIRECTORY_TEAM, team);
    if (span_ends(id, EACH_KEY)) {
        return slot == SLOTS_NONE ? ERR_OK : refresh_keys(a, slot, SLOTS_NONE);
    }
    if (span_ends(id, EACH_USER)) {
        return slot == SLOTS_NONE ? ERR_OK : refresh_users(a, slot);
    }
    uint32_t plan = directory_slot(a->directory, DIRECTORY_PLAN, id);
    return plan != SLOTS_NONE ? refresh_plan(a, plan) : refresh_subject(a, id);
}
