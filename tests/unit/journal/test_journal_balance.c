/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal_balance.c — what records say was used stands in the balance of each window they
 * name, to the billionth. */
#include "unit.h"

#include <stdio.h>

#include "journal/journal_balance.h"
#include "limits/limits.h"
#include "store/store_tables.h"

#define ARENA_BYTES 65536

struct fixture {
    struct store *store;
    struct arena arena;
    struct journal_balances b;
};

static int start(void **state)
{
    static struct fixture f;
    const struct store_settings settings = {.driver = "memory"};
    memset(&f, 0, sizeof(f));
    assert_int_equal(store_open(&settings, &f.store), ERR_OK);
    arena_init(&f.arena, ARENA_BYTES);
    journal_balances_init(&f.b);
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    journal_balances_fini(&f->b);
    arena_fini(&f->arena);
    store_close(&f->store);
    return 0;
}

static void add(struct fixture *f, const char *windows, int64_t tokens, int64_t nano)
{
    struct journal_record r = {
        .kind = JOURNAL_COMPLETION, .tokens_in = tokens / 2, .tokens_out = tokens - tokens / 2};
    r.cost_nano = nano;
    journal_record_set(&r, JOURNAL_TEXT_BUDGETS, span_of(windows));
    assert_int_equal(journal_balances_add(&f->b, &f->arena, &r), ERR_OK);
}

static void apply(struct fixture *f)
{
    assert_int_equal(store_begin(f->store, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(journal_balances_apply(&f->b, f->store), ERR_OK);
    assert_int_equal(store_commit(f->store), ERR_OK);
}

static int64_t spent(struct fixture *f, const char *budget, int64_t begins_s)
{
    struct store_balance row = {.budget = span_of(budget), .begins = {begins_s * 1000000}};
    enum err e = store_balance_get(f->store, &row);
    assert_true(e == ERR_OK || e == ERR_NOT_FOUND_ROW);
    return e == ERR_OK ? row.spent : -1;
}

static void money_and_tokens_are_added_to_the_windows_that_are_named(void **state)
{
    struct fixture *f = *state;
    add(f, "aaa$1795996800 day/k#1795996800 bbb/k$0", 11, 7);
    add(f, "aaa$1795996800", 5, 9000000001);
    add(f, "aaa$1796083200 day/k#1795996800", 4, 2); /* the next day's; the day before's */
    add(f, "", 1000, 1000);
    apply(f);
    assert_int_equal(spent(f, "aaa", 1795996800), 9000000008);
    assert_int_equal(spent(f, "aaa", 1796083200), 2);
    assert_int_equal(spent(f, "day/k", 1795996800), 15);
    assert_int_equal(spent(f, "bbb/k", 0), 7);
    apply(f); /* a batch is added to what is there */
    assert_int_equal(spent(f, "aaa", 1796083200), 4);
}

static void what_costs_nothing_makes_no_row(void **state)
{
    struct fixture *f = *state;
    add(f, "aaa$0 day/k#0", 0, 0);
    add(f, "bbb$0 day/l#0", 3, 0);
    apply(f);
    assert_int_equal(spent(f, "aaa", 0), -1);
    assert_int_equal(spent(f, "day/k", 0), -1);
    assert_int_equal(spent(f, "bbb", 0), -1);
    assert_int_equal(spent(f, "day/l", 0), 3);
}

static void what_is_no_window_is_passed_over_and_the_others_count(void **state)
{
    struct fixture *f = *state;
    static const char *const odd[] = {
        "aaa",    "aaa$",
        "$0",     "aaa$-5",
        "aaa$1x", "aaa$999999999999",
        "aaa ",   " aaa$1",
        "aaa#$1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa$1",
    };
    for (size_t i = 0; i < ROWS(odd); i++) {
        char windows[128];
        (void)snprintf(windows, sizeof(windows), "%s good$5", odd[i]);
        add(f, windows, 1, 1);
    }
    apply(f);
    assert_int_equal(spent(f, "good", 5), ROWS(odd));
}

static void a_sum_that_would_pass_the_largest_number_stays_there(void **state)
{
    struct fixture *f = *state;
    add(f, "aaa$0", 0, INT64_MAX - 5);
    add(f, "aaa$0", 0, 50);
    apply(f);
    assert_int_equal(spent(f, "aaa", 0), INT64_MAX);
}

/* As many as limits_hold_names() writes. */
static void every_window_that_a_call_names_is_counted(void **state)
{
    struct fixture *f = *state;
    char windows[LIMITS_NAMES_MAX] = "", id[32];
    assert_int_equal(JOURNAL_BUDGETS_MAX, LIMITS_NAMED_MAX);
    for (int i = 0; i < LIMITS_NAMED_MAX; i++) {
        size_t len = strlen(windows);
        (void)snprintf(windows + len, sizeof(windows) - len, "%sbudget%06d$1795996800",
                       i > 0 ? " " : "", i);
    }
    add(f, windows, 1, 5);
    apply(f);
    for (int i = 0; i < LIMITS_NAMED_MAX; i++) {
        (void)snprintf(id, sizeof(id), "budget%06d", i);
        assert_int_equal(spent(f, id, 1795996800), 5);
    }
}

int main(void)
{
#define WITH(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        WITH(money_and_tokens_are_added_to_the_windows_that_are_named),
        WITH(what_costs_nothing_makes_no_row),
        WITH(what_is_no_window_is_passed_over_and_the_others_count),
        WITH(a_sum_that_would_pass_the_largest_number_stays_there),
        WITH(every_window_that_a_call_names_is_counted),
    };
    return cmocka_run_group_tests_name("journal_balance", tests, NULL, NULL);
}
