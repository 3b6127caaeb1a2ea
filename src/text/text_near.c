/* SPDX-License-Identifier: Apache-2.0 */
#include "text/text_near.h"

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t text_distance(struct span a, struct span b)
{
    /* Three rows of the table are enough: this one, the one before, and the one before that. */
    size_t rows[3][TEXT_NEAR_BYTES_MAX + 1];
    if (a.len > TEXT_NEAR_BYTES_MAX || b.len > TEXT_NEAR_BYTES_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b.len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3];
        const size_t *before_that = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            uint8_t x = lower(a.at[i - 1]);
            uint8_t y = lower(b.at[j - 1]);
            now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b.at[j - 2]) && y == lower(a.at[i - 2])) {
                now[j] = least(now[j], before_that[j - 2] + 1);
            }
        }
    }
    return rows[a.len % 3][b.len];
}

const char *text_nearest(struct span word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t most = word.len / 3 > 1 ? word.len / 3 : 1;
    for (size_t i = 0; i < count; i++) {
        size_t distance = text_distance(word, span_of(candidates[i]));
        if (distance <= most) {
            nearest = candidates[i];
            if (distance == 0) {
                break;
            }
            most = distance - 1;
        }
    }
    return nearest;
}
