/* SPDX-License-Identifier: Apache-2.0 */
/* test_keys.c — who is let in, who is not, and what each is told. */
#include "keys_scene.h"

#include "crypto/base62.h"
#include "crypto/crc.h"
#include "store/store_tables.h"

#define BY SPAN("uid:1")

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
    return keys_load(f->keys, f->store, NULL, &f->report);
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
        assert_int_equal(keys_recheck(f->keys, &handle, NOW), ERR_OK);
        assert_int_equal(open_again(f), ERR_OK);
    }
    assert_int_equal(key_table_count(keys_table(f->keys)), 1);
}

static void the_store_holds_no_secret(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE, (wall_us){0});
    struct store_key row = {.id = span_of(made.id)};
    assert_int_equal(store_key_get(f->store, &row), ERR_OK);
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
    assert_int_equal(keys_revoke(f->keys, f->store, span_of(revoked.id), BY, NOW), ERR_OK);
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
    assert_int_equal(keys_revoke(f->keys, f->store, span_of(made.id), BY, NOW), ERR_OK);
    assert_true(keys_revision(f->keys) > revision);
    assert_int_equal(keys_recheck(f->keys, &handle, NOW), ERR_KEY_REVOKED);
    assert_int_equal(keys_recheck(f->keys, &others, NOW), ERR_OK);
}

static void a_handle_is_what_its_key_is_now(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE, (wall_us){0});
    struct key_handle handle;
    struct store_key row;
    assert_int_equal(keys_check(f->keys, span_of(made.key.text), KEY_USE_INFERENCE, NOW, &handle),
                     ERR_OK);
    static const struct {
        int64_t in_us; /* 0: never */
        uint32_t scopes;
    } changes[] = {
        {10, KEY_SCOPE_CHAT}, {100, KEY_SCOPE_CHAT | KEY_SCOPE_MODELS}, {0, KEY_SCOPE_MODELS}};
    for (size_t i = 0; i < ROWS(changes); i++) {
        wall_us end = {changes[i].in_us == 0 ? 0 : NOW.us + changes[i].in_us};
        const struct key_change change = {
            .has_expires = true, .has_scopes = true, .expires = end, .scopes = changes[i].scopes};
        assert_int_equal(keys_change(f->keys, f->store, span_of(made.id), &change, NOW, &row),
                         ERR_OK);
        assert_int_equal(keys_recheck(f->keys, &handle, NOW), ERR_OK);
        assert_int_equal(handle.expires.us, end.us == 0 ? KEY_NEVER_US : end.us);
        assert_int_equal(handle.scopes, changes[i].scopes);
    }
    assert_int_equal(keys_revoke(f->keys, f->store, span_of(made.id), BY, NOW), ERR_OK);
    assert_int_equal(keys_recheck(f->keys, &handle, NOW), ERR_KEY_REVOKED);
}

static void a_clock_that_goes_back_brings_no_key_back(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE, (wall_us){0});
    assert_int_equal(keys_revoke(f->keys, f->store, span_of(made.id), BY, NOW), ERR_OK);
    assert_int_equal(check(f, made.key.text, KEY_USE_INFERENCE, (wall_us){1}), ERR_KEY_REVOKED);
}

#define WISH(kind_of, name_of, ends, scopes_of)                                      \
    {                                                                                \
        .kind = (kind_of), .name = name_of, .expires = {ends}, .scopes = (scopes_of) \
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
        {WISH(KEY_LIVE, span_make(name, KEYS_NAME_MAX), 0, 0), ERR_OK},
        {WISH(KEY_LIVE, span_make(name, KEYS_NAME_MAX + 1), 0, 0), ERR_VALUE_INVALID},
        {WISH(KEY_LIVE, SPAN(""), 0, 0), ERR_VALUE_INVALID},
        {WISH(KEY_LIVE, SPAN("two\nlines"), 0, 0), ERR_VALUE_INVALID},
        {WISH(KEY_LIVE, SPAN("\xd9\x85\xd9\x81\xd8\xaa\xd8\xa7\xd8\xad"), 0, 0), ERR_OK},
        {WISH(KEY_LIVE, SPAN("cut \xd9"), 0, 0), ERR_VALUE_INVALID},
        {WISH(KEY_LIVE, SPAN("escape \xc2\x9b"), 0, 0), ERR_VALUE_INVALID},
        {WISH(KEY_LIVE, SPAN("\xc2\xa0"), 0, 0), ERR_OK},
        {WISH(KEY_LIVE, SPAN("overlong \xc0\xaf"), 0, 0), ERR_VALUE_INVALID},
        {WISH(KEY_LIVE, SPAN("surrogate \xed\xa0\x80"), 0, 0), ERR_VALUE_INVALID},
        {WISH(KEY_LIVE, SPAN("n"), NOW.us, 0), ERR_VALUE_INVALID},
        {WISH(KEY_LIVE, SPAN("n"), -1, 0), ERR_VALUE_INVALID},
        {WISH(KEY_LIVE, SPAN("n"), 0, KEY_SCOPE_CHAT), ERR_OK},
        {WISH(KEY_LIVE, SPAN("n"), 0, KEY_SCOPE_ROLE), ERR_VALUE_INVALID},
        {WISH(KEY_ADMIN, SPAN("n"), 0, KEY_SCOPE_CHAT), ERR_VALUE_INVALID},
        {WISH(KEY_LIVE, SPAN("n"), 0, 1U << 29), ERR_VALUE_INVALID},
        {{.kind = KEY_LIVE, .name = SPAN("n"), .role = KEY_ROLE_OWNER}, ERR_VALUE_INVALID},
        {{.kind = KEY_ADMIN, .name = SPAN("n"), .role = KEY_ROLE_OWNER}, ERR_OK},
        {{.kind = KEY_ADMIN, .name = SPAN("n"), .role = KEY_ROLES}, ERR_VALUE_INVALID},
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
    assert_int_equal(keys_revoke(f->keys, f->store, SPAN("AAAAAAAAAAAA"), BY, NOW),
                     ERR_NOT_FOUND_ROW);
    assert_int_equal(keys_revoke(f->keys, f->store, SPAN("short"), BY, NOW), ERR_NOT_FOUND_ROW);
}

static void one_key_that_cannot_be_used_stops_no_other(void **state)
{
    struct fixture *f = *state;
    struct made made = make(f, KEY_LIVE, (wall_us){0});
    struct store_key rows[] = {
        {.id = SPAN("AAAAaaaa0001"), .name = SPAN("no pepper"), .pepper = 9, .kind = 1},
        {.id = SPAN("AAAAaaaa0002"), .name = SPAN("no kind"), .pepper = 1, .kind = 77},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        assert_int_equal(store_key_insert(f->store, &rows[r]), ERR_OK);
    }
    assert_int_equal(open_again(f), ERR_OK);
    assert_int_equal(f->report.no_pepper, 1);
    assert_int_equal(f->report.damaged, 1);
    assert_int_equal(check(f, made.key.text, KEY_USE_INFERENCE, NOW), ERR_OK);
    assert_int_equal(key_table_count(keys_table(f->keys)), 2);
}

static void without_the_pepper_file_nothing_is_opened(void **state)
{
    (void)state;
    struct keys *k = NULL;
    assert_int_equal(keys_open("/nonexistent/pepper", &k), ERR_PEPPER);
    assert_null(k);
}

static void another_installations_pepper_is_found_out(void **state)
{
    struct fixture *f = *state;
    (void)make(f, KEY_LIVE, (wall_us){0});
    assert_int_equal(open_again(f), ERR_OK);
    assert_int_equal(unlink(f->pepper), 0);
    assert_int_equal(key_pepper_make(f->pepper), ERR_OK);
    assert_int_equal(open_again(f), ERR_PEPPER_WRONG);
    assert_int_equal(keys_prove(f->keys, f->store), ERR_PEPPER_WRONG);
}

static void only_a_key_that_is_no_good_is_deleted_and_it_stays_so(void **state)
{
    struct fixture *f = *state;
    struct made revoked = make(f, KEY_LIVE, (wall_us){0});
    struct made expired = make(f, KEY_LIVE, (wall_us){NOW.us + 10});
    const wall_us later = {NOW.us + 10};
    struct store_key row = {.id = span_of(revoked.id)};
    assert_int_equal(keys_delete(f->keys, f->store, span_of(revoked.id), BY, NOW),
                     ERR_VALUE_INVALID);
    assert_int_equal(keys_delete(f->keys, f->store, span_of(expired.id), BY, NOW),
                     ERR_VALUE_INVALID);
    assert_int_equal(keys_revoke(f->keys, f->store, span_of(revoked.id), BY, NOW), ERR_OK);
    assert_int_equal(keys_delete(f->keys, f->store, span_of(revoked.id), BY, NOW), ERR_OK);
    assert_int_equal(keys_delete(f->keys, f->store, span_of(expired.id), BY, later), ERR_OK);
    assert_int_equal(keys_delete(f->keys, f->store, span_of(revoked.id), BY, NOW),
                     ERR_NOT_FOUND_ROW);
    assert_int_equal(store_key_get(f->store, &row), ERR_NOT_FOUND_ROW);
    assert_int_equal(check(f, revoked.key.text, KEY_USE_INFERENCE, NOW), ERR_KEY_REVOKED);
    assert_int_equal(check(f, expired.key.text, KEY_USE_INFERENCE, NOW), ERR_KEY_REVOKED);
    assert_int_equal(open_again(f), ERR_OK);
    assert_int_equal(check(f, revoked.key.text, KEY_USE_INFERENCE, NOW), ERR_KEY_INVALID);
    assert_int_equal(check(f, expired.key.text, KEY_USE_INFERENCE, NOW), ERR_KEY_INVALID);
}

/* ---- the file of revoked keys beside a store that does not know ---- */

static struct key_deny *open_deny(const struct fixture *f)
{
    char path[64];
    struct key_deny *d = NULL;
    (void)snprintf(path, sizeof(path), "%s/" KEY_DENY_FILE, f->folder);
    assert_int_equal(key_deny_open(path, &d), ERR_OK);
    return d;
}

static void close_deny(const struct fixture *f, struct key_deny **d)
{
    char path[64];
    key_deny_close(d);
    (void)snprintf(path, sizeof(path), "%s/" KEY_DENY_FILE, f->folder);
    assert_int_equal(unlink(path), 0);
}

static int64_t revoked_in_store(const struct fixture *f, const char *id)
{
    struct store_key row = {.id = span_of(id)};
    assert_int_equal(store_key_get(f->store, &row), ERR_OK);
    return row.revoked.us;
}

static void a_restored_database_brings_no_revoked_key_back(void **state)
{
    struct fixture *f = *state;
    struct key_deny *deny = open_deny(f);
    struct made made = make(f, KEY_LIVE, (wall_us){0});
    struct made other = make(f, KEY_LIVE, (wall_us){0});
    assert_int_equal(key_deny_add(deny, span_of(made.id), NOW), ERR_OK);
    keys_close(&f->keys);
    assert_int_equal(keys_open(f->pepper, &f->keys), ERR_OK);
    assert_int_equal(keys_load(f->keys, f->store, deny, &f->report), ERR_OK);
    assert_int_equal(f->report.denied, 1);
    assert_int_equal(check(f, made.key.text, KEY_USE_INFERENCE, NOW), ERR_KEY_REVOKED);
    assert_int_equal(check(f, other.key.text, KEY_USE_INFERENCE, NOW), ERR_OK);
    assert_int_equal(revoked_in_store(f, made.id), 0);
    close_deny(f, &deny);
}

static void the_store_is_told_of_each_revocation_once_and_of_all_after_a_restore(void **state)
{
    struct fixture *f = *state;
    struct key_deny *deny = open_deny(f);
    struct made made[3];
    uint64_t heard = 0;
    assert_int_equal(keys_tell_store(deny, f->store, UINT64_MAX), ERR_OK);
    for (size_t i = 0; i < ROWS(made); i++) {
        made[i] = make(f, KEY_LIVE, (wall_us){0});
        assert_int_equal(key_deny_add(deny, span_of(made[i].id), NOW), ERR_OK);
        assert_int_equal(keys_tell_store(deny, f->store, UINT64_MAX), ERR_OK);
        assert_int_equal(revoked_in_store(f, made[i].id), NOW.us);
        assert_int_equal(store_number(f->store, "keys_denied", &heard), ERR_OK);
        assert_int_equal(heard, i + 1);
    }
    uint64_t revision = 0, after = 0;
    assert_int_equal(store_revision(f->store, &revision), ERR_OK);
    assert_int_equal(keys_tell_store(deny, f->store, UINT64_MAX), ERR_OK);
    assert_int_equal(store_revision(f->store, &after), ERR_OK);
    assert_int_equal(after, revision);
    close_deny(f, &deny); /* another file, shorter than what the store has heard of */
    deny = open_deny(f);
    struct made late = make(f, KEY_LIVE, (wall_us){0});
    assert_int_equal(key_deny_add(deny, span_of(late.id), NOW), ERR_OK);
    assert_int_equal(keys_tell_store(deny, f->store, UINT64_MAX), ERR_OK);
    assert_int_equal(revoked_in_store(f, late.id), NOW.us);
    close_deny(f, &deny);
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
        TEST(a_handle_is_what_its_key_is_now),
        TEST(a_clock_that_goes_back_brings_no_key_back),
        TEST(wishes_that_make_no_sense_are_refused),
        TEST(revoking_what_is_not_there_says_so),
        TEST(one_key_that_cannot_be_used_stops_no_other),
        TEST(without_the_pepper_file_nothing_is_opened),
        TEST(another_installations_pepper_is_found_out),
        TEST(only_a_key_that_is_no_good_is_deleted_and_it_stays_so),
        TEST(a_restored_database_brings_no_revoked_key_back),
        TEST(the_store_is_told_of_each_revocation_once_and_of_all_after_a_restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
