/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_silence.c — streams that say nothing, under a clock that the test moves. */
#include "world_scene.h"

static struct world w;

#define ASKED CHAT_BODY(",'stream':true")
#define PING  ": ping\n\n"
#define BEAT  ": keep-alive\n\n"

static void begin(const char *body)
{
    world_open(&w);
    w.scripts[0] = (struct script){.body = body};
    world_chat(&w, ASKED);
}

static void a_silent_stream_has_its_head_after_the_hold_and_then_pings(void **state)
{
    (void)state;
    begin(WORD("real", "a") STOP("real") DONE);
    time_passes(&w, 14999);
    assert_int_equal(w.client.status, 0);
    time_passes(&w, 1);
    assert_int_equal(w.client.status, 200);
    assert_true(world_holds(buf_span(&w.client.fields), "Content-Type: text/event-stream"));
    world_expect("the head", world_reply(&w), PING);
    time_passes(&w, 14999);
    world_expect("a while", world_reply(&w), PING);
    time_passes(&w, 1);
    world_expect("a second", world_reply(&w), PING PING);
    server_answers(&w, 0); /* its head changes nothing */
    time_passes(&w, 15000);
    server_sends(&w, ALL_OF_IT);
    expect_end("silent", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("all", world_reply(&w), PING PING PING FIRST("m", "a") STOP("m") DONE);
    assert_int_equal(w.completion.bytes_out, world_reply(&w).len);
    world_close(&w);
}

static void no_silence_of_a_stream_is_longer_than_the_interval(void **state)
{
    (void)state;
    for (int64_t at = 100; at < 40000; at += 700) {
        begin(WORD("real", "a") STOP("real") DONE);
        time_passes(&w, at);
        server_answers(&w, 0);
        server_sends_until(&w, "\n\n");
        assert_int_equal(w.client.status, 200);
        for (int i = 0; i < 4; i++) {
            size_t before = world_reply(&w).len;
            time_passes(&w, 15000);
            assert_true(world_reply(&w).len > before);
            assert_true(world_reply(&w).len <= before + 3 * strlen(PING));
        }
        server_sends(&w, ALL_OF_IT);
        expect_end("pinged", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_close(&w);
    }
}

static void a_stream_that_speaks_is_not_pinged(void **state)
{
    (void)state;
    begin(WORD("real", "a") WORD("real", "b") WORD("real", "c") WORD("real", "d") STOP("real")
              DONE);
    server_answers(&w, 0);
    for (int i = 0; i < 5; i++) {
        time_passes(&w, 7000);
        server_sends_until(&w, "\n\n");
    }
    server_sends(&w, ALL_OF_IT);
    expect_end("spoken", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("all", world_reply(&w),
                 FIRST("m", "a") WORD("m", "b") WORD("m", "c") WORD("m", "d") STOP("m") DONE);
    world_close(&w);
}

/* The server's own pings, one a second, and the first token after 40 s. */
static void pings_of_the_server_reach_the_client_from_the_hold_on(void **state)
{
    (void)state;
    struct buf body;
    buf_init(&body, 4096);
    for (int i = 0; i < 40; i++) {
        buf_put_text(&body, ":\n\n");
    }
    buf_put_text(&body, WORD("real", "a") STOP("real") DONE);
    buf_put_byte(&body, 0);
    begin((const char *)buf_span(&body).at);
    server_answers(&w, 0);
    for (int i = 0; i < 40; i++) {
        server_sends_until(&w, "\n\n");
        assert_int_equal(w.client.status, i < 15 ? 0 : 200);
        time_passes(&w, 1000);
    }
    size_t pings = world_reply(&w).len;
    assert_true(pings >= 25 * strlen(BEAT) && pings <= 25 * strlen(BEAT) + 2 * strlen(PING));
    server_sends(&w, ALL_OF_IT);
    expect_end("pinged", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    assert_true(world_holds(world_reply(&w), "[DONE]"));
    buf_fini(&body);
    world_close(&w);
}

/* Whatever goes wrong once the head went out, and however the server says it. */
static void an_error_after_the_hold_is_an_event(void **state)
{
    (void)state;
    static const struct script scripts[] = {
        {.status = 429, .type = "application/json", .body = "{}"},
        {.body = "data: {'error':{'message':'m','code':500}}\n\n"},
        {.type = "application/json", .body = "{'error':{'message':'m','code':500}}"},
        {.body = "", .broken = ERR_UPSTREAM_TIMEOUT},
        {.fail = ERR_UPSTREAM_TIMEOUT},
        {.fail = ERR_UPSTREAM_CLOSED},
    };
    static const enum err errors[] = {ERR_UPSTREAM_BUSY,    ERR_UPSTREAM_STATUS,
                                      ERR_UPSTREAM_STATUS,  ERR_UPSTREAM_TIMEOUT,
                                      ERR_UPSTREAM_TIMEOUT, ERR_UPSTREAM_CLOSED};
    for (size_t i = 0; i < ROWS(scripts); i++) {
        world_open(&w);
        w.scripts[0] = scripts[i];
        world_chat(&w, ASKED);
        time_passes(&w, 20000);
        server_answers(&w, ALL_OF_IT);
        expect_end("late", &w, FINISHED, errors[i], JOURNAL_OUTCOME_FAILED);
        assert_int_equal(w.completion.status, 200);
        assert_true(span_starts(world_reply(&w), SPAN(PING "data: {\"error\":{\"message\":")));
        assert_true(world_holds(world_reply(&w), "\n\n" DONE));
        world_close(&w);
    }
}

static void an_error_within_the_hold_is_a_status(void **state)
{
    (void)state;
    begin(": x\n\ndata: {'error':{'message':'m','code':500}}\n\n");
    time_passes(&w, 14000);
    server_answers(&w, 5);
    time_passes(&w, 900);
    server_sends(&w, ALL_OF_IT);
    expect_end("early", &w, REFUSED, ERR_UPSTREAM_STATUS, JOURNAL_OUTCOME_FAILED);
    world_close(&w);
}

#define ROLE(model) \
    CHUNK(model, "{'index':0,'delta':{'role':'assistant','content':''},'finish_reason':null}]")

/* A role is no content: many servers send it at once, and may fail after it. */
static void a_role_waits_with_the_head_for_the_first_content(void **state)
{
    (void)state;
    begin(ROLE("real") CHUNK("real", "]") WORD("real", "a") STOP("real") DONE);
    server_answers(&w, 0);
    server_sends_until(&w, "\n\n");
    server_sends_until(&w, "\n\n");
    assert_int_equal(w.client.status, 0);
    server_sends_until(&w, "\n\n");
    world_expect("all three", world_reply(&w), ROLE("m") CHUNK("m", "]") WORD("m", "a"));
    server_sends(&w, ALL_OF_IT);
    expect_end("role", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    assert_int_equal(w.completion.bytes_out, world_reply(&w).len);
    world_close(&w);

    begin(ROLE("real") "data: {'error':{'message':'m','code':400}}\n\n");
    server_answers(&w, ALL_OF_IT);
    expect_end("an error behind it", &w, REFUSED, ERR_UPSTREAM_REQUEST, JOURNAL_OUTCOME_FAILED);
    world_close(&w);

    begin(ROLE("real") WORD("real", "a") STOP("real") DONE);
    server_answers(&w, 0);
    server_sends_until(&w, "\n\n");
    time_passes(&w, 15000);
    world_expect("the hold", world_reply(&w), PING); /* another server may answer yet */
    server_sends(&w, ALL_OF_IT);
    world_expect("the rest", world_reply(&w), PING ROLE("m") WORD("m", "a") STOP("m") DONE);
    world_close(&w);
}

static void whatever_is_not_empty_is_content(void **state)
{
    (void)state;
    static const char *const choices[] = {
        "{'index':0,'delta':{'reasoning':'x'}}",
        "{'index':0,'delta':{'refusal':'x'}}",
        "{'index':0,'delta':{'function_call':{'name':'f'}}}",
        "{'index':0,'delta':{'tool_calls':[{'index':0,'id':'a','function':{'name':'f'}}]}}",
        "{'index':0,'delta':{'audio':{'id':'a'}}}",
        "{'index':0,'delta':{},'finish_reason':'stop'}",
        "{'index':0,'delta':{},'logprobs':{'content':[1]}}",
        "{'index':0,'message':{'content':'x'}}",
        "{'index':0,'text':'x'}",
    };
    for (size_t i = 0; i < ROWS(choices); i++) {
        char body[512];
        (void)snprintf(body, sizeof(body), "data: {'choices':[%s]}\n\n" STOP("real") DONE,
                       choices[i]);
        begin(body);
        server_answers(&w, 0);
        server_sends_until(&w, "\n\n");
        if (w.client.status != 200) {
            fail_msg("%s", choices[i]);
        }
        server_sends(&w, ALL_OF_IT);
        world_close(&w);
    }
}

static void a_stale_connection_is_still_tried_anew_after_the_hold(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0] = (struct script){.fail = ERR_UPSTREAM_STALE};
    w.scripts[1] = (struct script){.body = WORD("real", "a") STOP("real") DONE};
    world_chat(&w, ASKED);
    time_passes(&w, 16000);
    server_answers(&w, 0);
    time_passes(&w, 30000);
    server_answers(&w, ALL_OF_IT);
    expect_end("anew", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("all", world_reply(&w), PING PING PING FIRST("m", "a") STOP("m") DONE);
    world_close(&w);
}

static void a_whole_reply_after_the_hold_becomes_events(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0] = (struct script){.type = "application/json", .body = CHAT_REPLY};
    world_chat(&w, ASKED);
    time_passes(&w, 16000);
    server_answers(&w, ALL_OF_IT);
    expect_end("whole", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    assert_true(span_starts(world_reply(&w), SPAN(PING "data: {")));
    world_close(&w);
}

static void a_client_that_takes_nothing_or_went_away_is_not_pinged(void **state)
{
    (void)state;
    begin(WORD("real", "a") STOP("real") DONE);
    w.client.is_slow = true;
    time_passes(&w, 100000);
    world_expect("slow", world_reply(&w), PING);
    w.client.is_gone = true;
    w.client.waiting = 0;
    time_passes(&w, 100000);
    world_expect("gone", world_reply(&w), PING);
    client_leaves(&w);
    expect_end("gone", &w, CANCELLED, ERR_CLIENT_GONE, JOURNAL_OUTCOME_CLIENT_GONE);
    world_close(&w);
}

/* The server's comments are many, and nothing of them is kept for a client that takes none. */
static void pings_of_the_server_do_not_pile_up_before_a_client_that_takes_nothing(void **state)
{
    (void)state;
    struct buf body;
    buf_init(&body, 1 << 16);
    for (int i = 0; i < 1000; i++) {
        buf_put_text(&body, ":\n\n");
    }
    buf_put_text(&body, WORD("real", "a") STOP("real") DONE);
    buf_put_byte(&body, 0);
    begin((const char *)buf_span(&body).at);
    server_answers(&w, 0);
    time_passes(&w, 15000);
    w.client.is_slow = true;
    for (int i = 0; i < 999; i++) {
        server_sends_until(&w, "\n\n");
    }
    world_expect("one", world_reply(&w), PING BEAT);
    client_takes(&w);
    server_sends_until(&w, "\n\n");
    world_expect("and the next when that is taken", world_reply(&w), PING BEAT BEAT);
    w.client.is_slow = false;
    client_takes(&w);
    server_sends(&w, ALL_OF_IT);
    expect_end("taken", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    buf_fini(&body);
    world_close(&w);
}

static void a_call_that_is_not_streamed_has_no_timer(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0] = (struct script){.body = CHAT_REPLY};
    world_chat(&w, CHAT_BODY(""));
    assert_null(world_timer(&w));
    time_passes(&w, 125000);
    server_answers(&w, ALL_OF_IT);
    expect_end("whole", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_close(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_stream_has_its_head_after_the_hold_and_then_pings),
        cmocka_unit_test(no_silence_of_a_stream_is_longer_than_the_interval),
        cmocka_unit_test(a_stream_that_speaks_is_not_pinged),
        cmocka_unit_test(pings_of_the_server_reach_the_client_from_the_hold_on),
        cmocka_unit_test(an_error_after_the_hold_is_an_event),
        cmocka_unit_test(an_error_within_the_hold_is_a_status),
        cmocka_unit_test(a_role_waits_with_the_head_for_the_first_content),
        cmocka_unit_test(whatever_is_not_empty_is_content),
        cmocka_unit_test(a_stale_connection_is_still_tried_anew_after_the_hold),
        cmocka_unit_test(a_whole_reply_after_the_hold_becomes_events),
        cmocka_unit_test(a_client_that_takes_nothing_or_went_away_is_not_pinged),
        cmocka_unit_test(pings_of_the_server_do_not_pile_up_before_a_client_that_takes_nothing),
        cmocka_unit_test(a_call_that_is_not_streamed_has_no_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
