/* SPDX-License-Identifier: Apache-2.0 */
/* test_histogram.c — a duration falls into the first bucket whose bound it does not pass. */
#include "unit.h"

#include <pthread.h>

#include "base/counter.h"
#include "base/histogram.h"

static void each_duration_is_in_its_bucket(void **state)
{
    (void)state;
    struct histogram_sum before, after;
    histogram_add(HISTOGRAM_CALL, 1); /* without a slot: not counted */
    counter_thread_start();
    histogram_read(HISTOGRAM_CALL, &before);
    static const struct {
        int64_t us;
        unsigned bucket;
    } rows[] = {{0, 0},    {100, 0},       {101, 1},       {2000, 3},
                {5000, 4}, {81920000, 16}, {81920001, 17}, {INT32_MAX, 17}};
    int64_t total = 0;
    for (size_t r = 0; r < ROWS(rows); r++) {
        histogram_add(HISTOGRAM_CALL, rows[r].us);
        histogram_read(HISTOGRAM_CALL, &after);
        assert_int_equal(after.buckets[rows[r].bucket], before.buckets[rows[r].bucket] + 1);
        total += rows[r].us;
        before = after;
    }
    assert_int_equal(after.total_us, total);
}

static void *count_a_thousand(void *arg)
{
    counter_thread_start();
    for (int i = 0; i < 1000; i++) {
        histogram_add(HISTOGRAM_OVERHEAD, 10);
    }
    return arg;
}

static void threads_are_summed_and_outlive_themselves(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < ROWS(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_a_thousand, NULL), 0);
    }
    for (size_t i = 0; i < ROWS(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    struct histogram_sum sum;
    histogram_read(HISTOGRAM_OVERHEAD, &sum);
    assert_int_equal(sum.buckets[0], 4000);
    assert_int_equal(sum.total_us, 40000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_duration_is_in_its_bucket),
        cmocka_unit_test(threads_are_summed_and_outlive_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
