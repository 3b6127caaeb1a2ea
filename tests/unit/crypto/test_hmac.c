/* SPDX-License-Identifier: Apache-2.0 */
/* test_hmac.c — digests are those of their standards. */
#include "unit.h"

#include <stdio.h>

#include "crypto/hmac.h"
#include "crypto/random.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmacs_are_those_of_rfc_4231),
        cmocka_unit_test(only_equal_bytes_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
