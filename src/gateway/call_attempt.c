/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to a model server. Answers that are not streams are read whole before anything is
 * sent to the client, so that a failure can still become a status. Most fit into the worker's
 * memory in one read and are never copied.
 */
#include "base/memory.h"
#include "gateway/call_internal.h"
#include "http/http_request.h"
#include "http/http_response.h"
#include "text/text_tokens.h"
#include "upstream/upstream_error.h"

#define REPLY_FIRST_BYTES (256 * 1024)
#define EVENT_BYTES_MAX   (8 << 20) /* of a stream */
#define PASSED_VALUE_MAX  512       /* of a client's header that is passed on */

/* The client's headers that a model server may see, unless Connection names them (RFC 9110 7.6.1);
 * all others stay here. */
static const enum http_name passed_on[] = {HTTP_NAME_TRACEPARENT, HTTP_NAME_TRACESTATE,
                                           HTTP_NAME_OPENAI_BETA};

#define PASSED_COUNT (sizeof(passed_on) / sizeof(passed_on[0]))

static struct span join(struct arena *arena, const struct span *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    uint8_t *to = arena_alloc(arena, len + 1);
    if (to == NULL) {
        return (struct span){NULL, 0};
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(to + at, parts[i].at, parts[i].len);
        }
        at += parts[i].len;
    }
    return span_make(to, len);
}

static struct span request_fields(struct call *call)
{
    const struct http_request *head = call->shared->ports->client.head(call->client);
    struct span parts[4 + PASSED_COUNT * 4];
    size_t count = 0;
    parts[count++] = call->request.stream
                         ? SPAN("Content-Type: application/json\r\nAccept: text/event-stream\r\n"
                                "X-Request-Id: ")
                         : SPAN("Content-Type: application/json\r\nAccept: application/json\r\n"
                                "X-Request-Id: ");
    parts[count++] = span_of(call->id.text);
    parts[count++] = SPAN("\r\n");
    for (size_t i = 0; i < PASSED_COUNT; i++) {
        if (!http_fields_has(&head->fields, passed_on[i]) ||
            http_fields_list_has(&head->fields, HTTP_NAME_CONNECTION,
                                 http_name_text(passed_on[i]))) {
            continue;
        }
        struct span value = http_fields_find(&head->fields, passed_on[i]);
        if (value.len <= PASSED_VALUE_MAX) {
            parts[count++] = http_name_text(passed_on[i]);
            parts[count++] = SPAN(": ");
            parts[count++] = value;
            parts[count++] = SPAN("\r\n");
        }
    }
    return join(&call->arena, parts, count);
}

static struct span endpoint_path(const struct call *call)
{
    switch (call->request.endpoint) {
    case OPENAI_CHAT:
        return SPAN("/chat/completions");
    case OPENAI_COMPLETIONS:
        return SPAN("/completions");
    case OPENAI_EMBEDDINGS:
        return SPAN("/embeddings");
    }
    NEVER("every endpoint has its path");
}

enum err call_prepare_attempt(struct call *call)
{
    const struct call_shared *shared = call->shared;
    struct span fields = request_fields(call);
    if (fields.at == NULL) {
        return ERR_NO_MEMORY;
    }
    struct attempt_request request = {
        .path = endpoint_path(call),
        .fields = fields,
        .pieces = call->pieces,
        .piece_count = call->piece_count,
        .post = true,
        .fresh = call->retry_fresh,
    };
    return shared->ports->attempt.prepare(shared->pool, call->match.model->deployment, &request,
                                          call_on_event, call, &call->attempt);
}

void call_note_sent(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    if (call->attempt != NULL && ports->attempt.has_sent(call->attempt)) {
        call->sent++;
        span_copy_text(span_of(ports->attempt.peer(call->attempt)), call->attempt_peer,
                       sizeof(call->attempt_peer));
    }
}

/* A connection that died as it was used answered nothing: once, the request is sent anew. */
static enum call_state attempt_failed(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    enum err e = ports->attempt.error(call->attempt);
    if (e != ERR_UPSTREAM_STALE) {
        return call_fail(call, e);
    }
    if (call->retry_fresh) {
        return call_fail(call, ERR_UPSTREAM_CLOSED);
    }
    call_note_sent(call);
    ports->attempt.close(&call->attempt);
    call->retry_fresh = true;
    call->intent_ticket = 0;
    return CALL_RECORD;
}

static bool is_event_stream(const struct http_response *head)
{
    struct span type = http_fields_find(&head->fields, HTTP_NAME_CONTENT_TYPE);
    struct span essence = span_trim(span_cut(type, 0, span_find(type, ';', 0)));
    return span_equal_nocase(essence, SPAN("text/event-stream"));
}

static bool is_success(const struct call *call)
{
    return call->upstream_status >= 200 && call->upstream_status <= 299;
}

static void note_head(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    const struct http_response *head = ports->attempt.head(call->attempt);
    call->upstream_status = head->status;
    call->first_byte = ports->attempt.first_byte(call->attempt);
    call->streaming = is_success(call) && call->request.stream && is_event_stream(head);
}

/* ---- answers that are read whole ---- */

static enum err keep(struct call *call, struct span bytes)
{
    if (bytes.len > call->reply_cap - call->reply_len) {
        size_t cap = call->reply_cap == 0 ? REPLY_FIRST_BYTES : call->reply_cap * 2;
        if (!memory_take(cap - call->reply_cap)) {
            return ERR_OVERLOADED;
        }
        uint8_t *grown = memory_resize(call->reply, cap);
        if (grown == NULL) {
            memory_give(cap - call->reply_cap);
            return ERR_NO_MEMORY;
        }
        call->reply = grown;
        call->reply_cap = cap;
    }
    memcpy(call->reply + call->reply_len, bytes.at, bytes.len);
    call->reply_len += bytes.len;
    return ERR_OK;
}

static enum call_state answer_is_whole(struct call *call, struct span reply)
{
    if (!is_success(call)) {
        return call_fail_upstream(call, call->upstream_status, reply);
    }
    return call->request.stream ? call_put_as_events(call, reply) : call_put_whole(call, reply);
}

static enum call_state read_whole(struct call *call)
{
    const struct call_shared *shared = call->shared;
    size_t most = (size_t)call->match.model->deployment->definition.reply_bytes_max;
    for (;;) {
        size_t got = 0;
        enum attempt_pulled pulled =
            shared->ports->attempt.pull(call->attempt, shared->pulled, CALL_PULL_BYTES, &got);
        struct span bytes = span_make(shared->pulled, got);
        if (pulled == ATTEMPT_LATER) {
            return CALL_ATTEMPT;
        }
        if (pulled == ATTEMPT_BROKEN) {
            return call_fail(call, shared->ports->attempt.error(call->attempt));
        }
        if (got > most - call->reply_len) {
            return call_fail(call, ERR_UPSTREAM_TOO_LARGE);
        }
        if (pulled == ATTEMPT_DONE && call->reply_len == 0 && got <= CALL_LARGE_BYTES) {
            return answer_is_whole(call, bytes);
        }
        enum err e = got == 0 ? ERR_OK : keep(call, bytes);
        if (e != ERR_OK) {
            return call_fail(call, e);
        }
        if (pulled == ATTEMPT_DONE) {
            return answer_is_whole(call, span_make(call->reply, call->reply_len));
        }
    }
}

enum call_state call_fail_upstream(struct call *call, int status, struct span body)
{
    const struct http_response *head = call->shared->ports->attempt.head(call->attempt);
    struct upstream_answer answer = {
        .kind = call->match.model->deployment->definition.kind,
        .status = status,
        .content_type = http_fields_find(&head->fields, HTTP_NAME_CONTENT_TYPE),
        .retry_after = http_fields_find(&head->fields, HTTP_NAME_RETRY_AFTER),
        .now = call->shared->ports->wall(),
        .body = body,
    };
    struct upstream_error error;
    upstream_error_read(&answer, &call->shared->turn, &error);
    call->retry_after_s = error.retry_after_s;
    enum call_state next = call_fail_at(call, error.err, error.param, error.message);
    arena_fini(&call->shared->turn);
    return next;
}

enum call_state call_step_attempt(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    if (call_is_lost(call)) {
        return CALL_SETTLE;
    }
    if (call->large != NULL) {
        return call_make_large(call);
    }
    enum attempt_state state = ports->attempt.state(call->attempt);
    if (state == ATTEMPT_FAILED) {
        return attempt_failed(call);
    }
    if (state < ATTEMPT_HEAD) {
        return CALL_ATTEMPT;
    }
    if (call->upstream_status == 0) {
        note_head(call);
    }
    if (!call->streaming) {
        return read_whole(call);
    }
    if (call->request.input_tokens < 0) {
        call->input_estimate = (int64_t)text_estimate_tokens(span_make(call->body, call->body_len));
    }
    call_release_body(call);
    openai_stream_init(&call->stream, &call->plan);
    sse_parser_init(&call->events, EVENT_BYTES_MAX);
    return CALL_STREAM;
}
