/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which state of a try may follow which. The picture is in call_try.h.
 *
 *   - `attempting`: the attempt is held, for it was prepared.
 *   - `waiting`: it may stand among those that wait for the journal.
 *
 * Only call_try_run() assigns the state.
 */
#include "base/memory.h"
#include "call/call_internal.h"
#include "call/call_try_large.h"

#define TO(state) (1u << CALL_TRY_##state)

static enum call_try_state rest(struct call_try *t)
{
    return t->state;
}

// clang-format off
static const struct {
    const char *name;
    call_try_step *step; /* does what it can; returns the next state, or its own to wait */
    uint32_t next;       /* the states it may return besides its own */
    bool attempting, waiting;
} rows[CALL_TRY_STATE_COUNT] = {
    [CALL_TRY_PREPARE] = {"prepare", call_try_step_prepare, TO(SLOTS) | TO(LOST),   false, false},
    [CALL_TRY_SLOTS]   = {"slots",   call_try_step_slots,   TO(DURABLE) | TO(LOST), true,  true},
    [CALL_TRY_DURABLE] = {"durable", call_try_step_durable, TO(RUN) | TO(LOST),     true,  true},
    [CALL_TRY_RUN]     = {"run",     call_try_step_run,     TO(HEAD) | TO(LOST),    true,  false},
    [CALL_TRY_HEAD]    = {"head",    call_try_step_head,    TO(WON) | TO(LOST),     true,  false},
    [CALL_TRY_WON]     = {"won",     rest,                  0,                      true,  false},
    [CALL_TRY_LOST]    = {"lost",    rest,                  0,                      true,  false},
};
// clang-format on

static void check(const struct call_try *t)
{
    CHECK_OBJ(t, CALL_TRY_MAGIC);
    CHECK(t->state < CALL_TRY_STATE_COUNT);
    CHECK(t->attempt == NULL || rows[t->state].attempting);
    CHECK(list_is_empty(&t->undurable) || rows[t->state].waiting);
    CHECK((t->error != ERR_OK) == (t->state == CALL_TRY_LOST) || t->state == CALL_TRY_WON);
}

void call_try_run(struct call_try *t)
{
    list_remove(&t->undurable);
    check(t);
    for (enum call_try_state next; (next = rows[t->state].step(t)) != t->state;) {
        CHECK((rows[t->state].next & (1u << next)) != 0);
        check_note(rows[next].name, (uint64_t)(uintptr_t)t);
        t->state = next;
        check(t);
    }
}

static void on_due(struct net_timer *timer)
{
    struct call_try *t =
        (struct call_try *)(void *)((char *)timer - offsetof(struct call_try, timer));
    CHECK(t->magic == CALL_TRY_MAGIC);
    t->is_due = true;
    call_on_event(t->call);
}

enum err call_try_begin(struct call *call, const struct decision_candidate *candidate,
                        struct call_try **out)
{
    struct call_try **place = call->tries;
    while (*place != NULL) {
        place++;
        CHECK(place < call->tries + CALL_TRIES_AT_ONCE);
    }
    struct call_try *t = &call->first;
    if (t->magic != 0) {
        t = memory_new(sizeof(*t));
        if (t == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    t->magic = CALL_TRY_MAGIC;
    t->call = call;
    t->candidate = candidate;
    list_init(&t->undurable);
    net_timer_init(&t->timer, call->shared->loop, on_due);
    *place = t;
    *out = t;
    return ERR_OK;
}

size_t call_try_reply_most(const struct call_try *t)
{
    int64_t most = t->candidate->match.place->deployment->definition.reply_bytes_max;
    bool is_long = t->call->shadow != NULL && most > CALL_SHADOW_REPLY_MOST;
    return (size_t)(is_long ? CALL_SHADOW_REPLY_MOST : most);
}

void call_try_note_sent(struct call_try *t)
{
    const struct call_ports *ports = t->call->shared->ports;
    if (t->attempt != NULL && !t->is_sent && ports->attempt.has_sent(t->attempt)) {
        t->is_sent = true;
        t->peer = *ports->attempt.peer(t->attempt);
    }
    if (t->attempt != NULL) {
        t->server_us = ports->attempt.served_us(t->attempt);
    }
}

void call_try_close(struct call_try *t, bool is_read)
{
    const struct call_ports *ports = t->call->shared->ports;
    list_remove(&t->undurable);
    ports->timer.fini(&t->timer);
    if (is_read) {
        ports->attempt.finish(&t->attempt);
    } else {
        ports->attempt.close(&t->attempt);
    }
    call_body_unref(&t->body);
}

void call_try_retire(struct call_try *t)
{
    struct call *call = t->call;
    call_try_close(t, false);
    call_try_free_large(t);
    call_try_release_reply(t);
    memory_free_counted(t->kept);
    t->kept = NULL;
    buf_fini(&t->held);
    sse_parser_fini(&t->events);
    for (size_t i = 0; i < CALL_TRIES_AT_ONCE; i++) {
        call->tries[i] = call->tries[i] == t ? NULL : call->tries[i];
    }
}

void call_try_free(struct call_try *t)
{
    CHECK(t->end == NULL);
    call_try_retire(t);
    openai_stream_fini(&t->stream);
    if (t == &t->call->first) {
        memset(t, 0, sizeof(*t));
    } else {
        t->magic = 0;
        memory_free(t);
    }
}
