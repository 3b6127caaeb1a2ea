/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_shadow.c — a copy of a call for another model: a call of its own, which is in no sum
 * and which nobody waits for. */
#include "world_scene.h"

#include "routing/routing.h"

static struct world w;

static bool knows(const void *ctx, struct span name)
{
    (void)ctx;
    (void)name;
    return true;
}

/* A rule for all calls, which mirrors them to `shadow`. */
static void begin(const char *shadow, const char *body)
{
    static const struct routing_world all = {knows, NULL, knows, NULL, NULL};
    char text[256];
    struct buf problems;
    world_open(&w);
    buf_init(&problems, 4096);
    (void)snprintf(text, sizeof(text),
                   "routes:\n  - name: one\n    model: m\n    applies_to: all\n"
                   "    shadow: {model: %s, percent: 100}\n",
                   shadow);
    assert_int_equal(routing_read(span_of(text), "r", &all, &problems, &w.policy->routing), ERR_OK);
    buf_fini(&problems);
    w.calls = 2;
    w.scripts[0].body = CHAT_REPLY;
    w.scripts[1].body = CHAT_REPLY_OF("away");
    world_chat(&w, body);
}

static void disk_catches_up(void)
{
    w.durable = w.ticket;
    call_wake_durable(&w.shared);
}

static void first_answers(void)
{
    attempt_answers(&w.attempts[0], ALL_OF_IT);
    assert_true(w.client.end == FINISHED && w.completions == 1 && !w.completion.shadow);
    world_expect("the reply", world_reply(&w), CHAT_SHOWN);
}

static void a_copy_has_the_body_and_waits_for_its_own_intent(void **state)
{
    (void)state;
    begin("away", CHAT_BODY(",'temperature':0.5"));
    assert_true(w.started == 1 && w.intents == 1); /* the call's first, and not from within */
    loop_run(&w);
    assert_true(w.started == 1 && w.intents == 2 && w.intent.shadow); /* its server is abroad */
    disk_catches_up();
    assert_int_equal(w.started, 2);
    world_expect("the copy", span_of(w.attempts[1].sent),
                 "/chat/completions\n{'model':'away','messages':[{'role':'user','content':'hi'}],"
                 "'temperature':0.5}");
    first_answers();
    attempt_answers(&w.attempts[1], ALL_OF_IT);
    const struct journal_record *r = &w.completion;
    assert_true(w.completions == 2 && r->shadow && r->outcome == JOURNAL_OUTCOME_OK &&
                r->tokens_in == 9 && r->tokens_out == 2 && r->reserved_nano == 0);
    assert_true(says(r, JOURNAL_TEXT_MODEL, "away") && says(r, JOURNAL_TEXT_POLICY, "one"));
    world_close(&w);
}

static void its_failure_is_its_own_and_nobody_else_is_asked(void **state)
{
    (void)state;
    begin("any/other", CHAT_BODY(""));
    loop_run(&w);
    assert_int_equal(w.started, 2);
    w.attempts[1].script.fail = ERR_UPSTREAM_CONNECT;
    first_answers();
    attempt_answers(&w.attempts[1], 0);
    assert_true(w.completions == 2 && w.completion.outcome == JOURNAL_OUTCOME_FAILED);
    assert_int_equal(w.prepared, 2);
    world_close(&w);
}

static void a_caller_who_goes_leaves_it_running(void **state)
{
    (void)state;
    begin("any/other", CHAT_BODY(""));
    loop_run(&w);
    client_leaves(&w);
    assert_true(w.client.end == CANCELLED && w.completions == 1 && w.attempts[1].is_open);
    attempt_answers(&w.attempts[1], ALL_OF_IT);
    assert_true(w.completion.shadow && w.completion.outcome == JOURNAL_OUTCOME_OK);
    world_close(&w);
}

static void a_drain_ends_it_begun_or_not(void **state)
{
    (void)state;
    for (unsigned begun = 0; begun < 2; begun++) {
        begin("any/other", CHAT_BODY(""));
        if (begun) {
            loop_run(&w);
        }
        w.holds_turns = true;
        w.calls = 1 + begun;
        assert_int_equal(w.started, 1 + begun);
        first_answers();
        call_end_shadows(&w.shared);
        assert_int_equal(w.completions, 1); /* not from within */
        w.holds_turns = false;
        loop_run(&w);
        assert_true(w.started == 1 + begun && w.completions == 1 + begun);
        assert_int_equal(w.completion.outcome,
                         begun ? JOURNAL_OUTCOME_CLIENT_GONE : JOURNAL_OUTCOME_OK);
        world_close(&w);
    }
}

static void no_more_are_open_than_an_eighth_of_the_calls(void **state)
{
    (void)state;
    begin("any/other", CHAT_BODY("")); /* two calls there may be: one copy */
    loop_run(&w);
    assert_int_equal(w.started, 2);
    first_answers();
    struct exchange before = w.client;
    w.client = (struct exchange){.fields = before.fields,
                                 .reply = before.reply,
                                 .message = before.message,
                                 .param = before.param};
    buf_clear(&w.client.fields);
    buf_clear(&w.client.reply);
    w.completions = 0;
    w.calls = 3;
    w.scripts[2].body = CHAT_REPLY;
    world_chat(&w, CHAT_BODY(""));
    loop_run(&w);
    assert_int_equal(w.started, 3);
    attempt_answers(&w.attempts[2], ALL_OF_IT);
    assert_int_equal(w.client.end, FINISHED);
    attempt_answers(&w.attempts[1], ALL_OF_IT);
    w.completions++; /* the first call's */
    world_close(&w);
}

static void where_the_call_may_not_go_nor_may_it(void **state)
{
    (void)state;
    begin("vectors", CHAT_BODY("")); /* it serves no chat */
    loop_run(&w);
    w.calls = 1;
    first_answers();
    assert_int_equal(w.prepared, 1);
    world_close(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_has_the_body_and_waits_for_its_own_intent),
        cmocka_unit_test(its_failure_is_its_own_and_nobody_else_is_asked),
        cmocka_unit_test(a_caller_who_goes_leaves_it_running),
        cmocka_unit_test(a_drain_ends_it_begun_or_not),
        cmocka_unit_test(no_more_are_open_than_an_eighth_of_the_calls),
        cmocka_unit_test(where_the_call_may_not_go_nor_may_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
