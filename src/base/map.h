/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h — a hash map from bytes to pointers.
 *
 * Open addressing, keyed by SipHash-like mixing with a seed drawn once a process, so that names
 * chosen by a stranger cannot be made to collide on purpose.
 *
 * Ownership  keys are borrowed: they must live as long as the map. Values are the caller's.
 * Threads    many readers, or one writer.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/err.h"
#include "base/span.h"

struct map_slot {
    struct span key; /* .at == NULL: free */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_slot *slots;
    size_t count, cap; /* cap is 0 or a power of two */
};

void map_init(struct map *m);
void map_fini(struct map *m);

/* Adds `key` or replaces its value. ERR_NO_MEMORY leaves the map as it was. */
MUST_USE enum err map_put_borrow(struct map *m, struct span key, void *value);

/* Takes `key` out; nothing if it is not there. */
void map_take(struct map *m, struct span key);

/* The value of `key`, or NULL. */
void *map_find(const struct map *m, struct span key);

/* The same with a hash that the caller has made, always in the same way, of keys that no stranger
 * chooses. */
MUST_USE enum err map_put_hashed_borrow(struct map *m, struct span key, uint64_t hash, void *value);
void *map_find_hashed(const struct map *m, struct span key, uint64_t hash);

/* A hash of `s` that differs from run to run. */
uint64_t map_hash(struct span s);

#endif
