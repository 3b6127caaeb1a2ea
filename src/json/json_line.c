/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_line.h"

#define ASCII_ZEROS 0x3030303030303030ULL
#define EIGHT       100000000 /* numbers below it have eight digits */

/* The eight digits of a number below EIGHT, the first in the lowest byte; not yet ASCII. Both
 * halves are divided at once, then four quarters, then eight, by multiplication with a reciprocal.
 */
static uint64_t eight_digits(uint32_t number)
{
    uint64_t fours = number / 10000 | (uint64_t)(number % 10000) << 32;
    uint64_t tens = (fours * 10486) >> 20 & 0x0000007f0000007fULL;
    uint64_t twos = tens | (fours - tens * 100) << 16;
    uint64_t ones = (twos * 103) >> 10 & 0x000f000f000f000fULL;
    return ones | (twos - ones * 10) << 8;
}

/* Without the zeros before the first other digit. */
static uint8_t *put_short(uint8_t *to, uint32_t number)
{
    uint64_t digits = eight_digits(number);
    unsigned zeros = (unsigned)__builtin_ctzll(digits | 1ULL << 56) / 8;
    digits = (digits | ASCII_ZEROS) >> (zeros * 8);
    memcpy(to, &digits, 8);
    return to + 8 - zeros;
}

static uint8_t *put_whole(uint8_t *to, uint32_t number)
{
    uint64_t digits = eight_digits(number) | ASCII_ZEROS;
    memcpy(to, &digits, 8);
    return to + 8;
}

static uint8_t *put_long(uint8_t *to, uint64_t number)
{
    const uint64_t two_parts = (uint64_t)EIGHT * EIGHT;
    if (number >= two_parts) {
        to = put_short(to, (uint32_t)(number / two_parts));
        to = put_whole(to, (uint32_t)(number % two_parts / EIGHT));
    } else {
        to = put_short(to, (uint32_t)(number / EIGHT));
    }
    return put_whole(to, (uint32_t)(number % EIGHT));
}

uint8_t *json_line_int(uint8_t *to, int64_t number)
{
    uint64_t magnitude = (uint64_t)number;
    if (magnitude < 10) {
        *to = (uint8_t)('0' + magnitude);
        return to + 1;
    }
    if (number < 0) {
        *to++ = '-';
        magnitude = -magnitude;
    }
    return magnitude < EIGHT ? put_short(to, (uint32_t)magnitude) : put_long(to, magnitude);
}

static const char hex[] = "0123456789abcdef";

/* The letter behind the backslash where there is a short form; 0 for the others. */
static const char short_forms[0x20] = {
    ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

uint8_t *json_line_escaped(uint8_t *to, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (c == '"' || c == '\\' || (c < 0x20 && short_forms[c] != 0)) {
            *to++ = '\\';
            *to++ = c < 0x20 ? (uint8_t)short_forms[c] : c;
        } else if (c < 0x20) {
            to = JSON_LINE(to, "\\u00");
            *to++ = (uint8_t)hex[c >> 4];
            *to++ = (uint8_t)hex[c & 15];
        } else {
            *to++ = c;
        }
    }
    *to++ = '"';
    return to;
}
