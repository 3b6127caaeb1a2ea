/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_letters.h — characters of folded text as words are made of them. For guard's own files.
 *
 * Letters of either case are one, and so are the forms of alef, of yeh, of waw, teh marbuta and
 * heh; vowel signs and other marks are not there.
 *
 * Threads  any; no state.
 * Sources  The Unicode Standard, UnicodeData.txt.
 */
#ifndef GUARD_GUARD_LETTERS_H
#define GUARD_GUARD_LETTERS_H

#include <stdint.h>

#include "base/span.h"

enum guard_letter_kind {
    GUARD_LETTER, /* or digit */
    GUARD_MARK,   /* belongs to the letter before, and is not there */
    GUARD_BLANK,
    GUARD_SIGN
};

struct guard_letter {
    uint32_t code; /* as folded */
    uint8_t kind;  /* enum guard_letter_kind */
    uint8_t bytes; /* that it takes; a byte that is no UTF-8 is a sign */
};

/* Of ASCII, by byte. */
extern const uint8_t guard_letter_kinds[128];

struct guard_letter guard_letter_slow(const uint8_t *at, const uint8_t *end);

/* The character at `at`, which is before `end`. */
static inline struct guard_letter guard_letter_at(const uint8_t *at, const uint8_t *end)
{
    uint8_t c = *at;
    if (LIKELY(c < sizeof(guard_letter_kinds))) {
        uint8_t lower = (uint8_t)(c | ((uint8_t)(c - 'A') < 26) << 5);
        return (struct guard_letter){lower, guard_letter_kinds[c], 1};
    }
    return guard_letter_slow(at, end);
}

/* Whether the character that ends at `at` of the text is of a word. */
bool guard_letter_before(struct span text, size_t at);

#endif
