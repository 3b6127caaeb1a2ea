/* SPDX-License-Identifier: Apache-2.0 */
#include "text/text_language_internal.h"

uint32_t text_character(struct span s, size_t *len)
{
    uint8_t lead = s.at[0];
    size_t more = lead < 0xC0 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    uint32_t c = lead;
    *len = 1;
    if (more == 0 || s.len <= more) {
        return lead < 0x80 ? lead : 0xFFFD;
    }
    c &= 0x3Fu >> more;
    for (size_t i = 1; i <= more; i++) {
        c = c << 6 | (s.at[i] & 0x3F);
    }
    *len = more + 1;
    return c;
}
