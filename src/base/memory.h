/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h — the heap, and the one bound on the bytes that all calls together may buffer.
 *
 * malloc() and its kin are called in base only, so that a test can make the n-th allocation fail.
 * Whatever a peer can make grow (bodies, replies that are read whole, what is made of them, events
 * that come in pieces, indexes, arenas, heads in pieces, output that a slow peer has not taken) are
 * *buffered* bytes: their owner takes them from one process-wide allowance and gives them back, by
 * whole blocks and not by allocation. Past the allowance memory_take() says no, and the call is
 * answered 503. What each call may have uncounted is small, and so is what a worker keeps.
 *
 * Ownership  the caller frees with memory_free().
 * Threads    any.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

/* `size` zeroed bytes, or NULL. */
MUST_USE void *memory_new(size_t size);

/* `count` × `size` zeroed bytes, or NULL (also when the product overflows). */
MUST_USE void *memory_new_array(size_t count, size_t size);

/* `size` bytes as they come, or NULL. For buffers that are written before they are read. */
MUST_USE void *memory_raw(size_t size);

/* Grows or shrinks `old`; NULL leaves `old` as it was. */
MUST_USE void *memory_resize(void *old, size_t size);

/* A copy of `text` on the heap, or NULL. */
MUST_USE char *memory_text(const char *text);

void memory_free(void *old);

/*
 * Keys and prompts lie in this process's memory: from now on no core file holds any of it, also
 * not in those that it starts. With `wholly` the kernel treats the process as one that changed its
 * user, so that no other process of the user may look into it either. Not in sanitizer builds.
 */
void memory_forbid_core(bool wholly);

/*
 * Large blocks come from the system one by one from now on, grow without a copy, and go back to it
 * when they are freed: what is counted is then what is resident, but for the small ones. Before
 * threads are made.
 */
void memory_keep_large_apart(void);

/* Sets how many bytes all calls together may buffer. 0 means no bound. */
void memory_set_allowance(uint64_t bytes);

/* Takes `bytes` of the allowance; false, and nothing taken, if they are not there. */
MUST_USE bool memory_take(uint64_t bytes);

/* Gives back what memory_take() gave. */
void memory_give(uint64_t bytes);

/* memory_raw() whose bytes are taken from the allowance; NULL also if they are not there. Freed
 * with memory_free_counted() and nothing else. For blocks that only some calls need. */
MUST_USE void *memory_raw_counted(size_t size);
void memory_free_counted(void *old);

/* Bytes taken now. */
uint64_t memory_taken(void);

/* Whether with so many bytes more, more than so many sixteenths of the allowance would be taken. */
bool memory_is_above(uint64_t more, unsigned sixteenths);

/*
 * What is held for peers that are not known yet (heads that come in pieces) has an allowance of its
 * own, an eighth of the other: strangers can use up that, and no call feels it. Else as above.
 */
MUST_USE bool memory_take_for_stranger(uint64_t bytes);
void memory_give_for_stranger(uint64_t bytes);
uint64_t memory_taken_for_strangers(void);

/* Gives freed memory back to the system. Other threads' allocations wait for it: some 20 ms for
 * 100 MiB. */
void memory_trim(void);

#endif
