/* SPDX-License-Identifier: Apache-2.0 */
/* test_money.c — amounts are read exactly or not at all, and rounded only where they are shown. */
#include "unit.h"

#include "base/money.h"

static void amounts_are_read_exactly_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_good;
        int64_t nano;
    } rows[] = {
        {"0", true, 0},
        {"0.00", true, 0},
        {"-0", true, 0},
        {"100", true, INT64_C(100000000000)},
        {"100.00", true, INT64_C(100000000000)},
        {"0.000136", true, 136000},
        {"0.000000001", true, 1},
        {"-1.5", true, -1500000000},
        {"9223372036.854775807", true, INT64_MAX},
        {"-9223372036.854775807", true, -INT64_MAX},
        {"9223372036.854775808", false, 0},
        {"9223372037", false, 0},
        {"99999999999999999999999999", false, 0},
        {"0.0000000001", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {".5", false, 0},
        {"1.", false, 0},
        {"1.2.3", false, 0},
        {"+1", false, 0},
        {"--1", false, 0},
        {"01", false, 0},
        {"00", false, 0},
        {"1e3", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1,5", false, 0},
        {"1.-5", false, 0},
        {"0x1", false, 0},
        {"nan", false, 0},
        {"\xd9\xa1", false, 0},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        int64_t nano = 0;
        bool is_good = money_read(span_of(rows[r].text), &nano);
        if (is_good != rows[r].is_good || (is_good && nano != rows[r].nano)) {
            fail_msg("%s: %d, %lld", rows[r].text, is_good, (long long)nano);
        }
    }
}

static void amounts_are_written_with_two_places_or_more_and_rounded_half_up(void **state)
{
    (void)state;
    static const struct {
        int64_t nano;
        unsigned places;
        const char *expect;
    } rows[] = {
        {0, 6, "0.00"},
        {INT64_C(100000000000), 6, "100.00"},
        {136000, 6, "0.000136"},
        {499, 6, "0.00"},
        {500, 6, "0.000001"},
        {1499, 6, "0.000001"},
        {1500, 6, "0.000002"},
        {999999500, 6, "1.00"},
        {-499, 6, "0.00"},
        {-500, 6, "-0.000001"},
        {1, 9, "0.000000001"},
        {-1, 9, "-0.000000001"},
        {1200000000, 9, "1.20"},
        {5000000, 2, "0.01"},
        {4999999, 2, "0.00"},
        {INT64_MAX, 9, "9223372036.854775807"},
        {INT64_MIN, 9, "-9223372036.854775808"},
        {INT64_MAX, 6, "9223372036.854776"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char text[MONEY_TEXT_BYTES];
        money_write(rows[r].nano, rows[r].places, text);
        assert_string_equal(text, rows[r].expect);
    }
}

static void what_was_written_whole_is_read_as_the_same(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 100000; i++) {
        char text[MONEY_TEXT_BYTES];
        int64_t back;
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int64_t nano = (int64_t)(seed >> (seed & 31) >> 1) * ((seed & 32) != 0 ? -1 : 1);
        money_write(nano, MONEY_PLACES, text);
        assert_true(money_read(span_of(text), &back));
        assert_int_equal(back, nano);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_read_exactly_or_not_at_all),
        cmocka_unit_test(amounts_are_written_with_two_places_or_more_and_rounded_half_up),
        cmocka_unit_test(what_was_written_whole_is_read_as_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
