/* SPDX-License-Identifier: Apache-2.0 */
#include "text/text_control.h"

/* U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069, by their last two bytes. */
static bool is_direction(uint8_t second, uint8_t third)
{
    return (second == 0x80 && (third == 0x8e || third == 0x8f)) ||
           (second == 0x80 && third >= 0xaa && third <= 0xae) ||
           (second == 0x81 && third >= 0xa6 && third <= 0xa9);
}

size_t text_control_at(struct span text, size_t at)
{
    const uint8_t *c = text.at + at;
    size_t left = text.len - at;
    if (c[0] < ' ' || c[0] == 0x7f) {
        return 1;
    }
    bool is_c1 = left >= 2 && c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;
    bool is_arabic_mark = left >= 2 && c[0] == 0xd8 && c[1] == 0x9c; /* U+061C */
    if (is_c1 || is_arabic_mark) {
        return 2;
    }
    return left >= 3 && c[0] == 0xe2 && is_direction(c[1], c[2]) ? 3 : 0;
}

bool text_has_control(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text_control_at(text, i) > 0) {
            return true;
        }
    }
    return false;
}
