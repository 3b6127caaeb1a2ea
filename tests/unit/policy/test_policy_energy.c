/* SPDX-License-Identifier: Apache-2.0 */
/* test_policy_energy.c — what tokens take, and what that stands for. */
#include "unit.h"

#include "journal/journal_record.h"
#include "policy/policy_energy.h"

#define WH  INT64_C(1000000000)
#define KWH (1000 * WH)

static void tokens_take_what_a_thousand_do(void **state)
{
    (void)state;
    static const struct {
        int64_t tokens, nano_a_thousand, expected;
    } rows[] = {
        {0, 400000000, 0},
        {1000, 0, 0},
        {1000, 400000000, 400000000},
        {250, 400000000, 100000000},
        {1, 1, 1}, /* rounded up */
        {1001, 1, 2},
        {1000, 1000000 * WH, 1000000 * WH},
        {INT64_MAX, 1000000 * WH, JOURNAL_NUMBER_MAX},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(policy_energy_of(rows[i].tokens, rows[i].nano_a_thousand),
                         rows[i].expected);
    }
}

static void a_kilowatt_hour_stands_for_what_the_grid_emits(void **state)
{
    (void)state;
    assert_int_equal(policy_energy_co2e(KWH, 400 * WH), 400 * WH);
    assert_int_equal(policy_energy_co2e(WH, 400 * WH), 400 * WH / 1000);
    assert_int_equal(policy_energy_co2e(WH, 0), 0);
    assert_int_equal(policy_energy_co2e(0, 400 * WH), 0);
    assert_int_equal(policy_energy_co2e(1, 1), 1); /* rounded up */
    assert_int_equal(policy_energy_co2e(JOURNAL_NUMBER_MAX, 1000000 * WH), JOURNAL_NUMBER_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_take_what_a_thousand_do),
        cmocka_unit_test(a_kilowatt_hour_stands_for_what_the_grid_emits),
    };
    return cmocka_run_group_tests_name("policy_energy", tests, NULL, NULL);
}
