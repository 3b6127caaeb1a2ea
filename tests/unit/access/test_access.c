/* SPDX-License-Identifier: Apache-2.0 */
/* test_access.c — what rows say of somebody is what holds for their calls: after a change, and
 * after a start. */
#include "access_scene.h"

#include "access/access_evaluation.h"

/* ---- tests ---- */

static void what_one_says_goes_before_the_plan_and_that_before_the_team_s_template(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *why;
        struct store_limit own, plan, each;
        struct held held;
    } rows[] = {
        {"nothing is said", {0}, {0}, {0}, {0, 0, 0, 0}},
        {"the template alone", {0}, {0}, {.requests_per_minute = 6}, {6, 6, 0, 0}},
        {"the plan before it",
         {0},
         {.requests_per_minute = 5},
         {.requests_per_minute = 6},
         {5, 5, 0, 0}},
        {"the own before both",
         {.requests_per_minute = 4},
         {.requests_per_minute = 5},
         {.requests_per_minute = 6},
         {4, 4, 0, 0}},
        {"each number by itself",
         {.tokens_per_minute = 40},
         {.requests_per_minute = 5},
         {.max_tokens = 60, .tokens_per_minute = 6},
         {5, 5, 40, 60}},
        {"a burst belongs to its requests",
         {.requests_per_minute = 4},
         {.requests_per_minute = 5, .burst = 50},
         {0},
         {4, 4, 0, 0}},
        {"a burst over another's requests",
         {.burst = 3},
         {.requests_per_minute = 5, .burst = 50},
         {0},
         {5, 3, 0, 0}},
        {"no more than comes back in a day",
         {.burst = 1000000},
         {.requests_per_minute = 1},
         {0},
         {1, LIMITS_BURST_MINUTES, 0, 0}},
    };
    struct caller key = make(f, (struct key_wish){.team = BOB, .plan = SPAN("plan_a")});
    for (size_t r = 0; r < ROWS(rows); r++) {
        limit(f, span_of(key.id), rows[r].own);
        limit(f, SPAN("plan_a"), rows[r].plan);
        limit(f, SPAN("team_bob0000000/key"), rows[r].each);
        for (int again = 0; again < 2; again++) {
            struct held found = held_at(f, &key, LIMITS_KEY);
            if (memcmp(&found, &rows[r].held, sizeof(found)) != 0) {
                fail_msg("%s%s: %lld, burst %lld, tokens %lld, answer %lld", rows[r].why,
                         again ? ", after a start" : "", (long long)found.requests,
                         (long long)found.burst, (long long)found.tokens, (long long)found.answer);
            }
            restart(f);
        }
    }
}

static void a_change_reaches_all_whose_terms_come_from_it_and_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct caller of_bob = make(f, (struct key_wish){.team = BOB, .user = SPAN("user_a")});
    struct caller of_alice = make(f, (struct key_wish){.team = ALICE});
    struct caller planned = make(f, (struct key_wish){.team = ALICE, .plan = SPAN("plan_a")});
    const struct held none = {0, 0, 0, 0};
    uint64_t revision = access_revision(f->a);
    limit(f, SPAN("plan_a"), (struct store_limit){.requests_per_minute = 7});
    assert_true(access_revision(f->a) > revision);                 /* open streams look again */
    expect_at(f, &of_bob, LIMITS_TEAM, (struct held){7, 7, 0, 0}); /* bob's plan */
    expect_at(f, &of_bob, LIMITS_KEY, none);
    expect_at(f, &planned, LIMITS_KEY, (struct held){7, 7, 0, 0});
    expect_at(f, &of_alice, LIMITS_TEAM, none);
    limit(f, SPAN("team_bob0000000/user"), (struct store_limit){.requests_per_minute = 3});
    expect_at(f, &of_bob, LIMITS_USER, (struct held){3, 3, 0, 0});
    limit(f, SPAN("team_bob0000000/key"), (struct store_limit){.tokens_per_minute = 9});
    expect_at(f, &of_bob, LIMITS_KEY, (struct held){0, 0, 9, 0});
    expect_at(f, &of_alice, LIMITS_KEY, none);
    limit(f, SPAN("plan_a"), (struct store_limit){0});
    expect_at(f, &planned, LIMITS_KEY, none);
    expect_at(f, &of_bob, LIMITS_TEAM, none);
}

static void
a_team_that_changes_its_plan_and_a_key_that_changes_its_own_have_it_at_once(void **state)
{
    struct fixture *f = *state;
    struct store_team bob = {.id = BOB};
    struct store_key row;
    struct caller key = make(f, (struct key_wish){.team = BOB});
    limit(f, SPAN("plan_a"), (struct store_limit){.requests_per_minute = 7});
    assert_int_equal(store_change_get(f->store, STORE_TABLE_TEAM, &bob), ERR_OK);
    bob.plan = SPAN("");
    change(f, STORE_TABLE_TEAM, &bob, "team.change");
    expect_at(f, &key, LIMITS_TEAM, (struct held){0, 0, 0, 0});
    const struct key_change planned = {.has_plan = true, .plan = SPAN("plan_a"), .actor = BY};
    assert_int_equal(keys_change(f->keys, f->store, span_of(key.id), &planned, NOW, &row), ERR_OK);
    expect_at(f, &key, LIMITS_KEY, (struct held){7, 7, 0, 0});
    restart(f);
    expect_at(f, &key, LIMITS_KEY, (struct held){7, 7, 0, 0});
    expect_at(f, &key, LIMITS_TEAM, (struct held){0, 0, 0, 0});
}

/* Spends so much at all levels of a caller; whether there was room. */
static bool spend(struct fixture *f, const struct caller *of, int64_t nano)
{
    struct limits_subjects who = who_is(f, of);
    struct limits_hold hold = {.parts = calloc(32, limits_part_bytes()), .room = 32};
    const struct limits_times now = {LATER, NOW};
    struct limits_ask ask = {.tokens = nano, .nano = nano, .currency = "USD", .model = SPAN("m")};
    struct limits_refusal why;
    bool taken = limits_reserve(access_limits(f->a), &who, &ask, &hold, &now, &why) == LIMITS_TAKEN;
    limits_settle(&hold, nano, nano, LATER);
    free(hold.parts);
    return taken;
}

static int64_t spent(struct fixture *f, const char *id)
{
    struct limits_balance balance;
    return access_balance(f->a, span_of(id), NOW, &balance) ? balance.spent : -1;
}

static void budgets_of_one_s_own_and_of_the_template_count_both(void **state)
{
    struct fixture *f = *state;
    struct caller first = make(f, (struct key_wish){.team = BOB});
    struct caller second = make(f, (struct key_wish){.team = BOB});
    char of_first[64], of_second[64];
    (void)snprintf(of_first, sizeof(of_first), "budget_each00000000/%s", first.id);
    (void)snprintf(of_second, sizeof(of_second), "budget_each00000000/%s", second.id);
    put_budget(f, budget("budget_bob000000000", BOB, 100));
    put_budget(f, budget("budget_each00000000", SPAN("team_bob0000000/key"), 60));
    assert_int_equal(access_count_budgets(f->a, BOB), 1);
    assert_int_equal(access_count_budgets(f->a, SPAN("team_bob0000000/key")), 1);
    assert_true(spend(f, &first, 50));
    assert_false(spend(f, &first, 20)); /* of its own 60 */
    assert_true(spend(f, &second, 45));
    assert_false(spend(f, &second, 10)); /* of all 100 */
    assert_int_equal(spent(f, of_first), 50);
    assert_int_equal(spent(f, of_second), 45);
    assert_int_equal(spent(f, "budget_bob000000000"), 95);
    assert_int_equal(spent(f, "budget_nobody000000"), -1);
}

static void another_amount_keeps_what_was_spent_and_an_end_ends_it(void **state)
{
    struct fixture *f = *state;
    struct caller key = make(f, (struct key_wish){.team = BOB});
    struct store_budget row = budget("budget_bob000000000", BOB, 100);
    put_budget(f, row);
    assert_true(spend(f, &key, 100));
    assert_false(spend(f, &key, 1));
    row.amount = 150;
    put_budget(f, row);
    assert_int_equal(spent(f, "budget_bob000000000"), 100);
    assert_true(spend(f, &key, 50));
    row.amount = 10;
    put_budget(f, row);
    assert_false(spend(f, &key, 1));
    assert_int_equal(spent(f, "budget_bob000000000"), 150);
    row.ended = NOW;
    put_budget(f, row);
    assert_true(spend(f, &key, 1000));
    assert_int_equal(spent(f, "budget_bob000000000"), -1);
    assert_int_equal(access_count_budgets(f->a, BOB), 0);
    restart(f);
    assert_int_equal(spent(f, "budget_bob000000000"), -1);
}

static void add_balance(struct fixture *f, const char *budget, wall_us begins, int64_t amount)
{
    struct store_balance row = {.budget = span_of(budget), .begins = begins, .spent = amount};
    assert_int_equal(store_begin(f->store, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_row_add(f->store, STORE_TABLE_BALANCE, &row), ERR_OK);
    assert_int_equal(store_commit(f->store), ERR_OK);
}

static void a_start_knows_what_was_spent_of_the_windows_that_go_on(void **state)
{
    struct fixture *f = *state;
    struct caller key = make(f, (struct key_wish){.team = BOB});
    char each[64], day[64];
    struct limits_balance balance;
    struct store_budget total = budget("budget_total0000000", BOB, 1000);
    total.window = LIMITS_TOTAL;
    put_budget(f, total);
    put_budget(f, budget("budget_day000000000", BOB, 100));
    put_budget(f, budget("budget_each00000000", SPAN("team_bob0000000/key"), 60));
    limit(f, span_of(key.id), (struct store_limit){.tokens_per_day = 500});
    (void)snprintf(each, sizeof(each), "each00000000/%s", key.id);
    (void)snprintf(day, sizeof(day), "day/%s", key.id);
    restart(f);
    wall_us today = {clock_wall().us / INT64_C(86400000000) * INT64_C(86400000000)};
    wall_us yesterday = {today.us - INT64_C(86400000000)};
    add_balance(f, "total0000000", (wall_us){0}, 70);
    add_balance(f, "total0000000", (wall_us){0}, 7);
    add_balance(f, "day000000000", yesterday, 99); /* over */
    add_balance(f, "day000000000", today, 40);
    add_balance(f, each, today, 12);
    add_balance(f, day, today, 130);
    add_balance(f, "nobody000000", today, 5); /* ended long ago */
    add_balance(f, "day/nobody00", today, 5);
    restart(f);
    static const int64_t expected[] = {77, 40, 12, 130};
    const char *ids[] = {"budget_total0000000", "budget_day000000000", each, day};
    for (size_t i = 0; i < ROWS(ids); i++) {
        assert_true(access_balance(f->a, span_of(ids[i]), clock_wall(), &balance));
        assert_int_equal(balance.spent, expected[i]);
        assert_int_equal(balance.held, 0);
    }
}

static void who_has_ended_is_told_apart(void **state)
{
    struct fixture *f = *state;
    struct caller key = make(f, (struct key_wish){.team = BOB, .user = SPAN("user_a")});
    struct key_handle handle = check(f, &key);
    struct limits_subjects who;
    struct store_user user = {.id = SPAN("user_a")};
    struct store_team bob = {.id = BOB};
    struct store_organisation org = {.id = SPAN("org_a")};
    assert_int_equal(access_look(f->a, &handle, NOW, &who), ERR_OK);
    assert_int_equal(store_change_get(f->store, STORE_TABLE_USER, &user), ERR_OK);
    user.ended = NOW;
    change(f, STORE_TABLE_USER, &user, "user.end");
    assert_int_equal(access_look(f->a, &handle, NOW, &who), ERR_USER_ENDED);
    assert_int_equal(store_change_get(f->store, STORE_TABLE_TEAM, &bob), ERR_OK);
    bob.expires = (wall_us){NOW.us + 10};
    change(f, STORE_TABLE_TEAM, &bob, "team.change");
    assert_int_equal(access_look(f->a, &handle, NOW, &who), ERR_USER_ENDED);
    assert_int_equal(access_look(f->a, &handle, (wall_us){NOW.us + 10}, &who), ERR_TEAM_ENDED);
    struct caller other = make(f, (struct key_wish){.team = ALICE});
    handle = check(f, &other);
    assert_int_equal(access_look(f->a, &handle, NOW, &who), ERR_OK);
    assert_int_equal(store_change_get(f->store, STORE_TABLE_ORGANISATION, &org), ERR_OK);
    org.ended = NOW;
    change(f, STORE_TABLE_ORGANISATION, &org, "organisation.end");
    assert_int_equal(access_look(f->a, &handle, NOW, &who), ERR_TEAM_ENDED);
}

static void a_key_without_a_team_is_of_nobody(void **state)
{
    struct fixture *f = *state;
    struct caller key = make(f, (struct key_wish){.plan = SPAN("plan_a")});
    struct limits_subjects who = who_is(f, &key);
    for (int level = LIMITS_USER; level < LIMITS_LEVELS; level++) {
        assert_int_equal(who.slot[level], LIMITS_NOBODY);
        assert_int_equal(access_id(f->a, (enum limits_level)level, who.slot[level]).len, 0);
    }
    limit(f, SPAN("plan_a"), (struct store_limit){.requests_per_minute = 2});
    expect_at(f, &key, LIMITS_KEY, (struct held){2, 2, 0, 0});
}

static void ids_and_names_are_those_of_the_rows(void **state)
{
    struct fixture *f = *state;
    struct caller key = make(f, (struct key_wish){.team = BOB, .user = SPAN("user_a")});
    struct limits_subjects who = who_is(f, &key);
    static const struct {
        enum limits_level level;
        const char *id, *name;
    } rows[] = {{LIMITS_USER, "user_a", "ali"},
                {LIMITS_TEAM, "team_bob0000000", "bob"},
                {LIMITS_ORGANISATION, "org_a", "ministry"}};
    for (size_t r = 0; r < ROWS(rows); r++) {
        assert_true(span_is(access_id(f->a, rows[r].level, who.slot[rows[r].level]), rows[r].id));
        assert_true(
            span_is(access_name(f->a, rows[r].level, who.slot[rows[r].level]), rows[r].name));
    }
    assert_true(span_is(access_name(f->a, LIMITS_KEY, who.slot[LIMITS_KEY]), key.id));
}

static void a_model_must_be_the_key_s_and_the_team_s(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *of_key, *asked, *name;
        bool of_bob, expect;
    } rows[] = {
        {"", "small", "small", true, true},       {"", "other", "other", true, false},
        {"", "other", "other", false, true},      {"small", "small", "small", true, true},
        {"small", "large", "large", true, false}, {"other", "other", "other", true, false},
        {"other", "other", "other", false, true}, {"", "alias", "large", true, true},
        {"alias", "alias", "large", false, true}, {"large", "alias", "large", true, true},
        {"small", "smal", "smal", true, false},   {"small", "small\nlarge", "x", true, false},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct caller key = make(f, (struct key_wish){.team = rows[r].of_bob ? BOB : ALICE,
                                                      .grant.models = span_of(rows[r].of_key)});
        struct key_handle handle = check(f, &key);
        struct limits_subjects who = who_is(f, &key);
        if (access_permits(f->a, &handle, &who, span_of(rows[r].asked), span_of(rows[r].name)) !=
            rows[r].expect) {
            fail_msg("key '%s', %s: '%s' as '%s'", rows[r].of_key, rows[r].of_bob ? "bob" : "alice",
                     rows[r].name, rows[r].asked);
        }
    }
}

static void a_zone_that_is_not_known_counts_in_utc_and_is_told(void **state)
{
    struct fixture *f = *state;
    struct access_report report;
    struct limits_balance balance;
    struct store_budget row = budget("budget_far000000000", BOB, 100);
    row.zone = SPAN("Asia/Atlantis");
    put_budget(f, row);
    assert_true(access_balance(f->a, row.id, NOW, &balance));
    assert_int_equal(balance.range.from.us, MIDNIGHT.us);
    close_all(f);
    assert_int_equal(access_open(NULL, &f->a), ERR_OK);
    assert_int_equal(access_load(f->a, f->store, &report), ERR_OK);
    assert_int_equal(report.zones, 1);
    assert_int_equal(report.damaged, 0);
}

/* ---- evaluations ---- */

static void put_team(struct fixture *f, const char *id, struct span trial, wall_us expires)
{
    struct store_team row = {.id = span_of(id),
                             .name = span_of(id),
                             .organisation = SPAN("org_a"),
                             .trial = trial,
                             .expires = expires};
    change(f, STORE_TABLE_TEAM, &row, "team.create");
}

static wall_us ended(struct fixture *f, const char *id)
{
    struct store_team row = {.id = span_of(id)};
    assert_int_equal(store_change_get(f->store, STORE_TABLE_TEAM, &row), ERR_OK);
    return row.ended;
}

/* Looks at all teams, as the gateway does; how many looks that took. */
static size_t look_at_all(struct fixture *f, wall_us now)
{
    uint32_t from = 0;
    size_t looks = 0;
    do {
        assert_int_equal(access_end_over(f->a, f->store, now, &from), ERR_OK);
        looks++;
    } while (from != 0);
    return looks;
}

static void evaluations_that_are_over_are_ended_once_with_their_keys(void **state)
{
    struct fixture *f = *state;
    const wall_us soon = {NOW.us + 1000000}, later = {NOW.us + 2000000};
    put_team(f, "team_one", SPAN("NeverMade000"), soon); /* killed before its key was made */
    put_team(f, "team_two", SPAN(""), soon);             /* a team that ends, and no evaluation */
    put_team(f, "team_far", SPAN("NeverMade001"), (wall_us){NOW.us + 9000000});
    struct caller first = make(f, (struct key_wish){.team = SPAN("team_one")});
    struct caller second = make(f, (struct key_wish){.team = SPAN("team_one")});
    struct caller other = make(f, (struct key_wish){.team = SPAN("team_far")});
    assert_int_equal(look_at_all(f, NOW), 1);
    assert_int_equal(ended(f, "team_one").us, 0);
    assert_in_range(look_at_all(f, later), 1, 2); /* one a look */
    assert_int_equal(ended(f, "team_one").us, later.us);
    assert_int_equal(ended(f, "team_two").us, 0);
    assert_int_equal(ended(f, "team_far").us, 0);
    assert_int_not_equal(keys_revoked(f->keys, span_of(first.id)).us, 0);
    assert_int_not_equal(keys_revoked(f->keys, span_of(second.id)).us, 0);
    assert_int_equal(keys_revoked(f->keys, span_of(other.id)).us, 0);
    assert_int_equal(look_at_all(f, (wall_us){later.us + 1000000}), 1);
    assert_int_equal(ended(f, "team_one").us, later.us); /* it keeps its time */
    restart(f);
    assert_int_equal(look_at_all(f, (wall_us){later.us + 1000000}), 1);
    assert_int_equal(ended(f, "team_one").us, later.us);
}

int main(void)
{
#define WITH(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        WITH(what_one_says_goes_before_the_plan_and_that_before_the_team_s_template),
        WITH(a_change_reaches_all_whose_terms_come_from_it_and_nobody_else),
        WITH(a_team_that_changes_its_plan_and_a_key_that_changes_its_own_have_it_at_once),
        WITH(budgets_of_one_s_own_and_of_the_template_count_both),
        WITH(another_amount_keeps_what_was_spent_and_an_end_ends_it),
        WITH(a_start_knows_what_was_spent_of_the_windows_that_go_on),
        WITH(who_has_ended_is_told_apart),
        WITH(a_key_without_a_team_is_of_nobody),
        WITH(ids_and_names_are_those_of_the_rows),
        WITH(a_model_must_be_the_key_s_and_the_team_s),
        WITH(a_zone_that_is_not_known_counts_in_utc_and_is_told),
        WITH(evaluations_that_are_over_are_ended_once_with_their_keys),
    };
    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
