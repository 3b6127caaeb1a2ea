/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/prometheus.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/counter.h"
#include "base/histogram.h"
#include "base/memory.h"

static void put_head(struct buf *out, const char *metric, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

static void put_value(struct buf *out, const char *metric, const char *labels, int64_t value)
{
    if (labels[0] == '\0') {
        buf_printf(out, "%s %" PRId64 "\n", metric, value);
    } else {
        buf_printf(out, "%s{%s} %" PRId64 "\n", metric, labels, value);
    }
}

static void put_metric(struct buf *out, const char *metric, const char *type, const char *help,
                       const char *labels, int64_t value)
{
    put_head(out, metric, type, help);
    put_value(out, metric, labels, value);
}

/* Resident memory in bytes; 0 where /proc cannot be read. */
static int64_t resident_bytes(void)
{
    long long whole = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL) {
        return 0;
    }
    char line[128];
    /* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
    if (fgets(line, sizeof(line), f) == NULL || sscanf(line, "%lld %lld", &whole, &resident) != 2) {
        resident = 0;
    }
    (void)fclose(f); /* read only */
    return resident * sysconf(_SC_PAGESIZE);
}

/* Buckets are cumulated here: Prometheus counts what is at most each bound. */
static void put_histogram(struct buf *out, enum histogram h)
{
    const struct histogram_row *row = histogram_row(h);
    struct histogram_sum sum;
    int64_t so_far = 0;
    histogram_read(h, &sum);
    put_head(out, row->metric, "histogram", row->help);
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        so_far += sum.buckets[b];
        if (b + 1 < HISTOGRAM_BUCKETS) {
            buf_printf(out, "%s_bucket{le=\"%g\"} %" PRId64 "\n", row->metric,
                       (double)histogram_bound_us(b) / 1e6, so_far);
        }
    }
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRId64 "\n%s_sum %.6f\n%s_count %" PRId64 "\n",
               row->metric, so_far, row->metric, (double)sum.total_us / 1e6, row->metric, so_far);
}

void prometheus_write(struct buf *out)
{
    const char *family = "";
    for (enum counter c = 0; c < COUNTER_COUNT; c++) {
        const struct counter_row *row = counter_row(c);
        if (strcmp(family, row->metric) != 0) {
            put_head(out, row->metric, row->is_gauge ? "gauge" : "counter", row->help);
            family = row->metric;
        }
        put_value(out, row->metric, row->labels, counter_sum(c));
    }
    for (enum histogram h = 0; h < HISTOGRAM_COUNT; h++) {
        put_histogram(out, h);
    }
    put_metric(out, "atlas_buffered_bytes", "gauge",
               "Bytes of bodies, replies and waiting output held now", "", (int64_t)memory_taken());
    put_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory", "",
               resident_bytes());
    put_metric(out, "atlas_build_info", "gauge", "1, labelled with the version",
               "version=\"" ATLAS_VERSION "\"", 1);
}
