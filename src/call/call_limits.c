/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much may be asked: taken of the key's, its user's, its team's and its organisation's limits
 * in ADMIT (a request, a place among the calls) and RESERVE (tokens and money), settled in SETTLE.
 *
 * What a call is said to have used must fit into what it holds, so the request is held at a
 * quarter more than it is thought to have, and some: a server's template adds tokens that nobody
 * sees.
 */
#include <stdio.h>

#include "base/counter.h"
#include "base/money.h"
#include "call/call_internal.h"
#include "call/call_key.h"
#include "journal/journal_balance.h"
#include "limits/limits_bounds.h"
#include "limits/limits_names.h"
#include "policy/policy_price.h"

#define ANSWER_TOKENS                                                                           \
    4096                  /* of an answer that nobody bounds, where tokens or money are limited \
                           */
#define TEMPLATE       64 /* tokens that a server may add to a request */
#define SENTENCE_BYTES 512
#define WAIT_MAX_US    INT64_C(60000000)
#define MINUTE_US      INT64_C(60000000)

_Static_assert(LIMITS_NAMED_MAX <= JOURNAL_BUDGETS_MAX, "each window has its balance");

/* ---- what a refusal says ---- */

static const char *const levels[LIMITS_LEVELS] = {"API key", "user", "team", "organisation", "tag"};
static const char *const windows[] = {"daily", "weekly", "monthly", "total"};

/* "team treasury" */
static void write_whose(const struct call *call, const struct limits_refusal *why, char *out,
                        size_t size)
{
    struct span name = access_name(call->shared->rights, why->level, why->slot);
    (void)snprintf(out, size, "%s%s%.*s", levels[why->level], name.len > 0 ? " " : "",
                   SPAN_ARGS(span_cut_text(name, 64))); /* a cut one will do */
}

static void write_amount(const struct limits_refusal *why, int64_t amount, char *out, size_t size)
{
    char money[MONEY_TEXT_BYTES];
    if (why->kind == LIMITS_MONEY_BUDGET) {
        money_write(amount, 6, money);
        (void)snprintf(out, size, "%s %s", money, why->currency); /* fits */
    } else {
        (void)snprintf(out, size, "%lld tokens", (long long)amount); /* fits */
    }
}

static enum err say_budget(const struct call *call, const struct limits_refusal *why,
                           const char *whose, char out[SENTENCE_BYTES])
{
    char left[64], limit[64], wanted[64], resets[CLOCK_TEXT_BYTES] = "";
    int64_t wait_us = why->resets.us == LIMITS_NEVER_US
                          ? LIMITS_NEVER_US
                          : why->resets.us - call->shared->ports->wall().us;
    write_amount(why, why->left, left, sizeof(left));
    write_amount(why, why->limit, limit, sizeof(limit));
    write_amount(why, why->wanted, wanted, sizeof(wanted));
    if (why->resets.us != LIMITS_NEVER_US) {
        clock_text(why->resets, resets);
    }
    bool is_of_others = why->level == LIMITS_ORGANISATION || why->level == LIMITS_TAG;
    (void)snprintf(out, SENTENCE_BYTES,
                   "the %s budget of %s has %s%s%s left, and this call may come to %s; %s%s",
                   windows[why->span], whose, left, is_of_others ? "" : " of ",
                   is_of_others ? "" : limit, wanted, /* how much others have is not told */
                   resets[0] != '\0' ? "it resets at " : "it does not reset by itself", resets);
    return wait_us <= WAIT_MAX_US && !why->is_never ? ERR_BUDGET_SOON : ERR_BUDGET_SPENT;
}

static long long seconds_of(int64_t us)
{
    return (us + 999999) / 1000000;
}

/* Which error it is, and its words. */
static enum err say_refusal(const struct call *call, const struct limits_refusal *why,
                            char out[SENTENCE_BYTES])
{
    char whose[160];
    write_whose(call, why, whose, sizeof(whose));
    switch (why->kind) {
    case LIMITS_REQUESTS:
        (void)snprintf(out, SENTENCE_BYTES,
                       "too many requests: %s may send %lld a minute; the next one in %lld s",
                       whose, (long long)why->limit, seconds_of(why->retry_us));
        return ERR_REQUESTS_LIMITED;
    case LIMITS_TOKENS:
        (void)snprintf(out, SENTENCE_BYTES,
                       "too many tokens: %s may use %lld a minute, and this call may come to %lld",
                       whose, (long long)why->limit, (long long)why->wanted);
        return why->is_never ? ERR_TOKENS_NEVER : ERR_TOKENS_LIMITED;
    case LIMITS_CONCURRENT:
        (void)snprintf(out, SENTENCE_BYTES, "too many calls at once: %s may have %lld", whose,
                       (long long)why->limit);
        return ERR_CONCURRENCY;
    case LIMITS_TOKEN_BUDGET:
    case LIMITS_MONEY_BUDGET:
        break;
    }
    if (why->is_unpriced) {
        (void)snprintf(out, SENTENCE_BYTES,
                       "the model has no price in %s, in which a budget of %s counts; the "
                       "gateway's operator must set one",
                       why->currency, whose);
        return ERR_PRICE_UNKNOWN;
    }
    return say_budget(call, why, whose, out);
}

static void note_wait(struct call *call, const struct limits_refusal *why)
{
    int64_t us = why->retry_us;
    if (why->kind == LIMITS_TOKEN_BUDGET || why->kind == LIMITS_MONEY_BUDGET) {
        int64_t now = call->shared->ports->wall().us;
        us = why->resets.us == LIMITS_NEVER_US ? WAIT_MAX_US : why->resets.us - now;
    }
    us = us < WAIT_MAX_US ? us : WAIT_MAX_US;
    call->retry_after_s = us <= 0 ? 1 : seconds_of(us);
}

static void refuse(struct call *call, const struct limits_refusal *why)
{
    char text[SENTENCE_BYTES];
    counter_add(COUNT_LIMITED_REQUESTS + why->kind, 1); /* its rows are in the order of the kinds */
    enum err e = say_refusal(call, why, text);
    note_wait(call, why);
    (void)call_fail_at(call, e, SPAN(""), span_of(text)); /* SETTLE follows, as everybody knows */
}

/* ---- taking ---- */

/* Room for all parts that the call may come to hold, those that it holds among them. */
static bool grow_hold(struct call *call)
{
    struct limits_hold *hold = &call->hold;
    size_t most = hold->count + limits_parts_most(access_limits(call->shared->rights), &call->who);
    void *parts = arena_alloc(&call->arena, most * limits_part_bytes() + 1);
    if (parts == NULL) {
        return false;
    }
    if (hold->count > 0) {
        memcpy(parts, hold->parts, hold->count * limits_part_bytes());
    }
    hold->parts = parts;
    hold->room = (uint32_t)most;
    return true;
}

bool call_admit_limits(struct call *call)
{
    const struct call_shared *shared = call->shared;
    struct limits_refusal why;
    enum limits_outcome outcome = LIMITS_NO_ROOM;
    if (shared->rights == NULL) {
        return true;
    }
    enum err e = call_look_at_who(call, call->started_wall);
    if (e == ERR_OK) {
        call_key_note(shared, call->by, call->client, &call->key, call->started_wall);
    }
    const struct limits *limits = access_limits(shared->rights);
    if (e == ERR_ADDRESS_NOT_ALLOWED) { /* the key is known: it is told how its limits stand */
        limits_look(limits, &call->who, call->started, &call->hold.requests, &call->hold.tokens);
    }
    while (e == ERR_OK && outcome == LIMITS_NO_ROOM) {
        e = grow_hold(call) ? ERR_OK : ERR_NO_MEMORY;
        if (e == ERR_OK) {
            outcome =
                shared->ports->access.take(limits, &call->who, &call->hold, call->started, &why);
        }
    }
    if (e != ERR_OK) {
        (void)call_fail(call, e); /* SETTLE, as the caller knows */
    } else if (outcome == LIMITS_REFUSED) {
        refuse(call, &why);
    }
    return e == ERR_OK && outcome == LIMITS_TAKEN;
}

enum limits_priority call_priority(const struct call *call)
{
    const struct access *rights = call->shared->rights;
    return rights == NULL ? LIMITS_NORMAL : limits_priority_of(access_limits(rights), &call->who);
}

unsigned call_turns(const struct call *call)
{
    static const unsigned turns[] = {[LIMITS_LOW] = 16, [LIMITS_NORMAL] = 4, [LIMITS_HIGH] = 1};
    return turns[call_priority(call)];
}

/* How long an answer may be whose caller does not say, so that it fits into what may be used. */
static void bound_answers(struct call *call)
{
    struct limits_bounds bounds = limits_bounds_of(access_limits(call->shared->rights), &call->who);
    int64_t input = call->input_estimate, most = INT64_MAX;
    call->answer_most = bounds.answer_tokens;
    if (!bounds.is_limited) {
        return;
    }
    call->input_held = call->request.input_tokens >= 0 ? call->request.input_tokens + TEMPLATE
                                                       : input + input / 4 + TEMPLATE;
    if (bounds.tokens_per_minute > 0) {
        int64_t left = bounds.tokens_per_minute - call->input_held;
        most = left < most ? left : most;
    }
    most = most > 0 ? most : 1;
    call->answer_else = most < ANSWER_TOKENS ? most : ANSWER_TOKENS;
    call->answer_most = call->answer_most < most ? call->answer_most : most;
}

/* The most of all candidates: any of them may be asked. */
static void find_dearest(struct call *call, struct limits_ask *ask)
{
    const char *currency = NULL;
    bool is_priced = true;
    for (size_t i = 0; i < call->decision.count; i++) {
        const struct decision_candidate *c = &call->decision.candidates[i];
        const struct policy_model *model = c->match.model;
        struct call_most most = call_most_of(call, c, call_answer_bound(call, model));
        ask->tokens = most.tokens > ask->tokens ? most.tokens : ask->tokens;
        ask->nano = most.nano > ask->nano ? most.nano : ask->nano;
        is_priced = is_priced && c->price != NULL &&
                    (currency == NULL || strcmp(currency, c->price->currency) == 0);
        currency = c->price == NULL ? currency : c->price->currency;
    }
    if (is_priced && currency != NULL) {
        span_copy_text(span_of(currency), ask->currency, sizeof(ask->currency));
    }
}

/* Notes which budgets the call counts in, for its records. */
static enum err note_budgets(struct call *call)
{
    char names[LIMITS_NAMES_MAX];
    size_t len = limits_hold_names(&call->hold, names);
    if (len > LIMITS_NAMES_MAX) {
        return ERR_BUDGETS_MANY;
    }
    call->budgets = arena_copy(&call->arena, span_make(names, len));
    return call->budgets.at == NULL ? ERR_NO_MEMORY : ERR_OK;
}

static bool is_priced_alike(const struct decision_candidate *a, const struct decision_candidate *b)
{
    return (a->price == NULL) == (b->price == NULL) &&
           (a->price == NULL || strcmp(a->price->currency, b->price->currency) == 0);
}

/* What is held is of the budgets that count the first candidate, in its currency. Another that
 * others count could not be written down right, and is not asked. */
static void drop_counted_elsewhere(struct call *call)
{
    struct decision *d = &call->decision;
    const struct limits *limits = access_limits(call->shared->rights);
    size_t kept = 1;
    bool is_limited = d->count > 1 && limits_bounds_of(limits, &call->who).is_limited;
    for (size_t i = 1; i < d->count; i++) {
        if (is_limited && !is_priced_alike(&d->candidates[0], &d->candidates[i])) {
            continue;
        }
        if (limits_count_alike(access_limits(call->shared->rights), &call->who, call->request.model,
                               d->candidates[0].match.model->name,
                               d->candidates[i].match.model->name)) {
            d->candidates[kept++] = d->candidates[i];
        }
    }
    d->count = kept;
}

enum call_state call_step_reserve(struct call *call)
{
    const struct call_shared *shared = call->shared;
    const struct limits_times now = {shared->ports->mono(), shared->ports->wall()};
    struct limits_ask ask = {.model = call->decision.candidates[0].match.model->name,
                             .asked = call->request.model};
    struct limits_refusal why;
    enum limits_outcome outcome = LIMITS_NO_ROOM;
    if (shared->rights == NULL || call->shadow != NULL) {
        return CALL_TRY;
    }
    drop_counted_elsewhere(call);
    bound_answers(call);
    find_dearest(call, &ask);
    while (outcome == LIMITS_NO_ROOM) {
        outcome = shared->ports->access.reserve(access_limits(shared->rights), &call->who, &ask,
                                                &call->hold, &now, &why);
        if (outcome == LIMITS_NO_ROOM && !grow_hold(call)) {
            return call_fail(call, ERR_NO_MEMORY);
        }
    }
    if (outcome == LIMITS_REFUSED) {
        refuse(call, &why);
        return CALL_SETTLE;
    }
    call->held_tokens = ask.tokens;
    call->held_nano = ask.nano;
    enum err e = note_budgets(call);
    return e == ERR_OK ? CALL_TRY : call_fail(call, e);
}

/* What the tries that live besides may come to. */
static struct call_most others_most(const struct call_try *t)
{
    const struct call *call = t->call;
    struct call_most all = {0, 0};
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        const struct call_try *other = call->tries[i];
        if (other != NULL && other != t) {
            const struct decision_candidate *c = other->candidate;
            struct call_most most = call_most_of(call, c, call_answer_bound(call, c->match.model));
            all.tokens += most.tokens;
            all.nano += most.nano;
        }
    }
    return all;
}

enum err call_extend_limits(struct call_try *t, int64_t told)
{
    struct call *call = t->call;
    struct limits_refusal why;
    if (call->shared->rights == NULL || call->shadow != NULL) {
        return ERR_OK;
    }
    struct call_most most = call_most_of(call, t->candidate, told);
    struct call_most others = others_most(t);
    int64_t tokens = call->used_tokens + others.tokens + most.tokens - call->held_tokens;
    int64_t nano = call->used_nano + others.nano + most.nano - call->held_nano;
    tokens = tokens > 0 ? tokens : 0;
    nano = nano > 0 ? nano : 0;
    if (tokens + nano > 0 &&
        call->shared->ports->access.extend(&call->hold, tokens, nano, call->shared->ports->mono(),
                                           &why) != LIMITS_TAKEN) {
        char text[SENTENCE_BYTES];
        enum err e = say_refusal(call, &why, text);
        const struct server_words words = {.message = span_of(text)};
        note_wait(call, &why);
        t->words = call_copy_words(call, &words);
        t->retry_after_s = call->retry_after_s;
        return e;
    }
    call->held_tokens += tokens;
    call->held_nano += nano;
    return ERR_OK;
}

void call_note_used(struct call *call, const struct journal_record *r)
{
    call->used_tokens += r->tokens_in + r->tokens_out;
    call->used_nano += r->cost_nano;
}

void call_settle_limits(struct call *call)
{
    if (call->hold.count > 0) {
        call->shared->ports->access.settle(&call->hold, call->used_tokens, call->used_nano,
                                           call->shared->ports->mono());
    }
}

/* ---- headers ---- */

/* A duration as OpenAI writes it: "20ms", "8.64s", "6m0s". */
static void write_duration(int64_t us, char out[32])
{
    int64_t ms = (us + 999) / 1000;
    if (ms < 1000) {
        (void)snprintf(out, 32, "%lldms", (long long)ms); /* all fit */
    } else if (ms < 60000) {
        (void)snprintf(out, 32, "%lld.%03llds", (long long)(ms / 1000), (long long)(ms % 1000));
    } else {
        long long seconds = (ms + 999) / 1000;
        (void)snprintf(out, 32, "%lldm%llds", seconds / 60, seconds % 60);
    }
}

static size_t write_standing(const struct limits_tightest *of, const char *what, char *out,
                             size_t size)
{
    char resets[32];
    if (of->limit == 0) {
        return 0;
    }
    write_duration(of->standing.whole_us, resets);
    return (size_t)snprintf(out, size,
                            "x-ratelimit-limit-%s: %lld\r\nx-ratelimit-remaining-%s: %lld\r\n"
                            "x-ratelimit-reset-%s: %s\r\n",
                            what, (long long)of->limit, what, (long long)of->standing.remaining,
                            what, resets);
}

size_t call_limits_write(const struct limits_tightest *requests,
                         const struct limits_tightest *tokens, wall_us now,
                         char out[CALL_LIMITS_BYTES])
{
    size_t len = 0;
    if (requests->limit > 0) {
        len = (size_t)snprintf(out, CALL_LIMITS_BYTES,
                               "X-RateLimit-Limit: %lld\r\nX-RateLimit-Remaining: %lld\r\n"
                               "X-RateLimit-Reset: %lld\r\n",
                               (long long)requests->limit, (long long)requests->standing.remaining,
                               seconds_of(now.us + requests->standing.whole_us));
    }
    len += write_standing(requests, "requests", out + len, CALL_LIMITS_BYTES - len);
    len += write_standing(tokens, "tokens", out + len, CALL_LIMITS_BYTES - len);
    CHECK(len < CALL_LIMITS_BYTES); /* numbers of 19 digits fit */
    return len;
}

struct span call_limits_fields(struct call *call, int64_t used)
{
    char lines[CALL_LIMITS_BYTES];
    const struct limits_hold *hold = &call->hold;
    if (hold->requests.limit == 0 && hold->tokens.limit == 0) {
        return SPAN("");
    }
    /* As of when it was taken: later on the clock nobody has looked. */
    wall_us then = call->started_wall;
    struct limits_tightest tokens = hold->tokens;
    if (tokens.limit > 0) {
        int64_t left = tokens.standing.remaining - used;
        tokens.standing.remaining = left > 0 ? left : 0;
        tokens.standing.whole_us += used * MINUTE_US / tokens.limit;
    }
    size_t len = call_limits_write(&hold->requests, &tokens, then, lines);
    struct span kept = arena_copy(&call->arena, span_make(lines, len));
    return kept.at == NULL ? SPAN("") : kept;
}
