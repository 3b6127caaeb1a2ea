/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_call_end.c — a call may end at any time: its client goes, its key does, the gateway stops.
 */
#include "world_scene.h"

static struct world w;

#define ASKED CHAT_BODY(",'stream':true")

/* How far a call has come when it ends. */
enum stage { IN_BODY, IN_RECORD, CONNECTING, HALF_A_REPLY, STREAM_HEAD, IN_STREAM, STAGES };

static const struct {
    const char *why;
    unsigned started;
    bool is_put; /* the client has a head */
    enum journal_outcome failed;
} stages[STAGES] = {
    [IN_BODY] = {"in the body", 0, false, JOURNAL_OUTCOME_REFUSED},
    [IN_RECORD] = {"waiting for the disk", 0, false, JOURNAL_OUTCOME_REFUSED},
    [CONNECTING] = {"before the answer", 1, false, JOURNAL_OUTCOME_FAILED},
    [HALF_A_REPLY] = {"in a reply", 1, false, JOURNAL_OUTCOME_FAILED},
    [STREAM_HEAD] = {"before the first event", 1, false, JOURNAL_OUTCOME_FAILED},
    [IN_STREAM] = {"in a stream", 1, true, JOURNAL_OUTCOME_FAILED},
};

static void go_to(enum stage stage)
{
    world_open(&w);
    switch (stage) {
    case IN_BODY:
        world_request_lines(&w, "/v1/chat/completions", USUAL_LINES, CHAT_BODY(""), 10);
        break;
    case IN_RECORD:
        world_chat(&w, "{'model':'away','messages':[{}]}");
        break;
    case CONNECTING:
        world_chat(&w, CHAT_BODY(""));
        break;
    case HALF_A_REPLY:
        w.scripts[0].body = CHAT_REPLY;
        world_chat(&w, CHAT_BODY(""));
        server_answers(&w, 20);
        break;
    case STREAM_HEAD:
        w.scripts[0].body = WORD("real", "abcdef") STOP("real") DONE;
        world_chat(&w, ASKED);
        server_answers(&w, 20);
        break;
    case IN_STREAM:
        w.scripts[0].body = WORD("real", "abcdef") STOP("real") DONE;
        world_chat(&w, ASKED);
        server_answers(&w, 0);
        server_sends_until(&w, "\n\n");
        break;
    case STAGES:
        break;
    }
    assert_int_equal(w.client.end, STILL_OPEN);
    assert_int_equal(w.started, stages[stage].started);
    assert_int_equal(w.client.status != 0, stages[stage].is_put);
    assert_int_equal(w.completions, 0);
}

static void a_client_that_goes_ends_its_call_at_once(void **state)
{
    (void)state;
    for (enum stage stage = 0; stage < STAGES; stage++) {
        go_to(stage);
        client_leaves(&w);
        expect_end(stages[stage].why, &w, CANCELLED, ERR_CLIENT_GONE, JOURNAL_OUTCOME_CLIENT_GONE);
        assert_int_equal(w.attempts_open, 0);
        assert_int_equal(w.completions, 1);
        assert_true(stage != IN_STREAM ||
                    (w.completion.tokens_out == 2 && w.completion.tokens_out_estimated &&
                     w.completion.tokens_in > 0 && w.completion.bytes_out > 0));
        /* Written down that there would be one, and that it never was. */
        assert_true(stage != IN_RECORD ||
                    (w.completion.attempt == 1 && w.completion.attempts_sent == 0));
        world_close(&w);
    }
}

/* Ends the call and says how it must have ended. */
static void expect_stopped(enum stage stage, enum err error)
{
    bool is_put = stages[stage].is_put;
    expect_end(stages[stage].why, &w, is_put ? FINISHED : REFUSED, error, stages[stage].failed);
    if (is_put) {
        struct span reply = world_reply(&w);
        assert_true(world_holds(reply, "data: {\"error\":{\"message\":"));
        assert_true(world_holds(span_cut(reply, reply.len - 14, 14), "data: [DONE]\n\n"));
    }
    world_close(&w);
}

static void a_key_that_is_revoked_ends_its_calls(void **state)
{
    (void)state;
    for (enum stage stage = 0; stage < STAGES; stage++) {
        go_to(stage);
        call_recheck_keys(&w.shared, true);
        assert_int_equal(w.client.end, STILL_OPEN);
        w.recheck_error = ERR_KEY_REVOKED;
        call_recheck_keys(&w.shared, true);
        expect_stopped(stage, ERR_KEY_REVOKED);
    }
}

static void a_key_whose_end_comes_nearer_ends_its_calls_though_nothing_is_heard(void **state)
{
    (void)state;
    for (enum stage stage = 0; stage < STAGES; stage++) {
        go_to(stage);
        w.key_expires.us = world_wall().us + 500000;
        call_recheck_keys(&w.shared, true);
        w.recheck_error = ERR_KEY_EXPIRED;
        call_recheck_keys(&w.shared, false); /* it is looked at when it ends, and not before */
        assert_int_equal(w.client.end, STILL_OPEN);
        w.now_us += 500000;
        call_recheck_keys(&w.shared, false);
        expect_stopped(stage, ERR_KEY_EXPIRED);
    }
}

static void a_key_that_loses_the_scope_of_its_calls_ends_them(void **state)
{
    (void)state;
    for (enum stage stage = 0; stage < STAGES; stage++) {
        go_to(stage);
        w.scopes &= ~(uint32_t)KEY_SCOPE_EMBEDDINGS;
        call_recheck_keys(&w.shared, true);
        assert_int_equal(w.client.end, STILL_OPEN);
        w.scopes &= ~(uint32_t)KEY_SCOPE_CHAT;
        call_recheck_keys(&w.shared, true);
        expect_stopped(stage, ERR_SCOPE_DENIED);
    }
}

static void a_stream_looks_at_its_key_before_it_sends(void **state)
{
    (void)state;
    go_to(IN_STREAM);
    struct span before = world_reply(&w);
    size_t len = before.len;
    w.recheck_error = ERR_KEY_EXPIRED;
    server_sends(&w, ALL_OF_IT);
    assert_false(world_holds(span_cut(world_reply(&w), len, 1000), "finish_reason"));
    expect_stopped(IN_STREAM, ERR_KEY_EXPIRED);
}

static void a_gateway_that_stops_ends_its_calls(void **state)
{
    (void)state;
    for (enum stage stage = 0; stage < STAGES; stage++) {
        go_to(stage);
        w.shared.draining = true; /* alone it lets calls go on */
        client_event(&w);
        assert_int_equal(w.client.end, STILL_OPEN);
        call_stop_all(&w.shared);
        expect_stopped(stage, ERR_DRAINING);
    }
}

static void a_call_may_end_while_the_gateway_drains(void **state)
{
    (void)state;
    go_to(IN_STREAM);
    w.shared.draining = true;
    server_sends(&w, ALL_OF_IT);
    expect_end("drained", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_close(&w);
}

static void nothing_leaves_the_home_region_before_its_intent_is_on_the_disk(void **state)
{
    (void)state;
    go_to(IN_RECORD);
    assert_true(w.intents == 1 && w.arms == 1);
    client_event(&w); /* the reason to look is another */
    call_wake_durable(&w.shared);
    assert_int_equal(w.started, 0);
    w.durable = 1;
    w.scripts[0].body = "{" CHOICES "}";
    call_wake_durable(&w.shared);
    assert_int_equal(w.started, 1);
    call_wake_durable(&w.shared);
    server_answers(&w, ALL_OF_IT);
    expect_end("abroad", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    assert_true(says(&w.completion, JOURNAL_TEXT_REGION, "eu"));
    assert_true(says(&w.completion, JOURNAL_TEXT_HOME_REGION, "sa"));
    assert_true(world_holds(buf_span(&w.client.fields), "X-Data-Residency: eu\r\n"));
    world_close(&w);
}

static void a_call_does_not_wait_for_a_disk_that_is_full(void **state)
{
    (void)state;
    go_to(IN_RECORD);
    w.trouble = ERR_DISK_FULL;
    call_wake_durable(&w.shared);
    expect_stopped(IN_RECORD, ERR_DISK_FULL);
}

static void a_second_attempt_abroad_waits_for_its_own_intent(void **state)
{
    (void)state;
    world_open(&w);
    w.durable = 1;
    w.scripts[0].fail = ERR_UPSTREAM_STALE;
    w.scripts[1].body = "{" CHOICES "}";
    world_chat(&w, "{'model':'away','messages':[{}]}");
    assert_int_equal(w.started, 1);
    server_answers(&w, 0);
    assert_true(w.intents == 2 && w.started == 1);
    w.durable = 2;
    call_wake_durable(&w.shared);
    assert_int_equal(w.started, 2);
    server_answers(&w, ALL_OF_IT);
    expect_end("abroad", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_close(&w);
}

static void a_second_attempt_that_never_began_is_not_counted_as_sent(void **state)
{
    (void)state;
    world_open(&w);
    w.durable = 1;
    w.scripts[0].fail = ERR_UPSTREAM_STALE;
    world_chat(&w, "{'model':'away','messages':[{}]}");
    server_answers(&w, 0);
    client_leaves(&w);
    expect_end("gone", &w, CANCELLED, ERR_CLIENT_GONE, JOURNAL_OUTCOME_CLIENT_GONE);
    assert_true(w.intents == 2 && w.completion.attempt == 2 && w.completion.attempts_sent == 0);
    world_close(&w);
}

/* The completion that would be journaled if the process died now. */
static const struct journal_record *held_completion(void)
{
    const struct journal_slot *held = NULL;
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        held = w.slots[i].is_armed && w.slots[i].is_taken ? &w.slots[i] : held;
    }
    assert_non_null(held);
    assert_true(journal_record_is_valid(&held->record, SPAN("")));
    assert_int_equal(held->record.outcome, JOURNAL_OUTCOME_INTERRUPTED);
    return &held->record;
}

static void what_a_dying_process_would_leave_is_true(void **state)
{
    (void)state;
    go_to(IN_STREAM);
    const struct journal_record *held = held_completion();
    assert_int_equal(held->tokens_out, 2); /* six letters so far */
    assert_true(held->tokens_out_estimated && held->tokens_in_estimated);
    assert_int_equal(held->cost_nano, (held->tokens_in * 1000000 + 2 * 3000000) / 10);
    assert_true(held->status == 200 && held->first_byte_ms >= held->started_ms);
    assert_true(says(held, JOURNAL_TEXT_PEER, "203.0.113.5"));
    assert_int_equal(held->bytes_out, world_reply(&w).len);
    assert_int_equal(held->attempts_sent, 1);
    assert_memory_equal(held->call_id, w.intent.call_id, sizeof(w.intent.call_id));
    client_leaves(&w);
    world_close(&w);

    go_to(IN_RECORD);
    assert_int_equal(held_completion()->attempts_sent, 0);
    w.durable = 1;
    w.scripts[0].fail = ERR_UPSTREAM_STALE;
    call_wake_durable(&w.shared);
    assert_int_equal(held_completion()->attempts_sent, 1); /* it may have been */
    server_answers(&w, 0);
    assert_true(held_completion()->attempt == 2 && held_completion()->attempts_sent == 0);
    w.durable = 2;
    call_wake_durable(&w.shared);
    assert_int_equal(held_completion()->attempts_sent, 1);
    client_leaves(&w);
    world_close(&w);
}

static void a_second_attempt_has_all_its_time_to_wait(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].fail = ERR_UPSTREAM_STALE;
    w.scripts[1].body = "{" CHOICES "}";
    world_chat(&w, "{'model':'away','messages':[{}]}");
    w.now_us += 5000; /* what a commit takes */
    w.durable = 1;
    call_wake_durable(&w.shared);
    assert_int_equal(w.started, 1);
    w.now_us += 11000000; /* the model server thought, and died */
    server_answers(&w, 0);
    assert_int_equal(w.client.end, STILL_OPEN);
    w.durable = 2;
    call_wake_durable(&w.shared);
    assert_int_equal(w.started, 2);
    server_answers(&w, ALL_OF_IT);
    expect_end("abroad", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_close(&w);
}

static void a_cost_is_a_number_that_the_journal_can_hold(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].body = "{" CHOICES ",'usage':{'prompt_tokens':1000000000000,"
                        "'completion_tokens':0}}";
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, ALL_OF_IT); /* slot_publish() asks whether the record is valid */
    world_close(&w);
}

static void what_is_no_json_costs_the_same_where_a_stream_was_asked_for(void **state)
{
    (void)state;
    int64_t found[2];
    for (int stream = 0; stream < 2; stream++) {
        world_open(&w);
        w.scripts[0].body = "sorry";
        w.scripts[0].type = "application/json";
        world_chat(&w, stream ? CHAT_BODY(",'stream':true") : CHAT_BODY(",'stream':null"));
        server_answers(&w, ALL_OF_IT);
        expect_end("no JSON", &w, REFUSED, ERR_UPSTREAM_JSON, JOURNAL_OUTCOME_FAILED);
        found[stream] = w.completion.tokens_in;
        world_close(&w);
    }
    assert_int_equal(found[0], found[1]);
}

static void a_new_policy_leaves_calls_with_theirs(void **state)
{
    (void)state;
    go_to(CONNECTING);
    policy_unref(&w.shared.policy);
    w.policy = w.shared.policy = world_policy();
    server_answers(&w, 0);
    client_leaves(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_goes_ends_its_call_at_once),
        cmocka_unit_test(a_key_that_is_revoked_ends_its_calls),
        cmocka_unit_test(a_key_whose_end_comes_nearer_ends_its_calls_though_nothing_is_heard),
        cmocka_unit_test(a_key_that_loses_the_scope_of_its_calls_ends_them),
        cmocka_unit_test(a_stream_looks_at_its_key_before_it_sends),
        cmocka_unit_test(a_gateway_that_stops_ends_its_calls),
        cmocka_unit_test(a_call_may_end_while_the_gateway_drains),
        cmocka_unit_test(nothing_leaves_the_home_region_before_its_intent_is_on_the_disk),
        cmocka_unit_test(a_call_does_not_wait_for_a_disk_that_is_full),
        cmocka_unit_test(a_second_attempt_has_all_its_time_to_wait),
        cmocka_unit_test(a_cost_is_a_number_that_the_journal_can_hold),
        cmocka_unit_test(what_is_no_json_costs_the_same_where_a_stream_was_asked_for),
        cmocka_unit_test(a_second_attempt_abroad_waits_for_its_own_intent),
        cmocka_unit_test(a_second_attempt_that_never_began_is_not_counted_as_sent),
        cmocka_unit_test(what_a_dying_process_would_leave_is_true),
        cmocka_unit_test(a_new_policy_leaves_calls_with_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
