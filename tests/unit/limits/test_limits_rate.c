/* SPDX-License-Identifier: Apache-2.0 */
/* test_limits_rate.c — what a minute allows is let through, and never one more. */
#include "unit.h"

#include <pthread.h>

#include "limits/limits_rate.h"

#define SECOND INT64_C(1000000)
#define START               \
    (mono_us)               \
    {                       \
        INT64_C(5000000000) \
    }

static mono_us after(int64_t us)
{
    return (mono_us){START.us + us};
}

static void a_burst_passes_at_once_then_one_an_interval(void **state)
{
    (void)state;
    struct limits_rate rate = {0};
    struct limits_pace pace = limits_pace_of(60, 10);
    struct limits_standing now;
    for (int i = 0; i < 10; i++) {
        assert_true(limits_rate_take(&rate, pace, 1, START, &now));
        assert_int_equal(now.remaining, 9 - i);
        assert_int_equal(now.whole_us, (i + 1) * SECOND);
        assert_int_equal(now.one_more_us, i == 9 ? SECOND : 0);
    }
    assert_false(limits_rate_take(&rate, pace, 1, START, &now));
    assert_int_equal(now.remaining, 0);
    assert_int_equal(now.one_more_us, SECOND);
    assert_int_equal(now.whole_us, 10 * SECOND);
    assert_false(limits_rate_take(&rate, pace, 1, after(SECOND - 1), &now));
    assert_int_equal(now.one_more_us, 1);
    assert_true(limits_rate_take(&rate, pace, 1, after(SECOND), &now));
    assert_false(limits_rate_take(&rate, pace, 1, after(SECOND), &now));
    assert_true(limits_rate_take(&rate, pace, 10, after(11 * SECOND), &now));
    assert_int_equal(now.remaining, 0);
}

static void more_than_the_burst_is_never_let_through(void **state)
{
    (void)state;
    struct limits_rate rate = {0};
    struct limits_standing now;
    assert_false(limits_rate_take(&rate, limits_pace_of(60, 10), 11, START, &now));
    assert_int_equal(now.remaining, 10);
    assert_int_equal(now.one_more_us, 0);
    assert_false(limits_rate_take(&rate, limits_pace_of(60, 10), INT64_MAX, START, &now));
}

static void the_largest_and_the_smallest_rate_are_kept(void **state)
{
    (void)state;
    struct limits_rate many = {0}, few = {0};
    struct limits_pace fast = limits_pace_of(LIMITS_RATE_MAX, LIMITS_RATE_MAX),
                       slow = limits_pace_of(1, 1440);
    struct limits_standing now;
    assert_true(limits_rate_take(&many, fast, LIMITS_RATE_MAX, START, &now));
    assert_false(limits_rate_take(&many, fast, LIMITS_RATE_MAX, after(60 * SECOND), &now));
    assert_true(limits_rate_take(&many, fast, LIMITS_RATE_MAX, after(61 * SECOND), &now));
    assert_true(limits_rate_take(&few, slow, 1440, START, &now));
    assert_int_equal(now.whole_us, 86400 * SECOND);
    assert_false(limits_rate_take(&few, slow, 1, after(60 * SECOND - 1), &now));
    assert_true(limits_rate_take(&few, slow, 1, after(60 * SECOND), &now));
}

static void what_was_not_used_is_given_back_once(void **state)
{
    (void)state;
    struct limits_rate rate = {0};
    struct limits_pace pace = limits_pace_of(60, 60);
    struct limits_standing now;
    assert_true(limits_rate_take(&rate, pace, 60, START, &now));
    limits_rate_give_back(&rate, pace, (struct limits_taken){60, START}, 50, after(5 * SECOND));
    assert_true(limits_rate_take(&rate, pace, 0, after(5 * SECOND), &now));
    assert_int_equal(now.remaining, 55); /* 10 were used, 5 of them are back */

    rate = (struct limits_rate){0};
    assert_true(limits_rate_take(&rate, pace, 60, START, &now));
    assert_true(
        limits_rate_take(&rate, pace, 60, after(60 * SECOND), &now)); /* all came back by itself */
    limits_rate_give_back(&rate, pace, (struct limits_taken){60, START}, 60, after(60 * SECOND));
    assert_true(limits_rate_take(&rate, pace, 0, after(60 * SECOND), &now));
    assert_int_equal(now.remaining, 0);
}

struct taker {
    struct limits_rate *rate;
    struct limits_pace pace;
    int taken;
};

static void *take_many(void *arg)
{
    struct taker *t = arg;
    for (int i = 0; i < 20000; i++) {
        struct limits_standing now;
        t->taken += limits_rate_take(t->rate, t->pace, 1, START, &now) ? 1 : 0;
    }
    return NULL;
}

static void threads_at_once_get_what_is_allowed_and_not_one_more(void **state)
{
    (void)state;
    struct limits_rate rate = {0};
    struct taker takers[4];
    pthread_t threads[ROWS(takers)];
    int taken = 0;
    for (size_t i = 0; i < ROWS(takers); i++) {
        takers[i] = (struct taker){&rate, limits_pace_of(100000, 12345), 0};
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &takers[i]), 0);
    }
    for (size_t i = 0; i < ROWS(takers); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        taken += takers[i].taken;
    }
    assert_int_equal(taken, 12345);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_at_once_then_one_an_interval),
        cmocka_unit_test(more_than_the_burst_is_never_let_through),
        cmocka_unit_test(the_largest_and_the_smallest_rate_are_kept),
        cmocka_unit_test(what_was_not_used_is_given_back_once),
        cmocka_unit_test(threads_at_once_get_what_is_allowed_and_not_one_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
