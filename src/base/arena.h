/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h — memory that lives as long as one call and is freed at once.
 *
 * Blocks are bump-allocated. The arena refuses past its maximum (NULL, and arena_failed() from
 * then on), so a caller gets an error, not a crash. In sanitizer builds each allocation is a
 * malloc() of its own, or ASan would see nothing.
 *
 * A *counted* arena takes its blocks from the allowance of all calls together (base/memory.h), but
 * for the first few and many at once: little work touches no counter that threads share.
 *
 * Ownership  what arena_alloc() gives belongs to the arena and is never freed singly.
 * Threads    one at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
    uint8_t *at, *end;          /* free space in the newest */
    size_t used, max;           /* bytes given out; the most that may be */
    size_t held, taken;         /* bytes of the blocks; taken from the allowance for them */
    size_t uncounted;           /* bytes of the blocks for which nothing is taken */
    bool failed;
    bool is_refused; /* it failed for want of allowance */
};

/* An empty arena of at most `max` bytes; takes no memory yet. */
void arena_init(struct arena *a, size_t max);

/* The same, counted but for the first `uncounted` bytes. */
void arena_init_counted(struct arena *a, size_t max, size_t uncounted);

/* Frees all that was given out. */
void arena_fini(struct arena *a);

/* `size` bytes, aligned to 16, not zeroed; NULL past the maximum or without memory. */
MUST_USE void *arena_alloc(struct arena *a, size_t size);

/* `size` zeroed bytes, or NULL. */
MUST_USE void *arena_new(struct arena *a, size_t size);

/* A copy of `s` with a NUL behind it (not counted); {NULL, 0} without memory. */
struct span arena_copy(struct arena *a, struct span s);

/* Why arena_alloc() said NULL: ERR_OVERLOADED for want of allowance, else ERR_NO_MEMORY. */
static inline enum err arena_error(const struct arena *a)
{
    return a->is_refused ? ERR_OVERLOADED : ERR_NO_MEMORY;
}

static inline bool arena_failed(const struct arena *a)
{
    return a->failed;
}

#endif
