/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_price.c — what a call holds and costs: by the price that held when it began. */
#include "world_scene.h"

#include "policy/policy_book.h"
#include "store/store_tables.h"

#define ASKED     "{'model':'m','max_tokens':4,'messages':[{'role':'user','content':'hi'}]}"
#define BEGINS_US INT64_C(1790000001000000) /* what the world's clock says at first */
#define TOTAL_US  INT64_C(3600000000)       /* timeouts.total of the world's servers */

static struct world w;

/* The world, whose model costs this. */
static void open_priced(const struct policy_price *prices, size_t count)
{
    static struct policy_price named[4];
    assert_true(count <= ROWS(named));
    world_open(&w);
    for (size_t i = 0; i < count; i++) {
        named[i] = prices[i];
        policy_price_name(&named[i]);
    }
    w.policy->models[0].prices = named;
    w.policy->models[0].price_count = count;
}

static const struct policy_price by_token = {.input_nano = 2000,
                                             .cached_nano = 300,
                                             .output_nano = 50000,
                                             .per_tokens = 1000,
                                             .currency = "SAR"};
static const struct policy_price by_request = {
    .request_nano = 70, .per_tokens = 1000, .currency = "USD"};
static const struct policy_price by_second = {
    .gpu_second_nano = 4000, .per_tokens = 1000, .currency = "USD"};
static const struct policy_price by_all = {.input_nano = 2000,
                                           .cached_nano = 2000,
                                           .output_nano = 50000,
                                           .per_tokens = 1000,
                                           .request_nano = 70,
                                           .gpu_second_nano = 4000,
                                           .currency = "USD"};

#define REPLY(cached)                                                                      \
    CHOICES ",'usage':{'prompt_tokens':9,'completion_tokens':2,'total_tokens':11,'prompt_" \
            "tokens_details':{'cached_tokens':" cached "}}}"

static void a_call_costs_what_it_used_and_holds_the_most_that_it_may_come_to(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const struct policy_price *price;
        int64_t served_us;
        const char *cached;
        int64_t cost, server_us;
        const char *id;
    } rows[] = {
        {"tokens", &by_token, 5, "0", (9 * 2000 + 2 * 50000) / 1000, 0, "2000/50000/1000c300"},
        {"some of them cached", &by_token, 5, "4", 112, 0, /* 111.2 */
         "2000/50000/1000c300"},
        {"a request", &by_request, 5, "0", 70, 0, "0/0/1000r70"},
        {"time", &by_second, 1250000, "0", 5000, 1250000, "0/0/1000g4000"},
        {"a part of a billionth of it", &by_second, 1, "0", 1, 1, "0/0/1000g4000"},
        {"more time than it may take", &by_second, TOTAL_US + 1, "0", 4000 * 3600, TOTAL_US,
         "0/0/1000g4000"},
        {"all of these", &by_all, 1250001, "4", 118 + 70 + 5000 + 1, 1250001,
         "2000/50000/1000r70g4000"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char body[1024];
        open_priced(rows[i].price, 1);
        w.served_us = rows[i].served_us;
        (void)snprintf(body, sizeof(body), "{" REPLY("%s"), rows[i].cached); /* fits */
        w.scripts[0].body = body;
        world_chat(&w, ASKED);
        int64_t most = policy_price_most(rows[i].price, w.intent.tokens_in, 4, TOTAL_US / 1000);
        assert_int_equal(w.intent.reserved_nano, most);
        server_answers(&w, ALL_OF_IT);
        expect_end(rows[i].why, &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        const struct journal_record *r = &w.completion;
        if (r->cost_nano != rows[i].cost || r->server_us != rows[i].server_us) {
            fail_msg("%s: %lld, %lld µs", rows[i].why, (long long)r->cost_nano,
                     (long long)r->server_us);
        }
        assert_int_equal(r->reserved_nano, most);
        assert_true(r->cost_nano <= most);
        assert_true(says(r, JOURNAL_TEXT_PRICE, rows[i].id));
        assert_true(says(r, JOURNAL_TEXT_CURRENCY, rows[i].price->currency));
        world_close(&w);
    }
}

/* Nobody pays for a server that failed; but for one that worked until the client left. */
static void what_failed_costs_no_request_and_what_was_left_does(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        int status; /* 0: the client leaves before any */
        int64_t cost, server_us;
    } rows[] = {{"a server that fails", 500, 0, 0},
                {"one that refuses", 400, 0, 0},
                {"a client that leaves: it was answered for him", 0, 8070, 2000000}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct policy_price price = by_second;
        price.request_nano = 70;
        open_priced(&price, 1);
        w.served_us = 2000000;
        w.scripts[0] = (struct script){.status = rows[i].status, .body = "{'error':'no'}"};
        world_chat(&w, ASKED);
        assert_int_equal(w.intent.reserved_nano, 70 + 4000 * 3600);
        if (rows[i].status == 0) {
            client_leaves(&w);
        } else {
            server_answers(&w, ALL_OF_IT);
        }
        assert_int_equal(w.completions, 1);
        if (w.completion.cost_nano != rows[i].cost || w.completion.server_us != rows[i].server_us) {
            fail_msg("%s: %lld, %lld µs", rows[i].why, (long long)w.completion.cost_nano,
                     (long long)w.completion.server_us);
        }
        world_close(&w);
    }
}

static void a_stream_that_is_cut_by_its_client_costs_its_time(void **state)
{
    (void)state;
    open_priced(&by_second, 1);
    w.served_us = 500000;
    w.scripts[0].type = "text/event-stream";
    w.scripts[0].body = WORD("real", "yes") WORD("real", "no") WORD("real", "more");
    world_chat(&w, CHAT_BODY(",'stream':true"));
    server_answers(&w, 0);
    server_sends_until(&w, "no\"},\"finish_reason\":null}]}\n\n");
    client_leaves(&w);
    expect_end("a stream", &w, CANCELLED, ERR_CLIENT_GONE, JOURNAL_OUTCOME_CLIENT_GONE);
    assert_int_equal(w.completion.server_us, 500000);
    assert_int_equal(w.completion.cost_nano, 2000);
    world_close(&w);
}

/* The call that began before a price holds goes by the one before, however long it takes. */
static void a_new_price_holds_for_calls_that_begin_then_or_later(void **state)
{
    (void)state;
    const int64_t second = 1000000;
    const struct policy_price prices[] = {
        {.request_nano = 10, .per_tokens = 1, .currency = "USD", .from = {0}},
        {.request_nano = 20, .per_tokens = 1, .currency = "SAR", .from = {0}},
    };
    static const struct {
        int64_t begins_at, cost; /* seconds after the second price's time */
        const char *currency;
    } rows[] = {{-1, 10, "USD"}, {0, 20, "SAR"}, {1, 20, "SAR"}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct policy_price timed[2];
        memcpy(timed, prices, sizeof(timed));
        timed[1].from.us = BEGINS_US - rows[i].begins_at * second;
        open_priced(timed, ROWS(timed));
        w.scripts[0].body = CHAT_REPLY;
        world_chat(&w, ASKED);
        w.now_us += 100 * second;
        server_answers(&w, ALL_OF_IT);
        expect_end("a call", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        assert_int_equal(w.intent.reserved_nano, rows[i].cost);
        assert_int_equal(w.completion.cost_nano, rows[i].cost);
        assert_true(says(&w.intent, JOURNAL_TEXT_CURRENCY, rows[i].currency));
        assert_true(says(&w.completion, JOURNAL_TEXT_CURRENCY, rows[i].currency));
        world_close(&w);
    }
}

static void before_its_first_price_a_model_has_none_and_0_is_one(void **state)
{
    (void)state;
    static const struct policy_price rows[] = {
        {.input_nano = 5, .per_tokens = 1, .currency = "USD", .from = {INT64_MAX}},
        {.per_tokens = 1, .currency = "USD"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        open_priced(&rows[i], 1);
        w.scripts[0].body = CHAT_REPLY;
        world_chat(&w, ASKED);
        server_answers(&w, ALL_OF_IT);
        assert_true(w.intent.reserved_nano == 0 && w.completion.cost_nano == 0);
        assert_true(says(&w.completion, JOURNAL_TEXT_CURRENCY, i == 0 ? "" : "USD"));
        assert_true(says(&w.completion, JOURNAL_TEXT_PRICE, i == 0 ? "" : "0/0/1"));
        world_close(&w);
    }
}

/* A price of the book goes before the configuration's, and a call keeps the one it began with. */
static void a_price_that_was_set_goes_before_and_stays_as_it_was_for_calls_that_run(void **state)
{
    (void)state;
    struct policy_book *book;
    struct store_price row = {
        .id = SPAN("price_a"), .model = SPAN("m"), .request = 5, .per = 1, .currency = SPAN("SAR")};
    const wall_us now = {BEGINS_US};
    assert_int_equal(policy_book_open(&book), ERR_OK);
    assert_int_equal(policy_book_apply(book, &row, now), ERR_OK);
    for (int round = 0; round < 2; round++) {
        open_priced(&by_request, 1);
        w.shared.book = book;
        w.scripts[0].body = CHAT_REPLY;
        world_chat(&w, ASKED);
        row.request = 6;
        assert_int_equal(policy_book_apply(book, &row, now), ERR_OK);
        policy_book_tidy(book, (mono_us){INT64_MAX}); /* the loop has turned since */
        server_answers(&w, ALL_OF_IT);
        expect_end("a call", &w, FINISHED, ERR_OK, JOURNAL_OUTCOME_OK);
        assert_int_equal(w.completion.cost_nano, 5 + round);
        assert_true(says(&w.completion, JOURNAL_TEXT_PRICE, round == 0 ? "0/0/1r5" : "0/0/1r6"));
        world_close(&w);
    }
    row.ended = now;
    assert_int_equal(policy_book_apply(book, &row, now), ERR_OK);
    open_priced(&by_request, 1);
    w.shared.book = book;
    w.scripts[0].body = CHAT_REPLY;
    world_chat(&w, ASKED);
    server_answers(&w, ALL_OF_IT);
    assert_int_equal(w.completion.cost_nano, 70); /* the configuration's */
    world_close(&w);
    policy_book_close(&book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_costs_what_it_used_and_holds_the_most_that_it_may_come_to),
        cmocka_unit_test(what_failed_costs_no_request_and_what_was_left_does),
        cmocka_unit_test(a_stream_that_is_cut_by_its_client_costs_its_time),
        cmocka_unit_test(a_new_price_holds_for_calls_that_begin_then_or_later),
        cmocka_unit_test(a_price_that_was_set_goes_before_and_stays_as_it_was_for_calls_that_run),
        cmocka_unit_test(before_its_first_price_a_model_has_none_and_0_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
