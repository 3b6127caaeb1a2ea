/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body is read whole, straight into one block. Its size is known from Content-Length or grows
 * by doubling.
 */
#include <stdio.h>

#include "call/call_body.h"
#include "call/call_internal.h"

#define FIRST_BYTES 16384 /* of a chunked body */

/* A length that was announced is not yet memory that was used: a client that announces 32 MiB and
 * sends nothing gets a small block first. */
#define TRUSTED_BYTES (256 * 1024)

enum call_state call_fail_too_large(struct call *call)
{
    char text[160];
    int len = snprintf(text, sizeof(text),
                       "the request body is larger than the %lld bytes that this gateway accepts",
                       (long long)call->shared->body_bytes_max);
    return call_fail_at(call, ERR_BODY_TOO_LARGE, SPAN(""), span_make(text, (size_t)len));
}

/* Makes room for more. One byte more than the limit is read, to see that there is more. */
static enum err make_room(struct call *call)
{
    size_t most = (size_t)call->shared->body_bytes_max + 1;
    uint64_t length = call->by->body_length(call->client);
    size_t cap = call->body == NULL ? 0 : call->body->cap;
    size_t len = call->body == NULL ? 0 : call->body->len;
    if (len < cap) {
        return ERR_OK;
    }
    if (len >= most) {
        return ERR_BODY_TOO_LARGE;
    }
    size_t more = cap == 0 ? FIRST_BYTES : cap * 2;
    if (length != UINT64_MAX) {
        more = cap == 0 && length > TRUSTED_BYTES ? TRUSTED_BYTES : (size_t)length + 1;
    }
    more = more < most ? more : most;
    return call_is_shed(call, 0, more - cap) ? ERR_OVERLOADED : call_body_grow(&call->body, more);
}

static enum call_state behind_body(const struct call *call)
{
    return call_is_moderation(call) ? CALL_MODERATE : CALL_INSPECT;
}

enum call_state call_step_body(struct call *call)
{
    if (call->by->is_own) { /* it is whole from the start, and may be others' too */
        call->body_bytes = call->body->len;
        return call_is_lost(call) ? CALL_SETTLE : behind_body(call);
    }
    while (!call_is_lost(call)) {
        enum err e = make_room(call);
        if (e != ERR_OK) {
            return e == ERR_BODY_TOO_LARGE ? call_fail_too_large(call) : call_fail(call, e);
        }
        struct call_body *body = call->body;
        size_t got = 0;
        enum exchange_pulled pulled =
            call->by->pull(call->client, body->bytes + body->len, body->cap - body->len, &got);
        if (pulled == EXCHANGE_LATER) {
            return CALL_BODY;
        }
        if (pulled == EXCHANGE_FAILED) {
            return call_fail(call, call->by->error(call->client));
        }
        body->len += got;
        call->body_bytes = body->len;
        if (body->len > (size_t)call->shared->body_bytes_max) {
            return call_fail_too_large(call);
        }
        if (pulled == EXCHANGE_END) {
            return behind_body(call);
        }
    }
    return CALL_SETTLE;
}
