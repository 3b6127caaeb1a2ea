/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_series.h — calls, tokens and durations by model and upstream, for /metrics.
 *
 * A series is a model and its upstream as the configuration names them: a pattern is one model,
 * whatever names its callers invent, so who calls cannot make series. Calls that found no model
 * are "(none)"; models beyond the bound share "(other)". A series stays when a reload drops its
 * model, for a counter must not go back.
 *
 * Ownership  names are copied; counts live for ever.
 * Limits     CALL_SERIES_MAX series, 208 bytes each a thread that counts.
 * Threads    each thread counts in its own slot without a lock; find takes one; write may run
 *            anywhere, and sums.
 * Sources    Prometheus text exposition format 0.0.4.
 */
#ifndef TELEMETRY_CALL_SERIES_H
#define TELEMETRY_CALL_SERIES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define CALL_SERIES_MAX   256
#define CALL_SERIES_NONE  0u
#define CALL_SERIES_OTHER 1u

/* How a call ended, as its client saw it. */
enum call_class {
    CALL_CLASS_2XX,
    CALL_CLASS_4XX,
    CALL_CLASS_5XX,
    CALL_CLASS_CUT,  /* after a head that said 200 */
    CALL_CLASS_GONE, /* the client left */
    CALL_CLASS_COUNT
};

struct call_series_facts {
    enum call_class class;
    int64_t duration_us; /* less than 0: not to be counted */
};

/* The series of a model and its upstream; CALL_SERIES_OTHER when there are too many, or no memory.
 */
uint32_t call_series_find(struct span model, const char *upstream);

/* Gives the calling thread a slot. Before it, and without memory for it, counting does nothing. */
void call_series_thread_start(void);

void call_series_count(uint32_t series, const struct call_series_facts *facts);

/* Tokens that one of its records accounts for: a call's completion, or the end of a try that lost.
 */
void call_series_add_tokens(uint32_t series, int64_t in, int64_t out);

/* Appends the families to a page of metrics. */
void call_series_write(struct buf *out);

#endif
