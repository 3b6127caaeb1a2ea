/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each record lies behind a word that says how long it is. The word is stored last, so it is 0
 * until the record is whole; the reader clears what it frees, so that every word is 0 again before
 * its place is taken anew. A record is never split: the rest of the ring before its beginning is a
 * record of its own, to be skipped.
 */
#include "base/log_ring.h"

#include <string.h>

#include "base/memory.h"

#define WORD    sizeof(uint64_t)
#define SKIPPED ((uint64_t)1 << 63)

enum err log_ring_init(struct log_ring *r, size_t bytes)
{
    CHECK(bytes >= 64 && (bytes & (bytes - 1)) == 0);
    *r = (struct log_ring){.size = bytes, .at = memory_new(bytes)};
    return r->at == NULL ? ERR_NO_MEMORY : ERR_OK;
}

void log_ring_fini(struct log_ring *r)
{
    memory_free(r->at);
    r->at = NULL;
}

static _Atomic uint64_t *word_at(const struct log_ring *r, uint64_t place)
{
    return (_Atomic uint64_t *)(void *)(r->at + (place & (r->size - 1)));
}

/* What a record takes, its word included. */
static uint64_t room_of(uint64_t len)
{
    return WORD + ((len + WORD - 1) & ~(uint64_t)(WORD - 1));
}

static void copy(uint8_t *to, struct span s)
{
    if (s.len > 0) {
        memcpy(to, s.at, s.len);
    }
}

bool log_ring_put(struct log_ring *r, struct span a, struct span b)
{
    uint64_t len = a.len + b.len, room = room_of(len), skip, place = atomic_load(&r->taken);
    if (len == 0 || room > r->size / 4) {
        return false;
    }
    do {
        uint64_t left = r->size - (place & (r->size - 1));
        skip = left < room ? left : 0;
        if (place + skip + room - atomic_load(&r->freed) > r->size) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&r->taken, &place, place + skip + room));
    if (skip > 0) {
        atomic_store_explicit(word_at(r, place), SKIPPED | (skip - WORD), memory_order_release);
        place += skip;
    }
    uint8_t *to = r->at + (place & (r->size - 1)) + WORD;
    copy(to, a);
    copy(to + a.len, b);
    atomic_store_explicit(word_at(r, place), len, memory_order_release);
    return true;
}

bool log_ring_is_half_full(const struct log_ring *r)
{
    uint64_t freed = atomic_load_explicit(&r->freed, memory_order_relaxed); /* first: it is less */
    return atomic_load_explicit(&r->taken, memory_order_relaxed) - freed > r->size / 2;
}

bool log_ring_is_empty(const struct log_ring *r)
{
    return atomic_load(&r->taken) == atomic_load(&r->freed);
}

/* Gives the record at the reader's place back. */
static void drop(struct log_ring *r, uint64_t word)
{
    uint64_t freed = atomic_load_explicit(&r->freed, memory_order_relaxed);
    uint64_t room = room_of(word & ~SKIPPED);
    memset(r->at + (freed & (r->size - 1)), 0, room);
    atomic_store(&r->freed, freed + room);
}

bool log_ring_peek(struct log_ring *r, struct span *out)
{
    for (;;) {
        uint64_t freed = atomic_load_explicit(&r->freed, memory_order_relaxed);
        if (atomic_load(&r->taken) == freed) {
            return false;
        }
        uint64_t word = atomic_load_explicit(word_at(r, freed), memory_order_acquire);
        if (word == 0) {
            return false;
        }
        if ((word & SKIPPED) == 0) {
            *out = span_make(r->at + (freed & (r->size - 1)) + WORD, word);
            return true;
        }
        drop(r, word);
    }
}

void log_ring_next(struct log_ring *r)
{
    uint64_t freed = atomic_load_explicit(&r->freed, memory_order_relaxed);
    drop(r, atomic_load_explicit(word_at(r, freed), memory_order_relaxed));
}
