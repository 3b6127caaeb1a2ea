/* SPDX-License-Identifier: Apache-2.0 */
/* Characters of secrets, and what only looks like one. */
#include "guard/guard_secret_shape.h"

#include <math.h>

#define D (DIGIT | HEX)
#define L LOWER
#define U UPPER
#define X (LOWER | HEX)
#define Y (UPPER | HEX)

/* clang-format off */
const uint8_t guard_secret_kinds[256] = {
    ['0'] = D, ['1'] = D, ['2'] = D, ['3'] = D, ['4'] = D, ['5'] = D, ['6'] = D, ['7'] = D,
    ['8'] = D, ['9'] = D,
    ['a'] = X, ['b'] = X, ['c'] = X, ['d'] = X, ['e'] = X, ['f'] = X, ['g'] = L, ['h'] = L,
    ['i'] = L, ['j'] = L, ['k'] = L, ['l'] = L, ['m'] = L, ['n'] = L, ['o'] = L, ['p'] = L,
    ['q'] = L, ['r'] = L, ['s'] = L, ['t'] = L, ['u'] = L, ['v'] = L, ['w'] = L, ['x'] = L,
    ['y'] = L, ['z'] = L,
    ['A'] = Y, ['B'] = Y, ['C'] = Y, ['D'] = Y, ['E'] = Y, ['F'] = Y, ['G'] = U, ['H'] = U,
    ['I'] = U, ['J'] = U, ['K'] = U, ['L'] = U, ['M'] = U, ['N'] = U, ['O'] = U, ['P'] = U,
    ['Q'] = U, ['R'] = U, ['S'] = U, ['T'] = U, ['U'] = U, ['V'] = U, ['W'] = U, ['X'] = U,
    ['Y'] = U, ['Z'] = U,
    ['_'] = UNDERSCORE, ['-'] = DASH, ['.'] = DOT, ['+'] = BASE64, ['/'] = BASE64, ['='] = BASE64,
};
/* clang-format on */

#undef D
#undef L
#undef U
#undef X
#undef Y

#define ASCII_END 0x80

size_t guard_secret_behind(struct span text, size_t at, size_t end, unsigned kinds)
{
    while (at < end && (guard_secret_kinds[text.at[at]] & kinds) != 0) {
        at++;
    }
    return at;
}

static void count_kind(uint8_t c, struct guard_secret_shape *out)
{
    unsigned kinds = guard_secret_kinds[c];
    if ((kinds & DIGIT) != 0) {
        out->digits++;
    } else if ((kinds & LOWER) != 0) {
        out->lower++;
    } else if ((kinds & UPPER) != 0) {
        out->upper++;
    } else if (c >= ASCII_END) {
        out->beyond++;
    } else {
        out->signs++;
    }
}

void guard_secret_measure(struct span value, struct guard_secret_shape *out)
{
    uint16_t counts[256] = {0};
    double bits = 0;
    *out = (struct guard_secret_shape){0};
    for (size_t i = 0; i < value.len; i++) {
        counts[value.at[i]]++;
        count_kind(value.at[i], out);
    }
    for (size_t i = 0; i < 256; i++) {
        if (counts[i] > 0) {
            double part = counts[i] / (double)value.len;
            bits -= part * log2(part);
            out->different++;
        }
    }
    out->bits = (unsigned)(bits * 100);
}

/* What a value has in it that is none. */
static const char *const samples[] = {
    "example",      "changeme",    "change_me",    "change-me", "your",      "xxxx",
    "placeholder",  "dummy",       "redacted",     "insert",    "todo",      "...",
    "****",         "process.env", "os.environ",   "getenv",    "secrets.",  "config.",
    "settings.",    "${",          "{{",           "$(",        "%(",        "<%",
    "://",          "(",           "hidden",       "sample",    "my_secret", "my-secret",
    "replace",      "fill_in",     "\xE2\x80\xA6", "_here",     "-here",     "1234567890abcdef",
    "abcdefghijkl",
};

/* What is nothing but such a word. */
static const char *const words[] = {
    "password", "passwd",  "secret",    "token",   "string", "required", "optional",  "none",
    "null",     "nil",     "undefined", "true",    "false",  "text",     "hash",      "value",
    "unknown",  "empty",   "missing",   "input",   "hunter", "bearer",   "incorrect", "invalid",
    "wrong",    "expired", "protected", "varchar", "object", "boolean",  "confirm",   "basic",
};

static bool holds(struct span value, const char *word)
{
    return span_find_nocase(value, span_of(word), 0) < value.len;
}

/* Whether most of it is one character. */
static bool is_monotone(struct span value)
{
    size_t same = 0;
    for (size_t i = 1; i < value.len; i++) {
        same += value.at[i] == value.at[i - 1];
    }
    return value.len >= 4 && same * 2 >= value.len;
}

bool guard_secret_is_sample(struct span value)
{
    if (value.len == 0 || strchr("<[{*$%", value.at[0]) != NULL || is_monotone(value)) {
        return true;
    }
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        if (holds(value, samples[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_equal_nocase(value, span_of(words[i]))) {
            return true;
        }
    }
    return false;
}
