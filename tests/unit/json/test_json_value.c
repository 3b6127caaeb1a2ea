/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_value.c — keys, texts and numbers mean what any other reader would say. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"
#include "json/json_value.h"

static struct json_index x;

static int open_index(void **state)
{
    (void)state;
    json_index_init(&x, 1000000, 64);
    return 0;
}

static int close_index(void **state)
{
    (void)state;
    json_index_fini(&x);
    return 0;
}

static void parse(const char *text)
{
    if (json_index_parse_borrow(&x, span_of(text)) != ERR_OK) {
        fail_msg("not JSON at %zu: %s", x.error_at, text);
    }
}

static void members_are_found_by_their_unescaped_keys(void **state)
{
    (void)state;
    parse("{\"a\":1,\"mod\\u0065l\":\"m\",\"\\u00e9\\ud83d\\ude00\":2,\"a\\\"\":3,\"\":4,"
          "\"o\":{\"model\":5},\"model\":6}");
    assert_true(span_is(json_source(&x, json_find(&x, 0, SPAN("model"))), "\"m\""));
    assert_true(span_is(json_source(&x, json_find(&x, 0, SPAN("\xc3\xa9\xf0\x9f\x98\x80"))), "2"));
    assert_true(span_is(json_source(&x, json_find(&x, 0, SPAN("a\""))), "3"));
    assert_true(span_is(json_source(&x, json_find(&x, 0, SPAN(""))), "4"));
    assert_int_equal(json_find(&x, 0, SPAN("mode")), JSON_NONE);
    assert_int_equal(json_find(&x, 0, SPAN("models")), JSON_NONE);
    assert_int_equal(json_find(&x, 0, SPAN("mod\\u0065l")), JSON_NONE);
    uint32_t inner = json_find(&x, 0, SPAN("o"));
    assert_true(span_is(json_source(&x, json_find(&x, inner, SPAN("model"))), "5"));
    uint32_t key = json_find_key(&x, 0, SPAN("model"));
    assert_int_equal(json_kind(&x, key), JSON_KEY);
    assert_int_equal(json_find(&x, json_value(&x, key), SPAN("a")), JSON_NONE);
    assert_int_equal(json_count(&x, 0), 7);
    assert_int_equal(json_count(&x, key), 0);
}

static void duplicate_keys_are_found_however_they_are_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *key; /* the repeating key as written, or NULL */
    } rows[] = {
        {"{}", NULL},
        {"[1,1]", NULL},
        {"{\"a\":1}", NULL},
        {"{\"a\":1,\"b\":1,\"A\":1}", NULL},
        {"{\"a\":1,\"b\":1,\"a\":2}", "\"a\""},
        {"{\"a\":1,\"\\u0061\":2}", "\"\\u0061\""},
        {"{\"\\u0061\":1,\"a\":2}", "\"a\""},
        {"{\"\":1,\"\":2}", "\"\""},
        {"{\"/\":1,\"\\/\":2}", "\"\\/\""},
        {"{\"a\":{\"b\":1,\"b\":1},\"b\":1}", NULL},
        {"{\"\\ud800\":1,\"\\udfff\":1}", "\"\\udfff\""},
        {"{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,"
         "\"l\":1,\"m\":1,\"n\":1,\"o\":1,\"p\":1,\"q\":1}",
         NULL},
        {"{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,"
         "\"l\":1,\"m\":1,\"n\":1,\"o\":1,\"p\":1,\"q\":1,\"c\":[]}",
         "\"c\""},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        parse(rows[r].text);
        uint32_t key;
        assert_int_equal(json_first_duplicate(&x, 0, &key), ERR_OK);
        bool right = rows[r].key == NULL
                         ? key == JSON_NONE
                         : key != JSON_NONE && span_is(json_source(&x, key), rows[r].key);
        if (!right) {
            fail_msg("%s: row %u", rows[r].text, key);
        }
    }
}

/* The text of an object with `count` different keys, every third of them written with an escape,
 * and then the first once more if `repeat`. */
static void put_keys(struct buf *out, int count, bool repeat)
{
    buf_clear(out);
    buf_put_byte(out, '{');
    for (int i = 0; i < count; i++) {
        buf_printf(out, i % 3 == 0 ? "\"\\u006bey%d\":0," : "\"key%d\":0,", i);
    }
    buf_put_text(out, repeat ? "\"key0\":1}" : "\"other\":1}");
}

static void a_hundred_thousand_keys_are_compared_in_no_time(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 24);
    for (int repeat = 0; repeat < 2; repeat++) {
        put_keys(&text, 100000, repeat != 0);
        assert_int_equal(json_index_parse_borrow(&x, buf_span(&text)), ERR_OK);
        uint32_t key;
        assert_int_equal(json_first_duplicate(&x, 0, &key), ERR_OK); /* quadratic: minutes */
        assert_int_equal(key, repeat != 0 ? x.count - 2 : JSON_NONE);
    }
    buf_fini(&text);
}

static void texts_are_read_unescaped(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says; /* what it says, U+FFFD for halves */
        size_t halves;
    } rows[] = {
        {"\"\"", "", 0},
        {"\"plain \xd8\xb3\"", "plain \xd8\xb3", 0},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 0},
        {"\"a\\u0041\\u00e9\\u20AC\\ud83D\\uDE00z\"", "aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z", 0},
        {"\"\\ud800\"", "\xef\xbf\xbd", 1},
        {"\"\\udc00\"", "\xef\xbf\xbd", 1},
        {"\"\\ud800x\"", "\xef\xbf\xbdx", 1},
        {"\"\\ud800\\n\"", "\xef\xbf\xbd\n", 1},
        {"\"\\ud800\\u0041\"", "\xef\xbf\xbd\x41", 1},
        {"\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", 1},
        {"\"\\udc00\\ud800\"", "\xef\xbf\xbd\xef\xbf\xbd", 2},
        {"\"\\uD7FF\\uE000\\uFFFF\"", "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 0},
        {"\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf", 0},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        parse(rows[r].text);
        uint8_t said[64];
        size_t halves;
        size_t len = json_unescape(&x, 0, said, &halves);
        assert_true(len <= json_inside(&x, 0).len && halves == rows[r].halves);
        if (!span_is(span_make(said, len), rows[r].says)) {
            fail_msg("%s says %.*s", rows[r].text, (int)len, (const char *)said);
        }
        assert_int_equal(json_text_is(&x, 0, span_of(rows[r].says)), halves == 0);
        struct arena arena;
        struct span text = {NULL, 77};
        arena_init(&arena, 1000);
        enum err e = json_text(&x, 0, &arena, &text);
        assert_int_equal(e, halves == 0 ? ERR_OK : ERR_VALUE_INVALID);
        assert_true(e == ERR_OK ? span_is(text, rows[r].says) : text.len == 77);
        arena_fini(&arena);
    }
}

/* A long text with escapes here and there, close together and far apart. */
static void put_long_text(struct buf *out)
{
    buf_put(out, SPAN("\""));
    for (int i = 0; i < 400; i++) {
        buf_put(out, i % 7 == 0 ? SPAN("\\u0623\\n\\ud83d\\ude00") : SPAN("\xd8\xa3 plain "));
        buf_put(out, i % 90 == 0
                         ? SPAN("a stretch without an escape, and longer than the room: "
                                "0123456789012345678901234567890123456789012345678901234567")
                         : SPAN(""));
    }
    buf_put(out, SPAN("\\\\\""));
}

static void a_text_in_pieces_says_the_same(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    put_long_text(&text);
    assert_int_equal(json_index_parse_borrow(&x, buf_span(&text)), ERR_OK);
    uint8_t *whole = malloc(text.len);
    assert_non_null(whole);
    size_t len = json_unescape(&x, 0, whole, NULL);
    for (size_t most = 16; most < 3000; most += 7) {
        struct json_reader reader;
        struct span piece;
        size_t at = 0;
        json_reader_init(&reader, &x, 0);
        while ((piece = json_reader_next(&reader, most)).len > 0) {
            assert_true(piece.len <= most && (piece.at[0] & 0xc0) != 0x80);
            assert_true(span_equal(piece, span_cut(span_make(whole, len), at, piece.len)));
            at += piece.len;
        }
        assert_int_equal(at, len);
    }
    free(whole);
    buf_fini(&text);
}

static void a_text_holds_nul_and_only_strings_are_texts(void **state)
{
    (void)state;
    struct arena arena;
    struct span text;
    arena_init(&arena, 4);
    parse("[\"a\\u0000b\",12,\"ab\\n\"]");
    assert_true(json_text_is(&x, 1, span_make("a\0b", 3)));
    assert_false(json_text_is(&x, 1, SPAN("a")));
    assert_false(json_text_is(&x, 2, SPAN("12")));
    assert_int_equal(json_text(&x, 2, &arena, &text), ERR_VALUE_INVALID);
    assert_int_equal(json_text(&x, 0, &arena, &text), ERR_VALUE_INVALID);
    assert_int_equal(json_text(&x, 3, &arena, &text), ERR_NO_MEMORY);
    arena_fini(&arena);
}

static void whole_numbers_are_exact_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"-5", true, -5},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"100000000000000000000", false, 0},
        {"1.0", true, 1},
        {"-2e3", true, -2000},
        {"15E-1", false, 0},
        {"0.1", false, 0},
        {"9007199254740992.0", true, 9007199254740992},
        {"9007199254740994.0", false, 0},
        {"1e400", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
        {"null", false, 0},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        parse(rows[r].text);
        int64_t value = 0;
        enum err e = json_int64(&x, 0, &value);
        if ((e == ERR_OK) != rows[r].ok || value != rows[r].value) {
            fail_msg("%s: %s %lld", rows[r].text, err_name(e), (long long)value);
        }
    }
}

static void doubles_are_the_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        double value;
    } rows[] = {
        {"0.1", true, 0.1},
        {"-1.5e3", true, -1500},
        {"12", true, 12},
        {"1.7976931348623157e308", true, 1.7976931348623157e308},
        {"1.8e308", false, 0},
        {"-1e999", false, 0},
        {"5e-324", true, 5e-324},
        {"1e-400", true, 0},
        {"123456789012345678901234567890", true, 123456789012345678901234567890.0},
        {"\"1\"", false, 0},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        parse(rows[r].text);
        double value = 0;
        enum err e = json_double(&x, 0, &value);
        if ((e == ERR_OK) != rows[r].ok || value < rows[r].value || value > rows[r].value) {
            fail_msg("%s: %s %g", rows[r].text, err_name(e), value);
        }
    }
    char lengthy[500];
    memset(lengthy, '1', sizeof(lengthy));
    lengthy[sizeof(lengthy) - 1] = '\0';
    parse(lengthy);
    double value;
    assert_int_equal(json_double(&x, 0, &value), ERR_VALUE_INVALID);
}

static void only_true_and_false_are_booleans(void **state)
{
    (void)state;
    parse("[true,false,null,1,\"true\"]");
    bool truth;
    assert_true(json_bool(&x, 1, &truth) == ERR_OK && truth);
    assert_true(json_bool(&x, 2, &truth) == ERR_OK && !truth);
    for (uint32_t row = 3; row < x.count; row++) {
        assert_int_equal(json_bool(&x, row, &truth), ERR_VALUE_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_by_their_unescaped_keys),
        cmocka_unit_test(duplicate_keys_are_found_however_they_are_written),
        cmocka_unit_test(a_hundred_thousand_keys_are_compared_in_no_time),
        cmocka_unit_test(texts_are_read_unescaped),
        cmocka_unit_test(a_text_in_pieces_says_the_same),
        cmocka_unit_test(a_text_holds_nul_and_only_strings_are_texts),
        cmocka_unit_test(whole_numbers_are_exact_or_refused),
        cmocka_unit_test(doubles_are_the_nearest),
        cmocka_unit_test(only_true_and_false_are_booleans),
    };
    return cmocka_run_group_tests(tests, open_index, close_index);
}
