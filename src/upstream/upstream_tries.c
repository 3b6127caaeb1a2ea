/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/upstream_tries.h"

/* Where a second is counted; what was counted there ten seconds ago is forgotten. */
static struct upstream_tries_second *second_of(struct upstream_tries *b, mono_us now)
{
    int64_t second = now.us / 1000000 + 1; /* 0 is none */
    struct upstream_tries_second *s = &b->seconds[second % UPSTREAM_TRIES_SECONDS];
    int64_t before = atomic_load_explicit(&s->second, memory_order_relaxed);
    if (before != second && atomic_compare_exchange_strong(&s->second, &before, second)) {
        atomic_store_explicit(&s->calls, 0, memory_order_relaxed);
        atomic_store_explicit(&s->more, 0, memory_order_relaxed);
    }
    return s;
}

void upstream_tries_note_call(struct upstream_tries *b, mono_us now)
{
    (void)atomic_fetch_add_explicit(&second_of(b, now)->calls, 1, memory_order_relaxed);
}

bool upstream_tries_take(struct upstream_tries *b, mono_us now)
{
    struct upstream_tries_second *this = second_of(b, now);
    int64_t oldest = now.us / 1000000 + 1 - UPSTREAM_TRIES_SECONDS;
    uint64_t calls = 0, more = 0;
    for (size_t i = 0; i < UPSTREAM_TRIES_SECONDS; i++) {
        struct upstream_tries_second *s = &b->seconds[i];
        if (atomic_load_explicit(&s->second, memory_order_relaxed) > oldest) {
            calls += atomic_load_explicit(&s->calls, memory_order_relaxed);
            more += atomic_load_explicit(&s->more, memory_order_relaxed);
        }
    }
    uint64_t part = calls * UPSTREAM_TRIES_PERCENT / 100;
    bool may = more < (part > UPSTREAM_TRIES_LEAST ? part : UPSTREAM_TRIES_LEAST);
    if (may) {
        (void)atomic_fetch_add_explicit(&this->more, 1, memory_order_relaxed);
    }
    return may;
}
