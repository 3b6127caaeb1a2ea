/* SPDX-License-Identifier: Apache-2.0 */
/* test_keys.c — who is let in, who is not, and what each is told. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto/base62.h"
#include "crypto/crc.h"
#include "keys/key_pepper.h"
#include "keys/keys.h"
#include "store/store_keys.h"

#define NOW ((wall_us){INT64_C(1795489200000000)})

struct fixture {
    char folder[32], pepper[48];
    struct store *store;
    struct keys *keys;
};

static int start(void **state)
{
    static struct fixture f;
    const struct store_settings settings = {.driver = "memory"};
    memset(&f, 0, sizeof(f));
    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/atlas-keys-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    (void)snprintf(f.pepper, sizeof(f.pepper), "%s/pepper", f.folder);
    assert_int_equal(key_pepper_make(f.pepper), ERR_OK);
    assert_int_equal(store_open(&settings, &f.store), ERR_OK);
    assert_int_equal(keys_open(f.pepper, &f.keys), ERR_OK);
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    keys_close(&f->keys);
    keys_close(&f->keys);
    store_close(&f->store);
    (void)unlink(f->pepper);
    return rmdir(f->folder);
}

struct made {
    struct key_text key;
    char id[KEY_ID_CHARS + 1];
};

static struct made make(struct fixture *f, enum key_kind kind, wall_us expires)
{
    const struct key_wish wish = {.kind = kind, .name = SPAN("test"), .expires = expires};
    struct made made;
    assert_int_equal(keys_create(f->keys, f->store, &wish, NOW, &made.key, made.id), ERR_OK);
    return made;
}

static enum err check(struct fixture *f, const char *token, enum key_use use, wall_us now)
{
    struct key_handle handle;
    return keys_check(f->keys, span_of(token), use, now, &handle);
}

/* Closes the keys and opens them with what the store and the pepper file say. */
static enum err open_again(struct fixture *f)
{
    keys_close(&f->keys);
    assert_int_equal(keys_open(f->pepper, &f->keys), ERR_OK);
    return keys_load(f->keys, f->store);
}

static void a_new_key_works_at_once_and_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE, (wall_us){0});
    for (int round = 0; round < 2; round++) {
        struct key_handle handle;
        assert_int_equal(
            keys_check(f->keys, span_of(made.key.text), KEY_USE_INFERENCE, NOW, &handle), ERR_OK);
        assert_string_equal(handle.id, made.id);
        assert_int_equal(handle.kind, KEY_LIVE);
        assert_int_equal(handle.scopes, KEY_SCOPES_INFERENCE);
        assert_int_equal(handle.expires.us, KEY_NEVER_US);
        assert_true(keys_still_valid(f->keys, &handle, NOW));
        assert_int_equal(open_again(f), ERR_OK);
    }
    assert_int_equal(key_table_count(keys_table(f->keys)), 1);
}

static void the_store_holds_no_secret(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE, (wall_us){0});
    struct store_key row;
    assert_int_equal(store_key_find(f->store, span_of(made.id), &row), ERR_OK);
    struct span secret = span_cut(span_of(made.key.text), 24, 32);
    const uint8_t *bytes = (const uint8_t *)&row;
    for (size_t i = 0; i + 8 <= sizeof(row); i++) {
        assert_memory_not_equal(bytes + i, secret.at, 8);
    }
    assert_true(span_is(row.name, "test"));
    assert_int_equal(row.pepper, 1);
}

static void keys_open_only_their_own_doors(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum key_kind kind;
        enum key_use use;
        enum err expect;
    } rows[] = {
        {KEY_LIVE, KEY_USE_INFERENCE, ERR_OK},
        {KEY_TEST, KEY_USE_INFERENCE, ERR_OK},
        {KEY_ADMIN, KEY_USE_INFERENCE, ERR_KEY_WRONG_KIND},
        {KEY_LIVE, KEY_USE_ADMIN, ERR_KEY_WRONG_KIND},
        {KEY_TEST, KEY_USE_ADMIN, ERR_KEY_WRONG_KIND},
        {KEY_ADMIN, KEY_USE_ADMIN, ERR_OK},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct made made = make(f, rows[r].kind, (wall_us){0});
        assert_int_equal(check(f, made.key.text, rows[r].use, NOW), rows[r].expect);
    }
}

/* Writes a right checksum behind the text, so that only the secret is wrong. */
static void seal(struct key_text *key)
{
    size_t len = strlen(key->text) - CRYPTO_BASE62_U32_CHARS;
    crypto_base62_write(crypto_crc32(0, span_make(key->text, len)), key->text + len,
                        CRYPTO_BASE62_U32_CHARS);
}

static void a_token_that_differs_in_one_character_is_no_key(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE, (wall_us){0});
    for (size_t i = 12; i < 56; i++) { /* id and secret, to the last character */
        struct key_text other = made.key;
        other.text[i] = other.text[i] == 'x' ? 'y' : 'x';
        assert_int_equal(check(f, other.text, KEY_USE_INFERENCE, NOW), ERR_KEY_INVALID);
        seal(&other);
        assert_int_equal(check(f, other.text, KEY_USE_INFERENCE, NOW), ERR_KEY_INVALID);
    }
    struct key_text test_kind = made.key; /* a live key dressed as another kind */
    memcpy(test_kind.text, "mx4_sk_test_", 12);
    seal(&test_kind);
    assert_int_equal(check(f, test_kind.text, KEY_USE_INFERENCE, NOW), ERR_KEY_INVALID);
}

static void tokens_that_are_no_keys_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[] = {
        "",         "sk-proj-abc",   "mx4_sk_live_", "' OR '1'='1", "../../etc/passwd",
        "%s%s%s%n", "\r\nX-Admin: 1"};
    for (size_t r = 0; r < ROWS(rows); r++) {
        assert_int_equal(check(f, rows[r], KEY_USE_INFERENCE, NOW), ERR_KEY_INVALID);
    }
}

static void expiry_and_revocation_are_told_only_to_who_knows_the_secret(void **state)
{
    struct fixture *f = *state;
    struct made expiring = make(f, KEY_LIVE, (wall_us){NOW.us + 10});
    struct made revoked = make(f, KEY_LIVE, (wall_us){NOW.us + 10});
    assert_int_equal(keys_revoke(f->keys, f->store, span_of(revoked.id), NOW), ERR_OK);
    for (int round = 0; round < 2; round++) {
        wall_us later = {NOW.us + 10};
        assert_int_equal(check(f, expiring.key.text, KEY_USE_INFERENCE, (wall_us){NOW.us + 9}),
                         ERR_OK);
        assert_int_equal(check(f, expiring.key.text, KEY_USE_INFERENCE, later), ERR_KEY_EXPIRED);
        assert_int_equal(check(f, revoked.key.text, KEY_USE_INFERENCE, later), ERR_KEY_REVOKED);
        assert_int_equal(open_again(f), ERR_OK);
    }
    expiring.key.text[40] = expiring.key.text[40] == 'x' ? 'y' : 'x';
    seal(&expiring.key);
    assert_int_equal(check(f, expiring.key.text, KEY_USE_INFERENCE, (wall_us){NOW.us + 11}),
                     ERR_KEY_INVALID);
    revoked.key.text[40] = revoked.key.text[40] == 'x' ? 'y' : 'x';
    seal(&revoked.key);
    assert_int_equal(check(f, revoked.key.text, KEY_USE_INFERENCE, NOW), ERR_KEY_INVALID);
}

static void a_handle_ends_with_its_key(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE, (wall_us){NOW.us + 10});
    struct made other = make(f, KEY_LIVE, (wall_us){0});
    struct key_handle handle, others;
    assert_int_equal(keys_check(f->keys, span_of(made.key.text), KEY_USE_INFERENCE, NOW, &handle),
                     ERR_OK);
    assert_int_equal(keys_check(f->keys, span_of(other.key.text), KEY_USE_INFERENCE, NOW, &others),
                     ERR_OK);
    assert_int_equal(keys_recheck(f->keys, &handle, (wall_us){NOW.us + 9}), ERR_OK);
    assert_int_equal(keys_recheck(f->keys, &handle, (wall_us){NOW.us + 10}), ERR_KEY_EXPIRED);
    uint64_t revision = keys_revision(f->keys);
    assert_int_equal(keys_revoke(f->keys, f->store, span_of(made.id), NOW), ERR_OK);
    assert_true(keys_revision(f->keys) > revision);
    assert_int_equal(keys_recheck(f->keys, &handle, NOW), ERR_KEY_REVOKED);
    assert_int_equal(keys_recheck(f->keys, &others, NOW), ERR_OK);
}

static void a_clock_that_goes_back_brings_no_key_back(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE, (wall_us){0});
    assert_int_equal(keys_revoke(f->keys, f->store, span_of(made.id), NOW), ERR_OK);
    assert_int_equal(check(f, made.key.text, KEY_USE_INFERENCE, (wall_us){1}), ERR_KEY_REVOKED);
}

static void wishes_that_make_no_sense_are_refused(void **state)
{
    struct fixture *f = *state;
    static char name[KEYS_NAME_MAX + 1];
    memset(name, 'n', sizeof(name));
    const struct {
        struct key_wish wish;
        enum err expect;
    } rows[] = {
        {{KEY_LIVE, span_make(name, KEYS_NAME_MAX), {0}, 0}, ERR_OK},
        {{KEY_LIVE, span_make(name, KEYS_NAME_MAX + 1), {0}, 0}, ERR_VALUE_INVALID},
        {{KEY_LIVE, SPAN(""), {0}, 0}, ERR_VALUE_INVALID},
        {{KEY_LIVE, SPAN("two\nlines"), {0}, 0}, ERR_VALUE_INVALID},
        {{KEY_LIVE, SPAN("\xd9\x85\xd9\x81\xd8\xaa\xd8\xa7\xd8\xad"), {0}, 0}, ERR_OK},
        {{KEY_LIVE, SPAN("cut \xd9"), {0}, 0}, ERR_VALUE_INVALID},
        {{KEY_LIVE, SPAN("escape \xc2\x9b"), {0}, 0}, ERR_VALUE_INVALID},
        {{KEY_LIVE, SPAN("\xc2\xa0"), {0}, 0}, ERR_OK},
        {{KEY_LIVE, SPAN("overlong \xc0\xaf"), {0}, 0}, ERR_VALUE_INVALID},
        {{KEY_LIVE, SPAN("surrogate \xed\xa0\x80"), {0}, 0}, ERR_VALUE_INVALID},
        {{KEY_LIVE, SPAN("n"), {NOW.us}, 0}, ERR_VALUE_INVALID},
        {{KEY_LIVE, SPAN("n"), {-1}, 0}, ERR_VALUE_INVALID},
        {{KEY_LIVE, SPAN("n"), {0}, KEY_SCOPE_CHAT}, ERR_OK},
        {{KEY_LIVE, SPAN("n"), {0}, KEY_SCOPE_ADMIN}, ERR_VALUE_INVALID},
        {{KEY_ADMIN, SPAN("n"), {0}, KEY_SCOPE_CHAT}, ERR_VALUE_INVALID},
        {{KEY_LIVE, SPAN("n"), {0}, 1U << 29}, ERR_VALUE_INVALID},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct made made;
        enum err e = keys_create(f->keys, f->store, &rows[r].wish, NOW, &made.key, made.id);
        if (e != rows[r].expect) {
            fail_msg("row %zu: %s", r, err_name(e));
        }
    }
}

static void revoking_what_is_not_there_says_so(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(keys_revoke(f->keys, f->store, SPAN("AAAAAAAAAAAA"), NOW), ERR_NOT_FOUND_ROW);
    assert_int_equal(keys_revoke(f->keys, f->store, SPAN("short"), NOW), ERR_NOT_FOUND_ROW);
}

static void without_its_pepper_no_key_is_loaded(void **state)
{
    struct fixture *f = *state;
    struct store_key row = {.id = SPAN("AAAAaaaa0001"), .name = SPAN("n"), .pepper = 9, .kind = 1};
    struct keys *k = NULL;
    assert_int_equal(store_key_insert(f->store, &row), ERR_OK);
    assert_int_equal(open_again(f), ERR_PEPPER);
    assert_int_equal(keys_open("/nonexistent/pepper", &k), ERR_PEPPER);
    assert_null(k);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_key_works_at_once_and_after_a_restart),
        TEST(the_store_holds_no_secret),
        TEST(keys_open_only_their_own_doors),
        TEST(a_token_that_differs_in_one_character_is_no_key),
        TEST(tokens_that_are_no_keys_are_refused),
        TEST(expiry_and_revocation_are_told_only_to_who_knows_the_secret),
        TEST(a_handle_ends_with_its_key),
        TEST(a_clock_that_goes_back_brings_no_key_back),
        TEST(wishes_that_make_no_sense_are_refused),
        TEST(revoking_what_is_not_there_says_so),
        TEST(without_its_pepper_no_key_is_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
