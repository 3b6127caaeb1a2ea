/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world_scene.h — the world of world.h opened, made to happen, and looked at afterwards.
 */
#ifndef TESTS_CALL_WORLD_SCENE_H
#define TESTS_CALL_WORLD_SCENE_H

#include <stdio.h>

#include "world_attempt.h"
#include "world_journal.h"

#define CHAT_BODY(more) "{'model':'m','messages':[{'role':'user','content':'hi'}]" more "}"
/* As an answer begins, and a chunk; and as little as a whole reply may say. */
#define SAID       "'id':'c','object':'chat.completion','created':7,"
#define SAID_CHUNK "'id':'c','object':'chat.completion.chunk','created':7,"
#define CHOICES                                                                                \
    SAID "'choices':[{'index':0,'message':{'role':'assistant','content':''},'finish_reason':'" \
         "stop'}]"
#define CHAT_REPLY_OF(model)                                                                      \
    "{" SAID "'model':'" model "','choices':[{'index':0,'message':{'role':'assistant','content':" \
    "'yes'},'finish_reason':'stop'}],'usage':{'prompt_tokens':9,'completion_tokens':2,'total_"    \
    "tokens':11}}"
#define CHAT_REPLY         CHAT_REPLY_OF("real")
#define CHAT_SHOWN         CHAT_REPLY_OF("m")
#define CHUNK(model, rest) "data: {" SAID_CHUNK "'model':'" model "','choices':[" rest "}\n\n"
#define WORD(model, word) \
    CHUNK(model, "{'index':0,'delta':{'content':'" word "'},'finish_reason':null}]")
/* The same, with the role that a choice's first delta gets. */
#define FIRST(model, word) \
    CHUNK(model,           \
          "{'index':0,'delta':{'content':'" word "','role':'assistant'},'finish_reason':null}]")
#define STOP(model) CHUNK(model, "{'index':0,'delta':{},'finish_reason':'stop'}]")
#define BEGUN(model) \
    CHUNK(model, "{'index':0,'delta':{'role':'assistant'},'finish_reason':'stop'}]")
#define USAGE(model) \
    CHUNK(model, "],'usage':{'prompt_tokens':9,'completion_tokens':2,'total_tokens':11}")
#define DONE "data: [DONE]\n\n"

/* The first model server is plain, the others have certificates. */
static inline const struct attempt_peer *attempt_peer_now(const struct attempt *a)
{
    static const struct attempt_peer plain = {.address = "203.0.113.5"};
    static const struct attempt_peer secure = {.address = "2001:db8::6",
                                               .certificate = "0123456789abcdef0123456789abcde",
                                               .has_certificate = true};
    return a == a->world->attempts ? &plain : &secure;
}

static inline bool client_address(void *client, struct net_ip *out)
{
    (void)client;
    assert_true(net_ip_parse(SPAN("192.0.2.7"), out));
    return false;
}

static const struct call_client world_exchange = {.attach = client_attach,
                                                  .head = client_head,
                                                  .body_length = client_body_length,
                                                  .peer = client_peer,
                                                  .address = client_address,
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
                                                  .refuse = client_refuse};

static const struct call_ports world_ports = {
    .route = world_route,
    .mono = world_mono,
    .wall = world_wall,
    .call_id = world_call_id,
    .defer = loop_defer,
    .undefer = loop_undefer,
    .share = loop_share,
    .timer = {.set = loop_timer_set, .fini = loop_timer_fini},
    .client = &world_exchange,
    .attempt = {.prepare = attempt_make,
                .start = attempt_begin,
                .state = attempt_state_now,
                .error = attempt_error_now,
                .head = attempt_head_now,
                .pull = attempt_pull_now,
                .has_sent = attempt_was_sent,
                .first_byte = attempt_first_byte_now,
                .served_us = attempt_served_us_now,
                .blame = attempt_blame_now,
                .peer = attempt_peer_now,
                .problem = attempt_problem_now,
                .close = attempt_end,
                .finish = attempt_end},
    .keys = {.check = world_key_check, .recheck = world_key_recheck, .note = world_key_note},
    .journal = {.take = slot_take,
                .record = slot_record,
                .arm = slot_arm,
                .publish = slot_publish,
                .give_back = slot_give_back,
                .await = slot_await,
                .await_slots = slot_await_slots,
                .trouble = slot_trouble},
};

static const struct policy_price world_price = {.input_nano = 1000000,
                                                .cached_nano = 1000000,
                                                .output_nano = 3000000,
                                                .per_tokens = 10,
                                                .currency = "USD"};

/* A reply of vectors, each of `count` floats: 0.1, 0.2, 0.3 and again. As numbers, or as Base64.
 * To be freed with memory_free(). */
static inline char *world_vectors(size_t vectors, size_t count, bool is_base64)
{
    struct buf b;
    buf_init(&b, 64 << 20);
    buf_put_text(&b, "{'object':'list','model':'vectors','data':[");
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

/* As long as names may be: twice two of them are more than a record holds. */
#define TEN_TIMES(c) c c c c c c c c c c
#define LONG_NAME(c) TEN_TIMES(TEN_TIMES(c)) TEN_TIMES(TEN_TIMES(c)) TEN_TIMES(c)

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
         .total_timeout_ms = 3600000,
         .reply_bytes_max = 600000},
        {.name = "far",
         .kind = UPSTREAM_TGI,
         .url = "http://127.0.0.1:2/v1",
         .region = "eu",
         .total_timeout_ms = 3600000,
         .reply_bytes_max = 600000},
    };
    static const struct model_settings models[] = {
        {.name = "m",
         .upstream_index = 0,
         .upstream_name = "real",
         .prices = &world_price,
         .prices_count = 1,
         .aliases = {aliases, 1},
         .endpoints = POLICY_CHAT | POLICY_COMPLETIONS,
         .context_tokens = 4,
         .token_arrays = true},
        {.name = "away",
         .upstream_index = 1,
         .prices = &world_price,
         .prices_count = 1,
         .endpoints = POLICY_CHAT | POLICY_COMPLETIONS,
         .token_arrays = true},
        {.name = "any/*",
         .is_pattern = true,
         .upstream_index = 0,
         .prices = &world_price,
         .prices_count = 1,
         .endpoints = POLICY_CHAT},
        {.name = LONG_NAME("a"),
         .upstream_index = 0,
         .upstream_name = LONG_NAME("b"),
         .prices = &world_price,
         .prices_count = 1,
         .endpoints = POLICY_CHAT},
        {.name = LONG_NAME("c"),
         .upstream_index = 1,
         .upstream_name = LONG_NAME("d"),
         .prices = &world_price,
         .prices_count = 1,
         .endpoints = POLICY_CHAT},
        {.name = "bounded",
         .upstream_index = 0,
         .prices = &world_price,
         .prices_count = 1,
         .endpoints = POLICY_CHAT,
         .context_tokens = 40,
         .max_output = 7},
        {.name = "vectors",
         .upstream_index = 0,
         .prices = &world_price,
         .prices_count = 1,
         .endpoints = POLICY_EMBEDDINGS,
         .token_arrays = false},
    };
    static const struct policy_settings settings = {.zone = "riyadh",
                                                    .region = "sa",
                                                    .models = models,
                                                    .models_count = ROWS(models),
                                                    .cors = {{origins, 1}, 60},
                                                    .calls_max = 2,
                                                    .stream_head_hold_ms = 15000,
                                                    .ping_interval_ms = 15000};
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

/* A model server answers: its head, and as many bytes of its body. Or it fails, as the script
 * wants it. */
static inline void attempt_answers(struct attempt *a, size_t body_bytes)
{
    struct world *w = a->world;
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

static inline void server_answers(struct world *w, size_t body_bytes)
{
    attempt_answers(last_attempt(w), body_bytes);
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

/* Whether a text of the record is this. */
static inline bool says(const struct journal_record *r, enum journal_text which, const char *text)
{
    return span_is(journal_record_text(r, which), text);
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
        struct span said = journal_record_text(&w->completion, JOURNAL_TEXT_ERROR);
        if (!span_is(said, error == ERR_OK ? "" : err_name(error))) {
            fail_msg("%s: recorded %.*s", why, SPAN_ARGS(said));
        }
    }
}

static inline void world_close(struct world *w)
{
    assert_true(w->client.end != STILL_OPEN);
    assert_true(w->started <= w->intents && w->intents <= w->prepared);
    assert_int_equal(w->attempts_open, 0);
    assert_null(world_timer(w));
    if (w->completions == 1) {
        assert_int_equal(w->completion.attempt, w->intents);
        assert_int_equal(w->completion.attempts_sent, w->sent);
        /* It speaks for one try. */
        bool has_peer = journal_record_text(&w->completion, JOURNAL_TEXT_PEER).len != 0;
        assert_true(has_peer == (w->sent > 0) || w->others[0] != NULL);
        assert_true(w->sent > 0 || (w->completion.tokens_in == 0 && w->completion.tokens_out == 0 &&
                                    w->completion.cost_nano == 0));
    }
    unsigned calls = w->calls == 0 ? 1 : w->calls;
    assert_int_equal(w->intents, w->completions == 0 || w->intents == 0 ? 0 : w->try_ends + calls);
    assert_int_equal(w->slots_held, 0);
    assert_true(w->completions <= calls && w->arms <= calls && w->arms <= w->completions);
    assert_true(w->intents == 0 || w->completions == calls);
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
