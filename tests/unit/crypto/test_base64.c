/* SPDX-License-Identifier: Apache-2.0 */
/* test_base64.c — each value has one text, and only that is read. */
#include "unit.h"

#include "crypto/base64.h"
#include "crypto/random.h"

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
        cmocka_unit_test(base64_is_that_of_the_rfc),
        cmocka_unit_test(base64_has_one_text_for_a_value),
        cmocka_unit_test(random_bytes_of_every_length_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
