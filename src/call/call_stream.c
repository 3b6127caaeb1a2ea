/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the try that won to the client. Events are forwarded in the turn of the loop in which they
 * came, all that one read brought in one write. While the client leaves too much of what was put,
 * the model server is not read: that is the whole of back-pressure.
 */
#include "call/call_internal.h"

/* The client has not taken what it got, and gets no more until it has. */
static bool is_full(const struct call *call)
{
    const struct call_shared *shared = call->shared;
    return call->by->waiting(call->client) > (size_t)shared->output_bytes_max;
}

/* ---- events ---- */

/* Puts what a read brought; of the last the head alone, and SETTLE the rest. */
static enum err put_read(struct call *call, struct call_try *t)
{
    struct buf *out = &call->shared->out;
    struct iovec pieces[2];
    int count = call_answer_gathered(call, pieces);
    if (count == 0 && call_made_is_empty(&t->made)) {
        return ERR_OK;
    }
    enum err e = call_answer_put_stream_head(call);
    if (e != ERR_OK || t->is_done) {
        return e;
    }
    call_answer_put(call, pieces, count);
    buf_fini(&t->held);
    buf_clear(out);
    return ERR_OK;
}

/* Puts a slice of a large event, if there is one. False: there is more for the next turn. */
static bool put_made(struct call *call, struct call_try *t)
{
    if (call_made_is_empty(&t->made)) {
        return true;
    }
    call->answer.is_inside = call_answer_put_event(call, &t->made);
    if (call->answer.is_inside) {
        call_yield(call);
        return false;
    }
    call_try_end_made(t);
    return true;
}

/* Whether all is well between two reads; else `*next` is the state that follows. What the first
 * read left in `out` is put in any case: it lies nowhere else. */
static bool may_read(struct call *call, enum call_state *next)
{
    bool has_some = buf_span(&call->shared->out).len > 0;
    *next = call_is_lost(call) ? CALL_SETTLE : CALL_STREAM;
    if (*next == CALL_SETTLE || (is_full(call) && !has_some)) {
        return false;
    }
    enum err e = call_recheck_key(call);
    if (e != ERR_OK) {
        *next = call_fail(call, e);
    }
    return e == ERR_OK;
}

/* Whether what was understood is to be put before more is read. */
static bool has_all(const struct call_try *t)
{
    return t->is_done || !call_made_is_empty(&t->made);
}

/* Whether that is all for this turn, with the state that follows; what a read brought is put. */
static bool is_enough(struct call *call, struct call_try *t, enum call_read read,
                      enum call_state *next)
{
    *next = CALL_STREAM;
    if (read == CALL_READ_FAILED) {
        *next = call_fail_as(call, t);
        return true;
    }
    if (!put_made(call, t)) {
        return true;
    }
    if (t->is_ending) {
        call_yield(call);
        return true;
    }
    if (t->is_done) {
        call->answer.is_done = true;
        *next = CALL_SETTLE;
    }
    return t->is_done || read == CALL_READ_LATER;
}

static enum call_state pass_events(struct call *call, struct call_try *t)
{
    enum call_state next;
    enum call_read read;
    do {
        bool is_between = t->large != NULL || t->is_ending || (t->rest.len == 0 && !t->is_ended);
        if (is_between && !may_read(call, &next)) {
            return next;
        }
        read = has_all(t) ? CALL_READ_SOME : call_try_read(t);
        enum err e = put_read(call, t);
        arena_fini(&call->shared->turn);
        if (e != ERR_OK) {
            return call_fail(call, e);
        }
    } while (!is_enough(call, t, read, &next));
    return next;
}

/* ---- a whole reply ---- */

/* Whether the guard has looked at the reply, as far as it does; else `*next` is the state that
 * follows. */
static bool is_looked_at(struct call *call, struct call_try *t, enum call_state *next)
{
    if (t->is_looked_at || !call_guard_looks(call)) {
        return true;
    }
    bool is_cut;
    enum err e = call_guard_step_made(t, &t->is_looked_at, &is_cut);
    if (e == ERR_OK && !t->is_looked_at) {
        call_yield(call);
    }
    *next = e == ERR_OK ? CALL_STREAM : call_fail(call, e);
    return t->is_looked_at;
}

static enum call_state pass_reply(struct call *call, struct call_try *t)
{
    enum call_state next;
    if (call_is_lost(call)) {
        return CALL_SETTLE;
    }
    if (!is_looked_at(call, t, &next)) {
        return next;
    }
    enum err e = call_answer_put_reply_head(call, t->made.bytes);
    if (e != ERR_OK) {
        return call_fail(call, e);
    }
    if (t->large != NULL && is_full(call)) {
        return CALL_STREAM; /* the client takes some, and that is an event */
    }
    /* What a small one became lies in the worker's memory, and does not stay for another turn. */
    if (t->large != NULL && call_answer_put_slice(call, &t->made)) {
        call_yield(call);
        return CALL_STREAM;
    }
    call->answer.is_done = true;
    return CALL_SETTLE;
}

enum call_state call_step_stream(struct call *call)
{
    struct call_try *t = call->answering;
    return t->streaming ? pass_events(call, t) : pass_reply(call, t);
}
