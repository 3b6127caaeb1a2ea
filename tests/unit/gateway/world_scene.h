/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world_scene.h — the world of world.h opened, made to happen, and looked at afterwards.
 */
#ifndef TESTS_GATEWAY_WORLD_SCENE_H
#define TESTS_GATEWAY_WORLD_SCENE_H

#include <stdio.h>

#include "world.h"

#define CHAT_BODY(more) "{'model':'m','messages':[{'role':'user','content':'hi'}]" more "}"
#define CHAT_REPLY                                                                            \
    "{'id':'c','model':'real','choices':[{'index':0,'message':{'role':'assistant','content':" \
    "'yes'},'finish_reason':'stop'}],'usage':{'prompt_tokens':9,'completion_tokens':2}}"
#define CHAT_SHOWN                                                                         \
    "{'id':'c','model':'m','choices':[{'index':0,'message':{'role':'assistant','content':" \
    "'yes'},'finish_reason':'stop'}],'usage':{'prompt_tokens':9,'completion_tokens':2}}"
#define CHUNK(model, rest) "data: {'id':'c','model':'" model "','choices':[" rest "}\n\n"
#define WORD(model, word) \
    CHUNK(model, "{'index':0,'delta':{'content':'" word "'},'finish_reason':null}]")
#define STOP(model)  CHUNK(model, "{'index':0,'delta':{},'finish_reason':'stop'}]")
#define USAGE(model) CHUNK(model, "],'usage':{'prompt_tokens':9,'completion_tokens':2}")
#define DONE         "data: [DONE]\n\n"

static const struct call_ports world_ports = {
    .mono = world_mono,
    .wall = world_wall,
    .call_id = world_call_id,
    .defer = loop_defer,
    .client = {.attach = client_attach,
               .head = client_head,
               .body_length = client_body_length,
               .peer = client_peer,
               .proceed = client_continue,
               .pull = client_pull,
               .error = client_error,
               .put_head = client_put_head,
               .put = client_put,
               .waiting = client_waiting,
               .is_gone = client_is_gone,
               .sent = client_sent,
               .finish = client_finish,
               .cancel = client_cancel,
               .refuse = client_refuse},
    .attempt = {.prepare = attempt_make,
                .start = attempt_begin,
                .state = attempt_state_now,
                .error = attempt_error_now,
                .head = attempt_head_now,
                .pull = attempt_pull_now,
                .has_sent = attempt_was_sent,
                .first_byte = attempt_first_byte_now,
                .peer = attempt_peer_now,
                .close = attempt_end,
                .finish = attempt_end},
    .keys = {.check = world_key_check, .recheck = world_key_recheck},
    .journal = {.take = slot_take,
                .record = slot_record,
                .arm = slot_arm,
                .publish = slot_publish,
                .give_back = slot_give_back,
                .await = slot_await,
                .await_slots = slot_await_slots,
                .trouble = slot_trouble},
};

#define PRICE                       \
    {                               \
        1000000, 3000000, 10, "USD" \
    }

/* A reply of vectors, each of `count` floats: 0.1, 0.2, 0.3 and again. As numbers, or as Base64.
 * To be freed with memory_free(). */
static inline char *world_vectors(size_t vectors, size_t count, bool is_base64)
{
    struct buf b;
    buf_init(&b, 64 << 20);
    buf_put_text(&b, "{'model':'vectors','data':[");
    for (size_t v = 0; v < vectors; v++) {
        buf_printf(&b, "%s{'index':%zu,'embedding':%c", v == 0 ? "" : ",", v,
                   is_base64 ? '\'' : '[');
        for (size_t i = 0; i < count; i += 3) {
            buf_put_text(&b, is_base64 ? "zczMPc3MTD6amZk+"
                             : i == 0  ? "0.1,0.2,0.3"
                                       : ",0.1,0.2,0.3");
        }
        buf_put_text(&b, is_base64 ? "'}" : "]}");
    }
    buf_put_text(&b, "]}");
    buf_put_byte(&b, 0);
    assert_false(buf_failed(&b));
    return (char *)b.at;
}

/* Two model servers: "near" in the home region, "far" outside it; and what they serve. */
static inline struct policy *world_policy(void)
{
    static const char *const aliases[] = {"nick"};
    static const char *const origins[] = {"https://app.example"};
    static const struct upstream_definition servers[] = {
        {.name = "near",
         .kind = UPSTREAM_VLLM,
         .url = "http://127.0.0.1:1/v1",
         .region = "sa",
         .zone = "z1",
         .reply_bytes_max = 600000},
        {.name = "far",
         .kind = UPSTREAM_TGI,
         .url = "http://127.0.0.1:2/v1",
         .region = "eu",
         .reply_bytes_max = 600000},
    };
    static const struct gateway_model models[] = {
        {.name = "m",
         .upstream_index = 0,
         .upstream_name = "real",
         .price = PRICE,
         .aliases = {aliases, 1},
         .endpoints = GATEWAY_CHAT | GATEWAY_COMPLETIONS,
         .context_tokens = 4,
         .token_arrays = true},
        {.name = "away",
         .upstream_index = 1,
         .price = PRICE,
         .endpoints = GATEWAY_CHAT | GATEWAY_COMPLETIONS,
         .token_arrays = true},
        {.name = "any/*",
         .is_pattern = true,
         .upstream_index = 0,
         .price = PRICE,
         .endpoints = GATEWAY_CHAT},
        {.name = "vectors",
         .upstream_index = 0,
         .price = PRICE,
         .endpoints = GATEWAY_EMBEDDINGS,
         .token_arrays = false},
    };
    static const struct gateway_settings settings = {.zone = "riyadh",
                                                     .region = "sa",
                                                     .models = models,
                                                     .models_count = ROWS(models),
                                                     .cors = {{origins, 1}, 60},
                                                     .calls_max = 2};
    static const struct upstream_settings upstreams = {servers, ROWS(servers)};
    char reason[DEPLOYMENT_REASON_BYTES];
    struct policy *policy = NULL;
    enum err e = policy_open(&settings, &upstreams, NULL, (wall_us){1}, reason, &policy);
    if (e != ERR_OK) {
        fail_msg("%s: %s", err_name(e), reason);
    }
    return policy;
}

static inline void world_open(struct world *w)
{
    *w = (struct world){.now_us = 1000000,
                        .scopes = KEY_SCOPES_INFERENCE,
                        .slots_max = WORLD_SLOTS,
                        .policy = world_policy()};
    world_now = w;
    arena_init(&w->arena, 256 << 20);
    w->shared = (struct call_shared){.ports = &world_ports,
                                     .policy = w->policy,
                                     .calls_open = &w->calls_open,
                                     .body_bytes_max = 1 << 20};
    assert_int_equal(call_shared_init(&w->shared), ERR_OK);
    buf_init(&w->client.fields, 1 << 20);
    buf_init(&w->client.reply, 64 << 20);
    buf_init(&w->client.message, 1 << 20);
    buf_init(&w->client.param, 1 << 20);
}

/* The client with a request: `target` is "POST /path", `lines` are header lines. */
static inline struct exchange *world_client(struct world *w, const char *target, const char *lines,
                                            const char *body)
{
    static const struct http_limits limits = {65536, 8192};
    struct exchange *x = &w->client;
    struct buf text;
    size_t used;
    x->body = body == NULL ? SPAN("") : world_text(w, body);
    buf_init(&text, 65536);
    buf_printf(&text, "%s HTTP/1.1\r\nHost: x\r\n%s", target, lines);
    if (x->is_chunked) {
        buf_put_text(&text, "Transfer-Encoding: chunked\r\n\r\n");
    } else {
        buf_printf(&text, "Content-Length: %zu\r\n\r\n", x->body.len);
    }
    x->head_text = arena_copy(&w->arena, buf_span(&text));
    buf_fini(&text);
    http_request_init(&x->head, &limits, x->rows, ROWS(x->rows));
    assert_int_equal(http_request_parse(&x->head, x->head_text, &used), ERR_OK);
    assert_int_equal(used, x->head_text.len);
    http_request_moved(&x->head, x->head_text.at);
    return x;
}

/* A request whose first `arrived` body bytes are there. `lines`: its header lines. */
static inline void world_request_lines(struct world *w, const char *path, const char *lines,
                                       const char *body, size_t arrived)
{
    const struct route *route;
    struct span rest, allow;
    char target[128];
    (void)snprintf(target, sizeof(target), "POST %s", path);
    struct exchange *x = world_client(w, target, lines, body);
    x->arrived = arrived < x->body.len ? arrived : x->body.len;
    assert_int_equal(route_find(HTTP_POST, span_of(path), &route, &rest, &allow), ERR_OK);
    w->is_call = true;
    call_start(&w->shared, x, route);
}

#define USUAL_LINES "Authorization: Bearer k1\r\nContent-Type: application/json\r\n"

static inline void world_request(struct world *w, const char *path, const char *body)
{
    world_request_lines(w, path, USUAL_LINES, body, ALL_OF_IT);
}

static inline void world_chat(struct world *w, const char *body)
{
    world_request(w, "/v1/chat/completions", body);
}

/* ---- what happens ---- */

/* Tells the call to look, unless it has ended. */
static inline void client_event(struct world *w)
{
    if (w->client.end == STILL_OPEN) {
        w->client.on_event(w->client.ctx);
        loop_run(w);
    }
}

static inline void client_sends(struct world *w, size_t count)
{
    size_t left = w->client.body.len - w->client.arrived;
    w->client.arrived += count < left ? count : left;
    client_event(w);
}

static inline void client_leaves(struct world *w)
{
    w->client.is_gone = true;
    client_event(w);
}

static inline void client_takes(struct world *w)
{
    w->client.waiting = 0;
    client_event(w);
}

static inline struct attempt *last_attempt(struct world *w)
{
    assert_true(w->started > 0);
    return &w->attempts[w->started - 1];
}

static inline void attempt_event(struct attempt *a)
{
    if (a->is_open) {
        a->on_event(a->ctx);
        loop_run(a->world);
    }
}

/* The model server answers: its head, and as many bytes of its body. Or it fails, as the script
 * wants it. */
static inline void server_answers(struct world *w, size_t body_bytes)
{
    struct attempt *a = last_attempt(w);
    const struct script *s = &a->script;
    if (s->fail != ERR_OK) {
        a->state = ATTEMPT_FAILED;
        attempt_event(a);
        return;
    }
    struct buf text;
    size_t used;
    bool is_stream = world_holds(span_of(a->fields), "text/event-stream");
    const char *usual = is_stream ? "text/event-stream" : "application/json";
    buf_init(&text, 65536);
    buf_printf(&text, "HTTP/1.1 %d X\r\nContent-Type: %s\r\n%s\r\n",
               s->status == 0 ? 200 : s->status, s->type == NULL ? usual : s->type,
               s->lines == NULL ? "" : s->lines);
    a->head_text = arena_copy(&w->arena, buf_span(&text));
    buf_fini(&text);
    http_response_init(&a->head, 65536, false, a->rows, ROWS(a->rows));
    assert_int_equal(http_response_parse(&a->head, a->head_text, &used), ERR_OK);
    http_response_moved(&a->head, a->head_text.at);
    a->body = world_text(w, s->body == NULL ? "" : s->body);
    a->arrived = body_bytes < a->body.len ? body_bytes : a->body.len;
    a->state = ATTEMPT_HEAD;
    attempt_event(a);
}

/* More of the body comes. */
static inline void server_sends(struct world *w, size_t count)
{
    struct attempt *a = last_attempt(w);
    size_t left = a->body.len - a->arrived;
    a->arrived += count < left ? count : left;
    attempt_event(a);
}

/* Up to behind the text `until`, which comes next. */
static inline void server_sends_until(struct world *w, const char *until)
{
    struct attempt *a = last_attempt(w);
    struct span rest = span_cut(a->body, a->arrived, a->body.len);
    const uint8_t *found = memmem(rest.at, rest.len, until, strlen(until));
    assert_non_null(found);
    server_sends(w, (size_t)(found - rest.at) + strlen(until));
}

/* ---- what came of it ---- */

static inline struct span world_reply(struct world *w)
{
    return buf_span(&w->client.reply);
}

/* How the exchange ended. */
static inline void expect_end(const char *why, struct world *w, enum world_end end, enum err error,
                              enum journal_outcome outcome)
{
    const struct exchange *x = &w->client;
    if (x->end != end || (end == REFUSED && x->error != error)) {
        fail_msg("%s: end %d, %s", why, x->end, err_name(x->error));
    }
    if (w->completions == 1) {
        if (w->completion.outcome != outcome) {
            fail_msg("%s: recorded as %s", why,
                     journal_outcome_name((enum journal_outcome)w->completion.outcome));
        }
        if (strcmp(w->completion.error, error == ERR_OK ? "" : err_name(error)) != 0) {
            fail_msg("%s: recorded %s", why, w->completion.error);
        }
    }
}

static inline void world_close(struct world *w)
{
    assert_true(w->client.end != STILL_OPEN);
    assert_true(w->started <= w->intents && w->intents <= w->prepared);
    assert_int_equal(w->attempts_open, 0);
    if (w->completions == 1) {
        assert_int_equal(w->completion.attempt, w->intents);
        assert_int_equal(w->completion.attempts_sent, w->sent);
        assert_int_equal(w->completion.peer[0] != 0, w->sent > 0);
        assert_true(w->sent > 0 || (w->completion.tokens_in == 0 && w->completion.tokens_out == 0 &&
                                    w->completion.cost_micro == 0));
    }
    assert_int_equal(w->slots_held, 0);
    assert_true(w->completions <= 1 && w->arms <= 1 && w->arms <= w->completions);
    assert_true(w->intents == 0 || w->completions == 1);
    assert_int_equal(w->calls_open, 0);
    assert_int_equal(memory_taken(), 0);
    assert_false(buf_failed(&w->shared.out));
    assert_int_equal(buf_span(&w->shared.out).len, 0);
    call_shared_fini(&w->shared); /* checks that no call is open */
    policy_unref(&w->policy);
    buf_fini(&w->client.fields);
    buf_fini(&w->client.reply);
    buf_fini(&w->client.message);
    buf_fini(&w->client.param);
    arena_fini(&w->arena);
}

#endif
