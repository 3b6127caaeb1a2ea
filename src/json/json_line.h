/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_line.h — writes a line of JSON whose form is known, into room that is known to be there.
 *
 * For the few places that write a line a call (the journal, the access log). Everywhere else
 * json_write.h, which checks its room and its order, is right.
 *
 *   to = JSON_LINE(to, "{\"model\":");
 *   to = json_line_text(to, model);
 *   to = JSON_LINE(to, ",\"status\":");
 *   to = json_line_int(to, 200);
 *
 * Each function stores at `to` and returns what is behind it; it may store JSON_LINE_SLACK bytes
 * more than it says, which what follows overwrites.
 *
 * Ownership  none.
 * Limits     the caller has room for JSON_LINE_TEXT_MOST(length) a text, JSON_LINE_INT_MOST a
 *            number, and JSON_LINE_SLACK behind the last.
 * Threads    any.
 * Sources    RFC 8785 section 3.2.2 (strings, integers).
 */
#ifndef JSON_JSON_LINE_H
#define JSON_JSON_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/span.h"

#define JSON_LINE_SLACK          16
#define JSON_LINE_INT_MOST       20 /* bytes: any int64_t */
#define JSON_LINE_TEXT_MOST(len) (6 * (len) + 2)

/* A literal, as it is. */
#define JSON_LINE(to, literal) \
    ((uint8_t *)memcpy(to, literal, sizeof(literal) - 1) + sizeof(literal) - 1)

/* What json_line_text() does from the first byte on that has to be escaped; with the last quote. */
uint8_t *json_line_escaped(uint8_t *to, struct span text);

uint8_t *json_line_int(uint8_t *to, int64_t number);

static inline uint8_t *json_line_bool(uint8_t *to, bool truth)
{
    memcpy(to, truth ? "true" : "false", 5); /* the first one's NUL is overwritten */
    return to + (truth ? 4 : 5);
}

#if defined(__SSE2__)
/* Whether one of these bytes has to be escaped. */
static inline bool json_line_is_odd(__m128i in)
{
    __m128i odd = _mm_or_si128(_mm_cmpeq_epi8(in, _mm_set1_epi8('"')),
                               _mm_cmpeq_epi8(in, _mm_set1_epi8('\\')));
    odd = _mm_or_si128(odd, _mm_cmpeq_epi8(_mm_min_epu8(in, _mm_set1_epi8(0x1f)), in));
    return _mm_movemask_epi8(odd) != 0;
}

/* The last bytes of a text, fewer than 16; none of them is read beyond its end. */
static inline __m128i json_line_rest(const uint8_t *at, size_t len)
{
    uint64_t low = 0, high = 0;
    if (len >= 8) {
        memcpy(&low, at, 8);
        memcpy(&high, at + len - 8, 8);
        high >>= (16 - len) * 8 % 64; /* what `low` has already */
        high = len == 8 ? 0 : high;
    } else if (len >= 4) {
        uint32_t first, last;
        memcpy(&first, at, 4);
        memcpy(&last, at + len - 4, 4);
        low = first | (uint64_t)last << (len - 4) * 8;
    } else if (len > 0) {
        low = (uint64_t)at[0] | (uint64_t)at[len / 2] << len / 2 * 8 |
              (uint64_t)at[len - 1] << (len - 1) * 8;
    }
    return _mm_set_epi64x((int64_t)high, (int64_t)low);
}
#endif

/* A string, with its quotes. `text` is well-formed UTF-8. */
static inline uint8_t *json_line_text(uint8_t *to, struct span text)
{
    *to++ = '"';
#if defined(__SSE2__)
    while (text.len >= 16) {
        __m128i in = _mm_loadu_si128((const __m128i *)(const void *)text.at);
        if (json_line_is_odd(in)) {
            return json_line_escaped(to, text);
        }
        _mm_storeu_si128((__m128i *)(void *)to, in);
        to += 16;
        text = span_make(text.at + 16, text.len - 16);
    }
    __m128i rest = json_line_rest(text.at, text.len);
    __m128i spaces = _mm_set1_epi8(' ');
    __m128i places = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m128i is_text = _mm_cmplt_epi8(places, _mm_set1_epi8((char)text.len));
    __m128i judged = _mm_or_si128(_mm_and_si128(is_text, rest), _mm_andnot_si128(is_text, spaces));
    if (!json_line_is_odd(judged)) {
        _mm_storeu_si128((__m128i *)(void *)to, rest);
        to[text.len] = '"';
        return to + text.len + 1;
    }
#endif
    return json_line_escaped(to, text);
}

#endif
