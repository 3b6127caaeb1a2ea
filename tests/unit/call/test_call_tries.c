/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_tries.c — which of two candidates is asked, when, and whose answer the client has. */
#include "tries_scene.h"

/* Whatever the first server does instead of answering. */
static const struct script failures[] = {
    {.fail = ERR_UPSTREAM_CONNECT, .unsent = true},
    {.fail = ERR_UPSTREAM_TIMEOUT},
    {.fail = ERR_UPSTREAM_CLOSED},
    {.status = 500, .body = "{'error':{'message':'m'}}"},
    {.status = 429, .body = "{'error':{'message':'m'}}"},
    {.status = 401, .body = "{}"},
    {.body = "{'choices':[", .broken = ERR_UPSTREAM_CLOSED},
    {.body = "no JSON"},
    {.body = "{'error':{'message':'m','code':500}}"},
};

static void another_candidate_answers_where_the_first_did_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(failures); i++) {
        begin(NULL, 0);
        w.scripts[0] = failures[i];
        world_chat(&w, CHAT_BODY(""));
        assert_true(w.started == 1 && w.intents == 1);
        server_answers(&w, ALL_OF_IT);
        assert_true(w.started == 2 && w.attempts_open == 1 && w.client.status == 0);
        world_expect("the second", span_of(w.attempts[1].sent),
                     "/chat/completions\n{'model':'away','messages':[{'role':'user','content':"
                     "'hi'}]}");
        server_answers(&w, ALL_OF_IT);
        expect_end("fallback", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_expect("the reply", world_reply(&w), AWAY_SHOWN);
        assert_true(world_holds(buf_span(&w.client.fields), "X-Data-Residency: eu\r\n"));
        expect_counts(2, failures[i].unsent ? 1 : 2, 4, "far");
        world_close(&w);
    }
}

static void one_that_may_not_be_asked_now_is_passed_over(void **state)
{
    (void)state;
    begin(NULL, 0);
    w.scripts[0].prepare = ERR_UPSTREAM_BUSY;
    w.scripts[1].prepare = ERR_UPSTREAM_BUSY; /* nobody was prepared: the script is the same */
    world_chat(&w, CHAT_BODY(""));
    expect_end("both", &w, REFUSED, ERR_UPSTREAM_BUSY, JOURNAL_OUTCOME_REFUSED);
    expect_counts(0, 0, 0, "far");
    world_close(&w);
}

static void what_the_caller_did_wrong_is_wrong_everywhere(void **state)
{
    (void)state;
    begin(NULL, 0);
    w.scripts[0] = (struct script){.status = 400, .body = "{'error':{'message':'m'}}"};
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, ALL_OF_IT);
    expect_end("400", &w, REFUSED, ERR_UPSTREAM_REQUEST, JOURNAL_OUTCOME_FAILED);
    expect_counts(1, 1, 0, "near");
    world_close(&w);
}

/* Each candidate, not the first alone: who may not be asked is not, whatever place it has. */
static void a_candidate_that_the_call_does_not_suit_is_never_asked(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body, *other;
        enum err error;       /* ERR_OK: one is asked, and when that failed nobody else */
        const char *upstream; /* which */
    } cases[] = {
        /* no completions at the first; at the second */
        {"/v1/completions", "{'model':'any/x','prompt':'a'}", "away", ERR_OK, "far"},
        {"/v1/completions", "{'model':'m','prompt':'a'}", "any/x", ERR_OK, "near"},
        /* no token numbers at the second; at the first */
        {"/v1/completions", "{'model':'m','prompt':[1,2]}", "away", ERR_OK, "near"},
        {"/v1/completions", "{'model':'away','prompt':[1,2]}", "m", ERR_OK, "near"},
        /* what leaves none decides: the second falls by its server's kind, the first by its room */
        {"/v1/completions", "{'model':'m','prompt':[1,2,3,4,5]}", "away", ERR_CONTEXT_LENGTH,
         "near"},
        {"/v1/completions", "{'model':'away','prompt':[1,2,3,4,5]}", "m", ERR_CONTEXT_LENGTH,
         "near"},
        {"/v1/completions", "{'model':'any/x','prompt':[1]}", "vectors", ERR_MODEL_ENDPOINT,
         "near"},
        {"/v1/embeddings", "{'model':'away','input':'a'}", "m", ERR_MODEL_ENDPOINT, "far"},
        {"/v1/embeddings", "{'model':'vectors','input':[1]}", "m", ERR_VALUE_INVALID, "near"},
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        bool is_asked = cases[i].error == ERR_OK;
        begin(NULL, 0);
        w.others[0] = cases[i].other;
        w.scripts[0].fail = ERR_UPSTREAM_CLOSED;
        world_request(&w, cases[i].path, cases[i].body);
        assert_int_equal(w.started, is_asked ? 1 : 0);
        if (is_asked) {
            server_answers(&w, 0);
        }
        expect_end(cases[i].body, &w, REFUSED, is_asked ? ERR_UPSTREAM_CLOSED : cases[i].error,
                   is_asked ? JOURNAL_OUTCOME_FAILED : JOURNAL_OUTCOME_REFUSED);
        expect_counts(is_asked ? 1 : 0, is_asked ? 1 : 0, 0, cases[i].upstream);
        world_close(&w);
    }
}

static void the_last_failure_is_the_calls(void **state)
{
    (void)state;
    begin(NULL, 0);
    w.scripts[0].fail = ERR_UPSTREAM_CLOSED;
    w.scripts[1].fail = ERR_UPSTREAM_TIMEOUT;
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, 0);
    server_answers(&w, 0);
    expect_end("both", &w, REFUSED, ERR_UPSTREAM_TIMEOUT, JOURNAL_OUTCOME_FAILED);
    expect_counts(2, 2, 0, "far");
    world_close(&w);
}

static void a_stale_connection_is_tried_anew_before_another_candidate(void **state)
{
    (void)state;
    begin(NULL, 0);
    w.scripts[0].fail = w.scripts[1].fail = ERR_UPSTREAM_STALE;
    w.scripts[2].body = AWAY_REPLY;
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, 0);
    assert_true(w.started == 2 && w.attempts[1].fresh);
    server_answers(&w, 0);
    assert_true(w.started == 3 && !w.attempts[2].fresh);
    server_answers(&w, ALL_OF_IT);
    expect_end("the third", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    expect_counts(3, 1, 4, "far");
    world_close(&w);
}

static void a_stream_falls_back_until_its_first_content(void **state)
{
    (void)state;
    static const char *const openings[] = {
        "data: {'error':{'message':'m','code':500}}\n\n",
        CHUNK("real", "{'index':0,'delta':{'role':'assistant'}}") "data: {'error':{}}\n\n",
        ": x\n\nevent: error\ndata: {'message':'m'}\n\n",
        "data: [DONE]\n\n",
        "data: x\n\n",
    };
    for (size_t i = 0; i < ROWS(openings); i++) {
        for (int is_late = 0; is_late < 2; is_late++) {
            begin(NULL, 0);
            w.others[0] = is_late ? "any/x" : "away"; /* the head says what is true of it too */
            w.scripts[0].body = openings[i];
            w.scripts[1].body = WORD("it", "a") STOP("it") DONE;
            world_chat(&w, ASKED);
            time_passes(&w, is_late ? 16000 : 1); /* the head is out by then */
            attempt_answers(&w.attempts[0], ALL_OF_IT);
            assert_int_equal(w.started, 2);
            assert_int_equal(w.client.status, is_late ? 200 : 0);
            attempt_answers(&w.attempts[1], ALL_OF_IT);
            expect_end("stream", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
            world_expect("all", world_reply(&w),
                         is_late ? ": ping\n\n" FIRST("any/x", "a") STOP("any/x") DONE
                                 : FIRST("away", "a") STOP("away") DONE);
            world_close(&w);
        }
    }
}

/* Of whom the head says what is not true cannot answer behind it. */
static void a_head_that_went_out_stays_true(void **state)
{
    (void)state;
    begin(NULL, 0);
    w.scripts[0].fail = ERR_UPSTREAM_CLOSED;
    world_chat(&w, ASKED);
    time_passes(&w, 16000);
    attempt_answers(&w.attempts[0], 0);
    expect_end("no other", &w, FINISHED, ERR_UPSTREAM_CLOSED, JOURNAL_OUTCOME_FAILED);
    assert_true(w.started == 1 && world_holds(world_reply(&w), "data: {\"error\":"));
    world_close(&w);

    begin(ASKED, 2000); /* two run when the head goes out */
    time_passes(&w, 14000);
    assert_int_equal(w.attempts_open, 2);
    time_passes(&w, 1000);
    assert_true(world_holds(buf_span(&w.client.fields), "X-Data-Residency: sa\r\n"));
    client_event(&w);
    assert_int_equal(w.attempts_open, 1);
    attempt_answers(&w.attempts[0], ALL_OF_IT);
    expect_end("the first", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    expect_counts(2, 2, 9, "near");
    world_close(&w);

    begin(NULL, 0); /* the first has lost by then */
    w.scripts[0].fail = ERR_UPSTREAM_CLOSED;
    world_chat(&w, ASKED);
    attempt_answers(&w.attempts[0], 0);
    time_passes(&w, 16000);
    assert_true(world_holds(buf_span(&w.client.fields), "X-Data-Residency: eu\r\n"));
    attempt_answers(&w.attempts[1], ALL_OF_IT);
    expect_end("the second", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_close(&w);
}

static void nothing_is_tried_again_behind_the_first_content(void **state)
{
    (void)state;
    begin(NULL, 0);
    w.scripts[0] = (struct script){.body = WORD("real", "a"), .broken = ERR_UPSTREAM_CLOSED};
    world_chat(&w, ASKED);
    server_answers(&w, ALL_OF_IT);
    expect_end("cut", &w, FINISHED, ERR_UPSTREAM_CLOSED, JOURNAL_OUTCOME_FAILED);
    assert_true(w.started == 1 && world_holds(world_reply(&w), "data: {\"error\":"));
    world_close(&w);
}

static void of_two_at_once_one_wins_and_the_other_is_cancelled(void **state)
{
    (void)state;
    for (size_t winner = 0; winner < 2; winner++) {
        begin(CHAT_BODY(""), 2000);
        time_passes(&w, 1999);
        assert_int_equal(w.started, 1);
        time_passes(&w, 1);
        assert_true(w.started == 2 && w.attempts_open == 2);
        time_passes(&w, 60000);
        assert_int_equal(w.started, 2); /* never more at once */
        attempt_answers(&w.attempts[winner], ALL_OF_IT);
        expect_end("hedge", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_expect("the reply", world_reply(&w), winner == 0 ? CHAT_SHOWN : AWAY_SHOWN);
        expect_counts(2, 2, winner == 0 ? 9 : 4, winner == 0 ? "near" : "far");
        world_close(&w);
    }
}

static void of_two_at_once_one_may_fail_and_the_other_goes_on(void **state)
{
    (void)state;
    for (size_t loser = 0; loser < 2; loser++) {
        begin(CHAT_BODY(""), 2000);
        time_passes(&w, 2000);
        w.attempts[loser].script.fail = ERR_UPSTREAM_CLOSED;
        attempt_answers(&w.attempts[loser], 0);
        assert_true(w.client.end == STILL_OPEN && w.attempts_open == 1);
        attempt_answers(&w.attempts[1 - loser], ALL_OF_IT);
        expect_end("the other", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        expect_counts(2, 2, loser == 1 ? 9 : 4, loser == 1 ? "near" : "far");
        world_close(&w);
    }
}

static void both_of_two_may_fail(void **state)
{
    (void)state;
    for (size_t first = 0; first < 2; first++) {
        begin(CHAT_BODY(""), 2000);
        time_passes(&w, 2000);
        w.attempts[first].script.fail = ERR_UPSTREAM_CLOSED;
        w.attempts[1 - first].script.fail = ERR_UPSTREAM_TIMEOUT;
        attempt_answers(&w.attempts[first], 0);
        attempt_answers(&w.attempts[1 - first], 0);
        expect_end("both", &w, REFUSED, ERR_UPSTREAM_TIMEOUT, JOURNAL_OUTCOME_FAILED);
        expect_counts(2, 2, 0, first == 1 ? "near" : "far");
        world_close(&w);
    }
}

static void a_second_try_waits_for_the_journal_while_the_first_runs(void **state)
{
    (void)state;
    for (size_t winner = 0; winner < 2; winner++) {
        begin(CHAT_BODY(""), 2000);
        w.durable = 0;
        time_passes(&w, 2000);
        assert_true(w.intents == 2 && w.started == 1 && w.attempts_open == 2);
        if (winner == 1) {
            w.durable = w.ticket;
            call_wake_durable(&w.shared);
            assert_int_equal(w.started, 2);
        }
        attempt_answers(&w.attempts[winner], ALL_OF_IT);
        expect_end("hedge", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        expect_counts(2, winner == 0 ? 1 : 2, winner == 0 ? 9 : 4, winner == 0 ? "near" : "far");
        world_close(&w);
    }
}

static void a_second_try_that_waits_too_long_leaves_the_first_to_go_on(void **state)
{
    (void)state;
    begin(CHAT_BODY(""), 2000);
    w.durable = 0;
    time_passes(&w, 2000);
    time_passes(&w, 10000);
    assert_true(w.started == 1 && w.attempts_open == 1 && w.client.end == STILL_OPEN);
    attempt_answers(&w.attempts[0], ALL_OF_IT);
    expect_end("the first", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    expect_counts(2, 1, 9, "near");
    world_close(&w);
}

static void a_second_try_finds_no_slot_while_the_first_runs(void **state)
{
    (void)state;
    begin(CHAT_BODY(""), 2000);
    w.slots_max = w.slots_held;
    time_passes(&w, 2000);
    assert_true(w.intents == 1 && w.attempts_open == 2);
    w.slots_max = WORLD_SLOTS;
    call_wake_durable(&w.shared);
    assert_true(w.intents == 2 && w.started == 2);
    attempt_answers(&w.attempts[1], ALL_OF_IT);
    expect_end("the second", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    expect_counts(2, 2, 4, "far");
    world_close(&w);
}

static void a_client_that_leaves_ends_both(void **state)
{
    (void)state;
    begin(CHAT_BODY(""), 2000);
    time_passes(&w, 2000);
    client_leaves(&w);
    expect_end("gone", &w, CANCELLED, ERR_CLIENT_GONE, JOURNAL_OUTCOME_CLIENT_GONE);
    expect_counts(2, 2, 5, "near"); /* both servers have read it */
    world_close(&w);
}

static void the_body_stays_until_nobody_can_want_it(void **state)
{
    (void)state;
    begin(NULL, 0);
    w.scripts[0] = (struct script){.body = WORD("real", "a") STOP("real") DONE};
    world_chat(&w, ASKED);
    attempt_answers(&w.attempts[0], 0);
    assert_true(memory_taken() > 0); /* another may be asked yet */
    server_sends_until(&w, "\n\n");
    assert_int_equal(memory_taken(), 0);
    server_sends(&w, ALL_OF_IT);
    expect_end("all", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_close(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_candidate_answers_where_the_first_did_not),
        cmocka_unit_test(one_that_may_not_be_asked_now_is_passed_over),
        cmocka_unit_test(what_the_caller_did_wrong_is_wrong_everywhere),
        cmocka_unit_test(a_candidate_that_the_call_does_not_suit_is_never_asked),
        cmocka_unit_test(the_last_failure_is_the_calls),
        cmocka_unit_test(a_stale_connection_is_tried_anew_before_another_candidate),
        cmocka_unit_test(a_stream_falls_back_until_its_first_content),
        cmocka_unit_test(a_head_that_went_out_stays_true),
        cmocka_unit_test(nothing_is_tried_again_behind_the_first_content),
        cmocka_unit_test(of_two_at_once_one_wins_and_the_other_is_cancelled),
        cmocka_unit_test(of_two_at_once_one_may_fail_and_the_other_goes_on),
        cmocka_unit_test(both_of_two_may_fail),
        cmocka_unit_test(a_second_try_waits_for_the_journal_while_the_first_runs),
        cmocka_unit_test(a_second_try_that_waits_too_long_leaves_the_first_to_go_on),
        cmocka_unit_test(a_second_try_finds_no_slot_while_the_first_runs),
        cmocka_unit_test(a_client_that_leaves_ends_both),
        cmocka_unit_test(the_body_stays_until_nobody_can_want_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
