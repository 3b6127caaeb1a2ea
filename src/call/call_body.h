/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_body.h — a request's body, in one block, for all who send it.
 *
 * Only the call that reads it may let it grow, and only while it is the only user; from then on its
 * bytes stay where they are and never change. Who wants an index of it makes one.
 *
 * Ownership  counted: the call holds it until no further try is possible, each try until its
 *            request is sent whole.
 * Limits     counts as buffered memory (base/memory.h) before it is allocated.
 * Threads    the worker's own.
 */
#ifndef CALL_CALL_BODY_H
#define CALL_CALL_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

struct call_body {
    unsigned users;
    size_t len, cap;
    uint8_t bytes[];
};

/* A copy of the bytes, for its first user. ERR_OVERLOADED, ERR_NO_MEMORY. */
MUST_USE enum err call_body_new(struct span bytes, struct call_body **out);

/* Makes room for `cap` bytes in all; makes the body, with its first user, if `*body` is NULL.
 * ERR_OVERLOADED, ERR_NO_MEMORY. */
MUST_USE enum err call_body_grow(struct call_body **body, size_t cap);

struct call_body *call_body_ref(struct call_body *body);

/* Sets `*body` to NULL, and frees it behind its last user; nothing if it is NULL. */
void call_body_unref(struct call_body **body);

/* All that was read; empty for NULL. */
struct span call_body_span(const struct call_body *body);

#endif
