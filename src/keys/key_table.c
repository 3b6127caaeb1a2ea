/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots lie in segments, each twice as long as the one before, so slot n is found by its highest
 * bit and no slot ever moves:
 *
 *     segment 0: 1,024 slots    segment 1: 2,048    segment 2: 4,096 …
 *
 * The index is open addressing with linear steps over words of (32 bits of hash, slot number + 1);
 * 0 is empty. A writer fills the slot, then stores the word with release; a reader that sees the
 * word sees the slot. A full index is copied into one of twice the size, which is then published.
 */
#include "keys/key_table.h"

#include "base/map.h"
#include "base/memory.h"

#define FIRST_SEGMENT 1024U
#define SEGMENTS      21 /* 2^31 slots and 1,024 fewer */
#define FIRST_WORDS   64

struct key_index {
    struct key_index *older; /* the halves it replaced */
    size_t words;            /* a power of two */
    _Atomic uint64_t word[];
};

struct key_table {
    _Atomic(struct key_index *) index;
    _Atomic(struct key_slot *) segment[SEGMENTS];
    size_t segments;
    _Atomic size_t count;
    _Atomic uint64_t revision;
};

static uint32_t segment_of(uint32_t number)
{
    return 31U - (uint32_t)__builtin_clz(number / FIRST_SEGMENT + 1);
}

/* The number of the first slot of segment `s`; of the slots in all segments before it. */
static size_t segment_start(size_t s)
{
    return (size_t)FIRST_SEGMENT * (((size_t)1 << s) - 1);
}

static struct key_slot *slot_at(const struct key_table *t, uint32_t number)
{
    uint32_t s = segment_of(number);
    struct key_slot *segment = atomic_load_explicit(&t->segment[s], memory_order_acquire);
    return &segment[number - segment_start(s)];
}

static struct key_index *index_new(size_t words)
{
    struct key_index *x = memory_new(sizeof(*x) + words * sizeof(x->word[0]));
    if (x != NULL) {
        x->words = words;
    }
    return x;
}

/* Puts a word where its hash belongs; there is room. */
static void index_put(struct key_index *x, uint64_t word)
{
    size_t at = word >> 32 & (x->words - 1);
    while (atomic_load_explicit(&x->word[at], memory_order_relaxed) != 0) {
        at = (at + 1) & (x->words - 1);
    }
    atomic_store_explicit(&x->word[at], word, memory_order_release);
}

static uint64_t word_of(struct span id, uint32_t number)
{
    return map_hash(id) << 32 | (number + 1);
}

enum err key_table_open(struct key_table **out)
{
    struct key_table *t = memory_new(sizeof(*t));
    struct key_index *x = index_new(FIRST_WORDS);
    if (t == NULL || x == NULL) {
        memory_free(t);
        memory_free(x);
        return ERR_NO_MEMORY;
    }
    atomic_init(&t->index, x);
    *out = t;
    return ERR_OK;
}

void key_table_tidy(struct key_table *t)
{
    struct key_index *x = atomic_load_explicit(&t->index, memory_order_relaxed);
    for (struct key_index *old = x->older; old != NULL;) {
        struct key_index *older = old->older;
        memory_free(old);
        old = older;
    }
    x->older = NULL;
}

void key_table_close(struct key_table **t)
{
    if (*t == NULL) {
        return;
    }
    key_table_tidy(*t);
    memory_free(atomic_load_explicit(&(*t)->index, memory_order_relaxed));
    for (size_t s = 0; s < (*t)->segments; s++) {
        memory_free(atomic_load_explicit(&(*t)->segment[s], memory_order_relaxed));
    }
    memory_free(*t);
    *t = NULL;
}

static enum err index_grow(struct key_table *t, size_t count)
{
    struct key_index *old = atomic_load_explicit(&t->index, memory_order_relaxed);
    size_t words = old->words;
    while (words / 3 * 2 < count) {
        words *= 2;
    }
    if (words == old->words) {
        return ERR_OK;
    }
    struct key_index *x = index_new(words);
    if (x == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < old->words; i++) {
        uint64_t word = atomic_load_explicit(&old->word[i], memory_order_relaxed);
        if (word != 0) {
            index_put(x, word);
        }
    }
    x->older = old;
    atomic_store_explicit(&t->index, x, memory_order_release);
    return ERR_OK;
}

enum err key_table_reserve(struct key_table *t, size_t count)
{
    while (segment_start(t->segments) < count) {
        if (t->segments == SEGMENTS) {
            return ERR_NO_MEMORY;
        }
        struct key_slot *slots =
            memory_new_array((size_t)FIRST_SEGMENT << t->segments, sizeof(*slots));
        if (slots == NULL) {
            return ERR_NO_MEMORY;
        }
        atomic_store_explicit(&t->segment[t->segments], slots, memory_order_release);
        t->segments++;
    }
    return index_grow(t, count);
}

static int64_t or_never(wall_us at)
{
    return at.us == 0 ? KEY_NEVER_US : at.us;
}

/* Word by word: who looks meanwhile looks again, as the generation is counted up behind it. */
static const struct key_grant *put_terms(struct key_slot *slot, const struct key_terms *terms)
{
    atomic_store_explicit(&slot->scopes, terms->scopes, memory_order_release);
    atomic_store_explicit(&slot->expires_us, or_never(terms->expires), memory_order_release);
    atomic_store_explicit(&slot->team, terms->bonds.team, memory_order_release);
    atomic_store_explicit(&slot->user, terms->bonds.user, memory_order_release);
    atomic_store_explicit(&slot->plan, terms->bonds.plan, memory_order_release);
    return atomic_exchange_explicit(&slot->grant, terms->grant, memory_order_acq_rel);
}

enum err key_table_insert(struct key_table *t, const struct key_facts *key)
{
    struct span id = span_make(key->id, KEY_ID_CHARS);
    uint32_t number;
    if (key_table_find(t, id, &number)) {
        return ERR_EXISTS;
    }
    size_t count = atomic_load_explicit(&t->count, memory_order_relaxed);
    enum err e = key_table_reserve(t, count + 1);
    if (e != ERR_OK) {
        return e;
    }
    struct key_slot *slot = slot_at(t, (uint32_t)count);
    memcpy(slot->id, key->id, sizeof(slot->id));
    memcpy(slot->mac, key->mac, sizeof(slot->mac));
    slot->kind = key->kind;
    slot->pepper = key->pepper;
    atomic_init(&slot->generation, 1);
    atomic_init(&slot->revoked_us, or_never(key->revoked));
    (void)put_terms(slot, &key->terms); /* a new slot has no grant */
    index_put(atomic_load_explicit(&t->index, memory_order_relaxed), word_of(id, (uint32_t)count));
    atomic_store_explicit(&t->count, count + 1, memory_order_release);
    return ERR_OK;
}

enum err key_table_revoke(struct key_table *t, struct span id, wall_us when)
{
    uint32_t number;
    if (!key_table_find(t, id, &number)) {
        return ERR_NOT_FOUND_ROW;
    }
    struct key_slot *slot = slot_at(t, number);
    int64_t never = KEY_NEVER_US;
    if (atomic_compare_exchange_strong(&slot->revoked_us, &never, when.us)) {
        atomic_fetch_add_explicit(&slot->generation, 1, memory_order_release);
        atomic_fetch_add_explicit(&t->revision, 1, memory_order_release);
    }
    return ERR_OK;
}

enum err key_table_change(struct key_table *t, struct span id, const struct key_terms *terms,
                          const struct key_grant **before)
{
    uint32_t number;
    if (!key_table_find(t, id, &number)) {
        return ERR_NOT_FOUND_ROW;
    }
    struct key_slot *slot = slot_at(t, number);
    *before = put_terms(slot, terms);
    atomic_fetch_add_explicit(&slot->generation, 1, memory_order_release);
    atomic_fetch_add_explicit(&t->revision, 1, memory_order_release);
    return ERR_OK;
}

bool key_table_find(const struct key_table *t, struct span id, uint32_t *out)
{
    if (id.len != KEY_ID_CHARS) {
        return false;
    }
    const struct key_index *x = atomic_load_explicit(&t->index, memory_order_acquire);
    uint64_t wanted = word_of(id, 0) >> 32;
    for (size_t at = wanted & (x->words - 1);; at = (at + 1) & (x->words - 1)) {
        uint64_t word = atomic_load_explicit(&x->word[at], memory_order_acquire);
        if (word == 0) {
            return false;
        }
        uint32_t number = (uint32_t)word - 1;
        if (word >> 32 == wanted && memcmp(slot_at(t, number)->id, id.at, KEY_ID_CHARS) == 0) {
            *out = number;
            return true;
        }
    }
}

const struct key_slot *key_table_slot(const struct key_table *t, uint32_t number)
{
    return slot_at(t, number);
}

size_t key_table_count(const struct key_table *t)
{
    return atomic_load_explicit(&t->count, memory_order_acquire);
}

uint64_t key_table_revision(const struct key_table *t)
{
    return atomic_load_explicit(&t->revision, memory_order_acquire);
}

size_t key_table_bytes(const struct key_table *t)
{
    size_t bytes = sizeof(*t) + key_table_count(t) * sizeof(struct key_slot);
    const struct key_index *x = atomic_load_explicit(&t->index, memory_order_acquire);
    for (; x != NULL; x = x->older) {
        bytes += sizeof(*x) + x->words * sizeof(x->word[0]);
    }
    return bytes;
}
