/* SPDX-License-Identifier: Apache-2.0 */
/* test_base.c — Base62 and Base64: what is written is read again, and nothing else is read. */
#include "unit.h"

#include "crypto/base62.h"
#include "crypto/base64.h"
#include "crypto/random.h"

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

static void base64_is_that_of_the_rfc(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char text[16] = {0};
        uint8_t bytes[16] = {0};
        size_t len = crypto_base64_write(span_of(rows[r].bytes), text);
        assert_int_equal(len, strlen(rows[r].text));
        assert_int_equal(len, crypto_base64_chars(strlen(rows[r].bytes)));
        assert_string_equal(text, rows[r].text);
        assert_int_equal(crypto_base64_parse(span_of(text), bytes, sizeof(bytes), &len), ERR_OK);
        assert_true(span_is(span_make(bytes, len), rows[r].bytes));
    }
}

static void base64_has_one_text_for_a_value(void **state)
{
    (void)state;
    static const struct {
        const char *why, *text;
    } rows[] = {
        {"no padding", "Zg"},
        {"one sign of padding for two", "Zg="},
        {"three signs", "Z==="},
        {"padding alone", "===="},
        {"padding in the middle", "Zg==Zm9v"},
        {"padding before a character", "Zm=v"},
        {"unused bits of one byte", "Zh=="},
        {"unused bits of two bytes", "Zm9="},
        {"a line end", "Zm9v\nZm9"},
        {"a space", "Zm9 "},
        {"the URL alphabet", "-_-_"},
        {"a foreign byte first", "\x80m9v"},
        {"a foreign byte before padding", "Z*8="},
        {"five characters", "Zm9vZ"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        uint8_t bytes[16];
        size_t len = 99;
        if (crypto_base64_parse(span_of(rows[r].text), bytes, sizeof(bytes), &len) !=
                ERR_VALUE_INVALID ||
            len != 99) {
            fail_msg("%s: was read", rows[r].why);
        }
    }
    uint8_t two[2];
    size_t len;
    assert_int_equal(crypto_base64_parse(SPAN("Zm9v"), two, 2, &len), ERR_VALUE_INVALID);
    assert_int_equal(crypto_base64_parse(SPAN("Zm8="), two, 2, &len), ERR_OK);
}

static void random_bytes_of_every_length_come_back(void **state)
{
    (void)state;
    uint8_t bytes[300], again[300];
    char text[400];
    crypto_random(bytes, sizeof(bytes));
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        size_t len = crypto_base64_write(span_make(bytes, n), text);
        assert_int_equal(crypto_base64_parse(span_make(text, len), again, sizeof(again), &len),
                         ERR_OK);
        assert_int_equal(len, n);
        assert_memory_equal(bytes, again, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base62_numbers_have_a_fixed_width),
        cmocka_unit_test(base62_refuses_other_characters_and_lengths),
        cmocka_unit_test(random_base62_uses_all_characters_alike),
        cmocka_unit_test(base64_is_that_of_the_rfc),
        cmocka_unit_test(base64_has_one_text_for_a_value),
        cmocka_unit_test(random_bytes_of_every_length_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
