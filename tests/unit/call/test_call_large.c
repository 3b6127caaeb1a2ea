/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_call_large.c — a large reply is made and put in slices, so that the worker's other calls
 * have their turn in between.
 */
#include "world_scene.h"

static struct world w;

enum { VECTORS = 8, FLOATS = 6000, SLICE_FLOATS_MOST = 4096 };

#define ASKED "{'model':'vectors','input':['1','2','3','4','5','6','7','8'],'encoding_format':'%s'}"

/* A call for eight vectors. */
static void ask(const char *reply, bool wants_base64)
{
    char asked[200];
    world_open(&w);
    w.policy->deployments[0]->definition.reply_bytes_max = 64 << 20;
    w.holds_turns = true;
    w.scripts[0].body = reply;
    (void)snprintf(asked, sizeof(asked), ASKED, wants_base64 ? "base64" : "float");
    world_request(&w, "/v1/embeddings", asked);
}

/* One whose reply is all there, and nothing is made of it yet but what the first step did. */
static void begin(const char *reply, bool wants_base64)
{
    ask(reply, wants_base64);
    server_answers(&w, ALL_OF_IT);
}

/* The worker's own memory, which the next call may want, is not in use between two turns. */
static void expect_worker_is_free(void)
{
    assert_int_equal(w.shared.index.count, 0);
    assert_int_equal(w.shared.turn.used, 0);
    assert_int_equal(buf_span(&w.shared.out).len, 0);
}

static void a_large_batch_is_converted_in_slices(void **state)
{
    (void)state;
    for (int to_base64 = 0; to_base64 < 2; to_base64++) {
        char *reply = world_vectors(VECTORS, FLOATS, to_base64 == 0);
        char *wanted = world_vectors(VECTORS, FLOATS, to_base64 == 1);
        begin(reply, to_base64 == 1);
        while (w.client.status == 0) {
            assert_true(world_reply(&w).len == 0 && w.client.end == STILL_OPEN);
            expect_worker_is_free();
            assert_true(loop_turn(&w));
        }
        assert_true(w.turns >= VECTORS * FLOATS / SLICE_FLOATS_MOST);
        while (loop_turn(&w)) {
            assert_int_equal(w.client.status, 200);
        }
        expect_end("large", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        world_expect("the reply", world_reply(&w), wanted);
        assert_int_equal(w.completion.bytes_out, strlen(wanted));
        world_close(&w);
        memory_free(reply);
        memory_free(wanted);
    }
}

static void an_event_in_between_gives_no_slice_more(void **state)
{
    (void)state;
    char *reply = world_vectors(VECTORS, FLOATS, false);
    char *wanted = world_vectors(VECTORS, FLOATS, true);
    begin(reply, true);
    while (w.client.end == STILL_OPEN) {
        size_t put = world_reply(&w).len;
        bool has_head = w.client.status != 0;
        client_event(&w);
        call_wake_durable(&w.shared);
        attempt_event(last_attempt(&w));
        assert_true(world_reply(&w).len == put && (w.client.status != 0) == has_head);
        assert_true(loop_turn(&w));
    }
    expect_end("large", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("the reply", world_reply(&w), wanted);
    while (loop_turn(&w)) { /* one may be left for nobody */
    }
    world_close(&w);
    memory_free(reply);
    memory_free(wanted);
}

enum way { THE_CLIENT_GOES, THE_KEY_IS_REVOKED, THE_GATEWAY_STOPS, WAYS };

static void end_by(enum way way)
{
    switch (way) {
    case THE_CLIENT_GOES:
        client_leaves(&w);
        expect_end("gone", &w, CANCELLED, ERR_CLIENT_GONE, JOURNAL_OUTCOME_CLIENT_GONE);
        break;
    case THE_KEY_IS_REVOKED:
        w.recheck_error = ERR_KEY_REVOKED;
        call_recheck_keys(&w.shared, true);
        expect_end("revoked", &w, w.client.status == 200 ? CANCELLED : REFUSED, ERR_KEY_REVOKED,
                   JOURNAL_OUTCOME_FAILED);
        break;
    case THE_GATEWAY_STOPS:
        call_stop_all(&w.shared);
        expect_end("stopped", &w, w.client.status == 200 ? CANCELLED : REFUSED, ERR_DRAINING,
                   JOURNAL_OUTCOME_FAILED);
        break;
    case WAYS:
        break;
    }
}

static void a_call_may_end_between_any_two_slices(void **state)
{
    (void)state;
    char *reply = world_vectors(VECTORS, FLOATS, false);
    for (enum way way = 0; way < WAYS; way++) {
        bool is_over = false;
        for (unsigned turns = 0; !is_over; turns++) {
            begin(reply, true);
            for (unsigned i = 0; i < turns; i++) {
                (void)loop_turn(&w);
            }
            is_over = w.client.end != STILL_OPEN;
            if (!is_over) {
                end_by(way);
                assert_true(w.completion.bytes_out > 0 || w.client.status == 0);
            }
            while (loop_turn(&w)) { /* nothing is left to do in it */
            }
            world_close(&w);
        }
    }
    memory_free(reply);
}

static void a_fault_at_the_very_end_of_a_large_batch_is_still_a_status(void **state)
{
    (void)state;
    char *reply = world_vectors(VECTORS, FLOATS, false);
    memcpy(strrchr(reply, '3') - 2, "'3'", 3);
    begin(reply, true);
    while (loop_turn(&w)) {
    }
    expect_end("no number", &w, REFUSED, ERR_UPSTREAM_JSON, JOURNAL_OUTCOME_FAILED);
    assert_int_equal(w.client.status, 502);
    world_close(&w);
    memory_free(reply);
}

static void a_large_reply_is_put_no_faster_than_the_client_takes_it(void **state)
{
    (void)state;
    char *reply = world_vectors(VECTORS, 4 * FLOATS, false);
    ask(reply, false);
    w.client.is_slow = true;
    server_answers(&w, ALL_OF_IT);
    while (loop_turn(&w)) {
    }
    size_t put = 0;
    for (unsigned slices = 0; w.client.end == STILL_OPEN; slices++) {
        size_t more = world_reply(&w).len - put;
        assert_true(more > 0 && more <= 128 * 1024 && slices < 100);
        put += more;
        (void)loop_turn(&w); /* what waits for the client is not put aside for the loop */
        assert_int_equal(world_reply(&w).len, put);
        client_takes(&w);
    }
    assert_true(strlen(reply) > (size_t)5 * 128 * 1024);
    expect_end("slow", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
    world_expect("the reply", world_reply(&w), reply);
    while (loop_turn(&w)) {
    }
    world_close(&w);
    memory_free(reply);
}

static void what_a_dying_process_leaves_of_a_large_reply_is_true(void **state)
{
    (void)state;
    char *reply = world_vectors(VECTORS, 4 * FLOATS, false);
    ask(reply, false);
    w.client.is_slow = true;
    server_answers(&w, ALL_OF_IT);
    while (loop_turn(&w)) {
    }
    assert_true(world_reply(&w).len > 0 && w.client.end == STILL_OPEN);
    const struct journal_slot *held = NULL;
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        held = w.slots[i].is_armed && w.slots[i].is_taken ? &w.slots[i] : held;
    }
    assert_non_null(held);
    assert_int_equal(held->record.status, 200);
    assert_int_equal(held->record.bytes_out, world_reply(&w).len);
    client_leaves(&w);
    while (loop_turn(&w)) {
    }
    world_close(&w);
    memory_free(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_batch_is_converted_in_slices),
        cmocka_unit_test(an_event_in_between_gives_no_slice_more),
        cmocka_unit_test(a_call_may_end_between_any_two_slices),
        cmocka_unit_test(a_fault_at_the_very_end_of_a_large_batch_is_still_a_status),
        cmocka_unit_test(what_a_dying_process_leaves_of_a_large_reply_is_true),
        cmocka_unit_test(a_large_reply_is_put_no_faster_than_the_client_takes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
