/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_whole.c — calls whose answer is one reply, from the head to the journal. */
#include "world_scene.h"

static struct world w;

static void a_call_is_answered_and_recorded(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].body = CHAT_REPLY;
    world_request_lines(&w, "/v1/chat/completions",
                        USUAL_LINES "traceparent: 00-1-2-3\r\nX-Stainless-Lang: js\r\n"
                                    "Origin: https://app.example\r\nCookie: a=b\r\n",
                        CHAT_BODY(",'max_tokens':5,'routing':{'profile':'cost'}"), ALL_OF_IT);
    assert_true(w.started == 1 && w.client.continued == 1 && w.client.end == STILL_OPEN);
    world_expect("the request", span_of(w.attempts[0].sent),
                 "/chat/completions\n{'model':'real','messages':[{'role':'user','content':'hi'}],"
                 "'max_tokens':5}");
    world_expect("its lines", span_of(w.attempts[0].fields),
                 "Content-Type: application/json\r\nAccept: application/json\r\n"
                 "traceparent: 00-1-2-3\r\n");
    assert_string_equal(w.attempts[0].id, "01ABCDEFGHJKMNPQRSTVWXYZ00");
    assert_string_equal(w.attempts[0].owner, "key000000001");
    assert_true(w.intent.tokens_reserved > 5 && w.intent.attempt == 1);
    assert_true(says(&w.intent, JOURNAL_TEXT_UPSTREAM, "near"));
    w.now_us += 250000;
    server_answers(&w, ALL_OF_IT);
    expect_end("a call", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("the reply", world_reply(&w), CHAT_SHOWN);

    struct span fields = buf_span(&w.client.fields);
    assert_true(world_holds(fields, "x-request-id: 01ABCDEFGHJKMNPQRSTVWXYZ00\r\n"));
    assert_true(world_holds(fields, "X-Audit-Trace-ID: 01ABCDEFGHJKMNPQRSTVWXYZ00\r\n"));
    assert_true(world_holds(fields, "X-Sovereign-ID: riyadh\r\n"));
    assert_true(world_holds(fields, "X-Route-Policy: direct\r\n"));
    assert_true(world_holds(fields, "X-Data-Residency: sa\r\n"));
    assert_true(world_holds(fields, "Access-Control-Allow-Origin: https://app.example\r\n"));
    assert_true(world_holds(fields, "Content-Type: application/json\r\n"));

    const struct journal_record *r = &w.completion;
    assert_true(r->tokens_in == 9 && r->tokens_out == 2 && !r->tokens_in_estimated &&
                !r->tokens_out_estimated && r->status == 200 && r->stream == 0);
    assert_int_equal(r->cost_nano, (9 * 1000000 + 2 * 3000000) / 10);
    assert_int_equal(r->bytes_out, world_reply(&w).len);
    assert_int_equal(r->bytes_in, w.client.body.len);
    assert_int_equal(r->ended_ms - r->started_ms, 250);
    assert_int_equal(r->first_byte_ms - r->started_ms, 250);
    assert_true(says(r, JOURNAL_TEXT_KEY, "key000000001"));
    assert_true(says(r, JOURNAL_TEXT_MODEL, "m"));
    assert_true(says(r, JOURNAL_TEXT_UPSTREAM_MODEL, "real"));
    assert_true(says(r, JOURNAL_TEXT_REGION, "sa"));
    assert_true(says(r, JOURNAL_TEXT_ZONE, "z1"));
    assert_true(says(r, JOURNAL_TEXT_PEER, "203.0.113.5"));
    assert_true(says(r, JOURNAL_TEXT_POLICY, "direct"));
    world_close(&w);
}

/* What each endpoint sends and answers. */
static const struct {
    const char *why, *path, *body, *sent, *answer, *reply;
} endpoints[] = {
    {"an alias is answered as the model", "/v1/chat/completions",
     "{'model':'nick','messages':[{}]}", "/chat/completions\n{'model':'real','messages':[{}]}",
     "{" CHOICES "}", "{" CHOICES ",'model':'m'}"},
    {"completions", "/v1/completions", "{'model':'m','prompt':[1,2]}",
     "/completions\n{'model':'real','prompt':[1,2]}", "{'choices':[{'index':0,'text':'x'}]}",
     "{'choices':[{'index':0,'text':'x','finish_reason':'stop'}],'id':'cmpl-"
     "01ABCDEFGHJKMNPQRSTVWXYZ00','object':'text_completion','created':1790000001,'model':'m'}"},
    {"embeddings in Base64 from numbers", "/v1/embeddings",
     "{'model':'vectors','input':['a'],'encoding_format':'base64'}",
     "/embeddings\n{'model':'vectors','input':['a'],'encoding_format':'base64'}",
     "{'data':[{'index':0,'embedding':[1.5,-2]}],'model':'vectors'}",
     "{'data':[{'index':0,'embedding':'AADAPwAAAMA='}],'model':'vectors','object':'list'}"},
    {"a server that wants arrays and one bound", "/v1/chat/completions",
     "{'model':'away','messages':[{'role':'developer'}],'stop':'x','max_tokens':2,"
     "'max_completion_tokens':3}",
     "/chat/completions\n{'model':'away','messages':[{'role':'system'}],'stop':['x'],"
     "'max_completion_tokens':3}",
     "{" CHOICES "}", "{" CHOICES ",'model':'away'}"},
};

static void each_endpoint_is_served_in_its_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(endpoints); i++) {
        world_open(&w);
        w.durable = 1;
        w.scripts[0].body = endpoints[i].answer;
        world_request(&w, endpoints[i].path, endpoints[i].body);
        world_expect(endpoints[i].why, span_of(last_attempt(&w)->sent), endpoints[i].sent);
        server_answers(&w, ALL_OF_IT);
        expect_end(endpoints[i].why, &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_expect(endpoints[i].why, world_reply(&w), endpoints[i].reply);
        world_close(&w);
    }
}

static void a_chunked_body_may_be_cut_anywhere(void **state)
{
    (void)state;
    size_t len = strlen(CHAT_BODY(""));
    for (size_t cut = 0; cut <= len; cut++) {
        world_open(&w);
        w.client.is_chunked = true;
        w.scripts[0].body = CHAT_REPLY;
        world_request_lines(&w, "/v1/chat/completions", USUAL_LINES, CHAT_BODY(""), cut);
        assert_int_equal(w.started, cut == len ? 1 : 0);
        client_sends(&w, ALL_OF_IT);
        assert_int_equal(w.started, 1);
        server_answers(&w, cut);
        server_sends(&w, ALL_OF_IT);
        expect_end("cut", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_expect("the reply", world_reply(&w), CHAT_SHOWN);
        world_close(&w);
    }
}

/* A text of `len` bytes between two others. */
static char *long_text(const char *before, size_t len, const char *behind)
{
    struct buf b;
    buf_init(&b, len + 10000);
    buf_put_text(&b, before);
    for (size_t i = 0; i < len; i++) {
        buf_put_byte(&b, 'x');
    }
    buf_put_text(&b, behind);
    buf_put_byte(&b, 0);
    assert_false(buf_failed(&b));
    return (char *)b.at;
}

static void large_bodies_and_replies_pass_whole(void **state)
{
    (void)state;
    char *body = long_text("{'model':'m','messages':[{}],'x':'", 1000000, "'}");
    char *reply = long_text("{" CHOICES ",'model':'m','x':'", 590000, "'}");
    for (int is_chunked = 0; is_chunked < 2; is_chunked++) {
        world_open(&w);
        w.client.is_chunked = is_chunked == 1;
        w.scripts[0].body = reply;
        world_request_lines(&w, "/v1/chat/completions", USUAL_LINES, body, 300000);
        client_sends(&w, ALL_OF_IT);
        assert_true(memory_taken() >= 1000000);
        server_answers(&w, 400000);
        server_sends(&w, ALL_OF_IT);
        expect_end("large", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_expect("the reply", world_reply(&w), reply);
        assert_int_equal(w.completion.bytes_in, strlen(body));
        world_close(&w);
    }
    memory_free(body);
    memory_free(reply);
}

static void what_nobody_counted_is_estimated(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].body = "{'choices':[{'message':{'content':'abcdefghi'}}]}";
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, ALL_OF_IT);
    expect_end("estimated", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    const struct journal_record *r = &w.completion;
    assert_true(r->tokens_in > 0 && r->tokens_in_estimated && r->tokens_out == 3 &&
                r->tokens_out_estimated);
    world_close(&w);
}

/* Errors that the caller can mend: the server's own words, ours where it has none. */
static const struct {
    const char *why;
    int status;
    const char *body, *reply;
} relayed[] = {
    {"400", 400,
     "{'error':{'message':'m','type':'invalid_request_error','param':'model','code':'code_400'}}",
     "{'error':{'message':'m','type':'invalid_request_error','param':'model','code':'code_400'}}"},
    {"413", 413, "{'error':{'message':'m','type':'t','param':'p','code':'code_413'}}",
     "{'error':{'message':'m','type':'t','param':'p','code':'code_413'}}"},
    {"422", 422, "{'error':{'message':'m','type':'t','param':null,'code':'code_422'}}",
     "{'error':{'message':'m','type':'t','param':null,'code':'code_422'}}"},
    {"no code", 400, "{'error':{'message':'m','type':'BadRequestError','param':'n','code':400}}",
     "{'error':{'message':'m','type':'BadRequestError','param':'n','code':'invalid_value'}}"},
    {"no type", 422, "{'error':{'message':'m','code':'c'}}",
     "{'error':{'message':'m','type':'invalid_request_error','param':null,'code':'c'}}"},
};

static void an_error_that_the_caller_can_mend_keeps_the_servers_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(relayed) * 2; i++) {
        bool is_stream = i % 2 == 1;
        world_open(&w);
        w.scripts[0] = (struct script){.status = relayed[i / 2].status,
                                       .type = "application/json",
                                       .body = relayed[i / 2].body};
        world_chat(&w, is_stream ? CHAT_BODY(",'stream':true") : CHAT_BODY(""));
        server_answers(&w, ALL_OF_IT);
        assert_int_equal(w.client.status, relayed[i / 2].status);
        world_expect(relayed[i / 2].why, world_reply(&w), relayed[i / 2].reply);
        assert_true(world_holds(buf_span(&w.client.fields), "Content-Type: application/json\r\n"));
        assert_true(world_holds(buf_span(&w.client.fields), "x-request-id: "));
        assert_int_equal(w.completion.outcome, JOURNAL_OUTCOME_FAILED);
        assert_int_equal(w.completion.status, relayed[i / 2].status);
        world_close(&w);
    }
}

static void a_model_that_a_pattern_let_through_and_the_server_lacks_is_404(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{'error':{'message':'model not found','type':'api_error','param':null,'code':null}}",
        "{'object':'error','message':'The model `x` does not exist.','type':'NotFoundError',"
        "'param':null,'code':404}",
        "{'error':{'message':'The model `x` does not "
        "exist.','type':'NotFoundError','param':'model',"
        "'code':404}}",
    };
    for (size_t i = 0; i < ROWS(bodies) * 2; i++) {
        const char *more = i % 2 == 1 ? ",'stream':true" : "";
        char body[128];
        (void)snprintf(body, sizeof(body),
                       "{'model':'any/x','messages':[{'role':'user','content':'hi'}]%s}", more);
        world_open(&w);
        w.scripts[0] =
            (struct script){.status = 404, .type = "application/json", .body = bodies[i / 2]};
        world_chat(&w, body);
        server_answers(&w, ALL_OF_IT);
        expect_end(bodies[i / 2], &w, REFUSED, ERR_MODEL_UNKNOWN, JOURNAL_OUTCOME_FAILED);
        world_expect("param", buf_span(&w.client.param), "model");
        assert_true(world_holds(buf_span(&w.client.message), "any/x"));
        world_close(&w);

        world_open(&w); /* a name of the configuration is the operator's */
        w.scripts[0] =
            (struct script){.status = 404, .type = "application/json", .body = bodies[i / 2]};
        (void)snprintf(body, sizeof(body),
                       "{'model':'m','messages':[{'role':'user','content':'hi'}]%s}", more);
        world_chat(&w, body);
        server_answers(&w, ALL_OF_IT);
        expect_end(bodies[i / 2], &w, REFUSED, ERR_UPSTREAM_MODEL, JOURNAL_OUTCOME_FAILED);
        world_close(&w);
    }
}

/* Answers that are no success, or no answer. The model is at a vLLM. */
static const struct {
    const char *why;
    struct script script;
    enum err error;
    const char *message, *param, *line; /* a part of the header lines, or "" */
} failures[] = {
    {"a bad request is relayed",
     {.status = 400, .body = "{'error':{'message':'top_p?','param':'top_p','code':400}}"},
     ERR_UPSTREAM_REQUEST,
     "top_p?",
     "top_p",
     ""},
    {"too long",
     {.status = 400, .body = "{'error':{'message':'maximum context length is 4'}}"},
     ERR_CONTEXT_LENGTH,
     "maximum context length is 4",
     "",
     ""},
    {"too large",
     {.status = 413, .body = "{'error':{'message':'big'}}"},
     ERR_UPSTREAM_TOO_LONG,
     "big",
     "",
     ""},
    {"unprocessable",
     {.status = 422, .body = "{'error':'odd','error_type':'validation'}"},
     ERR_UPSTREAM_UNPROCESSABLE,
     "odd",
     "",
     ""},
    {"our key",
     {.status = 401, .body = "{'error':'secret words'}"},
     ERR_UPSTREAM_REFUSED,
     "",
     "",
     ""},
    {"our rights", {.status = 403, .body = "{}"}, ERR_UPSTREAM_REFUSED, "", "", ""},
    {"our name for the model",
     {.status = 404, .body = "{'error':{'message':'secret'}}"},
     ERR_UPSTREAM_REFUSED,
     "",
     "",
     ""},
    {"a redirect", {.status = 302, .body = ""}, ERR_UPSTREAM_REFUSED, "", "", ""},
    {"busy",
     {.status = 429, .lines = "Retry-After: 7\r\n", .body = "{}"},
     ERR_UPSTREAM_BUSY,
     "",
     "",
     "Retry-After: 7\r\n"},
    {"busy for a fraction more",
     {.status = 429, .lines = "Retry-After: 7.2\r\n", .body = "{}"},
     ERR_UPSTREAM_BUSY,
     "",
     "",
     "Retry-After: 8\r\n"},
    {"an empty account",
     {.status = 429,
      .lines = "Retry-After: 7\r\n",
      .body = "{'error':{'message':'secret','type':'insufficient_quota',"
              "'code':'insufficient_quota'}}"},
     ERR_UPSTREAM_QUOTA,
     "",
     "",
     ""},
    {"busy for long",
     {.status = 429, .lines = "Retry-After: 700\r\n", .body = "no"},
     ERR_UPSTREAM_BUSY,
     "",
     "",
     "Retry-After: 60\r\n"},
    {"unavailable", {.status = 503, .body = "no"}, ERR_UPSTREAM_STATUS, "", "", ""},
    {"broken",
     {.status = 500, .type = "text/html", .body = "<html>"},
     ERR_UPSTREAM_STATUS,
     "",
     "",
     ""},
    {"an error of status 200",
     {.body = "{'error':{'message':'no','code':400}}"},
     ERR_UPSTREAM_REQUEST,
     "no",
     "",
     ""},
    {"a flat error of status 200",
     {.body = "{'object':'error','message':'no','code':500}"},
     ERR_UPSTREAM_STATUS,
     "",
     "",
     ""},
    {"not JSON", {.body = "{'choices':["}, ERR_UPSTREAM_JSON, "", "", ""},
    {"nothing", {.body = ""}, ERR_UPSTREAM_JSON, "", "", ""},
    {"an event stream unasked",
     {.type = "text/event-stream", .body = DONE},
     ERR_UPSTREAM_JSON,
     "",
     "",
     ""},
    {"another form", {.body = "{'data':[]}"}, ERR_UPSTREAM_JSON, "", "", ""},
    {"cut", {.body = CHAT_REPLY, .broken = ERR_UPSTREAM_CLOSED}, ERR_UPSTREAM_CLOSED, "", "", ""},
    {"too slow", {.fail = ERR_UPSTREAM_TIMEOUT}, ERR_UPSTREAM_TIMEOUT, "", "", ""},
    {"not there", {.fail = ERR_UPSTREAM_CONNECT}, ERR_UPSTREAM_CONNECT, "", "", ""},
    {"not HTTP", {.fail = ERR_UPSTREAM_PROTOCOL}, ERR_UPSTREAM_PROTOCOL, "", "", ""},
};

static void a_failure_of_the_model_server_is_told_in_our_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(failures); i++) {
        const char *why = failures[i].why;
        world_open(&w);
        w.scripts[0] = failures[i].script;
        world_chat(&w, CHAT_BODY(""));
        server_answers(&w, 3);
        if (w.client.end == STILL_OPEN) {
            server_sends(&w, ALL_OF_IT);
        }
        expect_end(why, &w, REFUSED, failures[i].error, JOURNAL_OUTCOME_FAILED);
        world_expect(why, buf_span(&w.client.message), failures[i].message);
        world_expect(why, buf_span(&w.client.param), failures[i].param);
        assert_true(world_holds(buf_span(&w.client.fields), failures[i].line));
        assert_int_equal(world_holds(buf_span(&w.client.fields), "Retry-After"),
                         failures[i].line[0] != '\0');
        assert_int_equal(w.completion.status, err_row(failures[i].error)->status);
        world_close(&w);
    }
}

static void a_reply_past_its_bound_is_refused(void **state)
{
    (void)state;
    char *reply = long_text("{" CHOICES ",'x':'", 600000, "'}");
    world_open(&w);
    w.scripts[0].body = reply;
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, ALL_OF_IT);
    expect_end("too large", &w, REFUSED, ERR_UPSTREAM_TOO_LARGE, JOURNAL_OUTCOME_FAILED);
    world_close(&w);
    memory_free(reply);
}

static void a_stale_connection_is_tried_anew_once_with_its_own_intent(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].fail = ERR_UPSTREAM_STALE;
    w.scripts[1].body = CHAT_REPLY;
    world_chat(&w, CHAT_BODY(""));
    assert_false(w.attempts[0].fresh);
    server_answers(&w, 0);
    assert_true(w.started == 2 && w.intents == 2 && w.attempts_open == 1 && w.attempts[1].fresh);
    assert_string_equal(w.attempts[0].sent, w.attempts[1].sent);
    assert_int_equal(w.intent.attempt, 2);
    server_answers(&w, ALL_OF_IT);
    expect_end("stale", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    assert_int_equal(w.completion.attempt, 2);
    world_close(&w);

    world_open(&w);
    w.scripts[0].fail = w.scripts[1].fail = ERR_UPSTREAM_STALE;
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, 0);
    server_answers(&w, 0);
    assert_int_equal(w.started, 2);
    expect_end("stale twice", &w, REFUSED, ERR_UPSTREAM_CLOSED, JOURNAL_OUTCOME_FAILED);
    world_close(&w);
}

static void an_attempt_that_cannot_be_prepared_has_no_intent(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].prepare = ERR_OVERLOADED;
    world_chat(&w, CHAT_BODY(""));
    expect_end("no room", &w, REFUSED, ERR_OVERLOADED, JOURNAL_OUTCOME_REFUSED);
    assert_true(w.intents == 0 && w.completion.attempt == 0);
    world_close(&w);

    world_open(&w);
    w.scripts[0].fail = ERR_UPSTREAM_STALE;
    w.scripts[1].prepare = ERR_NO_MEMORY;
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, 0);
    expect_end("no room for a second", &w, REFUSED, ERR_NO_MEMORY, JOURNAL_OUTCOME_FAILED);
    assert_true(w.intents == 1 && w.completion.attempt == 1);
    world_close(&w);
}

static void an_attempt_that_never_had_a_connection_is_not_counted_as_sent(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0] = (struct script){.fail = ERR_UPSTREAM_CONNECT, .unsent = true};
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, 0);
    expect_end("no connection", &w, REFUSED, ERR_UPSTREAM_CONNECT, JOURNAL_OUTCOME_FAILED);
    assert_true(w.completion.attempt == 1 && w.completion.attempts_sent == 0);
    world_close(&w);

    world_open(&w);
    w.scripts[0].fail = ERR_UPSTREAM_STALE;
    w.scripts[1] = (struct script){.fail = ERR_UPSTREAM_CONNECT, .unsent = true};
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, 0);
    server_answers(&w, 0);
    expect_end("no second connection", &w, REFUSED, ERR_UPSTREAM_CONNECT, JOURNAL_OUTCOME_FAILED);
    assert_true(w.completion.attempt == 2 && w.completion.attempts_sent == 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_answered_and_recorded),
        cmocka_unit_test(each_endpoint_is_served_in_its_form),
        cmocka_unit_test(a_chunked_body_may_be_cut_anywhere),
        cmocka_unit_test(large_bodies_and_replies_pass_whole),
        cmocka_unit_test(what_nobody_counted_is_estimated),
        cmocka_unit_test(an_error_that_the_caller_can_mend_keeps_the_servers_code),
        cmocka_unit_test(a_model_that_a_pattern_let_through_and_the_server_lacks_is_404),
        cmocka_unit_test(a_failure_of_the_model_server_is_told_in_our_words),
        cmocka_unit_test(a_reply_past_its_bound_is_refused),
        cmocka_unit_test(a_stale_connection_is_tried_anew_once_with_its_own_intent),
        cmocka_unit_test(an_attempt_that_cannot_be_prepared_has_no_intent),
        cmocka_unit_test(an_attempt_that_never_had_a_connection_is_not_counted_as_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
