/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_index.c — what is JSON and what is not, and where everything in it is. */
#include "unit.h"

#include "base/buf.h"
#include "base/memory.h"
#include "json/json_index.h"
#include "json/json_scan.h"

#define MAX_ROWS  100000
#define MAX_DEPTH 64

/* Parses a copy that ends where its memory ends, so that a sanitizer sees any read beyond. */
static enum err parse(struct json_index *x, struct span text, uint8_t **copy)
{
    *copy = memory_raw(text.len + 1);
    assert_non_null(*copy);
    uint8_t *at = *copy + 1;
    if (text.len > 0) {
        memcpy(at, text.at, text.len);
    }
    return json_index_parse_borrow(x, span_make(at, text.len));
}

/* The error of `text`, and where. */
static enum err judge(struct span text, size_t *error_at)
{
    struct json_index x;
    uint8_t *copy;
    json_index_init(&x, MAX_ROWS, MAX_DEPTH);
    enum err e = parse(&x, text, &copy);
    assert_true(e == ERR_OK ? x.count > 0 : x.count == 0);
    *error_at = x.error_at;
    json_index_fini(&x);
    memory_free(copy);
    return e;
}

/* One letter a row and its depth, the bytes of scalars, and what is next. */
static void draw(const struct json_index *x, struct buf *out)
{
    for (uint32_t row = 0; row < x->count; row++) {
        const struct json_row *r = json_row(x, row);
        buf_printf(out, "%c%u", "nftNSKAO"[r->kind], r -> depth);
        if (r->kind != JSON_ARRAY && r->kind != JSON_OBJECT) {
            buf_put(out, json_source(x, row));
        }
        buf_printf(out, ">%u ", r->next);
    }
}

static void each_value_has_its_row(void **state)
{
    (void)state;
    static const struct {
        const char *text, *rows;
    } rows[] = {
        {"null", "n0null>1 "},
        {" true\n", "t0true>1 "},
        {"\"a\"", "S0\"a\">1 "},
        {"-0.5e+10", "N0-0.5e+10>1 "},
        {"[]", "A0>1 "},
        {"{}", "O0>1 "},
        {"[ ]", "A0>1 "},
        {"[1,[2,[]],3]", "A0>6 N11>2 A1>5 N22>4 A2>5 N13>6 "},
        {"{\"a\":{\"b\":[false]},\"c\":\"d\"}",
         "O0>8 K1\"a\">2 O1>6 K2\"b\">4 A2>6 f3false>6 K1\"c\">7 S1\"d\">8 "},
        {"{ \"a\" : 1 , \"a\" : 2 }", "O0>5 K1\"a\">2 N11>3 K1\"a\">4 N12>5 "},
    };
    struct json_index x;
    struct buf drawn;
    json_index_init(&x, MAX_ROWS, MAX_DEPTH);
    buf_init(&drawn, 4096);
    for (size_t r = 0; r < ROWS(rows); r++) {
        uint8_t *copy;
        assert_int_equal(parse(&x, span_of(rows[r].text), &copy), ERR_OK);
        buf_clear(&drawn);
        draw(&x, &drawn);
        if (!span_is(buf_span(&drawn), rows[r].rows)) {
            fail_msg("%s: %.*s", rows[r].text, SPAN_ARGS(buf_span(&drawn)));
        }
        memory_free(copy);
    }
    buf_fini(&drawn);
    json_index_fini(&x);
}

static void what_the_grammar_allows_is_accepted(void **state)
{
    (void)state;
    const struct span rows[] = {
        SPAN("0"),
        SPAN("-0"),
        SPAN("1E5"),
        SPAN("1e+5"),
        SPAN("1.5e-5"),
        SPAN("123456789012345678901234567890"),
        SPAN("1e999999"),
        SPAN("\"\""),
        SPAN("\"\x7f\""),
        SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uABcd\""),
        SPAN("\"\\ud800\""), /* half a pair: the grammar does not mind */
        SPAN("\"\\udc00\\ud800x\""),
        SPAN("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
        SPAN("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
        SPAN("\"\xef\xbb\xbf\""), /* a byte order mark inside a string */
        SPAN(" \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n"),
        SPAN("{\"\":0}"),
        SPAN("[[],{},[[]],[{}],{\"a\":[]}]"),
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        size_t at;
        if (judge(rows[r], &at) != ERR_OK) {
            fail_msg("refused at %zu: %.*s", at, SPAN_ARGS(rows[r]));
        }
    }
}

/* A text that is refused, and at which byte. */
struct refused {
    struct span text;
    size_t at;
};

static void expect_refusals(const struct refused *rows, size_t count)
{
    for (size_t r = 0; r < count; r++) {
        size_t at;
        enum err e = judge(rows[r].text, &at);
        if (e != ERR_BODY_NOT_JSON || at != rows[r].at) {
            fail_msg("%.*s: %s at %zu", SPAN_ARGS(rows[r].text), err_name(e), at);
        }
    }
}

static void what_is_not_of_the_grammar_is_refused_and_the_place_told(void **state)
{
    (void)state;
    const struct refused rows[] = {
        {SPAN(""), 0},           {SPAN("  "), 2},        {SPAN("["), 1},
        {SPAN("{"), 1},          {SPAN("]"), 0},         {SPAN("[1"), 2},
        {SPAN("[1,"), 3},        {SPAN("[1,]"), 3},      {SPAN("[,1]"), 1},
        {SPAN("[1 2]"), 3},      {SPAN("[1}"), 2},       {SPAN("{\"a\":1]"), 6},
        {SPAN("{\"a\"}"), 4},    {SPAN("{\"a\" 1}"), 5}, {SPAN("{\"a\":}"), 5},
        {SPAN("{\"a\":1,}"), 7}, {SPAN("{,}"), 1},       {SPAN("{1:2}"), 1},
        {SPAN("{'a':1}"), 1},    {SPAN("{a:1}"), 1},     {SPAN("1 2"), 2},
        {SPAN("[]]"), 2},        {SPAN("01"), 1},        {SPAN("-"), 0},
        {SPAN("+1"), 0},         {SPAN("-a"), 0},        {SPAN(".5"), 0},
        {SPAN("1."), 0},         {SPAN("1.e5"), 0},      {SPAN("1e"), 0},
        {SPAN("1e+"), 0},        {SPAN("0x10"), 1},      {SPAN("NaN"), 0},
        {SPAN("Infinity"), 0},   {SPAN("nul"), 0},       {SPAN("nulL"), 0},
        {SPAN("TRUE"), 0},       {SPAN("truex"), 4},
    };
    expect_refusals(rows, ROWS(rows));
}

static void bad_strings_and_odd_bytes_are_refused(void **state)
{
    (void)state;
    const struct refused rows[] = {
        {SPAN("\""), 1},
        {SPAN("\"a"), 2},
        {SPAN("\"\\\""), 3},
        {SPAN("\"\\x\""), 1},
        {SPAN("\"a\\n\\u00e9\\x\""), 10},
        {SPAN("\"a\\n\\u00e9\n\""), 10},
        {SPAN("\"\\"), 1},
        {SPAN("\"\\u12\""), 1},
        {SPAN("\"\\u12g4\""), 1},
        {SPAN("\"\\U0041\""), 1},
        {SPAN("\"a\nb\""), 2},
        {SPAN("\"a\0b\""), 2},
        {SPAN("[1]\0"), 3},
        {SPAN("\0"), 0},
        {SPAN("[1\f]"), 2},
        {SPAN("[1\xc2\xa0]"), 2}, /* a no-break space is no white space */
        {SPAN("// a\n1"), 0},
        {SPAN("[1/**/]"), 2},
        {SPAN("\xef\xbb\xbf{}"), 0},
        {SPAN("\"\x80\""), 1},
        {SPAN("\"\xc1\xbf\""), 1},
        {SPAN("\"\xe0\x9f\xbf\""), 1},
        {SPAN("\"\xed\xa0\x80\""), 1},
        {SPAN("\"\xf0\x8f\xbf\xbf\""), 1},
        {SPAN("\"\xf4\x90\x80\x80\""), 1},
        {SPAN("\"\xf5\x80\x80\x80\""), 1},
        {SPAN("\"\xe2\x82\""), 1},
        {SPAN("\"ab\xff\""), 3},
        {SPAN("[\0\"\0a\0\"\0]\0"), 1}, /* UTF-16 */
    };
    expect_refusals(rows, ROWS(rows));
}

static const char whole[] =
    "{\"model\":\"\xd9\x81\xd8\xa7\xd9\x84\xd9\x83\xd9\x88\xd9\x86 \xf0\x9f\x98\x80\\u0645\\n\","
    "\"messages\":[{\"role\":\"user\",\"content\":\"a long enough text to be looked at in "
    "blocks of thirty-two bytes \xe2\x82\xac and more\"},null],\"n\":-12.5e3,\"stream\":true}";

static void a_text_cut_anywhere_is_refused_at_its_end_or_before(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof(whole) - 1; cut++) {
        size_t at;
        enum err e = judge(span_make(whole, cut), &at);
        if (e != ERR_BODY_NOT_JSON || at > cut) {
            fail_msg("cut at %zu: %s at %zu", cut, err_name(e), at);
        }
    }
    size_t at;
    assert_int_equal(judge(span_make(whole, sizeof(whole) - 1), &at), ERR_OK);
}

/* Each byte of a text changed to one that may be in the way of some fast path. */
static void no_changed_byte_leads_beyond_the_text(void **state)
{
    (void)state;
    static const uint8_t others[] = {0, '"', '\\', '{', ']', 'u', 0x1f, 0x80, 0xc2, 0xf0, 0xff};
    char text[sizeof(whole)];
    for (size_t i = 0; i < sizeof(whole) - 1; i++) {
        for (size_t o = 0; o < sizeof(others); o++) {
            memcpy(text, whole, sizeof(whole));
            text[i] = (char)others[o];
            size_t at;
            enum err e = judge(span_make(text, sizeof(whole) - 1), &at);
            assert_true(e == ERR_OK || (e == ERR_BODY_NOT_JSON && at <= sizeof(whole) - 1));
        }
    }
}

static void depth_and_rows_are_bounded(void **state)
{
    (void)state;
    struct json_index x;
    json_index_init(&x, 5, 2);
    assert_int_equal(json_index_parse_borrow(&x, SPAN("[[1,2,3]]")), ERR_OK);
    assert_int_equal(json_index_parse_borrow(&x, SPAN("[[1,2,3,4]]")), ERR_JSON_TOO_MANY);
    assert_int_equal(x.count, 0);
    assert_int_equal(json_index_parse_borrow(&x, SPAN("[[ []]]")), ERR_JSON_TOO_DEEP);
    assert_int_equal(x.error_at, 3);
    assert_int_equal(json_index_parse_borrow(&x, SPAN("{\"a\":[],\"b\":1}")), ERR_OK);
    assert_int_equal(json_index_parse_borrow(&x, SPAN("[1,2,3,4,")), ERR_BODY_NOT_JSON);
    assert_int_equal(json_index_parse_borrow(&x, span_make(NULL, 0)), ERR_BODY_NOT_JSON);
    json_index_fini(&x);
    json_index_init(&x, 5, 0);
    assert_int_equal(json_index_parse_borrow(&x, SPAN("1")), ERR_OK);
    assert_int_equal(json_index_parse_borrow(&x, SPAN("[]")), ERR_JSON_TOO_DEEP);
    json_index_fini(&x);
}

static void a_text_beyond_four_gib_is_refused_unread(void **state)
{
    (void)state;
    struct json_index x;
    json_index_init(&x, 5, 2);
    struct span text = span_make("", (size_t)UINT32_MAX + 1);
    assert_int_equal(json_index_parse_borrow(&x, text), ERR_BODY_TOO_LARGE);
    json_index_fini(&x);
}

static void rows_grow_and_can_be_given_back(void **state)
{
    (void)state;
    struct json_index x;
    struct buf text;
    json_index_init(&x, 3000, 2);
    buf_init(&text, 10000);
    buf_put_byte(&text, '[');
    for (int i = 0; i < 1000; i++) {
        buf_put_text(&text, i == 0 ? "1" : ",1");
    }
    assert_int_equal(json_index_parse_borrow(&x, buf_span(&text)), ERR_BODY_NOT_JSON);
    buf_put_byte(&text, ']');
    assert_int_equal(json_index_parse_borrow(&x, buf_span(&text)), ERR_OK);
    assert_int_equal(x.count, 1001);
    const struct json_row *kept = x.rows;
    json_index_trim(&x, 2048);
    assert_ptr_equal(x.rows, kept);
    json_index_trim(&x, 100);
    assert_null(x.rows);
    assert_int_equal(json_index_parse_borrow(&x, SPAN("[1]")), ERR_OK);
    buf_fini(&text);
    json_index_fini(&x);
}

/* An array of so many ones, in `out`. */
static struct span ones(struct buf *out, int count)
{
    buf_init(out, 10000);
    for (int i = 0; i < count; i++) {
        buf_put_text(out, i == 0 ? "[1" : ",1");
    }
    buf_put_byte(out, ']');
    return buf_span(out);
}

static void counted_rows_take_from_the_allowance_what_is_more_than_is_free(void **state)
{
    (void)state;
    struct json_index x, kept;
    struct buf text, less;
    struct span many = ones(&text, 1000), few = ones(&less, 500);
    json_index_init_counted(&x, 3000, 2, 512);
    memory_set_allowance(8191);
    assert_int_equal(json_index_parse_borrow(&x, few), ERR_OK);
    assert_int_equal(memory_taken(), 0);
    assert_int_equal(json_index_parse_borrow(&x, many), ERR_OVERLOADED);
    memory_set_allowance(8192);
    assert_int_equal(json_index_parse_borrow(&x, many), ERR_OK);
    assert_int_equal(memory_taken(), 8192); /* of 1024 rows, half */
    json_index_move(&x, &kept);
    assert_int_equal(json_index_keep(&kept), ERR_OVERLOADED);
    memory_set_allowance(1 << 20);
    assert_int_equal(json_index_parse_borrow(&x, many), ERR_OK);
    assert_int_equal(memory_taken(), 2 * 8192);
    json_index_trim(&x, 600);
    assert_int_equal(memory_taken(), 8192);
    assert_int_equal(json_index_keep(&kept), ERR_OK);
    assert_int_equal(memory_taken(), kept.count * sizeof(struct json_row));
    json_index_fini(&kept);
    json_index_fini(&x);
    assert_int_equal(memory_taken(), 0);
    memory_set_allowance(0);
    buf_fini(&text);
    buf_fini(&less);
}

static void one_can_walk_from_value_to_value(void **state)
{
    (void)state;
    struct json_index x;
    json_index_init(&x, MAX_ROWS, MAX_DEPTH);
    assert_int_equal(json_index_parse_borrow(&x, SPAN("{\"a\":[1,[2],{}],\"b\":{},\"c\":3}")),
                     ERR_OK);
    uint32_t a = json_first(&x, 0);
    uint32_t b = json_next(&x, a);
    uint32_t c = json_next(&x, b);
    assert_true(span_is(json_source(&x, b), "\"b\""));
    assert_true(span_is(json_source(&x, json_value(&x, c)), "3"));
    assert_int_equal(json_next(&x, c), JSON_NONE);
    assert_int_equal(json_first(&x, json_value(&x, b)), JSON_NONE);
    assert_int_equal(json_first(&x, a), JSON_NONE);
    uint32_t one = json_first(&x, json_value(&x, a));
    uint32_t list = json_next(&x, one);
    uint32_t empty = json_next(&x, list);
    assert_true(span_is(json_source(&x, list), "[2]"));
    assert_int_equal(json_kind(&x, empty), JSON_OBJECT);
    assert_int_equal(json_next(&x, empty), JSON_NONE);
    assert_int_equal(json_next(&x, json_first(&x, list)), JSON_NONE);
    assert_int_equal(json_end(&x, 0), x.text.len);
    json_index_fini(&x);
}

/* Where a special byte or ill-formed UTF-8 stands must not change what is found. */
static void the_wide_scans_find_what_the_plain_ones_find(void **state)
{
    (void)state;
    static const char *const odd[] = {"\"",
                                      "\\",
                                      "\x1f",
                                      "\x80",
                                      "\xc2",
                                      "\xc2\x80",
                                      "\xe2\x82\xac",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xf0\x9f",
                                      "\xc0\x80",
                                      "\xf0\x9f\x98\x80",
                                      "\xf4\x90\x80\x80"};
    for (size_t len = 0; len <= 100; len++) {
        for (size_t place = 0; place < len; place++) {
            for (size_t o = 0; o < ROWS(odd); o++) {
                struct span put = span_cut(span_of(odd[o]), 0, len - place);
                uint8_t *text = memory_raw(len);
                assert_non_null(text);
                memset(text, 'x', len);
                memcpy(text + place, put.at, put.len);
                struct span s = {text, len};
                assert_ptr_equal(json_scan_special(text, text + len),
                                 json_scan_special_portable(text, text + len));
                assert_int_equal(json_scan_utf8(s), json_scan_utf8_portable(s));
                memory_free(text);
            }
        }
    }
}

/* Every lead byte with every second byte, across the border of two blocks. */
static void utf8_is_judged_alike_for_all_pairs_of_bytes(void **state)
{
    (void)state;
    uint8_t text[70];
    for (unsigned pair = 0; pair < 65536; pair++) {
        memset(text, 'x', sizeof(text));
        text[31] = (uint8_t)(pair >> 8);
        text[32] = (uint8_t)pair;
        for (size_t more = 0; more < 3; more++) {
            struct span s = {text, sizeof(text)};
            assert_int_equal(json_scan_utf8(s), json_scan_utf8_portable(s));
            text[33 + more] = 0x80;
        }
    }
}

/* The Encoding Standard's decoder: one U+FFFD for each part that cannot go on. */
static void torn_characters_are_mended_one_for_each_part(void **state)
{
    (void)state;
#define R "\xEF\xBF\xBD"
    static const struct {
        const char *torn, *mended;
    } texts[] = {
        {"a\xF0\x9F\x98\"", "a" R "\""},
        {"\xF0\x9F\x98", R},
        {"\xE2\x82", R},
        {"\xC3", R},
        {"\xC3(", R "("},
        {"\xC0\xAF", R R},
        {"\xE0\x80\xAF", R R R},
        {"\xED\xA0\x80", R R R},
        {"\xF4\x90\x80\x80", R R R R},
        {"\xF0\x9F\xF0\x9F\x98\x80", R "\xF0\x9F\x98\x80"},
        {"\x80\xD9\x85\xFF", R "\xD9\x85" R},
    };
#undef R
    for (size_t i = 0; i < ROWS(texts); i++) {
        uint8_t out[64];
        struct span torn = span_of(texts[i].torn);
        size_t len = json_scan_mended(torn, 4);
        assert_int_equal(len, strlen(texts[i].mended));
        assert_int_equal(json_scan_mend(torn, out), len);
        assert_memory_equal(out, texts[i].mended, len);
        assert_int_equal(json_scan_utf8(span_make(out, len)), len);
    }
    for (size_t i = 0; i < ROWS(texts); i++) { /* of any pieces as of the whole */
        struct span torn = span_of(texts[i].torn);
        for (size_t most = 1; most <= torn.len; most++) {
            uint8_t out[64];
            size_t len = 0, parts = 0;
            for (size_t at = 0; at < torn.len;) {
                struct span piece = json_scan_piece(torn, at, most);
                size_t mended = json_scan_mended_piece(piece, 4, &parts);
                assert_int_equal(json_scan_mend(piece, out + len), mended);
                at += piece.len;
                len += mended;
            }
            assert_int_equal(len, strlen(texts[i].mended));
            assert_memory_equal(out, texts[i].mended, len);
        }
    }
    assert_int_equal(json_scan_mended(SPAN("sound \xD9\x85"), 4), 0);
    assert_int_equal(json_scan_mended(SPAN(""), 4), 0);
    assert_int_equal(json_scan_mended(SPAN("\xFF\xFF\xFF\xFF\xFF"), 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_has_its_row),
        cmocka_unit_test(what_the_grammar_allows_is_accepted),
        cmocka_unit_test(what_is_not_of_the_grammar_is_refused_and_the_place_told),
        cmocka_unit_test(bad_strings_and_odd_bytes_are_refused),
        cmocka_unit_test(a_text_cut_anywhere_is_refused_at_its_end_or_before),
        cmocka_unit_test(no_changed_byte_leads_beyond_the_text),
        cmocka_unit_test(depth_and_rows_are_bounded),
        cmocka_unit_test(a_text_beyond_four_gib_is_refused_unread),
        cmocka_unit_test(rows_grow_and_can_be_given_back),
        cmocka_unit_test(counted_rows_take_from_the_allowance_what_is_more_than_is_free),
        cmocka_unit_test(one_can_walk_from_value_to_value),
        cmocka_unit_test(the_wide_scans_find_what_the_plain_ones_find),
        cmocka_unit_test(utf8_is_judged_alike_for_all_pairs_of_bytes),
        cmocka_unit_test(torn_characters_are_mended_one_for_each_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
