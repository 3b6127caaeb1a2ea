/* SPDX-License-Identifier: Apache-2.0 */
/* The pages about the whole gateway: its status, its metrics, the description of the API. */
#include "admin/admin_internal.h"
#include "base/memory.h"
#include "telemetry/prometheus.h"

/* Since when it is down; 0 if nobody has noted it yet. */
static wall_us down_since(const struct admin_problems *problems, const char *name)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct health_entry *entry = &problems->entries[i];
        if (entry->kind == HEALTH_UPSTREAM_DOWN && span_is(span_of(name), entry->subject)) {
            return entry->since;
        }
    }
    return (wall_us){0};
}

static struct admin_upstream upstream_of(const struct admin_upstream_facts *u,
                                         const struct admin_problems *problems)
{
    return (struct admin_upstream){.name = span_of(u->name),
                                   .state = u->is_down         ? ADMIN_UPSTREAM_DOWN
                                            : u->attempts == 0 ? ADMIN_UPSTREAM_UNUSED
                                                               : ADMIN_UPSTREAM_UP,
                                   .since =
                                       u->is_down ? down_since(problems, u->name) : (wall_us){0},
                                   .error = span_of(u->is_down ? err_sentence(u->error) : NULL),
                                   .omits = span_of(u->omits),
                                   .in_flight = u->in_flight,
                                   .connections = u->connections_open,
                                   .attempts = (int64_t)u->attempts,
                                   .failures = (int64_t)u->failures};
}

static struct span sentence_of(enum err e)
{
    return span_of(e == ERR_OK ? NULL : err_sentence(e));
}

static void fill(struct admin_status *s, const struct admin_facts *f)
{
    s->version = SPAN(ATLAS_VERSION);
    s->status = (int)admin_state_of(f->is_ready);
    s->since = f->since;
    s->now = clock_wall();
    s->workers = f->workers;
    s->calls = f->calls_open;
    s->connections = f->connections_open;
    s->buffered = f->buffered;
    s->buffered_max = f->buffered_max;
    s->journal =
        (struct admin_journal_state){(int64_t)f->journal_last, sentence_of(f->journal_error)};
    s->store = (struct admin_store_state){(int64_t)f->store_last,
                                          (int64_t)(f->journal_last - f->store_last),
                                          sentence_of(f->store_error)};
    s->disk = (struct admin_disk_state){span_of(f->data), f->disk_free, f->disk_size};
}

/* What a status shows that is as long as the configuration. */
struct lists {
    struct admin_upstream *upstreams;
    struct admin_listener_facts *facts; /* `listeners` points into it */
    struct admin_listener *listeners;
    size_t upstreams_count, listeners_count;
};

static enum err open_lists(const struct admin_source *source, struct lists *lists)
{
    struct admin_upstream_facts u;
    struct admin_listener_facts l;
    size_t upstreams = 0, listeners = 0;
    while (source->upstream(source->ctx, upstreams, &u)) {
        upstreams++;
    }
    while (source->listener(source->ctx, listeners, &l)) {
        listeners++;
    }
    lists->upstreams = memory_new_array(upstreams + 1, sizeof(*lists->upstreams)); /* never none */
    lists->facts = memory_new_array(listeners + 1, sizeof(*lists->facts));
    lists->listeners = memory_new_array(listeners + 1, sizeof(*lists->listeners));
    lists->upstreams_count = upstreams;
    lists->listeners_count = listeners;
    return lists->upstreams == NULL || lists->facts == NULL || lists->listeners == NULL
               ? ERR_NO_MEMORY
               : ERR_OK;
}

static void close_lists(struct lists *lists)
{
    memory_free(lists->upstreams);
    memory_free(lists->facts);
    memory_free(lists->listeners);
}

static void fill_lists(const struct admin_source *source, const struct admin_problems *problems,
                       struct lists *lists)
{
    struct admin_upstream_facts u;
    for (size_t i = 0; i < lists->upstreams_count && source->upstream(source->ctx, i, &u); i++) {
        lists->upstreams[i] = upstream_of(&u, problems);
    }
    for (size_t i = 0; i < lists->listeners_count; i++) {
        struct admin_listener_facts *l = &lists->facts[i];
        if (source->listener(source->ctx, i, l)) {
            lists->listeners[i] = (struct admin_listener){span_of(l->url), l->is_admin};
        }
    }
}

enum err admin_page_status(struct admin_page *page)
{
    struct json_writer w;
    struct admin_status status = {0};
    struct admin_facts facts = {0};
    struct admin_problems problems;
    struct lists lists = {0};
    enum err e = open_lists(page->source, &lists);
    if (e == ERR_OK) {
        admin_problems_read(&problems);
        page->source->facts(page->source->ctx, &facts);
        fill(&status, &facts);
        fill_lists(page->source, &problems, &lists);
        status.listeners = (struct admin_parts){lists.listeners, lists.listeners_count};
        status.upstreams = (struct admin_parts){lists.upstreams, lists.upstreams_count};
        status.problems = (struct admin_parts){problems.rows, problems.count};
        json_write_init(&w, page->out);
        admin_object_write(&w, ADMIN_OBJECT_status, &status);
        e = json_write_finish(&w);
    }
    close_lists(&lists);
    return e;
}

static int64_t sample_of(const struct admin_upstream_facts *u, unsigned i)
{
    switch (i) {
    case 0:
        return u->is_down ? 0 : 1;
    case 1:
        return u->in_flight;
    case 2:
        return u->connections_open;
    case 3:
        return (int64_t)u->attempts;
    default:
        return (int64_t)u->failures;
    }
}

static void write_upstreams(const struct admin_source *source, struct buf *out)
{
    static const char *const families[] = {
        "atlas_upstream_up", "atlas_upstream_in_flight", "atlas_upstream_connections_open",
        "atlas_upstream_attempts_total", "atlas_upstream_failures_total"};
    for (unsigned f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        struct admin_upstream_facts u;
        prometheus_family(out, families[f]);
        for (size_t i = 0; source->upstream(source->ctx, i, &u); i++) {
            prometheus_sample(out, families[f], "upstream", u.name, sample_of(&u, f));
        }
    }
}

/* What it says of its work; -1: it does not. */
static int64_t load_of(const struct admin_upstream_facts *u, unsigned i)
{
    const int64_t values[] = {u->load_running, u->load_waiting, u->load_kv_percent, u->load_age_s};
    return u->has_load ? values[i] : -1;
}

static void write_loads(const struct admin_source *source, struct buf *out)
{
    static const char *const families[] = {
        "atlas_upstream_reported_running", "atlas_upstream_reported_waiting",
        "atlas_upstream_reported_kv_percent", "atlas_upstream_reported_age_seconds"};
    for (unsigned f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        struct admin_upstream_facts u;
        prometheus_family(out, families[f]);
        for (size_t i = 0; source->upstream(source->ctx, i, &u); i++) {
            if (load_of(&u, f) >= 0) {
                prometheus_sample(out, families[f], "upstream", u.name, load_of(&u, f));
            }
        }
    }
}

enum err admin_page_metrics(struct admin_page *page)
{
    prometheus_write(page->out);
    write_upstreams(page->source, page->out);
    write_loads(page->source, page->out);
    return buf_failed(page->out) ? ERR_NO_MEMORY : ERR_OK;
}

enum err admin_page_openapi(struct admin_page *page)
{
    return admin_openapi_write(page->out);
}
