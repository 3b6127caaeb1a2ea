/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is decided on the head alone: who calls, and whether there is room. A stranger's body is
 * never read.
 */
#include "gateway/call_internal.h"
#include "gateway/cors.h"
#include "http/http_request.h"

struct span call_cors_fields(struct call *call)
{
    return cors_fields(call->policy, call->shared->ports->client.head(call->client), &call->arena);
}

enum call_state call_step_head(struct call *call)
{
    if (call->shared->draining) {
        return call_fail(call, ERR_DRAINING);
    }
    return CALL_AUTHENTICATE;
}

enum err call_bearer(struct span authorization, struct span *token)
{
    static const size_t scheme = sizeof("Bearer") - 1;
    struct span value = span_trim(authorization);
    if (value.len <= scheme || !span_equal_nocase(span_cut(value, 0, scheme), SPAN("Bearer")) ||
        value.at[scheme] != ' ') {
        return ERR_KEY_MISSING;
    }
    struct span rest = span_trim(span_cut(value, scheme, value.len));
    if (rest.len == 0) {
        return ERR_KEY_MISSING;
    }
    *token = rest;
    return ERR_OK;
}

enum call_state call_step_authenticate(struct call *call)
{
    const struct call_shared *shared = call->shared;
    const struct http_request *head = shared->ports->client.head(call->client);
    struct span token;
    enum err e = call_bearer(http_fields_find(&head->fields, HTTP_NAME_AUTHORIZATION), &token);
    if (e != ERR_OK) {
        return call_fail(call, e);
    }
    e = shared->ports->keys.check(shared->keys, token, KEY_USE_INFERENCE, call->started_wall,
                                  &call->key);
    if (e != ERR_OK) {
        return call_fail(call, e);
    }
    call->known = true;
    if ((call->key.scopes & call->route->scope) == 0) {
        return call_fail(call, ERR_SCOPE_DENIED);
    }
    return CALL_ADMIT;
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

enum call_state call_step_admit(struct call *call)
{
    const struct call_shared *shared = call->shared;
    const struct http_request *head = shared->ports->client.head(call->client);
    int64_t open = atomic_fetch_add_explicit(shared->calls_open, 1, memory_order_relaxed);
    call->admitted = true;
    if (open >= call->policy->calls_max) {
        return call_fail(call, ERR_OVERLOADED);
    }
    if (head->is_coded) {
        return call_fail(call, ERR_HTTP_CONTENT_CODING);
    }
    if (!is_json(http_fields_find(&head->fields, HTTP_NAME_CONTENT_TYPE))) {
        return call_fail(call, ERR_HTTP_MEDIA_TYPE);
    }
    uint64_t length = shared->ports->client.body_length(call->client);
    if (length != UINT64_MAX && length > (uint64_t)shared->body_bytes_max) {
        return call_fail(call, ERR_BODY_TOO_LARGE);
    }
    shared->ports->client.proceed(call->client);
    return CALL_BODY;
}
