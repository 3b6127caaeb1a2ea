/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_secret_shape.h — what a string looks like: its characters, how random it is, and whether it
 * stands for a secret without being one. For guard's own files.
 *
 * Threads  any; no state.
 */
#ifndef GUARD_GUARD_SECRET_SHAPE_H
#define GUARD_GUARD_SECRET_SHAPE_H

#include "base/span.h"

/* Kinds of characters: bits. */
enum {
    DIGIT = 1,
    LOWER = 2,
    UPPER = 4,
    UNDERSCORE = 8,
    DASH = 16,
    DOT = 32,
    BASE64 = 64, /* + / = */
    HEX = 128,   /* 0-9 a-f A-F */
    ALNUM = DIGIT | LOWER | UPPER,
    WORD = ALNUM | UNDERSCORE,
    TOKEN_CHARS = WORD | DASH | DOT | BASE64
};

extern const uint8_t guard_secret_kinds[256];

/* Index behind the characters of these kinds that stand at `at`, below `end`. */
size_t guard_secret_behind(struct span text, size_t at, size_t end, unsigned kinds);

struct guard_secret_shape {
    size_t digits, lower, upper, signs, beyond; /* characters; bytes beyond ASCII */
    size_t different;                           /* different bytes */
    unsigned bits;                              /* of entropy in a character, times 100 */
};

void guard_secret_measure(struct span value, struct guard_secret_shape *out);

/* Whether it is an example, a variable, or a word that says that something stands here. */
bool guard_secret_is_sample(struct span value);

#endif
