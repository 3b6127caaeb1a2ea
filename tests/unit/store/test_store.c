/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c — what a store promises, asked of every driver. */
#include "unit.h"

#include "store/store_fixture.h"

static int start_with(void **state, const char *driver)
{
    static struct store_fixture f;
    store_fixture_init(&f, driver);
    store_fixture_open(&f);
    *state = &f;
    return 0;
}

static int start_sqlite(void **state)
{
    return start_with(state, "sqlite");
}

static int start_memory(void **state)
{
    return start_with(state, "memory");
}

static int stop(void **state)
{
    store_fixture_fini(*state);
    return 0;
}

static struct store *store_of(void **state)
{
    return ((struct store_fixture *)*state)->store;
}

static uint64_t revision_of(struct store *s)
{
    uint64_t revision;
    assert_int_equal(store_key_revision(s, &revision), ERR_OK);
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
    assert_int_equal(store_key_find(s, key.id, &found), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_key_insert(s, &key), ERR_OK);
    assert_int_equal(store_key_find(s, key.id, &found), ERR_OK);
    store_fixture_same_key(&found, &key);
    assert_int_equal(store_key_find(s, SPAN("aaaaAAAA0001"), &found), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_key_find(s, SPAN("AAAAaaaa000"), &found), ERR_NOT_FOUND_ROW);
}

static void the_same_id_is_refused_and_the_first_key_stays(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    assert_int_equal(store_key_insert(s, &key), ERR_OK);
    key.name = SPAN("another");
    assert_int_equal(store_key_insert(s, &key), ERR_EXISTS);
    assert_int_equal(store_key_find(s, key.id, &found), ERR_OK);
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
            assert_int_equal(store_key_find(s, key.id, &found), ERR_OK);
            assert_true(span_equal(found.name, key.name));
        }
    }
    struct store_key key = store_fixture_key("AAAAaaaa0009");
    key.name = span_make("a\0b", 3);
    assert_int_equal(store_key_insert(s, &key), ERR_VALUE_INVALID);
}

static void a_revocation_is_kept_once(void **state)
{
    struct store *s = store_of(state);
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    assert_int_equal(store_key_revoke(s, key.id, (wall_us){7}), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_key_insert(s, &key), ERR_OK);
    assert_int_equal(store_key_revoke(s, key.id, (wall_us){7}), ERR_OK);
    assert_int_equal(store_key_revoke(s, key.id, (wall_us){8}), ERR_OK);
    assert_int_equal(store_key_revoke(s, SPAN("AAAAaaaa"), (wall_us){8}), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_key_find(s, key.id, &found), ERR_OK);
    assert_int_equal(found.revoked.us, 7);
    assert_int_equal(revision_of(s), 2);
}

struct heard {
    size_t count, stop_at;
    char ids[8][13];
};

static enum err hear_key(void *context, const struct store_key *key)
{
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
    assert_int_equal(store_key_list(s, hear_key, &heard), ERR_OK);
    assert_int_equal(heard.count, 0);
    for (size_t i = 0; i < ROWS(ids); i++) {
        struct store_key key = store_fixture_key(ids[i]);
        assert_int_equal(store_key_insert(s, &key), ERR_OK);
    }
    assert_int_equal(store_key_list(s, hear_key, &heard), ERR_OK);
    assert_int_equal(heard.count, 3);
    for (size_t i = 0; i < ROWS(ids); i++) {
        assert_string_equal(heard.ids[i], ids[i]);
    }
    struct heard cut = {.stop_at = 1};
    assert_int_equal(store_key_list(s, hear_key, &cut), ERR_OVERLOADED);
    assert_int_equal(cut.count, 1);
    assert_int_equal(store_key_list(s, hear_key, &(struct heard){.stop_at = 8}), ERR_OK);
}

static void a_batch_is_kept_or_undone_as_a_whole(void **state)
{
    struct store *s = store_of(state);
    struct store_key first = store_fixture_key("AAAAaaaa0001"), found;
    struct store_key second = store_fixture_key("AAAAaaaa0002");
    assert_int_equal(store_begin(s, STORE_SYNC_NOW), ERR_OK);
    assert_int_equal(store_key_insert(s, &first), ERR_OK);
    assert_int_equal(store_sequence_set(s, 41), ERR_OK);
    assert_int_equal(store_key_insert(s, &first), ERR_EXISTS); /* an answer, not the batch's end */
    assert_int_equal(store_commit(s), ERR_OK);

    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_key_insert(s, &second), ERR_OK);
    assert_int_equal(store_key_revoke(s, first.id, (wall_us){9}), ERR_OK);
    assert_int_equal(store_sequence_set(s, 42), ERR_OK);
    assert_int_equal(sequence_of(s), 42); /* a batch sees itself */
    store_rollback(s);
    store_rollback(s);

    assert_int_equal(store_key_find(s, second.id, &found), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_key_find(s, first.id, &found), ERR_OK);
    assert_int_equal(found.revoked.us, 0);
    assert_int_equal(sequence_of(s), 41);
    assert_int_equal(revision_of(s), 1);
}

/* A batch's result, as text: "day key model upstream calls/interrupted/failed/estimated …". */
static enum err hear_usage(void *context, const struct store_usage *u)
{
    char *text = context;
    size_t len = strlen(text);
    (void)snprintf(text + len, 2000 - len, "%d %.*s %.*s %.*s %ld/%ld/%ld/%ld %ld/%ld %ld/%ld %ld|",
                   u->day, SPAN_ARGS(u->key_id), SPAN_ARGS(u->model), SPAN_ARGS(u->upstream),
                   (long)u->calls, (long)u->interrupted, (long)u->failed, (long)u->estimated,
                   (long)u->tokens_in, (long)u->tokens_out, (long)u->bytes_in, (long)u->bytes_out,
                   (long)u->cost_microusd);
    return ERR_OK;
}

static struct store_usage usage_row(int32_t day, const char *key, const char *model,
                                    const char *upstream)
{
    return (struct store_usage){.day = day,
                                .key_id = span_of(key),
                                .model = span_of(model),
                                .upstream = span_of(upstream),
                                .calls = 1,
                                .interrupted = 2,
                                .failed = 3,
                                .estimated = 4,
                                .tokens_in = 5,
                                .tokens_out = 6,
                                .bytes_in = 7,
                                .bytes_out = 8,
                                .cost_microusd = INT64_C(5000000000)};
}

static void add_usage(struct store *s, const struct store_usage *rows, size_t count)
{
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(store_usage_add(s, &rows[i]), ERR_OK);
    }
    assert_int_equal(store_commit(s), ERR_OK);
}

static void usage_adds_up_per_day_key_model_and_upstream(void **state)
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
        {{INT32_MIN, INT32_MAX, {0}, {0}},
         "20780 k9 m u 1/2/3/4 5/6 7/8 5000000000|20781    1/2/3/4 5/6 7/8 5000000000|"
         "20781 k1 l/x u 1/2/3/4 5/6 7/8 5000000000|20781 k1 m t 1/2/3/4 5/6 7/8 5000000000|"
         "20781 k1 m u 2/4/6/8 10/12 14/16 10000000000|20781 k2 m u 1/2/3/4 5/6 7/8 5000000000|"},
        {{20780, 20780, {0}, {0}}, "20780 k9 m u 1/2/3/4 5/6 7/8 5000000000|"},
        {{20781, INT32_MAX, {(const uint8_t *)"k2", 2}, {0}},
         "20781 k2 m u 1/2/3/4 5/6 7/8 5000000000|"},
        {{INT32_MIN, INT32_MAX, {0}, {(const uint8_t *)"l/x", 3}},
         "20781 k1 l/x u 1/2/3/4 5/6 7/8 5000000000|"},
        {{20782, INT32_MAX, {0}, {0}}, ""},
    };
    for (size_t r = 0; r < ROWS(asked); r++) {
        char text[2000] = "";
        assert_int_equal(store_usage_list(s, &asked[r].filter, hear_usage, text), ERR_OK);
        assert_string_equal(text, asked[r].expect);
    }
}

static enum err hear_name(void *context, const struct store_usage *u)
{
    span_copy_text(u->key_name, context, 64);
    return ERR_OK;
}

static void usage_names_the_key_while_there_is_one(void **state)
{
    struct store *s = store_of(state);
    const struct store_usage row = usage_row(1, "AAAAaaaa0001", "m", "u");
    const struct store_usage_filter all = {INT32_MIN, INT32_MAX, {0}, {0}};
    struct store_key key = store_fixture_key("AAAAaaaa0001");
    char name[64] = "?";
    add_usage(s, &row, 1);
    assert_int_equal(store_usage_list(s, &all, hear_name, name), ERR_OK);
    assert_string_equal(name, "");
    assert_int_equal(store_key_insert(s, &key), ERR_OK);
    assert_int_equal(store_usage_list(s, &all, hear_name, name), ERR_OK);
    assert_true(span_is(key.name, name));
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
    const struct store_usage_filter all = {INT32_MIN, INT32_MAX, {0}, {0}};
    assert_int_equal(store_usage_list(s, &all, hear_usage, text), ERR_OK);
    assert_string_equal(text, "1 k m u 1/2/3/4 5/6 7/8 5000000000|");
}

static struct store_open_call open_call(uint8_t id, uint64_t sequence, const char *upstream)
{
    struct store_open_call call = {.key_id = SPAN("k"),
                                   .model = SPAN("m"),
                                   .upstream = span_of(upstream),
                                   .started = {INT64_C(1795489200123456)},
                                   .sequence = sequence,
                                   .attempt = 2,
                                   .bytes_in = 3,
                                   .reserved_tokens_in = 4,
                                   .reserved_tokens_out = 5,
                                   .reserved_microusd = INT64_C(6000000000)};
    memset(call.id, id, sizeof(call.id));
    return call;
}

static enum err hear_call(void *context, const struct store_open_call *call)
{
    char *text = context;
    size_t len = strlen(text);
    (void)snprintf(text + len, 2000 - len, "%d %lu %.*s|", call->id[15],
                   (unsigned long)call->sequence, SPAN_ARGS(call->upstream));
    return ERR_OK;
}

static void an_open_call_is_taken_once(void **state)
{
    struct store *s = store_of(state);
    const struct store_open_call put[] = {open_call(1, 30, "u"), open_call(2, 10, "v"),
                                          open_call(1, 40, "w"), open_call(0, 20, "x")};
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    for (size_t i = 0; i < ROWS(put); i++) {
        assert_int_equal(store_open_call_put(s, &put[i]), ERR_OK);
    }
    assert_int_equal(store_commit(s), ERR_OK);
    char text[2000] = "";
    assert_int_equal(store_open_call_list(s, hear_call, text), ERR_OK);
    assert_string_equal(text, "2 10 v|0 20 x|1 40 w|");

    struct store_open_call taken;
    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_open_call_take(s, put[0].id, &taken), ERR_OK);
    assert_memory_equal(taken.id, put[0].id, sizeof(taken.id));
    assert_true(span_is(taken.key_id, "k") && span_is(taken.model, "m"));
    assert_true(span_is(taken.upstream, "w"));
    assert_int_equal(taken.started.us, INT64_C(1795489200123456));
    assert_int_equal(taken.sequence, 40);
    assert_int_equal(taken.attempt, 2);
    assert_int_equal(taken.bytes_in, 3);
    assert_int_equal(taken.reserved_tokens_in, 4);
    assert_int_equal(taken.reserved_tokens_out, 5);
    assert_int_equal(taken.reserved_microusd, INT64_C(6000000000));
    assert_int_equal(store_open_call_take(s, put[0].id, &taken), ERR_NOT_FOUND_ROW);
    store_rollback(s);

    assert_int_equal(store_begin(s, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_open_call_take(s, put[0].id, &taken), ERR_OK);
    assert_int_equal(store_commit(s), ERR_OK);
    text[0] = '\0';
    assert_int_equal(store_open_call_list(s, hear_call, text), ERR_OK);
    assert_string_equal(text, "2 10 v|0 20 x|");
}

static void days_are_those_of_utc(void **state)
{
    (void)state;
    assert_int_equal(store_day((wall_us){0}), 0);
    assert_int_equal(store_day((wall_us){-1}), -1);
    assert_int_equal(store_day((wall_us){INT64_C(86399999999)}), 0);
    assert_int_equal(store_day((wall_us){INT64_C(86400000000)}), 1);
    assert_int_equal(store_day((wall_us){INT64_C(1795489200123456)}), 20781);
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

#define ON_BOTH(name)                                     \
    {#name " (sqlite)", name, start_sqlite, stop, NULL},  \
    {                                                     \
#name " (memory)", name, start_memory, stop, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_key_comes_back_as_it_was_put),
        ON_BOTH(the_same_id_is_refused_and_the_first_key_stays),
        ON_BOTH(keys_that_the_table_cannot_hold_are_refused),
        ON_BOTH(a_revocation_is_kept_once),
        ON_BOTH(keys_are_listed_in_the_order_of_insertion),
        ON_BOTH(a_batch_is_kept_or_undone_as_a_whole),
        ON_BOTH(usage_adds_up_per_day_key_model_and_upstream),
        ON_BOTH(usage_names_the_key_while_there_is_one),
        ON_BOTH(usage_that_was_undone_is_not_counted),
        ON_BOTH(an_open_call_is_taken_once),
        cmocka_unit_test(days_are_those_of_utc),
        cmocka_unit_test(a_driver_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
