/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/openai_vector.h"

#include <math.h>

#include "crypto/base64.h"
#include "json/json_float.h"
#include "json/json_value.h"

#define ESCAPED_MAX    (256u << 10) /* of a string with escapes, which are undone at once */
#define STEP_FLOATS    1536 /* converted at a time: 6 KiB, and no padding between two steps */
#define WRITTEN_FLOATS 2    /* what one that is written costs, against one that is read */
#define STEP_CHARS     (STEP_FLOATS * sizeof(float) / 3 * 4)

static enum err begin_array(struct openai_vector *v, uint32_t array, struct arena *arena)
{
    v->is_array = true;
    v->row = array + 1;
    v->end = json_row(v->x, array)->next; /* in between are its elements, if all are numbers */
    v->room = crypto_base64_chars((v->end - v->row) * sizeof(float)) + 2;
    v->text = arena_alloc(arena, v->room);
    if (v->text == NULL) {
        return ERR_NO_MEMORY;
    }
    v->text[v->len++] = '"';
    return ERR_OK;
}

static enum err begin_string(struct openai_vector *v, uint32_t string, struct arena *arena)
{
    const struct json_row *row = json_row(v->x, string);
    if ((row->flags & JSON_ESCAPED) != 0 && row->len > ESCAPED_MAX) {
        return ERR_UPSTREAM_JSON;
    }
    enum err e = json_text(v->x, string, arena, &v->rest);
    if (e != ERR_OK) {
        return err_is_memory(e) ? e : ERR_UPSTREAM_JSON;
    }
    v->room = v->rest.len / 4 * 3 / sizeof(float) * JSON_FLOAT_BYTES + 2; /* with their commas */
    v->text = arena_alloc(arena, v->room);
    if (v->text == NULL) {
        return ERR_NO_MEMORY;
    }
    v->text[v->len++] = '[';
    return ERR_OK;
}

enum err openai_vector_begin(struct openai_vector *v, const struct json_index *x, uint32_t row,
                             struct arena *arena)
{
    *v = (struct openai_vector){.x = x};
    switch (json_kind(x, row)) {
    case JSON_ARRAY:
        return begin_array(v, row, arena);
    case JSON_STRING:
        return begin_string(v, row, arena);
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
    case JSON_NUMBER:
    case JSON_OBJECT:
    case JSON_KEY:
        break;
    }
    return ERR_UPSTREAM_JSON;
}

/* Reads the next numbers, at most STEP_FLOATS, and writes their Base64. */
static enum err step_array(struct openai_vector *v, size_t *count)
{
    float floats[STEP_FLOATS]; /* x86-64 and arm64 are little-endian */
    size_t got = 0;
    for (; got < STEP_FLOATS && v->row < v->end; got++, v->row++) {
        if (json_kind(v->x, v->row) != JSON_NUMBER ||
            json_float_parse(json_source(v->x, v->row), &floats[got]) != ERR_OK) {
            return ERR_UPSTREAM_JSON;
        }
    }
    v->len += crypto_base64_write(span_make(floats, got * sizeof(float)), v->text + v->len);
    *count = got;
    if (v->row == v->end) {
        v->text[v->len++] = '"';
        v->is_done = true;
    }
    return ERR_OK;
}

/* Reads the next characters, at most STEP_CHARS, and writes their numbers. */
static enum err step_string(struct openai_vector *v, size_t *count)
{
    uint8_t floats[STEP_FLOATS * sizeof(float)];
    size_t bytes = 0;
    bool is_last = v->rest.len <= STEP_CHARS;
    if (crypto_base64_parse(span_cut(v->rest, 0, STEP_CHARS), floats, sizeof(floats), &bytes) !=
            ERR_OK ||
        bytes % sizeof(float) != 0 || (!is_last && bytes < sizeof(floats))) {
        return ERR_UPSTREAM_JSON;
    }
    for (size_t at = 0; at < bytes; at += sizeof(float)) {
        float value;
        memcpy(&value, floats + at, sizeof(value));
        if (!isfinite(value)) {
            return ERR_UPSTREAM_JSON;
        }
        v->len += json_float_write(value, v->text + v->len);
        v->text[v->len++] = ',';
    }
    *count = bytes / sizeof(float);
    v->rest = span_cut(v->rest, STEP_CHARS, v->rest.len);
    if (is_last) {
        v->len -= v->text[v->len - 1] == ',';
        v->text[v->len++] = ']';
        v->is_done = true;
    }
    return ERR_OK;
}

enum err openai_vector_convert(struct openai_vector *v, int64_t *floats)
{
    while (!v->is_done && *floats > 0) {
        size_t count = 0;
        enum err e = v->is_array ? step_array(v, &count) : step_string(v, &count);
        if (e != ERR_OK) {
            return e;
        }
        CHECK(v->len <= v->room);
        *floats -= (int64_t)count * (v->is_array ? 1 : WRITTEN_FLOATS) + 1;
    }
    return ERR_OK;
}
