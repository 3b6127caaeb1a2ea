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

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends every row of counter.def, and what is known of the process itself. */
void prometheus_write(struct buf *out);

#endif
