/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_turns.c — calls that have long to work share the turns of the loop. */
#include "world_scene.h"

#include "call/call_internal.h"
#include "call/call_local.h"

static struct world w;

#define ASKED "{'model':'vectors','input':['1','2','3','4'],'encoding_format':'base64'}"
enum { CALLS = 2, VECTORS = 4, FLOATS = 6000, OPEN = 100, SHARE_US = 500 };

static struct call_local locals[CALLS];
static unsigned ended_at[CALLS]; /* in which turn */
static enum err ends_with;

static void hear_head(struct call_local *local, int status)
{
    (void)local;
    assert_int_equal(status, 200);
}

static void hear_bytes(struct call_local *local, struct span bytes)
{
    (void)local;
    (void)bytes;
}

static void hear_end(struct call_local *local, enum err e, struct span message)
{
    (void)message;
    assert_int_equal(e, ends_with);
    ended_at[local - locals] = w.turns;
}

static const struct call_local_events events = {hear_head, hear_bytes, hear_end};

/* Two calls, as far as their model servers. */
static void begin_all(void)
{
    const struct key_handle key = {.scopes = KEY_SCOPES_INFERENCE, .id = "key000000001"};
    const struct route *route;
    struct span rest, allow;
    assert_int_equal(route_find(HTTP_POST, SPAN("/v1/embeddings"), &route, &rest, &allow), ERR_OK);
    for (unsigned i = 0; i < CALLS; i++) {
        ended_at[i] = 0;
        locals[i] = (struct call_local){.events = &events};
        assert_int_equal(
            call_local_start(&locals[i], &w.shared, route, &key, world_text(&w, ASKED)), ERR_OK);
        assert_true(loop_turn(&w));
    }
}

/* Two calls with a large answer each, while a look at the clock takes `tick_us`; says how many
 * turns it took until both had ended. */
static unsigned run_both(const char *reply, int64_t tick_us)
{
    world_open(&w);
    w.calls = CALLS;
    w.holds_turns = true;
    w.policy->deployments[0]->definition.reply_bytes_max = 64 << 20;
    ends_with = ERR_OK;
    for (unsigned i = 0; i < CALLS; i++) {
        w.scripts[i].body = reply;
    }
    begin_all();
    for (unsigned i = 0; i < CALLS; i++) {
        attempt_answers(&w.attempts[i], ALL_OF_IT);
    }
    w.tick_us = tick_us;
    w.turns = 0;
    while (loop_turn(&w)) {
    }
    w.client.end = FINISHED; /* there was none */
    unsigned turns = w.turns;
    world_close(&w);
    return turns;
}

static void calls_that_yield_share_a_part_of_a_turn(void **state)
{
    (void)state;
    char *reply = world_vectors(VECTORS, FLOATS, false);
    unsigned quick = run_both(reply, 0);
    unsigned slow = run_both(reply, 1000); /* one slice is all that a turn has room for */
    assert_true(quick > 5);
    assert_true(slow >= 2 * quick - 2 && slow <= 2 * quick + 2);
    for (unsigned i = 0; i < CALLS; i++) {
        assert_true(ended_at[i] + 2 >= slow); /* and nobody's comes twice before the other's */
    }
    memory_free(reply);
}

static void the_keys_of_all_calls_are_looked_at_a_part_in_each_turn(void **state)
{
    (void)state;
    static struct call open[OPEN]; /* as far as a look goes */
    const struct route *route;
    struct span rest, allow;
    world_open(&w);
    w.holds_turns = true;
    w.key_expires.us = world_wall().us + 3600000000;
    assert_int_equal(route_find(HTTP_POST, SPAN("/v1/embeddings"), &route, &rest, &allow), ERR_OK);
    for (size_t i = 0; i < OPEN; i++) {
        open[i] = (struct call){
            .shared = &w.shared, .known = true, .key = {.id = "key000000001"}, .route = route};
        list_push_back(&w.shared.open, &open[i].link);
    }
    w.tick_us = SHARE_US; /* each look at the clock: it is over */
    call_recheck_keys(&w.shared, true);
    assert_in_range(w.rechecks, 1, OPEN / 2);
    unsigned before = w.rechecks;
    call_recheck_keys(&w.shared, false); /* a look while one is under way begins none */
    assert_int_equal(w.rechecks, before);
    while (loop_turn(&w)) {
        assert_in_range(w.rechecks - before, 1, OPEN / 2);
        before = w.rechecks;
        assert_false(call_is_none(&w.shared));
    }
    assert_int_equal(w.rechecks, OPEN);
    assert_int_equal(w.shared.key_ends.us, w.key_expires.us);
    list_init(&w.shared.open);
    w.client.end = FINISHED; /* there was none */
    world_close(&w);
}

static void the_calls_of_a_revoked_key_end_a_part_in_each_turn(void **state)
{
    (void)state;
    world_open(&w);
    w.calls = CALLS;
    w.holds_turns = true;
    begin_all();
    w.recheck_error = ERR_KEY_REVOKED;
    w.tick_us = SHARE_US;
    ends_with = ERR_KEY_REVOKED;
    for (unsigned i = 0; i < CALLS; i++) {
        assert_int_equal(w.completions, i);
        i == 0 ? call_recheck_keys(&w.shared, true) : (void)loop_turn(&w);
    }
    assert_int_equal(w.completions, CALLS);
    while (loop_turn(&w)) {
    }
    w.client.end = FINISHED; /* there was none */
    world_close(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_yield_share_a_part_of_a_turn),
        cmocka_unit_test(the_keys_of_all_calls_are_looked_at_a_part_in_each_turn),
        cmocka_unit_test(the_calls_of_a_revoked_key_end_a_part_in_each_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
