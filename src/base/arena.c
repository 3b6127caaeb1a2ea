/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block is its header and the space behind it. The first block is small, for the many calls that
 * need little; blocks of the usual size are kept in a short list per thread, because a call takes
 * and frees one each time. An arena that has become large goes on in large ones: thousands of small
 * blocks take milliseconds to free, and the hole that they leave in the heap is filled with what
 * grows, and is copied, where it would be mapped apart.
 */
#include "base/arena.h"

#include "base/memory.h"

#define ALIGN       16
#define BLOCK_BYTES 4096
#define LARGE_FROM  ((size_t)1024 * 1024) /* bytes of blocks; one more is large: */
#define LARGE_BYTES ((size_t)2 * 1024 * 1024)
#define KEPT_MAX    64
#define TAKEN_STEP  ((size_t)64 * 1024) /* of the allowance, at once */

struct arena_block {
    struct arena_block *next;
    size_t size; /* of the space behind this header */
};

_Static_assert(sizeof(struct arena_block) % ALIGN == 0, "the space behind a header is aligned");

#ifndef ATLAS_SLOW_CHECKS
static _Thread_local struct arena_block *kept;
static _Thread_local unsigned kept_count;
#endif

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max, .uncounted = SIZE_MAX};
}

void arena_init_counted(struct arena *a, size_t max, size_t uncounted)
{
    *a = (struct arena){.max = max, .uncounted = uncounted};
}

static struct arena_block *block_get(size_t size)
{
#ifndef ATLAS_SLOW_CHECKS
    if (size == BLOCK_BYTES && kept != NULL) {
        struct arena_block *b = kept;
        kept = b->next;
        kept_count--;
        return b;
    }
#endif
    struct arena_block *b = memory_raw(sizeof(*b) + size);
    if (b != NULL) {
        b->size = size;
    }
    return b;
}

static void block_put(struct arena_block *b)
{
#ifndef ATLAS_SLOW_CHECKS
    if (b->size == BLOCK_BYTES && kept_count < KEPT_MAX) {
        b->next = kept;
        kept = b;
        kept_count++;
        return;
    }
#endif
    memory_free(b);
}

void arena_fini(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *next = a->blocks->next;
        block_put(a->blocks);
        a->blocks = next;
    }
    if (a->taken > 0) {
        memory_give(a->taken);
    }
    *a = (struct arena){.max = a->max, .uncounted = a->uncounted};
}

/* Takes what is missing of the allowance for `held` bytes of blocks. */
static bool take(struct arena *a, size_t held)
{
    size_t counted = held > a->uncounted ? held - a->uncounted : 0;
    if (LIKELY(counted <= a->taken)) {
        return true;
    }
    size_t more = (counted - a->taken + TAKEN_STEP - 1) / TAKEN_STEP * TAKEN_STEP;
    if (!memory_take(more)) {
        a->is_refused = true;
        return false;
    }
    a->taken += more;
    return true;
}

/* A block that is counted, where that is due. */
static struct arena_block *block_take(struct arena *a, size_t space)
{
    size_t bytes = sizeof(struct arena_block) + space;
    struct arena_block *b = take(a, a->held + bytes) ? block_get(space) : NULL;
    if (b != NULL) {
        a->held += bytes;
    }
    return b;
}

static size_t usual_space(const struct arena *a)
{
#ifdef ATLAS_SLOW_CHECKS
    (void)a;
    return 0;
#else
    return a->held >= LARGE_FROM ? LARGE_BYTES : BLOCK_BYTES;
#endif
}

/* Adds a block with room for `size` bytes and gives them out. */
static void *alloc_from_new_block(struct arena *a, size_t size)
{
    size_t usual = usual_space(a), least = size > BLOCK_BYTES ? size : BLOCK_BYTES;
    struct arena_block *b = block_take(a, size > usual ? size : usual);
    if (b == NULL && least < usual) { /* there is room for one that is just enough, perhaps */
        a->is_refused = false;
        b = block_take(a, least);
    }
    if (b == NULL) {
        a->failed = true;
        return NULL;
    }
    b->next = a->blocks;
    a->blocks = b;
    uint8_t *space_at = (uint8_t *)(b + 1);
    /* What is left of an older block is kept when it is more than what this one leaves. */
    if (b->size - size >= (size_t)(a->end - a->at)) {
        a->at = space_at + size;
        a->end = space_at + b->size;
    }
    return space_at;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t whole = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (a->failed || whole < size || whole > a->max - a->used) {
        a->failed = true;
        return NULL;
    }
    a->used += whole;
    if (whole <= (size_t)(a->end - a->at) && a->at != NULL) {
        void *given = a->at;
        a->at += whole;
        return given;
    }
    return alloc_from_new_block(a, whole);
}

void *arena_new(struct arena *a, size_t size)
{
    void *given = arena_alloc(a, size);
    if (given != NULL) {
        memset(given, 0, size);
    }
    return given;
}

struct span arena_copy(struct arena *a, struct span s)
{
    uint8_t *copy = arena_alloc(a, s.len + 1);
    if (copy == NULL) {
        return (struct span){NULL, 0};
    }
    if (s.len > 0) {
        memcpy(copy, s.at, s.len);
    }
    copy[s.len] = '\0';
    return (struct span){copy, s.len};
}
