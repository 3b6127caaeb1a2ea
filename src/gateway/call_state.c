/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which state may follow which, and what holds in each. The picture is in call.h.
 *
 *   - `attempting`: an attempt may be held (it is, from its intent to SETTLE).
 *   - `recorded`: the completion's slot is held, so whatever happens now can be written down.
 *
 * Only run() assigns the state.
 */
#include "base/counter.h"
#include "base/memory.h"
#include "gateway/call_internal.h"

#define TO(state) (1u << CALL_##state)

// clang-format off
#define ROW(state, word) [CALL_##state] = {#word, call_step_##word

static const struct {
    const char *name;
    call_step *step; /* does what it can; returns the next state, or its own to wait */
    uint32_t next;   /* the states it may return besides its own */
    bool attempting, recorded;
} rows[CALL_STATE_COUNT] = {
    ROW(HEAD, head),                  TO(AUTHENTICATE) | TO(SETTLE),          false, false},
    ROW(AUTHENTICATE, authenticate),  TO(ADMIT) | TO(SETTLE),                 false, false},
    ROW(ADMIT, admit),                TO(BODY) | TO(SETTLE),                  false, false},
    ROW(BODY, body),                  TO(INSPECT) | TO(SETTLE),               false, false},
    ROW(INSPECT, inspect),            TO(ROUTE) | TO(SETTLE),                 false, false},
    ROW(ROUTE, route),                TO(RESERVE) | TO(SETTLE),               false, false},
    ROW(RESERVE, reserve),            TO(RECORD) | TO(SETTLE),                false, false},
    ROW(RECORD, record),              TO(ATTEMPT) | TO(SETTLE),               true, true},
    ROW(ATTEMPT, attempt),            TO(RECORD) | TO(STREAM) | TO(SETTLE),   true, true},
    ROW(STREAM, stream),              TO(SETTLE),                             true, true},
    ROW(SETTLE, settle),              TO(DONE),                               true, true},
    ROW(DONE, done),                  0,                                      false, false},
};
// clang-format on

#define ARENA_BYTES_MAX (4u << 20)
#define INDEX_ROWS_MAX  (4u << 20) /* 64 MiB of rows: four million values and keys in one body */
#define INDEX_DEPTH_MAX 128
#define OUT_BYTES_MAX   (32u << 20) /* one event at its largest, edited */

static void check(const struct call *call)
{
    CHECK_OBJ(call, CALL_MAGIC);
    CHECK(call->state < CALL_STATE_COUNT);
    CHECK(call->attempt == NULL || rows[call->state].attempting);
    CHECK(call->completion == NULL || rows[call->state].recorded);
    CHECK(list_is_empty(&call->undurable) || call->state == CALL_RECORD);
    CHECK(list_is_empty(&call->yielding) || call->large != NULL);
}

/* Runs the call until it must wait. Everything that happens ends up here. */
static void run(struct call *call)
{
    check(call);
    for (;;) {
        enum call_state now = call->state;
        enum call_state next = rows[now].step(call);
        if (now == CALL_DONE || next == now) {
            return; /* at DONE the call is gone */
        }
        CHECK((rows[now].next & (1u << next)) != 0);
        check_note(rows[next].name, (uint64_t)(uintptr_t)call);
        call->state = next;
        check(call);
    }
}

void call_on_event(void *ctx)
{
    struct call *call = ctx;
    CHECK_OBJ(call, CALL_MAGIC);
    run(call);
}

enum call_state call_fail(struct call *call, enum err e)
{
    CHECK(e != ERR_OK);
    if (call->error == ERR_OK) {
        call->error = e;
    }
    return CALL_SETTLE;
}

enum call_state call_fail_at(struct call *call, enum err e, struct span param, struct span message)
{
    if (call->error == ERR_OK) {
        call->param = arena_copy(&call->arena, param);
        call->message = arena_copy(&call->arena, message);
    }
    return call_fail(call, e);
}

bool call_is_lost(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    if (call->error == ERR_OK && ports->client.is_gone(call->client)) {
        call->error = ERR_CLIENT_GONE;
    }
    return call->error != ERR_OK;
}

void call_yield(struct call *call)
{
    struct call_shared *shared = call->shared;
    list_remove(&call->yielding); /* it may have run for another reason */
    list_push_back(&shared->yielding, &call->yielding);
    shared->ports->defer(shared->loop, &shared->next_turn);
}

static void on_next_turn(struct net_task *task)
{
    struct call_shared *shared =
        (struct call_shared *)(void *)((char *)task - offsetof(struct call_shared, next_turn));
    struct list now; /* a call that runs may yield again */
    list_init(&now);
    struct list *link;
    while ((link = list_pop_front(&shared->yielding)) != NULL) {
        list_push_back(&now, link);
    }
    while ((link = list_pop_front(&now)) != NULL) {
        run(LIST_OF(link, struct call, yielding));
    }
}

enum err call_shared_init(struct call_shared *shared)
{
    list_init(&shared->open);
    list_init(&shared->undurable);
    list_init(&shared->yielding);
    net_task_init(&shared->next_turn, on_next_turn);
    json_index_init(&shared->index, INDEX_ROWS_MAX, INDEX_DEPTH_MAX);
    arena_init_counted(&shared->turn, CALL_TURN_BYTES_MAX);
    buf_init(&shared->out, OUT_BYTES_MAX);
    shared->pulled = memory_raw(CALL_PULL_BYTES);
    return shared->pulled == NULL ? ERR_NO_MEMORY : ERR_OK;
}

void call_shared_fini(struct call_shared *shared)
{
    CHECK(list_is_empty(&shared->open));
    json_index_fini(&shared->index);
    arena_fini(&shared->turn);
    buf_fini(&shared->out);
    memory_free(shared->pulled);
    shared->pulled = NULL;
}

void call_start(struct call_shared *shared, struct exchange *client, const struct route *route)
{
    struct call *call = memory_new(sizeof(*call));
    if (call == NULL) {
        shared->ports->client.refuse(client, ERR_NO_MEMORY, SPAN(""), SPAN(""), SPAN(""));
        return;
    }
    call->magic = CALL_MAGIC;
    call->state = CALL_HEAD;
    call->shared = shared;
    call->client = client;
    call->route = route;
    call->policy = policy_ref(shared->policy);
    call->started = shared->ports->mono();
    call->started_wall = shared->ports->wall();
    arena_init(&call->arena, ARENA_BYTES_MAX);
    list_init(&call->undurable);
    list_init(&call->yielding);
    list_init(&call->link);
    list_push_back(&shared->open, &call->link);
    shared->ports->call_id(call->started_wall, &call->id);
    counter_add(COUNT_CALLS_OPEN, 1);
    shared->ports->client.attach(client, call_on_event, call);
    run(call);
}

void call_wake_durable(struct call_shared *shared)
{
    struct list now; /* a call that runs may wait again */
    list_init(&now);
    struct list *link;
    while ((link = list_pop_front(&shared->undurable)) != NULL) {
        list_push_back(&now, link);
    }
    while ((link = list_pop_front(&now)) != NULL) {
        run(LIST_OF(link, struct call, undurable));
    }
}

/* Fails every open call for which `why` gives a reason. A call that runs leaves the list. */
static void end_calls(struct call_shared *shared, enum err (*why)(const struct call *call))
{
    struct list seen;
    list_init(&seen);
    struct list *link;
    while ((link = list_pop_front(&shared->open)) != NULL) {
        struct call *call = LIST_OF(link, struct call, link);
        list_push_back(&seen, link);
        enum err e = why(call);
        if (e != ERR_OK && call->error == ERR_OK) {
            call->error = e;
            run(call);
        }
    }
    while ((link = list_pop_front(&seen)) != NULL) {
        list_push_back(&shared->open, link);
    }
}

static enum err why_key(const struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    return call->known ? ports->keys.recheck(call->shared->keys, &call->key, ports->wall())
                       : ERR_OK;
}

void call_recheck_keys(struct call_shared *shared)
{
    end_calls(shared, why_key);
}

static enum err why_stop(const struct call *call)
{
    (void)call;
    return ERR_DRAINING;
}

void call_stop_all(struct call_shared *shared)
{
    end_calls(shared, why_stop);
}
