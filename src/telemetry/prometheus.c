/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/prometheus.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/counter.h"
#include "base/health.h"
#include "base/histogram.h"
#include "base/memory.h"
#include "telemetry/call_series.h"

static const struct {
    const char *metric, *type, *help;
} samples[] = {
#define SAMPLE(metric, labels, type, help) {metric, type, help},
#include "telemetry/prometheus.def"
#undef SAMPLE
};

#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

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

void prometheus_family(struct buf *out, const char *metric)
{
    size_t at = 0;
    while (strcmp(samples[at].metric, metric) != 0) {
        at++;
        CHECK(at < SAMPLES);
    }
    put_head(out, metric, samples[at].type, samples[at].help);
}

void prometheus_label(struct buf *out, const char *name, struct span value)
{
    buf_printf(out, "%s=\"", name);
    for (size_t i = 0; i < value.len; i++) {
        switch (value.at[i]) {
        case '"':
            buf_put_text(out, "\\\"");
            break;
        case '\\':
            buf_put_text(out, "\\\\");
            break;
        case '\n':
            buf_put_text(out, "\\n");
            break;
        default:
            buf_put_byte(out, value.at[i]);
        }
    }
    buf_put_byte(out, '"');
}

void prometheus_sample(struct buf *out, const char *metric, const char *label, const char *value,
                       int64_t number)
{
    buf_printf(out, "%s{", metric);
    prometheus_label(out, label, span_of(value));
    buf_printf(out, "} %" PRId64 "\n", number);
}

static void put_alone(struct buf *out, const char *metric, int64_t value)
{
    prometheus_family(out, metric);
    put_value(out, metric, "", value);
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

/* One series a kind, so that an alarm can be written before anything was ever wrong. */
static void put_health(struct buf *out)
{
    prometheus_family(out, "atlas_health_problems");
    for (enum health kind = 0; kind < HEALTH_COUNT; kind++) {
        prometheus_sample(out, "atlas_health_problems", "kind", health_row(kind)->word,
                          (int64_t)health_count(kind));
    }
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
    call_series_write(out);
    put_health(out);
    put_alone(out, "atlas_buffered_bytes", (int64_t)memory_taken());
    put_alone(out, "process_resident_memory_bytes", resident_bytes());
    prometheus_family(out, "atlas_build_info");
    prometheus_sample(out, "atlas_build_info", "version", ATLAS_VERSION, 1);
}
