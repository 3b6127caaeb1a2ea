/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h — pointers by number, which many threads read while one puts others there.
 *
 * A place never moves: the places lie in segments, each twice as long as the one before, and a
 * segment is there once one of its places was used. Who reads a pointer may use what it points at
 * until the thread's loop turns; who replaces it frees the old one when all loops have turned
 * (retired.h).
 *
 * Ownership  what the pointers point at is the caller's.
 * Limits     SLOTS_MAX numbers, from 0.
 * Threads    slots_find() any, at any time; the others one thread at a time.
 */
#ifndef BASE_SLOTS_H
#define BASE_SLOTS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define SLOTS_SEGMENTS 21
#define SLOTS_MAX      0x7ffffc00U
#define SLOTS_NONE     UINT32_MAX /* no number: nothing is there */

typedef _Atomic(void *) slots_place;

struct slots {
    _Atomic(slots_place *) segment[SLOTS_SEGMENTS]; /* all NULL at first */
};

/* What stands at `number`; NULL: nothing. */
void *slots_find(const struct slots *s, uint32_t number);

/* Makes the place of `number`, which is less than SLOTS_MAX, and gives it; NULL: out of memory. */
MUST_USE slots_place *slots_make(struct slots *s, uint32_t number);

/* Frees the places, each pointer that is not NULL by `free_one`. */
void slots_fini(struct slots *s, void (*free_one)(void *one));

#endif
