/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry is a source and its rate, two words, so they cannot be changed as one. What keeps them
 * together:
 *
 *   1. An entry gets another source only by one who holds the set's lock, and only after a
 *      compare-and-swap of its rate from a value that is whole to CLOSED. What was charged before
 *      it makes that fail; what comes behind it is refused, and asks again.
 *   2. The rate opens (release) after the source was written. Who charged an entry reads the rate
 *      once more (acquire: its own charge goes on with what was released) and then the source: if
 *      that is another's, it was the other's that was charged, which costs it one, and nothing was
 *      let through for it.
 *
 * So what was charged to a source and let through is in the source's own entry, of which there is
 * one: they are made under the lock.
 */
#include "limits/limits_sources.h"

#include <sched.h>

#include "base/map.h"
#include "base/memory.h"

#define CLOSED        (INT64_MAX / 2) /* no time to come; sums with it stay below 2^63 */
#define LOCKS         64              /* for all sets */
#define SPINS         1000
#define SHARED        LIMITS_SOURCES_WAYS
#define TICKS_A_US    1024                     /* as in limits_rate.c */
#define MAPPED_PREFIX UINT64_C(0xffff00000000) /* an IPv4 address, where no IPv6 client is */

struct entry {
    _Atomic uint64_t source; /* 0: nobody's yet */
    struct limits_rate rate;
};

struct set {
    struct entry entries[LIMITS_SOURCES_WAYS + 1]; /* the last is all others' */
};

struct limits_sources {
    size_t count; /* of sets */
    struct set *sets;
    atomic_flag locks[LOCKS];
};

enum err limits_sources_open(size_t sets, struct limits_sources **out)
{
    CHECK(sets > 0 && (sets & (sets - 1)) == 0);
    struct limits_sources *s = memory_new(sizeof(*s));
    if (s == NULL) {
        return ERR_NO_MEMORY;
    }
    s->count = sets;
    s->sets = memory_new_array(sets, sizeof(*s->sets));
    for (size_t i = 0; i < LOCKS; i++) {
        atomic_flag_clear(&s->locks[i]);
    }
    if (s->sets == NULL) {
        limits_sources_close(&s);
        return ERR_NO_MEMORY;
    }
    *out = s;
    return ERR_OK;
}

void limits_sources_close(struct limits_sources **sources)
{
    struct limits_sources *s = *sources;
    if (s != NULL) {
        *sources = NULL;
        memory_free(s->sets);
        memory_free(s);
    }
}

static uint64_t read_big_endian(const uint8_t *at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

uint64_t limits_source_of(const uint8_t address[16])
{
    uint64_t first = read_big_endian(address, 8);
    bool is_mapped = first == 0 && read_big_endian(address + 8, 4) == 0xffff;
    uint64_t source = is_mapped ? MAPPED_PREFIX | read_big_endian(address + 12, 4) : first;
    return source == 0 ? 1 : source;
}

static void lock(atomic_flag *flag)
{
    for (unsigned spins = 0; atomic_flag_test_and_set_explicit(flag, memory_order_acquire);) {
        if (++spins % SPINS == 0) {
            (void)sched_yield(); /* who holds it lost its core */
        }
    }
}

static struct entry *find(struct set *set, uint64_t source)
{
    for (size_t i = 0; i < LIMITS_SOURCES_WAYS; i++) {
        if (atomic_load_explicit(&set->entries[i].source, memory_order_acquire) == source) {
            return &set->entries[i];
        }
    }
    return NULL;
}

/* Closes the entry that has been whole for longest; NULL: none is. Under the lock. */
static struct entry *close_one(struct set *set, mono_us now)
{
    for (unsigned tries = 0; tries < LIMITS_SOURCES_WAYS; tries++) {
        struct entry *oldest = NULL;
        int64_t least = now.us * TICKS_A_US + 1;
        for (size_t i = 0; i < LIMITS_SOURCES_WAYS; i++) {
            int64_t back_at =
                atomic_load_explicit(&set->entries[i].rate.back_at, memory_order_relaxed);
            if (back_at < least) {
                least = back_at;
                oldest = &set->entries[i];
            }
        }
        if (oldest == NULL ||
            atomic_compare_exchange_strong_explicit(&oldest->rate.back_at, &least, CLOSED,
                                                    memory_order_acq_rel, memory_order_relaxed)) {
            return oldest;
        }
    }
    return NULL; /* they are in use, one after the other */
}

/* The source's entry, which is made if there is none; NULL: all are taken. */
static struct entry *make(struct limits_sources *s, size_t number, uint64_t source, mono_us now)
{
    struct set *set = &s->sets[number];
    atomic_flag *flag = &s->locks[number % LOCKS];
    lock(flag);
    struct entry *e = find(set, source);
    if (e == NULL && (e = close_one(set, now)) != NULL) {
        atomic_store_explicit(&e->source, source, memory_order_release);
        atomic_store_explicit(&e->rate.back_at, 0, memory_order_release);
    }
    atomic_flag_clear_explicit(flag, memory_order_release);
    return e;
}

/* Whether the entry was the source's own when it was asked. */
static bool was_own(const struct entry *e, uint64_t source, bool taken)
{
    int64_t back_at = atomic_load_explicit(&e->rate.back_at, memory_order_acquire); /* rule 2 */
    return atomic_load_explicit(&e->source, memory_order_relaxed) == source &&
           (taken || back_at != CLOSED);
}

bool limits_sources_take(struct limits_sources *s, uint64_t source, struct limits_pace pace,
                         mono_us now, struct limits_standing *out)
{
    uint64_t hash = map_hash(span_make(&source, sizeof(source)));
    size_t number = hash & (s->count - 1);
    struct set *set = &s->sets[number];
    CHECK(source != 0);
    for (;; (void)sched_yield()) { /* each further time the entry is on its way to another source */
        struct entry *e = find(set, source);
        e = e == NULL ? make(s, number, source, now) : e;
        if (e == NULL) {
            return limits_rate_take(&set->entries[SHARED].rate, pace, 1, now, out);
        }
        bool taken = limits_rate_take(&e->rate, pace, 1, now, out);
        if (was_own(e, source, taken)) {
            return taken;
        }
    }
}
