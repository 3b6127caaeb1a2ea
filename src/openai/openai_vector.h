/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_vector.h — one embedding from numbers to Base64 or back, some floats at a time.
 *
 * Base64 is of little-endian IEEE 754 single precision, as OpenAI sends it. SDKs ask for it by
 * default and some return wrong vectors when they get numbers, so both directions are done here,
 * whatever the model server can.
 *
 *     openai_vector_begin(&v, x, row, arena);
 *     while (!openai_vector_is_done(&v)) openai_vector_convert(&v, &budget);
 *
 * Ownership  the result is in the arena; the index and its text stay until it is done.
 * Threads    any; pure.
 * Sources    OpenAI's API reference (embeddings, encoding_format); RFC 4648 section 4.
 */
#ifndef OPENAI_OPENAI_VECTOR_H
#define OPENAI_OPENAI_VECTOR_H

#include "base/arena.h"
#include "json/json_index.h"

struct openai_vector {
    const struct json_index *x;
    char *text; /* the result, which is JSON */
    size_t len, room;
    uint32_t row, end; /* of an array: the numbers that are left */
    struct span rest;  /* of a string: the characters that are left */
    bool is_array, is_done;
};

/*
 * Begins with an array of numbers, which becomes a string, or a string, which becomes an array.
 *   ERR_UPSTREAM_JSON  `row` is neither, or a string of more than 256 KiB that has escapes
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_vector_begin(struct openai_vector *v, const struct json_index *x,
                                      uint32_t row, struct arena *arena);

/*
 * Converts until it is done or `*floats` are, give or take a few thousand, which are taken off.
 *   ERR_UPSTREAM_JSON  an element is no number; it is not Base64 of whole floats, or one of them is
 *                      not finite
 */
MUST_USE enum err openai_vector_convert(struct openai_vector *v, int64_t *floats);

static inline bool openai_vector_is_done(const struct openai_vector *v)
{
    return v->is_done;
}

/* The whole result, once it is done. */
static inline struct span openai_vector_text(const struct openai_vector *v)
{
    return span_make(v->text, v->len);
}

#endif
