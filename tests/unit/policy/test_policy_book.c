/* SPDX-License-Identifier: Apache-2.0 */
/* test_policy_book.c — prices that were set while the gateway runs: which holds, and when. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "policy/policy_book.h"
#include "store/store_tables.h"

#define DAY_US INT64_C(86400000000)
#define NOW    ((wall_us){100 * DAY_US})
#define SOON   ((mono_us){INT64_MAX}) /* every loop has turned by then */

struct fixture {
    struct store *store;
    struct policy_book *b;
};

static int start(void **state)
{
    static struct fixture f;
    const struct store_settings settings = {.driver = "memory"};
    f = (struct fixture){0};
    assert_int_equal(store_open(&settings, &f.store), ERR_OK);
    assert_int_equal(policy_book_open(&f.b), ERR_OK);
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    policy_book_close(&f->b);
    policy_book_close(&f->b);
    store_close(&f->store);
    return 0;
}

static struct store_price row_of(const char *id, const char *model, int64_t request, int64_t from)
{
    return (struct store_price){.id = span_of(id),
                                .model = span_of(model),
                                .from = {from},
                                .request = request,
                                .per = 1000000,
                                .currency = SPAN("SAR")};
}

static void apply(struct fixture *f, const struct store_price *row)
{
    assert_int_equal(policy_book_apply(f->b, row, NOW), ERR_OK);
}

/* What a request costs; -1: as the configuration says. */
static int64_t cost(const struct fixture *f, const char *model, int64_t at)
{
    struct policy_price price;
    bool found = policy_book_find(f->b, span_of(model), (wall_us){at}, &price);
    assert_int_equal(found, policy_book_has(f->b, span_of(model), (wall_us){at}));
    return found ? price.request_nano : -1;
}

static void the_price_that_began_last_holds_until_it_is_ended(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(cost(f, "m", 1000), -1); /* there is none at all */
    struct store_price a = row_of("price_a", "m", 1, 1000);
    struct store_price b = row_of("price_b", "m", 2, 2000);
    struct store_price c = row_of("price_c", "m", 3, 3000);
    struct store_price other = row_of("price_d", "org/*", 4, 0);
    apply(f, &b);
    apply(f, &other);
    apply(f, &c);
    apply(f, &a);
    static const struct {
        int64_t at, cost;
    } rows[] = {{999, -1}, {1000, 1}, {1999, 1},         {2000, 2},
                {2999, 2}, {3000, 3}, {INT64_MAX - 1, 3}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(cost(f, "m", rows[i].at), rows[i].cost);
    }
    assert_int_equal(cost(f, "org/*", 0), 4);
    assert_int_equal(cost(f, "org/x", 0), -1); /* a model's name is the configuration's */

    c.ended = (wall_us){NOW.us};
    apply(f, &c);
    assert_int_equal(cost(f, "m", NOW.us - 1), 3);
    assert_int_equal(cost(f, "m", NOW.us), 2); /* the one before holds again */
    a.ended = b.ended = (wall_us){NOW.us + 5};
    apply(f, &a);
    apply(f, &b);
    assert_int_equal(cost(f, "m", NOW.us + 4), 2);
    assert_int_equal(cost(f, "m", NOW.us + 5), -1);
    policy_book_tidy(f->b, SOON);
    assert_int_equal(cost(f, "org/*", 5), 4);
}

static void of_two_that_begin_at_once_the_later_one_holds(void **state)
{
    struct fixture *f = *state;
    struct store_price first = row_of("price_z", "m", 1, 1000);
    struct store_price second = row_of("price_a", "m", 2, 1000);
    first.number = 1;
    second.number = 2;
    apply(f, &second);
    apply(f, &first);
    assert_int_equal(cost(f, "m", 1000), 2);
}

static void a_row_that_changes_is_another_price_at_once(void **state)
{
    struct fixture *f = *state;
    struct policy_price price;
    struct store_price row = row_of("price_a", "m", 1, 1000);
    apply(f, &row);
    row.request = 0;
    row.input = 200;
    row.cached_input = 50;
    row.output = 600;
    row.gpu_second = 7;
    row.per = 1000;
    row.from.us = 500;
    row.currency = SPAN("USD");
    apply(f, &row);
    assert_true(policy_book_find(f->b, SPAN("m"), (wall_us){500}, &price));
    assert_string_equal(price.id, "200/600/1000c50g7");
    assert_string_equal(price.currency, "USD");
    assert_true(price.request_nano == 0 && price.from.us == 500);
    row.model = SPAN("n"); /* it is another's now */
    apply(f, &row);
    assert_int_equal(cost(f, "m", 1000), -1);
    assert_int_equal(cost(f, "n", 1000), 0);
}

static void what_is_no_price_is_refused_and_what_was_there_stays(void **state)
{
    struct fixture *f = *state;
    struct store_price good = row_of("price_a", "m", 1, 0);
    apply(f, &good);
    for (int what = 0; what < 9; what++) {
        struct store_price bad = good;
        bad.input = what == 0 ? -1 : 0;
        bad.cached_input = what == 1 ? POLICY_PRICE_NANO_MAX + 1 : 0;
        bad.output = what == 2 ? INT64_MIN : 0;
        bad.per = what == 3 ? 0 : what == 4 ? POLICY_PRICE_PER_MAX + 1 : 1;
        bad.currency = what == 5 ? SPAN("usd") : what == 6 ? SPAN("") : SPAN("USD");
        bad.gpu_second = what == 7 ? -1 : 0;
        bad.is_damaged = what == 8;
        assert_int_equal(policy_book_apply(f->b, &bad, NOW), ERR_VALUE_INVALID);
        assert_int_equal(cost(f, "m", 0), 1);
    }
}

static void what_the_store_has_is_found(void **state)
{
    struct fixture *f = *state;
    struct policy_book_report report;
    struct store_price a = row_of("price_a", "m", 1, 1000);
    struct store_price b = row_of("price_b", "n", 2, 0);
    struct store_price damaged = row_of("price_c", "n", 3, 0);
    struct store_price over = row_of("price_d", "n", 4, 0);
    struct store_price just_over = row_of("price_e", "n", 5, 0);
    damaged.currency = SPAN("sar");
    over.ended.us = NOW.us - DAY_US - 1;
    just_over.ended.us = NOW.us - DAY_US;
    assert_int_equal(store_begin(f->store, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_price_insert(f->store, &a), ERR_OK);
    assert_int_equal(store_price_insert(f->store, &b), ERR_OK);
    assert_int_equal(store_price_insert(f->store, &damaged), ERR_OK);
    assert_int_equal(store_price_insert(f->store, &over), ERR_OK);
    assert_int_equal(store_price_insert(f->store, &just_over), ERR_OK);
    assert_int_equal(store_commit(f->store), ERR_OK);
    for (int round = 0; round < 2; round++) { /* again, for what changed meanwhile */
        assert_int_equal(policy_book_load(f->b, f->store, NOW, &report), ERR_OK);
        assert_true(report.prices == 3 && report.damaged == 1);
        assert_int_equal(cost(f, "m", 1000), 1);
        assert_int_equal(cost(f, "n", NOW.us), 2);
        assert_int_equal(cost(f, "n", 0), 5); /* it was made later, and had not ended */
    }
}

static void ten_thousand_models_have_each_its_own(void **state)
{
    struct fixture *f = *state;
    struct policy_book_report report;
    char id[32], model[32];
    assert_int_equal(store_begin(f->store, STORE_SYNC_LATER), ERR_OK);
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(id, sizeof(id), "price_%d", i);
        (void)snprintf(model, sizeof(model), "m%d", i % 5000);
        struct store_price row = row_of(id, model, i, i < 5000 ? 0 : 1000);
        assert_int_equal(store_price_insert(f->store, &row), ERR_OK);
    }
    assert_int_equal(store_commit(f->store), ERR_OK);
    assert_int_equal(policy_book_load(f->b, f->store, NOW, &report), ERR_OK);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(model, sizeof(model), "m%d", i);
        assert_int_equal(cost(f, model, 999), i);
        assert_int_equal(cost(f, model, 1000), 5000 + i);
    }
}

struct reading {
    struct fixture *f;
    _Atomic bool is_over;
    _Atomic uint64_t torn, looks;
};

static void *read_on(void *context)
{
    struct reading *r = context;
    while (!atomic_load(&r->is_over) || atomic_load(&r->looks) == 0) {
        struct policy_price price;
        bool found = policy_book_find(r->f->b, SPAN("m"), NOW, &price);
        bool is_whole = found && price.input_nano == price.output_nano &&
                        price.input_nano == price.request_nano;
        (void)atomic_fetch_add(&r->torn, !is_whole);
        (void)atomic_fetch_add(&r->looks, 1);
    }
    return NULL;
}

/* What was replaced stays until the loops have turned: nobody tidies here before the reader ends.
 */
static void who_reads_meanwhile_sees_one_price_or_the_other(void **state)
{
    struct fixture *f = *state;
    struct reading reading = {.f = f};
    struct store_price row = row_of("price_a", "m", 0, 0);
    pthread_t reader;
    apply(f, &row);
    assert_int_equal(pthread_create(&reader, NULL, read_on, &reading), 0);
    for (int i = 1; i < 2000; i++) {
        row.input = row.output = row.request = i;
        apply(f, &row);
    }
    atomic_store(&reading.is_over, true);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_int_equal(reading.torn, 0);
    assert_true(reading.looks > 0);
    policy_book_tidy(f->b, SOON);
    assert_int_equal(cost(f, "m", 0), 1999);
}

/* What is over takes no room, and what readers left behind is freed by the next change. */
static void the_room_is_that_of_prices_that_hold_or_did_lately(void **state)
{
    struct fixture *f = *state;
    struct store_price row = row_of("price_a", "m", 1, 0);
    assert_int_equal(policy_book_room(f->b, NOW), POLICY_BOOK_MAX);
    apply(f, &row);
    policy_book_set_turned(f->b, SOON);
    apply(f, &row);
    assert_int_equal(policy_book_room(f->b, NOW), POLICY_BOOK_MAX - 1);
    row.ended = (wall_us){NOW.us};
    apply(f, &row);
    assert_int_equal(policy_book_room(f->b, NOW), POLICY_BOOK_MAX - 1);
    assert_int_equal(policy_book_room(f->b, (wall_us){NOW.us + DAY_US + 1}), POLICY_BOOK_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_price_that_began_last_holds_until_it_is_ended),
        TEST(of_two_that_begin_at_once_the_later_one_holds),
        TEST(a_row_that_changes_is_another_price_at_once),
        TEST(what_is_no_price_is_refused_and_what_was_there_stays),
        TEST(what_the_store_has_is_found),
        TEST(ten_thousand_models_have_each_its_own),
        TEST(the_room_is_that_of_prices_that_hold_or_did_lately),
        TEST(who_reads_meanwhile_sees_one_price_or_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
