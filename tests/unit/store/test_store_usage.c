/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_usage.c — usage is listed as it was added, whatever is leapt over; old usage becomes
 * days, and not a call is lost or counted twice. */
#include "store_fixture.h"

#include "store/store_balance.h"

STORE_STARTS(NULL)

#define DAY   STORE_DAY_HOURS
#define TEAMS 7
#define KEYS  6
#define DAYS  5

static const char *const teams[TEAMS] = {"", "a", "b", "team_c", "team_d", "e", "z"};
static const char *const keys[KEYS] = {"", "k1", "k2", "k3", "k4", "k9"};
static const char *const models[] = {"m", "n", ""};

static struct store_usage a_row(unsigned i)
{
    return (struct store_usage){.team = span_of(teams[i % TEAMS]),
                                .key_id = span_of(keys[i / 7 % KEYS]),
                                .model = span_of(models[i / 3 % 3]),
                                .upstream = span_of(i % 5 == 0 ? "v" : "u"),
                                .route = SPAN("direct"),
                                .user = span_of(i % 11 == 0 ? "user_x" : ""),
                                .organisation = SPAN("org_o"),
                                .hour = (int32_t)(i * 37 % (DAYS * DAY)),
                                .calls = 1 + i % 3,
                                .failed = i % 2,
                                .requests = 1 + i % 4,
                                .tokens_in = 10 * (int64_t)i,
                                .cost_nano = i};
}

#define ROWS_ADDED 3000

static void fill(struct store *s)
{
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    for (unsigned i = 0; i < ROWS_ADDED; i++) {
        const struct store_usage row = a_row(i);
        assert_int_equal(store_usage_add(s, &row), ERR_OK);
    }
    assert_int_equal(store_commit(s), ERR_OK);
}

struct sums {
    size_t rows;
    int64_t calls, failed, requests, tokens_in, cost;
};

static void add(struct sums *to, const struct store_usage *row)
{
    to->rows++;
    to->calls += row->calls;
    to->failed += row->failed;
    to->requests += row->requests;
    to->tokens_in += row->tokens_in;
    to->cost += row->cost_nano;
}

static enum err on_usage(void *context, const struct store_usage *row)
{
    add(context, row);
    return ERR_OK;
}

static bool is_any_or(struct span wanted, struct span is)
{
    return wanted.len == 0 || span_equal(wanted, is);
}

/* What the rows that were added come to, without a store. */
static struct sums expected(const struct store_usage_filter *f)
{
    struct sums sums = {0};
    for (unsigned i = 0; i < ROWS_ADDED; i++) {
        const struct store_usage row = a_row(i);
        if (row.hour >= f->from && row.hour < f->to && is_any_or(f->team, row.team) &&
            is_any_or(f->key_id, row.key_id) && is_any_or(f->model, row.model) &&
            is_any_or(f->upstream, row.upstream) && is_any_or(f->user, row.user)) {
            add(&sums, &row);
        }
    }
    return sums;
}

static void check_list(struct store *s, const struct store_usage_filter *f)
{
    struct sums found = {0}, expect = expected(f);
    assert_int_equal(store_usage_list(s, f, on_usage, &found), ERR_OK);
    expect.rows = found.rows; /* how many were alike is not of interest */
    assert_memory_equal(&found, &expect, sizeof(found));
}

static void every_question_finds_just_its_rows(void **state)
{
    struct store *s = store_of(state);
    static const int32_t edges[] = {INT32_MIN, 0, 1, DAY, DAY + 5, 3 * DAY, DAYS * DAY, INT32_MAX};
    const size_t count = ROWS(edges);
    fill(s);
    for (unsigned i = 0; i < 4000; i++) {
        struct store_usage_filter f = {.from = edges[i % count], .to = edges[i / count % count]};
        f.team = i % 3 == 0 ? span_of(teams[i / 5 % TEAMS]) : f.team;
        f.key_id = i % 2 == 0 ? span_of(keys[i / 11 % KEYS]) : f.key_id;
        f.model = i % 7 == 0 ? SPAN("n") : f.model;
        f.upstream = i % 13 == 0 ? SPAN("v") : f.upstream;
        f.user = i % 17 == 0 ? SPAN("user_x") : f.user;
        check_list(s, &f);
    }
}

/* ---- old usage ---- */

static const struct store_usage_filter all = {.from = INT32_MIN, .to = INT32_MAX};

static enum err is_whole_day(void *context, const struct store_usage *row)
{
    int32_t before = *(const int32_t *)context;
    assert_true(row->hour >= before || store_day_hour(row->hour) == row->hour);
    return ERR_OK;
}

/* Runs steps until the pass is done; a step that is `lost` is that of a process that died behind
 * it: the next one knows nothing of the pass. Returns how many there were. */
static int keep(struct store *s, struct store_usage_keeper *k, int32_t days, int32_t gone, int lost)
{
    int steps = 0;
    do {
        if (steps == lost) {
            *k = (struct store_usage_keeper){.is_done = false};
        }
        assert_int_equal(store_usage_keep(s, k, days, gone), ERR_OK);
        steps++;
        assert_true(steps < 1000);
    } while (!k->is_done);
    return steps;
}

static void days_that_are_summed_up_keep_their_sums_wherever_a_pass_breaks_off(void **state)
{
    struct store *s = store_of(state);
    int32_t before = 3 * DAY;
    fill(s);
    for (int lost = 1; lost < 5; lost++) {
        struct store_usage_keeper k = {.is_done = false};
        assert_true(keep(s, &k, before, INT32_MIN, lost) > lost || lost > 1);
        assert_int_equal(store_usage_list(s, &all, is_whole_day, &before), ERR_OK);
    }
    for (int32_t day = 0; day < DAYS; day++) {
        for (unsigned i = 0; i < TEAMS * KEYS; i++) {
            const struct store_usage_filter f = {.from = day * DAY,
                                                 .to = (day + 1) * DAY,
                                                 .team = span_of(teams[i % TEAMS]),
                                                 .key_id = span_of(keys[i / TEAMS]),
                                                 .model = SPAN("n")};
            check_list(s, &f);
        }
    }
    const struct store_usage_filter hours = {.from = 3 * DAY + 7, .to = 3 * DAY + 9};
    check_list(s, &hours);
    int32_t days;
    assert_int_equal(store_usage_days(s, &days), ERR_OK);
    assert_int_equal(days, before);
}

static void a_pass_goes_on_where_the_one_before_ended(void **state)
{
    struct store *s = store_of(state);
    struct store_usage_keeper k = {.is_done = false};
    fill(s);
    for (int32_t day = 1; day <= DAYS; day++) {
        int32_t before = day * DAY;
        (void)keep(s, &k, before, INT32_MIN, -1);
        assert_int_equal(store_usage_list(s, &all, is_whole_day, &before), ERR_OK);
        check_list(s, &all);
    }
    assert_int_equal(keep(s, &k, DAYS * DAY, INT32_MIN, -1), 1); /* there is nothing to do */
    assert_int_equal(keep(s, &k, DAY, INT32_MIN, -1), 1);        /* a clock that was set back */
}

static void usage_is_forgotten_by_whole_days_when_its_time_is_over(void **state)
{
    struct store *s = store_of(state);
    struct store_usage_keeper k = {.is_done = false};
    struct sums found = {0};
    const struct store_usage_filter gone = {.from = INT32_MIN, .to = 2 * DAY};
    const struct store_usage_filter kept = {.from = 2 * DAY, .to = INT32_MAX};
    fill(s);
    (void)keep(s, &k, 4 * DAY, 2 * DAY, 1);
    assert_int_equal(store_usage_list(s, &gone, on_usage, &found), ERR_OK);
    assert_int_equal(found.rows, 0);
    check_list(s, &kept);
    (void)keep(s, &k, INT32_MIN, 5 * DAY, -1); /* hours are kept for ever, and all is too old */
    assert_int_equal(store_usage_list(s, &all, on_usage, &found), ERR_OK);
    assert_int_equal(found.rows, 0);
}

static void invented_names_are_summed_up_in_days_as_in_hours(void **state)
{
    struct store *s = store_of(state);
    struct store_usage_keeper k = {.is_done = false};
    struct sums found = {0};
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    for (int32_t i = 0; i < 2 * STORE_USAGE_NAMES_MAX; i++) {
        char model[16];
        (void)snprintf(model, sizeof(model), "m%d", i);
        const struct store_usage row = {.hour = 1 + i % 7, .model = span_of(model), .calls = 1};
        assert_int_equal(store_usage_add(s, &row), ERR_OK);
    }
    assert_int_equal(store_commit(s), ERR_OK);
    (void)keep(s, &k, DAY, INT32_MIN, -1);
    assert_int_equal(store_usage_list(s, &all, on_usage, &found), ERR_OK);
    assert_int_equal(found.calls, 2 * STORE_USAGE_NAMES_MAX);
    assert_int_equal(found.rows, STORE_USAGE_NAMES_MAX + 1);
}

static void balances_of_windows_that_are_long_over_are_forgotten(void **state)
{
    struct store *s = store_of(state);
    const wall_us before = {1000000};
    uint64_t count;
    bool is_done = false;
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    for (int i = 0; i < 600; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "b%d", i);
        struct store_balance row = {.budget = span_of(id), .begins = {i * 2000}, .spent = i};
        assert_int_equal(store_row_add(s, STORE_TABLE_BALANCE, &row), ERR_OK);
    }
    assert_int_equal(store_commit(s), ERR_OK);
    while (!is_done) {
        assert_int_equal(store_balance_forget(s, before, &is_done), ERR_OK);
    }
    assert_int_equal(store_balance_count(s, &count), ERR_OK);
    assert_int_equal(count, 101); /* the one that never ends, and those from there on */
    struct store_balance total = {.budget = SPAN("b0"), .begins = {0}};
    assert_int_equal(store_balance_get(s, &total), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(every_question_finds_just_its_rows),
        ON_BOTH(days_that_are_summed_up_keep_their_sums_wherever_a_pass_breaks_off),
        ON_BOTH(a_pass_goes_on_where_the_one_before_ended),
        ON_BOTH(usage_is_forgotten_by_whole_days_when_its_time_is_over),
        ON_BOTH(invented_names_are_summed_up_in_days_as_in_hours),
        ON_BOTH(balances_of_windows_that_are_long_over_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
