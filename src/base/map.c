/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <pthread.h>
#include <sys/random.h>

#include "base/memory.h"

#define FIRST_SLOTS 16

static uint64_t seed[2];
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void draw_seed(void)
{
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        NEVER("getrandom() fails for 16 bytes");
    }
}

static uint64_t rotl(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, 2012, with the round counts that Rust and Python use). */
uint64_t map_hash(struct span s)
{
    (void)pthread_once(&seeded, draw_seed); /* fails only on a wrong argument */
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575ULL, seed[1] ^ 0x646f72616e646f6dULL,
                     seed[0] ^ 0x6c7967656e657261ULL, seed[1] ^ 0x7465646279746573ULL};
    size_t whole = s.len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word;
        memcpy(&word, s.at + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)s.len << 56;
    if (s.len > whole) {
        memcpy(&last, s.at + whole, s.len - whole);
        last |= (uint64_t)s.len << 56;
    }
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_fini(struct map *m)
{
    memory_free(m->slots);
    map_init(m);
}

/* The slot that holds `key`, or the free one where it would go. */
static struct map_slot *probe(struct map_slot *slots, size_t cap, struct span key, uint64_t hash)
{
    for (size_t i = hash & (cap - 1);; i = (i + 1) & (cap - 1)) {
        struct map_slot *slot = &slots[i];
        if (slot->key.at == NULL || (slot->hash == hash && span_equal(slot->key, key))) {
            return slot;
        }
    }
}

static enum err grow(struct map *m)
{
    size_t cap = m->cap == 0 ? FIRST_SLOTS : m->cap * 2;
    struct map_slot *slots = memory_new_array(cap, sizeof(*slots));
    if (slots == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < m->cap; i++) {
        if (m->slots[i].key.at != NULL) {
            *probe(slots, cap, m->slots[i].key, m->slots[i].hash) = m->slots[i];
        }
    }
    memory_free(m->slots);
    m->slots = slots;
    m->cap = cap;
    return ERR_OK;
}

enum err map_put_borrow(struct map *m, struct span key, void *value)
{
    return map_put_hashed_borrow(m, key, map_hash(key), value);
}

enum err map_put_hashed_borrow(struct map *m, struct span key, uint64_t hash, void *value)
{
    if ((m->count + 1) * 4 > m->cap * 3) {
        enum err e = grow(m);
        if (e != ERR_OK) {
            return e;
        }
    }
    static const uint8_t empty[1];
    key.at = key.at == NULL ? empty : key.at;
    struct map_slot *slot = probe(m->slots, m->cap, key, hash);
    m->count += slot->key.at == NULL;
    *slot = (struct map_slot){key, value, hash};
    return ERR_OK;
}

/* Those behind it may have passed its place on their way: each is put anew (Knuth 3, 6.4, R). */
void map_take(struct map *m, struct span key)
{
    if (m->cap == 0) {
        return;
    }
    struct map_slot *slot = probe(m->slots, m->cap, key, map_hash(key));
    if (slot->key.at == NULL) {
        return;
    }
    m->count--;
    *slot = (struct map_slot){0};
    size_t at = (size_t)(slot - m->slots);
    for (size_t i = (at + 1) & (m->cap - 1); m->slots[i].key.at != NULL;
         i = (i + 1) & (m->cap - 1)) {
        struct map_slot moved = m->slots[i];
        m->slots[i] = (struct map_slot){0};
        *probe(m->slots, m->cap, moved.key, moved.hash) = moved;
    }
}

void *map_find(const struct map *m, struct span key)
{
    if (m->cap == 0) {
        return NULL; /* without hashing */
    }
    return map_find_hashed(m, key, map_hash(key));
}

void *map_find_hashed(const struct map *m, struct span key, uint64_t hash)
{
    return m->cap == 0 ? NULL : probe(m->slots, m->cap, key, hash)->value;
}
