/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots are linked for ever, as counter.c's are: a slot has one writer, so a relaxed load and store
 * suffice. A series is published by the count of them, after its names.
 */
#include "telemetry/call_series.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/histogram.h"
#include "base/memory.h"
#include "telemetry/prometheus.h"

enum cell { IN = CALL_CLASS_COUNT, OUT, SUM_US, BUCKETS, CELLS = BUCKETS + HISTOGRAM_BUCKETS };

struct slot {
    struct slot *next;
    _Atomic int64_t cells[CALL_SERIES_MAX][CELLS];
};

static const char *const classes[CALL_CLASS_COUNT] = {"2xx", "4xx", "5xx", "cut", "client_gone"};

static struct {
    char *model, *upstream;
} names[CALL_SERIES_MAX];

static _Atomic uint32_t count = 2; /* "(none)" and "(other)" */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct slot *) slots;
static _Thread_local struct slot *mine;

static char *keep(struct span text)
{
    char *own = memory_raw(text.len + 1);
    if (own != NULL) {
        span_copy_text(text, own, text.len + 1);
    }
    return own;
}

static uint32_t add(uint32_t at, struct span model, const char *upstream)
{
    if (at == CALL_SERIES_MAX) {
        return CALL_SERIES_OTHER;
    }
    names[at].model = keep(model);
    names[at].upstream = keep(span_of(upstream));
    if (names[at].model == NULL || names[at].upstream == NULL) {
        memory_free(names[at].model);
        memory_free(names[at].upstream);
        return CALL_SERIES_OTHER;
    }
    atomic_store(&count, at + 1);
    return at;
}

uint32_t call_series_find(struct span model, const char *upstream)
{
    CHECK(pthread_mutex_lock(&lock) == 0);
    uint32_t end = atomic_load(&count), at = 2;
    while (at < end &&
           !(span_is(model, names[at].model) && span_is(span_of(upstream), names[at].upstream))) {
        at++;
    }
    uint32_t found = at < end ? at : add(end, model, upstream);
    CHECK(pthread_mutex_unlock(&lock) == 0);
    return found;
}

void call_series_thread_start(void)
{
    struct slot *made = mine == NULL ? memory_new(sizeof(*made)) : NULL;
    if (made != NULL) { /* a thread that cannot count still works */
        made->next = atomic_load(&slots);
        while (!atomic_compare_exchange_weak(&slots, &made->next, made)) {
        }
        mine = made;
    }
}

static void add_to(_Atomic int64_t *cell, int64_t n)
{
    int64_t now = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, now + n, memory_order_relaxed);
}

void call_series_count(uint32_t series, const struct call_series_facts *facts)
{
    CHECK(series < CALL_SERIES_MAX && facts->class < CALL_CLASS_COUNT);
    if (mine == NULL) {
        return;
    }
    _Atomic int64_t *cells = mine->cells[series];
    add_to(&cells[facts->class], 1);
    if (facts->duration_us >= 0) {
        unsigned b = 0;
        while (facts->duration_us > histogram_bound_us(b)) {
            b++;
        }
        add_to(&cells[BUCKETS + b], 1);
        add_to(&cells[SUM_US], facts->duration_us);
    }
}

void call_series_add_tokens(uint32_t series, int64_t in, int64_t out)
{
    CHECK(series < CALL_SERIES_MAX);
    if (mine != NULL) {
        add_to(&mine->cells[series][IN], in);
        add_to(&mine->cells[series][OUT], out);
    }
}

/* ---- writing ---- */

static int64_t sum(uint32_t series, unsigned cell)
{
    int64_t all = 0;
    for (struct slot *s = atomic_load(&slots); s != NULL; s = s->next) {
        all += atomic_load_explicit(&s->cells[series][cell], memory_order_relaxed);
    }
    return all;
}

static void put_labels(struct buf *out, uint32_t series)
{
    static const char *const reserved[] = {"(none)", "(other)"};
    CHECK(series < CALL_SERIES_MAX);
    const char *model = names[series].model, *upstream = names[series].upstream;
    if (series < sizeof(reserved) / sizeof(reserved[0])) {
        model = upstream = reserved[series];
    }
    prometheus_label(out, "model", span_of(model));
    buf_put_text(out, ",");
    prometheus_label(out, "upstream", span_of(upstream));
}

/* A sample with one label more; none for what never happened. */
static void put(struct buf *out, const char *metric, uint32_t series, const char *label,
                const char *value, int64_t number)
{
    if (number == 0) {
        return;
    }
    buf_printf(out, "%s{", metric);
    put_labels(out, series);
    buf_printf(out, ",%s=\"%s\"} %" PRId64 "\n", label, value, number);
}

static void put_duration(struct buf *out, uint32_t series)
{
    static const char metric[] = "atlas_model_call_duration_seconds";
    int64_t buckets[HISTOGRAM_BUCKETS], total = 0, so_far = 0;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        total += buckets[b] = sum(series, BUCKETS + b);
    }
    for (unsigned b = 0; total > 0 && b < HISTOGRAM_BUCKETS; b++) {
        so_far += buckets[b];
        buf_printf(out, "%s_bucket{", metric);
        put_labels(out, series);
        if (b + 1 < HISTOGRAM_BUCKETS) {
            buf_printf(out, ",le=\"%g\"} %" PRId64 "\n", (double)histogram_bound_us(b) / 1e6,
                       so_far);
        } else {
            buf_printf(out, ",le=\"+Inf\"} %" PRId64 "\n", so_far);
        }
    }
    if (total > 0) {
        buf_printf(out, "%s_sum{", metric);
        put_labels(out, series);
        buf_printf(out, "} %.6f\n%s_count{", (double)sum(series, SUM_US) / 1e6, metric);
        put_labels(out, series);
        buf_printf(out, "} %" PRId64 "\n", total);
    }
}

void call_series_write(struct buf *out)
{
    uint32_t end = atomic_load(&count);
    prometheus_family(out, "atlas_model_calls_total");
    for (uint32_t s = 0; s < end; s++) {
        for (unsigned c = 0; c < CALL_CLASS_COUNT; c++) {
            put(out, "atlas_model_calls_total", s, "class", classes[c], sum(s, c));
        }
    }
    prometheus_family(out, "atlas_model_tokens_total");
    for (uint32_t s = 0; s < end; s++) {
        put(out, "atlas_model_tokens_total", s, "direction", "input", sum(s, IN));
        put(out, "atlas_model_tokens_total", s, "direction", "output", sum(s, OUT));
    }
    prometheus_family(out, "atlas_model_call_duration_seconds");
    for (uint32_t s = 0; s < end; s++) {
        put_duration(out, s);
    }
}
