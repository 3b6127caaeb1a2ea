/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counter.h — what is counted, one slot a thread, summed when read.
 *
 * Counting is here so that every part may count; *exporting* is telemetry's. A row of counter.def
 * is a metric: COUNTER only grows, GAUGE goes up and down. Rows with one metric name and different
 * labels are one Prometheus family and stand next to each other.
 *
 * Ownership  a thread that counts calls counter_thread_start() once; its slot lives for ever.
 * Threads    each thread writes its own slot without a lock; counter_sum() may run anywhere.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdint.h>

#include "base/err.h"

enum counter {
#define COUNTER(name, metric, labels, help) COUNT_##name,
#define GAUGE(name, metric, labels, help)   COUNT_##name,
#include "base/counter.def"
#undef COUNTER
#undef GAUGE
    COUNTER_COUNT
};

struct counter_row {
    const char *metric; /* Prometheus name, such as "atlas_connections_total" */
    const char *labels; /* such as "listener=\"public\"", or "" */
    const char *help;
    bool is_gauge;
};

const struct counter_row *counter_row(enum counter c);

/* Gives the calling thread a slot. Before it, and without memory for it, counting does nothing. */
void counter_thread_start(void);

/* Adds `n` (which may be negative for a gauge) to the calling thread's slot. */
void counter_add(enum counter c, int64_t n);

/* The sum over all threads. */
int64_t counter_sum(enum counter c);

/* Cells of the slots for histogram.h, which counts in them. */
#define COUNTER_CELLS 80
void counter_cell_add(unsigned cell, int64_t n);
int64_t counter_cell_sum(unsigned cell);

#endif
