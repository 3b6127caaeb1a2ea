/* SPDX-License-Identifier: Apache-2.0 */
/* test_limits_hold.c — more for another try, what a record says of a hold, and looks that take
 * nothing. */
#include "limits/limits_names.h"
#include "limits_scene.h"

static struct limits_wish wish_of(const char *id, enum limits_kind kind, int64_t limit,
                                  enum limits_span span)
{
    struct limits_wish wish = {.kind = kind, .limit = limit, .span = span, .zone = utc};
    (void)snprintf(wish.id, sizeof(wish.id), "%s", id);
    (void)snprintf(wish.currency, sizeof(wish.currency), "%s",
                   kind == LIMITS_MONEY_BUDGET ? "USD" : "");
    return wish;
}

static void put(struct world *w, enum limits_level level, struct limits_terms terms)
{
    assert_int_equal(limits_put(w->l, level, caller.slot[level], &terms, at_noon.wall), ERR_OK);
}

static void put_budgets(struct world *w, enum limits_level level, const struct limits_wish *wishes,
                        size_t count)
{
    put(w, level, (struct limits_terms){.budgets = wishes, .budget_count = count});
}

static enum limits_outcome reserve(struct world *w, int64_t tokens, int64_t nano)
{
    struct limits_ask ask = {.tokens = tokens, .nano = nano, .currency = "USD", .model = SPAN("m")};
    return limits_reserve(w->l, &caller, &ask, &w->hold, &at_noon, &w->why);
}

static enum limits_outcome extend(struct world *w, int64_t tokens, int64_t nano)
{
    return limits_extend(&w->hold, tokens, nano, at_noon.mono, &w->why);
}

static struct limits_balance balance(struct world *w, enum limits_level level, const char *id)
{
    struct limits_balance b = {0};
    assert_true(limits_budget_look(w->l, level, caller.slot[level], span_of(id), at_noon.wall, &b));
    return b;
}

static void more_is_taken_of_every_part_or_of_none(void **state)
{
    struct world *w = *state;
    const struct limits_wish key = wish_of("key", LIMITS_MONEY_BUDGET, 1000, LIMITS_DAY);
    const struct limits_wish team = wish_of("team", LIMITS_TOKEN_BUDGET, 500, LIMITS_TOTAL);
    const struct limits_wish org = wish_of("org", LIMITS_MONEY_BUDGET, 300, LIMITS_MONTH);
    put(w, LIMITS_USER, (struct limits_terms){.tokens_per_minute = 400, .concurrent = 1});
    put_budgets(w, LIMITS_KEY, &key, 1);
    put_budgets(w, LIMITS_TEAM, &team, 1);
    put_budgets(w, LIMITS_ORGANISATION, &org, 1);
    assert_int_equal(limits_admit(w->l, &caller, &w->hold, at_noon.mono, &w->why), LIMITS_TAKEN);
    assert_int_equal(reserve(w, 100, 200), LIMITS_TAKEN);
    assert_int_equal(extend(w, 50, 100), LIMITS_TAKEN);
    static const struct {
        int64_t tokens, nano;
        enum limits_level level;
        enum limits_kind kind;
    } refused[] = {{0, 1, LIMITS_ORGANISATION, LIMITS_MONEY_BUDGET},
                   {251, 0, LIMITS_USER, LIMITS_TOKENS},
                   {INT64_C(1) << 40, 0, LIMITS_USER, LIMITS_TOKENS}};
    for (size_t r = 0; r < ROWS(refused); r++) {
        assert_int_equal(extend(w, refused[r].tokens, refused[r].nano), LIMITS_REFUSED);
        assert_int_equal(w->why.level, refused[r].level);
        assert_int_equal(w->why.kind, refused[r].kind);
        assert_int_equal(balance(w, LIMITS_KEY, "key").held, 300);
        assert_int_equal(balance(w, LIMITS_TEAM, "team").held, 150);
        assert_int_equal(balance(w, LIMITS_ORGANISATION, "org").held, 300);
    }
    assert_int_equal(extend(w, 250, 0), LIMITS_TAKEN); /* of the tokens a minute all is there */
    limits_settle(&w->hold, 120, 250, at_noon.mono);
    assert_int_equal(balance(w, LIMITS_KEY, "key").spent, 250);
    assert_int_equal(balance(w, LIMITS_TEAM, "team").spent, 120);
    assert_int_equal(balance(w, LIMITS_ORGANISATION, "org").spent, 250);
    assert_int_equal(balance(w, LIMITS_ORGANISATION, "org").held, 0);
    assert_int_equal(reserve(w, 280, 50), LIMITS_TAKEN); /* 400 less the 120 that were used */
    assert_int_equal(limits_admit(w->l, &caller, &w->hold, at_noon.mono, &w->why), LIMITS_TAKEN);
    limits_settle(&w->hold, 0, 0, at_noon.mono);
}

static void who_holds_nothing_gets_more_of_nothing(void **state)
{
    struct world *w = *state;
    assert_int_equal(reserve(w, 1, 1), LIMITS_TAKEN);
    assert_int_equal(extend(w, INT64_MAX, INT64_MAX), LIMITS_TAKEN);
    assert_int_equal(w->hold.count, 0);
}

static void a_record_names_each_window_that_the_call_holds_of(void **state)
{
    struct world *w = *state;
    char names[LIMITS_NAMES_MAX];
    const struct limits_wish key[] = {wish_of("abcdefghijkl", LIMITS_MONEY_BUDGET, 9, LIMITS_TOTAL),
                                      wish_of("day/key", LIMITS_TOKEN_BUDGET, 9, LIMITS_DAY)};
    struct limits_wish team = wish_of("other", LIMITS_MONEY_BUDGET, 9, LIMITS_DAY);
    const struct limits_wish org = wish_of("mnopqrstuvwx/y", LIMITS_MONEY_BUDGET, 9, LIMITS_MONTH);
    (void)snprintf(team.model, sizeof(team.model), "another model");
    put_budgets(w, LIMITS_KEY, key, 2);
    put_budgets(w, LIMITS_TEAM, &team, 1);
    put_budgets(w, LIMITS_ORGANISATION, &org, 1);
    put(w, LIMITS_USER, (struct limits_terms){.tokens_per_minute = 400});
    assert_int_equal(limits_hold_names(&w->hold, names), 0);
    assert_int_equal(reserve(w, 1, 1), LIMITS_TAKEN);
    size_t len = limits_hold_names(&w->hold, names);
    static const char expected[] = "abcdefghijkl$0 day/key#1795996800 mnopqrstuvwx/y$1793491200";
    assert_int_equal(len, sizeof(expected) - 1);
    assert_memory_equal(names, expected, len);
}

static void more_windows_than_a_record_has_room_for_are_told(void **state)
{
    struct world *w = *state;
    static const struct {
        enum limits_span span;
        size_t each; /* bytes, with the blank before the next */
    } rows[] = {{LIMITS_DAY, 24}, {LIMITS_TOTAL, 15}};
    char names[LIMITS_NAMES_MAX], id[16];
    struct limits_wish wishes[LIMITS_BUDGETS_MAX];
    for (size_t r = 0; r < ROWS(rows); r++) {
        for (size_t count = 1; count <= LIMITS_BUDGETS_MAX; count++) {
            (void)snprintf(id, sizeof(id), "budget%06zu", count);
            wishes[count - 1] = wish_of(id, LIMITS_TOKEN_BUDGET, 100, rows[r].span);
            put_budgets(w, LIMITS_TEAM, wishes, count);
            assert_int_equal(reserve(w, 1, 0), LIMITS_TAKEN);
            size_t len = limits_hold_names(&w->hold, names);
            assert_int_equal(len, count <= LIMITS_NAMED_MAX ? count * rows[r].each - 1
                                                            : LIMITS_NAMES_MAX + 1);
            limits_settle(&w->hold, 0, 0, at_noon.mono);
        }
    }
}

static void whether_all_windows_can_be_named_is_known_before(void **state)
{
    struct world *w = *state;
    char id[16];
    struct limits_wish wishes[LIMITS_NAMED_MAX + 1];
    for (size_t i = 0; i < ROWS(wishes); i++) {
        (void)snprintf(id, sizeof(id), "budget%06zu", i);
        wishes[i] = wish_of(id, LIMITS_TOKEN_BUDGET, 100, LIMITS_DAY);
    }
    put_budgets(w, LIMITS_TEAM, wishes, LIMITS_NAMED_MAX - 1);
    assert_true(limits_names_fit(w->l, &caller, &wishes[LIMITS_NAMED_MAX - 1], 1));
    assert_false(limits_names_fit(w->l, &caller, &wishes[LIMITS_NAMED_MAX - 1], 2));
    put_budgets(w, LIMITS_TEAM, wishes, LIMITS_NAMED_MAX);
    assert_true(limits_names_fit(w->l, &caller, NULL, 0));
    assert_false(limits_names_fit(w->l, &caller, &wishes[LIMITS_NAMED_MAX], 1));
    for (size_t i = 0; i < ROWS(wishes); i++) { /* half of them of each model */
        (void)snprintf(wishes[i].model, sizeof(wishes[i].model), "model %zu", i % 2);
    }
    put_budgets(w, LIMITS_TEAM, wishes, LIMITS_NAMED_MAX);
    assert_true(limits_names_fit(w->l, &caller, &wishes[LIMITS_NAMED_MAX], 1));
    struct limits_wish of_all[LIMITS_NAMED_MAX];
    for (size_t i = 0; i < ROWS(of_all); i++) {
        (void)snprintf(id, sizeof(id), "all%06zu", i);
        of_all[i] = wish_of(id, LIMITS_TOKEN_BUDGET, 100, LIMITS_TOTAL);
    }
    assert_true(limits_names_fit(w->l, &caller, of_all, LIMITS_NAMED_MAX / 2));
    assert_false(limits_names_fit(w->l, &caller, of_all, LIMITS_NAMED_MAX / 2 + 1));
}

static void long_names_are_fewer(void **state)
{
    struct world *w = *state;
    static const char *const ids[] = {"abcdefghijkl/user_000000000000",
                                      "abcdefghijkl/000000000000"};
    char names[LIMITS_NAMES_MAX];
    for (size_t r = 0; r < ROWS(ids); r++) {
        struct limits_wish wishes[LIMITS_NAMED_MAX];
        size_t count = 0;
        bool fits = true;
        while (fits && count < LIMITS_NAMED_MAX) {
            wishes[count] = wish_of(ids[r], LIMITS_TOKEN_BUDGET, 100, LIMITS_DAY);
            wishes[count].id[0] = (char)('a' + count);
            put_budgets(w, LIMITS_USER, wishes, ++count);
            fits = limits_names_fit(w->l, &caller, NULL, 0);
            assert_int_equal(reserve(w, 1, 0), LIMITS_TAKEN);
            assert_int_equal(limits_hold_names(&w->hold, names) <= LIMITS_NAMES_MAX, fits);
            limits_settle(&w->hold, 0, 0, at_noon.mono);
        }
        assert_false(fits);
    }
}

static void several_tags_count_and_one_that_refuses_is_named(void **state)
{
    struct world *w = *state;
    const struct limits_wish wide = wish_of("wide", LIMITS_MONEY_BUDGET, 900, LIMITS_TOTAL);
    const struct limits_wish narrow = wish_of("narrow", LIMITS_MONEY_BUDGET, 200, LIMITS_TOTAL);
    const struct limits_terms of_wide = {.budgets = &wide, .budget_count = 1};
    const struct limits_terms of_narrow = {.budgets = &narrow, .budget_count = 1};
    struct limits_balance balance;
    assert_int_equal(limits_put(w->l, LIMITS_TAG, 0, &of_wide, at_noon.wall), ERR_OK);
    assert_int_equal(limits_put(w->l, LIMITS_TAG, 4, &of_narrow, at_noon.wall), ERR_OK);
    assert_int_equal(reserve(w, 1, 150), LIMITS_TAKEN);
    assert_int_equal(reserve(w, 1, 150), LIMITS_REFUSED);
    assert_int_equal(w->why.level, LIMITS_TAG);
    assert_int_equal(w->why.slot, 4);
    assert_true(limits_budget_look(w->l, LIMITS_TAG, 0, SPAN("wide"), at_noon.wall, &balance));
    assert_int_equal(balance.held, 150);
    assert_int_equal(extend(w, 1, 100), LIMITS_REFUSED);
    assert_int_equal(w->why.slot, 4);
    limits_settle(&w->hold, 1, 120, at_noon.mono);
    assert_true(limits_budget_look(w->l, LIMITS_TAG, 4, SPAN("narrow"), at_noon.wall, &balance));
    assert_int_equal(balance.spent, 120);
}

static void a_look_takes_nothing_and_tells_of_the_tightest(void **state)
{
    struct world *w = *state;
    struct limits_tightest requests, tokens;
    limits_look(w->l, &caller, at_noon.mono, &requests, &tokens);
    assert_int_equal(requests.limit + tokens.limit, 0);
    put(w, LIMITS_KEY,
        (struct limits_terms){.requests_per_minute = 60, .burst = 10, .tokens_per_minute = 600});
    put(w, LIMITS_TEAM, (struct limits_terms){.requests_per_minute = 30, .burst = 3});
    put(w, LIMITS_ORGANISATION, (struct limits_terms){.tokens_per_minute = 500});
    for (int i = 0; i < 20; i++) {
        limits_look(w->l, &caller, at_noon.mono, &requests, &tokens);
        assert_int_equal(requests.limit, 30);
        assert_int_equal(requests.standing.remaining, 3);
        assert_int_equal(requests.standing.whole_us, 0);
        assert_int_equal(tokens.limit, 500);
        assert_int_equal(tokens.standing.remaining, 500);
    }
    assert_int_equal(limits_admit(w->l, &caller, &w->hold, at_noon.mono, &w->why), LIMITS_TAKEN);
    assert_int_equal(reserve(w, 200, 0), LIMITS_TAKEN);
    limits_look(w->l, &caller, at_noon.mono, &requests, &tokens);
    assert_int_equal(requests.standing.remaining, 2);
    assert_int_equal(requests.standing.whole_us, 2000000);
    assert_int_equal(tokens.standing.remaining, 500); /* they are held, and not used yet */
    assert_int_equal(tokens.standing.whole_us, 0);
    limits_settle(&w->hold, 150, 0, at_noon.mono);
    limits_look(w->l, &caller, at_noon.mono, &requests, &tokens);
    assert_int_equal(tokens.standing.remaining, 350);
    assert_int_equal(tokens.standing.whole_us, 18000000);
    assert_int_equal(requests.standing.remaining, 2); /* a request that was let through is one */
    limits_look(w->l, &caller, (mono_us){at_noon.mono.us + 2000000}, &requests, &tokens);
    assert_int_equal(requests.standing.remaining, 3);
}

static void models_count_alike_unless_a_budget_is_of_one_alone(void **state)
{
    struct world *w = *state;
    struct limits_wish all = wish_of("all", LIMITS_MONEY_BUDGET, 1000, LIMITS_DAY);
    struct limits_wish one = wish_of("one", LIMITS_TOKEN_BUDGET, 1000, LIMITS_DAY);
    (void)snprintf(one.model, sizeof(one.model), "a");
    put_budgets(w, LIMITS_KEY, &all, 1);
    assert_true(limits_count_alike(w->l, &caller, SPAN("auto"), SPAN("a"), SPAN("b")));
    put_budgets(w, LIMITS_TEAM, &one, 1);
    assert_false(limits_count_alike(w->l, &caller, SPAN("auto"), SPAN("a"), SPAN("b")));
    assert_false(limits_count_alike(w->l, &caller, SPAN("auto"), SPAN("b"), SPAN("a")));
    assert_true(limits_count_alike(w->l, &caller, SPAN("auto"), SPAN("b"), SPAN("c")));
    assert_true(limits_count_alike(w->l, &caller, SPAN("a"), SPAN("a"), SPAN("b")));
}

int main(void)
{
#define WITH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(more_is_taken_of_every_part_or_of_none),
        WITH(who_holds_nothing_gets_more_of_nothing),
        WITH(a_record_names_each_window_that_the_call_holds_of),
        WITH(more_windows_than_a_record_has_room_for_are_told),
        WITH(whether_all_windows_can_be_named_is_known_before),
        WITH(long_names_are_fewer),
        WITH(several_tags_count_and_one_that_refuses_is_named),
        WITH(a_look_takes_nothing_and_tells_of_the_tightest),
        WITH(models_count_alike_unless_a_budget_is_of_one_alone),
    };
    return cmocka_run_group_tests_name("limits_hold", tests, NULL, NULL);
}
