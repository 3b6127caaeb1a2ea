/* SPDX-License-Identifier: Apache-2.0 */
/* test_health.c — what is wrong is said once, shown while it lasts, and gone when it is gone. */
#include "unit.h"

#include <stdio.h>

#include "base/health.h"

static const mono_us later = {INT64_MAX / 2};

/* Clears all, and takes what there is to tell of it. */
static int forget(void **state)
{
    struct health_entry entries[HEALTH_ENTRIES_MAX];
    struct health_change change;
    (void)state;
    size_t count = health_read(entries);
    for (size_t i = 0; i < count; i++) {
        health_clear(entries[i].kind, entries[i].subject);
    }
    while (health_next_change(later, &change)) {
    }
    return 0;
}

static void a_trouble_is_told_once_when_it_comes_and_once_when_it_has_gone(void **state)
{
    (void)state;
    struct health_change change;
    assert_false(health_next_change(later, &change));
    health_set(HEALTH_STORE_FAILING, NULL, "for %d reasons", 2);
    health_set(HEALTH_STORE_FAILING, NULL, "for %d reasons", 3);
    assert_true(health_next_change(clock_mono(), &change));
    assert_false(change.is_over);
    assert_string_equal(change.entry.sentence, "for 3 reasons");
    assert_false(health_next_change(later, &change));
    health_clear(HEALTH_STORE_FAILING, NULL);
    health_clear(HEALTH_STORE_FAILING, NULL);
    assert_true(health_next_change(later, &change));
    assert_true(change.is_over);
    assert_false(health_next_change(later, &change));
}

static void one_that_flickers_is_told_once_and_keeps_its_beginning(void **state)
{
    (void)state;
    struct health_change change;
    struct health_entry entries[HEALTH_ENTRIES_MAX];
    health_set(HEALTH_UPSTREAM_DOWN, "a", "down");
    assert_true(health_next_change(clock_mono(), &change));
    int64_t since = change.entry.since.us;
    for (int i = 0; i < 5; i++) {
        health_clear(HEALTH_UPSTREAM_DOWN, "a");
        assert_false(health_next_change(clock_mono(), &change));
        health_set(HEALTH_UPSTREAM_DOWN, "a", "down again");
        assert_false(health_next_change(later, &change));
    }
    assert_int_equal(health_read(entries), 1);
    assert_int_equal(entries[0].since.us, since);
    assert_string_equal(entries[0].sentence, "down again");
}

static void one_that_came_and_went_between_two_looks_is_told(void **state)
{
    (void)state;
    struct health_change change;
    health_set(HEALTH_DISK_FULL, NULL, "full");
    health_clear(HEALTH_DISK_FULL, NULL);
    assert_true(health_next_change(later, &change));
    assert_false(change.is_over);
    assert_true(health_next_change(later, &change));
    assert_true(change.is_over);
}

static void what_stops_calls_and_readiness_holds_as_long_as_it_lasts(void **state)
{
    (void)state;
    assert_int_equal(health_refusal(), ERR_OK);
    assert_true(health_is_ready());
    health_set(HEALTH_UPSTREAM_DOWN, "a", "down");
    assert_int_equal(health_refusal(), ERR_OK);
    assert_true(health_is_ready());
    health_set(HEALTH_WORKER_STILL, "0", "still");
    assert_int_equal(health_refusal(), ERR_OK);
    assert_false(health_is_ready());
    health_set(HEALTH_STORE_BEHIND, NULL, "behind");
    assert_int_equal(health_refusal(), ERR_STORE_BEHIND);
    health_clear(HEALTH_STORE_BEHIND, NULL);
    health_clear(HEALTH_WORKER_STILL, "0");
    assert_int_equal(health_refusal(), ERR_OK);
    assert_true(health_is_ready());
}

static void subjects_are_told_apart_and_bounded(void **state)
{
    (void)state;
    struct health_entry entries[HEALTH_ENTRIES_MAX];
    char subject[300];
    memset(subject, 'x', sizeof(subject) - 1);
    for (int i = 0; i < 2 * HEALTH_SUBJECTS_MAX; i++) {
        (void)snprintf(subject, 24, "upstream %d", i);
        health_set(HEALTH_UPSTREAM_DOWN, subject, "down");
    }
    assert_int_equal(health_count(HEALTH_UPSTREAM_DOWN), HEALTH_SUBJECTS_MAX);
    health_set(HEALTH_DISK_FULL, NULL, "%s", "there is always room for what stops all calls");
    assert_int_equal(health_count(HEALTH_DISK_FULL), 1);
    assert_int_equal(health_read(entries), HEALTH_SUBJECTS_MAX + 1);
    assert_int_equal(entries[0].kind, HEALTH_DISK_FULL);
    forget(NULL);
    memset(subject, 'x', sizeof(subject) - 1);
    health_set(HEALTH_UPSTREAM_DOWN, subject, "%s", subject);
    health_clear(HEALTH_UPSTREAM_DOWN, subject);
    assert_int_equal(health_count(HEALTH_UPSTREAM_DOWN), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_trouble_is_told_once_when_it_comes_and_once_when_it_has_gone,
                                  forget),
        cmocka_unit_test_teardown(one_that_flickers_is_told_once_and_keeps_its_beginning, forget),
        cmocka_unit_test_teardown(one_that_came_and_went_between_two_looks_is_told, forget),
        cmocka_unit_test_teardown(what_stops_calls_and_readiness_holds_as_long_as_it_lasts, forget),
        cmocka_unit_test_teardown(subjects_are_told_apart_and_bounded, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
