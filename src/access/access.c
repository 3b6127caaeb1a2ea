/* SPDX-License-Identifier: Apache-2.0 */
#include "access/access_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/money.h"
#include "store/store_change.h"

#define BUDGET_PREFIX SPAN("budget_")

/* Whose a key is, and what it may: before it works. */
static enum err bind(void *ctx, uint32_t slot, const struct store_key *row, struct key_grant *grant,
                     struct key_bonds *out)
{
    struct access *a = ctx;
    out->team = directory_slot(a->directory, DIRECTORY_TEAM, row->team);
    out->user = directory_slot(a->directory, DIRECTORY_USER, row->user);
    out->plan = directory_slot(a->directory, DIRECTORY_PLAN, row->plan);
    bool is_whole = (row->team.len == 0 || out->team != SLOTS_NONE) &&
                    (row->user.len == 0 || out->user != SLOTS_NONE) &&
                    (row->plan.len == 0 || out->plan != SLOTS_NONE);
    enum err e = is_whole ? access_tags_mark(a, grant) : ERR_NOT_FOUND_ROW;
    return e == ERR_OK ? access_put_key_terms(a, slot, row->id, out) : e;
}

enum err access_open(struct keys *keys, struct access **out)
{
    struct access *a = memory_new(sizeof(*a));
    if (a == NULL) {
        return ERR_NO_MEMORY;
    }
    a->keys = keys;
    access_tags_init(&a->tags);
    enum err e = access_book_init(&a->book);
    if (e == ERR_OK) {
        e = directory_open(&a->directory);
    }
    if (e == ERR_OK) {
        e = limits_open(&a->limits);
    }
    if (e != ERR_OK) {
        access_close(&a);
        return e;
    }
    if (keys != NULL) {
        keys_set_bind(keys, bind, a);
    }
    *out = a;
    return ERR_OK;
}

void access_close(struct access **access)
{
    struct access *a = *access;
    if (a == NULL) {
        return;
    }
    *access = NULL;
    limits_close(&a->limits);
    directory_close(&a->directory);
    access_book_fini(&a->book);
    access_tags_fini(&a->tags);
    memory_free(a);
}

const struct directory *access_directory(const struct access *a)
{
    return a->directory;
}

const struct limits *access_limits(const struct access *a)
{
    return a->limits;
}

void access_set_turned(struct access *a, mono_us turned)
{
    atomic_store_explicit(&a->turned_us, turned.us, memory_order_release);
    if (a->keys != NULL) {
        keys_set_turned(a->keys, turned);
    }
}

void access_look_for_ends(struct access *a, wall_us now)
{
    if (access_revision(a) == a->ends.revision && now.us < a->ends.next_us) {
        return;
    }
    bool is_over = false;
    int64_t next_us = INT64_MAX;
    uint32_t count = directory_count(a->directory, DIRECTORY_TEAM);
    a->ends.revision = access_revision(a);
    for (uint32_t slot = 0; slot < count; slot++) {
        const struct directory_entry *team = directory_find(a->directory, DIRECTORY_TEAM, slot);
        int64_t at = team == NULL || team->expires.us == 0 ? INT64_MAX : team->expires.us;
        is_over = is_over || (at <= now.us && at > a->ends.looked_us);
        next_us = at > now.us && at < next_us ? at : next_us;
    }
    a->ends.looked_us = now.us;
    a->ends.next_us = next_us;
    if (is_over) {
        atomic_fetch_add_explicit(&a->revision, 1, memory_order_release);
    }
}

uint64_t access_revision(const struct access *a)
{
    return a == NULL ? 0 : atomic_load_explicit(&a->revision, memory_order_acquire);
}

/* ---- loading ---- */

struct loading {
    struct access *a;
    struct access_report *report;
};

static enum err on_limit(void *context, const void *given)
{
    struct loading *l = context;
    const struct store_limit *row = given;
    if (row->is_damaged) {
        l->report->damaged++;
        return ERR_OK;
    }
    return access_book_put_limit(&l->a->book, row);
}

static enum err on_budget(void *context, const void *given)
{
    struct loading *l = context;
    const struct store_budget *row = given;
    bool zone_is_known;
    if (row->is_damaged) {
        l->report->damaged++;
        return ERR_OK;
    }
    enum err e = access_book_put_budget(&l->a->book, row, &zone_is_known);
    l->report->zones += e == ERR_OK && !zone_is_known;
    return e;
}

/* Puts the terms of all there are into force; who has more budgets than may be keeps to none. */
static enum err put_all_terms(struct loading *l)
{
    enum err e = ERR_OK;
    for (int kind = 0; e == ERR_OK && kind < DIRECTORY_KINDS; kind++) {
        uint32_t count = directory_count(l->a->directory, (enum directory_kind)kind);
        for (uint32_t slot = 0; e == ERR_OK && slot < count; slot++) {
            e = access_put_terms(l->a, (enum directory_kind)kind, slot);
            l->report->damaged += e == ERR_VALUE_INVALID;
            e = e == ERR_VALUE_INVALID ? ERR_OK : e;
        }
    }
    return e;
}

enum err access_load(struct access *a, struct store *s, struct access_report *report)
{
    const struct store_page all = {.limit = INT64_MAX};
    *report = (struct access_report){0};
    struct loading l = {a, report};
    enum err e = directory_load(a->directory, s, &report->directory);
    if (e == ERR_OK) {
        e = store_limit_page(s, STORE_INDEX_LIMIT_BY_NUMBER, &all, on_limit, &l);
    }
    if (e == ERR_OK) {
        e = store_budget_page(s, STORE_INDEX_BUDGET_BY_NUMBER, &all, on_budget, &l);
    }
    if (e == ERR_OK) {
        e = access_tags_load(a);
    }
    return e == ERR_OK ? put_all_terms(&l) : e;
}

/* The subject and level of a balance's id: `day/SUBJECT`, `BUDGET/CHILD`, `BUDGET`. */
static bool find_of_balance(const struct access *a, struct span id, enum limits_level *level,
                            uint32_t *slot)
{
    size_t cut = span_find(id, '/', 0);
    if (cut < id.len) {
        return access_find_subject(a, span_cut(id, cut + 1, id.len), level, slot);
    }
    const struct access_budget *b = access_book_budget(&a->book, id);
    return b != NULL && access_find_subject(a, span_of(b->subject), level, slot);
}

static enum err on_balance(void *context, const void *given)
{
    const struct access *a = context;
    const struct store_balance *row = given;
    enum limits_level level;
    uint32_t slot;
    if (!row->is_damaged && find_of_balance(a, row->budget, &level, &slot)) {
        bool counts =
            limits_budget_restore(a->limits, level, slot, row->budget, row->begins, row->spent);
        (void)counts; /* not if it was ended, or its window is over */
    }
    return ERR_OK;
}

enum err access_restore(struct access *a, struct store *s)
{
    const struct store_page all = {.limit = INT64_MAX};
    return store_balance_page(s, STORE_INDEX_BALANCE_BY_BUDGET, &all, on_balance, a);
}

/* ---- changing ---- */

static enum err take_in_entry(struct access *a, enum directory_kind kind, const void *row)
{
    const struct directory_entry *entry;
    directory_tidy(a->directory, (mono_us){atomic_load(&a->turned_us)});
    enum err e = directory_apply(a->directory, kind, row, &entry);
    if (e == ERR_OK && kind == DIRECTORY_TAG) {
        e = access_tags_add(a, entry);
    }
    return e == ERR_OK ? access_put_terms(a, kind, entry->slot) : e;
}

static enum err take_in_budget(struct access *a, const struct store_budget *row)
{
    bool zone_is_known;
    enum err e = access_book_put_budget(&a->book, row, &zone_is_known);
    return e == ERR_OK ? access_refresh(a, row->subject) : e;
}

static enum err take_in_limit(struct access *a, const struct store_limit *row)
{
    enum err e = access_book_put_limit(&a->book, row);
    return e == ERR_OK ? access_refresh(a, row->id) : e;
}

static enum err take_in(struct access *a, enum store_table_id table, const void *row)
{
    static const struct {
        enum store_table_id table;
        enum directory_kind kind;
    } entries[] = {{STORE_TABLE_ORGANISATION, DIRECTORY_ORGANISATION},
                   {STORE_TABLE_TEAM, DIRECTORY_TEAM},
                   {STORE_TABLE_USER, DIRECTORY_USER},
                   {STORE_TABLE_PLAN, DIRECTORY_PLAN},
                   {STORE_TABLE_TAG, DIRECTORY_TAG}};
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        if (entries[i].table == table) {
            return take_in_entry(a, entries[i].kind, row);
        }
    }
    CHECK(table == STORE_TABLE_LIMIT || table == STORE_TABLE_BUDGET);
    return table == STORE_TABLE_LIMIT ? take_in_limit(a, row) : take_in_budget(a, row);
}

enum err access_change(struct access *a, struct store *s, enum store_table_id table,
                       const void *row, const char *verb, struct span actor)
{
    enum err e = store_change(s, table, row, false, verb, actor);
    if (e != ERR_OK) {
        return e;
    }
    enum err settled =
        store_settle(s); /* even if it is not sure: it is what is shown from now on */
    e = take_in(a, table, row);
    atomic_fetch_add_explicit(&a->revision, 1, memory_order_release);
    enum err follows = store_catch_up(s);
    (void)follows; /* the journal's health tells of it (journal_apply.h) */
    return settled != ERR_OK ? settled : e;
}

/* ---- telling ---- */

static void write_amount(const struct limits_wish *budget, int64_t amount, char *out, size_t size)
{
    char money[MONEY_TEXT_BYTES];
    if (budget->kind == LIMITS_MONEY_BUDGET) {
        money_write(amount, 6, money);
        (void)snprintf(out, size, "%s %s", money, budget->currency); /* fits */
    } else {
        (void)snprintf(out, size, "%lld tokens", (long long)amount); /* fits */
    }
}

static void on_step(void *context, const struct limits_event *event)
{
    static const char *const levels[LIMITS_LEVELS] = {"key", "user", "team", "organisation", "tag"};
    static const char *const windows[] = {"daily", "weekly", "monthly", "total"};
    const struct access *a = context;
    char spent[64], limit[64];
    struct span name = access_name(a, event->level, event->slot);
    write_amount(event->budget, event->balance.spent, spent, sizeof(spent));
    write_amount(event->budget, event->limit, limit, sizeof(limit));
    for (int i = 0; i < LIMITS_STEPS; i++) {
        if ((event->steps >> i & 1) != 0) {
            log_warn("budget_threshold", "%d %% of the %s budget %s of %s %.*s is spent: %s of %s",
                     limits_step_percent(i), windows[event->budget->span], event->budget->id,
                     levels[event->level], SPAN_ARGS(span_cut_text(name, 64)), spent, limit);
        }
    }
}

void access_tell_budgets(struct access *a, wall_us now)
{
    uint64_t news = limits_news(a->limits);
    if (news != a->news_told) {
        a->news_told = news;
        limits_tell(a->limits, now, on_step, a);
    }
}

/* ---- looking ---- */

static bool has_ended(const struct access *a, enum directory_kind kind, uint32_t slot, wall_us now)
{
    const struct directory_entry *e = directory_find(a->directory, kind, slot);
    return e != NULL && directory_has_ended(e, now);
}

enum err access_look(const struct access *a, const struct key_handle *key, wall_us now,
                     struct limits_subjects *out)
{
    *out = (struct limits_subjects)LIMITS_SUBJECTS_NONE;
    out->slot[LIMITS_KEY] = key->slot;
    out->slot[LIMITS_USER] = key->user;
    out->slot[LIMITS_TEAM] = key->team;
    access_put_tags(a, key->slot, out);
    if (key->team == SLOTS_NONE) {
        return ERR_OK;
    }
    const struct directory_entry *team = directory_find(a->directory, DIRECTORY_TEAM, key->team);
    out->slot[LIMITS_ORGANISATION] = team->organisation;
    if (directory_has_ended(team, now) ||
        has_ended(a, DIRECTORY_ORGANISATION, team->organisation, now)) {
        return ERR_TEAM_ENDED;
    }
    return has_ended(a, DIRECTORY_USER, key->user, now) ? ERR_USER_ENDED : ERR_OK;
}

static const struct directory_entry *find_entry(const struct access *a, enum limits_level level,
                                                uint32_t slot)
{
    return level == LIMITS_KEY || slot == SLOTS_NONE
               ? NULL
               : directory_find(a->directory, access_kind_of(level), slot);
}

struct span access_id(const struct access *a, enum limits_level level, uint32_t slot)
{
    const struct directory_entry *e = find_entry(a, level, slot);
    return e == NULL ? SPAN("") : span_of(e->id);
}

struct span access_name(const struct access *a, enum limits_level level, uint32_t slot)
{
    const struct directory_entry *e = find_entry(a, level, slot);
    if (level == LIMITS_KEY && a->keys != NULL && slot != SLOTS_NONE) {
        return span_make(key_table_slot(keys_table(a->keys), slot)->id, KEY_ID_CHARS);
    }
    return e == NULL ? SPAN("") : e->name;
}

bool access_admits(const struct access *a, const struct key_handle *key, const struct net_ip *from)
{
    return a->keys == NULL || key_grant_admits(keys_grant(a->keys, key->slot), from);
}

static bool permits(struct span models, struct span asked, struct span name)
{
    return directory_may_use(models, name) || directory_may_use(models, asked);
}

struct access_models access_models_of(const struct access *a, const struct key_handle *key,
                                      const struct limits_subjects *who)
{
    const struct key_grant *grant = a->keys == NULL ? NULL : keys_grant(a->keys, key->slot);
    const struct directory_entry *team =
        who->slot[LIMITS_TEAM] == SLOTS_NONE
            ? NULL
            : directory_find(a->directory, DIRECTORY_TEAM, who->slot[LIMITS_TEAM]);
    return (struct access_models){grant == NULL ? SPAN("") : grant->says.models,
                                  team == NULL ? SPAN("") : team->models};
}

bool access_permits(const struct access *a, const struct key_handle *key,
                    const struct limits_subjects *who, struct span asked, struct span name)
{
    struct access_models bounds = access_models_of(a, key, who);
    return permits(bounds.key, asked, name) && permits(bounds.team, asked, name);
}

struct access_numbers access_numbers(const struct access *a, struct span id)
{
    const struct access_rows *rows = access_book_find(&a->book, id);
    if (rows == NULL) {
        return (struct access_numbers){0};
    }
    return (struct access_numbers){.requests_per_minute = rows->numbers.requests_per_minute,
                                   .burst = rows->numbers.burst,
                                   .tokens_per_minute = rows->numbers.tokens_per_minute,
                                   .tokens_per_day = rows->tokens_per_day,
                                   .concurrent = rows->numbers.concurrent,
                                   .max_tokens = rows->numbers.answer_tokens,
                                   .priority = rows->numbers.priority};
}

size_t access_count_budgets(const struct access *a, struct span id)
{
    const struct access_rows *rows = access_book_find(&a->book, id);
    size_t count = 0;
    for (const struct access_budget *b = rows == NULL ? NULL : rows->budgets; b != NULL;
         b = b->next) {
        count++;
    }
    return count;
}

bool access_balance(const struct access *a, struct span id, wall_us now, struct limits_balance *out)
{
    enum limits_level level;
    uint32_t slot;
    struct span found = id;
    if (span_starts(found, BUDGET_PREFIX)) {
        found = span_cut(found, BUDGET_PREFIX.len, found.len);
    }
    if (find_of_balance(a, found, &level, &slot)) {
        return limits_budget_look(a->limits, level, slot, found, now, out);
    }
    const struct access_budget *b = access_book_budget(&a->book, found);
    if (b != NULL) { /* a template: each child has its own of the same window */
        *out = (struct limits_balance){
            .range = limits_range_of(b->wish.zone, b->wish.span, b->wish.week_start, now)};
    }
    return b != NULL;
}
