/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_id.c — call ids are ULIDs in lower case and sort by time. */
#include "unit.h"

#include "crypto/call_id.h"

static void a_call_id_is_written_as_a_ulid(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint8_t bytes[CRYPTO_CALL_ID_BYTES];
    } rows[] = {
        {"00000000000000000000000000", {0}},
        {"7zzzzzzzzzzzzzzzzzzzzzzzzz",
         {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
        {"01arz3ndektsv4rrffq69g5fav", /* the ULID specification's own example */
         {0x01, 0x56, 0x3e, 0x3a, 0xb5, 0xd3, 0xd6, 0x76, 0x4c, 0x61, 0xef, 0xb9, 0x93, 0x02, 0xbd,
          0x5b}},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char text[CRYPTO_CALL_ID_CHARS + 1];
        uint8_t bytes[CRYPTO_CALL_ID_BYTES];
        crypto_call_id_write(rows[r].bytes, text);
        assert_string_equal(text, rows[r].text);
        assert_int_equal(crypto_call_id_parse(span_of(text), bytes), ERR_OK);
        assert_memory_equal(bytes, rows[r].bytes, sizeof(bytes));
    }
    static const char *const refused[] = {"",
                                          "8zzzzzzzzzzzzzzzzzzzzzzzzz",
                                          "0000000000000000000000000",
                                          "0000000000000000000000000u",
                                          "0000000000000000000000000000",
                                          "000000000000i0000000000000"};
    for (size_t r = 0; r < ROWS(refused); r++) {
        uint8_t bytes[CRYPTO_CALL_ID_BYTES];
        assert_int_equal(crypto_call_id_parse(span_of(refused[r]), bytes), ERR_VALUE_INVALID);
    }
}

static void ten_thousand_call_ids_differ_and_sort_by_time(void **state)
{
    (void)state;
    struct crypto_call_id before, id;
    crypto_call_id_make((wall_us){1795489200000000}, &before);
    for (int64_t i = 1; i < 10000; i++) {
        crypto_call_id_make((wall_us){1795489200000000 + i * 1000}, &id);
        assert_true(strcmp(before.text, id.text) < 0);
        assert_memory_not_equal(before.bytes + 6, id.bytes + 6, 10);
        before = id;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_id_is_written_as_a_ulid),
        cmocka_unit_test(ten_thousand_call_ids_differ_and_sort_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
