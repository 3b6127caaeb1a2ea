/* SPDX-License-Identifier: Apache-2.0 */
#include "base/money.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define PLACES_LEAST 2

static const uint64_t powers[] = {1,      10,      100,      1000,      10000,
                                  100000, 1000000, 10000000, 100000000, 1000000000};

static bool is_digits(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
    }
    return text.len > 0;
}

bool money_read(struct span text, int64_t *nano)
{
    bool is_negative = text.len > 0 && text.at[0] == '-';
    text = span_cut(text, is_negative ? 1 : 0, text.len);
    size_t point = span_find(text, '.', 0);
    struct span whole = span_cut(text, 0, point), rest = span_cut(text, point + 1, text.len);
    uint64_t units, part = 0;
    if (!is_digits(whole) || (whole.len > 1 && whole.at[0] == '0') ||
        (point < text.len && (!is_digits(rest) || rest.len > MONEY_PLACES)) ||
        !span_to_u64(whole, INT64_MAX / MONEY_UNIT, &units) ||
        (rest.len > 0 && !span_to_u64(rest, MONEY_UNIT, &part))) {
        return false;
    }
    uint64_t size = units * MONEY_UNIT + part * powers[MONEY_PLACES - rest.len];
    if (size > INT64_MAX) {
        return false;
    }
    *nano = is_negative ? -(int64_t)size : (int64_t)size;
    return true;
}

void money_write(int64_t nano, unsigned places, char out[MONEY_TEXT_BYTES])
{
    CHECK(places >= PLACES_LEAST && places <= MONEY_PLACES);
    uint64_t step = powers[MONEY_PLACES - places];
    uint64_t size = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;
    size = (size + step / 2) / step * step;
    int len = snprintf(out, MONEY_TEXT_BYTES, "%s%" PRIu64 ".%09" PRIu64,
                       nano < 0 && size > 0 ? "-" : "", size / MONEY_UNIT, size % MONEY_UNIT);
    for (unsigned i = PLACES_LEAST; i < MONEY_PLACES && out[len - 1] == '0'; i++) {
        out[--len] = '\0';
    }
}

bool money_is_currency(struct span text)
{
    bool is = text.len == 3;
    for (size_t i = 0; is && i < text.len; i++) {
        is = text.at[i] >= 'A' && text.at[i] <= 'Z';
    }
    return is;
}
