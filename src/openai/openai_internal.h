/* SPDX-License-Identifier: Apache-2.0 */
/* openai_internal.h — what replies and stream events are done with alike. For openai's own files.
 */
#ifndef OPENAI_OPENAI_INTERNAL_H
#define OPENAI_OPENAI_INTERNAL_H

#include "openai/openai_reply.h"

/* A member that is there and not null; else JSON_NONE. */
uint32_t openai_member(const struct json_index *x, uint32_t object, struct span name);

/* Whether the answer is an error object, in any of the servers' forms. A null `error` is edited
 * away. */
bool openai_is_error(const struct json_index *x, struct json_edits *edits);

/* Adds a member to `object`: `text` is `"key":value`, and copied. */
void openai_add_member(struct json_edits *edits, uint32_t object, const char *text);

/* Removes the first member `name` of `object`, if there is one. */
void openai_remove_member(const struct json_index *x, uint32_t object, struct span name,
                          struct json_edits *edits);

/* Bit `index` of a row of bits. openai_bit_mark() says whether it was set before. */
static inline bool openai_bit(const uint64_t *bits, int64_t index)
{
    return (bits[index / 64] & 1ULL << (index % 64)) != 0;
}

static inline bool openai_bit_mark(uint64_t *bits, int64_t index)
{
    bool was = openai_bit(bits, index);
    bits[index / 64] |= 1ULL << (index % 64);
    return was;
}

static inline void openai_bit_clear(uint64_t *bits, int64_t index)
{
    bits[index / 64] &= ~(1ULL << (index % 64));
}

/* The tool calls of one chunk's choice (0 to OPENAI_CHOICES_MAX - 1): each delta gets what clients
 * need, and what they may have once only is said once. */
void openai_edit_tools(struct openai_stream *s, const struct json_index *x, uint32_t choice,
                       uint32_t delta, struct json_edits *edits);

/* Makes `model` the name that the caller knows. */
void openai_set_model(const struct json_index *x, const struct openai_plan *plan,
                      struct json_edits *edits);

/* Reads `usage`, or llama.cpp's `timings`; true if there was either. */
bool openai_read_usage(const struct json_index *x, struct openai_usage *out);

/* How long the text of a string is, about; 0 for JSON_NONE and what is no string. */
uint64_t openai_text_bytes(const struct json_index *x, uint32_t row);

/* The tool calls of a whole reply's message: each has an id and a type. */
void openai_edit_whole_tools(const struct openai_plan *plan, const struct json_index *x,
                             uint32_t choice, uint32_t message, struct json_edits *edits);

/* Which choice it is: its index, or `position`, which is then added. */
int64_t openai_edit_index(const struct json_index *x, uint32_t choice, int64_t position,
                          struct json_edits *edits);

/* A role that is there and not null becomes "assistant": some clients take no other. */
void openai_edit_role(const struct json_index *x, uint32_t message, struct json_edits *edits);

/* A message or delta: copies the reasoning where clients look for it; adds up the text's length. */
void openai_edit_message(const struct json_index *x, uint32_t message, struct json_edits *edits,
                         uint64_t *text_bytes);

/* A finish_reason that clients do not know becomes "stop", an empty one null; true if there is a
 * reason. */
bool openai_edit_finish(const struct json_index *x, uint32_t choice, struct json_edits *edits);

/* The vectors of an embeddings reply: form, order, number. */
MUST_USE enum err openai_vectors_begin(struct openai_vectors *v, const struct json_index *x,
                                       const struct openai_plan *plan, struct arena *arena);

/* Goes on for about as many floats; adds the edits when all are converted. Without memory for
 * these, they say so. */
MUST_USE enum err openai_vectors_convert(struct openai_vectors *v, int64_t floats,
                                         struct json_edits *edits);

static inline bool openai_vectors_are_done(const struct openai_vectors *v)
{
    return v->is_read && v->edited == v->plan->inputs;
}

#endif
