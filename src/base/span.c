/* SPDX-License-Identifier: Apache-2.0 */
#include "base/span.h"

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool span_equal_nocase(struct span a, struct span b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.at[i]) != lower(b.at[i])) {
            return false;
        }
    }
    return true;
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
    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
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

void span_copy_text(struct span s, char *out, size_t size)
{
    CHECK(size > 0);
    size_t len = s.len < size - 1 ? s.len : size - 1;
    if (len > 0) {
        memcpy(out, s.at, len);
    }
    out[len] = '\0';
}
