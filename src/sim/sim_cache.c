/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of blocks from the newest to the oldest, and chains of those whose hashes begin alike.
 * Block 0 is none: it closes the ring and ends the chains. */
#include "sim/sim_cache.h"

#include "base/memory.h"

#define BLOCK_BYTES ((size_t)SIM_BLOCK_TOKENS * SIM_TOKEN_BYTES)
#define FACTOR      UINT64_C(0xD6E8FEB86659FD93)

struct block {
    uint64_t hash;
    uint32_t newer, older, chained;
};

struct sim_cache {
    uint32_t room, used;
    struct block *blocks; /* 1 to `room`, of which `used` are filled; 0 */
    uint32_t *chains;     /* the first of each; `room` of them */
    uint64_t *hashes;     /* of the prompt that is read */
};

enum err sim_cache_open(int64_t tokens, struct sim_cache **out)
{
    *out = NULL;
    uint32_t room = (uint32_t)(tokens / SIM_BLOCK_TOKENS);
    if (room == 0) {
        return ERR_OK;
    }
    struct sim_cache *c = memory_new(sizeof(*c));
    if (c == NULL) {
        return ERR_NO_MEMORY;
    }
    c->room = room;
    c->blocks = memory_new_array((size_t)room + 1, sizeof(*c->blocks));
    c->chains = memory_new_array(room, sizeof(*c->chains));
    c->hashes = memory_new_array(room, sizeof(*c->hashes));
    if (c->blocks == NULL || c->chains == NULL || c->hashes == NULL) {
        sim_cache_close(&c);
        return ERR_NO_MEMORY;
    }
    *out = c;
    return ERR_OK;
}

void sim_cache_close(struct sim_cache **cache)
{
    struct sim_cache *c = *cache;
    *cache = NULL;
    if (c != NULL) {
        memory_free(c->blocks);
        memory_free(c->chains);
        memory_free(c->hashes);
        memory_free(c);
    }
}

static uint32_t *chain_of(struct sim_cache *c, uint64_t hash)
{
    return &c->chains[hash % c->room];
}

static uint32_t find(struct sim_cache *c, uint64_t hash)
{
    uint32_t at = *chain_of(c, hash);
    while (at != 0 && c->blocks[at].hash != hash) {
        at = c->blocks[at].chained;
    }
    return at;
}

static void take_out(struct sim_cache *c, uint32_t at)
{
    struct block *b = &c->blocks[at];
    c->blocks[b->newer].older = b->older;
    c->blocks[b->older].newer = b->newer;
}

static void put_newest(struct sim_cache *c, uint32_t at)
{
    struct block *none = &c->blocks[0], *b = &c->blocks[at];
    b->newer = 0;
    b->older = none->older;
    c->blocks[none->older].newer = at;
    none->older = at;
}

/* A block that is free: a new one, or the oldest. */
static uint32_t make_free(struct sim_cache *c)
{
    if (c->used < c->room) {
        return ++c->used;
    }
    uint32_t oldest = c->blocks[0].newer;
    uint32_t *link = chain_of(c, c->blocks[oldest].hash);
    while (*link != oldest) {
        link = &c->blocks[*link].chained;
    }
    *link = c->blocks[oldest].chained;
    take_out(c, oldest);
    return oldest;
}

static void use(struct sim_cache *c, uint64_t hash)
{
    uint32_t at = find(c, hash);
    if (at != 0) {
        take_out(c, at);
    } else {
        at = make_free(c);
        c->blocks[at].hash = hash;
        c->blocks[at].chained = *chain_of(c, hash);
        *chain_of(c, hash) = at;
    }
    put_newest(c, at);
}

/* Each block's hash, the one before mixed in. */
static uint32_t hash_blocks(struct sim_cache *c, struct span prompt)
{
    uint64_t hash = 0, word;
    uint32_t count = 0;
    for (; count < c->room && (count + (size_t)1) * BLOCK_BYTES <= prompt.len; count++) {
        for (size_t i = 0; i < BLOCK_BYTES; i += sizeof(word)) {
            memcpy(&word, prompt.at + count * BLOCK_BYTES + i, sizeof(word));
            hash = (hash ^ word) * FACTOR;
            hash ^= hash >> 32;
        }
        c->hashes[count] = hash;
    }
    return count;
}

int64_t sim_cache_read(struct sim_cache *c, struct span prompt)
{
    if (c == NULL) {
        return 0;
    }
    uint32_t count = hash_blocks(c, prompt), known = 0;
    while (known < count && find(c, c->hashes[known]) != 0) {
        known++;
    }
    for (uint32_t i = count; i-- > 0;) {
        use(c, c->hashes[i]);
    }
    return (int64_t)known * SIM_BLOCK_TOKENS;
}
