/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_write.c — whatever is put in, strict JSON comes out. */
#include "unit.h"

#include <math.h>

#include "json/json_value.h"
#include "json/json_write.h"

static struct buf out;
static struct json_writer w;

static void begin(void)
{
    buf_clear(&out);
    json_write_init(&w, &out);
}

static int open_buffer(void **state)
{
    (void)state;
    buf_init(&out, 65536);
    return 0;
}

static int close_buffer(void **state)
{
    (void)state;
    buf_fini(&out);
    return 0;
}

static void expect(const char *text)
{
    if (!span_is(buf_span(&out), text)) {
        fail_msg("%.*s, not %s", SPAN_ARGS(buf_span(&out)), text);
    }
}

static void commas_and_colons_come_by_themselves(void **state)
{
    (void)state;
    begin();
    json_write_object(&w);
    json_write_key(&w, "a");
    json_write_array(&w);
    json_write_int(&w, -1);
    json_write_array(&w);
    json_write_end(&w);
    json_write_object(&w);
    json_write_end(&w);
    json_write_u64(&w, UINT64_MAX);
    json_write_end(&w);
    json_write_key_span(&w, SPAN("b\""));
    json_write_text(&w, NULL);
    json_write_key(&w, "c");
    json_write_raw(&w, SPAN("[0]"));
    json_write_key(&w, "d");
    json_write_bool(&w, true);
    json_write_key(&w, "e");
    json_write_text(&w, "x");
    json_write_end(&w);
    assert_int_equal(json_write_finish(&w), ERR_OK);
    expect("{\"a\":[-1,[],{},18446744073709551615],\"b\\\"\":null,\"c\":[0],\"d\":true,"
           "\"e\":\"x\"}");
    begin();
    json_write_int(&w, INT64_MIN);
    assert_int_equal(json_write_finish(&w), ERR_OK);
    expect("-9223372036854775808");
}

static void strings_are_escaped_and_mended(void **state)
{
    (void)state;
    const struct {
        struct span text;
        const char *json;
    } rows[] = {
        {SPAN(""), "\"\""},
        {SPAN("a\"\\/"), "\"a\\\"\\\\/\""},
        {SPAN("\b\f\n\r\t\x01\x1f\x7f"), "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\""},
        {SPAN("a\0b"), "\"a\\u0000b\""},
        {SPAN("\xd8\xb3\xf0\x9f\x98\x80"), "\"\xd8\xb3\xf0\x9f\x98\x80\""},
        {SPAN("a\x80z"), "\"a\xef\xbf\xbdz\""},
        {SPAN("\xe2\x82"), "\"\xef\xbf\xbd\""},
        {SPAN("\xe2\x82\xe2\x82\xac"), "\"\xef\xbf\xbd\xe2\x82\xac\""},
        {SPAN("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {SPAN("\xf0\x9f\x98x\xff"), "\"\xef\xbf\xbdx\xef\xbf\xbd\""},
        {SPAN("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        begin();
        json_write_string(&w, rows[r].text);
        assert_int_equal(json_write_finish(&w), ERR_OK);
        expect(rows[r].json);
    }
}

/* Long runs before and behind each byte, so that the wide paths are taken too. */
static void what_was_written_reads_back_the_same(void **state)
{
    (void)state;
    struct json_index x;
    json_index_init(&x, 10, 10);
    uint8_t text[80], back[80];
    for (unsigned byte = 0; byte < 128; byte++) {
        for (size_t place = 0; place < sizeof(text); place++) {
            memset(text, 'x', sizeof(text));
            text[place] = (uint8_t)byte;
            begin();
            json_write_string(&w, span_make(text, sizeof(text)));
            assert_int_equal(json_write_finish(&w), ERR_OK);
            assert_int_equal(json_index_parse_borrow(&x, buf_span(&out)), ERR_OK);
            assert_true(json_text_is(&x, 0, span_make(text, sizeof(text))));
            if (json_inside(&x, 0).len <= sizeof(back)) {
                assert_int_equal(json_unescape(&x, 0, back, NULL), sizeof(text));
                assert_memory_equal(back, text, sizeof(text));
            }
        }
    }
    json_index_fini(&x);
}

static void numbers_are_as_short_as_they_may_be(void **state)
{
    (void)state;
    static const struct {
        double number;
        const char *text;
    } rows[] = {
        {0.1, "0.1"},
        {-1.5, "-1.5"},
        {1e21, "1e+21"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {5e-324, "4.94065645841247e-324"},
        {HUGE_VAL, "null"},
        {-HUGE_VAL, "null"},
        {(double)NAN, "null"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        begin();
        json_write_double(&w, rows[r].number);
        expect(rows[r].text);
    }
    begin();
    json_write_array(&w);
    json_write_float(&w, 0.1F);
    json_write_float(&w, 16777216.0F);
    json_write_float(&w, 1.0F / 3.0F);
    json_write_float(&w, INFINITY);
    json_write_end(&w);
    assert_int_equal(json_write_finish(&w), ERR_OK);
    expect("[0.1,16777216,0.33333334,null]");
}

static void a_full_buffer_is_told_at_the_end(void **state)
{
    (void)state;
    struct buf small;
    buf_init(&small, 8);
    json_write_init(&w, &small);
    json_write_array(&w);
    json_write_text(&w, "more than eight bytes");
    json_write_text(&w, "and more");
    json_write_end(&w);
    assert_int_equal(json_write_finish(&w), ERR_NO_MEMORY);
    buf_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_and_colons_come_by_themselves),
        cmocka_unit_test(strings_are_escaped_and_mended),
        cmocka_unit_test(what_was_written_reads_back_the_same),
        cmocka_unit_test(numbers_are_as_short_as_they_may_be),
        cmocka_unit_test(a_full_buffer_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, open_buffer, close_buffer);
}
