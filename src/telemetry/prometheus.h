/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prometheus.h — the counters as Prometheus reads them.
 *
 * Threads  any; counters are summed as they are read.
 * Sources  Prometheus text exposition format 0.0.4.
 */
#ifndef TELEMETRY_PROMETHEUS_H
#define TELEMETRY_PROMETHEUS_H

#include "base/buf.h"
#include "base/span.h"

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends every row of counter.def and histogram.def, what is counted by model, what is wrong, and
 * what is known of the process itself. */
void prometheus_write(struct buf *out);

/* Begins the family of a row of prometheus.def. */
void prometheus_family(struct buf *out, const char *metric);

/* A label, its value escaped: `name="value"`. */
void prometheus_label(struct buf *out, const char *name, struct span value);

/* A sample of such a family that has one label. */
void prometheus_sample(struct buf *out, const char *metric, const char *label, const char *value,
                       int64_t number);

#endif
