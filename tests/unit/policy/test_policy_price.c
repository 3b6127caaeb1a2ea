/* SPDX-License-Identifier: Apache-2.0 */
/* test_policy_price.c — what has a price is never free, and a record says the price. */
#include "unit.h"

#include "policy/policy_price.h"

#define TOKENS(in, cached, out, per)                                                            \
    {                                                                                           \
        .input_nano = (in), .cached_nano = (cached), .output_nano = (out), .per_tokens = (per), \
        .currency = "USD"                                                                       \
    }
#define UNIT  INT64_C(1000000000)
#define DEAR  POLICY_PRICE_NANO_MAX
#define FINER INT64_C(1000000000) /* tokens that a price is for, at most */

static void costs_are_whole_billionths_rounded_up(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct policy_price price;
        struct policy_amounts used;
        int64_t cost;
    } rows[] = {
        {"nothing was used", TOKENS(20000000, 20000000, 60000000, 1000000), {0}, 0},
        {"40 tokens at 0.02 a million", TOKENS(20000000, 20000000, 0, 1000000), {.input = 40}, 800},
        {"both directions",
         TOKENS(200000000, 200000000, 600000000, 1000000),
         {.input = 12, .output = 34},
         2400 + 20400},
        {"less than a billionth", TOKENS(1, 1, 0, FINER), {.input = 1}, 1},
        {"a part of one", TOKENS(3, 3, 0, 2), {.input = 1}, 2},
        {"a price of 0", TOKENS(0, 0, 0, 1), {.input = 1000000, .output = 1000000}, 0},
        {"cached tokens at their own price",
         TOKENS(2000000, 500000, 8000000, 1000),
         {.input = 100, .cached = 64, .output = 10},
         36 * 2000 + 64 * 500 + 10 * 8000},
        {"cached ones for nothing", TOKENS(2000, 0, 0, 1), {.input = 10, .cached = 9}, 2000},
        {"no more are cached than there are", TOKENS(2000, 3, 0, 1), {.input = 5, .cached = 9}, 15},
        {"more than a record holds",
         TOKENS(DEAR, DEAR, DEAR, 1),
         {.input = INT64_MAX, .output = INT64_MAX},
         JOURNAL_NUMBER_MAX},
        {"a request", {.request_nano = 5, .per_tokens = 1}, {.input = 9, .requests = 1}, 5},
        {"one that was not answered", {.request_nano = 5, .per_tokens = 1}, {.input = 9}, 0},
        {"a second and a half",
         {.gpu_second_nano = 400000, .per_tokens = 1},
         {.server_us = 1500000},
         600000},
        {"a microsecond at a third of nothing",
         {.gpu_second_nano = 1, .per_tokens = FINER},
         {.server_us = 1},
         1},
        {"half a billionth of tokens and half of time: one, and not two",
         {.input_nano = 1, .gpu_second_nano = 1, .per_tokens = 2},
         {.input = 1, .server_us = 500000},
         1},
        {"a hair more than that: two",
         {.input_nano = 1, .gpu_second_nano = 1, .per_tokens = 2},
         {.input = 1, .server_us = 500001},
         2},
        {"all of it",
         {.input_nano = 3 * UNIT,
          .cached_nano = UNIT,
          .output_nano = 7 * UNIT,
          .per_tokens = 1000,
          .request_nano = 11,
          .gpu_second_nano = 13},
         {.input = 10, .cached = 4, .output = 2, .requests = 1, .server_us = 1000001},
         6 * 3000000 + 4 * 1000000 + 2 * 7000000 + 11 + 13 + 1},
        {"more time than a record holds",
         {.gpu_second_nano = DEAR, .per_tokens = FINER},
         {.server_us = INT64_MAX},
         JOURNAL_NUMBER_MAX},
        {"everything at its most",
         {.input_nano = DEAR,
          .cached_nano = DEAR,
          .output_nano = DEAR,
          .request_nano = DEAR,
          .gpu_second_nano = DEAR,
          .per_tokens = FINER},
         {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
         JOURNAL_NUMBER_MAX},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t cost = policy_price_cost(&rows[i].price, &rows[i].used);
        if (cost != rows[i].cost) {
            fail_msg("%s: %lld", rows[i].why, (long long)cost);
        }
    }
}

/* They cost nothing, when each was rounded down to a millionth. */
static void a_thousand_small_calls_cost_what_they_should(void **state)
{
    (void)state;
    const struct policy_price price = TOKENS(20000000, 20000000, 20000000, 1000000);
    const struct policy_amounts used = {.input = 30, .output = 10};
    int64_t sum = 0;
    for (int i = 0; i < 1000; i++) {
        sum += policy_price_cost(&price, &used);
    }
    assert_int_equal(sum, 800000); /* 40,000 tokens at 0.02 a million: 0.0008 */
}

static void nothing_costs_more_than_its_most(void **state)
{
    (void)state;
    static const struct policy_price prices[] = {
        TOKENS(2000000, 500000, 8000000, 1000),
        TOKENS(500000, 2000000, 8000000, 1000), /* cached tokens are the dear ones */
        {.request_nano = 7, .gpu_second_nano = 999, .per_tokens = 1},
        {.input_nano = 1, .cached_nano = 2, .gpu_second_nano = 1, .per_tokens = 3},
    };
    for (size_t i = 0; i < ROWS(prices); i++) {
        int64_t most = policy_price_most(&prices[i], 100, 50, 4000);
        int64_t dearest = 0;
        for (int64_t cached = 0; cached <= 100; cached++) {
            const struct policy_amounts used = {100, cached, 50, 1, 4000000};
            int64_t cost = policy_price_cost(&prices[i], &used);
            dearest = cost > dearest ? cost : dearest;
        }
        assert_int_equal(most, dearest); /* and no more is held than one may come to */
    }
}

static void the_price_in_force_is_that_of_the_moment(void **state)
{
    (void)state;
    static const struct policy_price prices[] = {
        {.from = {1000}, .input_nano = 1},
        {.from = {2000}, .input_nano = 2},
        {.from = {3000}, .input_nano = 3},
    };
    static const struct {
        int64_t at, input;
    } rows[] = {{0, 0},    {999, 0},  {1000, 1}, {1999, 1},
                {2000, 2}, {2999, 2}, {3000, 3}, {INT64_MAX, 3}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        const struct policy_price *in_force =
            policy_price_at(prices, ROWS(prices), (wall_us){rows[i].at});
        assert_int_equal(in_force == NULL ? 0 : in_force->input_nano, rows[i].input);
    }
    assert_null(policy_price_at(NULL, 0, (wall_us){5}));
    const struct policy_price always = TOKENS(1, 1, 1, 1);
    assert_ptr_equal(policy_price_at(&always, 1, (wall_us){0}), &always);
}

static void a_record_names_the_price_by_what_it_is(void **state)
{
    (void)state;
    static const struct {
        struct policy_price price;
        const char *id;
    } rows[] = {
        {TOKENS(200000000, 200000000, 600000000, 1000000), "200000000/600000000/1000000"},
        {TOKENS(0, 0, 0, 1000), "0/0/1000"}, /* a price of 0 is one */
        {TOKENS(200000000, 50000000, 600000000, 1000000), "200000000/600000000/1000000c50000000"},
        {TOKENS(5, 0, 6, 1), "5/6/1c0"},
        {{.per_tokens = 1000000, .request_nano = 70000, .currency = "USD"}, "0/0/1000000r70000"},
        {{.per_tokens = 1, .gpu_second_nano = 9, .currency = "USD"}, "0/0/1g9"},
        {{.input_nano = DEAR,
          .output_nano = DEAR,
          .cached_nano = DEAR - 1,
          .per_tokens = POLICY_PRICE_PER_MAX,
          .request_nano = DEAR,
          .gpu_second_nano = DEAR,
          .currency = "USD"},
         "1000000000000000/1000000000000000/1000000000c999999999999999r1000000000000000"
         "g1000000000000000"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct journal_record r = {.kind = JOURNAL_INTENT};
        struct policy_price price = rows[i].price;
        policy_price_name(&price);
        policy_price_record(&price, &r);
        assert_string_equal(price.id, rows[i].id);
        assert_true(span_is(journal_record_text(&r, JOURNAL_TEXT_CURRENCY), "USD"));
        assert_true(span_is(journal_record_text(&r, JOURNAL_TEXT_PRICE), rows[i].id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_are_whole_billionths_rounded_up),
        cmocka_unit_test(a_thousand_small_calls_cost_what_they_should),
        cmocka_unit_test(nothing_costs_more_than_its_most),
        cmocka_unit_test(the_price_in_force_is_that_of_the_moment),
        cmocka_unit_test(a_record_names_the_price_by_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
