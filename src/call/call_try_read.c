/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer of a model server, up to where it is understood. Answers that are not streams are read
 * whole before anything is sent to the client, so that a failure can still become a status, or
 * another try. Most fit into the worker's memory in one read and are never copied.
 */
#include "call/call_internal.h"
#include "http/http_response.h"
#include "sse/sse_look.h"
#include "upstream/upstream_refusal.h"

#define FIRST_BYTES_MAX 4096 /* that are looked at to see whether it is a stream */

/* Of a connection that died before anything was sent nothing can have run: another may be used.
 * What was sent may have run, and is never sent again (RFC 9110 9.2.2). */
static enum call_try_state attempt_failed(struct call_try *t)
{
    const struct call_ports *ports = t->call->shared->ports;
    enum err e = ports->attempt.error(t->attempt);
    if (e != ERR_UPSTREAM_STALE) {
        return call_try_fail(t, e);
    }
    if (!t->is_fresh && !ports->attempt.has_sent(t->attempt)) {
        t->again = CALL_TRY_FRESH;
    }
    return call_try_fail(t, ERR_UPSTREAM_CLOSED);
}

static bool is_event_stream(const struct http_response *head)
{
    struct span type = http_fields_find(&head->fields, HTTP_NAME_CONTENT_TYPE);
    struct span essence = span_trim(span_cut(type, 0, span_find(type, ';', 0)));
    return span_equal_nocase(essence, SPAN("text/event-stream"));
}

static bool is_success(const struct call_try *t)
{
    return t->status >= 200 && t->status <= 299;
}

enum call_try_state call_try_step_run(struct call_try *t)
{
    const struct call_ports *ports = t->call->shared->ports;
    enum attempt_state state = ports->attempt.state(t->attempt);
    if (state == ATTEMPT_FAILED) {
        return attempt_failed(t);
    }
    if (state < ATTEMPT_HEAD) {
        return CALL_TRY_RUN;
    }
    const struct http_response *head = ports->attempt.head(t->attempt);
    call_body_unref(&t->body);
    t->status = head->status;
    t->first_byte = ports->attempt.first_byte(t->attempt);
    t->is_judged = !is_success(t) || !t->call->request.stream;
    t->streaming = !t->is_judged && is_event_stream(head);
    return CALL_TRY_HEAD;
}

/* ---- answers that are read whole ---- */

static enum call_try_state answer_is_whole(struct call_try *t, struct span reply)
{
    if (is_success(t)) {
        return t->call->request.stream ? call_try_read_as_events(t, reply)
                                       : call_try_make_reply(t, reply);
    }
    /* What the caller did not send may not fail its call: the server, which refused and ran
     * nothing, may be asked again without it. */
    t->refused = upstream_refusal_read(t->status, reply) & t->added;
    if ((t->refused & UPSTREAM_ADDS_MAX_TOKENS) != 0 &&
        upstream_refusal_names_number(reply, call_try_bound(t))) {
        t->passing |= UPSTREAM_ADDS_MAX_TOKENS;
    }
    t->again = t->refused != 0 ? CALL_TRY_LEANER : CALL_TRY_USUAL;
    return call_try_fail_upstream(t, t->status, reply);
}

/* Adds a piece of an answer that is read whole; `is_all`: it is the last. HEAD to go on. */
static enum call_try_state add_piece(struct call_try *t, struct span bytes, bool is_all)
{
    size_t most = call_try_reply_most(t);
    if (t->reply_len > most || bytes.len > most - t->reply_len) { /* judge() keeps first */
        return call_try_fail(t, ERR_UPSTREAM_TOO_LARGE);
    }
    if (is_all && t->reply_len == 0 && bytes.len <= CALL_LARGE_BYTES) {
        return answer_is_whole(t, bytes);
    }
    enum err e = bytes.len == 0 ? ERR_OK : call_try_keep(t, bytes);
    if (e != ERR_OK) {
        return call_try_fail(t, e);
    }
    return is_all ? answer_is_whole(t, span_make(t->reply, t->reply_len)) : CALL_TRY_HEAD;
}

/* What comes next of the answer. */
struct piece {
    struct span bytes;
    bool is_all;
    enum call_try_state next; /* when there is none */
};

static bool pull_piece(struct call_try *t, struct piece *out)
{
    const struct call_shared *shared = t->call->shared;
    size_t got = 0;
    enum attempt_pulled pulled =
        shared->ports->attempt.pull(t->attempt, shared->pulled, CALL_PULL_BYTES, &got);
    *out = (struct piece){span_make(shared->pulled, got), pulled == ATTEMPT_DONE, CALL_TRY_HEAD};
    if (pulled == ATTEMPT_BROKEN) {
        out->next = call_try_fail(t, shared->ports->attempt.error(t->attempt));
    }
    return pulled == ATTEMPT_SOME || pulled == ATTEMPT_DONE;
}

/* Reads on until there is nothing now, or it has ended. */
static enum call_try_state read_whole(struct call_try *t)
{
    struct piece piece;
    while (pull_piece(t, &piece)) {
        enum call_try_state next = add_piece(t, piece.bytes, piece.is_all);
        if (next != CALL_TRY_HEAD || piece.is_all) {
            return next;
        }
    }
    return piece.next;
}

/* ---- what was to be a stream ---- */

/* Keeps what was understood until there is more to it. False: it is content, or too much. */
static bool hold_back(struct call_try *t)
{
    struct buf *out = &t->call->shared->out;
    struct span bytes = buf_span(out);
    if (t->stream.has_content || t->is_done || t->is_ending || !call_made_is_empty(&t->made) ||
        buf_span(&t->held).len + bytes.len > CALL_HELD_MAX) {
        return false;
    }
    if (bytes.len > 0 && buf_reserve(&t->held, bytes.len) == NULL) {
        return false; /* then it goes out */
    }
    buf_put(&t->held, bytes);
    buf_clear(out);
    return true;
}

/* Reads events until one says something of the answer: a model server that says 200, perhaps a
 * role, and then an error has not answered. */
static enum call_try_state read_opening(struct call_try *t)
{
    enum call_read read;
    while ((read = call_try_read(t)) == CALL_READ_SOME) {
        if (!hold_back(t)) {
            return CALL_TRY_WON;
        }
    }
    buf_clear(&t->call->shared->out); /* of a failure; other tries use it next */
    return read == CALL_READ_LATER ? CALL_TRY_HEAD : CALL_TRY_LOST;
}

static enum call_try_state begin_stream(struct call_try *t, struct span first, bool is_all)
{
    call_try_begin_stream(t);
    t->rest = first;
    t->is_ended = is_all;
    return read_opening(t);
}

/* The first bytes of an answer that was to be a stream say what it is, and its type only where they
 * do not. HEAD to go on: with the whole reply, once it is judged. */
static enum call_try_state judge(struct call_try *t, struct span bytes, bool is_all)
{
    bool is_first = t->reply_len == 0;
    enum err e = is_first ? ERR_OK : call_try_keep(t, bytes);
    if (e != ERR_OK) {
        return call_try_fail(t, e);
    }
    struct span first = is_first ? bytes : span_make(t->reply, t->reply_len);
    enum sse_look look = sse_look(first);
    t->is_judged = look != SSE_LOOK_MORE || is_all || first.len > FIRST_BYTES_MAX;
    t->streaming = look == SSE_LOOK_STREAM || (look != SSE_LOOK_JSON && t->streaming);
    if (t->is_judged && t->streaming) {
        return begin_stream(t, first, is_all);
    }
    return add_piece(t, is_first ? bytes : SPAN(""), is_all);
}

static enum call_try_state read_first(struct call_try *t)
{
    struct piece piece;
    while (!t->is_judged) {
        if (!pull_piece(t, &piece)) {
            return piece.next;
        }
        enum call_try_state next = judge(t, piece.bytes, piece.is_all);
        if (next != CALL_TRY_HEAD || piece.is_all || (t->is_judged && t->streaming)) {
            return next;
        }
    }
    return read_whole(t);
}

enum call_try_state call_try_step_head(struct call_try *t)
{
    if (t->large != NULL && !t->streaming) {
        return call_try_make_large(t);
    }
    if (!t->is_judged) {
        return read_first(t);
    }
    return t->streaming ? read_opening(t) : read_whole(t);
}
