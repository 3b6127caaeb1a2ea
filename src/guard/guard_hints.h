/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_hints.h — words before a value that say what it is.
 *
 * What was read of a window once is not read again: one asks for places in about their order.
 *
 * For guard's own files.
 */
#ifndef GUARD_GUARD_HINTS_H
#define GUARD_GUARD_HINTS_H

#include "guard/guard_internal.h"

enum guard_hint {
#define HINT(id, words) HINT_##id,
#include "guard/guard_hints.def"
#undef HINT
    HINTS
};

/* A word that speaks against a value does so from no farther away, in bytes. */
#define GUARD_DENIES_NEAR 12

#define HINT_BIT(id) (UINT32_C(1) << HINT_##id)

#define GUARD_HINTS_KEPT (GUARD_BEFORE / 2) /* there are no more in so many bytes */

struct guard_hints {
    const struct guard_window *window;
    size_t read; /* of the window, up to here */
    size_t count;
    struct guard_hint_at {
        uint32_t start, end, bits;
    } at[GUARD_HINTS_KEPT]; /* a ring: the i-th is at i % GUARD_HINTS_KEPT */
};

/* Nothing was read yet. Cheap. */
void guard_hints_begin(struct guard_hints *h, const struct guard_window *w);

/* The bits of the nearest word before `at` that has one of `mask`, and *distance to its end; 0:
 * there is none within GUARD_BEFORE. */
uint32_t guard_hint_before(struct guard_hints *h, size_t at, uint32_t mask, size_t *distance);

/* Whether a sentence ends between a word and `at`, from which it is so far. */
bool guard_hint_is_parted(const struct guard_window *w, size_t at, size_t distance);

/* Whether a word that speaks against the value at `at` stands directly before it. */
static inline bool guard_hint_denies(const struct guard_window *w, size_t at, size_t distance)
{
    return distance <= GUARD_DENIES_NEAR && !guard_hint_is_parted(w, at, distance);
}

#endif
