/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_stream.c — answers that come event by event. */
#include "world_scene.h"

static struct world w;

#define ASKED   CHAT_BODY(",'stream':true")
#define COUNTED CHAT_BODY(",'stream':true,'stream_options':{'include_usage':true}")

static void a_stream_is_forwarded_event_by_event(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].body = WORD("real", "Hel") WORD("real", "lo") STOP("real") USAGE("real") DONE;
    world_request_lines(&w, "/v1/chat/completions", USUAL_LINES "Origin: https://app.example\r\n",
                        ASKED, ALL_OF_IT);
    world_expect("the request", span_of(w.attempts[0].sent),
                 "/chat/completions\n{'model':'real','messages':[{'role':'user','content':'hi'}],"
                 "'stream':true,'stream_options':{'include_usage':true}}");
    assert_true(world_holds(span_of(w.attempts[0].fields), "Accept: text/event-stream\r\n"));
    assert_true(memory_taken() > 0);
    server_answers(&w, 0);
    assert_int_equal(w.client.status, 0); /* nothing is promised before the first event */
    assert_int_equal(memory_taken(), 0);  /* and the body is given back */
    server_sends_until(&w, "\n\n");
    assert_true(w.client.status == 200 && w.client.length == UINT64_MAX);
    world_expect("one event", world_reply(&w), FIRST("m", "Hel"));
    server_sends_until(&w, "\n\n");
    world_expect("two", world_reply(&w), FIRST("m", "Hel") WORD("m", "lo"));
    server_sends(&w, ALL_OF_IT);
    expect_end("a stream", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("all", world_reply(&w), FIRST("m", "Hel") WORD("m", "lo") STOP("m") DONE);

    struct span fields = buf_span(&w.client.fields);
    assert_true(world_holds(fields, "Content-Type: text/event-stream; charset=utf-8\r\n"));
    assert_true(world_holds(fields, "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"));
    assert_true(world_holds(fields, "X-Data-Residency: sa\r\n"));
    assert_true(world_holds(fields, "Access-Control-Allow-Origin: https://app.example\r\n"));
    const struct journal_record *r = &w.completion;
    assert_true(r->stream == 1 && r->tokens_in == 9 && r->tokens_out == 2 &&
                !r->tokens_in_estimated && !r->tokens_out_estimated);
    assert_int_equal(r->bytes_out, world_reply(&w).len);
    world_close(&w);
}

/* Streams, and what the client gets of them wherever they are cut. */
static const struct {
    const char *why, *request, *stream, *reply;
} streams[] = {
    {"usage for who asked", COUNTED, WORD("real", "a") STOP("real") USAGE("real") DONE,
     FIRST("m", "a") STOP("m") USAGE("m") DONE},
    {"comments keep a connection alive", ASKED,
     ": x\n\n" WORD("real", "a") ": y\nevent: ping\n\n" STOP("real") "retry: 5\n\n" DONE,
     FIRST("m", "a") ": keep-alive\n\n" STOP("m") ": keep-alive\n\n" DONE},
    {"line ends of all kinds", ASKED,
     "data:{" SAID_CHUNK
     "'choices':[{'index':0,'delta':{},\r\ndata: 'finish_reason':'stop'}]}\r\n\r\n"
     "id: 1\rdata: [DONE]\r\r",
     "data: {" SAID_CHUNK
     "'choices':[{'index':0,'delta':{'role':'assistant'}, 'finish_reason':'stop'}],"
     "'model':'m'}\n\n" DONE},
    {"an event of many lines is one of one", ASKED,
     "data: {\ndata: " SAID_CHUNK
     "'choices':[\ndata:\ndata: {'index':0,'delta':{'content':'\\n'},\n"
     "data:'finish_reason':'stop'}]\ndata: }\n\n" DONE,
     "data: { " SAID_CHUNK "'choices':[  {'index':0,'delta':{'content':'\\n','role':'assistant'}, "
     "'finish_reason':'stop'}],"
     "'model':'m' }\n\n" DONE},
    {"no [DONE] after a reason", ASKED, WORD("real", "a") STOP("real"),
     FIRST("m", "a") STOP("m") DONE},
    {"usage goes last when [DONE] is missing", COUNTED, USAGE("real") STOP("real"),
     BEGUN("m") "data: {" SAID_CHUNK
                "'model':'m','choices':[],'usage':{'prompt_tokens':9,'completion_tokens':2,"
                "'total_tokens':11}}\n\n" DONE},
    {"what follows [DONE] is not looked at", ASKED, STOP("real") DONE "data: {'x\n\nxyz",
     BEGUN("m") DONE},
    {"empty data is dropped", ASKED, "data:\n\ndata: \n\n" STOP("real") DONE, BEGUN("m") DONE},
};

static void a_stream_may_be_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(streams); i++) {
        size_t len = strlen(streams[i].stream);
        for (size_t cut = 0; cut <= len; cut++) {
            world_open(&w);
            w.scripts[0].body = streams[i].stream;
            world_chat(&w, streams[i].request);
            server_answers(&w, cut);
            server_sends(&w, ALL_OF_IT);
            expect_end(streams[i].why, &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
            /* Whether a comment comes before the head depends on nothing but the events. */
            world_expect(streams[i].why, world_reply(&w), streams[i].reply);
            world_close(&w);
        }
    }
}

static void a_stream_may_come_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(streams); i++) {
        world_open(&w);
        w.scripts[0].body = streams[i].stream;
        world_chat(&w, streams[i].request);
        server_answers(&w, 0);
        for (size_t at = 0; at < strlen(streams[i].stream); at++) {
            server_sends(&w, 1);
        }
        expect_end(streams[i].why, &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_expect(streams[i].why, world_reply(&w), streams[i].reply);
        world_close(&w);
    }
}

/* Streams that fail before any event: the client is told by a status. */
static const struct {
    const char *why;
    struct script script;
    enum err error;
    const char *message;
} early[] = {
    {"a refusal as the first event",
     {.body = "data: {'error':{'message':'top_p?','code':400}}\n\n" DONE},
     ERR_UPSTREAM_REQUEST,
     "top_p?"},
    {"behind a comment", {.body = ": x\n\ndata: {'error':'no'}\n\n" DONE}, ERR_UPSTREAM_STATUS, ""},
    {"flat",
     {.body = "data: {'object':'error','message':'m','code':422}\n\n"},
     ERR_UPSTREAM_UNPROCESSABLE,
     "m"},
    {"by its event's name",
     {.body = "event: error\ndata: {'param':'x','message':'n','code':400}\n\n"},
     ERR_UPSTREAM_REQUEST,
     "n"},
    {"by its event's name, as text",
     {.body = "event: error\ndata: no\n\n"},
     ERR_UPSTREAM_STATUS,
     ""},
    {"as a reply",
     {.type = "application/json", .body = "{'error':{'message':'n','code':400}}"},
     ERR_UPSTREAM_REQUEST,
     "n"},
    {"with a status of its own",
     {.status = 429, .type = "application/json", .body = "{}"},
     ERR_UPSTREAM_BUSY,
     ""},
    {"with a status, as an event", {.status = 500, .body = DONE}, ERR_UPSTREAM_STATUS, ""},
    {"an event that is not JSON", {.body = "data: {'choices\n\n"}, ERR_UPSTREAM_STREAM, ""},
    {"an event of another form", {.body = "data: []\n\n"}, ERR_UPSTREAM_STREAM, ""},
    {"no event", {.body = ""}, ERR_UPSTREAM_CLOSED, ""},
    {"only comments", {.body = ": x\n\n: y\n\n"}, ERR_UPSTREAM_CLOSED, ""},
    {"only [DONE]", {.body = DONE}, ERR_UPSTREAM_STREAM, ""},
    {"a broken connection",
     {.body = "data: {", .broken = ERR_UPSTREAM_TIMEOUT},
     ERR_UPSTREAM_TIMEOUT,
     ""},
};

static void an_error_before_the_first_event_is_a_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(early); i++) {
        size_t len = strlen(early[i].script.body);
        for (size_t cut = 0; cut <= len; cut++) {
            world_open(&w);
            w.scripts[0] = early[i].script;
            world_chat(&w, ASKED);
            server_answers(&w, cut);
            if (w.client.end == STILL_OPEN) {
                server_sends(&w, ALL_OF_IT);
            }
            expect_end(early[i].why, &w, REFUSED, early[i].error, JOURNAL_OUTCOME_FAILED);
            world_expect(early[i].why, buf_span(&w.client.message), early[i].message);
            world_close(&w);
        }
    }
}

/* Streams that fail after an event. */
static const struct {
    const char *why;
    struct script script;
    enum err error;
    const char *message; /* NULL: the error's sentence */
} late[] = {
    {"an error event",
     {.body = WORD("real", "ab") "data: {'error':{'code':500}}\n\n" DONE},
     ERR_UPSTREAM_STATUS,
     NULL},
    {"the caller's fault",
     {.body = WORD("real", "ab") "data: {'error':{'message':'m','code':400}}\n\n"},
     ERR_UPSTREAM_REQUEST,
     "m"},
    {"no reason, no [DONE]", {.body = WORD("real", "ab")}, ERR_UPSTREAM_CLOSED, NULL},
    {"half an event",
     {.body = WORD("real", "ab") "data: {'choices':[{'index':0"},
     ERR_UPSTREAM_CLOSED,
     NULL},
    {"not JSON", {.body = WORD("real", "ab") "data: {'cho\n\n" DONE}, ERR_UPSTREAM_STREAM, NULL},
    {"a broken connection",
     {.body = WORD("real", "ab"), .broken = ERR_UPSTREAM_TIMEOUT},
     ERR_UPSTREAM_TIMEOUT,
     NULL},
};

static void expect_late(size_t i)
{
    const struct err_row *row = err_row(late[i].error);
    struct buf wanted;
    buf_init(&wanted, 10000);
    buf_put(&wanted, world_text(&w, FIRST("m", "ab")));
    buf_printf(&wanted,
               "data: {\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":null,"
               "\"code\":\"%s\"}}\n\n" DONE,
               late[i].message == NULL ? row->sentence : late[i].message, row->type, row->code);
    if (!span_equal(world_reply(&w), buf_span(&wanted))) {
        fail_msg("%s: %.*s", late[i].why, SPAN_ARGS(world_reply(&w)));
    }
    buf_fini(&wanted);
}

static void an_error_after_an_event_is_an_event(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(late); i++) {
        for (size_t cut = 0; cut <= strlen(late[i].script.body); cut++) {
            world_open(&w);
            w.scripts[0] = late[i].script;
            world_chat(&w, ASKED);
            server_answers(&w, cut);
            if (w.client.end == STILL_OPEN) {
                server_sends(&w, ALL_OF_IT);
            }
            expect_end(late[i].why, &w, FINISHED, late[i].error, JOURNAL_OUTCOME_FAILED);
            expect_late(i);
            assert_true(w.completion.status == 200 && w.completion.tokens_out == 1 &&
                        w.completion.tokens_out_estimated);
            world_close(&w);
        }
    }
}

static void a_slow_client_stops_the_reading_of_the_model_server(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].body = WORD("real", "a") WORD("real", "b") STOP("real") DONE;
    w.client.is_slow = true;
    world_chat(&w, ASKED);
    server_answers(&w, 0);
    server_sends_until(&w, "\n\n");
    size_t pulled = w.attempts[0].pulled;
    server_sends_until(&w, "\n\n");
    server_sends(&w, ALL_OF_IT);
    client_event(&w);
    assert_int_equal(w.attempts[0].pulled, pulled);
    world_expect("one event", world_reply(&w), FIRST("m", "a"));
    client_takes(&w);
    expect_end("taken", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("all", world_reply(&w), FIRST("m", "a") WORD("m", "b") STOP("m") DONE);
    world_close(&w);
}

static void a_call_waiting_for_a_slow_client_can_still_end(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].body = WORD("real", "a") WORD("real", "b") STOP("real") DONE;
    w.client.is_slow = true;
    world_chat(&w, ASKED);
    server_answers(&w, 0);
    server_sends_until(&w, "\n\n");
    client_leaves(&w);
    expect_end("gone", &w, CANCELLED, ERR_CLIENT_GONE, JOURNAL_OUTCOME_CLIENT_GONE);
    world_close(&w);
}

static void large_events_and_long_streams_pass(void **state)
{
    (void)state;
    struct buf in, out;
    buf_init(&in, 8 << 20);
    buf_init(&out, 8 << 20);
    for (int i = 0; i < 3000; i++) {
        buf_put_text(&in, WORD("real", "word"));
        buf_put_text(&out, i == 0 ? FIRST("m", "word") : WORD("m", "word"));
    }
    buf_put_text(&in, "data: {" SAID_CHUNK "'choices':[{'index':0,'delta':{'content':'");
    buf_put_text(&out, "data: {" SAID_CHUNK "'choices':[{'index':0,'delta':{'content':'");
    for (int i = 0; i < 100000; i++) {
        buf_put_text(&in, "long ");
        buf_put_text(&out, "long ");
    }
    buf_put_text(&in, "'},'finish_reason':'stop'}]}\n\n" DONE);
    buf_put_text(&out, "'},'finish_reason':'stop'}],'model':'m'}\n\n" DONE);
    buf_put_byte(&in, 0);
    buf_put_byte(&out, 0);
    world_open(&w);
    w.scripts[0].body = (const char *)buf_span(&in).at;
    world_chat(&w, ASKED);
    server_answers(&w, 100000);
    server_sends(&w, ALL_OF_IT);
    expect_end("long", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("long", world_reply(&w), (const char *)buf_span(&out).at);
    world_close(&w);
    buf_fini(&in);
    buf_fini(&out);
}

/* An event that comes in pieces, or in many lines, counts like a body: with ever more allowance the
 * stream ends with an error, until all of it fits; and nothing is left taken. */
static void an_event_in_pieces_counts_against_the_allowance_of_all(void **state)
{
    (void)state;
    enum { LINES = 15000, STEP = 60000 };
    struct buf in;
    buf_init(&in, 8 << 20);
    buf_put_text(&in, WORD("real", "ab"));
    for (int i = 0; i < LINES; i++) {
        buf_put_text(&in, i == 0 ? "data: {'choices':[\n" : "data: {'index':0,'delta':{}},\n");
    }
    buf_put_text(&in, "data: {'index':0,'delta':{},'finish_reason':'stop'}]}\n\n" DONE);
    buf_put_byte(&in, 0);
    size_t refused = 0;
    for (uint64_t allowance = 20000;; allowance += STEP) {
        world_open(&w);
        w.scripts[0].body = (const char *)buf_span(&in).at;
        world_chat(&w, ASKED);
        memory_set_allowance(allowance);
        server_answers(&w, 0);
        server_sends_until(&w, "\n\n");
        for (int i = 0; i < 10 && w.client.end == STILL_OPEN; i++) {
            server_sends(&w, i == 9 ? ALL_OF_IT : 50000);
        }
        assert_true(w.client.taken_most <= allowance);
        memory_set_allowance(0);
        bool is_served = w.completion.outcome == JOURNAL_OUTCOME_OK;
        if (!is_served) {
            refused++;
            expect_end("no room", &w, FINISHED, ERR_OVERLOADED, JOURNAL_OUTCOME_FAILED);
            assert_true(world_holds(world_reply(&w), "\"code\":\"overloaded\""));
        }
        world_close(&w);
        if (is_served) {
            assert_true(allowance > 2 * buf_span(&in).len); /* carried, and joined */
            break;
        }
    }
    assert_true(refused > 10);
    buf_fini(&in);
}

static void a_name_that_a_pattern_matched_outlives_the_body(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].body = STOP("other") DONE;
    world_chat(&w, "{'model':'any/x','messages':[{}],'stream':true}");
    server_answers(&w, 0);
    assert_int_equal(memory_taken(), 0); /* the body is gone */
    server_sends(&w, ALL_OF_IT);
    expect_end("a pattern", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("a pattern", world_reply(&w), BEGUN("any/x") DONE);
    assert_true(says(&w.completion, JOURNAL_TEXT_MODEL, "any/x"));
    assert_true(says(&w.completion, JOURNAL_TEXT_UPSTREAM_MODEL, "any/x"));
    world_close(&w);
}

/* What the chunks get of an answer that says nothing of itself. */
#define MADE_CHUNK                                                                            \
    "'id':'chatcmpl-01ABCDEFGHJKMNPQRSTVWXYZ00','object':'chat.completion.chunk','created':1" \
    "790000001"

/* Answers of a server that was asked for a stream and does not do that. */
static const struct {
    const char *why, *path, *request, *answer, *reply;
    enum err error;
} whole[] = {
    {"a chat", "/v1/chat/completions", ASKED, CHAT_REPLY,
     "data: {" SAID_CHUNK "'model':'m','choices':[{'index':0,'delta':{'role':'assistant','content':"
     "'yes'},'finish_reason':'stop'}]}\n\n" DONE,
     ERR_OK},
    {"with usage", "/v1/chat/completions", COUNTED, CHAT_REPLY,
     "data: {" SAID_CHUNK "'model':'m','choices':[{'index':0,'delta':{'role':'assistant','content':"
     "'yes'},'finish_reason':'stop'}]}\n\n"
     "data: {" SAID_CHUNK "'model':'m','choices':[],'usage':{'prompt_tokens':9,'completion_tokens':"
     "2,'total_tokens':11}}\n\n" DONE,
     ERR_OK},
    {"on many lines", "/v1/chat/completions", ASKED,
     "{\r\n\t'choices':[\n{'index':0,'message':{}}]\n}\n",
     "data: {  \t'choices':[ {'index':0,'delta':{'role':'assistant'}}]," MADE_CHUNK
     ",'model':'m' } \n\n"
     "data: {" MADE_CHUNK ",'model':'m','choices':[{'index':0,'delta':{},'logprobs':null,"
     "'finish_reason':'stop'}]}\n\n" DONE,
     ERR_OK},
    {"a completion", "/v1/completions", "{'model':'m','prompt':'x','stream':true}",
     "{'choices':[{'text':'x','index':0,'finish_reason':'stop'}],'model':'real'}",
     "data: {'choices':[{'text':'x','index':0,'finish_reason':'stop'}],'model':'m','id':'cmpl-"
     "01ABCDEFGHJKMNPQRSTVWXYZ00','object':'text_completion','created':1790000001}\n\n" DONE,
     ERR_OK},
    {"nothing", "/v1/chat/completions", ASKED, "", "", ERR_UPSTREAM_JSON},
    {"no JSON", "/v1/chat/completions", ASKED, "{'choices", "", ERR_UPSTREAM_JSON},
    {"an end", "/v1/chat/completions", ASKED, "[DONE]", "", ERR_UPSTREAM_JSON},
    {"no choices", "/v1/chat/completions", ASKED, "{'model':'m','choices':[]}", "",
     ERR_UPSTREAM_JSON},
    {"an error", "/v1/chat/completions", ASKED, "{'error':{'message':'no','code':400}}", "",
     ERR_UPSTREAM_REQUEST},
};

static void a_reply_where_a_stream_was_asked_for_becomes_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(whole); i++) {
        world_open(&w);
        w.scripts[0] = (struct script){.type = "application/json", .body = whole[i].answer};
        world_request(&w, whole[i].path, whole[i].request);
        server_answers(&w, 5);
        if (w.client.end == STILL_OPEN) {
            server_sends(&w, ALL_OF_IT);
        }
        if (whole[i].error != ERR_OK) {
            expect_end(whole[i].why, &w, REFUSED, whole[i].error, JOURNAL_OUTCOME_FAILED);
        } else {
            expect_end(whole[i].why, &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
            assert_true(world_holds(buf_span(&w.client.fields), "text/event-stream"));
            assert_true(w.completion.tokens_in > 0);
        }
        world_expect(whole[i].why, world_reply(&w), whole[i].reply);
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_forwarded_event_by_event),
        cmocka_unit_test(a_stream_may_be_cut_anywhere),
        cmocka_unit_test(a_stream_may_come_byte_by_byte),
        cmocka_unit_test(an_error_before_the_first_event_is_a_status),
        cmocka_unit_test(an_error_after_an_event_is_an_event),
        cmocka_unit_test(a_slow_client_stops_the_reading_of_the_model_server),
        cmocka_unit_test(a_call_waiting_for_a_slow_client_can_still_end),
        cmocka_unit_test(large_events_and_long_streams_pass),
        cmocka_unit_test(an_event_in_pieces_counts_against_the_allowance_of_all),
        cmocka_unit_test(a_name_that_a_pattern_matched_outlives_the_body),
        cmocka_unit_test(a_reply_where_a_stream_was_asked_for_becomes_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
