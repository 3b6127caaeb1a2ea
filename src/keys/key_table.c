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
 *
 * A digest's word stays when the key has another secret: who finds the slot by it looks whether it
 * is one of the key's secrets still.
 */
#include "keys/key_table.h"

#include "base/map.h"
#include "base/memory.h"
#include "crypto/random.h"

#define FIRST_SEGMENT 1024U
#define SEGMENTS      21 /* 2^31 slots and 1,024 fewer */
#define FIRST_WORDS   64

struct key_index {
    struct key_index *older; /* the halves it replaced */
    size_t words;            /* a power of two */
    _Atomic uint64_t word[];
};

struct key_table {
    _Atomic(struct key_index *) index, digests;
    _Atomic(struct key_slot *) segment[SEGMENTS];
    size_t segments;
    _Atomic size_t count, digest_count;
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
    struct key_index *digests = index_new(FIRST_WORDS);
    if (t == NULL || x == NULL || digests == NULL) {
        memory_free(t);
        memory_free(x);
        memory_free(digests);
        return ERR_NO_MEMORY;
    }
    atomic_init(&t->index, x);
    atomic_init(&t->digests, digests);
    *out = t;
    return ERR_OK;
}

static void free_older(struct key_index *x)
{
    for (struct key_index *old = x->older; old != NULL;) {
        struct key_index *older = old->older;
        memory_free(old);
        old = older;
    }
    x->older = NULL;
}

void key_table_tidy(struct key_table *t)
{
    free_older(atomic_load_explicit(&t->index, memory_order_relaxed));
    free_older(atomic_load_explicit(&t->digests, memory_order_relaxed));
}

void key_table_close(struct key_table **table)
{
    struct key_table *t = *table;
    if (t == NULL) {
        return;
    }
    key_table_tidy(t);
    memory_free(atomic_load_explicit(&t->index, memory_order_relaxed));
    memory_free(atomic_load_explicit(&t->digests, memory_order_relaxed));
    for (size_t n = 0; n < t->count; n++) {
        memory_free(atomic_load_explicit(&slot_at(t, (uint32_t)n)->secrets, memory_order_relaxed));
    }
    for (size_t s = 0; s < t->segments; s++) {
        memory_free(atomic_load_explicit(&t->segment[s], memory_order_relaxed));
    }
    memory_free(t);
    *table = NULL;
}

static enum err index_grow(_Atomic(struct key_index *) *index, size_t count)
{
    struct key_index *old = atomic_load_explicit(index, memory_order_relaxed);
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
    atomic_store_explicit(index, x, memory_order_release);
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
    return index_grow(&t->index, count);
}

enum err key_table_reserve_digests(struct key_table *t, size_t count)
{
    size_t there = atomic_load_explicit(&t->digest_count, memory_order_relaxed);
    return index_grow(&t->digests, there + count);
}

static int64_t or_never(wall_us at)
{
    return at.us == 0 ? KEY_NEVER_US : at.us;
}

static uint32_t seconds_of(wall_us at)
{
    int64_t s = at.us / 1000000;
    return s <= 0 ? 0 : s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

/* Word by word: who looks meanwhile looks again, as the generation is counted up behind it. */
static const struct key_grant *put_terms(struct key_slot *slot, const struct key_terms *terms)
{
    atomic_store_explicit(&slot->scopes, terms->scopes, memory_order_release);
    atomic_store_explicit(&slot->expires_us, or_never(terms->expires), memory_order_release);
    atomic_store_explicit(&slot->due_s, seconds_of(terms->due), memory_order_release);
    atomic_store_explicit(&slot->team, terms->bonds.team, memory_order_release);
    atomic_store_explicit(&slot->user, terms->bonds.user, memory_order_release);
    atomic_store_explicit(&slot->plan, terms->bonds.plan, memory_order_release);
    return atomic_exchange_explicit(&slot->grant, terms->grant, memory_order_acq_rel);
}

static struct span digest_of(const struct key_proof *proof)
{
    return span_make(proof->mac, sizeof(proof->mac));
}

/* There is room. */
static void put_digest(struct key_table *t, const struct key_proof *proof, uint32_t number)
{
    if (proof->pepper == KEY_PEPPER_NONE) {
        index_put(atomic_load_explicit(&t->digests, memory_order_relaxed),
                  word_of(digest_of(proof), number));
        atomic_fetch_add_explicit(&t->digest_count, 1, memory_order_release);
    }
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
    e = e == ERR_OK ? key_table_reserve_digests(t, 1) : e;
    if (e != ERR_OK) {
        return e;
    }
    struct key_slot *slot = slot_at(t, (uint32_t)count);
    memcpy(slot->id, key->id, sizeof(slot->id));
    slot->kind = key->kind;
    slot->proof = key->proof;
    atomic_init(&slot->generation, 1);
    atomic_init(&slot->revoked_us, or_never(key->revoked));
    atomic_init(&slot->secrets, key->secrets);
    (void)put_terms(slot, &key->terms); /* a new slot has no grant */
    if (key->secrets == NULL) {
        put_digest(t, &key->proof, (uint32_t)count);
    } else { /* what has a secret by now has none that was taken over, but for the one before */
        put_digest(t, &key->secrets->before, (uint32_t)count);
    }
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

enum err key_table_rotate(struct key_table *t, struct span id, struct key_secrets *secrets,
                          struct key_secrets **before)
{
    uint32_t number;
    if (!key_table_find(t, id, &number)) {
        return ERR_NOT_FOUND_ROW;
    }
    struct key_slot *slot = slot_at(t, number);
    *before = atomic_exchange_explicit(&slot->secrets, secrets, memory_order_acq_rel);
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

static bool is_digest(const struct key_proof *proof, const uint8_t digest[CRYPTO_SHA256_BYTES])
{
    return proof->pepper == KEY_PEPPER_NONE &&
           crypto_equal(proof->mac, digest, CRYPTO_SHA256_BYTES);
}

static bool has_digest(const struct key_slot *slot, const uint8_t digest[CRYPTO_SHA256_BYTES],
                       uint32_t *secret)
{
    const struct key_secrets *s = atomic_load_explicit(&slot->secrets, memory_order_acquire);
    *secret = s == NULL ? 0 : s->number;
    if (atomic_load_explicit(&slot->is_gone, memory_order_acquire)) {
        return false;
    }
    if (is_digest(s == NULL ? &slot->proof : &s->now, digest)) {
        return true;
    }
    if (s == NULL || !is_digest(&s->before, digest)) {
        return false;
    }
    *secret = s->number - 1;
    return true;
}

bool key_table_find_digest(const struct key_table *t, const uint8_t digest[CRYPTO_SHA256_BYTES],
                           uint32_t *out, uint32_t *secret)
{
    const struct key_index *x = atomic_load_explicit(&t->digests, memory_order_acquire);
    uint64_t wanted = word_of(span_make(digest, CRYPTO_SHA256_BYTES), 0) >> 32;
    for (size_t at = wanted & (x->words - 1);; at = (at + 1) & (x->words - 1)) {
        uint64_t word = atomic_load_explicit(&x->word[at], memory_order_acquire);
        if (word == 0) {
            return false;
        }
        uint32_t number = (uint32_t)word - 1;
        if (word >> 32 == wanted && has_digest(slot_at(t, number), digest, secret)) {
            *out = number;
            return true;
        }
    }
}

void key_table_forget(struct key_table *t, struct span id)
{
    uint32_t number;
    if (key_table_find(t, id, &number)) {
        atomic_store_explicit(&slot_at(t, number)->is_gone, true, memory_order_release);
    }
}

bool key_table_has_digests(const struct key_table *t)
{
    return atomic_load_explicit(&t->digest_count, memory_order_acquire) > 0;
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

static size_t index_bytes(const struct key_index *x)
{
    size_t bytes = 0;
    for (; x != NULL; x = x->older) {
        bytes += sizeof(*x) + x->words * sizeof(x->word[0]);
    }
    return bytes;
}

size_t key_table_bytes(const struct key_table *t)
{
    return sizeof(*t) + key_table_count(t) * sizeof(struct key_slot) +
           index_bytes(atomic_load_explicit(&t->index, memory_order_acquire)) +
           index_bytes(atomic_load_explicit(&t->digests, memory_order_acquire));
}
