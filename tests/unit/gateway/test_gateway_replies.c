/* SPDX-License-Identifier: Apache-2.0 */
/* test_gateway_replies.c — what is answered without a model server. */
#include "call/world_scene.h"

#include "gateway/gateway_replies.h"

static struct world w;

#define KEY  "Authorization: Bearer k1\r\n"
#define PAGE "Origin: https://app.example\r\n"
#define MODEL(id) \
    "{'id':'" id "','object':'model','created':0,'owned_by':'atlas','max_model_len':4}"

static const struct row {
    const char *why, *target, *lines;
    int status;
    enum err error; /* of a refusal */
    const char *line, *body;
} rows[] = {
    {"health needs no key", "GET /healthz", "", 200, ERR_OK, "Cache-Control: no-store\r\n",
     "{'status':'ok'}"},
    {"ready", "GET /readyz", "", 200, ERR_OK, "application/json", "{'status':'ok'}"},
    {"a query does not matter", "GET /healthz?x=/y", "", 200, ERR_OK, "", "{'status':'ok'}"},
    {"one model", "GET /v1/models/m", KEY, 200, ERR_OK, "X-Sovereign-ID: riyadh\r\n", MODEL("m")},
    {"an alias", "GET /v1/models/n%69ck", KEY, 200, ERR_OK, "application/json", MODEL("nick")},
    {"no model", "GET /v1/models/x", KEY, 404, ERR_MODEL_UNKNOWN, "x-request-id: 01ABC", ""},
    {"a path in place of a model", "GET /v1/models/..%2Fm", KEY, 404, ERR_MODEL_UNKNOWN, "", ""},
    {"models without a key", "GET /v1/models", "", 401, ERR_KEY_MISSING, "", ""},
    {"budgets without a key", "GET /v1/budget", "", 401, ERR_KEY_MISSING, "", ""},
    {"budgets where there are none", "GET /v1/budget", KEY, 200, ERR_OK,
     "Cache-Control: no-store\r\n", "{'object':'list','data':[]}"},
    {"one model without a key", "GET /v1/models/m", "", 401, ERR_KEY_MISSING, "", ""},
    {"no endpoint", "GET /v1/nothing", KEY, 404, ERR_ROUTE_UNKNOWN, "x-request-id: 01ABC", ""},
    {"no endpoint, no key", "POST /v1/responses", "", 404, ERR_ROUTE_UNKNOWN, "", ""},
    {"another method", "GET /v1/chat/completions", KEY, 405, ERR_METHOD_NOT_ALLOWED,
     "Allow: POST, OPTIONS\r\n", ""},
    {"a page sees errors too", "GET /v1/nothing", PAGE, 404, ERR_ROUTE_UNKNOWN,
     "Access-Control-Allow-Origin: https://app.example\r\n", ""},
    {"a preflight", "OPTIONS /v1/chat/completions", PAGE "Access-Control-Request-Method: POST\r\n",
     204, ERR_OK, "Access-Control-Max-Age: 60\r\n", ""},
    {"a preflight of an endpoint that is not there", "OPTIONS /v1/nothing",
     PAGE "Access-Control-Request-Method: POST\r\n", 204, ERR_OK,
     "Access-Control-Allow-Origin: https://app.example\r\n", ""},
    {"a preflight of another page", "OPTIONS /v1/models",
     "Origin: https://x.example\r\nAccess-Control-Request-Method: GET\r\n", 204, ERR_OK,
     "Allow: GET, HEAD, OPTIONS\r\n", ""},
    {"which methods there are", "OPTIONS /v1/embeddings", "", 204, ERR_OK,
     "Allow: POST, OPTIONS\r\n", ""},
    {"of all endpoints", "OPTIONS *", "", 204, ERR_OK, "Allow: GET, HEAD, POST, OPTIONS\r\n", ""},
    {"of one that is not there", "OPTIONS /v1/nothing", "", 404, ERR_ROUTE_UNKNOWN, "", ""},
    {"a name that is no text", "GET /v1/models/any/%E9", KEY, 404, ERR_MODEL_UNKNOWN, "", ""},
    {"a name that a pattern matches", "GET /v1/models/any/%C3%A9", KEY, 200, ERR_OK, "",
     "{'id':'any/\xc3\xa9','object':'model','created':0,'owned_by':'atlas'}"},
};

static void what_needs_no_model_server_is_answered_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        world_open(&w);
        gateway_reply(&w.shared, true, 0, world_client(&w, rows[i].target, rows[i].lines, NULL));
        const struct exchange *x = &w.client;
        if (x->status != rows[i].status || x->error != rows[i].error ||
            x->end != (rows[i].error == ERR_OK ? FINISHED : REFUSED) ||
            !world_holds(buf_span(&x->fields), rows[i].line)) {
            fail_msg("%s: %d %s\n%.*s", rows[i].why, x->status, err_name(x->error),
                     SPAN_ARGS(buf_span(&x->fields)));
        }
        world_expect(rows[i].why, world_reply(&w), rows[i].body);
        world_close(&w);
    }
}

static void the_models_are_listed(void **state)
{
    (void)state;
    world_open(&w);
    gateway_reply(&w.shared, true, 0, world_client(&w, "GET /v1/models", KEY, NULL));
    assert_int_equal(w.client.end, FINISHED);
    assert_true(span_equal(world_reply(&w), w.policy->models_json));
    world_close(&w);
}

static void a_key_without_the_scope_sees_no_models(void **state)
{
    (void)state;
    world_open(&w);
    w.scopes = KEY_SCOPE_CHAT;
    gateway_reply(&w.shared, true, 0, world_client(&w, "GET /v1/models", KEY, NULL));
    assert_int_equal(w.client.error, ERR_SCOPE_DENIED);
    world_close(&w);
}

static void a_gateway_that_starts_or_stops_is_not_ready(void **state)
{
    (void)state;
    for (int is_draining = 0; is_draining < 2; is_draining++) {
        world_open(&w);
        w.shared.draining = is_draining == 1;
        gateway_reply(&w.shared, is_draining == 1, 0, world_client(&w, "GET /readyz", "", NULL));
        assert_int_equal(w.client.status, 503);
        world_close(&w);
        world_open(&w);
        w.shared.draining = is_draining == 1;
        gateway_reply(&w.shared, false, 0, world_client(&w, "GET /healthz", "", NULL));
        assert_int_equal(w.client.status, 200);
        world_close(&w);
    }
}

/* Every route but health takes of what the address may ask; one beyond it is 429, with headers. */
static void an_address_that_asks_too_often_is_told_when_it_may_again(void **state)
{
    (void)state;
    static const char *const targets[] = {"GET /v1/models", "GET /nothing", "OPTIONS /v1/models",
                                          "POST /v1/chat/completions"};
    for (size_t i = 0; i < ROWS(targets); i++) {
        struct limits_gate *gate;
        assert_int_equal(limits_gate_open(&gate), ERR_OK);
        for (int request = 0; request < 2; request++) {
            world_open(&w);
            w.shared.gate = gate;
            w.shared.gate_terms.address = limits_gate_rate_of(6, 1);
            for (int look = 0; look < 10; look++) {
                gateway_reply(&w.shared, true, 0, world_client(&w, "GET /healthz", "", NULL));
                assert_int_equal(w.client.status, 200);
                world_close(&w);
                world_open(&w);
                w.shared.gate = gate;
                w.shared.gate_terms.address = limits_gate_rate_of(6, 1);
            }
            const char *target = request == 0 ? "GET /nothing" : targets[i];
            gateway_reply(&w.shared, true, 0, world_client(&w, target, KEY, NULL));
            assert_int_equal(w.client.error,
                             request == 0 ? ERR_ROUTE_UNKNOWN : ERR_REQUESTS_LIMITED);
            struct span fields = buf_span(&w.client.fields);
            assert_int_equal(world_holds(fields, "Retry-After: 10\r\n"), request == 1);
            assert_int_equal(world_holds(fields, "X-RateLimit-Limit: 6\r\n"), request == 1);
            assert_int_equal(world_holds(fields, "X-RateLimit-Remaining: 0\r\n"), request == 1);
            world_close(&w);
        }
        limits_gate_close(&gate);
    }
}

static void a_call_begins_where_a_body_is_needed(void **state)
{
    (void)state;
    world_open(&w);
    struct exchange *x =
        world_client(&w, "POST /v1/chat/completions?api-version=1", KEY, CHAT_BODY(""));
    x->arrived = x->body.len;
    w.is_call = true;
    w.scripts[0].body = CHAT_REPLY;
    gateway_reply(&w.shared, true, 0, x);
    server_answers(&w, ALL_OF_IT);
    expect_end("a call", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_close(&w);
}

static void a_path_that_is_not_there_is_named_and_its_usual_cause_said(void **state)
{
    (void)state;
    static const struct {
        const char *target, *message;
    } paths[] = {
        {"GET /v1/nothing?key=x", "there is no endpoint /v1/nothing on this gateway"},
        {"POST /v1/v1/chat/completions",
         "there is no endpoint /v1/v1/chat/completions on this gateway: the client's base_url "
         "already ends with /v1, and /v1 was added once more"},
        {"POST /chat/completions", "there is no endpoint /chat/completions on this gateway: the "
                                   "client's base_url must end with /v1"},
        {"GET /models/m", "there is no endpoint /models/m on this gateway: the client's base_url "
                          "must end with /v1"},
        {"GET /%22%0A", "there is no endpoint /%22%0A on this gateway"},
    };
    for (size_t i = 0; i < ROWS(paths); i++) {
        world_open(&w);
        gateway_reply(&w.shared, true, 0, world_client(&w, paths[i].target, KEY, NULL));
        assert_int_equal(w.client.error, ERR_ROUTE_UNKNOWN);
        if (!span_is(buf_span(&w.client.message), paths[i].message)) {
            fail_msg("%s: %.*s", paths[i].target, SPAN_ARGS(buf_span(&w.client.message)));
        }
        world_close(&w);
    }
    char target[1200] = "GET /";
    memset(target + 5, 'x', 1000);
    world_open(&w);
    gateway_reply(&w.shared, true, 0, world_client(&w, target, KEY, NULL));
    assert_true(buf_span(&w.client.message).len < 200);
    assert_true(world_holds(buf_span(&w.client.message), "xxx... on this gateway"));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_needs_no_model_server_is_answered_at_once),
        cmocka_unit_test(the_models_are_listed),
        cmocka_unit_test(a_key_without_the_scope_sees_no_models),
        cmocka_unit_test(a_gateway_that_starts_or_stops_is_not_ready),
        cmocka_unit_test(an_address_that_asks_too_often_is_told_when_it_may_again),
        cmocka_unit_test(a_call_begins_where_a_body_is_needed),
        cmocka_unit_test(a_path_that_is_not_there_is_named_and_its_usual_cause_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
