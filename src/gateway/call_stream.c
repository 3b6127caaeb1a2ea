/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer on its way to the client. Events are forwarded in the turn of the loop in which they
 * came, all that one read brought in one write. While the client leaves too much of what was put,
 * the model server is not read: that is the whole of back-pressure.
 *
 * The client's head is held until the first event is understood: a model server that says 200 and
 * then an error as its first event still becomes a real status.
 */
#include "gateway/call_internal.h"

#define STREAM_FIELDS                                                               \
    "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n" \
    "X-Accel-Buffering: no\r\n"
#define JSON_FIELDS  "Content-Type: application/json\r\n"
#define REPLY_PIECES 64 /* of a reply's edits: more are sent in several puts */

struct span call_reply_fields(struct call *call, struct span more)
{
    struct span lines =
        call->match.model == NULL ? call->policy->common_lines : call->match.model->reply_lines;
    struct span parts[] = {SPAN("x-request-id: "),
                           span_of(call->id.text),
                           SPAN("\r\nX-Audit-Trace-ID: "),
                           span_of(call->id.text),
                           SPAN("\r\n"),
                           lines,
                           call_cors_fields(call),
                           more};
    size_t len = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        len += parts[i].len;
    }
    uint8_t *to = arena_alloc(&call->arena, len);
    if (to == NULL) {
        return (struct span){NULL, 0};
    }
    size_t at = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].len > 0) {
            memcpy(to + at, parts[i].at, parts[i].len);
        }
        at += parts[i].len;
    }
    return span_make(to, len);
}

/* Gives the worker's memory back; what `e` says more exactly: memory that may not be taken is no
 * memory that is not there. */
static enum err end_turn(struct call_shared *shared, enum err e)
{
    if (e == ERR_NO_MEMORY && arena_failed(&shared->turn)) {
        e = arena_error(&shared->turn);
    }
    arena_fini(&shared->turn);
    return e;
}

/* ---- a reply that was read whole ---- */

static void put_edited(struct call *call, const struct json_edits *edits, struct iovec *pieces)
{
    const struct call_ports *ports = call->shared->ports;
    int count = (int)json_edits_pieces(edits, pieces);
    for (int at = 0; at < count; at += REPLY_PIECES) {
        int some = count - at < REPLY_PIECES ? count - at : REPLY_PIECES;
        ports->client.put(call->client, pieces + at, some);
    }
}

enum err call_put_reply_head(struct call *call, uint64_t length)
{
    struct span fields = call_reply_fields(call, SPAN(JSON_FIELDS));
    if (fields.at == NULL) {
        return ERR_NO_MEMORY;
    }
    if (!call->usage.is_known) {
        call_estimate_input(call);
    }
    call_release_body(call);
    call->shared->ports->client.put_head(call->client, 200, fields, length);
    call->head_put = true;
    return ERR_OK;
}

enum call_state call_put_whole(struct call *call, struct span reply)
{
    struct call_shared *shared = call->shared;
    struct openai_reply made;
    if (reply.len > CALL_LARGE_BYTES) {
        return call_begin_large(call, reply);
    }
    enum err e = json_index_parse_borrow(&shared->index, reply);
    if (e != ERR_OK) {
        return call_fail(call, e == ERR_NO_MEMORY ? e : ERR_UPSTREAM_JSON);
    }
    e = openai_reply_begin(&made, &shared->index, &call->plan, &shared->turn);
    if (e == ERR_UPSTREAM_STATUS) {
        return call_fail_upstream(call, 0, reply);
    }
    if (e == ERR_OK) {
        e = openai_reply_convert(&made, INT64_MAX);
    }
    struct iovec *pieces =
        e != ERR_OK
            ? NULL
            : arena_alloc(&shared->turn, json_edits_most_pieces(&made.edits) * sizeof(*pieces));
    if (pieces == NULL) {
        return call_fail(call, end_turn(shared, e == ERR_OK ? ERR_NO_MEMORY : e));
    }
    call->usage = made.usage;
    call->text_bytes = made.text_bytes;
    e = call_put_reply_head(call, json_edits_total(&made.edits));
    if (e == ERR_OK) {
        call->client_bytes = json_edits_total(&made.edits);
        put_edited(call, &made.edits, pieces);
        call->reply_done = true;
    }
    arena_fini(&shared->turn);
    return e == ERR_OK ? CALL_STREAM : call_fail(call, e);
}

/* ---- events ---- */

/* Puts the head of a stream before the first event. */
static bool put_stream_head(struct call *call)
{
    struct span fields = call_reply_fields(call, SPAN(STREAM_FIELDS));
    if (fields.at == NULL) {
        (void)call_fail(call, ERR_NO_MEMORY); /* the caller's caller leaves the state */
        return false;
    }
    call->shared->ports->client.put_head(call->client, 200, fields, UINT64_MAX);
    call->head_put = true;
    return true;
}

/* Sends what was gathered of this read; a failure is in call->error. */
static void flush(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    struct buf *out = &call->shared->out;
    struct span bytes = buf_span(out);
    if (bytes.len == 0 || (!call->head_put && !put_stream_head(call))) {
        buf_clear(out); /* of a failure, too: other calls use it next */
        return;
    }
    struct iovec piece = {(void *)(uintptr_t)bytes.at, bytes.len};
    ports->client.put(call->client, &piece, 1);
    call->client_bytes += bytes.len;
    buf_clear(out);
}

/* JSON has line ends only where it may have any blank, and an event's data line must not have one:
 * an event of several data lines becomes one of one. */
static void make_one_line(uint8_t *text, size_t len)
{
    static const char ends[] = {'\n', '\r'};
    for (size_t i = 0; i < sizeof(ends); i++) {
        uint8_t *at = text;
        while ((at = memchr(at, ends[i], len - (size_t)(at - text))) != NULL) {
            *at = ' ';
        }
    }
}

/* Adds the whole event, or nothing. */
static enum err gather_edited(struct buf *out, const struct json_edits *edits)
{
    struct span before = SPAN("data: "), behind = SPAN("\n\n");
    size_t len = (size_t)json_edits_total(edits);
    uint8_t *to = buf_reserve(out, before.len + len + behind.len);
    if (to == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(to, before.at, before.len);
    json_edits_copy(edits, to + before.len);
    make_one_line(to + before.len, len);
    memcpy(to + before.len + len, behind.at, behind.len);
    buf_added(out, before.len + len + behind.len);
    return ERR_OK;
}

/* The last events, which the model server may have left out. */
static enum err gather_end(struct call *call)
{
    struct call_shared *shared = call->shared;
    struct span events;
    enum err e = openai_stream_finish(&call->stream, &shared->turn, call->started_wall.us / 1000000,
                                      &events);
    if (e != ERR_OK) {
        return e;
    }
    buf_put(&shared->out, events);
    call->reply_done = !buf_failed(&shared->out);
    return call->reply_done ? ERR_OK : ERR_NO_MEMORY;
}

/* Tells what the model server says went wrong: as a status while that is possible. */
static enum err error_event(struct call *call, struct span data)
{
    flush(call);
    (void)call_fail_upstream(call, 0, data); /* the caller leaves the state */
    return call->error;
}

static enum err one_event(struct call *call, const struct sse_event *event)
{
    struct call_shared *shared = call->shared;
    struct json_edits edits;
    enum openai_verdict verdict = OPENAI_DROP;
    if (!event->has_data) { /* a comment that keeps the connection alive, and nothing else */
        bool is_begun = call->head_put || buf_span(&shared->out).len > 0;
        buf_put(&shared->out, is_begun ? SPAN(": keep-alive\n\n") : SPAN(""));
        return ERR_OK;
    }
    if (span_is(event->name, "error")) { /* whatever its data looks like */
        return error_event(call, event->data);
    }
    enum err e = openai_stream_event(&call->stream, event->data, &shared->index, &shared->turn,
                                     &edits, &verdict);
    if (e != ERR_OK) {
        return e;
    }
    switch (verdict) {
    case OPENAI_SEND:
        return gather_edited(&shared->out, &edits);
    case OPENAI_DROP:
        return ERR_OK;
    case OPENAI_END:
        return gather_end(call);
    case OPENAI_ERROR:
        return error_event(call, event->data);
    }
    NEVER("a verdict is one of these");
}

enum call_state call_put_as_events(struct call *call, struct span reply)
{
    struct call_shared *shared = call->shared;
    struct sse_event event = {.data = reply, .has_data = true};
    call->streaming = true;
    openai_stream_init(&call->stream, &call->plan);
    enum err e = one_event(call, &event);
    if (e == ERR_UPSTREAM_STREAM || (e == ERR_OK && !call->stream.any_begun)) {
        e = ERR_UPSTREAM_JSON; /* it never was a stream */
    }
    if (!call->stream.usage.is_known) {
        call_estimate_input(call);
    }
    call_release_body(call);
    if (e == ERR_OK) {
        e = gather_end(call);
    }
    if (e == ERR_OK) {
        flush(call);
        e = call->error;
    }
    buf_clear(&shared->out);
    e = end_turn(shared, e);
    return e == ERR_OK ? CALL_STREAM : call_fail(call, e);
}

/* Forwards the events that are whole in `bytes`. What follows [DONE] is of no interest. */
static enum err forward(struct call *call, struct span bytes)
{
    struct call_shared *shared = call->shared;
    struct sse_event event = {0};
    enum err e = sse_parser_next(&call->events, &bytes, &event);
    while (e == ERR_OK && event.raw.len > 0 && !call->reply_done) {
        e = one_event(call, &event);
        if (buf_span(&shared->out).len > CALL_PULL_BYTES) {
            flush(call);
        }
        if (e == ERR_OK) {
            e = sse_parser_next(&call->events, &bytes, &event);
        }
    }
    flush(call);
    e = end_turn(shared, e);
    return e == ERR_OK ? call->error : e;
}

/* The model server's connection says that the answer is over. */
static enum call_state stream_ended(struct call *call)
{
    struct sse_event event = {0};
    enum err e = call->reply_done ? ERR_OK : sse_parser_finish(&call->events, &event);
    if (e == ERR_OK && event.raw.len > 0) {
        e = one_event(call, &event);
    }
    if (e == ERR_OK && !call->reply_done) {
        e = openai_stream_is_complete(&call->stream) ? gather_end(call) : ERR_UPSTREAM_CLOSED;
    }
    flush(call);
    e = end_turn(call->shared, e);
    return e == ERR_OK ? CALL_SETTLE : call_fail(call, e);
}

/* The process may die between any two of these: the status comes last, and says that the rest is
 * there. */
void call_note_progress(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    struct journal_record *r = ports->journal.record(call->completion);
    r->bytes_out = (int64_t)call->client_bytes;
    r->tokens_out = call_estimate_output(call);
    call_fill_cost(call, r);
    if (r->status == 0 && call->head_put) {
        journal_set_text(r->peer, span_of(ports->attempt.peer(call->attempt)));
        atomic_signal_fence(memory_order_seq_cst); /* the processor keeps the order of stores */
        call_fill_answer(call, r);
    }
}

enum call_state call_step_stream(struct call *call)
{
    struct call_shared *shared = call->shared;
    const struct call_ports *ports = shared->ports;
    if (call->large != NULL) {
        return call_put_large(call);
    }
    while (!call->reply_done) {
        if (call_is_lost(call)) {
            return CALL_SETTLE;
        }
        if (ports->client.waiting(call->client) > (size_t)shared->output_bytes_max) {
            return CALL_STREAM;
        }
        enum err e = ports->keys.recheck(shared->keys, &call->key, ports->wall());
        if (e != ERR_OK) {
            return call_fail(call, e);
        }
        size_t got = 0;
        enum attempt_pulled pulled =
            ports->attempt.pull(call->attempt, shared->pulled, CALL_PULL_BYTES, &got);
        if (pulled == ATTEMPT_LATER) {
            return CALL_STREAM;
        }
        if (pulled == ATTEMPT_BROKEN) {
            return call_fail(call, ports->attempt.error(call->attempt));
        }
        e = forward(call, span_make(shared->pulled, got));
        if (e != ERR_OK) {
            return call_fail(call, e);
        }
        call_note_progress(call);
        if (pulled == ATTEMPT_DONE) {
            return stream_ended(call);
        }
    }
    return CALL_SETTLE;
}
