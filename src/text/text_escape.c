/* SPDX-License-Identifier: Apache-2.0 */
/* Escapes in a text that nobody has checked. */
#include "text/text_escape.h"

#include <string.h>

#define UNIT_BYTES     6 /* of "\u0661" */
#define HALF_FIRST     0xD800u
#define HALF_SECOND    0xDC00u /* from here on it is the second of a pair */
#define HALF_LAST      0xDFFFu
#define BEYOND_16_BITS 0x10000u

static int digit_of(uint8_t c)
{
    uint8_t small = c | 0x20;
    return c >= '0' && c <= '9' ? c - '0' : small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

/* Of "\uXXXX", one half of a pair or all there is. */
static struct text_escape read_unit(struct span s)
{
    struct text_escape unit = {.len = UNIT_BYTES};
    for (size_t i = 2; i < UNIT_BYTES; i++) {
        if (i >= s.len) {
            return (struct text_escape){.len = 0};
        }
        int digit = digit_of(s.at[i]);
        if (digit < 0) {
            return (struct text_escape){.len = 1};
        }
        unit.says = unit.says << 4 | (uint32_t)digit;
    }
    return unit;
}

bool text_escape_is_half(uint32_t c)
{
    return c >= HALF_FIRST && c <= HALF_LAST;
}

/* What the other half of a pair follows, if it does. */
static struct text_escape read_pair(struct span s, struct text_escape high)
{
    struct span rest = span_cut(s, UNIT_BYTES, s.len);
    if ((rest.len > 0 && rest.at[0] != '\\') || (rest.len > 1 && rest.at[1] != 'u')) {
        return high;
    }
    struct text_escape low = read_unit(rest);
    if (low.len == 0) {
        return low;
    }
    if (low.len != UNIT_BYTES || low.says < HALF_SECOND || low.says > HALF_LAST) {
        return high;
    }
    uint32_t c = (high.says - HALF_FIRST) << 10 | (low.says - HALF_SECOND);
    return (struct text_escape){.len = 2 * UNIT_BYTES, .says = c + BEYOND_16_BITS};
}

struct text_escape text_escape_read(struct span s)
{
    static const char marks[] = "\"\\/bfnrt", says[] = "\"\\/\b\f\n\r\t";
    if (s.len < 2) {
        return (struct text_escape){.len = 0};
    }
    if (s.at[1] != 'u') {
        const char *mark = memchr(marks, s.at[1], sizeof(marks) - 1);
        if (mark == NULL) {
            return (struct text_escape){.len = 1};
        }
        return (struct text_escape){.len = 2, .says = (uint8_t)says[mark - marks]};
    }
    struct text_escape e = read_unit(s);
    return e.len == UNIT_BYTES && e.says >= HALF_FIRST && e.says < HALF_SECOND ? read_pair(s, e)
                                                                               : e;
}

size_t text_escape_encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < BEYOND_16_BITS ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    out[0] = (uint8_t)((0xF00u >> len) | c);
    return len;
}

size_t text_escape_undo(struct span s, uint8_t *out)
{
    size_t len = 0;
    for (size_t at = 0; at < s.len;) {
        struct text_escape e = {.len = 1};
        if (s.at[at] == '\\') {
            e = text_escape_read(span_cut(s, at, s.len));
        }
        if (e.len > 1 && !text_escape_is_half(e.says)) {
            len += text_escape_encode(e.says, out + len);
            at += e.len;
        } else {
            out[len++] = s.at[at++];
        }
    }
    return len;
}
