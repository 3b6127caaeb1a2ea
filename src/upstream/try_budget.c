/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/try_budget.h"

/* Where a second is counted; what was counted there ten seconds ago is forgotten. */
static struct try_second *second_of(struct try_budget *b, mono_us now)
{
    int64_t second = now.us / 1000000 + 1; /* 0 is none */
    struct try_second *s = &b->seconds[second % TRY_BUDGET_SECONDS];
    int64_t before = atomic_load_explicit(&s->second, memory_order_relaxed);
    if (before != second && atomic_compare_exchange_strong(&s->second, &before, second)) {
        atomic_store_explicit(&s->calls, 0, memory_order_relaxed);
        atomic_store_explicit(&s->more, 0, memory_order_relaxed);
    }
    return s;
}

void try_budget_note_call(struct try_budget *b, mono_us now)
{
    (void)atomic_fetch_add_explicit(&second_of(b, now)->calls, 1, memory_order_relaxed);
}

bool try_budget_take(struct try_budget *b, mono_us now)
{
    struct try_second *this = second_of(b, now);
    int64_t oldest = now.us / 1000000 + 1 - TRY_BUDGET_SECONDS;
    uint64_t calls = 0, more = 0;
    for (size_t i = 0; i < TRY_BUDGET_SECONDS; i++) {
        struct try_second *s = &b->seconds[i];
        if (atomic_load_explicit(&s->second, memory_order_relaxed) > oldest) {
            calls += atomic_load_explicit(&s->calls, memory_order_relaxed);
            more += atomic_load_explicit(&s->more, memory_order_relaxed);
        }
    }
    uint64_t part = calls * TRY_BUDGET_PERCENT / 100;
    bool may = more < (part > TRY_BUDGET_LEAST ? part : TRY_BUDGET_LEAST);
    if (may) {
        (void)atomic_fetch_add_explicit(&this->more, 1, memory_order_relaxed);
    }
    return may;
}
