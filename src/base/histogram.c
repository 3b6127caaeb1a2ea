/* SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/memory.h"

struct counts {
    _Atomic int64_t buckets[HISTOGRAM_BUCKETS];
    _Atomic int64_t total_us;
};

struct slot {
    struct slot *next;
    struct counts counts[HISTOGRAM_COUNT];
};

static _Atomic(struct slot *) slots; /* linked for ever: a thread that ended still counted */
static _Thread_local struct slot *mine;

static const int64_t bounds[HISTOGRAM_BUCKETS] = {
    100,    500,    1000,    5000,    10000,   20000,    40000,    80000,    160000,
    320000, 640000, 1280000, 2560000, 5120000, 20480000, 81920000, INT64_MAX};

static const struct histogram_row rows[HISTOGRAM_COUNT] = {
#define HISTOGRAM(name, metric, help) [HISTOGRAM_##name] = {metric, help},
#include "base/histogram.def"
#undef HISTOGRAM
};

const struct histogram_row *histogram_row(enum histogram h)
{
    CHECK(h < HISTOGRAM_COUNT);
    return &rows[h];
}

int64_t histogram_bound_us(unsigned b)
{
    CHECK(b < HISTOGRAM_BUCKETS);
    return bounds[b];
}

void histogram_thread_start(void)
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

/* A slot has one writer, so a plain add will do. */
static void add(_Atomic int64_t *count, int64_t n)
{
    int64_t now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + n, memory_order_relaxed);
}

void histogram_add(enum histogram h, int64_t us)
{
    CHECK(h < HISTOGRAM_COUNT);
    if (mine == NULL) {
        return;
    }
    unsigned b = 0;
    while (us > bounds[b]) {
        b++;
    }
    add(&mine->counts[h].buckets[b], 1);
    add(&mine->counts[h].total_us, us);
}

void histogram_read(enum histogram h, struct histogram_sum *out)
{
    CHECK(h < HISTOGRAM_COUNT);
    *out = (struct histogram_sum){0};
    for (struct slot *s = atomic_load(&slots); s != NULL; s = s->next) {
        for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
            out->buckets[b] += atomic_load_explicit(&s->counts[h].buckets[b], memory_order_relaxed);
        }
        out->total_us += atomic_load_explicit(&s->counts[h].total_us, memory_order_relaxed);
    }
}
