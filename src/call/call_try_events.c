/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream, event by event. What the events say is gathered in the worker's `out`; a large event is
 * looked at in slices (call_try_large.c) and left in `made`, and what follows it waits in `rest`.
 * So one call of call_try_read() gives what is in `out`, then what is in `made`, and nothing
 * behind.
 */
#include "base/counter.h"
#include "base/memory.h"
#include "call/call_internal.h"
#include "call/call_try_large.h"
#include "sse/sse_write.h"
#include "text/text_tokens.h"

#define CUT_SLACK  64 /* tokens by which our count may be too high, of a short answer */
#define CUT_FACTOR 8  /* and of a long one how many times */

void call_try_begin_stream(struct call_try *t)
{
    openai_stream_init(&t->stream, &t->plan);
    buf_init_counted(&t->held, CALL_HELD_MAX, BUF_UNCOUNTED);
    sse_parser_init(&t->events, call_try_reply_most(t));
}

/* The same through the guard, as it is put together. */
static enum err gather_guarded(struct call_try *t, const struct json_edits *edits)
{
    struct arena *turn = &t->call->shared->turn;
    size_t len = (size_t)json_edits_total(edits);
    uint8_t *event = arena_alloc(turn, len + 1);
    if (event == NULL) {
        return ERR_NO_MEMORY;
    }
    json_edits_copy(edits, event);
    return call_guard_put_event(t, span_make(event, len), &t->is_blocked);
}

/* Adds the whole event, or nothing. */
static enum err gather_edited(struct call_try *t, const struct json_edits *edits)
{
    struct buf *out = &t->call->shared->out;
    if (call_guard_looks(t->call)) {
        return gather_guarded(t, edits);
    }
    struct span before = SPAN("data: "), behind = SPAN("\n\n");
    size_t len = (size_t)json_edits_total(edits);
    uint8_t *to = buf_reserve(out, before.len + len + behind.len);
    if (to == NULL) {
        return buf_error(out);
    }
    memcpy(to, before.at, before.len);
    json_edits_copy(edits, to + before.len);
    sse_one_line(to + before.len, len);
    memcpy(to + before.len + len, behind.at, behind.len);
    buf_added(out, before.len + len + behind.len);
    return ERR_OK;
}

static enum err gather_same_guarded(struct call_try *t, const struct iovec same[3])
{
    size_t len = same[0].iov_len + same[1].iov_len + same[2].iov_len, at = 0;
    uint8_t *event = arena_alloc(&t->call->shared->turn, len + 1);
    if (event == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < 3; i++) {
        memcpy(event + at, same[i].iov_base, same[i].iov_len);
        at += same[i].iov_len;
    }
    return call_guard_put_event(t, span_make(event, len), &t->is_blocked);
}

/* The same of an event that is like the one before. */
static enum err gather_same(struct call_try *t, const struct iovec same[3])
{
    struct buf *out = &t->call->shared->out;
    if (call_guard_looks(t->call)) {
        return gather_same_guarded(t, same);
    }
    buf_put(out, SPAN("data: "));
    for (size_t i = 0; i < 3; i++) {
        buf_put(out, span_make(same[i].iov_base, same[i].iov_len));
    }
    buf_put(out, SPAN("\n\n"));
    return buf_failed(out) ? buf_error(out) : ERR_OK;
}

/* The last events, which the model server may have left out, or the next of them. */
static enum err gather_end(struct call_try *t)
{
    struct call_shared *shared = t->call->shared;
    struct span events;
    enum err e = openai_stream_finish(&t->stream, &shared->turn, &events);
    if (e != ERR_OK) {
        return e;
    }
    if (call_guard_looks(t->call)) {
        e = call_guard_put_events(t, events);
    } else {
        buf_put(&shared->out, events);
        e = buf_failed(&shared->out) ? buf_error(&shared->out) : ERR_OK;
    }
    if (e != ERR_OK) {
        return e;
    }
    t->is_done = t->stream.is_finished;
    t->is_ending = !t->is_done;
    return ERR_OK;
}

/* Tells what the model server says went wrong. */
static enum err error_event(struct call_try *t, struct span data)
{
    (void)call_try_fail_upstream(t, 0, data); /* the caller's caller leaves the state */
    return t->error;
}

/* A comment keeps a connection alive, and says nothing else: one of those that came with a read
 * says it as well as thousands. */
static void take_comment(struct call_try *t)
{
    const struct span beat = SPAN(": keep-alive\n\n");
    struct buf *out = &t->call->shared->out;
    if (t->state != CALL_TRY_WON) {
        t->has_beat = true;
    } else if (!span_ends(buf_span(out), beat)) {
        buf_put(out, beat);
    }
}

static enum err one_event(struct call_try *t, const struct sse_event *event)
{
    struct json_edits edits;
    enum openai_verdict verdict = OPENAI_DROP;
    if (!event->has_data) {
        take_comment(t);
        return ERR_OK;
    }
    if (span_is(event->name, "error")) { /* whatever its data looks like */
        return error_event(t, event->data);
    }
    struct iovec same[3];
    if (event->data.len <= CALL_PULL_BYTES &&
        openai_stream_repeats(&t->stream, event->data, same)) {
        return gather_same(t, same);
    }
    if (event->data.len > CALL_EVENT_BYTES) {
        return call_try_begin_large(t, event->data);
    }
    struct span data = event->data;
    enum err e = call_try_index_event(t, &data, &edits, &verdict);
    if (e != ERR_OK) {
        return e;
    }
    switch (verdict) {
    case OPENAI_SEND:
        return gather_edited(t, &edits);
    case OPENAI_DROP:
        return ERR_OK;
    case OPENAI_END:
        return gather_end(t);
    case OPENAI_ERROR:
        return error_event(t, t->stream.failure);
    }
    NEVER("a verdict is one of these");
}

/* Whether what was understood is to be looked at before any more is. */
static bool has_something(const struct call_try *t)
{
    return !call_made_is_empty(&t->made) || t->large != NULL || t->is_ending ||
           buf_span(&t->call->shared->out).len > CALL_PULL_BYTES ||
           (t->state == CALL_TRY_HEAD && t->stream.has_content);
}

/*
 * Whether more was said than the call holds, whatever the server was told. An event is a token or
 * several. By our own count alone a server is not judged before it is far beyond: words that are
 * one token of its are up to five of ours (Arabic). Of who is not limited nothing is held.
 */
static bool is_beyond_held(const struct call_try *t)
{
    const struct call *call = t->call;
    int64_t most = t->plan.asked;
    if (call->input_held == 0 || most < 0) {
        return false;
    }
    if (call->request.endpoint == OPENAI_COMPLETIONS) { /* it may say its prompt again */
        most += call->input_held;
    }
    int64_t written = (int64_t)text_tokens_of(t->stream.answer.written);
    bool is_far = (written - CUT_SLACK) / CUT_FACTOR > most;
    return is_far || (t->said > (uint64_t)most && written >= most);
}

/* Ends the answer here, as one that has reached its length. */
static enum err cut(struct call_try *t)
{
    struct journal_record used;
    struct openai_usage *told = arena_alloc(&t->call->arena, sizeof(*told));
    if (told == NULL) {
        return ERR_NO_MEMORY;
    }
    t->is_cut = true;
    call_fill_used(t, &used); /* as it will be recorded */
    *told = (struct openai_usage){.input_tokens = used.tokens_in,
                                  .output_tokens = used.tokens_out,
                                  .cached_tokens = used.tokens_cached};
    t->stream.cut = told;
    counter_add(COUNT_ANSWERS_CUT, 1);
    return gather_end(t);
}

/* Ends the answer where something in it was blocked: nothing of its texts may follow. */
static enum err end_blocked(struct call_try *t)
{
    enum err e = call_guard_flush(t);
    t->stream.is_filtered = true;
    return e == ERR_OK ? cut(t) : e;
}

/* The events that are whole in `rest`. What follows [DONE] is of no interest. */
static enum err read_rest(struct call_try *t)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && t->rest.len > 0 && !t->is_done && !has_something(t)) {
        struct sse_event event = {0};
        uint64_t written = t->stream.answer.written;
        e = sse_parser_next(&t->events, &t->rest, &event);
        if (e == ERR_OK && event.raw.len > 0) {
            e = one_event(t, &event);
        }
        t->said += t->stream.answer.written > written;
        if (e == ERR_OK && t->is_blocked && !t->is_done) {
            return end_blocked(t);
        }
        if (e == ERR_OK && !t->is_done && is_beyond_held(t)) {
            return cut(t);
        }
    }
    return e;
}

/* The model server's connection says that the answer is over. */
static enum err read_end(struct call_try *t)
{
    struct sse_event event = {0};
    enum err e = sse_parser_finish(&t->events, &event);
    if (e == ERR_OK && event.raw.len > 0) {
        e = one_event(t, &event);
    }
    if (e == ERR_OK && t->is_blocked && t->large == NULL) {
        return end_blocked(t);
    }
    if (e == ERR_OK && !t->is_done && !t->is_ending && t->large == NULL) {
        bool is_complete = t->is_whole || openai_stream_is_complete(&t->stream);
        e = is_complete ? gather_end(t) : ERR_UPSTREAM_CLOSED;
    }
    return e;
}

/* Memory that may not be taken is no memory that is not there. */
static enum call_read end_read(struct call_try *t, enum err e)
{
    const struct arena *turn = &t->call->shared->turn;
    if (e == ERR_OK) {
        return CALL_READ_SOME;
    }
    (void)call_try_fail(t, e == ERR_NO_MEMORY && arena_failed(turn) ? arena_error(turn) : e);
    return CALL_READ_FAILED;
}

/* The large event is there, and the guard looks at it. */
static enum call_read look_at_large(struct call_try *t)
{
    bool is_done = false;
    enum err e = call_guard_step_made(t, &is_done, &t->is_blocked);
    t->is_looked_at = e == ERR_OK && !is_done;
    if (t->is_looked_at) {
        call_yield(t->call);
        return CALL_READ_LATER;
    }
    return end_read(t, e);
}

/* The large event goes on. What was read before it is put first. */
static enum call_read read_large(struct call_try *t)
{
    bool is_made = false;
    if (t->is_looked_at) {
        return look_at_large(t);
    }
    enum err e = call_try_step_large(t, &is_made);
    if (e == ERR_UPSTREAM_STREAM && t->is_whole) {
        e = ERR_UPSTREAM_JSON; /* it never was a stream */
    }
    if (e != ERR_OK) {
        return end_read(t, e);
    }
    if (!is_made) {
        call_yield(t->call);
        return CALL_READ_LATER;
    }
    enum openai_verdict verdict = call_try_large_verdict(t);
    if (verdict == OPENAI_ERROR) {
        return end_read(t, error_event(t, t->stream.failure));
    }
    if (call_made_is_empty(&t->made)) {
        call_try_free_large(t); /* it was only to be counted */
    }
    if (verdict == OPENAI_END) {
        return end_read(t, gather_end(t));
    }
    bool is_none = t->is_whole && !t->stream.answer.any_begun;
    if (!is_none && !call_made_is_empty(&t->made) && call_guard_looks(t->call)) {
        return look_at_large(t);
    }
    return end_read(t, is_none ? ERR_UPSTREAM_JSON : ERR_OK);
}

void call_try_end_made(struct call_try *t)
{
    t->made = (struct call_made){.pieces = NULL};
    call_guard_end_made(t->call);
    call_try_free_large(t);
}

enum call_read call_try_read(struct call_try *t)
{
    const struct call_shared *shared = t->call->shared;
    if (t->large != NULL) {
        return read_large(t);
    }
    if (t->is_ending) {
        return end_read(t, gather_end(t));
    }
    if (t->is_blocked && !t->is_done) {
        return end_read(t, end_blocked(t));
    }
    if (t->rest.len == 0 && !t->is_ended) {
        size_t got = 0;
        call_try_release_reply(t); /* the first bytes, if they came in pieces */
        memory_free_counted(t->kept);
        t->kept = NULL;
        enum attempt_pulled pulled =
            shared->ports->attempt.pull(t->attempt, shared->pulled, CALL_PULL_BYTES, &got);
        if (pulled == ATTEMPT_LATER) {
            return CALL_READ_LATER;
        }
        if (pulled == ATTEMPT_BROKEN) {
            return end_read(t, shared->ports->attempt.error(t->attempt));
        }
        t->rest = span_make(shared->pulled, got);
        t->is_ended = pulled == ATTEMPT_DONE;
    }
    enum err e = read_rest(t);
    if (e == ERR_OK && t->rest.len == 0 && t->is_ended && !t->is_done && !has_something(t)) {
        e = read_end(t);
    }
    return end_read(t, e);
}

enum call_try_state call_try_read_as_events(struct call_try *t, struct span reply)
{
    struct sse_event event = {.data = reply, .has_data = true};
    t->streaming = t->is_whole = t->is_ended = true;
    call_try_begin_stream(t);
    enum err e = one_event(t, &event);
    if (e == ERR_OK && t->large != NULL) {
        call_yield(t->call);
        return CALL_TRY_HEAD;
    }
    if (e == ERR_UPSTREAM_STREAM || (e == ERR_OK && !t->stream.answer.any_begun)) {
        e = ERR_UPSTREAM_JSON; /* it never was a stream */
    }
    if (end_read(t, e) == CALL_READ_SOME) {
        return CALL_TRY_WON;
    }
    buf_clear(&t->call->shared->out);
    return CALL_TRY_LOST;
}
