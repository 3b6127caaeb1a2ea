/* SPDX-License-Identifier: Apache-2.0 */
/* test_span.c — looking at bytes of someone else's, and the clock's texts. */
#include "unit.h"

#include "base/clock.h"
#include "base/span.h"

static void only_plain_decimal_numbers_are_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"007", true, 7},
        {"18446744073709551615", true, UINT64_MAX},
        {"", false, 0},
        {"+1", false, 0},
        {"18446744073709551616", false, 0},
        {"-1", false, 0},
        {"1 ", false, 0},
        {"0x10", false, 0},
        {"1_0", false, 0},
        {"99999999999999999999", false, 0},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        uint64_t value = 0;
        bool ok = span_to_u64(span_of(rows[r].text), UINT64_MAX, &value);
        if (ok != rows[r].ok || value != rows[r].value) {
            fail_msg("\"%s\" was read as %d, %llu", rows[r].text, ok, (unsigned long long)value);
        }
    }
    uint64_t value;
    assert_false(span_to_u64(SPAN("11"), 10, &value));
}

static void a_cut_stays_inside(void **state)
{
    (void)state;
    assert_true(span_is(span_cut(SPAN("abcdef"), 2, 3), "cde"));
    assert_true(span_is(span_cut(SPAN("abcdef"), 4, 99), "ef"));
    assert_int_equal(span_cut(SPAN("abc"), 9, 9).len, 0);
    assert_true(span_is(span_trim(SPAN(" \t a b\t")), "a b"));
    assert_int_equal(span_find(SPAN("abca"), 'a', 1), 3);
    assert_int_equal(span_find(SPAN("abca"), 'x', 0), 4);
    assert_true(span_equal_nocase(SPAN("Content-Type"), SPAN("content-tYPE")));
    assert_false(span_equal_nocase(SPAN("a@"), SPAN("a`")));
    assert_int_equal(span_find_nocase(SPAN("no Header, HEADERS"), SPAN("header"), 0), 3);
    assert_int_equal(span_find_nocase(SPAN("no Header, HEADERS"), SPAN("header"), 4), 11);
    assert_int_equal(span_find_nocase(SPAN("no Header, HEADERS"), SPAN("headers"), 12), 18);
    assert_int_equal(span_find_nocase(SPAN("x@a"), SPAN("`A"), 0), 3);
    assert_int_equal(span_find_nocase(SPAN("ab"), SPAN("abc"), 0), 2);
    assert_int_equal(span_find_nocase(SPAN("aBc"), SPAN("AbC"), 0), 0);
    assert_true(span_starts(SPAN("Bearer x"), SPAN("Bearer ")));
    assert_false(span_starts(SPAN("Bea"), SPAN("Bearer ")));
}

static void a_copied_text_is_cut_to_its_room(void **state)
{
    (void)state;
    char room[4];
    span_copy_text(SPAN("abcdef"), room, sizeof(room));
    assert_string_equal(room, "abc");
}

static void a_text_is_cut_between_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t most, expect;
    } rows[] = {
        {"abcdef", 3, 3},
        {"abc", 3, 3},
        {"abc", 9, 3},
        {"", 0, 0},
        {"abc", 0, 0},
        {"\xd9\x85\xd9\x81", 3, 2},
        {"\xd9\x85\xd9\x81", 2, 2},
        {"\xd9\x85", 1, 0},
        {"a\xf0\x9f\x98\x80", 4, 1},
        {"\xf0\x9f\x98\x80", 3, 0},
        {"\xf0\x9f\x98\x80z", 4, 4},
        {"\x80\x80\x80\x80\x80\x80\x80", 6, 6},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct span text = span_of(rows[r].text);
        struct span cut = span_cut_text(text, rows[r].most);
        if (cut.at != text.at || cut.len != rows[r].expect) {
            fail_msg("row %zu: %zu", r, cut.len);
        }
    }
}

static void times_are_written_in_utc(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_BYTES];
    clock_text((wall_us){1795489200123456}, text);
    assert_string_equal(text, "2026-11-24T03:00:00.123Z");
    char day[11];
    clock_day((wall_us){1795489200123456}, day);
    assert_string_equal(day, "2026-11-24");
}

static uint8_t lowered(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

static void only_the_26_letters_have_a_case_wherever_they_stand(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 65536; pair++) {
        uint8_t a[13], b[13];
        uint8_t x = (uint8_t)(pair >> 8), y = (uint8_t)pair;
        size_t at = pair % sizeof(a);
        memset(a, 'Q', sizeof(a));
        memset(b, 'q', sizeof(b));
        a[at] = x;
        b[at] = y;
        bool same = span_equal_nocase(span_make(a, sizeof(a)), span_make(b, sizeof(b)));
        assert_int_equal(same, lowered(x) == lowered(y));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_cut_between_characters),
        cmocka_unit_test(only_the_26_letters_have_a_case_wherever_they_stand),
        cmocka_unit_test(only_plain_decimal_numbers_are_numbers),
        cmocka_unit_test(a_cut_stays_inside),
        cmocka_unit_test(a_copied_text_is_cut_to_its_room),
        cmocka_unit_test(times_are_written_in_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
