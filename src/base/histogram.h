/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.h — how long things took: counts by bucket, one slot a thread, summed when read.
 *
 * The rows are histogram.def. All have the same buckets, from 100 µs to 82 s, so one sum over
 * models or endpoints means something.
 *
 * Ownership  counts are in the slots of counter.h: a thread calls counter_thread_start() once.
 * Threads    each thread writes its own slot without a lock; histogram_read() may run anywhere.
 * Sources    bucket bounds: OpenTelemetry GenAI semantic conventions
 * (gen_ai.server.request.duration and gen_ai.server.time_to_first_token), joined.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

#include "base/check.h"

enum histogram {
#define HISTOGRAM(name, metric, help) HISTOGRAM_##name,
#include "base/histogram.def"
#undef HISTOGRAM
    HISTOGRAM_COUNT
};

#define HISTOGRAM_BUCKETS 18 /* the last has no upper bound */

struct histogram_row {
    const char *metric, *help;
};

struct histogram_sum {
    int64_t buckets[HISTOGRAM_BUCKETS]; /* each alone, not cumulated */
    int64_t total_us;
};

const struct histogram_row *histogram_row(enum histogram h);

/* The upper bound of bucket `b` in microseconds; INT64_MAX for the last. */
int64_t histogram_bound_us(unsigned b);

/* Counts one that took `us`. */
void histogram_add(enum histogram h, int64_t us);

/* The sum over all threads. */
void histogram_read(enum histogram h, struct histogram_sum *out);

#endif
