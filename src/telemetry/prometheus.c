/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/prometheus.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/counter.h"
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
    put_metric(out, "atlas_buffered_bytes", "gauge",
               "Bytes of bodies, replies and waiting output held now", "", (int64_t)memory_taken());
    put_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory", "",
               resident_bytes());
    put_metric(out, "atlas_build_info", "gauge", "1, labelled with the version",
               "version=\"" ATLAS_VERSION "\"", 1);
}
