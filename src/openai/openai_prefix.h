/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_prefix.h — how a request begins, as hashes of ever longer beginnings of its messages or
 * its prompt: two requests that begin alike have the first of them in common. Model servers keep
 * what they have read (prefix caching), so whoever chooses one wants to know which has read that.
 *
 * Hashed is what stands in the body, byte for byte, up to 256 bytes, half as much again, and so on,
 * and up to the ends of its last eight messages: the next turn of a chat has them, too. Texts of
 * fewer than 256 bytes have none, for there is nothing to be saved.
 *
 * The hash has no secret: who makes two texts alike by it has his own call sent to another server
 * that it may go to.
 *
 * Ownership  a value; the name is a copy in the arena.
 * Limits     the first 64 KiB, and the first 256 messages; some 0.3 µs a kilobyte.
 * Threads    any; pure.
 */
#ifndef OPENAI_OPENAI_PREFIX_H
#define OPENAI_OPENAI_PREFIX_H

#include "base/arena.h"
#include "openai/openai_request.h"

#define OPENAI_PREFIXES_MAX 24

struct openai_prefixes {
    size_t count;
    uint64_t at[OPENAI_PREFIXES_MAX]; /* the shortest first; there is room for one more */
    struct span named;                /* what its caller calls the chat, "": nothing */
};

/* Reads them of the index `x` of a request; embeddings have none. ERR_NO_MEMORY. */
MUST_USE enum err openai_prefix_read(const struct json_index *x,
                                     const struct openai_request *request, struct arena *arena,
                                     struct openai_prefixes *out);

#endif
