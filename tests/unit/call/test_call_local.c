/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_local.c — the gateway asks itself: a call like any other, and recorded. */
#include "world_scene.h"

#include "call/call_local.h"

static struct world w;

/* What the one who asked was told. */
static struct {
    int status;
    unsigned ends;
    enum err error;
    struct buf bytes, message;
} heard;

static void hear_head(struct call_local *local, int status)
{
    (void)local;
    assert_true(heard.status == 0 && heard.ends == 0);
    heard.status = status;
}

static void hear_bytes(struct call_local *local, struct span bytes)
{
    (void)local;
    assert_true(heard.status == 200 && heard.ends == 0);
    buf_put(&heard.bytes, bytes);
}

static void hear_end(struct call_local *local, enum err e, struct span message)
{
    heard.ends++;
    heard.error = e;
    buf_put(&heard.message, message);
    memset(local, 0, sizeof(*local)); /* it is the caller's again */
}

static const struct call_local_events events = {hear_head, hear_bytes, hear_end};
static struct call_local local;

static void ask(const char *body, uint32_t scopes)
{
    const struct route *route;
    struct span rest, allow;
    struct key_handle key = {.scopes = scopes, .id = "key000000001"};
    memset(&heard, 0, sizeof(heard));
    buf_init(&heard.bytes, 1 << 20);
    buf_init(&heard.message, 1 << 20);
    local = (struct call_local){.events = &events};
    assert_int_equal(route_find(HTTP_POST, SPAN("/v1/chat/completions"), &route, &rest, &allow),
                     ERR_OK);
    assert_int_equal(call_local_start(&local, &w.shared, route, &key, world_text(&w, body)),
                     ERR_OK);
    assert_true(w.started == 0 && heard.ends == 0); /* not from within */
    loop_run(&w);
}

static void close_all(void)
{
    loop_run(&w);
    assert_int_equal(heard.ends, 1);
    assert_true(w.client.status == 0 && w.client.pulls == 0); /* no exchange has to do with it */
    w.client.end = FINISHED;
    buf_fini(&heard.bytes);
    buf_fini(&heard.message);
    world_close(&w);
}

static void a_whole_call_runs_without_an_exchange(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].body = CHAT_REPLY;
    ask(CHAT_BODY(""), KEY_SCOPES_INFERENCE);
    assert_int_equal(w.started, 1);
    world_expect("the request", span_of(w.attempts[0].sent),
                 "/chat/completions\n{'model':'real','messages':[{'role':'user','content':'hi'}]}");
    server_answers(&w, ALL_OF_IT);
    assert_true(heard.status == 200 && heard.error == ERR_OK);
    world_expect("the reply", buf_span(&heard.bytes), CHAT_SHOWN);
    const struct journal_record *r = &w.completion;
    assert_true(w.intents == 1 && w.completions == 1 && r->outcome == JOURNAL_OUTCOME_OK &&
                r->tokens_in == 9 && r->bytes_out == (int64_t)buf_span(&heard.bytes).len);
    assert_true(says(r, JOURNAL_TEXT_KEY, "key000000001"));
    close_all();
}

static void a_stream_is_heard_event_by_event(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].body = WORD("real", "a") STOP("real") DONE;
    ask(CHAT_BODY(",'stream':true"), KEY_SCOPES_INFERENCE);
    server_answers(&w, 0);
    server_sends_until(&w, "\n\n");
    world_expect("one", buf_span(&heard.bytes), FIRST("m", "a"));
    server_sends(&w, ALL_OF_IT);
    world_expect("all", buf_span(&heard.bytes), FIRST("m", "a") STOP("m") DONE);
    assert_int_equal(heard.error, ERR_OK);
    close_all();
}

static void it_is_refused_as_any_call_is(void **state)
{
    (void)state;
    world_open(&w);
    ask("{'model':'x','messages':[{}]}", KEY_SCOPES_INFERENCE);
    assert_true(heard.status == 0 && heard.error == ERR_MODEL_UNKNOWN);
    assert_true(world_holds(buf_span(&heard.message), "the model 'x' does not exist"));
    assert_int_equal(w.completion.outcome, JOURNAL_OUTCOME_REFUSED);
    close_all();

    world_open(&w);
    ask(CHAT_BODY(""), 0);
    assert_int_equal(heard.error, ERR_SCOPE_DENIED);
    close_all();
}

static void it_may_be_cancelled_at_any_time(void **state)
{
    (void)state;
    for (int stage = 0; stage < 3; stage++) {
        world_open(&w);
        w.holds_turns = stage == 0;
        w.scripts[0].body = WORD("real", "a") STOP("real") DONE;
        ask(CHAT_BODY(",'stream':true"), KEY_SCOPES_INFERENCE);
        if (stage == 2) {
            server_answers(&w, 20);
        }
        w.holds_turns = false;
        call_local_cancel(&local);
        assert_int_equal(heard.ends, 0); /* not from within */
        loop_run(&w);
        assert_int_equal(heard.error, ERR_CLIENT_GONE);
        assert_int_equal(w.completions, 1);
        assert_int_equal(w.completion.outcome, JOURNAL_OUTCOME_CLIENT_GONE);
        close_all();
    }
}

static void an_answer_that_breaks_off_is_said_to(void **state)
{
    (void)state;
    world_open(&w);
    w.scripts[0].body = CHAT_REPLY;
    ask(CHAT_BODY(""), KEY_SCOPES_INFERENCE);
    w.recheck_error = ERR_KEY_REVOKED;
    call_recheck_keys(&w.shared, true);
    assert_int_equal(heard.error, ERR_KEY_REVOKED);
    close_all();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_call_runs_without_an_exchange),
        cmocka_unit_test(a_stream_is_heard_event_by_event),
        cmocka_unit_test(it_is_refused_as_any_call_is),
        cmocka_unit_test(it_may_be_cancelled_at_any_time),
        cmocka_unit_test(an_answer_that_breaks_off_is_said_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
