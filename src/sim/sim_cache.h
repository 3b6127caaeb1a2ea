/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_cache.h — which beginnings of prompts a model server would still have read: its KV cache, as
 * blocks of SIM_BLOCK_TOKENS tokens, each of which stands for all of the prompt up to its end.
 * Those that were not used for the longest time give way, the end of a prompt before its beginning.
 *
 * Ownership  sim_cache_open() hands it to the caller.
 * Limits     the blocks are allocated at once, 36 bytes each.
 * Threads    one.
 * Sources    what vLLM calls automatic prefix caching: hashes of blocks, chained; LRU.
 */
#ifndef SIM_SIM_CACHE_H
#define SIM_SIM_CACHE_H

#include "base/err.h"
#include "base/span.h"

#define SIM_BLOCK_TOKENS 16
#define SIM_TOKEN_BYTES  4 /* of text, as the simulator counts */

struct sim_cache;

/* Makes one for so many tokens; of fewer than a block: NULL, which has nothing. ERR_NO_MEMORY. */
MUST_USE enum err sim_cache_open(int64_t tokens, struct sim_cache **out);

void sim_cache_close(struct sim_cache **c);

/* Reads a prompt: how many tokens of its beginning were there. From then on all of it is, or as
 * much as there is room for. */
int64_t sim_cache_read(struct sim_cache *c, struct span prompt);

#endif
