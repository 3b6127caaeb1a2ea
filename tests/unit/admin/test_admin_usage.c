/* SPDX-License-Identifier: Apache-2.0 */
/* test_admin_usage.c — sums of usage by whatever is asked for, in JSON and CSV. */
#include "admin_scene.h"

static void add_usage(struct fixture *f, int32_t day, const char *key, const char *model,
                      const char *upstream)
{
    const struct store_usage row = {.hour = day * STORE_DAY_HOURS,
                                    .team = span_of(key[1] == '1' ? "team_a" : ""),
                                    .key_id = span_of(key),
                                    .model = span_of(model),
                                    .currency = SPAN("USD"),
                                    .upstream = span_of(upstream),
                                    .calls = 1,
                                    .interrupted = 2,
                                    .failed = 3,
                                    .refused = 1,
                                    .requests = 2,
                                    .estimated = 4,
                                    .tokens_in = 5,
                                    .tokens_out = 6,
                                    .tokens_cached = 2,
                                    .tokens_reasoning = 3,
                                    .bytes_in = 7,
                                    .bytes_out = 8,
                                    .cost_nano = 250,
                                    .energy_nano = 700000,
                                    .co2e_nano = 280000};
    assert_int_equal(store_begin(f->store, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_usage_add(f->store, &row), ERR_OK);
    assert_int_equal(store_commit(f->store), ERR_OK);
}

#define ONCE                                                                                \
    "\"calls\":1,\"failed\":3,\"interrupted\":2,\"refused\":1,\"requests\":2,"              \
    "\"estimated\":4,\"tokens_in\":5,\"tokens_cached\":2,\"tokens_out\":6,"                 \
    "\"tokens_reasoning\":3,\"bytes_in\":7,\"bytes_out\":8,\"cost\":\"0.00\",\"currency\":" \
    "\"USD\",\"energy_wh\":\"0.0007\",\"gco2e\":\"0.00028\"}"
#define TWICE                                                                        \
    "\"calls\":2,\"failed\":6,\"interrupted\":4,\"refused\":2,\"requests\":4,"       \
    "\"estimated\":8,\"tokens_in\":10,\"tokens_cached\":4,\"tokens_out\":12,"        \
    "\"tokens_reasoning\":6,\"bytes_in\":14,\"bytes_out\":16,\"cost\":\"0.000001\"," \
    "\"currency\":\"USD\",\"energy_wh\":\"0.0014\",\"gco2e\":\"0.00056\"}"
#define ZERO                                                                    \
    "{\"calls\":0,\"failed\":0,\"interrupted\":0,\"refused\":0,\"requests\":0," \
    "\"estimated\":0,\"tokens_in\":0,\"tokens_cached\":0,\"tokens_out\":0,"     \
    "\"tokens_reasoning\":0,\"bytes_in\":0,\"bytes_out\":0,\"cost\":\"0.00\","  \
    "\"currency\":null,\"energy_wh\":\"0.00\",\"gco2e\":\"0.00\"}"

static void usage_is_summed_by_what_is_asked_for_and_filtered(void **state)
{
    struct fixture *f = *state;
    add_usage(f, 20781, "k1", "a/b c", "u1");
    add_usage(f, 20781, "k1", "a/b c", "u2");
    add_usage(f, 20782, "k1", "m", "u1");
    add_usage(f, 20782, "k2", "m", "u1");
    static const struct {
        const char *query, *data, *more;
    } rows[] = {
        {"to=2026-11-25", "{" TWICE, ""},
        {"from=2026-11-26", ZERO, ""},
        {"by=key&from=2026-11-25", "{\"key\":\"k1\"," ONCE ",{\"key\":\"k2\"," ONCE, ""},
        {"by=team,day&from=2026-11-25",
         "{\"team\":null,\"day\":\"2026-11-25\"," ONCE
         ",{\"team\":\"team_a\",\"day\":\"2026-11-25\"," ONCE,
         ""},
        {"by=day,model",
         "{\"model\":\"a/b c\",\"day\":\"2026-11-24\"," TWICE
         ",{\"model\":\"m\",\"day\":\"2026-11-25\"," TWICE,
         ""},
        {"by=upstream&model=a/b+c&limit=1", "{\"upstream\":\"u1\"," ONCE, "1"},
        {"by=upstream&model=a%2Fb%20c&limit=1&after=1", "{\"upstream\":\"u2\"," ONCE, ""},
        {"by=upstream&after=7", "", ""},
        {"by=hour&key=k2", "{\"hour\":\"2026-11-25T00:00Z\"," ONCE, ""},
        {"from=2026-11-25T00:00Z&to=2026-11-25T01:00Z&team=team_a", "{" ONCE, ""},
        {"from=2026-11-25T01:00:00Z", ZERO, ""},
        {"by=model&model=none", "", ""},
        {"by=&route=none", ZERO, ""},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char expect[2048];
        bool has_more = rows[r].more[0] != '\0';
        (void)snprintf(expect, sizeof(expect),
                       "{\"object\":\"list\",\"data\":[%s],\"has_more\":%s,\"next_cursor\":%s%s%s}",
                       rows[r].data, has_more ? "true" : "false", has_more ? "\"" : "",
                       has_more ? rows[r].more : "null", has_more ? "\"" : "");
        assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", rows[r].query, ""), ERR_OK);
        assert_string_equal(said(f), expect);
    }
}

static void add_row(struct fixture *f, const struct store_usage *row)
{
    assert_int_equal(store_begin(f->store, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_usage_add(f->store, row), ERR_OK);
    assert_int_equal(store_commit(f->store), ERR_OK);
}

static void what_has_no_price_stands_with_what_has_one_and_currencies_stand_apart(void **state)
{
    struct fixture *f = *state;
    const struct store_usage rows[] = {
        {.model = SPAN("a"), .calls = 1},
        {.model = SPAN("a"), .currency = SPAN("SAR"), .calls = 2, .cost_nano = 1500},
        {.model = SPAN("a"),
         .currency = SPAN("USD"),
         .calls = 4,
         .cost_nano = 1499,
         .energy_nano = 120000000,
         .co2e_nano = 500},
        {.model = SPAN("b"), .calls = 8},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        add_row(f, &rows[r]);
    }
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", "by=model&format=csv", ""), ERR_OK);
    assert_true(answer.is_csv);
    assert_string_equal(said(f),
                        "model,calls,failed,interrupted,refused,requests,estimated,tokens_in,"
                        "tokens_cached,tokens_out,tokens_reasoning,bytes_in,bytes_out,cost,"
                        "currency,energy_wh,gco2e\r\n"
                        "a,3,0,0,0,0,0,0,0,0,0,0,0,0.000002,SAR,0.00,0.00\r\n"
                        "a,4,0,0,0,0,0,0,0,0,0,0,0,0.000001,USD,0.12,0.000001\r\n"
                        "b,8,0,0,0,0,0,0,0,0,0,0,0,0.00,,0.00,0.00\r\n");
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", "", ""), ERR_OK);
    assert_true(says(f, "\"data\":[{\"calls\":11,") && says(f, "},{\"calls\":4,"));
}

static void cells_of_csv_are_quoted_and_no_formulas(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *model, *cell;
    } rows[] = {
        {"plain", "plain"},
        {"a,b", "\"a,b\""},
        {"say \"hi\"", "\"say \"\"hi\"\"\""},
        {"\"", "\"\"\"\""},
        {"two\nlines", "\"two\nlines\""},
        {"=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"},
        {"=1,\"2\"", "\"'=1,\"\"2\"\"\""},
        {"+1", "'+1"},
        {"-1", "'-1"},
        {"@x", "'@x"},
        {"\tx", "'\tx"},
        {"\rx", "\"'\rx\""},
        {"\xd9\x85\xd9\x81", "\xd9\x85\xd9\x81"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char expect[128];
        const struct store_usage row = {
            .hour = (int32_t)r * STORE_DAY_HOURS, .model = span_of(rows[r].model), .calls = 1};
        char query[64];
        char day[11];
        add_row(f, &row);
        clock_day((wall_us){(int64_t)r * INT64_C(86400000000)}, day);
        (void)snprintf(query, sizeof(query), "by=model&format=csv&from=%s", day);
        (void)snprintf(expect, sizeof(expect), "gco2e\r\n%s,1,0,", rows[r].cell);
        assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", query, ""), ERR_OK);
        if (!says(f, expect)) {
            fail_msg("%s: %s", expect, said(f));
        }
    }
}

static void names_are_told_where_they_are_asked_for(void **state)
{
    struct fixture *f = *state;
    char query[64];
    assert_int_equal(ask(f, HTTP_POST, "/admin/v1/keys", "", "{\"name\":\"ci\"}"), ERR_OK);
    struct store_team team = {
        .id = SPAN("team_a"), .name = SPAN("treasury"), .organisation = SPAN("org_o")};
    assert_int_equal(store_team_insert(f->store, &team), ERR_OK);
    const struct store_usage row = {
        .team = SPAN("team_a"), .key_id = span_of(answer.object), .calls = 1};
    add_row(f, &row);
    (void)snprintf(query, sizeof(query), "by=team,key&names=true");
    char key[ADMIN_OBJECT_ID_BYTES];
    memcpy(key, answer.object, sizeof(key));
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", query, ""), ERR_OK);
    char expect[256];
    (void)snprintf(expect, sizeof(expect),
                   "{\"team\":\"team_a\",\"team_name\":\"treasury\",\"key\":\"%s\","
                   "\"key_name\":\"ci\",\"calls\":1,",
                   key);
    assert_true(says(f, expect));
    static const char *const chosen[] = {"by=team&team=treasury", "by=team&team=team_a"};
    for (size_t r = 0; r < ROWS(chosen); r++) {
        assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", chosen[r], ""), ERR_OK);
        assert_true(says(f, "[{\"team\":\"team_a\",\"calls\":1,"));
    }
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", "by=team&team=nobody", ""),
                     ERR_NOT_FOUND_ROW);
    team = (struct store_team){
        .id = SPAN("team_b"), .name = SPAN("treasury"), .organisation = SPAN("org_o")};
    assert_int_equal(store_team_insert(f->store, &team), ERR_OK);
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", chosen[0], ""), ERR_VALUE_INVALID);
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", "by=user&names=true", ""), ERR_OK);
    assert_true(says(f, "{\"user\":null,\"user_name\":null,\"calls\":1,"));
}

static void of_summed_up_days_nothing_is_told_by_the_hour(void **state)
{
    struct fixture *f = *state;
    struct store_usage_keeper keeper = {.is_done = false};
    const struct store_usage row = {.hour = 20781 * STORE_DAY_HOURS + 5, .calls = 1};
    static const struct {
        const char *query;
        enum err expect;
    } rows[] = {
        {"by=hour", ERR_VALUE_INVALID},
        {"by=hour&from=2026-11-24", ERR_VALUE_INVALID},
        {"by=hour&from=2026-11-25", ERR_OK},
        {"from=2026-11-24T05:00Z", ERR_VALUE_INVALID},
        {"to=2026-11-24T06:00Z", ERR_VALUE_INVALID},
        {"from=2026-11-24T00:00Z&to=2026-11-25T06:00Z", ERR_OK},
        {"by=day", ERR_OK},
    };
    add_row(f, &row);
    while (!keeper.is_done) {
        assert_int_equal(store_usage_keep(f->store, &keeper, 20782 * STORE_DAY_HOURS, INT32_MIN),
                         ERR_OK);
    }
    for (size_t r = 0; r < ROWS(rows); r++) {
        if (ask(f, HTTP_GET, "/admin/v1/usage", rows[r].query, "") != rows[r].expect) {
            fail_msg("%s", rows[r].query);
        }
    }
    assert_true(says(f, "\"day\":\"2026-11-24\",\"calls\":1,"));
}

static void usage_of_a_key_that_is_not_there_is_refused(void **state)
{
    struct fixture *f = *state;
    add_usage(f, 20781, "gone", "m", "u");
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", "key=gone", ""), ERR_OK);
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", "key=nope", ""), ERR_NOT_FOUND_ROW);
}

static enum err take_change(void *ctx, const struct store_change *change)
{
    (void)ctx;
    (void)change;
    return ERR_OK;
}

static enum err settle_changes(void *ctx)
{
    (void)ctx;
    return ERR_OK;
}

static enum err apply_nothing(void *ctx, struct store *s)
{
    (void)ctx;
    (void)s;
    return ERR_STORE_BUSY;
}

static void a_key_that_the_tables_lack_still_has_no_usage_and_is_there(void **state)
{
    struct fixture *f = *state;
    static const struct store_recorder locked = {take_change, settle_changes, apply_nothing, NULL};
    char query[4 + ADMIN_OBJECT_ID_BYTES];
    store_set_recorder(f->store, &locked);
    assert_int_equal(ask(f, HTTP_POST, "/admin/v1/keys", "", "{\"name\":\"n\"}"), ERR_OK);
    (void)snprintf(query, sizeof(query), "key=%s", answer.object);
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", query, ""), ERR_OK);
    store_set_recorder(f->store, NULL);
}

static void days_that_are_none_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *query;
        enum err expect;
    } rows[] = {
        {"from=2024-02-29", ERR_OK},
        {"from=2100-02-28&to=2100-03-01", ERR_OK},
        {"from=2023-02-29", ERR_VALUE_INVALID},
        {"from=2100-02-29", ERR_VALUE_INVALID},
        {"from=2026-13-01", ERR_VALUE_INVALID},
        {"from=2026-00-01", ERR_VALUE_INVALID},
        {"from=2026-04-31", ERR_VALUE_INVALID},
        {"to=1969-12-31", ERR_VALUE_INVALID},
        {"to=2026-1-01", ERR_VALUE_INVALID},
        {"to=today", ERR_VALUE_INVALID},
        {"to=%zz", ERR_VALUE_INVALID},
        {"from=2026-11-24T23:00Z", ERR_OK},
        {"from=2026-11-24T24:00Z", ERR_VALUE_INVALID},
        {"from=2026-11-24T14:30Z", ERR_VALUE_INVALID},
        {"from=2026-11-24T14:00", ERR_VALUE_INVALID},
        {"from=2026-11-24T14Z", ERR_VALUE_INVALID},
        {"from=2026-11-24T14:00ZZ", ERR_VALUE_INVALID},
        {"from=2026-11-24T14:00:01Z", ERR_VALUE_INVALID},
        {"from=2026-11-25&to=2026-11-24", ERR_VALUE_INVALID},
        {"by=team,team", ERR_VALUE_INVALID},
        {"by=cost", ERR_VALUE_INVALID},
        {"by=team,,day", ERR_VALUE_INVALID},
        {"format=xml", ERR_VALUE_INVALID},
        {"limit=0", ERR_VALUE_INVALID},
        {"limit=250001", ERR_VALUE_INVALID},
        {"after=-1", ERR_VALUE_INVALID},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        if (ask(f, HTTP_GET, "/admin/v1/usage", rows[r].query, "") != rows[r].expect) {
            fail_msg("%s", rows[r].query);
        }
    }
}

static void a_reply_longer_than_its_buffer_is_an_error(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        add_usage(f, i, "k", "m", "u");
    }
    buf_fini(&f->reply);
    buf_init(&f->reply, 1000);
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", "by=day", ""), ERR_NO_MEMORY);
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", "by=day&to=1970-01-02", ""), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(usage_is_summed_by_what_is_asked_for_and_filtered),
        TEST(what_has_no_price_stands_with_what_has_one_and_currencies_stand_apart),
        TEST(cells_of_csv_are_quoted_and_no_formulas),
        TEST(names_are_told_where_they_are_asked_for),
        TEST(of_summed_up_days_nothing_is_told_by_the_hour),
        TEST(usage_of_a_key_that_is_not_there_is_refused),
        TEST(a_key_that_the_tables_lack_still_has_no_usage_and_is_there),
        TEST(days_that_are_none_are_refused),
        TEST(a_reply_longer_than_its_buffer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
