/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model servers write floats with up to 19 digits and a small exponent: some as short as can be,
 * some as the double they were cast to. Digits as an integer, times or divided by a power of ten
 * that a double holds exactly, are off by less than two units in a double's last place: far nearer
 * than any float asks, unless they lie as near to the middle between two floats. Those, and all
 * else, go the slow way.
 */
#include "openai/openai_vector.h"

#include <math.h>

#include "crypto/base64.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define STEP_FLOATS 1536 /* converted at a time: 6 KiB, and no padding between two steps */

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define POWER_MAX ((int)(sizeof(powers) / sizeof(powers[0])) - 1)

struct decimal {
    uint64_t digits;
    int exponent;
    bool negative;
};

/* Reads [-]digits[.digits][e[+-]digits]; false if it has more digits than 64 bits hold. The text is
 * a JSON number already. */
static bool read_decimal(struct span s, struct decimal *out)
{
    struct decimal d = {0};
    size_t i = 0;
    bool point = false;
    d.negative = s.at[0] == '-';
    for (i = d.negative; i < s.len && (s.at[i] | 0x20) != 'e'; i++) {
        if (s.at[i] == '.') {
            point = true;
            continue;
        }
        if (d.digits > (UINT64_MAX - 9) / 10) {
            return false;
        }
        d.digits = d.digits * 10 + (s.at[i] - '0');
        d.exponent -= point;
    }
    if (i < s.len) {
        bool down = s.at[++i] == '-';
        i += s.at[i] == '-' || s.at[i] == '+';
        uint64_t by;
        if (!span_to_u64(span_cut(s, i, s.len), 300, &by)) {
            return false;
        }
        d.exponent += down ? -(int)by : (int)by;
    }
    *out = d;
    return true;
}

/* Whether a double is so near to the middle between two floats that its last bits decide. */
static bool is_near_middle(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint64_t low = bits & ((1ULL << 29) - 1); /* what a float has no room for */
    return low - ((1ULL << 28) - 8) <= 16;
}

static enum err read_float(const struct json_index *x, uint32_t row, float *out)
{
    struct decimal d;
    if (json_kind(x, row) != JSON_NUMBER) {
        return ERR_UPSTREAM_JSON;
    }
    double value = 0;
    bool is_fast = read_decimal(json_source(x, row), &d) && d.exponent >= -POWER_MAX &&
                   d.exponent <= POWER_MAX;
    if (is_fast) {
        value = (double)d.digits;
        value = d.exponent < 0 ? value / powers[-d.exponent] : value * powers[d.exponent];
        value = d.negative ? -value : value;
    }
    if ((!is_fast || is_near_middle(value)) && json_double(x, row, &value) != ERR_OK) {
        return ERR_UPSTREAM_JSON;
    }
    *out = (float)value;
    return isfinite(*out) ? ERR_OK : ERR_UPSTREAM_JSON;
}

enum err openai_vector_to_base64(const struct json_index *x, uint32_t array, struct arena *arena,
                                 struct span *out)
{
    float floats[STEP_FLOATS]; /* x86-64 and arm64 are little-endian */
    size_t chars = crypto_base64_chars(json_count(x, array) * sizeof(float)), at = 1, count = 0;
    char *text = arena_alloc(arena, chars + 2);
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    text[0] = '"';
    for (uint32_t v = json_first(x, array); v != JSON_NONE; v = json_next(x, v)) {
        enum err e = read_float(x, v, &floats[count++]);
        if (e != ERR_OK) {
            return e;
        }
        if (count == STEP_FLOATS) {
            at += crypto_base64_write(span_make(floats, sizeof(floats)), text + at);
            count = 0;
        }
    }
    at += crypto_base64_write(span_make(floats, count * sizeof(float)), text + at);
    text[at] = '"';
    CHECK(at == chars + 1);
    *out = span_make(text, chars + 2);
    return ERR_OK;
}

/* Writes the floats behind `to`; NULL if one of them is not finite. */
static char *write_numbers(const uint8_t *floats, size_t count, char *to)
{
    for (size_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, floats + i * sizeof(value), sizeof(value));
        if (!isfinite(value)) {
            return NULL;
        }
        to += json_float_text(value, to);
        *to++ = ',';
    }
    return to;
}

enum err openai_vector_to_numbers(const struct json_index *x, uint32_t string, struct arena *arena,
                                  struct span *out)
{
    uint8_t floats[STEP_FLOATS * sizeof(float)];
    const size_t step = sizeof(floats) / 3 * 4; /* characters */
    struct span text;
    enum err e = json_text(x, string, arena, &text);
    if (e != ERR_OK) {
        return e == ERR_NO_MEMORY ? e : ERR_UPSTREAM_JSON;
    }
    size_t most = text.len / 4 * 3 / sizeof(float) * JSON_FLOAT_BYTES;
    char *numbers = arena_alloc(arena, most + 2);
    if (numbers == NULL) {
        return ERR_NO_MEMORY;
    }
    char *at = numbers;
    *at++ = '[';
    for (struct span rest = text; rest.len > 0; rest = span_cut(rest, step, rest.len)) {
        size_t bytes = 0;
        bool is_last = rest.len <= step;
        if (crypto_base64_parse(span_cut(rest, 0, step), floats, sizeof(floats), &bytes) !=
                ERR_OK ||
            bytes % sizeof(float) != 0 || (!is_last && bytes < sizeof(floats))) {
            return ERR_UPSTREAM_JSON;
        }
        at = write_numbers(floats, bytes / sizeof(float), at);
        if (at == NULL) {
            return ERR_UPSTREAM_JSON;
        }
    }
    at -= at[-1] == ',';
    *at++ = ']';
    CHECK((size_t)(at - numbers) <= most + 2);
    *out = span_make(numbers, (size_t)(at - numbers));
    return ERR_OK;
}
