/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli_data.c — what is missing is made, what is there stays. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli_data.h"
#include "store/store.h"

struct place {
    char top[64], data[96];
};

static void place_begin(struct place *p)
{
    snprintf(p->top, sizeof(p->top), "/tmp/atlas-unit-XXXXXX");
    assert_non_null(mkdtemp(p->top));
    snprintf(p->data, sizeof(p->data), "%s/deep/data", p->top);
}

static void forget(const struct place *p, const char *name)
{
    char path[CLI_PATH_MAX];
    assert_int_equal(cli_data_path(p->data, name, path), ERR_OK);
    (void)unlink(path); /* may not be there */
}

static void place_end(struct place *p)
{
    forget(p, "pepper");
    forget(p, "revoked");
    forget(p, "atlas.db");
    forget(p, "atlas.db-wal");
    forget(p, "atlas.db-shm");
    (void)rmdir(p->data); /* may not be there */
    *strrchr(p->data, '/') = '\0';
    (void)rmdir(p->data); /* may not be there */
    assert_int_equal(rmdir(p->top), 0);
}

static unsigned mode_of(const struct place *p, const char *name)
{
    char path[CLI_PATH_MAX];
    struct stat st;
    assert_int_equal(cli_data_path(p->data, name, path), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void a_new_folder_is_its_owners_alone(void **state)
{
    (void)state;
    struct place p;
    struct cli_data_made made;
    place_begin(&p);
    assert_int_equal(cli_data_make(p.data, &made), ERR_OK);
    assert_true(made.folder && made.pepper && made.store && made.deny);
    assert_int_equal(mode_of(&p, "revoked"), 0600);
    assert_int_equal(mode_of(&p, "."), 0700);
    assert_int_equal(mode_of(&p, "pepper"), 0600);
    assert_int_equal(mode_of(&p, "atlas.db"), 0600);
    place_end(&p);
}

static void what_is_there_stays(void **state)
{
    (void)state;
    struct place p;
    struct cli_data_made made;
    place_begin(&p);
    assert_int_equal(cli_data_make(p.data, &made), ERR_OK);
    assert_int_equal(cli_data_make(p.data, &made), ERR_OK);
    assert_false(made.folder || made.pepper || made.store || made.deny);
    forget(&p, "atlas.db");
    assert_int_equal(cli_data_make(p.data, &made), ERR_OK);
    assert_true(made.store && !made.pepper);
    place_end(&p);
}

static void a_lost_pepper_is_not_made_anew_beside_keys(void **state)
{
    (void)state;
    struct place p;
    struct cli_data_made made;
    place_begin(&p);
    assert_int_equal(cli_data_make(p.data, &made), ERR_OK);
    forget(&p, "pepper");
    assert_int_equal(cli_data_make(p.data, &made), ERR_PEPPER);
    assert_non_null(strstr(made.problem, "restore it from a backup"));
    place_end(&p);
}

static void an_open_folder_is_closed_only_while_it_is_empty(void **state)
{
    (void)state;
    struct place p;
    struct cli_data_made made;
    place_begin(&p);
    assert_int_equal(cli_make_parents(p.data), ERR_OK);
    assert_int_equal(mkdir(p.data, 0700), 0);
    assert_int_equal(chmod(p.data, 0755), 0);
    assert_int_equal(cli_data_make(p.data, &made), ERR_OK);
    assert_int_equal(mode_of(&p, "."), 0700);
    assert_int_equal(chmod(p.data, 0755), 0);
    forget(&p, "atlas.db");
    assert_int_equal(cli_data_make(p.data, &made), ERR_FILE);
    assert_non_null(strstr(made.problem, "chmod 700"));
    assert_int_equal(mode_of(&p, "."), 0755);
    place_end(&p);
}

static void a_file_in_the_way_is_named(void **state)
{
    (void)state;
    struct cli_data_made made;
    assert_int_equal(cli_data_make("/dev/null", &made), ERR_FILE);
    assert_non_null(strstr(made.problem, "not a folder"));
    assert_int_equal(cli_data_make("/dev/null/data", &made), ERR_FILE);
    assert_non_null(strstr(made.problem, "Not a directory"));
}

static void a_store_is_opened_only_where_one_was_made(void **state)
{
    (void)state;
    struct place p;
    struct cli_data_made made;
    struct store *store = NULL;
    place_begin(&p);
    assert_int_equal(cli_data_open_store(p.data, &store), ERR_FILE);
    assert_int_equal(cli_data_make(p.data, &made), ERR_OK);
    assert_int_equal(cli_data_open_store(p.data, &store), ERR_OK);
    store_close(&store);
    place_end(&p);
}

static void a_gateway_holds_the_folder_alone(void **state)
{
    (void)state;
    struct place p;
    struct cli_data_made made;
    int one, two, gateway;
    place_begin(&p);
    assert_int_equal(cli_data_lock(p.data, CLI_LOCK_SHARED, 0, &one), ERR_FILE);
    assert_int_equal(cli_data_make(p.data, &made), ERR_OK);
    assert_int_equal(cli_data_lock(p.data, CLI_LOCK_SHARED, 0, &one), ERR_OK);
    assert_int_equal(cli_data_lock(p.data, CLI_LOCK_SHARED, 0, &two), ERR_OK);
    assert_int_equal(mode_of(&p, CLI_LOCK_FILE), 0600);
    assert_int_equal(cli_data_lock(p.data, CLI_LOCK_ALONE, 20, &gateway), ERR_LOCKED);
    assert_int_equal(close(one), 0);
    assert_int_equal(cli_data_lock(p.data, CLI_LOCK_ALONE, 0, &gateway), ERR_LOCKED);
    assert_int_equal(close(two), 0);
    assert_int_equal(cli_data_lock(p.data, CLI_LOCK_ALONE, 0, &gateway), ERR_OK);
    assert_int_equal(cli_data_lock(p.data, CLI_LOCK_SHARED, 0, &one), ERR_LOCKED);
    assert_int_equal(close(gateway), 0);
    forget(&p, CLI_LOCK_FILE);
    place_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_folder_is_its_owners_alone),
        cmocka_unit_test(what_is_there_stays),
        cmocka_unit_test(a_lost_pepper_is_not_made_anew_beside_keys),
        cmocka_unit_test(an_open_folder_is_closed_only_while_it_is_empty),
        cmocka_unit_test(a_file_in_the_way_is_named),
        cmocka_unit_test(a_store_is_opened_only_where_one_was_made),
        cmocka_unit_test(a_gateway_holds_the_folder_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
