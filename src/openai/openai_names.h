/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_names.h — which member a key is, of those that mean something to us: a number, found with
 * one look at a handful of names of its length. For openai's own files.
 */
#ifndef OPENAI_OPENAI_NAMES_H
#define OPENAI_OPENAI_NAMES_H

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "json/json_index.h"

#define NAME_BYTES_MAX 31

enum openai_name {
    NAME_UNKNOWN, /* 0 */
#define LENGTH(length) NAMES_OF_##length, NAMES_BEFORE_##length = NAMES_OF_##length - 1,
#define NAME(name)     NAME_##name,
#include "openai/openai_names.def"
#undef LENGTH
#undef NAME
    NAME_COUNT
};

struct openai_name_row {
    uint8_t len;
    char text[NAME_BYTES_MAX];
};

extern const struct openai_name_row openai_names[NAME_COUNT + 1];
extern const uint8_t openai_names_of_length[NAME_BYTES_MAX + 1];

/* openai_name_of() for a key with escapes. */
enum openai_name openai_name_of_escaped(const struct json_index *x, uint32_t key);

/* Whether eight bytes are these. */
static inline bool openai_same8(const uint8_t *at, const char *text)
{
    return memcmp(at, text, 8) == 0;
}

/* Whether a key is one of the two that messages have, and little else. */
static inline bool openai_says_role(const struct json_index *x, const struct json_row *key)
{
    return key->len == 6 && memcmp(x->text.at + key->offset + 1, "role", 4) == 0;
}

static inline bool openai_says_content(const struct json_index *x, const struct json_row *key)
{
    return key->len == 9 && openai_same8(x->text.at + key->offset, "\"content");
}

/* Whether the `len` bytes at `at` (1 to 31) are the row's; `room` bytes can be read there. */
static inline __attribute__((always_inline)) bool
openai_name_is(const struct openai_name_row *row, const uint8_t *at, uint32_t len, size_t room)
{
#if defined(__SSE2__)
    if (LIKELY(len <= 16 && room >= 16)) {
        __m128i equal = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)at),
                                       _mm_loadu_si128((const __m128i *)(const void *)row->text));
        return ((~(uint32_t)_mm_movemask_epi8(equal)) << (32 - len)) == 0;
    }
#endif
    (void)room;
    return memcmp(row->text, at, len) == 0;
}

/* The name that the key at row `key` says, unescaped; UNKNOWN if it is none of ours. */
static inline __attribute__((always_inline)) enum openai_name
openai_name_of(const struct json_index *x, uint32_t key)
{
    const struct json_row *r = &x->rows[key];
    if (UNLIKELY((r->flags & JSON_ESCAPED) != 0)) {
        return openai_name_of_escaped(x, key);
    }
    uint32_t len = r->len - 2;
    if (UNLIKELY(len - 1 >= NAME_BYTES_MAX)) {
        return NAME_UNKNOWN;
    }
    const uint8_t *at = x->text.at + r->offset + 1;
    if (openai_says_content(x, r)) {
        return NAME_content;
    }
    if (openai_says_role(x, r)) {
        return NAME_role;
    }
    const struct openai_name_row *row = &openai_names[openai_names_of_length[len]];
    for (; row->len == len; row++) {
        if (openai_name_is(row, at, len, x->text.len - r->offset - 1)) {
            return (enum openai_name)(row - openai_names);
        }
    }
    return NAME_UNKNOWN;
}

/* Whether an object is {"role":…,"content":…} to the letter, as nearly all messages are: the role's
 * value is two rows behind it, the content's four. */
static inline bool openai_is_plain_message(const struct json_index *x, uint32_t object)
{
    const struct json_row *rows = &x->rows[object];
    return rows->next >= object + 5 && rows[3].kind == JSON_KEY &&
           rows[3].depth == rows->depth + 1 && rows[4].next == rows->next &&
           openai_says_role(x, &rows[1]) && openai_says_content(x, &rows[3]);
}

#endif
