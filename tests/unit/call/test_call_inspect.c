/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_inspect.c — a large body is gone through in slices, and comes to the same. */
#include "world_scene.h"

#include "base/memory.h"

static struct world w;

#define BODY_BYTES   300000
#define LEAST_SLICES 9 /* 32 KiB a look at the clock */

/* A chat with a long text, and what stands behind its messages. */
static char *long_chat(const char *model, const char *more)
{
    char *body = memory_raw(BODY_BYTES + 1000);
    assert_non_null(body);
    int len = snprintf(body, 200, "{'model':'%s','messages':[{'role':'user','content':'", model);
    memset(body + len, 'x', BODY_BYTES);
    (void)snprintf(body + len + BODY_BYTES, 500, "'}]%s}", more); /* fits */
    return body;
}

#define REPLY                                                                             \
    "{'model':'real','choices':[{'index':0,'message':{'role':'assistant','content':'a'}," \
    "'finish_reason':'stop'}]}"

static const struct script replies = {.body = REPLY};

/* A call whose every look at the clock is a slice later. */
static void ask(const char *body, const struct script *script)
{
    world_open(&w);
    w.scripts[0] = *script;
    w.holds_turns = true;
    w.tick_us = 400;
    world_chat(&w, body);
}

static void expect_worker_is_free(void)
{
    assert_true(w.shared.index.count == 0 && w.shared.index.cap == 0);
    assert_int_equal(w.shared.turn.used, 0);
}

static void turn_until_started(void)
{
    while (w.started == 0) {
        expect_worker_is_free();
        assert_int_equal(w.client.end, STILL_OPEN);
        assert_true(loop_turn(&w));
    }
}

static void expect_sent(unsigned which, const char *body)
{
    char *wanted = memory_raw(BODY_BYTES + 1000);
    assert_non_null(wanted);
    (void)snprintf(wanted, BODY_BYTES + 1000, "/chat/completions\n%s", body);
    world_expect("what is sent", span_of(w.attempts[which].sent), wanted);
    memory_free(wanted);
}

static void a_large_body_is_inspected_in_slices(void **state)
{
    (void)state;
    char *body = long_chat("m", ",'routing':{'profile':'cost'},'max_tokens':3"),
         *sent = long_chat("real", ",'max_tokens':3");
    ask(body, &replies);
    turn_until_started();
    assert_true(w.turns >= LEAST_SLICES);
    expect_sent(0, sent);
    assert_int_equal(w.intent.tokens_in, 4 + BODY_BYTES / 4);
    assert_int_equal(w.intent.tokens_reserved, w.intent.tokens_in + 3);
    w.holds_turns = false;
    server_answers(&w, ALL_OF_IT);
    expect_end("sliced", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_close(&w);
    memory_free(body);
    memory_free(sent);
}

/* The same where all slices are short enough for one turn: no more memory, and no yield. */
static void what_is_fast_enough_is_done_at_once(void **state)
{
    (void)state;
    char *body = long_chat("m", ""), *sent = long_chat("real", "");
    world_open(&w);
    w.scripts[0] = replies;
    w.holds_turns = true;
    world_chat(&w, body);
    assert_true(w.started == 1 && w.turns == 0);
    expect_sent(0, sent);
    w.holds_turns = false;
    server_answers(&w, ALL_OF_IT);
    expect_end("at once", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_close(&w);
    memory_free(body);
    memory_free(sent);
}

/* Wherever the client leaves, nothing is kept, and what is recorded is in its range. */
static void a_client_may_leave_between_slices(void **state)
{
    (void)state;
    char *body = long_chat("m", "");
    bool is_over = false;
    for (unsigned turns = 0; !is_over; turns++) {
        ask(body, &replies);
        while (w.turns < turns && loop_turn(&w)) {
        }
        is_over = w.started > 0;
        assert_true(!is_over || turns >= LEAST_SLICES);
        client_leaves(&w);
        expect_end("gone", &w, CANCELLED, ERR_CLIENT_GONE, JOURNAL_OUTCOME_CLIENT_GONE);
        world_close(&w);
    }
    memory_free(body);
}

static void what_is_wrong_far_behind_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        enum err err;
    } rows[] = {
        {",'n':0", ERR_VALUE_INVALID},
        {",'model':'twice'", ERR_JSON_DUPLICATE},
        {",", ERR_BODY_NOT_JSON},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char *body = long_chat("m", rows[i].more);
        ask(body, &replies);
        while (w.client.end == STILL_OPEN) {
            assert_true(loop_turn(&w));
        }
        expect_end(rows[i].more, &w, REFUSED, rows[i].err, JOURNAL_OUTCOME_REFUSED);
        world_close(&w);
        memory_free(body);
    }
}

static const struct script refuses = {
    .status = 422,
    .type = "application/json",
    .body =
        "{'detail':[{'loc':['body','stream_options'],'msg':'Extra inputs are not permitted'}]}"};

/* For a second try the index is made anew, in slices too. */
static void a_second_try_has_the_same_body(void **state)
{
    (void)state;
    char *body = long_chat("m", ",'stream':true"),
         *full = long_chat("real", ",'stream':true,'stream_options':{'include_usage':true}"),
         *lean = long_chat("real", ",'stream':true");
    ask(body, &refuses);
    turn_until_started();
    expect_sent(0, full);
    server_answers(&w, ALL_OF_IT);
    unsigned turns = w.turns;
    while (w.started == 1) {
        assert_true(loop_turn(&w));
    }
    assert_true(w.turns - turns >= LEAST_SLICES);
    expect_sent(1, lean);
    client_leaves(&w);
    world_close(&w);
    memory_free(body);
    memory_free(full);
    memory_free(lean);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_body_is_inspected_in_slices),
        cmocka_unit_test(what_is_fast_enough_is_done_at_once),
        cmocka_unit_test(a_client_may_leave_between_slices),
        cmocka_unit_test(what_is_wrong_far_behind_is_found),
        cmocka_unit_test(a_second_try_has_the_same_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
