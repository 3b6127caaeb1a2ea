/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First each vector is read into its place, and converted where it is in the other form; then the
 * edits are made. Clients take positions, not `index`, so vectors that came out of order are put
 * in order: each element is replaced by the one whose place it is.
 */
#include "openai/openai_internal.h"
#include "json/json_value.h"

#define ELEMENT_FLOATS 8  /* what an element costs besides its floats, */
#define FLOAT_BYTES    16 /* and so many bytes of what else is in it, for its members are sought */
#define EDIT_FLOATS    2

struct openai_place {
    uint32_t row, value; /* of the element, of its embedding; row 0: none came yet */
    struct span text;    /* in place of the embedding; empty: it stays */
};

enum err openai_vectors_begin(struct openai_vectors *v, const struct json_index *x,
                              const struct openai_plan *plan, struct arena *arena)
{
    uint32_t data = openai_member(x, 0, SPAN("data"));
    if (data == JSON_NONE || json_kind(x, data) != JSON_ARRAY) {
        return ERR_UPSTREAM_JSON;
    }
    *v = (struct openai_vectors){.x = x, .plan = plan, .arena = arena};
    v->first = v->row = json_first(x, data);
    v->places = arena_new(arena, plan->inputs * sizeof(*v->places));
    return v->places == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* Finds the element's place and, if it is to be converted, begins with that. */
static enum err read_element(struct openai_vectors *v, int64_t *floats)
{
    const struct json_index *x = v->x;
    *floats -= ELEMENT_FLOATS;
    if (json_kind(x, v->row) != JSON_OBJECT) {
        return ERR_UPSTREAM_JSON;
    }
    int64_t index = v->position;
    uint32_t value = openai_member(x, v->row, SPAN("embedding"));
    uint32_t number = openai_member(x, v->row, SPAN("index"));
    uint32_t beside = value == JSON_NONE ? 0 : json_row(x, value)->len;
    *floats -= (json_row(x, v->row)->len - beside) / FLOAT_BYTES;
    if (value == JSON_NONE || (number != JSON_NONE && json_int64(x, number, &index) != ERR_OK) ||
        index < 0 || index >= (int64_t)v->plan->inputs || v->places[index].row != 0) {
        return ERR_UPSTREAM_JSON;
    }
    v->places[index] = (struct openai_place){.row = v->row, .value = value};
    v->row = json_next(x, v->row);
    v->position++;
    enum json_kind kind = json_kind(x, value);
    if (kind != JSON_ARRAY && kind != JSON_STRING) {
        return ERR_UPSTREAM_JSON;
    }
    if (v->plan->wants_base64 == (kind == JSON_STRING)) {
        return ERR_OK;
    }
    v->under_way = &v->places[index];
    return openai_vector_begin(&v->vector, x, value, v->arena);
}

static enum err convert(struct openai_vectors *v, int64_t *floats)
{
    enum err e = openai_vector_convert(&v->vector, floats);
    if (e == ERR_OK && openai_vector_is_done(&v->vector)) {
        v->under_way->text = openai_vector_text(&v->vector);
        v->under_way = NULL;
    }
    return e;
}

/* Puts `place` where the element `row` is. */
static void edit_element(const struct openai_vectors *v, uint32_t row,
                         const struct openai_place *place, struct json_edits *edits)
{
    const struct json_index *x = v->x;
    if (place->row == row) {
        if (place->text.len > 0) {
            json_edits_set_value_borrow(edits, place->value, place->text);
        }
        return;
    }
    struct span source = json_source(x, place->row);
    uint32_t from = json_row(x, place->row)->offset;
    uint32_t value = json_row(x, place->value)->offset, behind = json_end(x, row);
    if (place->text.len == 0) {
        json_edits_set_value_borrow(edits, row, source);
        return;
    }
    json_edits_set_value_borrow(edits, row, span_cut(source, 0, value - from));
    json_edits_replace_borrow(edits, behind, 0, place->text);
    json_edits_replace_borrow(edits, behind, 0,
                              span_cut(source, json_end(x, place->value) - from, source.len));
}

/* The edit of the next element, in the order of the text. */
static void make_edit(struct openai_vectors *v, struct json_edits *edits)
{
    edit_element(v, v->row, &v->places[v->edited], edits);
    v->row = json_next(v->x, v->row);
    v->edited++;
}

/* All elements are read. No place was taken twice, so there are not more than inputs. */
static enum err end_reading(struct openai_vectors *v)
{
    v->is_read = true;
    v->row = v->first;
    return v->position == v->plan->inputs ? ERR_OK : ERR_UPSTREAM_JSON;
}

enum err openai_vectors_convert(struct openai_vectors *v, int64_t floats, struct json_edits *edits)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && floats > 0 && !openai_vectors_are_done(v)) {
        if (v->under_way != NULL) {
            e = convert(v, &floats);
        } else if (v->is_read) {
            make_edit(v, edits);
            floats -= EDIT_FLOATS;
        } else if (v->row == JSON_NONE) {
            e = end_reading(v);
        } else {
            e = read_element(v, &floats);
        }
    }
    return e;
}
