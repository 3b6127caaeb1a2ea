/* SPDX-License-Identifier: Apache-2.0 */
/* test_limits_window.c — spent and held together never pass the limit, whatever time and threads
 * do. */
#include "unit.h"

#include <pthread.h>

#include "limits/limits_window.h"

#define DAY (INT64_C(86400) * 1000000)

static struct limits_zone *utc;

static int open_zone(void **state)
{
    (void)state;
    return limits_zone_open("UTC", &utc) == ERR_OK ? 0 : 1;
}

static int close_zone(void **state)
{
    (void)state;
    limits_zone_close(&utc);
    return 0;
}

static wall_us day(int64_t number)
{
    return (wall_us){number * DAY + 3600};
}

static struct limits_balance look(struct limits_windows *w, int64_t number)
{
    struct limits_balance balance;
    limits_windows_look(w, day(number), &balance);
    return balance;
}

static void what_is_taken_is_held_and_what_is_used_is_spent(void **state)
{
    (void)state;
    struct limits_windows w;
    struct limits_share a, b, c = {0};
    limits_windows_init(&w, utc, LIMITS_DAY, 1, day(10));
    assert_true(limits_windows_take(&w, 100, 60, day(10), &a));
    assert_false(limits_windows_take(&w, 100, 41, day(10), &c));
    assert_true(limits_windows_take(&w, 100, 40, day(10), &b));
    assert_int_equal(look(&w, 10).held, 100);
    (void)limits_share_settle(&a, 100, 15);
    assert_int_equal(look(&w, 10).spent, 15);
    assert_int_equal(look(&w, 10).held, 40);
    assert_true(limits_windows_take(&w, 100, 45, day(10), &a));
    (void)limits_share_settle(&a, 100, 0);
    (void)limits_share_settle(&a, 100, 7); /* once is enough */
    (void)limits_share_settle(&b, 100, 40);
    assert_int_equal(look(&w, 10).spent, 55);
    assert_int_equal(look(&w, 10).held, 0);
    assert_int_equal(look(&w, 10).range.from.us, 10 * DAY);
    assert_int_equal(look(&w, 10).range.to.us, 11 * DAY);
}

static void what_is_used_beyond_a_share_is_spent_as_far_as_the_limit_goes(void **state)
{
    (void)state;
    struct limits_windows w;
    struct limits_share a;
    limits_windows_init(&w, utc, LIMITS_DAY, 1, day(10));
    assert_true(limits_windows_take(&w, 100, 60, day(10), &a));
    (void)limits_share_settle(&a, 100, 80);
    assert_int_equal(look(&w, 10).spent, 80);
    assert_true(limits_windows_take(&w, 100, 10, day(10), &a));
    (void)limits_share_settle(&a, 100, 50);
    assert_int_equal(look(&w, 10).spent, 100);
    assert_int_equal(look(&w, 10).beyond, 30);
    assert_int_equal(look(&w, 10).held, 0);
}

static void a_limit_that_was_lowered_lets_nothing_more_through(void **state)
{
    (void)state;
    struct limits_windows w;
    struct limits_share a, b = {0};
    limits_windows_init(&w, utc, LIMITS_DAY, 1, day(10));
    assert_true(limits_windows_take(&w, 100, 60, day(10), &a));
    assert_false(limits_windows_take(&w, 50, 1, day(10), &b));
    assert_true(limits_windows_take(&w, 60, 0, day(10), &b));
    (void)limits_share_settle(&b, 50, 5);
    assert_int_equal(look(&w, 10).beyond, 5);
    (void)limits_share_settle(&a, 50, 60);
    assert_int_equal(look(&w, 10).spent, 60);
}

static void a_settlement_goes_to_the_window_that_was_taken_from(void **state)
{
    (void)state;
    struct limits_windows w;
    struct limits_share a, b;
    limits_windows_init(&w, utc, LIMITS_DAY, 1, day(10));
    assert_true(limits_windows_take(&w, 100, 60, day(10), &a));
    assert_true(limits_windows_take(&w, 100, 100, day(11), &b));
    (void)limits_share_settle(&a, 100, 60);
    assert_int_equal(look(&w, 11).held, 100);
    assert_int_equal(look(&w, 11).spent, 0);
    assert_int_equal(look(&w, 10).spent, 60); /* the clock was set back: as it was left */
    (void)limits_share_settle(&b, 100, 1);
    assert_int_equal(look(&w, 11).spent, 1);
}

static void a_clock_that_is_set_back_opens_no_window_again(void **state)
{
    (void)state;
    struct limits_windows w;
    struct limits_share a;
    limits_windows_init(&w, utc, LIMITS_DAY, 1, day(10));
    assert_true(limits_windows_take(&w, 100, 100, day(10), &a));
    (void)limits_share_settle(&a, 100, 100);
    for (int64_t d = 11; d < 20; d++) {
        assert_true(limits_windows_take(&w, 100, d, day(d), &a));
        (void)limits_share_settle(&a, 100, d);
    }
    assert_int_equal(look(&w, 10).spent, 19); /* day 10 is forgotten: the newest goes on */
    assert_int_equal(look(&w, 17).spent, 17);
    assert_int_equal(look(&w, 19).spent, 19);
}

static void the_last_microsecond_is_the_old_window_s_and_the_next_the_new_one_s(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        enum limits_span span;
        int64_t edge_s;
    } rows[] = {
        {"UTC", LIMITS_DAY, 1795996800},            /* 2026-11-30 00:00 */
        {"Asia/Riyadh", LIMITS_MONTH, 1796072400},  /* 2026-12-01 00:00 +03 */
        {"Asia/Kolkata", LIMITS_MONTH, 1796063400}, /* 2026-12-01 00:00 +05:30 */
        {"Europe/London", LIMITS_WEEK,
         1774825200}, /* 2026-03-30 00:00 +01, a day after it changed */
        {"Australia/Lord_Howe", LIMITS_DAY, 1791118800}, /* 2026-10-05 00:00 +11, a day after */
        {"Asia/Riyadh", LIMITS_DAY, 1835384400},         /* 2028-02-29 00:00 +03 */
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct limits_windows w;
        struct limits_balance balance;
        struct limits_share a, b, c = {0};
        struct limits_zone *zone = NULL;
        const wall_us edge = {rows[r].edge_s * 1000000}, before = {edge.us - 1};
        assert_int_equal(limits_zone_open(rows[r].zone, &zone), ERR_OK);
        limits_windows_init(&w, zone, rows[r].span, 1, before);
        assert_true(limits_windows_take(&w, 100, 100, before, &a));
        assert_false(limits_windows_take(&w, 100, 1, before, &c));
        assert_true(limits_windows_take(&w, 100, 90, edge, &b));
        assert_false(limits_windows_take(&w, 100, 1, before, &c)); /* the clock was set back */
        (void)limits_share_settle(&a, 100, 100);
        (void)limits_share_settle(&b, 100, 80);
        limits_windows_look(&w, edge, &balance);
        assert_int_equal(balance.spent, 80);
        assert_int_equal(balance.range.from.us, edge.us);
        limits_windows_look(&w, before, &balance);
        assert_int_equal(balance.spent, 100);
        assert_int_equal(balance.range.to.us, edge.us);
        limits_zone_close(&zone);
    }
}

static void a_window_that_is_held_is_not_made_anew(void **state)
{
    (void)state;
    struct limits_windows w;
    struct limits_share held[LIMITS_WINDOWS], more;
    limits_windows_init(&w, utc, LIMITS_DAY, 1, day(10));
    for (int i = 0; i < LIMITS_WINDOWS; i++) {
        assert_true(limits_windows_take(&w, 100, 60, day(10 + i), &held[i]));
    }
    assert_false(limits_windows_take(&w, 100, 60, day(20), &more)); /* the last one goes on */
    assert_true(limits_windows_take(&w, 100, 40, day(20), &more));
    (void)limits_share_settle(&held[0], 100, 60);
    assert_int_equal(look(&w, 20).spent, 0); /* now there is room */
    assert_int_equal(look(&w, 20).held, 0);
    (void)limits_share_settle(&more, 100, 40);
    for (int i = 1; i < LIMITS_WINDOWS; i++) {
        (void)limits_share_settle(&held[i], 100, 60);
    }
    assert_int_equal(look(&w, 20).spent, 0);
}

static void what_the_store_knows_is_spent_already(void **state)
{
    (void)state;
    struct limits_windows w;
    struct limits_share a = {0};
    limits_windows_init(&w, utc, LIMITS_MONTH, 1, day(10));
    limits_windows_restore(&w, day(12), INT64_MAX, 90);
    limits_windows_restore(&w, day(40), INT64_MAX, 5); /* of another month */
    assert_false(limits_windows_take(&w, 100, 11, day(15), &a));
    assert_true(limits_windows_take(&w, 100, 10, day(15), &a));
    (void)limits_share_settle(&a, 100, 10);
    assert_int_equal(look(&w, 15).spent, 100);
}

/* ---- threads ---- */

#define LIMIT 1000

struct spender {
    struct limits_windows *w;
    _Atomic int64_t *clock;
    uint64_t random;
    int64_t used; /* of all windows */
};

static uint64_t draw(struct spender *s)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return s->random >> 33;
}

static void *spend(void *arg)
{
    struct spender *s = arg;
    for (int i = 0; i < 20000; i++) {
        struct limits_share share = {0};
        struct limits_balance now;
        wall_us at = {atomic_fetch_add(s->clock, (int64_t)(draw(s) % 3 == 0 ? DAY / 4000 : 0))};
        int64_t amount = (int64_t)(draw(s) % 200);
        if (limits_windows_take(s->w, LIMIT, amount, at, &share)) {
            int64_t used = (int64_t)(draw(s) % (uint64_t)(amount + 1));
            (void)limits_share_settle(&share, LIMIT, used);
            s->used += used;
        }
        limits_windows_look(s->w, at, &now);
        if (now.spent + now.held > LIMIT) {
            s->used = INT64_MIN; /* seen by the test */
            break;
        }
    }
    return NULL;
}

static void threads_at_once_never_pass_the_limit_over_a_window_s_edges(void **state)
{
    (void)state;
    struct limits_windows w;
    _Atomic int64_t clock = day(10).us;
    struct spender spenders[4];
    pthread_t threads[ROWS(spenders)];
    limits_windows_init(&w, utc, LIMITS_DAY, 1, day(10));
    for (size_t i = 0; i < ROWS(spenders); i++) {
        spenders[i] = (struct spender){&w, &clock, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, spend, &spenders[i]), 0);
    }
    for (size_t i = 0; i < ROWS(spenders); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(spenders[i].used >= 0);
    }
    assert_true(atomic_load(&clock) > day(14).us);
    for (int i = 0; i < LIMITS_WINDOWS; i++) {
        assert_int_equal(w.rooms[i].users, 0);
        assert_int_equal(w.rooms[i].taken, w.rooms[i].spent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken_is_held_and_what_is_used_is_spent),
        cmocka_unit_test(what_is_used_beyond_a_share_is_spent_as_far_as_the_limit_goes),
        cmocka_unit_test(a_limit_that_was_lowered_lets_nothing_more_through),
        cmocka_unit_test(a_settlement_goes_to_the_window_that_was_taken_from),
        cmocka_unit_test(a_clock_that_is_set_back_opens_no_window_again),
        cmocka_unit_test(the_last_microsecond_is_the_old_window_s_and_the_next_the_new_one_s),
        cmocka_unit_test(a_window_that_is_held_is_not_made_anew),
        cmocka_unit_test(what_the_store_knows_is_spent_already),
        cmocka_unit_test(threads_at_once_never_pass_the_limit_over_a_window_s_edges),
    };
    return cmocka_run_group_tests(tests, open_zone, close_zone);
}
