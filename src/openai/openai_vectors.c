/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients take positions, not `index`, so vectors that came out of order are put in order: the
 * whole `data` array is then written anew.
 */
#include "openai/openai_internal.h"
#include "openai/openai_vector.h"
#include "json/json_value.h"

/* One element of `data`. */
struct vector {
    uint32_t row, value; /* of the element, of its embedding */
    struct span text;    /* in place of the embedding; empty: it stays */
};

static enum err convert(const struct json_index *x, const struct openai_plan *plan,
                        struct arena *arena, struct vector *v)
{
    enum json_kind kind = json_kind(x, v->value);
    if (kind != JSON_ARRAY && kind != JSON_STRING) {
        return ERR_UPSTREAM_JSON;
    }
    if (plan->wants_base64 && kind == JSON_ARRAY) {
        return openai_vector_to_base64(x, v->value, arena, &v->text);
    }
    if (!plan->wants_base64 && kind == JSON_STRING) {
        return openai_vector_to_numbers(x, v->value, arena, &v->text);
    }
    return ERR_OK;
}

/* Reads element `row` into its place. */
static enum err read_element(const struct json_index *x, const struct openai_plan *plan,
                             struct arena *arena, uint32_t row, struct vector *places,
                             int64_t *index)
{
    uint32_t value = openai_member(x, row, SPAN("embedding"));
    uint32_t number = openai_member(x, row, SPAN("index"));
    if (value == JSON_NONE || (number != JSON_NONE && json_int64(x, number, index) != ERR_OK) ||
        *index < 0 || *index >= (int64_t)plan->inputs || places[*index].text.at != NULL ||
        places[*index].row != 0) {
        return ERR_UPSTREAM_JSON;
    }
    places[*index].row = row;
    places[*index].value = value;
    return convert(x, plan, arena, &places[*index]);
}

static uint8_t *put(uint8_t *to, struct span s)
{
    if (s.len > 0) {
        memcpy(to, s.at, s.len);
    }
    return to + s.len;
}

/* What stands in place of an element's embedding. */
static struct span embedding(const struct json_index *x, const struct vector *v)
{
    return v->text.len > 0 ? v->text : json_source(x, v->value);
}

static void write_in_order(const struct json_index *x, uint32_t data, const struct vector *places,
                           uint32_t count, struct arena *arena, struct json_edits *edits)
{
    size_t len = 1;
    for (uint32_t i = 0; i < count; i++) {
        const struct vector *v = &places[i];
        len += 1 + json_source(x, v->row).len - json_source(x, v->value).len + embedding(x, v).len;
    }
    uint8_t *text = arena_alloc(arena, len), *to = text;
    if (text == NULL) {
        edits->failed = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct vector *v = &places[i];
        struct span source = json_source(x, v->row);
        uint32_t from = json_row(x, v->row)->offset, at = json_row(x, v->value)->offset - from;
        to = put(to, i == 0 ? SPAN("[") : SPAN(","));
        to = put(to, span_cut(source, 0, at));
        to = put(to, embedding(x, v));
        to = put(to, span_cut(source, json_end(x, v->value) - from, source.len));
    }
    to = put(to, SPAN("]"));
    CHECK((size_t)(to - text) == len);
    json_edits_set_value_borrow(edits, data, span_make(text, len));
}

enum err openai_edit_vectors(const struct json_index *x, const struct openai_plan *plan,
                             struct arena *arena, struct json_edits *edits)
{
    uint32_t data = openai_member(x, 0, SPAN("data"));
    if (data == JSON_NONE || json_kind(x, data) != JSON_ARRAY ||
        json_count(x, data) != plan->inputs) {
        return ERR_UPSTREAM_JSON;
    }
    struct vector *places = arena_new(arena, plan->inputs * sizeof(*places));
    if (places == NULL) {
        return ERR_NO_MEMORY;
    }
    int64_t position = 0;
    bool in_order = true;
    for (uint32_t row = json_first(x, data); row != JSON_NONE; row = json_next(x, row)) {
        int64_t index = position;
        enum err e = json_kind(x, row) == JSON_OBJECT
                         ? read_element(x, plan, arena, row, places, &index)
                         : ERR_UPSTREAM_JSON;
        if (e != ERR_OK) {
            return e;
        }
        in_order = in_order && index == position;
        position++;
    }
    if (!in_order) {
        write_in_order(x, data, places, plan->inputs, arena, edits);
        return ERR_OK;
    }
    for (uint32_t i = 0; i < plan->inputs; i++) {
        if (places[i].text.len > 0) {
            json_edits_set_value_borrow(edits, places[i].value, places[i].text);
        }
    }
    return ERR_OK;
}
