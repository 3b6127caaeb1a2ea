/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_names.h — the placeholders of one call: which value each stands for.
 *
 *   "mail bob@corp.sa or BOB@corp.sa, not eve@corp.sa"
 *   "mail [EMAIL_1] or [EMAIL_1], not [EMAIL_2]"
 *
 * Numbered in the order in which values come, a type by itself, one numbering a call. Values are
 * the same if they are when folded (text_fold.h), in small letters and without what people put
 * between digits. What a caller wrote himself that looks like a placeholder has one of its own,
 * [LITERAL_1], and comes back as he wrote it.
 *
 * Ownership  values and placeholders lie in the arena given; the table is freed by
 *            guard_names_fini().
 * Limits     GUARD_NAMES_MAX values a call; further ones have the number 0, and do not come back.
 * Threads    one at a time.
 * Sources    docs/guard.md.
 */
#ifndef GUARD_GUARD_NAMES_H
#define GUARD_GUARD_NAMES_H

#include "base/arena.h"
#include "base/map.h"
#include "guard/guard.h"

#define GUARD_NAMES_MAX         4096
#define GUARD_PLACEHOLDER_BYTES (GUARD_NAME_BYTES + 16) /* with brackets, and without a NUL */

struct guard_name {
    struct span placeholder; /* "[EMAIL_1]" */
    struct span value;       /* as it was written first; whole but for what is too long */
    uint16_t type;           /* GUARD_TYPES_MAX: it is a literal of the caller's */
    bool is_callers;         /* he wrote it somewhere else than in a system message */
    bool is_whole;           /* `value` is all of it */
};

#define GUARD_KEY_BYTES (2 + GUARD_VALUE_BYTES)

/* Writes what is alike in all values of a type that mean the same; returns its length. */
size_t guard_value_key(unsigned type, struct span value, uint8_t key[GUARD_KEY_BYTES]);

/* All zero but for the arena: none yet. */
struct guard_names {
    struct arena *arena;
    struct map by_value, by_placeholder;
    uint32_t count;
    uint16_t last[GUARD_TYPES_MAX + 1]; /* numbers given, by type */
};

void guard_names_init(struct guard_names *n, struct arena *arena);
void guard_names_fini(struct guard_names *n);

/*
 * The placeholder of a value; `label` is what its type is called in it. The same value has the same
 * one.
 *   ERR_NO_MEMORY
 */
MUST_USE enum err guard_names_give(struct guard_names *n, unsigned type, struct span label,
                                   struct span value, bool is_callers,
                                   const struct guard_name **out);

/* What a placeholder stands for; NULL: nothing. */
const struct guard_name *guard_names_find(const struct guard_names *n, struct span placeholder);

#endif
