/* SPDX-License-Identifier: Apache-2.0 */
/* test_limits_gate.c — addresses that ask and fail: exact for each, bounded for all of them. */
#include "unit.h"

#include <pthread.h>

#include "limits/limits_gate.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

static mono_us at(int64_t us)
{
    return (mono_us){INT64_C(5000000000) + us};
}

static uint64_t source_of(const char *bytes)
{
    uint8_t address[16];
    memcpy(address, bytes, sizeof(address));
    return limits_source_of(address);
}

static void an_ipv4_address_is_a_source_and_of_ipv6_a_network_of_64_bits(void **state)
{
    (void)state;
    uint64_t four = source_of("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x07");
    assert_int_equal(four, 0xffffc0000207);
    assert_int_not_equal(four, source_of("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x08"));
    uint64_t six = source_of("\x20\x01\x0d\xb8\0\0\0\x01\0\0\0\0\0\0\0\x01");
    assert_int_equal(six, source_of("\x20\x01\x0d\xb8\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff"));
    assert_int_not_equal(six, source_of("\x20\x01\x0d\xb8\0\0\0\x02\0\0\0\0\0\0\0\x01"));
    assert_int_not_equal(source_of("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"), 0);
    assert_int_not_equal(source_of("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 0);
}

static void each_source_has_its_own_rate(void **state)
{
    (void)state;
    struct limits_sources *s;
    struct limits_standing out;
    struct limits_pace pace = limits_pace_of(60, 3);
    assert_int_equal(limits_sources_open(1024, &s), ERR_OK);
    for (uint64_t source = 1; source <= 100; source++) {
        for (int i = 0; i < 3; i++) {
            assert_true(limits_sources_take(s, source, pace, at(0), &out));
            assert_int_equal(out.remaining, 2 - i);
        }
    }
    for (uint64_t source = 1; source <= 100; source++) {
        assert_false(limits_sources_take(s, source, pace, at(0), &out));
        assert_int_equal(out.one_more_us, SECOND);
        assert_false(limits_sources_take(s, source, pace, at(SECOND - 1), &out));
        assert_true(limits_sources_take(s, source, pace, at(SECOND), &out));
        assert_false(limits_sources_take(s, source, pace, at(SECOND), &out));
    }
    limits_sources_close(&s);
    limits_sources_close(&s);
}

/* One set: its sources have their rates, and all others one rate together, until some is whole. */
static void a_full_set_neither_opens_nor_shuts_the_gate(void **state)
{
    (void)state;
    struct limits_sources *s;
    struct limits_standing out;
    struct limits_pace pace = limits_pace_of(60, 10);
    assert_int_equal(limits_sources_open(1, &s), ERR_OK);
    for (uint64_t source = 1; source <= LIMITS_SOURCES_WAYS; source++) {
        assert_true(limits_sources_take(s, source, pace, at(0), &out));
    }
    int through = 0;
    for (uint64_t source = 1000; source < 2000; source++) {
        through += limits_sources_take(s, source, pace, at(0), &out);
    }
    assert_int_equal(through, 10);
    for (uint64_t source = 1; source <= LIMITS_SOURCES_WAYS; source++) {
        for (int i = 0; i < 9; i++) { /* the crowd took nothing of theirs */
            assert_true(limits_sources_take(s, source, pace, at(0), &out));
        }
        assert_false(limits_sources_take(s, source, pace, at(0), &out));
    }
    assert_true(limits_sources_take(s, 3000, pace, at(10 * SECOND), &out)); /* all are whole */
    assert_int_equal(out.remaining, 9);
    assert_true(limits_sources_take(s, 3000, pace, at(10 * SECOND), &out));
    assert_int_equal(out.remaining, 8);
    limits_sources_close(&s);
}

static void an_entry_is_given_on_when_all_of_it_is_back_and_not_before(void **state)
{
    (void)state;
    struct limits_sources *s;
    struct limits_standing out;
    struct limits_pace pace = limits_pace_of(60, 2);
    assert_int_equal(limits_sources_open(1, &s), ERR_OK);
    for (uint64_t source = 1; source <= LIMITS_SOURCES_WAYS; source++) {
        assert_true(limits_sources_take(s, source, pace, at(0), &out));
        assert_true(limits_sources_take(s, source, pace, at(0), &out));
    }
    int64_t before = 2 * SECOND - 1;
    assert_true(limits_sources_take(s, 100, pace, at(before), &out)); /* the shared one */
    assert_true(limits_sources_take(s, 101, pace, at(before), &out));
    assert_false(limits_sources_take(s, 102, pace, at(before), &out));
    for (uint64_t source = 1; source <= LIMITS_SOURCES_WAYS; source++) {
        assert_true(limits_sources_take(s, source, pace, at(before), &out));
        assert_false(limits_sources_take(s, source, pace, at(before), &out));
    }
    limits_sources_close(&s);
}

/* ---- several threads ---- */

#define THREADS 4
#define ROUNDS  20000

struct crowd {
    struct limits_sources *s;
    struct limits_pace pace;
    _Atomic int64_t through[64]; /* of each source */
    atomic_uint ready;
};

static void *ask(void *arg)
{
    struct crowd *c = arg;
    struct limits_standing out;
    (void)atomic_fetch_add(&c->ready, 1); /* the old count is of no use */
    while (atomic_load(&c->ready) < THREADS) {
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned source = i * 7 % 64;
        if (limits_sources_take(c->s, source + 1, c->pace, at(0), &out)) {
            (void)atomic_fetch_add(&c->through[source], 1); /* the old count is of no use */
        }
    }
    return NULL;
}

static void run_crowd(struct crowd *c, void *(*run)(void *))
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run, c), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

static void never_one_more_is_let_through_whoever_asks_at_once(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        static struct crowd c;
        memset(&c, 0, sizeof(c));
        c.pace = limits_pace_of(60, 50);
        assert_int_equal(limits_sources_open(4096, &c.s), ERR_OK);
        run_crowd(&c, ask);
        for (int i = 0; i < 64; i++) {
            assert_int_equal(c.through[i], 50);
        }
        limits_sources_close(&c.s);
    }
}

/* Entries change hands all the time: a minute's pace, an instant's burst, 64 sources for 7 places,
 * and a clock that only goes on. What is let through is in no stretch of time more than allowed. */
static _Atomic int64_t clock_us;

static void *ask_in_time(void *arg)
{
    struct crowd *c = arg;
    struct limits_standing out;
    (void)atomic_fetch_add(&c->ready, 1); /* the old count is of no use */
    while (atomic_load(&c->ready) < THREADS) {
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t now = atomic_fetch_add(&clock_us, 10);
        if (limits_sources_take(c->s, i % 8 + 1, c->pace, at(now), &out)) {
            (void)atomic_fetch_add(&c->through[i % 8], 1); /* the old count is of no use */
        }
    }
    return NULL;
}

static void entries_that_change_hands_let_no_more_through(void **state)
{
    (void)state;
    static struct crowd c;
    memset(&c, 0, sizeof(c));
    atomic_store(&clock_us, 0);
    c.pace = limits_pace_of(60000, 1); /* one a millisecond: whole again after it */
    assert_int_equal(limits_sources_open(1, &c.s), ERR_OK);
    run_crowd(&c, ask_in_time);
    int64_t all = 0, passed_ms = atomic_load(&clock_us) / 1000;
    for (int i = 0; i < 8; i++) {
        all += c.through[i];
    }
    /* Seven entries and the shared one, each one a millisecond and one at the start; two more for
     * who looks at the clock and asks later. */
    assert_in_range(all, passed_ms, 8 * (passed_ms + 3));
    for (int i = 0; i < 8; i++) { /* of its own, or the shared one's */
        assert_true(c.through[i] <= 2 * (passed_ms + 3));
    }
    limits_sources_close(&c.s);
}

/* ---- the gate ---- */

static struct limits_gate_terms terms_of(int64_t address, int64_t listener, int64_t guesses)
{
    struct limits_gate_terms terms = {.address = limits_gate_rate_of(address, 2),
                                      .guesses = limits_gate_rate_of(guesses, 0)};
    terms.listener[1] = limits_gate_rate_of(listener, 3);
    return terms;
}

static void an_address_and_its_listener_are_asked_both_and_none_pays_for_the_other(void **state)
{
    (void)state;
    struct limits_gate *g;
    struct limits_tightest out;
    struct limits_gate_terms terms = terms_of(60, 60, 0);
    assert_int_equal(limits_gate_open(&g), ERR_OK);
    assert_true(limits_gate_enter(g, &terms, 1, 7, at(0), &out));
    assert_int_equal(out.limit, 60);
    assert_int_equal(out.standing.remaining, 1); /* the address has less left than the listener */
    assert_true(limits_gate_enter(g, &terms, 1, 7, at(0), &out));
    for (int i = 0; i < 100; i++) { /* it takes nothing of the others' */
        assert_false(limits_gate_enter(g, &terms, 1, 7, at(0), &out));
        assert_int_equal(out.standing.one_more_us, SECOND);
    }
    assert_true(limits_gate_enter(g, &terms, 1, 8, at(0), &out));
    assert_int_equal(out.standing.remaining, 0); /* the listener */
    assert_false(limits_gate_enter(g, &terms, 1, 9, at(0), &out));
    assert_true(limits_gate_enter(g, &terms, 0, 9, at(0), &out)); /* another listener */
    assert_int_equal(out.standing.remaining, 1); /* the address was charged once, here */
    limits_gate_close(&g);
    limits_gate_close(&g);
}

static void without_terms_everybody_may(void **state)
{
    (void)state;
    struct limits_gate *g;
    struct limits_tightest out;
    struct limits_gate_terms none = terms_of(0, 0, 0);
    assert_int_equal(limits_gate_open(&g), ERR_OK);
    for (int i = 0; i < 1000; i++) {
        assert_true(limits_gate_enter(g, &none, 1, 7, at(0), &out));
        assert_int_equal(out.limit, 0);
        assert_true(limits_gate_guess(g, &none, 7, at(0), &out));
    }
    limits_gate_close(&g);
}

static void guesses_are_counted_for_each_address(void **state)
{
    (void)state;
    struct limits_gate *g;
    struct limits_tightest out;
    struct limits_gate_terms terms = terms_of(0, 0, 10);
    assert_int_equal(limits_gate_open(&g), ERR_OK);
    for (int i = 0; i < 10; i++) {
        assert_true(limits_gate_guess(g, &terms, 7, at(0), &out));
    }
    assert_false(limits_gate_guess(g, &terms, 7, at(0), &out));
    assert_int_equal(out.standing.one_more_us, 6 * SECOND);
    assert_true(limits_gate_guess(g, &terms, 8, at(0), &out));
    assert_true(limits_gate_guess(g, &terms, 7, at(6 * SECOND), &out));
    assert_false(limits_gate_guess(g, &terms, 7, at(6 * SECOND), &out));
    limits_gate_close(&g);
}

static void news_are_told_once_a_minute_of_each_who_makes_them(void **state)
{
    (void)state;
    struct limits_gate *g;
    struct span one = SPAN("192.0.2.7"), other = SPAN("192.0.2.8");
    assert_int_equal(limits_gate_open(&g), ERR_OK);
    assert_true(limits_gate_is_news(g, LIMITS_NEWS_GUESSING, one, at(0)));
    assert_false(limits_gate_is_news(g, LIMITS_NEWS_GUESSING, one, at(MINUTE - 1)));
    assert_true(limits_gate_is_news(g, LIMITS_NEWS_REVOKED, one, at(0)));
    assert_true(limits_gate_is_news(g, LIMITS_NEWS_GUESSING, other, at(0)));
    assert_true(limits_gate_is_news(g, LIMITS_NEWS_GUESSING, one, at(MINUTE)));
    int told = 0;
    for (uint32_t i = 0; i < 100000; i++) { /* whoever comes, the log stays small */
        told += limits_gate_is_news(g, LIMITS_NEWS_LIMITED, span_make(&i, sizeof(i)), at(0));
    }
    assert_in_range(told, 128, 128 * (LIMITS_SOURCES_WAYS + 1));
    limits_gate_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ipv4_address_is_a_source_and_of_ipv6_a_network_of_64_bits),
        cmocka_unit_test(each_source_has_its_own_rate),
        cmocka_unit_test(a_full_set_neither_opens_nor_shuts_the_gate),
        cmocka_unit_test(an_entry_is_given_on_when_all_of_it_is_back_and_not_before),
        cmocka_unit_test(never_one_more_is_let_through_whoever_asks_at_once),
        cmocka_unit_test(entries_that_change_hands_let_no_more_through),
        cmocka_unit_test(an_address_and_its_listener_are_asked_both_and_none_pays_for_the_other),
        cmocka_unit_test(without_terms_everybody_may),
        cmocka_unit_test(guesses_are_counted_for_each_address),
        cmocka_unit_test(news_are_told_once_a_minute_of_each_who_makes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
