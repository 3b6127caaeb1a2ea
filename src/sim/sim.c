/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counter.h"
#include "base/memory.h"
#include "http/http_request.h"
#include "sim/sim_internal.h"
#include "json/json_write.h"

#define PAGE_BYTES_MAX (256u << 20)
#define IDS_BYTES_MAX  (256u << 20)
#define JSON_FIELDS    "Content-Type: application/json\r\n"
#define TEXT_FIELDS    "Content-Type: text/plain; charset=utf-8\r\n"

static void answer(struct exchange *x, struct span fields, struct buf *page)
{
    struct span body = buf_span(page);
    struct iovec piece = {(void *)(uintptr_t)body.at, body.len};
    exchange_put_head(x, 200, fields, body.len);
    if (body.len > 0) {
        exchange_put(x, &piece, 1);
    }
    exchange_finish(x);
}

static void write_counters(const struct sim *s, struct buf *out)
{
    buf_printf(out,
               "{\"connections\":%lld,\"connections_open\":%u,\"calls\":%llu,\"running\":%llu,"
               "\"finished\":%llu,\"aborted\":%llu,\"ids\":%zu}",
               (long long)counter_sum(COUNT_CONNECTIONS), server_connection_count(s->server),
               (unsigned long long)s->calls, (unsigned long long)s->running,
               (unsigned long long)s->finished, (unsigned long long)s->aborted, s->seen.count);
}

static void write_calls(const struct sim *s, struct buf *out)
{
    for (size_t i = 0; i < s->seen.cap; i++) {
        const struct map_slot *slot = &s->seen.slots[i];
        const struct sim_seen *seen = slot->value;
        if (slot->key.at != NULL) {
            buf_put(out, slot->key);
            buf_printf(out, " %u %u %u\n", seen->attempts, seen->finished, seen->aborted);
        }
    }
}

static void write_last(const struct sim *s, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "head");
    json_write_string(&w, buf_span(&s->last_head));
    json_write_key(&w, "body");
    json_write_string(&w, buf_span(&s->last_body));
    json_write_end(&w);
    if (json_write_finish(&w) != ERR_OK) {
        out->failed = true;
    }
}

static void write_models(const struct sim *s, struct buf *out)
{
    (void)s;
    buf_put_text(out, "{\"object\":\"list\",\"data\":[{\"id\":\"sim\",\"object\":\"model\","
                      "\"created\":1795489200,\"owned_by\":\"atlas-sim\"}]}");
}

static void write_health(const struct sim *s, struct buf *out)
{
    (void)s;
    buf_put_text(out, "{\"status\":\"ok\"}");
}

static const struct {
    const char *path, *fields;
    void (*write)(const struct sim *s, struct buf *out);
} pages[] = {
    {"/metrics", TEXT_FIELDS, sim_metrics_write}, {"/sim/counters", JSON_FIELDS, write_counters},
    {"/sim/calls", TEXT_FIELDS, write_calls},     {"/sim/last", JSON_FIELDS, write_last},
    {"/v1/models", JSON_FIELDS, write_models},    {"/health", JSON_FIELDS, write_health},
};

static const struct {
    const char *path;
    enum sim_endpoint endpoint;
} calls[] = {
    {"/v1/chat/completions", SIM_CHAT},
    {"/v1/completions", SIM_COMPLETIONS},
    {"/v1/embeddings", SIM_EMBEDDINGS},
};

static void on_request(void *ctx, struct exchange *x)
{
    struct sim *s = ctx;
    const struct http_request *head = exchange_head(x);
    struct span path = http_request_path(head);
    for (size_t i = 0; head->method == HTTP_POST && i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (span_is(path, calls[i].path)) {
            sim_call_start(s, x, calls[i].endpoint);
            return;
        }
    }
    for (size_t i = 0; head->method == HTTP_GET && i < sizeof(pages) / sizeof(pages[0]); i++) {
        bool is_there = pages[i].write != sim_metrics_write || s->metrics != SIM_METRICS_NONE;
        if (is_there && span_is(path, pages[i].path)) {
            struct buf page;
            buf_init(&page, PAGE_BYTES_MAX);
            pages[i].write(s, &page);
            answer(x, span_of(pages[i].fields), &page);
            buf_fini(&page);
            return;
        }
    }
    exchange_refuse(x, ERR_ROUTE_UNKNOWN, SPAN(""), SPAN(""), SPAN(""));
}

enum err sim_open(struct net_loop *loop, int fd, const struct sim_plan *plan,
                  enum sim_metrics metrics, struct sim **out)
{
    static const struct server_settings settings = {
        .head_bytes_max = 65536,
        .fields_max = 100,
        .target_bytes_max = 8192,
        .body_bytes_max = SIM_BODY_BYTES_MAX,
        .handshake_timeout_ms = 10000,
        .head_timeout_ms = 30000,
        .body_timeout_ms = 30000,
        .idle_timeout_ms = 600000,
        .write_timeout_ms = 600000,
        .connections_max = 1000000,
        .output_bytes_max = 262144,
    };
    struct sim *s = memory_new(sizeof(*s));
    if (s == NULL) {
        return ERR_NO_MEMORY;
    }
    s->loop = loop;
    s->plan = *plan;
    s->metrics = metrics;
    list_init(&s->queue);
    json_index_init(&s->index, 4u << 20, 512);
    buf_init(&s->out, PAGE_BYTES_MAX);
    buf_init(&s->last_head, 1u << 20);
    buf_init(&s->last_body, SIM_BODY_BYTES_MAX);
    arena_init(&s->ids, IDS_BYTES_MAX);
    map_init(&s->seen);
    struct server_options options = {
        .settings = &settings, .on_request = on_request, .ctx = s, .connections = &s->connections};
    enum err e = sim_cache_open(plan->cache_tokens, &s->cache);
    if (e == ERR_OK) {
        e = server_open(loop, &options, &s->server);
    }
    if (e == ERR_OK) {
        e = server_listen(s->server, fd, 0, NULL);
    }
    if (e != ERR_OK) {
        sim_close(&s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

void sim_close(struct sim **sim)
{
    struct sim *s = *sim;
    if (s == NULL) {
        return;
    }
    *sim = NULL;
    server_close(&s->server);
    sim_cache_close(&s->cache);
    json_index_fini(&s->index);
    buf_fini(&s->out);
    buf_fini(&s->last_head);
    buf_fini(&s->last_body);
    map_fini(&s->seen);
    arena_fini(&s->ids);
    memory_free(s);
}
