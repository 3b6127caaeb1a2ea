/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_fold_json.c — escapes are read as what they say, and each byte knows where from. */
#include "unit.h"

#include "text/text_escape.h"
#include "text/text_fold.h"

static const struct {
    const char *source, *text;
} rows[] = {
    {"plain", "plain"},
    {"a longer one without any", "a longer one without any"},
    {"\\u0661\\u0660", "10"},
    {"\\u0041\\uFF21b", "AAb"},
    {"x\\u200by", "xy"},
    {"\\u0647\\u0648", "\xd9\x87\xd9\x88"},
    {"\\ud83d\\ude00.", "\xf0\x9f\x98\x80."},
    {"\\ud835\\udfd9", "1"},
    {"\\\\u0041", "\\u0041"},
    {"\\\\\\u0041", "\\A"},
    {"a\\/b\\nc\\td\\\"", "a/b\nc\td\""},
    {"\\q\\u12\\u00g0\\", "\\q\\u12\\u00g0\\"},
    {"\\ud800x\\udc00\\ud800\\u0041", "\\ud800x\\udc00\\ud800A"},
    {"12345678\\u0041 and \xd9\xa1 too", "12345678A and 1 too"},
};

static void escapes_are_what_they_say(void **state)
{
    (void)state;
    struct text_fold f;
    text_fold_init(&f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(text_fold_json(&f, span_of(rows[i].source)), ERR_OK);
        if (!span_is(f.text, rows[i].text)) {
            print_error("%s: %.*s\n", rows[i].source, SPAN_ARGS(f.text));
        }
        assert_true(span_is(f.text, rows[i].text));
    }
    text_fold_fini(&f);
}

static void each_byte_knows_its_escape(void **state)
{
    (void)state;
    struct text_fold f;
    text_fold_init(&f);
    /* 0 a, 1 \u0661, 7 \u0647, 13 \ud83d\ude00, 25 b */
    assert_int_equal(text_fold_json(&f, SPAN("a\\u0661\\u0647\\ud83d\\ude00b")), ERR_OK);
    static const size_t begins[] = {0, 1, 7, 7, 13, 13, 13, 13, 25, 26};
    static const size_t ends[] = {1, 7, 13, 13, 25, 25, 25, 25, 26};
    assert_int_equal(f.text.len, 9);
    for (size_t i = 0; i < f.text.len; i++) {
        assert_int_equal(text_fold_begin(&f, i), begins[i]);
        assert_int_equal(text_fold_end(&f, i + 1), ends[i]);
    }
    assert_int_equal(text_fold_begin(&f, f.text.len), begins[9]);
    assert_int_equal(text_fold_find(&f, 8), 4);
    text_fold_fini(&f);
}

static void no_escape_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t whole;
    } cuts[] = {{"ab\\", 2},         {"ab\\\\", 4},       {"\\u", 0},
                {"\\u066", 0},       {"\\u0661", 6},      {"\\ud83d", 0},
                {"\\ud83d\\", 0},    {"\\ud83d\\ude0", 0}, {"\\ud83d\\ude00", 12},
                {"\\ud83dx", 7},     {"\\ud83d\\n", 8},   {"\\\\\\", 2},
                {"\\u0661\xd9", 6}, {"\\ux", 3},         {"", 0}};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        assert_int_equal(text_fold_whole_json(span_of(cuts[i].text)), cuts[i].whole);
    }
}

static void a_value_is_undone(void **state)
{
    (void)state;
    uint8_t out[32];
    assert_int_equal(text_escape_undo(SPAN("\\u0661\\\"\\ud800\\q"), out), 11);
    assert_memory_equal(out, "\xd9\xa1\"\\ud800\\q", 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_what_they_say),
        cmocka_unit_test(each_byte_knows_its_escape),
        cmocka_unit_test(no_escape_is_cut),
        cmocka_unit_test(a_value_is_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
