/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of bits by the hash of three bytes says no to nearly all places of a text. Before it, where
 * the processor can, 32 places are asked at once whether each of the three bytes is of one of eight
 * groups of triggers, by its halves ("Teddy", as in Hyperscan).
 */
#include "guard/guard_triggers.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define CASE_BIT 0x20
#define FOLD     0x202020u
#define LOW      0xFFFFFFu
#define FACTOR   0x9E3779B1u

static inline uint32_t load(const uint8_t *at)
{
    uint32_t four;
    memcpy(&four, at, sizeof(four));
    return (four & LOW) | FOLD;
}

static inline uint32_t hash_of(uint32_t gram)
{
    return gram * FACTOR >> (32 - GUARD_TRIGGER_BITS);
}

static inline bool is_set(const struct guard_triggers *t, uint32_t hash)
{
    return (t->bits[hash / 64] >> (hash % 64) & 1) != 0;
}

/* The three bytes at `at`, of which no more have to be there. */
static uint32_t gram_at(const uint8_t *at)
{
    uint8_t four[4] = {at[0], at[1], at[2], 0};
    return load(four);
}

void guard_triggers_add(struct guard_triggers *t, struct span literal, unsigned id)
{
    CHECK(literal.len >= GUARD_TRIGGER_BYTES && t->count < GUARD_TRIGGERS_MAX && id <= UINT16_MAX);
    uint32_t gram = gram_at(literal.at + literal.len - GUARD_TRIGGER_BYTES);
    uint32_t hash = hash_of(gram);
    uint16_t *head = &t->heads[hash % GUARD_TRIGGER_HEADS];
    t->bits[hash / 64] |= UINT64_C(1) << (hash % 64);
    t->rows[++t->count] = (struct guard_trigger){.gram = gram, .next = *head, .id = (uint16_t)id};
    *head = (uint16_t)t->count;
    for (size_t i = 0; i < GUARD_TRIGGER_BYTES; i++) {
        uint8_t byte = (uint8_t)(gram >> (8 * i)), group = (uint8_t)(1u << (gram >> 16 & 7));
        t->low[i][byte & 0x0F] |= group;
        t->high[i][byte >> 4] |= group;
    }
}

/* The next place at or after `from` where the set says that one may stand, byte by byte. */
static size_t next_plain(const struct guard_triggers *t, struct span text, size_t from)
{
    size_t at = from;
    for (; at + sizeof(uint32_t) <= text.len; at++) {
        if (UNLIKELY(is_set(t, hash_of(load(text.at + at))))) {
            return at;
        }
    }
    for (; at + GUARD_TRIGGER_BYTES <= text.len; at++) {
        if (is_set(t, hash_of(gram_at(text.at + at)))) {
            return at;
        }
    }
    return text.len;
}

#if defined(__x86_64__)

#define AVX2  __attribute__((target("avx2")))
#define BLOCK 32

/* Of a half of the bytes at one of the three places, the groups that have such a one. */
AVX2 static inline __m256i groups_of(const uint8_t table[GUARD_TRIGGER_NIBBLES], __m256i nibbles)
{
    __m128i half = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(half), nibbles);
}

AVX2 static inline __m256i groups_at(const struct guard_triggers *t, size_t place,
                                     const uint8_t *at)
{
    const __m256i nibble = _mm256_set1_epi8(0x0F);
    __m256i bytes = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(const void *)at),
                                    _mm256_set1_epi8(CASE_BIT));
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);
    return _mm256_and_si256(groups_of(t->low[place], _mm256_and_si256(bytes, nibble)),
                            groups_of(t->high[place], high));
}

/* Of the 32 places from `at` on, those where all three bytes may be of one group: bits. */
AVX2 static inline uint32_t near(const struct guard_triggers *t, const uint8_t *at)
{
    __m256i groups = _mm256_and_si256(
        _mm256_and_si256(groups_at(t, 0, at), groups_at(t, 1, at + 1)), groups_at(t, 2, at + 2));
    return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(groups, _mm256_setzero_si256()));
}

AVX2 static size_t next_wide(const struct guard_triggers *t, struct span text, size_t from)
{
    size_t at = from;
    for (; at + BLOCK + GUARD_TRIGGER_BYTES <= text.len; at += BLOCK) {
        for (uint32_t rest = near(t, text.at + at); rest != 0; rest &= rest - 1) {
            size_t place = at + (size_t)__builtin_ctz(rest);
            if (is_set(t, hash_of(load(text.at + place)))) {
                return place;
            }
        }
    }
    return next_plain(t, text, at);
}

size_t guard_triggers_next(const struct guard_triggers *t, struct span text, size_t from)
{
    return __builtin_cpu_supports("avx2") ? next_wide(t, text, from) : next_plain(t, text, from);
}

#else

size_t guard_triggers_next(const struct guard_triggers *t, struct span text, size_t from)
{
    return next_plain(t, text, from);
}

#endif

static unsigned row_from(const struct guard_triggers *t, unsigned row, uint32_t gram)
{
    while (row != 0 && t->rows[row].gram != gram) {
        row = t->rows[row].next;
    }
    return row;
}

unsigned guard_triggers_row(const struct guard_triggers *t, struct span text, size_t at)
{
    uint32_t gram = gram_at(text.at + at);
    return row_from(t, t->heads[hash_of(gram) % GUARD_TRIGGER_HEADS], gram);
}

unsigned guard_triggers_more(const struct guard_triggers *t, unsigned row)
{
    return row_from(t, t->rows[row].next, t->rows[row].gram);
}
