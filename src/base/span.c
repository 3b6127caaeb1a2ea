/* SPDX-License-Identifier: Apache-2.0 */
#include "base/span.h"

#define SURE_DIGITS 19 /* so many always fit */

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* lower() of eight bytes at once. Without its highest bit, a byte that is 'A' or more carries into
 * that bit when 0x80 - 'A' is added, and one that is more than 'Z' when a 0x7f - 'Z' is: the
 * letters are those with one carry and not the other. Bytes that had the bit are none. */
static uint64_t lower_eight(uint64_t bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t low = bytes & (ones * 0x7f);
    uint64_t is_a_or_more = low + ones * (0x80 - 'A');
    uint64_t is_past_z = low + ones * (0x7f - 'Z');
    uint64_t is_upper = (is_a_or_more ^ is_past_z) & ~bytes & (ones * 0x80);
    return bytes | is_upper >> 2; /* 0x80 becomes 0x20 */
}

bool span_equal_nocase(struct span a, struct span b)
{
    if (a.len != b.len) {
        return false;
    }
    size_t i = 0;
    for (; a.len - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t x;
        uint64_t y;
        memcpy(&x, a.at + i, sizeof(x));
        memcpy(&y, b.at + i, sizeof(y));
        if (x != y && lower_eight(x) != lower_eight(y)) {
            return false;
        }
    }
    for (; i < a.len; i++) {
        if (lower(a.at[i]) != lower(b.at[i])) {
            return false;
        }
    }
    return true;
}

size_t span_find_nocase(struct span s, struct span words, size_t from)
{
    if (words.len > s.len) {
        return s.len;
    }
    /* Letters of either case differ in this bit, and most places in more. */
    uint8_t first = words.at[0] | 0x20, last = words.at[words.len - 1] | 0x20;
    const uint8_t *behind = s.at + words.len - 1;
    for (size_t i = from; i <= s.len - words.len; i++) {
        if ((s.at[i] | 0x20) == first && (behind[i] | 0x20) == last &&
            span_equal_nocase(span_cut(s, i, words.len), words)) {
            return i;
        }
    }
    return s.len;
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

size_t span_find(struct span s, uint8_t byte, size_t from)
{
    if (from >= s.len) {
        return s.len;
    }
    const uint8_t *hit = memchr(s.at + from, byte, s.len - from);
    return hit == NULL ? s.len : (size_t)(hit - s.at);
}

bool span_to_u64(struct span s, uint64_t most, uint64_t *out)
{
    uint64_t value = 0;
    size_t sure = s.len < SURE_DIGITS ? s.len : SURE_DIGITS;
    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < sure; i++) {
        uint64_t digit = (uint64_t)s.at[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = value * 10 + digit;
    }
    for (size_t i = sure; i < s.len; i++) {
        uint64_t digit = (uint64_t)s.at[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (value > most) {
        return false;
    }
    *out = value;
    return true;
}

struct span span_cut_text(struct span s, size_t most)
{
    size_t len = most;
    if (s.len <= most) {
        return s;
    }
    while (len > 0 && most - len < 4 && (s.at[len] & 0xc0) == 0x80) { /* it would begin in one */
        len--;
    }
    return span_make(s.at, (s.at[len] & 0xc0) == 0x80 ? most : len); /* else it is no UTF-8 */
}

void span_copy_text(struct span s, char *out, size_t size)
{
    CHECK(size > 0);
    struct span cut = span_cut_text(s, size - 1);
    if (cut.len > 0) {
        memcpy(out, cut.at, cut.len);
    }
    out[cut.len] = '\0';
}
