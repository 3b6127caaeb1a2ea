/* SPDX-License-Identifier: Apache-2.0 */
/* test_key_pepper.c — the pepper file is private, whole and never overwritten. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "synced.h"

#include "keys/key_pepper.h"

static char folder[32], path[48];

static int start(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/atlas-pepper-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/pepper", folder);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
    assert_int_equal(chmod(path, 0600), 0);
}

static void a_new_pepper_is_private_and_read_again(void **state)
{
    (void)state;
    struct stat st;
    struct key_peppers p = {0}, again = {0};
    mode_t before = umask(0);
    folders_synced = 0;
    assert_int_equal(key_pepper_make(path), ERR_OK);
    assert_int_equal(folders_synced, 1); /* no power cut takes it from the keys made with it */
    (void)umask(before);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(key_peppers_read(path, &p), ERR_OK);
    assert_int_equal(p.count, 1);
    assert_int_equal(p.row[0].version, 1);
    assert_int_equal(key_peppers_read(path, &again), ERR_OK);
    assert_memory_equal(&p, &again, sizeof(p));
    assert_ptr_equal(key_pepper_find(&p, 1), &p.row[0].hmac);
    assert_null(key_pepper_find(&p, 2));
}

static void an_old_pepper_is_never_overwritten(void **state)
{
    (void)state;
    struct key_peppers p, again;
    assert_int_equal(key_pepper_make(path), ERR_OK);
    assert_int_equal(key_peppers_read(path, &p), ERR_OK);
    assert_int_equal(key_pepper_make(path), ERR_EXISTS);
    assert_int_equal(key_peppers_read(path, &again), ERR_OK);
    assert_memory_equal(&p, &again, sizeof(p));
    assert_int_equal(key_pepper_make("/nonexistent/pepper"), ERR_FILE);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        enum err expect;
    } rows[] = {{0600, ERR_OK},          {0400, ERR_OK},          {0640, ERR_PEPPER_OPEN},
                {0604, ERR_PEPPER_OPEN}, {0620, ERR_PEPPER_OPEN}, {0601, ERR_PEPPER_OPEN}};
    assert_int_equal(key_pepper_make(path), ERR_OK);
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct key_peppers p;
        assert_int_equal(chmod(path, rows[r].mode), 0);
        assert_int_equal(key_peppers_read(path, &p), rows[r].expect);
    }
    struct key_peppers p;
    assert_int_equal(key_peppers_read(folder, &p), ERR_PEPPER_OPEN);
    assert_int_equal(key_peppers_read("/nonexistent/pepper", &p), ERR_PEPPER);
}

#define ONE   "pepper 1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= e555e31b"
#define TWO   "pepper 2 //////////////////////////////////////////8= 2db37820"
#define OTHER "pepper 255 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= bfbd098c"

static void only_a_whole_file_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *why, *text;
        size_t count; /* 0: refused */
    } rows[] = {
        {"one", ONE "\n", 1},
        {"three, rising", ONE "\n" TWO "\n" OTHER "\n", 3},
        {"falling", TWO "\n" ONE "\n", 0},
        {"twice the same", ONE "\n" ONE "\n", 0},
        {"no line end", ONE, 0},
        {"empty", "", 0},
        {"an empty line", ONE "\n\n", 0},
        {"something behind it", ONE "\nx", 0},
        {"the checksum of another",
         "pepper 1 //////////////////////////////////////////8= e555e31b\n", 0},
        {"version 0", "pepper 0 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= 9a9c7888\n", 0},
        {"version 256", "pepper 256 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= 0fb1db65\n", 0},
        {"31 bytes", "pepper 1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg== 937e5063\n", 0},
        {"cut", "pepper 1 AAECAwQFBgcICQoLDA0ODxAR", 0},
        {"nothing", "pepper ", 0},
        {"another file", "password 1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= e555e31b\n", 0},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct key_peppers p = {.count = 99};
        write_file(rows[r].text);
        enum err e = key_peppers_read(path, &p);
        if (e != (rows[r].count == 0 ? ERR_PEPPER : ERR_OK) ||
            p.count != (rows[r].count == 0 ? 99 : rows[r].count)) {
            fail_msg("%s: %s, %zu", rows[r].why, err_name(e), p.count);
        }
    }
}

static void a_pepper_is_added_for_new_keys_and_an_old_one_removed(void **state)
{
    (void)state;
    struct key_peppers p, before;
    struct stat st;
    uint8_t version = 0;
    assert_int_equal(key_pepper_make(path), ERR_OK);
    assert_int_equal(key_peppers_read(path, &before), ERR_OK);
    assert_int_equal(key_pepper_remove(path, 1), ERR_VALUE_INVALID);
    for (uint8_t i = 2; i <= KEY_PEPPERS_MAX; i++) {
        assert_int_equal(key_pepper_add(path, &version), ERR_OK);
        assert_int_equal(version, i);
    }
    assert_int_equal(key_pepper_add(path, &version), ERR_EXISTS);
    assert_int_equal(key_peppers_read(path, &p), ERR_OK);
    assert_int_equal(p.count, KEY_PEPPERS_MAX);
    assert_memory_equal(&p.row[0], &before.row[0], sizeof(p.row[0]));
    assert_int_equal(key_pepper_remove(path, KEY_PEPPERS_MAX), ERR_VALUE_INVALID);
    assert_int_equal(key_pepper_remove(path, 77), ERR_NOT_FOUND_ROW);
    before = p;
    assert_int_equal(key_pepper_remove(path, 3), ERR_OK);
    assert_int_equal(key_peppers_read(path, &p), ERR_OK);
    assert_int_equal(p.count, KEY_PEPPERS_MAX - 1);
    assert_null(key_pepper_find(&p, 3));
    assert_memory_equal(&p.row[1], &before.row[1], sizeof(p.row[1]));
    assert_memory_equal(&p.row[2], &before.row[3], 2 * sizeof(p.row[2]));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(key_pepper_add("/nonexistent/pepper", &version), ERR_PEPPER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_pepper_is_private_and_read_again, start, stop),
        cmocka_unit_test_setup_teardown(an_old_pepper_is_never_overwritten, start, stop),
        cmocka_unit_test_setup_teardown(a_file_that_others_may_read_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(only_a_whole_file_is_read, start, stop),
        cmocka_unit_test_setup_teardown(a_pepper_is_added_for_new_keys_and_an_old_one_removed,
                                        start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
