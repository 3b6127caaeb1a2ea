/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_hold.c — taking from the accounts of all levels, or from none.
 *
 * Each part is one compare-and-swap. A refusal gives back what the call has taken on its way there;
 * for that moment another may be refused that would have fitted, never one more let through.
 */
#include "limits/limits_internal.h"

#include <stdio.h>
#include <string.h>

struct limits_part {
    enum limits_kind kind;
    enum limits_level level;
    uint32_t slot;
    struct limits_account *account;
    struct limits_pace pace;
    struct limits_taken taken;
    struct limits_budget *budget;
    struct limits_share share;
};

/* Where a part is taken, and what is to be said if there is none. */
struct limits_taking {
    struct limits_hold *hold;
    struct limits_refusal *why;
    enum limits_level level;
    uint32_t slot;
    const struct limits_set *set;
};

size_t limits_part_bytes(void)
{
    return sizeof(struct limits_part);
}

size_t limits_parts_most(const struct limits *l, const struct limits_subjects *who)
{
    size_t most = 0;
    for (size_t i = 0; i < LIMITS_SLOTS; i++) {
        const struct limits_set *set = limits_set_at(l, who, i);
        most += set == NULL ? 0
                            : (set->requests.each > 0) + (set->tokens.each > 0) +
                                  (set->concurrent > 0) + set->budget_count;
    }
    return most;
}

/* ---- giving back ---- */

static int64_t unused_of(int64_t had, int64_t used)
{
    return had > used ? had - used : 0;
}

static void settle_tokens(struct limits_part *part, int64_t tokens, mono_us now)
{
    struct limits_rate *rate = &part->account->tokens;
    (void)atomic_fetch_sub(&part->account->held, part->taken.count);
    if (tokens > part->taken.count) {
        limits_rate_charge(rate, part->pace, tokens - part->taken.count, now);
    } else {
        limits_rate_give_back(rate, part->pace, part->taken, unused_of(part->taken.count, tokens),
                              now);
    }
}

static void settle_budget(struct limits_part *part, int64_t used)
{
    const struct limits_budget *b = part->budget;
    _Atomic uint64_t *news = b->news; /* a budget that was ended may be freed once it is settled */
    if (limits_share_settle(&part->share, atomic_load(&b->limit), used)) {
        (void)atomic_fetch_add(news, 1);
    }
}

static void settle_part(struct limits_part *part, int64_t tokens, int64_t nano, mono_us now)
{
    switch (part->kind) {
    case LIMITS_REQUESTS: /* a request that was let through is one */
        break;
    case LIMITS_TOKENS:
        settle_tokens(part, tokens, now);
        break;
    case LIMITS_CONCURRENT:
        (void)atomic_fetch_sub(&part->account->running, 1);
        break;
    case LIMITS_TOKEN_BUDGET:
        settle_budget(part, tokens);
        break;
    case LIMITS_MONEY_BUDGET:
        settle_budget(part, nano);
        break;
    }
}

void limits_settle(struct limits_hold *hold, int64_t tokens, int64_t nano, mono_us now)
{
    for (uint32_t i = 0; i < hold->count; i++) {
        settle_part(&hold->parts[i], tokens, nano, now);
    }
    hold->count = 0;
}

/* Back to `count` parts, as if the others had not been taken. */
static void undo(struct limits_hold *hold, uint32_t count, mono_us now)
{
    while (hold->count > count) {
        struct limits_part *part = &hold->parts[--hold->count];
        if (part->kind == LIMITS_REQUESTS) {
            limits_rate_give_back(&part->account->requests, part->pace, part->taken, 1, now);
        } else {
            settle_part(part, 0, 0, now);
        }
    }
}

/* ---- taking ---- */

static enum limits_outcome refuse(struct limits_taking *t, enum limits_kind kind, int64_t limit,
                                  int64_t retry_us)
{
    *t->why = (struct limits_refusal){
        .level = t->level, .slot = t->slot, .kind = kind, .limit = limit, .retry_us = retry_us};
    return LIMITS_REFUSED;
}

/* Room for one part more, with its account; NULL: there is none. */
static struct limits_part *next_part(struct limits_taking *t, enum limits_kind kind)
{
    struct limits_hold *hold = t->hold;
    if (hold->count == hold->room) {
        return NULL;
    }
    hold->parts[hold->count] = (struct limits_part){
        .kind = kind, .level = t->level, .slot = t->slot, .account = t->set->account};
    return &hold->parts[hold->count];
}

static void keep_tightest(struct limits_tightest *tightest, int64_t limit,
                          const struct limits_standing *standing)
{
    if (tightest->limit == 0 || standing->remaining < tightest->standing.remaining) {
        *tightest = (struct limits_tightest){limit, *standing};
    }
}

/* Tokens are told as they were used: what calls under way hold comes back in part, and what is told
 * shall not rise by that. `more` is held from now on. */
static void tell_tokens(struct limits_taking *t, int64_t more, struct limits_standing *standing)
{
    int64_t held = atomic_fetch_add(&t->set->account->held, more) + more;
    limits_rate_leave_out(standing, t->set->tokens, held > 0 ? held : 0);
    keep_tightest(&t->hold->tokens, t->set->tokens_per_minute, standing);
}

/* Takes so many of what a rate allows: requests or tokens. */
static enum limits_outcome take_of_rate(struct limits_taking *t, enum limits_kind kind,
                                        int64_t count, mono_us now)
{
    const struct limits_set *set = t->set;
    bool is_tokens = kind == LIMITS_TOKENS;
    struct limits_pace pace = is_tokens ? set->tokens : set->requests;
    int64_t per_minute = is_tokens ? set->tokens_per_minute : set->requests_per_minute;
    struct limits_standing standing;
    if (pace.each == 0) {
        return LIMITS_TAKEN;
    }
    struct limits_part *part = next_part(t, kind);
    if (part == NULL) {
        return LIMITS_NO_ROOM;
    }
    bool taken = limits_rate_take(is_tokens ? &set->account->tokens : &set->account->requests, pace,
                                  count, now, &standing);
    if (!taken) {
        (void)refuse(t, kind, per_minute, standing.one_more_us);
        t->why->wanted = count;
        t->why->left = standing.remaining;
        t->why->is_never = count > pace.burst;
    }
    if (is_tokens && taken) {
        tell_tokens(t, count, &standing);
    } else { /* a refusal tells what it was refused by, with all that is held */
        keep_tightest(is_tokens ? &t->hold->tokens : &t->hold->requests, per_minute, &standing);
    }
    if (!taken) {
        return LIMITS_REFUSED;
    }
    part->pace = pace;
    part->taken = (struct limits_taken){count, now};
    t->hold->count++;
    return LIMITS_TAKEN;
}

static enum limits_outcome take_place(struct limits_taking *t)
{
    const struct limits_set *set = t->set;
    if (set->concurrent == 0) {
        return LIMITS_TAKEN;
    }
    if (next_part(t, LIMITS_CONCURRENT) == NULL) {
        return LIMITS_NO_ROOM;
    }
    int64_t running = atomic_load(&set->account->running);
    do {
        if (running >= set->concurrent) {
            return refuse(t, LIMITS_CONCURRENT, set->concurrent, 0);
        }
    } while (!atomic_compare_exchange_weak(&set->account->running, &running, running + 1));
    t->hold->count++;
    return LIMITS_TAKEN;
}

static enum limits_outcome refuse_budget(struct limits_taking *t, struct limits_budget *b,
                                         int64_t wanted, wall_us now)
{
    struct limits_balance balance;
    limits_windows_look(&b->windows, now, &balance);
    (void)refuse(t, b->is.kind, atomic_load(&b->limit), 0);
    memcpy(t->why->budget, b->is.id, sizeof(t->why->budget));
    memcpy(t->why->currency, b->is.currency, sizeof(t->why->currency));
    int64_t taken = balance.spent + balance.held;
    t->why->span = b->is.span;
    t->why->wanted = wanted;
    t->why->left = t->why->limit > taken ? t->why->limit - taken : 0;
    t->why->is_never = wanted > t->why->limit;
    t->why->resets = balance.range.to;
    return LIMITS_REFUSED;
}

static enum limits_outcome take_of_budget(struct limits_taking *t, struct limits_budget *b,
                                          const struct limits_ask *ask, wall_us now)
{
    bool is_money = b->is.kind == LIMITS_MONEY_BUDGET;
    int64_t amount = is_money ? ask->nano : ask->tokens;
    if (!limits_counts(b, ask->model, ask->asked)) {
        return LIMITS_TAKEN;
    }
    struct limits_part *part = next_part(t, b->is.kind);
    if (part == NULL) {
        return LIMITS_NO_ROOM;
    }
    bool is_unpriced = is_money && strcmp(b->is.currency, ask->currency) != 0;
    part->budget = b;
    if (is_unpriced ||
        !limits_windows_take(&b->windows, atomic_load(&b->limit), amount, now, &part->share)) {
        (void)refuse_budget(t, b, amount, now);
        t->why->is_unpriced = is_unpriced;
        return LIMITS_REFUSED;
    }
    t->hold->count++;
    return LIMITS_TAKEN;
}

/* ---- all levels ---- */

static enum limits_outcome take_budgets(struct limits_taking *t, const struct limits_ask *ask,
                                        wall_us now)
{
    enum limits_outcome outcome = LIMITS_TAKEN;
    for (size_t i = 0; outcome == LIMITS_TAKEN && i < t->set->budget_count; i++) {
        outcome = take_of_budget(t, t->set->budgets[i], ask, now);
    }
    return outcome;
}

/* What a level's part of an admission or a reservation is. */
typedef enum limits_outcome limits_take(struct limits_taking *t, const struct limits_ask *ask,
                                        const struct limits_times *now);

/* How the tokens stand before any is taken. */
static void look_at_tokens(struct limits_taking *t, mono_us now)
{
    struct limits_standing standing;
    const struct limits_set *set = t->set;
    if (set->tokens.each > 0 &&
        limits_rate_take(&set->account->tokens, set->tokens, 0, now, &standing)) {
        tell_tokens(t, 0, &standing);
    }
}

static enum limits_outcome admit_to(struct limits_taking *t, const struct limits_ask *ask,
                                    const struct limits_times *now)
{
    (void)ask; /* a call is one call */
    look_at_tokens(t, now->mono);
    enum limits_outcome outcome = take_of_rate(t, LIMITS_REQUESTS, 1, now->mono);
    return outcome == LIMITS_TAKEN ? take_place(t) : outcome;
}

static enum limits_outcome reserve_of(struct limits_taking *t, const struct limits_ask *ask,
                                      const struct limits_times *now)
{
    enum limits_outcome outcome = take_of_rate(t, LIMITS_TOKENS, ask->tokens, now->mono);
    return outcome == LIMITS_TAKEN ? take_budgets(t, ask, now->wall) : outcome;
}

/* Has the terms and accounts of all levels fetched at once: each part that is taken waits for
 * memory else, as a compare-and-swap lets nothing pass. */
static void fetch_all(const struct limits *l, const struct limits_subjects *who)
{
    const struct limits_set *sets[LIMITS_SLOTS];
    for (size_t i = 0; i < LIMITS_SLOTS; i++) {
        sets[i] = limits_set_at(l, who, i);
        __builtin_prefetch(sets[i]);
    }
    for (size_t i = 0; i < LIMITS_SLOTS; i++) {
        if (sets[i] != NULL) {
            __builtin_prefetch(sets[i]->account, 1);
        }
    }
    for (size_t i = 0; i < LIMITS_SLOTS; i++) {
        for (size_t b = 0; sets[i] != NULL && b < sets[i]->budget_count && b < 2; b++) {
            __builtin_prefetch(sets[i]->budgets[b]->is.model);
            __builtin_prefetch(&sets[i]->budgets[b]->limit, 1);
            __builtin_prefetch(&sets[i]->budgets[b]->windows.rooms[0], 1);
            __builtin_prefetch(&sets[i]->budgets[b]->windows.rooms[1], 1);
        }
    }
}

/* Takes of all levels, or of none. */
static enum limits_outcome take_all(const struct limits *l, const struct limits_subjects *who,
                                    limits_take *take, struct limits_taking *t,
                                    const struct limits_ask *ask, const struct limits_times *now)
{
    uint32_t before = t->hold->count;
    enum limits_outcome outcome = LIMITS_TAKEN;
    for (size_t i = 0; outcome == LIMITS_TAKEN && i < LIMITS_SLOTS; i++) {
        t->level = limits_level_at(i);
        t->slot = who->slot[i];
        t->set = limits_set_at(l, who, i);
        outcome = t->set == NULL ? LIMITS_TAKEN : take(t, ask, now);
    }
    if (outcome != LIMITS_TAKEN) {
        undo(t->hold, before, now->mono);
    }
    return outcome;
}

enum limits_outcome limits_admit(const struct limits *l, const struct limits_subjects *who,
                                 struct limits_hold *hold, mono_us now, struct limits_refusal *why)
{
    struct limits_taking t = {.hold = hold, .why = why};
    fetch_all(l, who);
    return take_all(l, who, admit_to, &t, NULL, &(struct limits_times){.mono = now});
}

enum limits_outcome limits_reserve(const struct limits *l, const struct limits_subjects *who,
                                   const struct limits_ask *ask, struct limits_hold *hold,
                                   const struct limits_times *now, struct limits_refusal *why)
{
    struct limits_taking t = {.hold = hold, .why = why};
    const struct limits_tightest before = hold->tokens;
    hold->tokens = (struct limits_tightest){0};
    enum limits_outcome outcome = take_all(l, who, reserve_of, &t, ask, now);
    if (outcome != LIMITS_TAKEN && before.limit > 0) { /* the levels behind were not looked at */
        keep_tightest(&hold->tokens, before.limit, &before.standing);
    }
    return outcome;
}

void limits_look(const struct limits *l, const struct limits_subjects *who, mono_us now,
                 struct limits_tightest *requests, struct limits_tightest *tokens)
{
    struct limits_hold hold = {.parts = NULL};
    struct limits_taking t = {.hold = &hold};
    struct limits_standing standing;
    for (size_t i = 0; i < LIMITS_SLOTS; i++) {
        const struct limits_set *set = limits_set_at(l, who, i);
        t.set = set;
        if (set != NULL) {
            look_at_tokens(&t, now);
        }
        if (set != NULL && set->requests.each > 0 &&
            limits_rate_take(&set->account->requests, set->requests, 0, now, &standing)) {
            keep_tightest(&hold.requests, set->requests_per_minute, &standing);
        }
    }
    *requests = hold.requests;
    *tokens = hold.tokens;
}

/* ---- more of the same ---- */

static bool extend(struct limits_part *part, int64_t tokens, int64_t nano, mono_us now,
                   struct limits_refusal *why)
{
    struct limits_standing standing = {0};
    bool is_budget = part->budget != NULL;
    int64_t more = part->kind == LIMITS_MONEY_BUDGET ? nano : tokens;
    int64_t limit = is_budget ? atomic_load(&part->budget->limit) : part->pace.burst;
    bool taken = is_budget
                     ? limits_share_extend(&part->share, limit, more)
                     : limits_rate_take(&part->account->tokens, part->pace, more, now, &standing);
    if (taken && !is_budget) {
        part->taken.count += more;
        (void)atomic_fetch_add(&part->account->held, more);
    }
    if (!taken) {
        *why = (struct limits_refusal){.level = part->level,
                                       .slot = part->slot,
                                       .kind = part->kind,
                                       .limit = limit,
                                       .wanted = more,
                                       .retry_us = standing.one_more_us,
                                       .resets = {LIMITS_NEVER_US}};
    }
    if (!taken && is_budget) {
        why->span = part->budget->is.span;
        why->resets.us = atomic_load(&part->share.room->to_us);
        int64_t taken_by_all = atomic_load(&part->share.room->taken);
        why->left = limit > taken_by_all ? limit - taken_by_all : 0;
        memcpy(why->budget, part->budget->is.id, sizeof(why->budget));
        memcpy(why->currency, part->budget->is.currency, sizeof(why->currency));
    }
    return taken;
}

/* Gives back what extend() took. */
static void shrink(struct limits_part *part, int64_t tokens, int64_t nano, mono_us now)
{
    if (part->budget != NULL) {
        limits_share_shrink(&part->share, part->kind == LIMITS_MONEY_BUDGET ? nano : tokens);
    } else {
        limits_rate_give_back(&part->account->tokens, part->pace,
                              (struct limits_taken){tokens, now}, tokens, now);
        part->taken.count -= tokens;
        (void)atomic_fetch_sub(&part->account->held, tokens);
    }
}

static bool counts_amounts(const struct limits_part *part)
{
    return part->kind != LIMITS_REQUESTS && part->kind != LIMITS_CONCURRENT;
}

enum limits_outcome limits_extend(struct limits_hold *hold, int64_t tokens, int64_t nano,
                                  mono_us now, struct limits_refusal *why)
{
    for (uint32_t i = 0; i < hold->count; i++) {
        struct limits_part *part = &hold->parts[i];
        if (!counts_amounts(part) || extend(part, tokens, nano, now, why)) {
            continue;
        }
        while (i-- > 0) {
            if (counts_amounts(&hold->parts[i])) {
                shrink(&hold->parts[i], tokens, nano, now);
            }
        }
        return LIMITS_REFUSED;
    }
    return LIMITS_TAKEN;
}

/* "ID$1764536400": a budget's id, what it counts, and when its window began in seconds. By hand, as
 * printf() took a quarter of all that limits cost a call. How long it is, or would be. */
static size_t name_window(const struct limits_part *part, char *out, size_t room)
{
    char digits[20]; /* of the largest number */
    size_t first = sizeof(digits), id = strlen(part->budget->is.id);
    int64_t from_us = atomic_load(&part->share.room->from_us);
    uint64_t from_s = from_us > 0 ? (uint64_t)from_us / 1000000 : 0;
    do {
        digits[--first] = (char)('0' + from_s % 10);
        from_s /= 10;
    } while (from_s > 0);
    size_t len = id + 1 + sizeof(digits) - first;
    if (len <= room) {
        memcpy(out, part->budget->is.id, id);
        out[id] = part->kind == LIMITS_MONEY_BUDGET ? '$' : '#';
        memcpy(out + id + 1, digits + first, sizeof(digits) - first);
    }
    return len;
}

size_t limits_hold_names(const struct limits_hold *hold, char out[LIMITS_NAMES_MAX])
{
    size_t len = 0, count = 0;
    for (uint32_t i = 0; i < hold->count; i++) {
        const struct limits_part *part = &hold->parts[i];
        if (part->budget == NULL) {
            continue;
        }
        if (++count > LIMITS_NAMED_MAX) {
            return LIMITS_NAMES_MAX + 1;
        }
        if (len > 0 && len < LIMITS_NAMES_MAX) {
            out[len++] = ' ';
        }
        len += name_window(part, out + len, LIMITS_NAMES_MAX - len);
        if (len >= LIMITS_NAMES_MAX) {
            return LIMITS_NAMES_MAX + 1;
        }
    }
    return len;
}
