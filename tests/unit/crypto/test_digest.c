/* SPDX-License-Identifier: Apache-2.0 */
/* test_digest.c — checksums and HMACs are those of their standards; call ids sort by time. */
#include "unit.h"

#include <stdio.h>

#include "crypto/call_id.h"
#include "crypto/crc.h"
#include "crypto/hmac.h"
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

static void hex(const uint8_t digest[CRYPTO_SHA256_BYTES], char out[65])
{
    for (int i = 0; i < CRYPTO_SHA256_BYTES; i++) {
        (void)snprintf(out + (size_t)2 * i, 3, "%02x", digest[i]);
    }
}

static void hmacs_are_those_of_rfc_4231(void **state)
{
    (void)state;
    static const struct {
        uint8_t byte;
        size_t repeat; /* of `byte` as the key; 0: `key` is it */
        const char *key, *message, *mac;
    } rows[] = {
        {0x0b, 20, "", "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {0, 0, "Jefe", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {0xaa, 131, "", "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {0xaa, 131, "",
         "This is a test using a larger than block-size key and a larger than block-size data. "
         "The key needs to be hashed before being used by the HMAC algorithm.",
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        uint8_t repeated[131];
        memset(repeated, rows[r].byte, sizeof(repeated));
        struct span key =
            rows[r].repeat == 0 ? span_of(rows[r].key) : span_make(repeated, rows[r].repeat);
        struct crypto_hmac_key k;
        crypto_hmac_key_init(&k, key);
        uint8_t mac[CRYPTO_SHA256_BYTES];
        char text[65];
        crypto_hmac(&k, span_of(rows[r].message), mac);
        hex(mac, text);
        assert_string_equal(text, rows[r].mac);
    }
    uint8_t digest[CRYPTO_SHA256_BYTES];
    char text[65];
    crypto_sha256(SPAN("abc"), digest);
    hex(digest, text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void only_equal_bytes_are_equal(void **state)
{
    (void)state;
    assert_true(crypto_equal("abcd", "abcd", 4));
    assert_false(crypto_equal("abcd", "abce", 4));
    assert_false(crypto_equal("abcd", "bbcd", 4));
    assert_true(crypto_equal("a", "b", 0));
}

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
        cmocka_unit_test(checksums_have_their_published_check_values),
        cmocka_unit_test(a_checksum_does_not_depend_on_the_cut_or_the_way),
        cmocka_unit_test(hmacs_are_those_of_rfc_4231),
        cmocka_unit_test(only_equal_bytes_are_equal),
        cmocka_unit_test(a_call_id_is_written_as_a_ulid),
        cmocka_unit_test(ten_thousand_call_ids_differ_and_sort_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
