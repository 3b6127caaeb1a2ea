/* SPDX-License-Identifier: Apache-2.0 */
/* A word is a hash whose last bits gave way to a tag. Which word it is, its first bits say; 0: it
 * was never written, for no tag is 0. */
#include "policy/policy_prefixes.h"

#include <stdatomic.h>

#include "base/map.h"
#include "base/memory.h"

#define TAG_BITS    UINT64_C(0xFFFF)
#define INDEX_SHIFT (64 - __builtin_ctz(POLICY_PREFIXES))

struct policy_prefixes {
    _Atomic int refs;
    _Atomic uint64_t words[POLICY_PREFIXES];
};

enum err policy_prefixes_open(struct policy_prefixes **out)
{
    struct policy_prefixes *p = memory_new(sizeof(*p));
    if (p == NULL) {
        return ERR_NO_MEMORY;
    }
    atomic_store(&p->refs, 1);
    *out = p;
    return ERR_OK;
}

struct policy_prefixes *policy_prefixes_ref(struct policy_prefixes *p)
{
    if (p != NULL) {
        (void)atomic_fetch_add(&p->refs, 1); /* the old count is of no use */
    }
    return p;
}

void policy_prefixes_unref(struct policy_prefixes **prefixes)
{
    struct policy_prefixes *p = *prefixes;
    *prefixes = NULL;
    if (p != NULL && atomic_fetch_sub(&p->refs, 1) == 1) {
        memory_free(p);
    }
}

uint16_t policy_prefixes_tag(struct span upstream)
{
    uint16_t tag = (uint16_t)(map_hash(upstream) >> 32);
    return tag != 0 ? tag : 1;
}

void policy_prefixes_note(struct policy_prefixes *p, uint64_t hash, uint16_t tag)
{
    _Atomic uint64_t *word = &p->words[hash >> INDEX_SHIFT];
    uint64_t noted = (hash & ~TAG_BITS) | tag;
    if (atomic_load_explicit(word, memory_order_relaxed) != noted) { /* most are, and are read */
        atomic_store_explicit(word, noted, memory_order_relaxed);
    }
}

uint16_t policy_prefixes_find(const struct policy_prefixes *p, uint64_t hash)
{
    uint64_t noted = atomic_load_explicit(&p->words[hash >> INDEX_SHIFT], memory_order_relaxed);
    return ((noted ^ hash) & ~TAG_BITS) == 0 ? (uint16_t)(noted & TAG_BITS) : 0;
}
