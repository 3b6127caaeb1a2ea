/* SPDX-License-Identifier: Apache-2.0 */
/* test_key_round.c — each day that passes before a key's end is told once. */
#include "unit.h"

#include <stdio.h>

#include "keys/key_round.h"

#define DAY  (INT64_C(86400) * 1000000)
#define T0   (INT64_C(20000) * DAY)
#define MANY 50000

static struct key_table *table;

static void insert(uint32_t number, int64_t expires, int64_t due)
{
    struct key_facts facts = {
        .kind = KEY_LIVE, .proof = {.pepper = 1}, .terms = {.expires = {expires}, .due = {due}}};
    char id[16];
    (void)snprintf(id, sizeof(id), "%012u", number);
    memcpy(facts.id, id, sizeof(facts.id));
    assert_int_equal(key_table_insert(table, &facts), ERR_OK);
}

static int open_table(void **state)
{
    (void)state;
    assert_int_equal(key_table_open(&table), ERR_OK);
    return 0;
}

static int close_table(void **state)
{
    (void)state;
    key_table_close(&table);
    return 0;
}

/* A whole round at this time; the days of its first warnings. */
static size_t turn(struct key_round *r, int64_t now, int days[8], bool *is_rotation)
{
    struct key_warning warnings[KEY_ROUND_WARNINGS];
    size_t count = 0;
    key_round_begin(r, (wall_us){now});
    while (!r->is_over) {
        size_t got = key_round_step(r, table, warnings);
        for (size_t i = 0; i < got; i++, count++) {
            if (count < 8) {
                days[count] = warnings[i].days;
                *is_rotation = warnings[i].is_rotation;
            }
        }
    }
    return count;
}

static void each_day_is_told_once_until_the_end(void **state)
{
    (void)state;
    struct key_round r = {.at = 0};
    static const struct {
        int64_t at;
        int days; /* -1: nothing is told */
        size_t expiring;
    } rows[] = {
        {T0 - 20 * DAY, -1, 0},    {T0 - 14 * DAY - 1, -1, 0},
        {T0 - 14 * DAY, 14, 1},    {T0 - 14 * DAY + 5, -1, 1},
        {T0 - 3 * DAY - 1, -1, 1}, {T0 - 3 * DAY + 1, 3, 1},
        {T0 - 2 * DAY, -1, 1},     {T0 - DAY, 1, 1},
        {T0 - 1, -1, 1},           {T0, -1, 0},
        {T0 + DAY, -1, 0},
    };
    insert(1, T0, 0);
    for (size_t i = 0; i < ROWS(rows); i++) {
        int days[8] = {-1};
        bool is_rotation = true;
        size_t count = turn(&r, rows[i].at, days, &is_rotation);
        assert_int_equal(count, rows[i].days < 0 ? 0 : 1);
        assert_int_equal(days[0], rows[i].days);
        assert_int_equal(is_rotation, rows[i].days < 0);
        assert_int_equal(r.expiring, rows[i].expiring);
    }
}

static void a_start_tells_the_last_day_that_has_passed(void **state)
{
    (void)state;
    static const struct {
        int64_t at;
        int days;
    } rows[] = {
        {T0 - 15 * DAY, -1}, {T0 - 10 * DAY, 14}, {T0 - 2 * DAY, 3}, {T0 - 60, 1}, {T0, -1}};
    insert(1, T0, 0);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct key_round r = {.at = 0};
        int days[8] = {-1};
        bool unused;
        assert_int_equal(turn(&r, rows[i].at, days, &unused), rows[i].days < 0 ? 0 : 1);
        assert_int_equal(days[0], rows[i].days);
        assert_int_equal(turn(&r, rows[i].at + 1, days, &unused), 0);
    }
}

static void a_rotation_is_told_when_it_is_due_too(void **state)
{
    (void)state;
    struct key_round r = {.at = 0};
    int days[8] = {-1};
    bool is_rotation = false;
    insert(1, 0, T0);
    assert_int_equal(turn(&r, T0 - DAY, days, &is_rotation), 1);
    assert_int_equal(days[0], 1);
    assert_true(is_rotation);
    assert_int_equal(r.due, 0);
    assert_int_equal(turn(&r, T0 + DAY, days, &is_rotation), 1);
    assert_int_equal(days[0], 0);
    assert_int_equal(r.due, 1);
    assert_int_equal(turn(&r, T0 + 2 * DAY, days, &is_rotation), 0);
    assert_int_equal(r.due, 1);
}

static void a_revoked_key_is_not_told_of(void **state)
{
    (void)state;
    struct key_round r = {.at = 0};
    int days[8];
    bool unused;
    insert(1, T0, T0);
    assert_int_equal(key_table_revoke(table, SPAN("000000000001"), (wall_us){5}), ERR_OK);
    assert_int_equal(turn(&r, T0 - DAY, days, &unused), 0);
    assert_int_equal(r.expiring + r.due, 0);
}

static void a_clock_that_is_set_back_tells_again_and_loses_nothing(void **state)
{
    (void)state;
    struct key_round r = {.at = 0};
    int days[8];
    bool unused;
    insert(1, T0, 0);
    assert_int_equal(turn(&r, T0 - DAY / 2, days, &unused), 1);
    assert_int_equal(turn(&r, T0 - 4 * DAY, days, &unused), 0);
    assert_int_equal(turn(&r, T0 - 2 * DAY, days, &unused), 1);
    assert_int_equal(days[0], 3);
}

static void a_step_is_bounded_and_none_is_left_out(void **state)
{
    (void)state;
    struct key_round r = {.at = 0};
    struct key_warning warnings[KEY_ROUND_WARNINGS];
    size_t told = 0, steps = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        insert(i, i % 100 == 0 ? T0 : 0, i % 100 == 0 ? T0 : 0);
    }
    key_round_begin(&r, (wall_us){T0 - DAY});
    for (; !r.is_over; steps++) {
        uint32_t before = r.at;
        size_t count = key_round_step(&r, table, warnings);
        assert_in_range(r.at - before, 0, KEY_ROUND_SLOTS);
        assert_in_range(count, 0, KEY_ROUND_WARNINGS);
        told += count;
    }
    assert_int_equal(told, 2 * MANY / 100);
    assert_in_range(steps, told / KEY_ROUND_WARNINGS, told / KEY_ROUND_WARNINGS + 6);
    assert_int_equal(r.expiring, MANY / 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_table, close_table)
    const struct CMUnitTest tests[] = {
        TEST(each_day_is_told_once_until_the_end),
        TEST(a_start_tells_the_last_day_that_has_passed),
        TEST(a_rotation_is_told_when_it_is_due_too),
        TEST(a_revoked_key_is_not_told_of),
        TEST(a_clock_that_is_set_back_tells_again_and_loses_nothing),
        TEST(a_step_is_bounded_and_none_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
