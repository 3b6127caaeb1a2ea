/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_ring.h — a bounded ring of records from any thread to one reader, without a lock.
 *
 * A put never waits: when there is no room it says so. Records come out in the order in which their
 * room was taken.
 *
 * Ownership  log_ring_fini() frees it. Bytes are copied in; what log_ring_peek() shows stays until
 *            log_ring_next().
 * Limits     the bytes given to log_ring_init(), a power of two; a record of a quarter of that.
 * Threads    put, fill: any. peek, next, is_empty: one, the reader.
 */
#ifndef BASE_LOG_RING_H
#define BASE_LOG_RING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

struct log_ring {
    uint8_t *at;
    uint64_t size;
    _Atomic uint64_t taken; /* bytes that puts have taken since the beginning */
    char apart[64];
    _Atomic uint64_t freed; /* bytes that the reader has given back since then */
};

/* ERR_NO_MEMORY. */
MUST_USE enum err log_ring_init(struct log_ring *r, size_t bytes);
void log_ring_fini(struct log_ring *r);

/* Puts the record that is `a` and then `b`. False: there is no room, and nothing was put. */
MUST_USE bool log_ring_put(struct log_ring *r, struct span a, struct span b);

/* Whether more than half of it is full. */
bool log_ring_is_half_full(const struct log_ring *r);

/* The oldest record; false while there is none, or it is still being written. */
MUST_USE bool log_ring_peek(struct log_ring *r, struct span *out);

/* Drops the record that log_ring_peek() showed. */
void log_ring_next(struct log_ring *r);

/* Whether nothing was put that was not dropped; one that is being written counts. */
bool log_ring_is_empty(const struct log_ring *r);

#endif
