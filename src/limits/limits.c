/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c — which terms hold for whom.
 *
 * What was replaced is freed when all readers' loops have turned. A budget that is held is kept
 * besides until nobody holds of it.
 */
#include "limits/limits_internal.h"

#include <string.h>

#include "base/map.h"
#include "base/memory.h"

#define KEPT_MAX 65536
#define SWEEP_US INT64_C(3600000000)

struct limits {
    struct slots sets[LIMITS_LEVELS]; /* struct limits_set */
    struct retired_list retired_sets, retired_budgets;
    /* Budgets that are in force no more and whose windows are: one of the same id goes on. */
    struct map kept;
    wall_us sweep;                 /* not before */
    uint32_t count[LIMITS_LEVELS]; /* slots that were ever put, and those before */
    _Atomic uint64_t news;
    _Atomic int64_t high; /* subjects whose terms say that priority */
};

const struct limits_set *limits_find(const struct limits *l, enum limits_level level, uint32_t slot)
{
    return slots_find(&l->sets[level], slot);
}

bool limits_has(const struct limits *l, enum limits_level level, uint32_t slot)
{
    return limits_find(l, level, slot) != NULL;
}

enum err limits_open(struct limits **out)
{
    struct limits *l = memory_new(sizeof(*l));
    if (l == NULL) {
        return ERR_NO_MEMORY;
    }
    map_init(&l->kept);
    *out = l;
    return ERR_OK;
}

static bool free_set(struct retired *block)
{
    memory_free(block);
    return true;
}

static bool free_budget(struct retired *block)
{
    struct limits_budget *b = (struct limits_budget *)block;
    bool is_held = false;
    for (int i = 0; i < LIMITS_WINDOWS; i++) {
        is_held = is_held || atomic_load(&b->windows.rooms[i].users) != 0;
    }
    if (!is_held) {
        memory_free(b);
    }
    return !is_held;
}

void limits_tidy(struct limits *l, mono_us turned)
{
    retired_tidy(&l->retired_sets, turned, free_set);
    retired_tidy(&l->retired_budgets, turned, free_budget);
}

static void free_all(void *one)
{
    struct limits_set *set = one;
    for (size_t i = 0; i < set->budget_count; i++) {
        memory_free(set->budgets[i]);
    }
    memory_free(set->account);
    memory_free(set);
}

/* Those whose windows are over are only waited for. */
static void forget_kept(struct limits *l, wall_us today)
{
    for (size_t i = 0; i < l->kept.cap;) {
        struct limits_budget *b = l->kept.slots[i].value;
        bool is_over = b != NULL && limits_windows_end(&b->windows).us <= today.us;
        if (is_over) {
            map_take(&l->kept, span_of(b->is.id)); /* another may take its place in the map */
            retired_add(&l->retired_budgets, &b->retired);
        }
        i += is_over ? 0 : 1;
    }
}

void limits_close(struct limits **l)
{
    if (*l == NULL) {
        return;
    }
    forget_kept(*l, (wall_us){INT64_MAX});
    map_fini(&(*l)->kept);
    limits_tidy(*l, (mono_us){INT64_MAX});
    CHECK((*l)->retired_budgets.first == NULL); /* nobody holds anything */
    for (size_t level = 0; level < LIMITS_LEVELS; level++) {
        slots_fini(&(*l)->sets[level], free_all);
    }
    memory_free(*l);
    *l = NULL;
}

/* ---- terms ---- */

static bool may_be_paced(int64_t per_minute, int64_t burst)
{
    return per_minute >= 0 && per_minute <= LIMITS_RATE_MAX && burst >= 0 &&
           burst <= per_minute * LIMITS_BURST_MINUTES;
}

static bool may_be_wished(const struct limits_wish *w)
{
    return w->limit >= 0 && w->zone != NULL && w->week_start >= 0 && w->week_start < 7 &&
           (w->kind == LIMITS_TOKEN_BUDGET || w->kind == LIMITS_MONEY_BUDGET);
}

static bool are_valid(const struct limits_terms *t)
{
    bool are = may_be_paced(t->requests_per_minute, t->burst) &&
               may_be_paced(t->tokens_per_minute, 0) && t->concurrent >= 0 &&
               t->answer_tokens >= 0 && t->budget_count <= LIMITS_BUDGETS_MAX;
    for (size_t i = 0; are && i < t->budget_count; i++) {
        are = may_be_wished(&t->budgets[i]);
    }
    return are;
}

static bool is_same_budget(const struct limits_wish *a, const struct limits_wish *b)
{
    return strcmp(a->id, b->id) == 0 && a->kind == b->kind &&
           strcmp(a->currency, b->currency) == 0 && strcmp(a->model, b->model) == 0 &&
           a->span == b->span && a->zone == b->zone && a->week_start == b->week_start;
}

static struct limits_budget *find_same(const struct limits_set *set, const struct limits_wish *wish)
{
    for (size_t i = 0; set != NULL && i < set->budget_count; i++) {
        if (is_same_budget(&set->budgets[i]->is, wish)) {
            return set->budgets[i];
        }
    }
    return NULL;
}

static struct limits_budget *budget_new(struct limits *l, const struct limits_wish *wish,
                                        wall_us today)
{
    struct limits_budget *b = map_find(&l->kept, span_of(wish->id));
    if (b != NULL && is_same_budget(&b->is, wish)) {
        map_take(&l->kept, span_of(wish->id));
        return b;
    }
    b = memory_new(sizeof(*b));
    if (b != NULL) {
        b->is = *wish;
        b->news = &l->news;
        limits_windows_init(&b->windows, wish->zone, wish->span, wish->week_start, today);
    }
    return b;
}

/* Frees terms that were not published: what `before` has, too, is not theirs. */
static void discard(struct limits *l, struct limits_set *set, const struct limits_set *before)
{
    for (size_t i = 0; i < set->budget_count; i++) {
        if (find_same(before, &set->budgets[i]->is) == NULL) {
            retired_add(&l->retired_budgets, &set->budgets[i]->retired);
        }
    }
    if (before == NULL) {
        memory_free(set->account);
    }
    memory_free(set);
}

static struct limits_pace pace_of(int64_t per_minute, int64_t burst)
{
    struct limits_pace none = {0};
    return per_minute == 0 ? none : limits_pace_of(per_minute, burst == 0 ? per_minute : burst);
}

static struct limits_set *set_new(struct limits *l, const struct limits_terms *t,
                                  const struct limits_set *before, wall_us today)
{
    struct limits_set *set = memory_new(sizeof(*set) + t->budget_count * sizeof(set->budgets[0]));
    if (set == NULL) {
        return NULL;
    }
    set->account = before != NULL ? before->account : memory_new(sizeof(*set->account));
    set->requests = pace_of(t->requests_per_minute, t->burst);
    set->tokens = pace_of(t->tokens_per_minute, 0);
    set->requests_per_minute = t->requests_per_minute;
    set->tokens_per_minute = t->tokens_per_minute;
    set->concurrent = t->concurrent;
    set->answer_tokens = t->answer_tokens;
    set->priority = t->priority;
    bool is_whole = set->account != NULL;
    for (size_t i = 0; is_whole && i < t->budget_count; i++) {
        struct limits_budget *same = find_same(before, &t->budgets[i]);
        struct limits_budget *b = same != NULL ? same : budget_new(l, &t->budgets[i], today);
        is_whole = b != NULL;
        if (is_whole) {
            set->budgets[set->budget_count++] = b;
        }
    }
    if (!is_whole) {
        discard(l, set, before);
        return NULL;
    }
    return set;
}

/* Keeps a budget until its window is over, if there is room: else what was spent is forgotten. */
static void keep(struct limits *l, struct limits_budget *b, wall_us today)
{
    if (l->kept.count >= KEPT_MAX && today.us >= l->sweep.us) { /* all of it is looked at: seldom */
        l->sweep.us = today.us + SWEEP_US;
        forget_kept(l, today);
    }
    struct limits_budget *other = map_find(&l->kept, span_of(b->is.id));
    if (other != NULL) {
        map_take(&l->kept, span_of(b->is.id));
        retired_add(&l->retired_budgets, &other->retired);
    }
    if (limits_windows_are_new(&b->windows) || l->kept.count >= KEPT_MAX ||
        map_put_borrow(&l->kept, span_of(b->is.id), b) != ERR_OK) {
        retired_add(&l->retired_budgets, &b->retired);
    }
}

static void retire(struct limits *l, struct limits_set *before, const struct limits_set *after,
                   wall_us today)
{
    for (size_t i = 0; i < before->budget_count; i++) {
        struct limits_budget *b = before->budgets[i];
        if (find_same(after, &b->is) == NULL) {
            keep(l, b, today);
        }
    }
    retired_add(&l->retired_sets, &before->retired);
}

/* Who is given more, or less, need not wait until what was taken by the old pace is back. */
static void change_rates(const struct limits_set *set, const struct limits_set *before)
{
    mono_us now = clock_mono();
    if (set->requests.each != before->requests.each && set->requests.each != 0 &&
        before->requests.each != 0) {
        limits_rate_change(&set->account->requests, before->requests, set->requests, now);
    }
    if (set->tokens.each != before->tokens.each && set->tokens.each != 0 &&
        before->tokens.each != 0) {
        limits_rate_change(&set->account->tokens, before->tokens, set->tokens, now);
    }
}

static bool is_high(const struct limits_set *set)
{
    return set != NULL && set->priority == LIMITS_HIGH;
}

int64_t limits_high(const struct limits *l)
{
    return atomic_load_explicit(&l->high, memory_order_relaxed);
}

enum err limits_put(struct limits *l, enum limits_level level, uint32_t slot,
                    const struct limits_terms *terms, wall_us today)
{
    CHECK(level < LIMITS_LEVELS && slot < SLOTS_MAX);
    if (!are_valid(terms)) {
        return ERR_VALUE_INVALID;
    }
    slots_place *place = slots_make(&l->sets[level], slot);
    if (place == NULL) {
        return ERR_NO_MEMORY;
    }
    struct limits_set *before = atomic_load(place);
    struct limits_set *set = set_new(l, terms, before, today);
    bool is_news = false;
    if (set == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < set->budget_count; i++) {
        atomic_store(&set->budgets[i]->limit, terms->budgets[i].limit);
        is_news |= limits_windows_change(&set->budgets[i]->windows, terms->budgets[i].limit);
    }
    (void)atomic_exchange(place, set); /* `before`: nobody else puts terms */
    (void)atomic_fetch_add(&l->news, is_news);
    (void)atomic_fetch_add(&l->high, is_high(set) - is_high(before));
    l->count[level] = slot < l->count[level] ? l->count[level] : slot + 1;
    if (before != NULL) {
        change_rates(set, before);
        retire(l, before, set, today);
    }
    return ERR_OK;
}

/* ---- budgets ---- */

static struct limits_budget *budget_find(const struct limits *l, enum limits_level level,
                                         uint32_t slot, struct span id)
{
    const struct limits_set *set = limits_find(l, level, slot);
    for (size_t i = 0; set != NULL && i < set->budget_count; i++) {
        if (span_equal(span_of(set->budgets[i]->is.id), id)) {
            return set->budgets[i];
        }
    }
    return NULL;
}

bool limits_budget_look(const struct limits *l, enum limits_level level, uint32_t slot,
                        struct span id, wall_us today, struct limits_balance *out)
{
    struct limits_budget *b = budget_find(l, level, slot, id);
    if (b != NULL) {
        limits_windows_look(&b->windows, today, out);
    }
    return b != NULL;
}

bool limits_budget_at(const struct limits *l, enum limits_level level, uint32_t slot, size_t i,
                      wall_us now, struct limits_standing_budget *out)
{
    const struct limits_set *set = limits_find(l, level, slot);
    if (set == NULL || i >= set->budget_count) {
        return false;
    }
    struct limits_budget *b = set->budgets[i];
    out->is = &b->is;
    out->limit = atomic_load(&b->limit);
    limits_windows_look(&b->windows, now, &out->balance);
    return true;
}

static int used_percent(struct limits_budget *b, wall_us now)
{
    struct limits_balance balance;
    int64_t limit = atomic_load(&b->limit);
    limits_windows_peek(&b->windows, now, &balance);
    int64_t taken = balance.spent + balance.held;
    if (taken >= limit) {
        return 100; /* of one that allows nothing, too */
    }
    /* Of a large one both are cut: a product of 100 would not fit. */
    int64_t cut = limit > INT64_MAX / 100 ? 100 : 1;
    return (int)(taken / cut * 100 / (limit / cut));
}

int limits_used_percent(const struct limits *l, const struct limits_subjects *who,
                        struct span model, struct span asked, wall_us now)
{
    int most = 0;
    for (size_t place = 0; place < LIMITS_SLOTS; place++) {
        const struct limits_set *set = limits_set_at(l, who, place);
        for (size_t i = 0; set != NULL && i < set->budget_count; i++) {
            struct limits_budget *b = set->budgets[i];
            int used = limits_counts(b, model, asked) ? used_percent(b, now) : 0;
            most = used > most ? used : most;
        }
    }
    return most;
}

bool limits_budget_restore(const struct limits *l, enum limits_level level, uint32_t slot,
                           struct span id, wall_us at, int64_t spent)
{
    struct limits_budget *b = budget_find(l, level, slot, id);
    if (b != NULL) {
        limits_windows_restore(&b->windows, at, atomic_load(&b->limit), spent);
    }
    return b != NULL;
}

uint64_t limits_news(const struct limits *l)
{
    return atomic_load_explicit(&l->news, memory_order_acquire);
}

static void tell_set(const struct limits *l, const struct limits_event *at, wall_us now,
                     limits_on_step *on_step, void *context)
{
    const struct limits_set *set = limits_find(l, at->level, at->slot);
    for (size_t i = 0; set != NULL && i < set->budget_count; i++) {
        struct limits_budget *b = set->budgets[i];
        struct limits_event event = *at;
        event.steps = limits_windows_news(&b->windows, now, &event.balance);
        event.budget = &b->is;
        event.limit = atomic_load(&b->limit);
        if (event.steps != 0) {
            on_step(context, &event);
        }
    }
}

void limits_tell(const struct limits *l, wall_us now, limits_on_step *on_step, void *context)
{
    for (int level = 0; level < LIMITS_LEVELS; level++) {
        for (uint32_t slot = 0; slot < l->count[level]; slot++) {
            const struct limits_event at = {.level = (enum limits_level)level, .slot = slot};
            tell_set(l, &at, now, on_step, context);
        }
    }
}
