/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_leaner.c — servers that refuse what the caller did not send. */
#include "world_scene.h"

static struct world w;

#define ASKED   CHAT_BODY(",'stream':true")
#define COUNTED CHAT_BODY(",'stream':true,'stream_options':{'include_usage':true}")
#define SENT    "/chat/completions\n{'model':'real','messages':[{'role':'user','content':'hi'}]"
#define FULL    SENT ",'stream':true,'stream_options':{'include_usage':true}}"
#define LEAN    SENT ",'stream':true}"
#define STREAM  WORD("real", "a") STOP("real") DONE
#define SHOWN   FIRST("m", "a") STOP("m") DONE

static const struct script refuses = {
    .status = 422,
    .type = "application/json",
    .body =
        "{'detail':[{'loc':['body','stream_options'],'msg':'Extra inputs are not permitted'}]}"};

static uint32_t learnt(void)
{
    return deployment_omits(w.policy->deployments[0]);
}

static void a_stream_is_asked_for_once_more_without_what_was_refused(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0] = refuses;
    w.scripts[1] = (struct script){.body = STREAM};
    world_chat(&w, ASKED);
    world_expect("the first", span_of(w.attempts[0].sent), FULL);
    server_answers(&w, 10);
    assert_int_equal(learnt(), 0);
    server_sends(&w, ALL_OF_IT);
    world_expect("the second", span_of(w.attempts[1].sent), LEAN);
    assert_int_equal(strlen(w.attempts[1].id), 26);
    assert_int_equal(learnt(), 0); /* it has not been taken yet */
    server_answers(&w, ALL_OF_IT);
    expect_end("leaner", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("the answer", world_reply(&w), SHOWN);
    assert_int_equal(learnt(), UPSTREAM_ADDS_STREAM_OPTIONS);
    const struct journal_record *r = &w.completion;
    assert_true(r->attempt == 2 && r->attempts_sent == 2);
    assert_true(r->tokens_in_estimated && r->tokens_out_estimated && r->tokens_out == 1 &&
                r->tokens_in > 0);
    world_close(&w);
}

/* A call to a server of which something was learnt, or is said in the configuration. */
static void the_next_call_goes_without_it_from_the_start(void **state)
{
    (void)state;
    world_open(&w);
    assert_true(deployment_learn(w.policy->deployments[0], UPSTREAM_ADDS_STREAM_OPTIONS));
    w.scripts[0] = (struct script){.body = STREAM};
    world_chat(&w, ASKED);
    world_expect("the first", span_of(w.attempts[0].sent), LEAN);
    server_answers(&w, ALL_OF_IT);
    expect_end("learnt", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    assert_true(w.completion.tokens_out_estimated);
    world_close(&w);
}

static void what_the_caller_sent_itself_is_sent_and_its_refusal_relayed(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        world_open(&w);
        if (i == 1) {
            assert_true(deployment_learn(w.policy->deployments[0], UPSTREAM_ADDS_STREAM_OPTIONS));
        }
        w.scripts[0] = refuses;
        world_chat(&w, COUNTED);
        world_expect("as asked", span_of(w.attempts[0].sent), FULL);
        server_answers(&w, ALL_OF_IT);
        expect_end("the caller's", &w, REFUSED, ERR_UPSTREAM_UNPROCESSABLE, JOURNAL_OUTCOME_FAILED);
        world_close(&w);
    }
}

static void
a_server_that_refuses_again_is_not_asked_a_third_time_and_nothing_is_learnt(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0] = w.scripts[1] = refuses;
    world_chat(&w, ASKED);
    server_answers(&w, ALL_OF_IT);
    server_answers(&w, ALL_OF_IT);
    expect_end("again", &w, REFUSED, ERR_UPSTREAM_UNPROCESSABLE, JOURNAL_OUTCOME_FAILED);
    assert_int_equal(w.started, 2);
    assert_int_equal(learnt(), 0);
    world_close(&w);
}

static void a_refusal_of_something_else_is_relayed_at_once(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0] = (struct script){.status = 400, .body = "{'error':{'message':'top_p?'}}"};
    world_chat(&w, ASKED);
    server_answers(&w, ALL_OF_IT);
    expect_end("else", &w, REFUSED, ERR_UPSTREAM_REQUEST, JOURNAL_OUTCOME_FAILED);
    assert_int_equal(w.started, 1);
    world_close(&w);
}

static void headers_that_atlas_adds_are_left_out_likewise(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0] = (struct script){.status = 406, .body = ""};
    w.scripts[1] = (struct script){.body = CHAT_REPLY};
    world_request_lines(&w, "/v1/chat/completions", USUAL_LINES "traceparent: 00-1-2-3\r\n",
                        CHAT_BODY(""), ALL_OF_IT);
    assert_false(w.attempts[0].lean);
    server_answers(&w, ALL_OF_IT);
    assert_true(w.attempts[1].lean);
    assert_string_equal(w.attempts[1].fields,
                        "Content-Type: application/json\r\ntraceparent: 00-1-2-3\r\n");
    server_answers(&w, ALL_OF_IT);
    expect_end("headers", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    assert_int_equal(learnt(), UPSTREAM_ADDS_HEADERS);
    world_close(&w);
}

static void the_second_asking_survives_the_hold_and_a_stale_connection(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0] = refuses;
    w.scripts[1] = (struct script){.fail = ERR_UPSTREAM_STALE};
    w.scripts[2] = (struct script){.body = STREAM};
    world_chat(&w, ASKED);
    time_passes(&w, 16000);
    server_answers(&w, ALL_OF_IT);
    server_answers(&w, 0);
    world_expect("the third", span_of(w.attempts[2].sent), LEAN);
    server_answers(&w, ALL_OF_IT);
    expect_end("all", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("the answer", world_reply(&w), ": ping\n\n" SHOWN);
    world_close(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_asked_for_once_more_without_what_was_refused),
        cmocka_unit_test(the_next_call_goes_without_it_from_the_start),
        cmocka_unit_test(what_the_caller_sent_itself_is_sent_and_its_refusal_relayed),
        cmocka_unit_test(
            a_server_that_refuses_again_is_not_asked_a_third_time_and_nothing_is_learnt),
        cmocka_unit_test(a_refusal_of_something_else_is_relayed_at_once),
        cmocka_unit_test(headers_that_atlas_adds_are_left_out_likewise),
        cmocka_unit_test(the_second_asking_survives_the_hold_and_a_stale_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
