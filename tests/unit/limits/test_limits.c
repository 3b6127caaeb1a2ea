/* SPDX-License-Identifier: Apache-2.0 */
/* test_limits.c — of all that applies to a call it has a part, or of none; and never more than
 * allowed. */
#include "limits_scene.h"

#include <pthread.h>

static void put(struct world *w, enum limits_level level, struct limits_terms terms)
{
    assert_int_equal(limits_put(w->l, level, caller.slot[level], &terms, at_noon.wall), ERR_OK);
}

static struct limits_wish money(const char *id, int64_t limit)
{
    struct limits_wish wish = {.kind = LIMITS_MONEY_BUDGET,
                               .currency = "USD",
                               .limit = limit,
                               .span = LIMITS_DAY,
                               .zone = utc,
                               .week_start = 1};
    (void)snprintf(wish.id, sizeof(wish.id), "%s", id);
    return wish;
}

static enum limits_outcome admit(struct world *w)
{
    return limits_admit(w->l, &caller, &w->hold, at_noon.mono, &w->why);
}

static enum limits_outcome reserve(struct world *w, int64_t tokens, int64_t nano)
{
    struct limits_ask ask = {tokens, nano, "USD", SPAN("m"), SPAN("")};
    return limits_reserve(w->l, &caller, &ask, &w->hold, &at_noon, &w->why);
}

static struct limits_balance balance(struct world *w, enum limits_level level, const char *id)
{
    struct limits_balance b = {0};
    assert_true(limits_budget_look(w->l, level, caller.slot[level], span_of(id), at_noon.wall, &b));
    return b;
}

static void who_has_no_terms_is_let_through(void **state)
{
    struct world *w = *state;
    assert_int_equal(limits_parts_most(w->l, &caller), 0);
    assert_int_equal(admit(w), LIMITS_TAKEN);
    assert_int_equal(reserve(w, INT64_MAX, INT64_MAX), LIMITS_TAKEN);
    assert_int_equal(w->hold.count, 0);
    assert_int_equal(w->hold.requests.limit, 0);
}

static void a_refusal_names_the_level_and_gives_everything_back(void **state)
{
    struct world *w = *state;
    put(w, LIMITS_KEY, (struct limits_terms){.requests_per_minute = 60, .concurrent = 5});
    put(w, LIMITS_ORGANISATION, (struct limits_terms){.requests_per_minute = 60, .burst = 1});
    assert_int_equal(limits_parts_most(w->l, &caller), 3);
    assert_int_equal(admit(w), LIMITS_TAKEN);
    assert_int_equal(w->hold.requests.standing.remaining, 0); /* the tightest */
    assert_int_equal(w->hold.requests.limit, 60);
    for (int i = 0; i < 100; i++) {
        struct limits_hold other = hold_new();
        assert_int_equal(limits_admit(w->l, &caller, &other, at_noon.mono, &w->why),
                         LIMITS_REFUSED);
        assert_int_equal(w->why.level, LIMITS_ORGANISATION);
        assert_int_equal(w->why.kind, LIMITS_REQUESTS);
        assert_int_equal(w->why.retry_us, 1000000);
        assert_int_equal(other.count, 0);
        free(other.parts);
    }
    put(w, LIMITS_ORGANISATION, (struct limits_terms){0});
    for (int i = 1; i < 5; i++) { /* of the key's 60 and 5 one was used */
        assert_int_equal(admit(w), LIMITS_TAKEN);
        assert_int_equal(w->hold.count, 2 * i + 3);
    }
    assert_int_equal(admit(w), LIMITS_REFUSED);
    assert_int_equal(w->why.kind, LIMITS_CONCURRENT);
    limits_settle(&w->hold, 0, 0, at_noon.mono);
    assert_int_equal(admit(w), LIMITS_TAKEN);
    limits_settle(&w->hold, 0, 0, at_noon.mono);
}

static void money_is_held_at_every_level_and_spent_as_it_was_used(void **state)
{
    struct world *w = *state;
    struct limits_wish key = money("budget_key", 100), team = money("budget_team", 150);
    put(w, LIMITS_KEY, (struct limits_terms){.budgets = &key, .budget_count = 1});
    put(w, LIMITS_TEAM, (struct limits_terms){.budgets = &team, .budget_count = 1});
    assert_int_equal(reserve(w, 10, 100), LIMITS_TAKEN);
    assert_int_equal(balance(w, LIMITS_TEAM, "budget_team").held, 100);
    struct limits_hold other = w->hold;
    w->hold = hold_new();
    assert_int_equal(reserve(w, 10, 1), LIMITS_REFUSED);
    assert_string_equal(w->why.budget, "budget_key");
    assert_false(w->why.is_never);
    assert_int_equal(w->why.resets.us, balance(w, LIMITS_KEY, "budget_key").range.to.us);
    limits_settle(&other, 10, 60, at_noon.mono);
    free(other.parts);
    assert_int_equal(balance(w, LIMITS_KEY, "budget_key").spent, 60);
    assert_int_equal(balance(w, LIMITS_TEAM, "budget_team").spent, 60);
    assert_int_equal(reserve(w, 10, 101), LIMITS_REFUSED);
    assert_true(w->why.is_never);
    assert_int_equal(reserve(w, 10, 40), LIMITS_TAKEN);
    limits_settle(&w->hold, 10, 40, at_noon.mono);
    assert_int_equal(reserve(w, 10, 0), LIMITS_TAKEN); /* what costs nothing stays usable */
    limits_settle(&w->hold, 10, 0, at_noon.mono);
}

static void the_budgets_of_a_subject_are_told_one_by_one(void **state)
{
    struct world *w = *state;
    struct limits_standing_budget told;
    uint32_t team = caller.slot[LIMITS_TEAM];
    struct limits_wish wishes[] = {money("budget_one", 100), money("budget_two", 150)};
    assert_false(limits_budget_at(w->l, LIMITS_TEAM, team, 0, at_noon.wall, &told));
    put(w, LIMITS_TEAM, (struct limits_terms){.budgets = wishes, .budget_count = 2});
    assert_int_equal(reserve(w, 10, 90), LIMITS_TAKEN);
    for (size_t i = 0; i < 2; i++) {
        assert_true(limits_budget_at(w->l, LIMITS_TEAM, team, i, at_noon.wall, &told));
        assert_string_equal(told.is->id, wishes[i].id);
        assert_int_equal(told.limit, wishes[i].limit);
        assert_int_equal(told.balance.held, 90);
    }
    assert_false(limits_budget_at(w->l, LIMITS_TEAM, team, 2, at_noon.wall, &told));
    limits_settle(&w->hold, 10, 50, at_noon.mono);
    wishes[1].limit = 60;
    put(w, LIMITS_TEAM, (struct limits_terms){.budgets = &wishes[1], .budget_count = 1});
    assert_true(limits_budget_at(w->l, LIMITS_TEAM, team, 0, at_noon.wall, &told));
    assert_int_equal(told.limit, 60);
    assert_int_equal(told.balance.spent, 50);
    assert_false(limits_budget_at(w->l, LIMITS_TEAM, team, 1, at_noon.wall, &told));
}

static int used(struct world *w, const char *model)
{
    return limits_used_percent(w->l, &caller, span_of(model), SPAN("alias"), at_noon.wall);
}

static void put_budget(struct world *w, enum limits_level level, struct limits_wish *wish,
                       int64_t limit)
{
    wish->limit = limit;
    put(w, level, (struct limits_terms){.budgets = wish, .budget_count = 1});
}

static void the_budget_nearest_its_end_is_told_in_percent(void **state)
{
    struct world *w = *state;
    struct limits_wish key = money("budget_key", 0), team = money("budget_team", 0);
    struct limits_wish model = money("budget_model", 0), tag = money("budget_tag", 0);
    (void)snprintf(model.model, sizeof(model.model), "dear");
    assert_int_equal(used(w, "m"), 0);
    put_budget(w, LIMITS_KEY, &key, 1000);
    put_budget(w, LIMITS_TEAM, &team, 500);
    put_budget(w, LIMITS_USER, &model, 0);
    assert_int_equal(used(w, "m"), 0);
    assert_int_equal(used(w, "dear"), 100); /* it allows nothing */
    assert_int_equal(reserve(w, 10, 129), LIMITS_TAKEN);
    assert_int_equal(used(w, "m"), 25); /* what is held is used */
    limits_settle(&w->hold, 10, 99, at_noon.mono);
    assert_int_equal(used(w, "m"), 19);
    put_budget(w, LIMITS_TEAM, &team, 90); /* less than was spent already */
    assert_int_equal(used(w, "m"), 100);

    put_budget(w, LIMITS_TEAM, &team, INT64_MAX);
    put_budget(w, LIMITS_KEY, &key, INT64_MAX);
    assert_int_equal(used(w, "m"), 0);
    put_budget(w, LIMITS_TAG, &tag, INT64_MAX);
    assert_int_equal(reserve(w, 10, INT64_MAX / 4 * 3), LIMITS_TAKEN);
    assert_in_range(used(w, "m"), 74, 75);
    limits_settle(&w->hold, 10, 0, at_noon.mono);
    put_budget(w, LIMITS_TAG, &tag, 0);
    assert_int_equal(used(w, "m"), 100);
}

static void a_budget_of_a_model_is_of_no_other_and_money_needs_a_price(void **state)
{
    struct world *w = *state;
    struct limits_wish wishes[] = {money("budget_a", 100), money("budget_b", 0)};
    (void)snprintf(wishes[1].model, sizeof(wishes[1].model), "dear");
    put(w, LIMITS_USER, (struct limits_terms){.budgets = wishes, .budget_count = 2});
    assert_int_equal(reserve(w, 1, 50), LIMITS_TAKEN);
    assert_int_equal(w->hold.count, 1);
    struct limits_ask dear = {1, 1, "USD", SPAN("dear"), SPAN("")},
                      unpriced = {1, 0, "", SPAN("m"), SPAN("")};
    assert_int_equal(limits_reserve(w->l, &caller, &dear, &w->hold, &at_noon, &w->why),
                     LIMITS_REFUSED);
    assert_string_equal(w->why.budget, "budget_b");
    assert_int_equal(w->hold.count, 1);
    assert_int_equal(limits_reserve(w->l, &caller, &unpriced, &w->hold, &at_noon, &w->why),
                     LIMITS_REFUSED);
    assert_true(w->why.is_unpriced);
    limits_settle(&w->hold, 1, 50, at_noon.mono);
}

static void other_terms_keep_what_was_spent_and_what_is_held(void **state)
{
    struct world *w = *state;
    struct limits_wish wish = money("budget_a", 100);
    put(w, LIMITS_KEY, (struct limits_terms){.concurrent = 1, .budgets = &wish, .budget_count = 1});
    assert_int_equal(admit(w), LIMITS_TAKEN);
    assert_int_equal(reserve(w, 1, 80), LIMITS_TAKEN);
    wish.limit = 90;
    put(w, LIMITS_KEY, (struct limits_terms){.concurrent = 1, .budgets = &wish, .budget_count = 1});
    limits_tidy(w->l, (mono_us){INT64_MAX});
    struct limits_hold other = hold_new();
    assert_int_equal(limits_admit(w->l, &caller, &other, at_noon.mono, &w->why), LIMITS_REFUSED);
    free(other.parts);
    assert_int_equal(reserve(w, 1, 11), LIMITS_REFUSED);
    assert_int_equal(reserve(w, 1, 10), LIMITS_TAKEN);
    put(w, LIMITS_KEY, (struct limits_terms){0}); /* the budget is gone, though something is held */
    limits_tidy(w->l, (mono_us){INT64_MAX});
    limits_settle(&w->hold, 1, 80, at_noon.mono);
    limits_tidy(w->l, (mono_us){INT64_MAX});
    put(w, LIMITS_KEY, (struct limits_terms){.concurrent = 1, .budgets = &wish, .budget_count = 1});
    assert_true(limits_budget_restore(w->l, LIMITS_KEY, caller.slot[LIMITS_KEY], SPAN("budget_a"),
                                      at_noon.wall, 80));
    assert_int_equal(reserve(w, 1, 11), LIMITS_REFUSED);
}

static void a_budget_that_is_taken_away_and_set_again_has_spent_what_it_had(void **state)
{
    struct world *w = *state;
    const struct limits_wish wishes[] = {money("a", 100), money("b", 100)};
    put(w, LIMITS_TEAM, (struct limits_terms){.budgets = wishes, .budget_count = 2});
    assert_int_equal(reserve(w, 0, 70), LIMITS_TAKEN);
    put(w, LIMITS_TEAM, (struct limits_terms){.budgets = wishes + 1, .budget_count = 1});
    limits_settle(&w->hold, 0, 60, at_noon.mono);
    limits_tidy(w->l, (mono_us){INT64_MAX});
    for (int i = 0; i < 3; i++) {
        put(w, LIMITS_TEAM, (struct limits_terms){.budgets = wishes, .budget_count = 2});
        assert_int_equal(balance(w, LIMITS_TEAM, "a").spent, 60);
        put(w, LIMITS_TEAM, (struct limits_terms){.budgets = wishes, .budget_count = 0});
    }
    struct limits_wish other = wishes[0];
    other.span = LIMITS_MONTH; /* of this window nobody knows */
    put(w, LIMITS_TEAM, (struct limits_terms){.budgets = &other, .budget_count = 1});
    assert_int_equal(balance(w, LIMITS_TEAM, "a").spent, 0);
}

static void tokens_a_minute_come_back_where_they_were_not_used(void **state)
{
    struct world *w = *state;
    put(w, LIMITS_TEAM, (struct limits_terms){.tokens_per_minute = 1000});
    assert_int_equal(reserve(w, 1001, 0), LIMITS_REFUSED);
    assert_true(w->why.is_never);
    assert_int_equal(reserve(w, 1000, 0), LIMITS_TAKEN);
    limits_settle(&w->hold, 100, 0, at_noon.mono);
    assert_int_equal(reserve(w, 901, 0), LIMITS_REFUSED);
    assert_false(w->why.is_never);
    assert_int_equal(w->why.retry_us, 60000);
    assert_int_equal(reserve(w, 900, 0), LIMITS_TAKEN);
    assert_int_equal(w->hold.tokens.limit, 1000);
    limits_settle(&w->hold, 1900, 0,
                  at_noon.mono); /* more than was held: the next ones wait for it */
    assert_int_equal(reserve(w, 1, 0), LIMITS_REFUSED);
    assert_int_equal(w->why.retry_us, 1001 * 60000);
}

static void what_cannot_be_allowed_is_refused(void **state)
{
    struct world *w = *state;
    struct limits_wish wish = money("budget_a", -1);
    const struct limits_terms bad[] = {
        {.requests_per_minute = -1},
        {.requests_per_minute = LIMITS_RATE_MAX + 1},
        {.burst = 1},
        {.requests_per_minute = 1, .burst = 1441},
        {.tokens_per_minute = -1},
        {.concurrent = -1},
        {.budgets = &wish, .budget_count = 1},
        {.budgets = &wish, .budget_count = LIMITS_BUDGETS_MAX + 1},
    };
    for (size_t i = 0; i < ROWS(bad); i++) {
        assert_int_equal(limits_put(w->l, LIMITS_KEY, 1, &bad[i], at_noon.wall), ERR_VALUE_INVALID);
    }
    assert_int_equal(limits_parts_most(w->l, &caller), 0);
}

static void too_little_room_is_said_and_nothing_is_held(void **state)
{
    struct world *w = *state;
    put(w, LIMITS_KEY, (struct limits_terms){.requests_per_minute = 1, .concurrent = 1});
    w->hold.room = 1;
    assert_int_equal(admit(w), LIMITS_NO_ROOM);
    w->hold.room = 2;
    assert_int_equal(admit(w), LIMITS_TAKEN);
    limits_settle(&w->hold, 0, 0, at_noon.mono);
}

/* ---- threads ---- */

#define KEYS  1000
#define TRIES 100

struct thread_of {
    struct limits *l;
    int admitted[KEYS];
};

/* All keys, TRIES times, of a team that all are in. */
static void *call_all(void *arg)
{
    struct thread_of *c = arg;
    struct limits_hold hold = hold_new();
    for (int i = 0; i < TRIES * KEYS; i++) {
        struct limits_subjects who = LIMITS_SUBJECTS_NONE;
        who.slot[LIMITS_KEY] = (uint32_t)(i % KEYS);
        who.slot[LIMITS_TEAM] = 0;
        struct limits_ask ask = {10, 10, "USD", SPAN("m"), SPAN("")};
        struct limits_refusal why;
        hold.count = 0;
        if (limits_admit(c->l, &who, &hold, at_noon.mono, &why) == LIMITS_TAKEN) {
            bool is_reserved =
                limits_reserve(c->l, &who, &ask, &hold, &at_noon, &why) == LIMITS_TAKEN;
            c->admitted[i % KEYS] += is_reserved ? 1 : 0;
            limits_settle(&hold, is_reserved ? 10 : 0, is_reserved ? 10 : 0, at_noon.mono);
        }
    }
    free(hold.parts);
    return NULL;
}

static void a_thousand_keys_at_once_are_let_through_as_often_as_allowed(void **state)
{
    struct world *w = *state;
    struct limits_wish wish = money("budget_team", (int64_t)KEYS * 10 * 7 + 5);
    struct thread_of callers[4] = {{w->l, {0}}, {w->l, {0}}, {w->l, {0}}, {w->l, {0}}};
    pthread_t threads[ROWS(callers)];
    int all = 0;
    put(w, LIMITS_TEAM, (struct limits_terms){0}); /* slot 2: not of these */
    struct limits_terms team = {.budgets = &wish, .budget_count = 1};
    assert_int_equal(limits_put(w->l, LIMITS_TEAM, 0, &team, at_noon.wall), ERR_OK);
    for (uint32_t key = 0; key < KEYS; key++) {
        struct limits_terms terms = {
            .requests_per_minute = 60, .burst = 20, .tokens_per_minute = 500};
        assert_int_equal(limits_put(w->l, LIMITS_KEY, key, &terms, at_noon.wall), ERR_OK);
    }
    for (size_t i = 0; i < ROWS(callers); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, call_all, &callers[i]), 0);
    }
    for (size_t i = 0; i < ROWS(callers); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (int key = 0; key < KEYS; key++) {
        int admitted = 0;
        for (size_t i = 0; i < ROWS(callers); i++) {
            admitted += callers[i].admitted[key];
        }
        assert_in_range(admitted, 0, 20);
        all += admitted;
    }
    assert_int_equal(all, KEYS * 7);
    struct limits_balance b;
    assert_true(limits_budget_look(w->l, LIMITS_TEAM, 0, SPAN("budget_team"), at_noon.wall, &b));
    assert_int_equal(b.spent, KEYS * 70);
    assert_int_equal(b.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_has_no_terms_is_let_through, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_names_the_level_and_gives_everything_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(money_is_held_at_every_level_and_spent_as_it_was_used,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_budgets_of_a_subject_are_told_one_by_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_budget_nearest_its_end_is_told_in_percent, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_budget_of_a_model_is_of_no_other_and_money_needs_a_price,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(other_terms_keep_what_was_spent_and_what_is_held, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_budget_that_is_taken_away_and_set_again_has_spent_what_it_had, setup, teardown),
        cmocka_unit_test_setup_teardown(tokens_a_minute_come_back_where_they_were_not_used, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_allowed_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(too_little_room_is_said_and_nothing_is_held, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_thousand_keys_at_once_are_let_through_as_often_as_allowed,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
