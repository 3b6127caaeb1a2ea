/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_vector.h — embeddings as numbers and as Base64.
 *
 * Base64 is of little-endian IEEE 754 single precision, as OpenAI sends it. SDKs ask for it by
 * default and some return wrong vectors when they get numbers, so both directions are done here,
 * whatever the model server can.
 *
 * Ownership  results are in the arena.
 * Threads    any; pure.
 * Sources    OpenAI's API reference (embeddings, encoding_format); RFC 4648 section 4.
 */
#ifndef OPENAI_OPENAI_VECTOR_H
#define OPENAI_OPENAI_VECTOR_H

#include "base/arena.h"
#include "json/json_index.h"

/*
 * The JSON string for an array of numbers.
 *   ERR_UPSTREAM_JSON  an element is no number
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_vector_to_base64(const struct json_index *x, uint32_t array,
                                          struct arena *arena, struct span *out);

/*
 * The JSON array for a Base64 string.
 *   ERR_UPSTREAM_JSON  it is not Base64 of whole floats, or one of them is not finite
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_vector_to_numbers(const struct json_index *x, uint32_t string,
                                           struct arena *arena, struct span *out);

#endif
