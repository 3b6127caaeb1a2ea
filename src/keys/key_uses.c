/* SPDX-License-Identifier: Apache-2.0 */
/* Places lie in segments as a table's slots do (key_table.c), but each as long as the one before:
 * so a bit's word is found by a division. */
#include "keys/key_uses.h"

#include <stdatomic.h>

#include "base/check.h"
#include "base/memory.h"

#define PLACES   65536U /* of a segment */
#define SEGMENTS 4096
#define WORDS    (PLACES / 64)
#define LOOKS    64 /* at a place that is being written */

/* Of `when`: a second and these. */
#define BY_PREVIOUS 1U
#define HAS_ADDRESS 2U
#define FLAG_BITS   2

struct place {
    _Atomic uint64_t count; /* odd: it is being written */
    _Atomic uint64_t when;
    _Atomic uint64_t address[2];
};

struct segment {
    _Atomic uint64_t fresh[WORDS]; /* a bit a place: it was used since it was taken */
    struct place place[PLACES];
};

struct key_uses {
    size_t segments;     /* that there are */
    size_t next_word;    /* where the next take begins */
    _Atomic bool is_any; /* to take */
    _Atomic(struct segment *) segment[SEGMENTS];
};

enum err key_uses_open(struct key_uses **out)
{
    *out = memory_new(sizeof(**out));
    return *out == NULL ? ERR_NO_MEMORY : ERR_OK;
}

void key_uses_close(struct key_uses **u)
{
    if (*u == NULL) {
        return;
    }
    for (size_t i = 0; i < (*u)->segments; i++) {
        memory_free(atomic_load_explicit(&(*u)->segment[i], memory_order_relaxed));
    }
    memory_free(*u);
    *u = NULL;
}

enum err key_uses_reserve(struct key_uses *u, size_t count)
{
    while (u->segments * PLACES < count) {
        struct segment *made = u->segments == SEGMENTS ? NULL : memory_new(sizeof(*made));
        if (made == NULL) {
            return ERR_NO_MEMORY;
        }
        atomic_store_explicit(&u->segment[u->segments], made, memory_order_release);
        u->segments++;
    }
    return ERR_OK;
}

static struct segment *segment_of(const struct key_uses *u, uint32_t number)
{
    struct segment *s = atomic_load_explicit(&u->segment[number / PLACES], memory_order_acquire);
    CHECK(s != NULL);
    return s;
}

static uint64_t word_of(const struct key_last_use *use)
{
    return (uint64_t)(use->at.us / 1000000) << FLAG_BITS | (use->by_previous ? BY_PREVIOUS : 0) |
           (use->has_address ? HAS_ADDRESS : 0);
}

/* Writes a place, unless somebody else does: whether it was written. */
static bool write_place(struct place *p, uint64_t when, const struct net_ip *address)
{
    uint64_t half[2];
    uint64_t count = atomic_load_explicit(&p->count, memory_order_relaxed);
    if (count % 2 != 0 ||
        !atomic_compare_exchange_strong_explicit(&p->count, &count, count + 1, memory_order_acq_rel,
                                                 memory_order_relaxed)) {
        return false;
    }
    memcpy(half, address->bytes, sizeof(half));
    atomic_store_explicit(&p->address[0], half[0], memory_order_release);
    atomic_store_explicit(&p->address[1], half[1], memory_order_release);
    atomic_store_explicit(&p->when, when, memory_order_release);
    atomic_store_explicit(&p->count, count + 2, memory_order_release);
    return true;
}

void key_uses_give_back(struct key_uses *u, uint32_t number)
{
    struct segment *s = segment_of(u, number);
    uint32_t at = number % PLACES;
    atomic_fetch_or_explicit(&s->fresh[at / 64], (uint64_t)1 << at % 64, memory_order_release);
    atomic_store_explicit(&u->is_any, true, memory_order_release);
}

void key_uses_note(struct key_uses *u, uint32_t number, const struct key_last_use *use)
{
    struct place *p = &segment_of(u, number)->place[number % PLACES];
    uint64_t when = word_of(use);
    uint64_t before = atomic_load_explicit(&p->when, memory_order_relaxed);
    if (LIKELY(before >> FLAG_BITS == when >> FLAG_BITS && ((before ^ when) & BY_PREVIOUS) == 0)) {
        return; /* it has this second already, and this secret */
    }
    if (write_place(p, when, &use->address)) {
        key_uses_give_back(u, number);
    }
}

bool key_uses_read(const struct key_uses *u, uint32_t number, struct key_last_use *out)
{
    const struct place *p = &segment_of(u, number)->place[number % PLACES];
    for (int look = 0; look < LOOKS; look++) {
        uint64_t count = atomic_load_explicit(&p->count, memory_order_acquire);
        uint64_t half[2] = {atomic_load_explicit(&p->address[0], memory_order_acquire),
                            atomic_load_explicit(&p->address[1], memory_order_acquire)};
        uint64_t when = atomic_load_explicit(&p->when, memory_order_acquire);
        if (count % 2 != 0 || atomic_load_explicit(&p->count, memory_order_acquire) != count) {
            continue;
        }
        *out = (struct key_last_use){.at = {(int64_t)(when >> FLAG_BITS) * 1000000},
                                     .has_address = (when & HAS_ADDRESS) != 0,
                                     .by_previous = (when & BY_PREVIOUS) != 0};
        memcpy(out->address.bytes, half, sizeof(half));
        return when != 0;
    }
    return false; /* whoever writes it was stopped in the middle */
}

void key_uses_put(struct key_uses *u, uint32_t number, const struct key_last_use *use)
{
    (void)write_place(&segment_of(u, number)->place[number % PLACES], word_of(use), &use->address);
}

void key_uses_forget(struct key_uses *u, uint32_t number)
{
    uint32_t at = number % PLACES;
    atomic_fetch_and_explicit(&segment_of(u, number)->fresh[at / 64], ~((uint64_t)1 << at % 64),
                              memory_order_acq_rel);
}

bool key_uses_are_new(const struct key_uses *u)
{
    return atomic_load_explicit(&u->is_any, memory_order_acquire);
}

/* Takes bits of one word: all that there is room for; the others stay. */
static size_t take_word(struct key_uses *u, size_t word, uint32_t *numbers, size_t most)
{
    struct segment *s = segment_of(u, (uint32_t)(word * 64));
    _Atomic uint64_t *fresh = &s->fresh[word % WORDS];
    uint64_t there = atomic_load_explicit(fresh, memory_order_relaxed);
    uint64_t taken = 0;
    size_t count = 0;
    for (; there != 0 && count < most; there &= there - 1) {
        unsigned bit = (unsigned)__builtin_ctzll(there);
        numbers[count++] = (uint32_t)(word * 64 + bit);
        taken |= (uint64_t)1 << bit;
    }
    if (taken != 0) { /* before the place is read: what is noted from now on sets it anew */
        (void)atomic_fetch_and_explicit(fresh, ~taken, memory_order_acq_rel);
    }
    return count;
}

size_t key_uses_take(struct key_uses *u, uint32_t *numbers, size_t most)
{
    size_t words = u->segments * WORDS;
    size_t count = 0;
    size_t looked = 0;
    atomic_store_explicit(&u->is_any, false, memory_order_release);
    for (; looked < words && count < most; looked++) {
        u->next_word = u->next_word < words ? u->next_word : 0;
        count += take_word(u, u->next_word, numbers + count, most - count);
        u->next_word += count < most;
    }
    if (count == most) { /* there may be more */
        atomic_store_explicit(&u->is_any, true, memory_order_release);
    }
    return count;
}
