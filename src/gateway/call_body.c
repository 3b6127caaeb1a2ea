/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body is read whole, straight into one block. Its size is known from Content-Length or grows
 * by doubling; either way it counts against the allowance of all calls before it is allocated.
 */
#include "base/memory.h"
#include "gateway/call_internal.h"

#define FIRST_BYTES 16384 /* of a chunked body */

/* A length that was announced is not yet memory that was used: a client that announces 32 MiB and
 * sends nothing gets a small block first. */
#define TRUSTED_BYTES (256 * 1024)

void call_release_body(struct call *call)
{
    if (call->body != NULL) {
        memory_give(call->body_cap);
        memory_free(call->body);
        call->body = NULL;
        call->body_cap = call->body_len = 0;
    }
}

static enum err grow(struct call *call, size_t cap)
{
    if (!memory_take(cap - call->body_cap)) {
        return ERR_OVERLOADED;
    }
    uint8_t *grown = memory_resize(call->body, cap);
    if (grown == NULL) {
        memory_give(cap - call->body_cap);
        return ERR_NO_MEMORY;
    }
    call->body = grown;
    call->body_cap = cap;
    return ERR_OK;
}

/* Makes room for more. One byte more than the limit is read, to see that there is more. */
static enum err make_room(struct call *call)
{
    size_t most = (size_t)call->shared->body_bytes_max + 1;
    uint64_t length = call->shared->ports->client.body_length(call->client);
    if (call->body_len < call->body_cap) {
        return ERR_OK;
    }
    if (call->body_len >= most) {
        return ERR_BODY_TOO_LARGE;
    }
    size_t cap = call->body_cap == 0 ? FIRST_BYTES : call->body_cap * 2;
    if (length != UINT64_MAX) {
        cap = call->body_cap == 0 && length > TRUSTED_BYTES ? TRUSTED_BYTES : (size_t)length + 1;
    }
    return grow(call, cap < most ? cap : most);
}

enum call_state call_step_body(struct call *call)
{
    const struct call_ports *ports = call->shared->ports;
    while (!call_is_lost(call)) {
        enum err e = make_room(call);
        if (e != ERR_OK) {
            return call_fail(call, e);
        }
        size_t got = 0;
        enum exchange_pulled pulled = ports->client.pull(call->client, call->body + call->body_len,
                                                         call->body_cap - call->body_len, &got);
        if (pulled == EXCHANGE_LATER) {
            return CALL_BODY;
        }
        if (pulled == EXCHANGE_FAILED) {
            return call_fail(call, ports->client.error(call->client));
        }
        call->body_len += got;
        call->body_bytes = call->body_len;
        if (call->body_len > (size_t)call->shared->body_bytes_max) {
            return call_fail(call, ERR_BODY_TOO_LARGE);
        }
        if (pulled == EXCHANGE_END) {
            return CALL_INSPECT;
        }
    }
    return CALL_SETTLE;
}
