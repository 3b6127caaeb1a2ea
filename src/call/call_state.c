/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which state may follow which, and what holds in each. The picture is in call.h.
 *
 *   - `trying`: tries may be held; before STREAM they live or have just lost, in it there is one.
 *   - `recorded`: the completion's slot is held, so whatever happens now can be written down.
 *
 * Only run() assigns the state.
 */
#include "base/counter.h"
#include "base/memory.h"
#include "call/call_internal.h"
#include "guard/guard_scan.h"

#define TO(state) (1u << CALL_##state)

// clang-format off
#define ROW(state, word) [CALL_##state] = {#word, call_step_##word

static const struct {
    const char *name;
    call_step *step; /* does what it can; returns the next state, or its own to wait */
    uint32_t next;   /* the states it may return besides its own */
    bool trying, recorded;
} rows[CALL_STATE_COUNT] = {
    ROW(HEAD, head),                  TO(AUTHENTICATE) | TO(SETTLE),          false, false},
    ROW(AUTHENTICATE, authenticate),  TO(ADMIT) | TO(SETTLE),                 false, false},
    ROW(ADMIT, admit),                TO(BODY) | TO(SETTLE),                  false, false},
    ROW(BODY, body),                  TO(INSPECT) | TO(MODERATE) | TO(SETTLE), false, false},
    ROW(INSPECT, inspect),            TO(ROUTE) | TO(SETTLE),                 false, false},
    ROW(MODERATE, moderate),          TO(SETTLE),                             false, false},
    ROW(ROUTE, route),                TO(RESERVE) | TO(SETTLE),               false, false},
    ROW(RESERVE, reserve),            TO(TRY) | TO(SETTLE),                   false, false},
    ROW(TRY, try),                    TO(STREAM) | TO(SETTLE),                true, true},
    ROW(STREAM, stream),              TO(SETTLE),                             true, true},
    ROW(SETTLE, settle),              TO(DONE),                               true, true},
    ROW(DONE, done),                  0,                                      true,  false},
};
// clang-format on

#define KEYS_A_LOOK     16   /* at the clock */
#define MESSAGE_MAX     2048 /* bytes of an error's words, */
#define WORD_MAX        256  /* which may be the caller's own: a key of megabytes that came twice */
#define ARENA_BYTES_MAX (4u << 20)
#define INDEX_ROWS_MAX  (4u << 20) /* 64 MiB of rows: four million values and keys in one body */
#define INDEX_DEPTH_MAX 128
#define OUT_BYTES_MAX   (32u << 20) /* one event at its largest, edited */

/* What a call or a worker has without asking for it: all calls fit with it beside the allowance. */
#define ARENA_UNCOUNTED ((size_t)16 * 1024)
#define TURN_UNCOUNTED  ((size_t)128 * 1024)
#define INDEX_KEPT_ROWS 65536u /* 1 MiB */
#define OUT_KEPT_BYTES  ((size_t)256 * 1024)

static void check(const struct call *call)
{
    CHECK_OBJ(call, CALL_MAGIC);
    CHECK(call->state < CALL_STATE_COUNT);
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        const struct call_try *t = call->tries[i];
        CHECK(t == NULL || rows[call->state].trying);
        CHECK(t == NULL || t == call->answering || call->state != CALL_STREAM);
    }
    CHECK(call->completion == NULL || rows[call->state].recorded);
    CHECK(list_is_empty(&call->yielding) || call->state < CALL_SETTLE);
}

/* What a step took for its largest texts does not stay with the worker, and what it left there, as
 * one whose call has just failed may, is not the next call's. */
static void shrink(struct call_shared *shared)
{
    buf_clear(&shared->out);
    if (UNLIKELY(shared->index.cap > INDEX_KEPT_ROWS)) {
        json_index_trim(&shared->index, INDEX_KEPT_ROWS);
    }
    if (UNLIKELY(shared->out.cap > OUT_KEPT_BYTES)) {
        buf_fini(&shared->out);
    }
    if (UNLIKELY(shared->turn.blocks != NULL || arena_failed(&shared->turn))) {
        arena_fini(&shared->turn);
    }
}

/* Runs the call until it must wait. Everything that happens ends up here. */
static void run(struct call *call)
{
    struct call_shared *shared = call->shared;
    list_remove(&call->yielding);
    check(call);
    for (;;) {
        enum call_state now = call->state;
        enum call_state next = rows[now].step(call);
        if (now == CALL_DONE) {
            break; /* the call is gone */
        }
        if (next == now) {
            call->is_indexed = false;
            break;
        }
        CHECK((rows[now].next & (1u << next)) != 0);
        check_note(rows[next].name, (uint64_t)(uintptr_t)call);
        call->state = next;
        list_remove(&call->yielding); /* of two tries one had more to do, and the other decided */
        check(call);
    }
    shrink(shared);
}

void call_on_event(void *ctx)
{
    struct call *call = ctx;
    CHECK_OBJ(call, CALL_MAGIC);
    /* No peer has more slices a turn by sending more often. */
    if (list_is_empty(&call->yielding) || call_is_lost(call)) {
        run(call);
    }
}

enum call_state call_fail(struct call *call, enum err e)
{
    CHECK(e != ERR_OK);
    if (call->error == ERR_OK) {
        bool is_refused = e == ERR_NO_MEMORY && call->arena.is_refused;
        call->error = is_refused ? ERR_OVERLOADED : e;
    }
    return CALL_SETTLE;
}

struct server_words call_copy_words(struct call *call, const struct server_words *words)
{
    struct arena *arena = &call->arena;
    struct server_words copy = *words;
    copy.message = arena_copy(arena, span_cut_text(words->message, MESSAGE_MAX));
    copy.param = arena_copy(arena, span_cut_text(words->param, WORD_MAX));
    copy.type = arena_copy(arena, span_cut_text(words->type, WORD_MAX));
    copy.code = arena_copy(arena, span_cut_text(words->code, WORD_MAX));
    return copy;
}

enum call_state call_fail_as(struct call *call, const struct call_try *t)
{
    if (call->error == ERR_OK) {
        call->words = t->words;
        call->retry_after_s = t->retry_after_s;
    }
    return call_fail(call, t->error);
}

enum call_state call_fail_at(struct call *call, enum err e, struct span param, struct span message)
{
    if (call->error == ERR_OK) {
        call->words =
            call_copy_words(call, &(struct server_words){.message = message, .param = param});
    }
    return call_fail(call, e);
}

bool call_is_lost(struct call *call)
{
    if (call->error == ERR_OK && call->by->is_gone(call->client)) {
        call->error = ERR_CLIENT_GONE;
    }
    return call->error != ERR_OK;
}

void call_yield(struct call *call)
{
    struct call_shared *shared = call->shared;
    list_remove(&call->yielding); /* where two tries yield it waits once */
    list_push_back(&shared->yielding, &call->yielding);
    shared->ports->defer(shared->loop, &shared->next_turn);
}

/* Of what works through many calls: its share of the turn. */
struct budget {
    mono_us began;
    int64_t most_us;
};

static struct budget begin_budget(const struct call_shared *shared)
{
    return (struct budget){shared->ports->mono(), shared->ports->share(shared->loop)};
}

static bool is_spent(const struct call_shared *shared, struct budget budget)
{
    return clock_since(budget.began, shared->ports->mono()) >= budget.most_us;
}

/* All that yield have one slice each, but together no longer than a turn may take: those that had
 * none come first in the next. */
static void on_next_turn(struct net_task *task)
{
    struct call_shared *shared =
        (struct call_shared *)(void *)((char *)task - offsetof(struct call_shared, next_turn));
    struct budget budget = begin_budget(shared);
    struct list *link, *end = &shared->turn_end; /* a call may yield again, behind it */
    list_push_back(&shared->yielding, end);
    while ((link = list_pop_front(&shared->yielding)) != end) {
        run(LIST_OF(link, struct call, yielding));
        if (is_spent(shared, budget)) {
            list_remove(end);
            break;
        }
    }
    if (!list_is_empty(&shared->yielding)) {
        shared->ports->defer(shared->loop, &shared->next_turn);
    }
}

enum err call_recheck_key(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    wall_us now = ports->wall();
    enum err e = ports->keys.recheck(call->shared->keys, &call->key, now);
    e = e == ERR_OK ? call_look_at_who(call, now) : e;
    return e == ERR_OK && (call->key.scopes & call->route->scope) == 0 ? ERR_SCOPE_DENIED : e;
}

static enum err why_key(struct call *call)
{
    return call->known ? call_recheck_key(call) : ERR_OK;
}

void call_note_key_end(const struct call *call)
{
    if (call->known && call->key.expires.us < call->shared->key_ends.us) {
        call->shared->key_ends = call->key.expires;
    }
}

static enum err why_stop(struct call *call)
{
    (void)call;
    return ERR_DRAINING;
}

/* Fails those of `unchecked` for which `why` gives a reason, as many as the budget is for. A call
 * that runs leaves its list. */
static void end_some(struct call_shared *shared, enum err (*why)(struct call *call),
                     struct budget budget)
{
    unsigned looked = 0;
    struct list *link;
    while ((link = list_pop_front(&shared->unchecked)) != NULL) {
        struct call *call = LIST_OF(link, struct call, link);
        list_push_back(&shared->open, link);
        enum err e = why(call);
        call_note_key_end(call); /* as it is now */
        bool fails = e != ERR_OK && call->error == ERR_OK;
        if (fails) {
            call->error = e;
            run(call);
        }
        if ((fails || ++looked % KEYS_A_LOOK == 0) && is_spent(shared, budget)) {
            break;
        }
    }
}

static void on_recheck(struct net_task *task)
{
    struct call_shared *shared =
        (struct call_shared *)(void *)((char *)task - offsetof(struct call_shared, recheck));
    end_some(shared, why_key, begin_budget(shared));
    if (!list_is_empty(&shared->unchecked)) {
        shared->ports->defer(shared->loop, task);
    }
}

void call_recheck_keys(struct call_shared *shared, bool changed)
{
    if (changed || shared->ports->wall().us >= shared->key_ends.us) {
        list_move_all(&shared->unchecked, &shared->open);
        shared->key_ends.us = KEY_NEVER_US; /* those that are looked at say when, and new ones */
        on_recheck(&shared->recheck);
    }
}

bool call_is_none(const struct call_shared *shared)
{
    return list_is_empty(&shared->open) && list_is_empty(&shared->unchecked);
}

void call_stop_all(struct call_shared *shared)
{
    list_move_all(&shared->unchecked, &shared->open);
    end_some(shared, why_stop,
             (struct budget){.most_us = INT64_MAX}); /* the loop may turn no more */
}

enum err call_shared_init(struct call_shared *shared)
{
    list_init(&shared->open);
    list_init(&shared->unchecked);
    list_init(&shared->shadows);
    list_init(&shared->undurable);
    list_init(&shared->yielding);
    list_init(&shared->turn_end);
    shared->key_ends.us = KEY_NEVER_US;
    net_task_init(&shared->next_turn, on_next_turn);
    net_task_init(&shared->recheck, on_recheck);
    json_index_init_counted(&shared->index, INDEX_ROWS_MAX, INDEX_DEPTH_MAX, INDEX_KEPT_ROWS);
    arena_init_counted(&shared->turn, CALL_TURN_BYTES_MAX, TURN_UNCOUNTED);
    buf_init_counted(&shared->out, OUT_BYTES_MAX, OUT_KEPT_BYTES);
    shared->pulled = memory_raw(CALL_PULL_BYTES);
    shared->scratch = condition_scratch_new();
    enum err e = guard_scratch_new(&shared->guard);
    return shared->pulled == NULL || shared->scratch == NULL ? ERR_NO_MEMORY : e;
}

void call_shared_fini(struct call_shared *shared)
{
    CHECK(call_is_none(shared));
    json_index_fini(&shared->index);
    arena_fini(&shared->turn);
    buf_fini(&shared->out);
    memory_free(shared->pulled);
    shared->pulled = NULL;
    condition_scratch_free(&shared->scratch);
    guard_scratch_free(&shared->guard);
}

void call_begin(struct call_shared *shared, const struct call_origin *from)
{
    struct call *call = memory_new(sizeof(*call));
    struct call_body *body = from->body;
    if (call == NULL) {
        call_body_unref(&body);
        from->by->refuse(from->client, ERR_NO_MEMORY, SPAN(""), SPAN(""), SPAN(""));
        return;
    }
    call->magic = CALL_MAGIC;
    call->state = CALL_HEAD;
    call->shared = shared;
    call->by = from->by;
    call->client = from->client;
    call->body = body;
    call->shadow = from->shadow;
    call->known = from->key != NULL;
    if (call->known) {
        call->key = *from->key;
    }
    call->route = from->route;
    call->policy = policy_ref(from->shadow != NULL ? from->shadow->policy : shared->policy);
    call->started = shared->ports->mono();
    call->started_wall = shared->ports->wall();
    arena_init_counted(&call->arena, ARENA_BYTES_MAX, ARENA_UNCOUNTED);
    list_init(&call->yielding);
    list_init(&call->link);
    list_push_back(&shared->open, &call->link);
    shared->ports->call_id(call->started_wall, &call->id);
    counter_add(COUNT_CALLS_OPEN, 1);
    call->by->attach(call->client, call_on_event, call);
    run(call);
}

void call_start(struct call_shared *shared, struct exchange *client, const struct route *route)
{
    call_begin(shared, &(struct call_origin){
                           .by = shared->ports->client, .client = client, .route = route});
}

void call_wake_durable(struct call_shared *shared)
{
    struct budget budget = begin_budget(shared);
    struct list now; /* a call that runs may wait again */
    list_init(&now);
    list_move_all(&now, &shared->undurable);
    struct list *link;
    while ((link = list_pop_front(&now)) != NULL) {
        struct call *call = LIST_OF(link, struct call_try, undurable)->call;
        if (!is_spent(shared, budget)) {
            run(call);
        } else if (list_is_empty(&call->yielding)) {
            call_yield(call);
        }
    }
}
