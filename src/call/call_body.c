/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body is read whole, straight into one block. Its size is known from Content-Length or grows
 * by doubling.
 */
#include "call/call_body.h"

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "call/call_internal.h"

#define FIRST_BYTES 16384 /* of a chunked body */

/* A length that was announced is not yet memory that was used: a client that announces 32 MiB and
 * sends nothing gets a small block first. */
#define TRUSTED_BYTES (256 * 1024)

/* Makes room for `cap` bytes in all; makes the body, with its first user, if `*body` is NULL. */
static enum err grow(struct call_body **body, size_t cap)
{
    struct call_body *old = *body;
    size_t had = old == NULL ? 0 : old->cap;
    CHECK(cap > had && (old == NULL || old->users == 1));
    if (!memory_take(cap - had)) {
        return ERR_OVERLOADED;
    }
    struct call_body *grown = memory_resize(old, sizeof(*grown) + cap);
    if (grown == NULL) {
        memory_give(cap - had);
        return ERR_NO_MEMORY;
    }
    if (old == NULL) {
        grown->users = 1;
        grown->len = 0;
    }
    grown->cap = cap;
    *body = grown;
    return ERR_OK;
}

enum err call_body_new(struct span bytes, struct call_body **out)
{
    *out = NULL;
    enum err e = grow(out, bytes.len + 1);
    if (e == ERR_OK && bytes.len > 0) {
        memcpy((*out)->bytes, bytes.at, bytes.len);
        (*out)->len = bytes.len;
    }
    return e;
}

struct call_body *call_body_ref(struct call_body *body)
{
    CHECK(body->users > 0);
    body->users++;
    return body;
}

void call_body_unref(struct call_body **body)
{
    struct call_body *b = *body;
    *body = NULL;
    if (b != NULL && --b->users == 0) {
        memory_give(b->cap);
        memory_free(b);
    }
}

struct span call_body_span(const struct call_body *body)
{
    return body == NULL ? SPAN("") : span_make(body->bytes, body->len);
}

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
    return grow(&call->body, more < most ? more : most);
}

enum call_state call_step_body(struct call *call)
{
    if (call->by->is_own) { /* it is whole from the start, and may be others' too */
        call->body_bytes = call->body->len;
        return call_is_lost(call) ? CALL_SETTLE : CALL_INSPECT;
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
            return CALL_INSPECT;
        }
    }
    return CALL_SETTLE;
}
