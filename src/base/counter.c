/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots are linked for ever: a thread that ended still counted. A slot has one writer, so a relaxed
 * load and store suffice and cost what a plain add costs.
 */
#include "base/counter.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/memory.h"

struct slot {
    struct slot *next;
    _Atomic int64_t counts[COUNTER_COUNT];
    _Atomic int64_t cells[COUNTER_CELLS];
};

static _Atomic(struct slot *) slots;
static _Thread_local struct slot *mine;

static const struct counter_row rows[COUNTER_COUNT] = {
#define COUNTER(name, metric, labels, help) [COUNT_##name] = {metric, labels, help, false},
#define GAUGE(name, metric, labels, help)   [COUNT_##name] = {metric, labels, help, true},
#include "base/counter.def"
#undef COUNTER
#undef GAUGE
};

const struct counter_row *counter_row(enum counter c)
{
    CHECK(c < COUNTER_COUNT);
    return &rows[c];
}

void counter_thread_start(void)
{
    if (mine != NULL) {
        return;
    }
    mine = memory_new(sizeof(*mine));
    if (mine == NULL) {
        return; /* a thread that cannot count still works */
    }
    mine->next = atomic_load(&slots);
    while (!atomic_compare_exchange_weak(&slots, &mine->next, mine)) {
    }
}

static void add(_Atomic int64_t *count, int64_t n)
{
    int64_t now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + n, memory_order_relaxed);
}

void counter_add(enum counter c, int64_t n)
{
    CHECK(c < COUNTER_COUNT);
    if (mine != NULL) {
        add(&mine->counts[c], n);
    }
}

int64_t counter_sum(enum counter c)
{
    CHECK(c < COUNTER_COUNT);
    int64_t sum = 0;
    for (struct slot *s = atomic_load(&slots); s != NULL; s = s->next) {
        sum += atomic_load_explicit(&s->counts[c], memory_order_relaxed);
    }
    return sum;
}

void counter_cell_add(unsigned cell, int64_t n)
{
    CHECK(cell < COUNTER_CELLS);
    if (mine != NULL) {
        add(&mine->cells[cell], n);
    }
}

int64_t counter_cell_sum(unsigned cell)
{
    CHECK(cell < COUNTER_CELLS);
    int64_t sum = 0;
    for (struct slot *s = atomic_load(&slots); s != NULL; s = s->next) {
        sum += atomic_load_explicit(&s->cells[cell], memory_order_relaxed);
    }
    return sum;
}
