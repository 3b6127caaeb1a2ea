/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_numbers.h — the kinds of numbers, each asked once for each number of a window.
 *
 * For guard's own files.
 */
#ifndef GUARD_GUARD_NUMBERS_H
#define GUARD_GUARD_NUMBERS_H

#include "guard/guard_hints.h"
#include "guard/guard_number.h"

/* A number, and what it is asked with. */
struct guard_numbers {
    const struct guard_window *window;
    struct guard_sink *sink;
    uint32_t types;
    struct guard_hints hints;
    struct guard_number number;
};

static inline bool guard_wants(const struct guard_numbers *n, unsigned type)
{
    return (n->types >> type & 1) != 0;
}

/* Numbers of a fixed length: guard_numbers.def. */
void guard_find_ids(struct guard_numbers *n);
void guard_find_cards(struct guard_numbers *n);
void guard_find_phones(struct guard_numbers *n);
/* With letters before the digits. */
void guard_find_ibans(struct guard_numbers *n);
void guard_find_passports(struct guard_numbers *n);
void guard_find_births(struct guard_numbers *n);

/* The window ends: what may become a date with its month first has to wait. */
void guard_wait_for_births(struct guard_numbers *n);

#endif
