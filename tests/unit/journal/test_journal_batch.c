/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal_batch.c — which row of usage a record goes to, and what it counts there. */
#include "unit.h"

#include <stdio.h>

#include "journal/journal_batch.h"
#include "store/store_usage.h"

#define HOUR_MS INT64_C(3600000)
#define NOON    (INT64_C(20781) * 24 + 12) /* 2026-11-24T12:00Z */

struct fixture {
    struct store *store;
    struct journal_batch batch;
    uint64_t last;
    char text[4000]; /* all rows, as said below */
};

static int start(void **state)
{
    static struct fixture f;
    const struct store_settings settings = {.driver = "memory"};
    memset(&f, 0, sizeof(f));
    assert_int_equal(store_open(&settings, &f.store), ERR_OK);
    journal_batch_init(&f.batch, (size_t)1 << 20);
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    journal_batch_fini(&f->batch);
    store_close(&f->store);
    return 0;
}

static struct journal_record record_of(enum journal_kind kind, int64_t started_ms)
{
    struct journal_record r = {.kind = (uint8_t)kind,
                               .attempt = 1,
                               .outcome = JOURNAL_OUTCOME_OK,
                               .attempts_sent = 1,
                               .sent = 1,
                               .started_ms = started_ms,
                               .tokens_in = 3,
                               .cost_nano = 5};
    journal_record_set(&r, JOURNAL_TEXT_KEY, SPAN("k"));
    journal_record_set(&r, JOURNAL_TEXT_MODEL, SPAN("m"));
    journal_record_set(&r, JOURNAL_TEXT_UPSTREAM, SPAN("u"));
    return r;
}

static void add(struct fixture *f, struct journal_record r)
{
    r.sequence = (int64_t)++f->last;
    assert_int_equal(journal_batch_add(&f->batch, &(struct journal_told){.record = &r}), ERR_OK);
}

static void apply(struct fixture *f)
{
    assert_int_equal(journal_batch_apply(&f->batch, f->store), ERR_OK);
    journal_batch_fini(&f->batch);
    f->batch.last = f->last; /* the next one follows */
}

/* "hour/organisation/team/user/key/model/upstream/route calls failed interrupted refused requests
 * tokens cost|", the hour from noon. */
static enum err on_usage(void *context, const struct store_usage *u)
{
    struct fixture *f = context;
    size_t len = strlen(f->text);
    (void)snprintf(f->text + len, sizeof(f->text) - len,
                   "%d/%.*s/%.*s/%.*s/%.*s/%.*s/%.*s/%.*s %d %d %d %d %d %d %d|",
                   (int)(u->hour - NOON), SPAN_ARGS(u->organisation), SPAN_ARGS(u->team),
                   SPAN_ARGS(u->user), SPAN_ARGS(u->key_id), SPAN_ARGS(u->model),
                   SPAN_ARGS(u->upstream), SPAN_ARGS(u->route), (int)u->calls, (int)u->failed,
                   (int)u->interrupted, (int)u->refused, (int)u->requests, (int)u->tokens_in,
                   (int)u->cost_nano);
    return ERR_OK;
}

static void expect(struct fixture *f, const char *rows)
{
    const struct store_usage_filter all = {.from = INT32_MIN, .to = INT32_MAX};
    apply(f);
    f->text[0] = '\0';
    assert_int_equal(store_usage_list(f->store, &all, on_usage, f), ERR_OK);
    assert_string_equal(f->text, rows);
}

static void a_call_goes_to_the_hour_in_which_it_began(void **state)
{
    struct fixture *f = *state;
    static const int64_t began[] = {NOON * HOUR_MS - 1, NOON * HOUR_MS, (NOON + 1) * HOUR_MS - 1,
                                    (NOON + 1) * HOUR_MS, NOON * HOUR_MS + 1};
    for (size_t i = 0; i < ROWS(began); i++) {
        struct journal_record r = record_of(JOURNAL_COMPLETION, began[i]);
        r.ended_ms = (NOON + 7) * HOUR_MS; /* when it ended says nothing */
        add(f, r);
    }
    expect(f, "-1////k/m/u/ 1 0 0 0 1 3 5|0////k/m/u/ 3 0 0 0 3 9 15|1////k/m/u/ 1 0 0 0 1 3 5|");
}

static void each_name_makes_a_row_and_the_same_ones_are_summed(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum journal_text text;
        const char *name;
    } rows[] = {
        {JOURNAL_TEXT_ORGANISATION, "o"}, {JOURNAL_TEXT_TEAM, "t"},
        {JOURNAL_TEXT_USER, "w"},         {JOURNAL_TEXT_KEY, "x"},
        {JOURNAL_TEXT_MODEL, "y"},        {JOURNAL_TEXT_UPSTREAM, "z"},
        {JOURNAL_TEXT_POLICY, "direct"},  {JOURNAL_TEXT_CURRENCY, "SAR"},
    };
    for (int round = 0; round < 2; round++) { /* in another batch, too */
        for (size_t i = 0; i < ROWS(rows); i++) {
            struct journal_record r = record_of(JOURNAL_COMPLETION, NOON * HOUR_MS);
            journal_record_set(&r, rows[i].text, span_of(rows[i].name));
            add(f, r);
            add(f, r);
        }
        apply(f);
    }
    expect(f, "0/o///k/m/u/ 4 0 0 0 4 12 20|0///w/k/m/u/ 4 0 0 0 4 12 20|"
              "0////k/m/u/direct 4 0 0 0 4 12 20|0////k/m/z/ 4 0 0 0 4 12 20|"
              "0////k/m/u/ 4 0 0 0 4 12 20|0////k/y/u/ 4 0 0 0 4 12 20|"
              "0////x/m/u/ 4 0 0 0 4 12 20|0//t//k/m/u/ 4 0 0 0 4 12 20|");
}

static void calls_are_those_that_were_sent_and_the_others_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum journal_outcome outcome;
        uint8_t sent;
        const char *expect;
    } rows[] = {
        {JOURNAL_OUTCOME_OK, 1, "1 0 0 0 1"},
        {JOURNAL_OUTCOME_FAILED, 1, "1 1 0 0 1"},
        {JOURNAL_OUTCOME_CLIENT_GONE, 1, "1 0 1 0 1"},
        {JOURNAL_OUTCOME_INTERRUPTED, 1, "1 0 1 0 1"},
        {JOURNAL_OUTCOME_REFUSED, 0, "0 0 0 1 0"},
        {JOURNAL_OUTCOME_FAILED, 0, "0 0 0 1 0"}, /* no connection */
        {JOURNAL_OUTCOME_CLIENT_GONE, 0, "0 0 0 1 0"},
    };
    char all[4000] = "";
    for (size_t i = 0; i < ROWS(rows); i++) {
        size_t len = strlen(all);
        struct journal_record r = record_of(JOURNAL_COMPLETION, (NOON + (int64_t)i) * HOUR_MS);
        r.outcome = (uint8_t)rows[i].outcome;
        r.attempts_sent = rows[i].sent;
        add(f, r);
        (void)snprintf(all + len, sizeof(all) - len, "%zu////k/m/u/ %s 3 5|", i, rows[i].expect);
    }
    expect(f, all);
}

static void each_server_has_the_requests_that_it_was_sent_and_the_call_is_one(void **state)
{
    struct fixture *f = *state;
    struct journal_record first = record_of(JOURNAL_TRY_END, NOON * HOUR_MS);
    struct journal_record unsent = first;
    struct journal_record last = record_of(JOURNAL_COMPLETION, NOON * HOUR_MS);
    journal_record_set(&first, JOURNAL_TEXT_UPSTREAM, SPAN("a"));
    journal_record_set(&unsent, JOURNAL_TEXT_UPSTREAM, SPAN("b"));
    unsent.sent = 0;
    unsent.attempt = 2;
    last.attempt = 3;
    last.attempts_sent = 2;
    journal_record_set(&last, JOURNAL_TEXT_PEER, SPAN("127.0.0.1"));
    add(f, first);
    add(f, unsent);
    add(f, last);
    expect(f, "0////k/m/a/ 0 0 0 0 1 3 5|0////k/m/b/ 0 0 0 0 0 3 5|0////k/m/u/ 1 0 0 0 1 3 5|");
}

static void a_last_try_that_had_no_connection_is_no_request(void **state)
{
    struct fixture *f = *state;
    struct journal_record first = record_of(JOURNAL_TRY_END, NOON * HOUR_MS);
    struct journal_record last = record_of(JOURNAL_COMPLETION, NOON * HOUR_MS);
    journal_record_set(&first, JOURNAL_TEXT_UPSTREAM, SPAN("a"));
    last.attempt = 2;
    last.outcome = JOURNAL_OUTCOME_FAILED;
    add(f, first);
    add(f, last);
    expect(f, "0////k/m/a/ 0 0 0 0 1 3 5|0////k/m/u/ 1 1 0 0 0 3 5|");
}

static void a_shadow_copy_is_in_no_sum_and_closes_its_tries(void **state)
{
    struct fixture *f = *state;
    static const enum journal_kind kinds[] = {JOURNAL_INTENT, JOURNAL_TRY_END, JOURNAL_INTENT,
                                              JOURNAL_COMPLETION};
    for (size_t i = 0; i < ROWS(kinds); i++) {
        struct journal_record r = record_of(kinds[i], NOON * HOUR_MS);
        r.shadow = 1;
        r.attempt = (uint8_t)(1 + i / 2);
        journal_record_set(&r, JOURNAL_TEXT_BUDGETS, SPAN("b$1764536400")); /* it never has any */
        add(f, r);
    }
    expect(f, "");
    add(f, record_of(JOURNAL_COMPLETION, NOON * HOUR_MS));
    expect(f, "0////k/m/u/ 1 0 0 0 1 3 5|");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_goes_to_the_hour_in_which_it_began),
        TEST(each_name_makes_a_row_and_the_same_ones_are_summed),
        TEST(a_shadow_copy_is_in_no_sum_and_closes_its_tries),
        TEST(calls_are_those_that_were_sent_and_the_others_are_refused),
        TEST(each_server_has_the_requests_that_it_was_sent_and_the_call_is_one),
        TEST(a_last_try_that_had_no_connection_is_no_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
