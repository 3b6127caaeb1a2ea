/* SPDX-License-Identifier: Apache-2.0 */
/* test_crc.c — checksums are those of their standards, however they are computed. */
#include "unit.h"

#include "crypto/crc.h"
#include "crypto/random.h"

static void checksums_have_their_published_check_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t crc32, crc32c;
    } rows[] = {
        {"", 0, 0},
        {"a", 0xe8b7be43, 0xc1d04330},
        {"123456789", 0xcbf43926, 0xe3069283},
        {"The quick brown fox jumps over the lazy dog", 0x414fa339, 0x22620404},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct span text = span_of(rows[r].text);
        assert_int_equal(crypto_crc32(0, text), rows[r].crc32);
        assert_int_equal(crypto_crc32c(0, text), rows[r].crc32c);
        assert_int_equal(crypto_crc32c_by_table(0, text), rows[r].crc32c);
    }
}

static void a_checksum_does_not_depend_on_the_cut_or_the_way(void **state)
{
    (void)state;
    uint8_t bytes[100];
    crypto_random(bytes, sizeof(bytes));
    struct span all = span_make(bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= all.len; cut++) {
        struct span head = span_cut(all, 0, cut), tail = span_cut(all, cut, all.len);
        assert_int_equal(crypto_crc32(crypto_crc32(0, head), tail), crypto_crc32(0, all));
        assert_int_equal(crypto_crc32c(crypto_crc32c(0, head), tail), crypto_crc32c(0, all));
        assert_int_equal(crypto_crc32c(0, tail), crypto_crc32c_by_table(0, tail));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_have_their_published_check_values),
        cmocka_unit_test(a_checksum_does_not_depend_on_the_cut_or_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
