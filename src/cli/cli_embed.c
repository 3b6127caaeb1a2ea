/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_embed.h"

#include <math.h>

#include "base/memory.h"
#include "crypto/base64.h"
#include "http/http_response.h"
#include "net/net_loop.h"
#include "upstream/attempt.h"
#include "upstream/upstream_pool.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define PIECE_BYTES    65536
#define BODY_BYTES_MAX (1u << 20)
#define ROWS_MAX       (1u << 20)
#define DEPTH_MAX      16

struct cli_embedder {
    struct net_loop *loop;
    struct net_resolver *resolver;
    struct upstream_pool *pool;
    struct attempt *attempt;
    struct buf answer;
};

enum err cli_embedder_open(const struct net_dns_settings *dns, struct cli_embedder **out)
{
    struct cli_embedder *e = memory_new(sizeof(*e));
    if (e == NULL) {
        return ERR_NO_MEMORY;
    }
    buf_init(&e->answer, CLI_EMBED_ANSWER_MAX);
    enum err r = net_loop_open(&e->loop);
    r = r == ERR_OK ? net_resolver_open(dns, &e->resolver) : r;
    r = r == ERR_OK ? upstream_pool_open(e->loop, e->resolver, &e->pool) : r;
    if (r == ERR_OK) {
        *out = e;
    } else {
        cli_embedder_close(&e);
    }
    return r;
}

void cli_embedder_close(struct cli_embedder **embedder)
{
    struct cli_embedder *e = *embedder;
    *embedder = NULL;
    if (e != NULL) {
        upstream_pool_close(&e->pool);
        net_resolver_close(&e->resolver);
        net_loop_close(&e->loop);
        buf_fini(&e->answer);
        memory_free(e);
    }
}

/* Pulls what is there; stops the loop at the end, whichever. */
static void on_event(void *ctx)
{
    struct cli_embedder *e = ctx;
    enum attempt_pulled pulled = ATTEMPT_SOME;
    if (attempt_state(e->attempt) < ATTEMPT_HEAD) {
        return;
    }
    while (attempt_state(e->attempt) != ATTEMPT_FAILED && pulled == ATTEMPT_SOME) {
        size_t got = 0;
        uint8_t *room = buf_reserve(&e->answer, PIECE_BYTES);
        if (room == NULL) {
            break;
        }
        pulled = attempt_pull(e->attempt, room, PIECE_BYTES, &got);
        buf_added(&e->answer, got);
    }
    if (pulled != ATTEMPT_LATER || attempt_state(e->attempt) == ATTEMPT_FAILED) {
        net_loop_stop(e->loop);
    }
}

/* {"model":"e5-small","input":["…"]} */
static enum err write_body(const struct cli_embed_ask *ask, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_key(&w, "model");
    json_write_string(&w, ask->model);
    json_write_key(&w, "input");
    json_write_array(&w);
    for (size_t i = 0; i < ask->count; i++) {
        json_write_string(&w, ask->texts[i]);
    }
    json_write_end(&w);
    json_write_end(&w);
    return json_write_finish(&w);
}

static enum err send_body(struct cli_embedder *e, struct deployment *deployment, struct span body,
                          unsigned *status)
{
    const struct iovec piece = {(void *)(uintptr_t)body.at, body.len};
    const struct attempt_request request = {.path = SPAN("/embeddings"),
                                            .fields = SPAN("Content-Type: application/json\r\n"),
                                            .id = SPAN(""),
                                            .owner = SPAN("learn"),
                                            .pieces = &piece,
                                            .piece_count = 1,
                                            .post = true};
    enum err r = attempt_prepare(e->pool, deployment, &request, on_event, e, &e->attempt);
    if (r != ERR_OK) {
        return r;
    }
    attempt_start(e->attempt);
    net_loop_run(e->loop);
    if (attempt_state(e->attempt) == ATTEMPT_FAILED) {
        r = attempt_error(e->attempt);
    } else if (buf_failed(&e->answer)) {
        r = ERR_UPSTREAM_TOO_LARGE;
    } else {
        *status = attempt_head(e->attempt)->status;
        r = *status == 200 ? ERR_OK : ERR_UPSTREAM_STATUS;
    }
    attempt_close(&e->attempt);
    return r;
}

/* Adds the floats of one embedding to `out`; false: it is none. */
static bool put_vector(const struct json_index *x, uint32_t row, struct buf *out)
{
    if (json_kind(x, row) == JSON_STRING) {
        struct span text = json_inside(x, row);
        size_t room = text.len / 4 * 3, len = 0;
        uint8_t *at = buf_reserve(out, room + 1);
        bool is_good = at != NULL && crypto_base64_parse(text, at, room, &len) == ERR_OK &&
                       len % sizeof(float) == 0;
        buf_added(out, is_good ? len : 0);
        return is_good;
    }
    for (uint32_t at = json_first(x, row); at != JSON_NONE; at = json_next(x, at)) {
        double number;
        float rounded;
        if (json_double(x, at, &number) != ERR_OK) {
            return false;
        }
        rounded = (float)number;
        buf_put(out, span_make((const uint8_t *)&rounded, sizeof(rounded)));
    }
    return json_kind(x, row) == JSON_ARRAY;
}

static bool are_finite(struct span floats)
{
    for (size_t i = 0; i + sizeof(float) <= floats.len; i += sizeof(float)) {
        float number;
        memcpy(&number, floats.at + i, sizeof(number));
        if (!isfinite(number)) {
            return false;
        }
    }
    return true;
}

/* The element of `data` that is of the `i`-th text: servers say so, else they stand in order. */
static uint32_t find_element(const struct json_index *x, uint32_t data, size_t i)
{
    uint32_t row = json_first(x, data);
    for (size_t at = 0; row != JSON_NONE; row = json_next(x, row), at++) {
        uint32_t number = json_find(x, row, SPAN("index"));
        int64_t index = (int64_t)at;
        bool is_said = number == JSON_NONE || json_int64(x, number, &index) == ERR_OK;
        if (is_said && index == (int64_t)i) {
            return json_find(x, row, SPAN("embedding"));
        }
    }
    return JSON_NONE;
}

static enum err read_answer(struct span answer, size_t count, struct cli_vectors *to)
{
    struct json_index x;
    struct buf *out = &to->floats;
    json_index_init(&x, ROWS_MAX, DEPTH_MAX);
    enum err r = json_index_parse_borrow(&x, answer) == ERR_OK ? ERR_OK : ERR_UPSTREAM_JSON;
    uint32_t data = r == ERR_OK ? json_find(&x, 0, SPAN("data")) : JSON_NONE;
    bool is_good = data != JSON_NONE;
    size_t first = 0;
    for (size_t i = 0; is_good && i < count; i++) {
        uint32_t vector = find_element(&x, data, i);
        size_t before = buf_span(out).len;
        is_good = vector != JSON_NONE && put_vector(&x, vector, out) && !buf_failed(out);
        size_t len = buf_span(out).len - before;
        first = i == 0 ? len : first;
        is_good = is_good && len == first && len > 0;
    }
    is_good = is_good && are_finite(buf_span(out));
    to->dimensions = first / sizeof(float);
    json_index_fini(&x);
    return is_good ? ERR_OK : ERR_UPSTREAM_JSON;
}

enum err cli_embed(struct cli_embedder *e, const struct cli_embed_ask *ask, struct cli_vectors *out)
{
    struct buf body;
    CHECK(ask->count <= CLI_EMBED_TEXTS);
    buf_init(&body, BODY_BYTES_MAX);
    buf_clear(&e->answer);
    buf_clear(&out->floats);
    out->status = 0;
    enum err r = write_body(ask, &body);
    r = r == ERR_OK ? send_body(e, ask->deployment, buf_span(&body), &out->status) : r;
    r = r == ERR_OK ? read_answer(buf_span(&e->answer), ask->count, out) : r;
    buf_fini(&body);
    return r;
}
