/* SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

#include "base/counter.h"

#define CELLS_EACH (HISTOGRAM_BUCKETS + 1) /* the last holds the sum of the times */

_Static_assert(HISTOGRAM_COUNT *CELLS_EACH <= COUNTER_CELLS, "every histogram has its cells");

static const int64_t bounds[HISTOGRAM_BUCKETS] = {
    100,    500,    1000,   2000,    5000,    10000,   20000,    40000,    80000,
    160000, 320000, 640000, 1280000, 2560000, 5120000, 20480000, 81920000, INT64_MAX};

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

void histogram_add(enum histogram h, int64_t us)
{
    CHECK(h < HISTOGRAM_COUNT);
    unsigned b = 0;
    while (us > bounds[b]) {
        b++;
    }
    counter_cell_add(h * CELLS_EACH + b, 1);
    counter_cell_add(h * CELLS_EACH + HISTOGRAM_BUCKETS, us);
}

void histogram_read(enum histogram h, struct histogram_sum *out)
{
    CHECK(h < HISTOGRAM_COUNT);
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        out->buckets[b] = counter_cell_sum(h * CELLS_EACH + b);
    }
    out->total_us = counter_cell_sum(h * CELLS_EACH + HISTOGRAM_BUCKETS);
}
