/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is decided on the head alone: who calls, and whether there is room. A stranger's body is
 * never read.
 */
#include <stdio.h>

#include "base/health.h"
#include "call/call_internal.h"
#include "call/call_key.h"
#include "http/http_request.h"

#define DEADLINE_MAX_S 86400

enum call_state call_step_head(struct call *call)
{
    if (call->shared->draining) {
        return call_fail(call, ERR_DRAINING);
    }
    return CALL_AUTHENTICATE;
}

size_t call_say_scope(uint32_t scope, char out[CALL_SCOPE_BYTES])
{
    return (size_t)snprintf(out, CALL_SCOPE_BYTES,
                            "the API key may not use this endpoint: it lacks the scope '%s'",
                            key_scope_name(scope));
}

enum call_state call_step_authenticate(struct call *call)
{
    enum err e = call->known ? ERR_OK
                             : call_key_check(call->shared, call->by, call->client,
                                              call->started_wall, &call->key, &call->retry_after_s);
    call->known = e == ERR_OK;
    if (e != ERR_OK) {
        return call_fail(call, e);
    }
    call_note_key_end(call);
    return CALL_ADMIT;
}

/* Whether the key may do this at all. */
static enum call_state fail_scope(struct call *call)
{
    char text[CALL_SCOPE_BYTES];
    size_t len = call_say_scope(call->route->scope, text);
    return call_fail_at(call, ERR_SCOPE_DENIED, SPAN(""), span_make(text, len));
}

/* "application/json", with or without parameters, and its +json kin; nothing at all is fine too. */
static bool is_json(struct span type)
{
    struct span essence = span_trim(span_cut(type, 0, span_find(type, ';', 0)));
    struct span suffix = SPAN("+json");
    return essence.len == 0 || span_equal_nocase(essence, SPAN("application/json")) ||
           (essence.len > suffix.len &&
            span_equal_nocase(span_cut(essence, essence.len - suffix.len, suffix.len), suffix));
}

/* Before all is full: those whose calls matter least wait elsewhere, and are told so at once. */
static enum call_state shed(struct call *call)
{
    return call_priority(call) != LIMITS_LOW
               ? call_fail(call, ERR_OVERLOADED)
               : call_fail_at(call, ERR_OVERLOADED, SPAN(""),
                              SPAN("the gateway has many calls, and those of low priority, as "
                                   "yours is, are refused first; try again shortly"));
}

/* "2.5": seconds with three places at most. 0: it is none, or more than a day. */
static int64_t read_seconds(struct span text)
{
    size_t point = span_find(text, '.', 0);
    struct span whole = span_cut(text, 0, point), part = span_cut(text, point + 1, text.len);
    uint64_t seconds = 0, thousandths = 0;
    bool has_part = point < text.len;
    if (!span_to_u64(whole, DEADLINE_MAX_S, &seconds) || (has_part && part.len > 3) ||
        (has_part && !span_to_u64(part, 999, &thousandths))) {
        return 0;
    }
    for (size_t i = part.len; has_part && i < 3; i++) {
        thousandths *= 10;
    }
    int64_t ms = (int64_t)(seconds * 1000 + thousandths);
    return ms <= DEADLINE_MAX_S * 1000 ? ms : 0;
}

/* How long its caller waits: nobody works for who is gone. */
static enum err read_deadline(struct call *call, const struct http_request *head)
{
    if (!http_fields_has(&head->fields, HTTP_NAME_X_REQUEST_TIMEOUT)) {
        return ERR_OK;
    }
    int64_t ms = read_seconds(http_fields_find(&head->fields, HTTP_NAME_X_REQUEST_TIMEOUT));
    call->deadline = clock_after_ms(call->started, ms);
    return ms > 0 ? ERR_OK : ERR_VALUE_INVALID;
}

enum call_state call_step_admit(struct call *call)
{
    const struct call_shared *shared = call->shared;
    const struct http_request *head = call->by->head(call->client);
    if (call->shadow != NULL) { /* it takes no place that is a caller's */
        enum err e = call_shadow_admit(call);
        return e == ERR_OK ? CALL_BODY : call_fail(call, e);
    }
    int64_t open = atomic_fetch_add_explicit(shared->calls_open, 1, memory_order_relaxed);
    call->admitted = true;
    if (!call_admit_limits(call)) { /* first: each reply to a known key says how they stand */
        return CALL_SETTLE;
    }
    if ((call->key.scopes & call->route->scope) == 0) {
        return fail_scope(call);
    }
    if (call_is_shed(call, open, 0)) {
        return shed(call);
    }
    enum err trouble = health_refusal();
    if (trouble != ERR_OK) {
        return call_fail(call, trouble);
    }
    if (head->is_coded) {
        return call_fail(call, ERR_HTTP_CONTENT_CODING);
    }
    if (!is_json(http_fields_find(&head->fields, HTTP_NAME_CONTENT_TYPE))) {
        return call_fail(call, ERR_HTTP_MEDIA_TYPE);
    }
    if (read_deadline(call, head) != ERR_OK) {
        return call_fail_at(call, ERR_VALUE_INVALID, SPAN("X-Request-Timeout"),
                            SPAN("X-Request-Timeout says in seconds how long the call may take: "
                                 "from 0.001 to 86400"));
    }
    uint64_t length = call->by->body_length(call->client);
    if (length != UINT64_MAX && length > (uint64_t)shared->body_bytes_max) {
        return call_fail_too_large(call);
    }
    call->by->proceed(call->client);
    return CALL_BODY;
}
