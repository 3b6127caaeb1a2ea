/* SPDX-License-Identifier: Apache-2.0 */
/* test_deployment_health.c — when a model server is asked, and which of several; and how many more
 * tries calls may make. */
#include "unit.h"

#include "upstream/deployment_health.h"
#include "upstream/upstream_tries.h"

#define AT(seconds) ((mono_us){INT64_C(1000000000) + (int64_t)((seconds)*1e6)})

static void break_it(struct deployment_health *h, int times, mono_us now)
{
    for (int i = 0; i < times; i++) {
        deployment_health_failed(h, ERR_UPSTREAM_CONNECT, 0, now);
    }
}

static void five_failures_in_a_row_open_it(void **state)
{
    (void)state;
    struct deployment_health h = {0};
    int64_t trial;
    break_it(&h, 4, AT(0));
    deployment_health_answered(&h, 0, AT(0));
    break_it(&h, 4, AT(0));
    assert_true(deployment_health_begin(&h, AT(0), &trial));
    assert_true(trial == 0);
    break_it(&h, 1, AT(0));
    assert_false(deployment_health_begin(&h, AT(4.9), &trial));
    assert_int_equal(deployment_health_again(&h, AT(1)).us, AT(5).us);
    assert_int_equal(deployment_health_state(&h, AT(5)), DEPLOYMENT_HALF_OPEN);
}

static void half_of_the_last_twenty_open_it(void **state)
{
    (void)state;
    struct deployment_health h = {0};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(deployment_health_state(&h, AT(0)), DEPLOYMENT_UP);
        deployment_health_answered(&h, 0, AT(0));
        break_it(&h, 1, AT(0));
    }
    assert_int_equal(deployment_health_state(&h, AT(0)), DEPLOYMENT_OPEN);
}

static void one_call_finds_out_and_each_failure_doubles_the_wait(void **state)
{
    (void)state;
    static const double waits[] = {5, 10, 20, 40, 60, 60};
    struct deployment_health h = {0};
    double at = 0;
    int64_t trial, none;
    break_it(&h, 5, AT(0));
    for (size_t i = 0; i < ROWS(waits); i++) {
        assert_false(deployment_health_begin(&h, AT(at + waits[i] - 0.1), &trial));
        at += waits[i];
        assert_true(deployment_health_begin(&h, AT(at), &trial) && trial != 0);
        assert_false(deployment_health_begin(&h, AT(at), &none)); /* one alone */
        deployment_health_answered(&h, 0, AT(at)); /* that began before it was opened */
        assert_int_equal(deployment_health_state(&h, AT(at)), DEPLOYMENT_OPEN);
        deployment_health_failed(&h, ERR_UPSTREAM_STATUS, trial, AT(at));
    }
    at += 60;
    assert_true(deployment_health_begin(&h, AT(at), &trial));
    deployment_health_untried(&h, trial); /* its caller went away: another may */
    assert_true(deployment_health_begin(&h, AT(at), &trial));
    deployment_health_answered(&h, trial, AT(at));
    assert_int_equal(deployment_health_state(&h, AT(at)), DEPLOYMENT_UP);
    deployment_health_answered(&h, 0, AT(at));
    break_it(&h, 5, AT(at));
    assert_int_equal(deployment_health_state(&h, AT(at + 5)), DEPLOYMENT_HALF_OPEN);
}

static void a_trial_whose_answer_breaks_off_opens_it_again_for_longer(void **state)
{
    (void)state;
    struct deployment_health h = {0};
    int64_t trial;
    break_it(&h, 5, AT(0));
    assert_true(deployment_health_begin(&h, AT(5), &trial));
    deployment_health_answered(&h, trial, AT(6));
    deployment_health_failed(&h, ERR_UPSTREAM_CLOSED, trial, AT(7));
    assert_int_equal(deployment_health_state(&h, AT(16)), DEPLOYMENT_OPEN);
    assert_true(deployment_health_begin(&h, AT(17), &trial));
    deployment_health_answered(&h, trial, AT(17));
    deployment_health_answered(&h, 0, AT(18)); /* another's answer: it works */
    break_it(&h, 5, AT(20));
    assert_int_equal(deployment_health_state(&h, AT(25)), DEPLOYMENT_HALF_OPEN);
    deployment_health_failed(&h, ERR_UPSTREAM_CLOSED, trial, AT(25)); /* long over */
    assert_int_equal(deployment_health_state(&h, AT(25)), DEPLOYMENT_HALF_OPEN);
}

static void whom_callers_wait_for_in_vain_is_slow_and_after_long_has_failed(void **state)
{
    (void)state;
    struct deployment_health h = {0};
    int64_t trial;
    deployment_health_note_latency(&h, 200000, AT(0));
    double quick = deployment_health_cost(&h, 0, AT(0));
    for (int i = 0; i < 10; i++) { /* who waits no longer than it takes says nothing */
        deployment_health_outwaited(&h, 1000, 0, AT(0));
    }
    assert_true(deployment_health_cost(&h, 0, AT(0)) == quick);
    deployment_health_outwaited(&h, 2000000, 0, AT(1));
    assert_true(deployment_health_cost(&h, 0, AT(1)) > 5 * quick);
    assert_int_equal(atomic_load(&h.failed_in_row), 0);
    for (int i = 0; i < 5; i++) {
        deployment_health_outwaited(&h, 5000000, 0, AT(2));
    }
    assert_int_equal(deployment_health_state(&h, AT(2)), DEPLOYMENT_OPEN);
    assert_true(deployment_health_begin(&h, AT(7), &trial) && trial != 0);
    deployment_health_outwaited(&h, 0, trial, AT(7)); /* it was not asked */
    assert_true(deployment_health_begin(&h, AT(7), &trial) && trial != 0);
}

static void what_failed_a_while_ago_and_what_was_slow_then_is_asked_again(void **state)
{
    (void)state;
    struct deployment_health h = {0}, good = {0};
    deployment_health_note_latency(&h, 60000000, AT(0)); /* it loaded its model */
    deployment_health_note_latency(&good, 500000, AT(0));
    deployment_health_failed(&h, ERR_UPSTREAM_CLOSED, 0, AT(1));
    assert_true(deployment_health_cost(&h, 0, AT(2)) > deployment_health_cost(&good, 50, AT(2)));
    deployment_health_note_latency(&good, 500000, AT(130));
    assert_true(deployment_health_cost(&h, 0, AT(130)) < deployment_health_cost(&good, 0, AT(130)));
    break_it(&h, 5, AT(130));
    assert_true(deployment_health_cost(&h, 0, AT(135)) == 0); /* a trial is due */
}

static void a_late_trial_decides_nothing_any_more(void **state)
{
    (void)state;
    struct deployment_health h = {0};
    int64_t first, second;
    break_it(&h, 5, AT(0));
    assert_true(deployment_health_begin(&h, AT(5), &first));
    assert_true(deployment_health_begin(&h, AT(66), &second));
    deployment_health_untried(&h, first);
    assert_false(deployment_health_admits(&h, AT(67)));
    deployment_health_answered(&h, second, AT(67));
    deployment_health_failed(&h, ERR_UPSTREAM_TIMEOUT, first, AT(68));
    assert_int_equal(deployment_health_state(&h, AT(68)), DEPLOYMENT_UP);
    for (int i = 0; i < 8; i++) { /* what failed while it was open is forgotten */
        deployment_health_answered(&h, 0, AT(69));
        break_it(&h, 1, AT(69));
    }
    assert_int_equal(deployment_health_state(&h, AT(69)), DEPLOYMENT_UP);
}

static void a_trial_that_is_not_heard_of_makes_room_for_another(void **state)
{
    (void)state;
    struct deployment_health h = {0};
    int64_t trial;
    break_it(&h, 5, AT(0));
    assert_true(deployment_health_begin(&h, AT(5), &trial));
    assert_false(deployment_health_admits(&h, AT(64)));
    assert_true(deployment_health_begin(&h, AT(66), &trial));
}

static void others_take_it_out(void **state)
{
    (void)state;
    struct deployment_health h = {0};
    deployment_health_pause(&h, 30, AT(0));
    assert_int_equal(deployment_health_state(&h, AT(29)), DEPLOYMENT_PAUSED);
    assert_int_equal(deployment_health_again(&h, AT(0)).us, AT(30).us);
    assert_true(deployment_health_admits(&h, AT(30)));
    deployment_health_pause(&h, 86400, AT(30)); /* a minute is the most */
    assert_true(deployment_health_admits(&h, AT(90)));
    deployment_health_probed(&h, false, AT(90));
    assert_string_equal(deployment_state_name(deployment_health_state(&h, AT(90))), "down");
    assert_true(deployment_health_is_down(&h));
    deployment_health_probed(&h, true, AT(91));
    deployment_health_drain(&h, true, AT(91));
    assert_string_equal(deployment_state_name(deployment_health_state(&h, AT(91))), "draining");
    deployment_health_drain(&h, false, AT(92));
    assert_true(deployment_health_admits(&h, AT(92)));
}

static void who_is_slower_has_more_or_comes_back_costs_more(void **state)
{
    (void)state;
    struct deployment_health quick = {0}, slow = {0};
    assert_true(deployment_health_cost(&quick, 0, AT(0)) == 0); /* is asked once, to be known */
    deployment_health_note_latency(&quick, 10000, AT(0));
    deployment_health_note_latency(&slow, 100000, AT(0));
    assert_true(deployment_health_cost(&quick, 0, AT(0)) < deployment_health_cost(&slow, 0, AT(0)));
    assert_true(deployment_health_cost(&quick, 20, AT(0)) >
                deployment_health_cost(&slow, 0, AT(0)));
    deployment_health_note_latency(&quick, 900000, AT(1)); /* a peak counts at once */
    assert_true(deployment_health_cost(&quick, 0, AT(1)) > deployment_health_cost(&slow, 0, AT(1)));
    for (int i = 0; i < 40; i++) {
        deployment_health_note_latency(&quick, 10000, AT(12)); /* and is forgotten */
    }
    deployment_health_note_latency(&slow, 100000, AT(12));
    assert_true(deployment_health_cost(&quick, 0, AT(12)) <
                deployment_health_cost(&slow, 0, AT(12)));
    deployment_health_drain(&quick, true, AT(12));
    deployment_health_drain(&quick, false, AT(13));
    double first = deployment_health_cost(&quick, 0, AT(13));
    double half = deployment_health_cost(&quick, 0, AT(28));
    assert_true(first > 9 * deployment_health_cost(&quick, 0, AT(60)) && first > half);
    assert_true(half > deployment_health_cost(&quick, 0, AT(60)));
    deployment_health_pause(&slow, 0, AT(60));
    assert_true(deployment_health_cost(&slow, 0, AT(60)) >
                50 * deployment_health_cost(&slow, 0, AT(63)));
}

static void nineteen_of_twenty_are_sooner_than_the_slow_ones(void **state)
{
    (void)state;
    struct deployment_health h = {0};
    uint32_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        deployment_health_note_latency(&h, 100000 + (seed >> 8) % 100000, AT(i / 100.0));
    }
    assert_in_range(atomic_load(&h.slow_us), 180000, 205000);
}

static void calls_may_make_a_fifth_more_tries_than_there_are(void **state)
{
    (void)state;
    struct upstream_tries b = {0};
    int taken = 0;
    for (int i = 0; i < 200; i++) {
        upstream_tries_note_call(&b, AT(i / 100.0));
    }
    for (int i = 0; i < 200; i++) {
        taken += upstream_tries_take(&b, AT(2));
    }
    assert_int_equal(taken, 40);
    taken = 0;
    for (int i = 0; i < 200; i++) {
        taken += upstream_tries_take(&b, AT(13)); /* ten at least, when there were no calls */
    }
    assert_int_equal(taken, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_failures_in_a_row_open_it),
        cmocka_unit_test(half_of_the_last_twenty_open_it),
        cmocka_unit_test(one_call_finds_out_and_each_failure_doubles_the_wait),
        cmocka_unit_test(a_trial_whose_answer_breaks_off_opens_it_again_for_longer),
        cmocka_unit_test(whom_callers_wait_for_in_vain_is_slow_and_after_long_has_failed),
        cmocka_unit_test(what_failed_a_while_ago_and_what_was_slow_then_is_asked_again),
        cmocka_unit_test(a_late_trial_decides_nothing_any_more),
        cmocka_unit_test(a_trial_that_is_not_heard_of_makes_room_for_another),
        cmocka_unit_test(others_take_it_out),
        cmocka_unit_test(who_is_slower_has_more_or_comes_back_costs_more),
        cmocka_unit_test(nineteen_of_twenty_are_sooner_than_the_slow_ones),
        cmocka_unit_test(calls_may_make_a_fifth_more_tries_than_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
