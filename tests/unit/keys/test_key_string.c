/* SPDX-License-Identifier: Apache-2.0 */
/* test_key_string.c — a key is read whole or not at all, without knowing any. */
#include "unit.h"

#include <stdio.h>

#include "crypto/base62.h"
#include "crypto/crc.h"
#include "keys/key_string.h"

static void keys_are_what_the_design_says(void **state)
{
    (void)state;
    static const struct {
        enum key_kind kind;
        const char *prefix, *name;
    } rows[] = {
        {KEY_LIVE, "mx4_sk_live_", "live"},
        {KEY_TEST, "mx4_sk_test_", "test"},
        {KEY_ADMIN, "mx4_ak_", "admin"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct key_text a, b;
        struct key_parts parts;
        key_string_make(rows[r].kind, &a);
        key_string_make(rows[r].kind, &b);
        struct span text = span_of(a.text);
        size_t prefix = strlen(rows[r].prefix);
        assert_true(span_starts(text, span_of(rows[r].prefix)));
        assert_int_equal(text.len, prefix + 12 + 32 + 6);
        assert_true(crypto_is_base62(span_cut(text, prefix, text.len)));
        assert_string_not_equal(a.text, b.text);
        assert_int_equal(key_string_parse(text, &parts), ERR_OK);
        assert_int_equal(parts.kind, rows[r].kind);
        assert_true(span_equal(parts.id, span_cut(text, prefix, 12)));
        assert_string_equal(key_kind_name((int)rows[r].kind), rows[r].name);
    }
    assert_string_equal(key_kind_name(0), "unknown");
    assert_string_equal(key_kind_name(4), "unknown");
}

static void every_changed_character_is_noticed(void **state)
{
    (void)state;
    static const char others[] = "09AZaz_-. \x7f\x80\xff";
    struct key_text key;
    struct key_parts parts;
    key_string_make(KEY_LIVE, &key);
    struct span text = span_of(key.text);
    for (size_t i = 0; i < text.len; i++) {
        char right = key.text[i];
        for (size_t o = 0; o < sizeof(others); o++) { /* the NUL too */
            key.text[i] = others[o];
            if (others[o] != right) {
                assert_int_equal(key_string_parse(text, &parts), ERR_KEY_INVALID);
            }
        }
        key.text[i] = right;
    }
    assert_int_equal(key_string_parse(text, &parts), ERR_OK);
}

static void every_other_length_is_refused(void **state)
{
    (void)state;
    struct key_text key;
    struct key_parts parts;
    key_string_make(KEY_ADMIN, &key);
    for (size_t len = 0; len < strlen(key.text); len++) {
        assert_int_equal(key_string_parse(span_make(key.text, len), &parts), ERR_KEY_INVALID);
    }
    char longer[KEY_TEXT_MAX + 2];
    (void)snprintf(longer, sizeof(longer), "%s0", key.text);
    assert_int_equal(key_string_parse(span_of(longer), &parts), ERR_KEY_INVALID);
    assert_int_equal(key_string_parse((struct span){NULL, 0}, &parts), ERR_KEY_INVALID);
}

static void a_right_checksum_does_not_excuse_the_rest(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "mx4_sk_prod_AAAAAAAAAAAABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", /* no such kind */
        "mx4_ak_AAAAAAAAAAAABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB-",      /* not Base62 */
        "mx4_sk_live_AAAA AAAAAAABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", /* nor this */
        "mx4_sk_live_' OR 1=1;--BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
        "mx4_sk_live_AAAAAAAAAAABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", /* one short */
        "MX4_SK_LIVE_AAAAAAAAAAAABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char text[80];
        struct key_parts parts;
        size_t len = strlen(rows[r]);
        memcpy(text, rows[r], len);
        crypto_base62_write(crypto_crc32(0, span_of(rows[r])), text + len, 6);
        assert_int_equal(key_string_parse(span_make(text, len + 6), &parts), ERR_KEY_INVALID);
    }
}

/* Scanners of other people know this sample: it must stay a key for ever. */
static void the_published_sample_is_a_key(void **state)
{
    (void)state;
    static const char start[] = "mx4_sk_test_SampleSample0123456789abcdefghijklmnopqrstuv";
    struct key_parts parts;
    char text[KEY_TEXT_MAX + 1];
    (void)snprintf(text, sizeof(text), "%s%s", start, "1sXmcf");
    assert_int_equal(key_string_parse(span_of(text), &parts), ERR_OK);
    assert_true(span_is(parts.id, "SampleSample"));
}

static void a_seed_makes_one_key_and_another_seed_another(void **state)
{
    (void)state;
    uint8_t seed[KEY_SEED_BYTES] = {0};
    struct key_text first, again, before = {{0}};
    struct key_parts parts;
    bool used[256] = {false};
    size_t characters = 0;
    for (unsigned i = 0; i < 1000; i++) {
        seed[i % KEY_SEED_BYTES]++;
        key_string_make_of(KEY_LIVE, seed, &first);
        key_string_make_of(KEY_LIVE, seed, &again);
        assert_string_equal(first.text, again.text);
        assert_string_not_equal(first.text, before.text);
        assert_int_equal(key_string_parse(span_of(first.text), &parts), ERR_OK);
        for (size_t c = strlen("mx4_sk_live_"); c < strlen(first.text); c++) {
            used[(uint8_t)first.text[c]] = true;
        }
        before = first;
    }
    for (size_t c = 0; c < sizeof(used); c++) {
        characters += used[c];
    }
    assert_int_equal(characters, 62);
    key_string_make_of(KEY_ADMIN, seed, &first);
    assert_memory_equal(first.text, "mx4_ak_", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_makes_one_key_and_another_seed_another),
        cmocka_unit_test(keys_are_what_the_design_says),
        cmocka_unit_test(every_changed_character_is_noticed),
        cmocka_unit_test(every_other_length_is_refused),
        cmocka_unit_test(a_right_checksum_does_not_excuse_the_rest),
        cmocka_unit_test(the_published_sample_is_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
