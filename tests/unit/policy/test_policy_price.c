/* SPDX-License-Identifier: Apache-2.0 */
/* test_policy_price.c — what has a price is never free, and a record says the price. */
#include "unit.h"

#include "policy/policy_price.h"

static void costs_are_whole_billionths_rounded_up(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct policy_price price;
        int64_t in, out, cost;
    } rows[] = {
        {"nothing was used", {20000000, 60000000, 1000000, "USD"}, 0, 0, 0},
        {"40 tokens at 0.02 a million", {20000000, 0, 1000000, "USD"}, 40, 0, 800},
        {"both directions", {200000000, 600000000, 1000000, "USD"}, 12, 34, 2400 + 20400},
        {"less than a billionth", {1, 0, 1000000000, "USD"}, 1, 0, 1},
        {"a part of one", {3, 0, 2, "USD"}, 1, 0, 2},
        {"no price", {0, 0, 1, "USD"}, 1000000, 1000000, 0},
        {"more than a record holds",
         {1000000000000000, 1000000000000000, 1, "USD"},
         INT64_MAX,
         INT64_MAX,
         JOURNAL_NUMBER_MAX},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t cost = policy_price_cost(&rows[i].price, rows[i].in, rows[i].out);
        if (cost != rows[i].cost) {
            fail_msg("%s: %lld", rows[i].why, (long long)cost);
        }
    }
}

/* They cost nothing, when each was rounded down to a millionth. */
static void a_thousand_small_calls_cost_what_they_should(void **state)
{
    (void)state;
    const struct policy_price price = {20000000, 20000000, 1000000, "SAR"};
    int64_t sum = 0;
    for (int i = 0; i < 1000; i++) {
        sum += policy_price_cost(&price, 30, 10);
    }
    assert_int_equal(sum, 800000); /* 40,000 tokens at 0.02 a million: 0.0008 */
}

static void a_record_names_the_price_by_what_it_is(void **state)
{
    (void)state;
    struct journal_record r = {.kind = JOURNAL_INTENT};
    policy_price_record(&(struct policy_price){0, 0, 1000, "USD"}, &r);
    assert_int_equal(journal_record_text(&r, JOURNAL_TEXT_PRICE).len, 0);
    assert_int_equal(journal_record_text(&r, JOURNAL_TEXT_CURRENCY).len, 0);
    policy_price_record(&(struct policy_price){200000000, 600000000, 1000000, "SAR"}, &r);
    assert_true(span_is(journal_record_text(&r, JOURNAL_TEXT_CURRENCY), "SAR"));
    assert_true(
        span_is(journal_record_text(&r, JOURNAL_TEXT_PRICE), "200000000/600000000/1000000"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_are_whole_billionths_rounded_up),
        cmocka_unit_test(a_thousand_small_calls_cost_what_they_should),
        cmocka_unit_test(a_record_names_the_price_by_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
