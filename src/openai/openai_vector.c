/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/openai_vector.h"

#include <math.h>

#include "crypto/base64.h"
#include "json/json_float.h"
#include "json/json_value.h"

#define STEP_FLOATS 1536 /* converted at a time: 6 KiB, and no padding between two steps */

static enum err read_float(const struct json_index *x, uint32_t row, float *out)
{
    return json_kind(x, row) == JSON_NUMBER ? json_float_parse(json_source(x, row), out)
                                            : ERR_VALUE_INVALID;
}

enum err openai_vector_to_base64(const struct json_index *x, uint32_t array, struct arena *arena,
                                 struct span *out)
{
    float floats[STEP_FLOATS];               /* x86-64 and arm64 are little-endian */
    uint32_t end = json_row(x, array)->next; /* in between are its elements, if all are numbers */
    size_t chars = crypto_base64_chars((end - array - 1) * sizeof(float)), at = 1, count = 0;
    char *text = arena_alloc(arena, chars + 2);
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    text[0] = '"';
    for (uint32_t v = array + 1; v < end; v++) {
        enum err e = read_float(x, v, &floats[count++]);
        if (e != ERR_OK) {
            return ERR_UPSTREAM_JSON;
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
        to += json_float_write(value, to);
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
