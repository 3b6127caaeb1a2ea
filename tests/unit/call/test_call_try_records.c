/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_try_records.c — what the records and the metrics say of calls that were tried twice. */
#include "tries_scene.h"

#include <stdlib.h>

#include "telemetry/call_series.h"

/* What the metrics count of a model and its upstream; 0: they do not name it. */
static int64_t counted(const char *model, const char *upstream, const char *direction)
{
    char sample[160];
    struct buf page;
    buf_init(&page, 1u << 20);
    call_series_write(&page);
    (void)snprintf(sample, sizeof(sample),
                   "atlas_model_tokens_total{model=\"%s\",upstream=\"%s\",direction=\"%s\"} ",
                   model, upstream, direction);
    buf_put_byte(&page, 0);
    assert_false(buf_failed(&page));
    const char *at = strstr((const char *)page.at, sample);
    int64_t number = at == NULL ? 0 : strtoll(at + strlen(sample), NULL, 10);
    buf_fini(&page);
    return number;
}

static void the_metrics_count_what_all_tries_of_a_call_used(void **state)
{
    (void)state;
    call_series_thread_start();
    int64_t in[] = {counted("m", "near", "input"), counted("away", "far", "input")};
    int64_t out[] = {counted("m", "near", "output"), counted("away", "far", "output")};
    begin(NULL, 0);
    w.scripts[0].body =
        "{'error':{'message':'m'},'usage':{'prompt_tokens':9,'completion_tokens':2}}";
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, ALL_OF_IT);
    server_answers(&w, ALL_OF_IT);
    expect_end("fallback", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    assert_true(end_of(1)->tokens_in > 0 && w.completion.tokens_in > 0);
    assert_int_equal(counted("m", "near", "input") - in[0], end_of(1)->tokens_in);
    assert_int_equal(counted("m", "near", "output") - out[0], end_of(1)->tokens_out);
    assert_int_equal(counted("away", "far", "input") - in[1], w.completion.tokens_in);
    assert_int_equal(counted("away", "far", "output") - out[1], w.completion.tokens_out);
    world_close(&w);
}

static void a_try_that_lost_says_what_it_cost(void **state)
{
    (void)state;
    begin(NULL, 0);
    w.scripts[0].body =
        "{'error':{'message':'m'},'usage':{'prompt_tokens':9,'completion_tokens':2}}";
    world_chat(&w, CHAT_BODY(""));
    w.now_us += 5000;
    server_answers(&w, ALL_OF_IT);
    w.now_us += 5000;
    server_answers(&w, ALL_OF_IT);
    expect_end("fallback", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    expect_counts(2, 2, 4, "far");
    const struct journal_record *r = end_of(1);
    assert_true(r->outcome == JOURNAL_OUTCOME_FAILED && r->status == 200 && r->sent == 1);
    assert_true(r->ended_ms - r->started_ms == 5 && r->first_byte_ms - r->started_ms == 5);
    assert_true(r->tokens_in > 0 && r->cost_nano > 0);
    assert_true(says(r, JOURNAL_TEXT_UPSTREAM, "near") && says(r, JOURNAL_TEXT_REGION, "sa"));
    assert_true(says(r, JOURNAL_TEXT_ERROR, "UPSTREAM_STATUS"));
    assert_true(says(r, JOURNAL_TEXT_PEER, "203.0.113.5") && says(r, JOURNAL_TEXT_CERTIFICATE, ""));
    const struct attempt_peer *asked = attempt_peer_now(&w.attempts[1]);
    assert_true(says(&w.completion, JOURNAL_TEXT_PEER, asked->address));
    assert_memory_equal(journal_record_text(&w.completion, JOURNAL_TEXT_CERTIFICATE).at,
                        asked->certificate, sizeof(asked->certificate));
    world_close(&w);

    begin(CHAT_BODY(""), 2000); /* one that was cancelled */
    time_passes(&w, 2000);
    attempt_answers(&w.attempts[1], ALL_OF_IT);
    assert_true(end_of(1)->outcome == JOURNAL_OUTCOME_LOST && end_of(1)->sent == 1);
    assert_true(says(end_of(1), JOURNAL_TEXT_ERROR, ""));
    world_close(&w);
}

static void the_completion_speaks_for_one_that_has_an_intent(void **state)
{
    (void)state;
    begin(NULL, 0);
    w.scripts[0].fail = ERR_UPSTREAM_CLOSED;
    w.scripts[1].prepare = ERR_UPSTREAM_BUSY; /* so the second has none */
    world_chat(&w, CHAT_BODY(""));
    server_answers(&w, 0);
    expect_end("both", &w, REFUSED, ERR_UPSTREAM_BUSY, JOURNAL_OUTCOME_FAILED);
    expect_counts(1, 1, 0, "near");
    world_close(&w);

    begin(NULL, 0); /* the client leaves while it waits for one */
    w.scripts[0].fail = ERR_UPSTREAM_CLOSED;
    world_chat(&w, CHAT_BODY(""));
    w.slots_max = w.slots_held;
    server_answers(&w, 0);
    assert_true(w.attempts_open == 1 && w.intents == 1);
    client_leaves(&w);
    expect_end("gone", &w, CANCELLED, ERR_CLIENT_GONE, JOURNAL_OUTCOME_CLIENT_GONE);
    expect_counts(1, 1, 0, "near");
    world_close(&w);
}

/* A record that becomes another's is stored word by word: a death in between finds the new kind and
 * the old word behind it. */
static void a_try_that_was_sent_is_held_as_sent_whatever_kind_its_record_is(void **state)
{
    (void)state;
    unsigned held = 0;
    begin(CHAT_BODY(""), 2000);
    time_passes(&w, 2000);
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        const struct journal_record *r = &w.slots[i].record;
        if (w.slots[i].is_taken && w.slots[i].is_armed) {
            assert_true(r->sent == 1 && r->attempts_sent > 0);
            held++;
        }
    }
    assert_int_equal(held, 2);
    attempt_answers(&w.attempts[1], ALL_OF_IT);
    world_close(&w);
}

/* What would be journaled if the process died now: a record for each intent that has no end. */
static void expect_held(unsigned completions_for, unsigned ends_for)
{
    unsigned completion = 0, ends = 0;
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        const struct journal_record *r = &w.slots[i].record;
        if (w.slots[i].is_taken && w.slots[i].is_armed) {
            bool is_far = says(r, JOURNAL_TEXT_UPSTREAM, "far");
            unsigned *found = r->kind == JOURNAL_COMPLETION ? &completion : &ends;
            *found = is_far ? 2 : 1;
            assert_int_equal(r->outcome, JOURNAL_OUTCOME_INTERRUPTED);
            assert_true(journal_record_is_valid(r, SPAN("")));
        }
    }
    assert_int_equal(completion, completions_for);
    assert_int_equal(ends, ends_for);
}

static void what_a_dying_process_would_leave_has_an_end_for_each_intent(void **state)
{
    (void)state;
    begin(CHAT_BODY(""), 2000);
    expect_held(1, 0);
    time_passes(&w, 2000);
    expect_held(1, 2);
    w.attempts[0].script.fail = ERR_UPSTREAM_CLOSED;
    attempt_answers(&w.attempts[0], 0);
    expect_held(2, 0);
    attempt_answers(&w.attempts[1], ALL_OF_IT);
    expect_counts(2, 2, 4, "far");
    world_close(&w);

    begin(NULL, 0);
    w.scripts[0].fail = ERR_UPSTREAM_CLOSED;
    world_chat(&w, CHAT_BODY(""));
    w.slots_max = w.slots_held;
    server_answers(&w, 0);
    expect_held(1, 0); /* the second has no slots yet */
    w.slots_max = WORLD_SLOTS;
    call_wake_durable(&w.shared);
    expect_held(2, 0);
    server_answers(&w, ALL_OF_IT);
    expect_counts(2, 2, 4, "far");
    world_close(&w);
}

/* The same for those whose names a record can hold only once: none is cut, or another's. */
static void records_name_their_own_candidate_however_long_its_names_are(void **state)
{
    (void)state;
    begin(NULL, 0);
    w.others[0] = LONG_NAME("c");
    w.scripts[0].fail = ERR_UPSTREAM_CLOSED;
    world_chat(&w, "{'model':'" LONG_NAME("a") "','messages':[{'role':'user','content':'hi'}]}");
    server_answers(&w, 0);
    assert_true(says(end_of(1), JOURNAL_TEXT_MODEL, LONG_NAME("a")) &&
                says(end_of(1), JOURNAL_TEXT_UPSTREAM_MODEL, LONG_NAME("b")));
    expect_held(2, 0);
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        const struct journal_record *r = &w.slots[i].record;
        assert_true(!w.slots[i].is_taken || (says(r, JOURNAL_TEXT_MODEL, LONG_NAME("c")) &&
                                             says(r, JOURNAL_TEXT_UPSTREAM_MODEL, LONG_NAME("d"))));
    }
    server_answers(&w, ALL_OF_IT);
    expect_counts(2, 2, 4, "far");
    assert_true(says(&w.completion, JOURNAL_TEXT_UPSTREAM_MODEL, LONG_NAME("d")));
    world_close(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_try_that_lost_says_what_it_cost),
        cmocka_unit_test(the_metrics_count_what_all_tries_of_a_call_used),
        cmocka_unit_test(the_completion_speaks_for_one_that_has_an_intent),
        cmocka_unit_test(what_a_dying_process_would_leave_has_an_end_for_each_intent),
        cmocka_unit_test(a_try_that_was_sent_is_held_as_sent_whatever_kind_its_record_is),
        cmocka_unit_test(records_name_their_own_candidate_however_long_its_names_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
