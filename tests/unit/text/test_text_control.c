/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_control.c — what is not shown is found, and nothing that is. */
#include "unit.h"

#include "text/text_control.h"

/* In UTF-8; how many bytes. */
static size_t encode(uint32_t point, uint8_t out[4])
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (uint8_t)(leads[more] | point >> (6 * more));
    for (size_t i = 1; i <= more; i++) {
        out[i] = (uint8_t)(0x80 | (point >> (6 * (more - i)) & 0x3f));
    }
    return more + 1;
}

static bool is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x61c || point == 0x200e ||
           point == 0x200f || (point >= 0x202a && point <= 0x202e) ||
           (point >= 0x2066 && point <= 0x2069);
}

static void each_control_character_is_one_and_no_other(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x110000; point++) {
        uint8_t text[4];
        size_t len = encode(point, text);
        size_t expected = is_control(point) ? len : 0;
        if (text_control_at(span_make(text, len), 0) != expected ||
            text_has_control(span_make(text, len)) != is_control(point)) {
            fail_msg("U+%04X", (unsigned)point);
        }
    }
}

static void one_is_found_anywhere_and_half_a_one_is_none(void **state)
{
    (void)state;
    assert_true(text_has_control(SPAN("team \xe2\x80\xae"
                                      "a")));
    assert_true(text_has_control(SPAN("team a\x1b")));
    assert_false(text_has_control(SPAN("\xd9\x81\xd8\xb1\xd9\x8a\xd9\x82")));
    assert_false(text_has_control(SPAN("")));
    assert_false(text_has_control(span_cut(SPAN("a\xe2\x80\xae"), 0, 3)));
    assert_false(text_has_control(span_cut(SPAN("a\xc2\x85"), 0, 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_control_character_is_one_and_no_other),
        cmocka_unit_test(one_is_found_anywhere_and_half_a_one_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
