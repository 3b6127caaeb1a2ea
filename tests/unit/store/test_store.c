/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c — what a store promises, asked of every driver. */
#include "unit.h"

#include "store/store_fixture.h"

STORE_STARTS(NULL)

static uint64_t revision_of(struct store *s)
{
    uint64_t revision;
    assert_int_equal(store_revision(s, &revision), ERR_OK);
    return revision;
}

static uint64_t sequence_of(struct store *s)
{
    uint64_t sequence;
    assert_int_equal(store_sequence(s, &sequence), ERR_OK);
    return sequence;
}

static void a_key_comes_back_as_it_was_put(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_key_insert(s, &key), ERR_OK);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK);
    store_fixture_same_key(&found, &key);
    assert_int_equal(store_fixture_find(s, SPAN("aaaaAAAA0001"), &found), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_fixture_find(s, SPAN("AAAAaaaa000"), &found), ERR_NOT_FOUND_ROW);
}

static void the_same_id_is_refused_and_the_first_key_stays(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    assert_int_equal(store_key_insert(s, &key), ERR_OK);
    key.name = SPAN("another");
    assert_int_equal(store_key_insert(s, &key), ERR_EXISTS);
    assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK);
    assert_false(span_is(found.name, "another"));
    assert_int_equal(revision_of(s), 1);
}

static void keys_that_the_table_cannot_hold_are_refused(void **state)
{
    struct store *s = store_of(state);
    static char name[STORE_TEXT_MAX + 2];
    memset(name, 'n', sizeof(name) - 1);
    static const struct {
        const char *id;
        size_t name_len;
        enum err expect;
    } rows[] = {
        {"AAAAaaaa0001", 0, ERR_OK},
        {"AAAAaaaa0002", STORE_TEXT_MAX, ERR_OK},
        {"AAAAaaaa0003", STORE_TEXT_MAX + 1, ERR_VALUE_INVALID},
        {"AAAAaaaa000", 1, ERR_VALUE_INVALID},
        {"AAAAaaaa00004", 1, ERR_VALUE_INVALID},
        {"", 1, ERR_VALUE_INVALID},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct store_key key = store_fixture_key("AAAAaaaa0000"), found;
        key.id = span_of(rows[r].id);
        key.name = span_make(name, rows[r].name_len);
        assert_int_equal(store_key_insert(s, &key), rows[r].expect);
        if (rows[r].expect == ERR_OK) {
            assert_int_equal(store_fixture_find(s, key.id, &found), ERR_OK);
            assert_true(span_equal(found.name, key.name));
        }
    }
    struct store_key key = store_fixture_key("AAAAaaaa0009");
    key.name = span_make("a\0b", 3);
    assert_int_equal(store_key_insert(s, &key), ERR_VALUE_INVALID);
}

static const struct store_page all_keys = {.limit = INT64_MAX};

struct heard {
    size_t count, stop_at;
    char ids[8][13];
};

static enum err hear_key(void *context, const void *row)
{
    const struct store_key *key = row;
    struct heard *heard = context;
    if (heard->count == heard->stop_at) {
        return ERR_OVERLOADED;
    }
    span_copy_text(key->id, heard->ids[heard->count++], 13);
    return ERR_OK;
}

static void keys_are_listed_in_the_order_of_insertion(void **state)
{
    struct store *s = store_of(state);
    static const char *const ids[] = {"cccccccccccc", "aaaaaaaaaaaa", "bbbbbbbbbbbb"};
    struct heard heard = {.stop_at = 8};
    assert_int_equal(store_key_page(s, STORE_INDEX_KEY_BY_NUMBER, &all_keys, hear_key, &heard),
                     ERR_OK);
    assert_int_equal(heard.count, 0);
    for (size_t i = 0; i < ROWS(ids); i++) {
        struct store_key key = store_fixture_key(ids[i]);
        assert_int_equal(store_key_insert(s, &key), ERR_OK);
    }
    assert_int_equal(store_key_page(s, STORE_INDEX_KEY_BY_NUMBER, &all_keys, hear_key, &heard),
                     ERR_OK);
    assert_int_equal(heard.count, 3);
    for (size_t i = 0; i < ROWS(ids); i++) {
        assert_string_equal(heard.ids[i], ids[i]);
    }
    struct heard cut = {.stop_at = 1};
    assert_int_equal(store_key_page(s, STORE_INDEX_KEY_BY_NUMBER, &all_keys, hear_key, &cut),
                     ERR_OVERLOADED);
    assert_int_equal(cut.count, 1);
    assert_int_equal(store_key_page(s, STORE_INDEX_KEY_BY_NUMBER, &all_keys, hear_key,
                                    &(struct heard){.stop_at = 8}),
                     ERR_OK);
}

static void a_batch_is_kept_or_undone_as_a_whole(void **state)
{
    struct store *s = store_of(state);
    struct store_key first = store_fixture_key("AAAAaaaa0001"), found;
    struct store_key second = store_fixture_key("AAAAaaaa0002");
    assert_int_equal(store_begin(s, STORE_SYNC_NOW), ERR_OK);
    assert_int_equal(store_key_insert(s, &first), ERR_OK);
    assert_int_equal(store_journal_set(s, 41, some_head), ERR_OK);
    assert_int_equal(store_key_insert(s, &first), ERR_EXISTS); /* an answer, not the batch's end */
    assert_int_equal(store_commit(s), ERR_OK);

    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_key_insert(s, &second), ERR_OK);
    assert_int_equal(store_fixture_revoke(s, first.id, 9), ERR_OK);
    assert_int_equal(store_journal_set(s, 42, some_head), ERR_OK);
    assert_int_equal(sequence_of(s), 42); /* a batch sees itself */
    store_rollback(s);
    store_rollback(s);

    assert_int_equal(store_fixture_find(s, second.id, &found), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_fixture_find(s, first.id, &found), ERR_OK);
    assert_int_equal(found.revoked.us, 0);
    assert_int_equal(sequence_of(s), 41);
    assert_int_equal(revision_of(s), 1);
}

/* A batch's result, as text: "hour key model upstream calls/interrupted/failed/estimated …". */
static enum err hear_usage(void *context, const struct store_usage *u)
{
    char *text = context;
    size_t len = strlen(text);
    (void)snprintf(text + len, 2000 - len, "%d %.*s %.*s %.*s %ld/%ld/%ld/%ld %ld/%ld %ld/%ld %ld|",
                   u->hour, SPAN_ARGS(u->key_id), SPAN_ARGS(u->model), SPAN_ARGS(u->upstream),
                   (long)u->calls, (long)u->interrupted, (long)u->failed, (long)u->estimated,
                   (long)u->tokens_in, (long)u->tokens_out, (long)u->bytes_in, (long)u->bytes_out,
                   (long)u->cost_nano);
    return ERR_OK;
}

static struct store_usage usage_row(int32_t hour, const char *key, const char *model,
                                    const char *upstream)
{
    return (struct store_usage){.hour = hour,
                                .key_id = span_of(key),
                                .model = span_of(model),
                                .upstream = span_of(upstream),
                                .calls = 1,
                                .interrupted = 2,
                                .failed = 3,
                                .refused = 1,
                                .estimated = 4,
                                .tokens_in = 5,
                                .tokens_out = 6,
                                .bytes_in = 7,
                                .bytes_out = 8,
                                .cost_nano = INT64_C(5000000000)};
}

static void add_usage(struct store *s, const struct store_usage *rows, size_t count)
{
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(store_usage_add(s, &rows[i]), ERR_OK);
    }
    assert_int_equal(store_commit(s), ERR_OK);
}

static void usage_adds_up_per_hour_and_name(void **state)
{
    struct store *s = store_of(state);
    const struct store_usage rows[] = {
        usage_row(20781, "k2", "m", "u"), usage_row(20781, "k1", "m", "u"),
        usage_row(20780, "k9", "m", "u"), usage_row(20781, "k1", "m", "u"),
        usage_row(20781, "k1", "m", "t"), usage_row(20781, "k1", "l/x", "u"),
        usage_row(20781, "", "", ""),
    };
    add_usage(s, rows, ROWS(rows));
    static const struct {
        struct store_usage_filter filter;
        const char *expect;
    } asked[] = {
        {{.from = INT32_MIN, .to = INT32_MAX},
         "20780 k9 m u 1/2/3/4 5/6 7/8 5000000000|20781    1/2/3/4 5/6 7/8 5000000000|"
         "20781 k1 l/x u 1/2/3/4 5/6 7/8 5000000000|20781 k1 m t 1/2/3/4 5/6 7/8 5000000000|"
         "20781 k1 m u 2/4/6/8 10/12 14/16 10000000000|20781 k2 m u 1/2/3/4 5/6 7/8 5000000000|"},
        {{.from = 20780, .to = 20781}, "20780 k9 m u 1/2/3/4 5/6 7/8 5000000000|"},
        {{.from = 20781, .to = INT32_MAX, .key_id = {(const uint8_t *)"k2", 2}},
         "20781 k2 m u 1/2/3/4 5/6 7/8 5000000000|"},
        {{.from = INT32_MIN, .to = INT32_MAX, .model = {(const uint8_t *)"l/x", 3}},
         "20781 k1 l/x u 1/2/3/4 5/6 7/8 5000000000|"},
        {{.from = 20782, .to = INT32_MAX}, ""},
    };
    for (size_t r = 0; r < ROWS(asked); r++) {
        char text[2000] = "";
        assert_int_equal(store_usage_list(s, &asked[r].filter, hear_usage, text), ERR_OK);
        assert_string_equal(text, asked[r].expect);
    }
}

struct named {
    size_t rows;
    int64_t calls, other;
};

static enum err hear_named(void *context, const struct store_usage *sums)
{
    struct named *named = context;
    named->rows++;
    named->calls += sums->calls;
    named->other += span_is(sums->model, STORE_USAGE_OTHER_NAMES) ? sums->calls : 0;
    return ERR_OK;
}

static void names_that_a_caller_invents_make_a_bounded_number_of_rows(void **state)
{
    struct store *s = store_of(state);
    const struct store_usage_filter all = {.from = INT32_MIN, .to = INT32_MAX};
    const size_t invented = STORE_USAGE_NAMES_MAX + 100;
    struct named named = {0};
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < invented; i++) {
            char model[16];
            (void)snprintf(model, sizeof(model), "m%zu", i);
            const struct store_usage row = {
                .key_id = SPAN("k"), .model = span_of(model), .upstream = SPAN("u"), .calls = 1};
            assert_int_equal(store_usage_add(s, &row), ERR_OK);
        }
    }
    const struct store_usage others[] = {
        {.key_id = SPAN("another key"), .model = SPAN("m"), .upstream = SPAN("u"), .calls = 1},
        {.team = SPAN("t"),
         .key_id = SPAN("k"),
         .model = SPAN("m"),
         .upstream = SPAN("u"),
         .calls = 1},
        {.hour = 1, .key_id = SPAN("k"), .model = SPAN("m"), .upstream = SPAN("u"), .calls = 1},
    };
    for (size_t i = 0; i < ROWS(others); i++) {
        assert_int_equal(store_usage_add(s, &others[i]), ERR_OK);
    }
    assert_int_equal(store_commit(s), ERR_OK);
    assert_int_equal(store_usage_list(s, &all, hear_named, &named), ERR_OK);
    assert_int_equal(named.rows, STORE_USAGE_NAMES_MAX + 1 + ROWS(others));
    assert_int_equal(named.calls, 2 * invented + ROWS(others));
    assert_int_equal(named.other, 2 * (invented - STORE_USAGE_NAMES_MAX));
}

static void usage_that_was_undone_is_not_counted(void **state)
{
    struct store *s = store_of(state);
    const struct store_usage row = usage_row(1, "k", "m", "u");
    add_usage(s, &row, 1);
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_usage_add(s, &row), ERR_OK);
    store_rollback(s);
    char text[2000] = "";
    const struct store_usage_filter all = {.from = INT32_MIN, .to = INT32_MAX};
    assert_int_equal(store_usage_list(s, &all, hear_usage, text), ERR_OK);
    assert_string_equal(text, "1 k m u 1/2/3/4 5/6 7/8 5000000000|");
}

static struct store_open_call open_call(uint8_t id, uint32_t attempt, uint64_t sequence)
{
    struct store_open_call call = {.attempt = attempt, .sequence = sequence};
    memset(call.id, id, sizeof(call.id));
    return call;
}

static enum err hear_call(void *context, const void *row)
{
    const struct store_open_call *call = row;
    char *text = context;
    size_t len = strlen(text);
    (void)snprintf(text + len, 2000 - len, "%d/%u %lu|", call->id[15], call->attempt,
                   (unsigned long)call->sequence);
    return ERR_OK;
}

static void expect_calls(struct store *s, enum store_index_of_open_call order, const char *expect)
{
    const struct store_page all = {.limit = INT64_MAX};
    char text[2000] = "";
    assert_int_equal(store_open_call_page(s, order, &all, hear_call, text), ERR_OK);
    assert_string_equal(text, expect);
}

static void an_open_try_is_taken_once(void **state)
{
    struct store *s = store_of(state);
    struct store_open_call put[] = {open_call(1, 1, 30), open_call(2, 1, 10), open_call(1, 2, 40),
                                    open_call(0, 1, 20)};
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    for (size_t i = 0; i < ROWS(put); i++) {
        assert_int_equal(store_open_call_put(s, &put[i]), ERR_OK);
    }
    assert_int_equal(store_commit(s), ERR_OK);
    expect_calls(s, STORE_INDEX_OPEN_CALL_BY_SEQUENCE, "2/1 10|0/1 20|1/1 30|1/2 40|");
    expect_calls(s, STORE_INDEX_OPEN_CALL_BY_ID, "0/1 20|1/1 30|1/2 40|2/1 10|");

    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_open_call_delete(s, &put[0]), ERR_OK);
    assert_int_equal(store_open_call_delete(s, &put[0]), ERR_NOT_FOUND_ROW);
    store_rollback(s);

    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_open_call_delete(s, &put[0]), ERR_OK);
    assert_int_equal(store_commit(s), ERR_OK);
    expect_calls(s, STORE_INDEX_OPEN_CALL_BY_SEQUENCE, "2/1 10|0/1 20|1/2 40|");
}

static void a_store_remembers_which_journal_it_has_seen(void **state)
{
    struct store *s = store_of(state);
    uint8_t head[STORE_HEAD_BYTES], found[STORE_HEAD_BYTES];
    static const uint8_t none[STORE_HEAD_BYTES];
    char origin[STORE_TEXT_MAX + 1];
    uint64_t sequence;
    memset(head, 0xa9, sizeof(head));
    assert_int_equal(store_origin(s, origin), ERR_OK);
    assert_string_equal(origin, "");
    assert_int_equal(store_journal_head(s, found), ERR_OK);
    assert_memory_equal(found, none, sizeof(found));
    assert_int_equal(store_begin(s, STORE_SYNC_NOW), ERR_OK);
    assert_int_equal(store_origin_set(s, SPAN("its name")), ERR_OK);
    assert_int_equal(store_journal_set(s, 7, head), ERR_OK);
    assert_int_equal(store_commit(s), ERR_OK);
    assert_int_equal(store_origin(s, origin), ERR_OK);
    assert_string_equal(origin, "its name");
    assert_int_equal(store_journal_head(s, found), ERR_OK);
    assert_memory_equal(found, head, sizeof(found));
    assert_int_equal(store_sequence(s, &sequence), ERR_OK);
    assert_int_equal(sequence, 7);
}

static void hours_are_those_of_utc(void **state)
{
    (void)state;
    assert_int_equal(store_hour((wall_us){0}), 0);
    assert_int_equal(store_hour((wall_us){-1}), 0);
    assert_int_equal(store_hour((wall_us){INT64_MIN}), 0);
    assert_int_equal(store_hour((wall_us){INT64_C(253402300799999999)}), STORE_HOUR_MAX);
    assert_int_equal(store_hour((wall_us){INT64_MAX}), STORE_HOUR_MAX);
    assert_int_equal(store_hour((wall_us){INT64_C(3599999999)}), 0);
    assert_int_equal(store_hour((wall_us){INT64_C(3600000000)}), 1);
    assert_int_equal(store_hour((wall_us){INT64_C(1795489200123456)}), 20781 * 24 + 3);
    assert_int_equal(store_day_hour(20781 * 24 + 3), 20781 * 24);
    assert_int_equal(store_day_hour(20781 * 24), 20781 * 24);
    assert_int_equal(store_day_hour(-1), -24);
}

static void a_driver_that_is_none_is_refused(void **state)
{
    (void)state;
    struct store *s = NULL;
    const struct store_settings settings = {.driver = "oracle", .path = "x", .busy_ms = 0};
    assert_int_equal(store_open(&settings, &s), ERR_CONFIG);
    assert_null(s);
    store_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_key_comes_back_as_it_was_put),
        ON_BOTH(the_same_id_is_refused_and_the_first_key_stays),
        ON_BOTH(keys_that_the_table_cannot_hold_are_refused),
        ON_BOTH(keys_are_listed_in_the_order_of_insertion),
        ON_BOTH(a_batch_is_kept_or_undone_as_a_whole),
        ON_BOTH(usage_adds_up_per_hour_and_name),
        ON_BOTH(names_that_a_caller_invents_make_a_bounded_number_of_rows),
        ON_BOTH(usage_that_was_undone_is_not_counted),
        ON_BOTH(an_open_try_is_taken_once),
        ON_BOTH(a_store_remembers_which_journal_it_has_seen),
        cmocka_unit_test(hours_are_those_of_utc),
        cmocka_unit_test(a_driver_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
