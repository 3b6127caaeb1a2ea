/* SPDX-License-Identifier: Apache-2.0 */
#include "call/call_body.h"

#include <string.h>

#include "base/check.h"
#include "base/memory.h"

enum err call_body_grow(struct call_body **body, size_t cap)
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
    enum err e = call_body_grow(out, bytes.len + 1);
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
