/* SPDX-License-Identifier: Apache-2.0 */
/* test_base62.c — what is written is read again, and nothing else is read. */
#include "unit.h"

#include "crypto/base62.h"

static void base62_numbers_have_a_fixed_width(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *text;
    } rows[] = {
        {0, "000000"},  {9, "000009"},  {10, "00000A"},   {35, "00000Z"},          {36, "00000a"},
        {61, "00000z"}, {62, "000010"}, {3843, "0000zz"}, {4294967295U, "4gfFC3"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char text[7] = {0};
        uint64_t value;
        crypto_base62_write(rows[r].value, text, 6);
        assert_string_equal(text, rows[r].text);
        assert_int_equal(crypto_base62_parse(span_of(text), &value), ERR_OK);
        assert_int_equal(value, rows[r].value);
    }
}

static void base62_refuses_other_characters_and_lengths(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "00000-", "0 0", "zzzzzzzzzzz", "a_b", "\xd9\xa1"};
    for (size_t r = 0; r < ROWS(rows); r++) {
        uint64_t value = 7;
        assert_int_equal(crypto_base62_parse(span_of(rows[r]), &value), ERR_VALUE_INVALID);
        assert_int_equal(value, 7);
    }
    assert_true(crypto_is_base62(SPAN("")));
    assert_true(crypto_is_base62(SPAN("azAZ09")));
    assert_false(crypto_is_base62(SPAN("az@Z09")));
}

static void random_base62_uses_all_characters_alike(void **state)
{
    (void)state;
    size_t seen[256] = {0};
    for (int i = 0; i < 1000; i++) {
        char text[62];
        crypto_base62_random(text, sizeof(text));
        assert_true(crypto_is_base62(span_make(text, sizeof(text))));
        for (size_t c = 0; c < sizeof(text); c++) {
            seen[(uint8_t)text[c]]++;
        }
    }
    for (int c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        if (crypto_is_base62(span_make(&byte, 1))) {
            assert_in_range(seen[c], 700, 1300); /* 1,000 each; nine deviations either way */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base62_numbers_have_a_fixed_width),
        cmocka_unit_test(base62_refuses_other_characters_and_lengths),
        cmocka_unit_test(random_base62_uses_all_characters_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
