/* SPDX-License-Identifier: Apache-2.0 */
/* test_policy_history.c — what came in force is kept, once, and the oldest goes for the newest. */
#include "store/store_fixture.h"

#include <dirent.h>

#include "base/arena.h"
#include "policy/policy_history.h"

#define LARGE ((size_t)20 << 20)

static const struct upstream_settings upstreams = {.definitions_count = 0};

/* A policy of this zone, whose configuration has the text. */
static struct policy_version apply(struct store_fixture *f, const char *zone, struct span text,
                                   unsigned *dropped)
{
    const struct policy_settings settings = {.zone = zone, .texts = {.settings = text}};
    struct policy_version v = {.since = {4711}, .actor = "somebody"};
    struct buf file;
    buf_init(&file, POLICY_ARCHIVE_BYTES_MAX);
    assert_int_equal(policy_archive_write(&settings, &upstreams, &file, v.digest), ERR_OK);
    assert_int_equal(policy_history_record(f->store, f->folder, buf_span(&file), &v, dropped),
                     ERR_OK);
    buf_fini(&file);
    return v;
}

static uint64_t rows(struct store *s)
{
    uint64_t count;
    assert_int_equal(store_policy_count(s, &count), ERR_OK);
    return count;
}

static void a_policy_is_recorded_when_it_says_something_else(void **state)
{
    struct store_fixture *f = *state;
    unsigned dropped;
    struct policy_version one = apply(f, "a", SPAN("zone: a\n"), &dropped);
    assert_int_equal(one.version, 1);
    assert_int_equal(apply(f, "a", SPAN("zone: a\n"), &dropped).version, 1);
    struct policy_version two = apply(f, "a", SPAN("zone: a # so\n"), &dropped);
    assert_int_equal(two.version, 2);
    assert_memory_equal(one.digest, two.digest, sizeof(one.digest));
    struct policy_version three = apply(f, "b", SPAN("zone: b\n"), &dropped);
    assert_int_equal(three.version, 3);
    assert_memory_not_equal(one.digest, three.digest, sizeof(one.digest));
    assert_int_equal(apply(f, "a", SPAN("zone: a\n"), &dropped).version, 4);
    assert_int_equal(rows(f->store), 4);
    assert_int_equal(dropped, 0);
}

static void a_file_says_what_was_and_is_proven(void **state)
{
    struct store_fixture *f = *state;
    unsigned dropped;
    struct policy_archived a;
    struct arena arena;
    uint8_t other[CRYPTO_SHA256_BYTES] = {1};
    struct policy_version v = apply(f, "a", SPAN("zone: \"a\"\n"), &dropped);
    arena_init(&arena, 1u << 20);
    assert_int_equal(policy_archive_get(f->folder, v.digest, v.text, 1, &arena, &a), ERR_OK);
    assert_true(span_is(a.texts.settings, "zone: \"a\"\n"));
    assert_null(a.texts.rules.at);
    assert_int_equal(policy_archive_get(f->folder, v.digest, v.text, 2, &arena, &a),
                     ERR_NOT_FOUND_ROW);
    assert_int_equal(policy_archive_get(f->folder, other, v.text, 1, &arena, &a),
                     ERR_NOT_FOUND_ROW);
    static const char *const wrong[] = {"{\"policy\":\"{}\"}", "["};
    for (size_t i = 0; i < ROWS(wrong); i++) {
        uint8_t whole[CRYPTO_SHA256_BYTES];
        crypto_sha256(span_of(wrong[i]), whole);
        assert_int_equal(policy_archive_put(f->folder, other, 1, span_of(wrong[i])), ERR_OK);
        assert_int_equal(policy_archive_get(f->folder, other, whole, 1, &arena, &a),
                         ERR_VALUE_INVALID);
    }
    /* A text that no digest of the policy is of is proven by its file's. */
    assert_int_equal(policy_archive_get(f->folder, v.digest, other, 1, &arena, &a),
                     ERR_VALUE_INVALID);
    arena_fini(&arena);
}

static void the_oldest_go_for_the_newest(void **state)
{
    struct store_fixture *f = *state;
    unsigned dropped = 0;
    char *text = malloc(LARGE); // NOLINT(clang-analyzer-unix.Malloc): freed below
    assert_non_null(text);
    memset(text, '#', LARGE);
    for (unsigned i = 0; i < 5; i++) { /* 64 MiB hold three */
        text[0] = (char)('a' + i);
        assert_int_equal(apply(f, "a", span_make(text, LARGE), &dropped).version, i + 1);
        assert_int_equal(dropped, i < 3 ? 0 : 1);
    }
    assert_int_equal(rows(f->store), 3);
    free(text);
}

/* Takes away what the test has put into the folder. */
static int stop(void **state)
{
    struct store_fixture *f = *state;
    char path[400];
    (void)snprintf(path, sizeof(path), "%s/" POLICY_ARCHIVE_FOLDER, f->folder);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (const struct dirent *e; (e = readdir(folder)) != NULL;) {
        (void)snprintf(path, sizeof(path), "%s/" POLICY_ARCHIVE_FOLDER "/%s", f->folder, e->d_name);
        (void)unlink(path); /* "." and ".." stay */
    }
    (void)closedir(folder); /* only read from */
    (void)snprintf(path, sizeof(path), "%s/" POLICY_ARCHIVE_FOLDER, f->folder);
    assert_int_equal(rmdir(path), 0);
    return store_fixture_stop(state);
}

static int start(void **state)
{
    return store_fixture_start(state, "sqlite", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_policy_is_recorded_when_it_says_something_else, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_file_says_what_was_and_is_proven, start, stop),
        cmocka_unit_test_setup_teardown(the_oldest_go_for_the_newest, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
