/* SPDX-License-Identifier: Apache-2.0 */
/* test_sqlite.c — what is true of a store in a file: who may read it, what outlives a close, and
 * what happens when the file is not ours, newer, locked, damaged, or its disk fails. */
#include "unit.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "store/store_fixture.h"

static void the_file_is_for_its_owner_only(void **state)
{
    (void)state;
    struct store_fixture f;
    store_fixture_init(&f, "sqlite");
    mode_t before = umask(0);
    store_fixture_open(&f);
    struct store_key key = store_fixture_key("AAAAaaaa0001");
    assert_int_equal(store_key_insert(f.store, &key), ERR_OK);
    (void)umask(before);
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < ROWS(ends); i++) {
        char path[80];
        struct stat st;
        (void)snprintf(path, sizeof(path), "%s%s", f.path, ends[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    store_fixture_fini(&f);
}

static void what_was_committed_is_there_after_opening_again(void **state)
{
    (void)state;
    struct store_fixture f;
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    uint64_t number;
    store_fixture_init(&f, "sqlite");
    store_fixture_open(&f);
    assert_int_equal(store_key_insert(f.store, &key), ERR_OK);
    assert_int_equal(store_begin(f.store, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_journal_set(f.store, UINT64_C(1) << 40, some_head), ERR_OK);
    assert_int_equal(store_commit(f.store), ERR_OK);
    assert_int_equal(store_begin(f.store, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_journal_set(f.store, 1, some_head), ERR_OK);
    store_close(&f.store); /* undoes the open batch */
    store_fixture_open(&f);
    assert_int_equal(store_fixture_find(f.store, key.id, &found), ERR_OK);
    store_fixture_same_key(&found, &key);
    assert_int_equal(store_sequence(f.store, &number), ERR_OK);
    assert_int_equal(number, UINT64_C(1) << 40);
    store_fixture_fini(&f);
}

/* Runs SQL on the fixture's file beside the store. */
static void meddle(const struct store_fixture *f, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_file_that_is_not_ours_is_refused_and_left_alone(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        bool atlas_first; /* whether Atlas made the file */
        enum err expect;
    } rows[] = {
        {"UPDATE meta SET number = 1000000 WHERE name = 'version'", true, ERR_STORE_NEWER},
        {"UPDATE meta SET number = 3 WHERE name = 'version'", true, ERR_STORE_OLDER},
        {"UPDATE meta SET number = number + 1 WHERE name = 'tables'", true, ERR_STORE_OLDER},
        {"CREATE TABLE migration (version INTEGER); CREATE TABLE api_key (id TEXT)", false,
         ERR_STORE_OLDER},
        {"CREATE TABLE recipes (title TEXT)", false, ERR_FILE},
        {"CREATE TABLE migration (version INTEGER)", false, ERR_FILE},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct store_fixture f;
        store_fixture_init(&f, "sqlite");
        if (rows[r].atlas_first) {
            store_fixture_open(&f);
            store_close(&f.store);
        }
        meddle(&f, rows[r].sql);
        struct stat before, after;
        char complaint[STORE_COMPLAINT_BYTES] = "";
        uint64_t sequence;
        assert_int_equal(stat(f.path, &before), 0);
        f.settings.complaint = complaint;
        assert_int_equal(store_open(&f.settings, &f.store), rows[r].expect);
        assert_null(f.store);
        assert_string_not_equal(complaint, "");
        assert_int_equal(store_look(&f.settings, &sequence), rows[r].expect);
        assert_int_equal(stat(f.path, &after), 0);
        assert_int_equal(before.st_size, after.st_size);
        assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
        store_fixture_fini(&f);
    }
}

static void a_damaged_file_is_named_so(void **state)
{
    (void)state;
    struct store_fixture f;
    store_fixture_init(&f, "sqlite");
    FILE *file = fopen(f.path, "w");
    assert_non_null(file);
    for (int i = 0; i < 5000; i++) {
        (void)fputs("no database", file);
    }
    (void)fclose(file);
    assert_int_equal(store_open(&f.settings, &f.store), ERR_STORE_CORRUPT);
    store_fixture_fini(&f);
}

static void a_look_finds_a_damaged_page_and_changes_nothing(void **state)
{
    (void)state;
    struct store_fixture f;
    uint64_t sequence = 99;
    char page[4096];
    struct stat before, after;
    memset(page, 'x', sizeof(page));
    store_fixture_init(&f, "sqlite");
    store_fixture_open(&f);
    assert_int_equal(store_begin(f.store, STORE_SYNC_NOW), ERR_OK);
    assert_int_equal(store_journal_set(f.store, 12, some_head), ERR_OK);
    assert_int_equal(store_commit(f.store), ERR_OK);
    assert_int_equal(store_look(&f.settings, &sequence), ERR_OK); /* beside one that has it open */
    assert_int_equal(sequence, 12);
    store_close(&f.store);
    int fd = open(f.path, O_RDWR);
    assert_int_equal(pwrite(fd, page, sizeof(page), 2 * (off_t)sizeof(page)), sizeof(page));
    assert_int_equal(close(fd), 0);
    assert_int_equal(stat(f.path, &before), 0);
    assert_int_equal(store_look(&f.settings, &sequence), ERR_STORE_CORRUPT);
    assert_int_equal(stat(f.path, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(unlink(f.path), 0);
    assert_int_equal(store_look(&f.settings, &sequence), ERR_FILE);
    assert_int_equal(access(f.path, F_OK), -1);
    store_fixture_fini(&f);
}

static void a_folder_that_is_missing_is_named_so(void **state)
{
    (void)state;
    struct store *s = NULL;
    const struct store_settings settings = {
        .driver = "sqlite", .path = "/nonexistent/atlas.sqlite", .busy_ms = 0};
    assert_int_equal(store_open(&settings, &s), ERR_FILE);
    assert_null(s);
}

static void a_store_that_another_program_locks_is_busy_until_it_lets_go(void **state)
{
    (void)state;
    struct store_fixture f;
    struct store_key key = store_fixture_key("AAAAaaaa0001"), found;
    store_fixture_init(&f, "sqlite");
    store_fixture_open(&f);
    sqlite3 *other;
    assert_int_equal(sqlite3_open(f.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(store_key_insert(f.store, &key), ERR_STORE_BUSY);
    assert_int_equal(store_begin(f.store, STORE_SYNC_LATER), ERR_STORE_BUSY);
    assert_true(strlen(store_complaint(f.store)) > 0);
    assert_int_equal(store_fixture_find(f.store, key.id, &found),
                     ERR_NOT_FOUND_ROW); /* not reading */
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(store_key_insert(f.store, &key), ERR_OK);
    store_fixture_fini(&f);
}

static void a_failed_operation_ends_its_batch(void **state)
{
    (void)state;
    struct store_fixture f;
    struct store_key first = store_fixture_key("AAAAaaaa0001"), found;
    struct store_key second = store_fixture_key("AAAAaaaa0002");
    store_fixture_init(&f, "sqlite");
    store_fixture_open(&f);
    meddle(&f, "CREATE TRIGGER refuse BEFORE INSERT ON meta WHEN new.number = 13"
               " BEGIN SELECT RAISE(ABORT, 'unlucky'); END");
    assert_int_equal(store_begin(f.store, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_key_insert(f.store, &first), ERR_OK);
    assert_int_equal(store_journal_set(f.store, 13, some_head), ERR_STORE);
    assert_string_equal(store_complaint(f.store), "unlucky");
    assert_int_equal(store_key_insert(f.store, &second), ERR_STORE);
    assert_int_equal(store_journal_set(f.store, 14, some_head), ERR_STORE);
    assert_int_equal(store_commit(f.store), ERR_STORE);
    assert_int_equal(store_fixture_find(f.store, first.id, &found), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_fixture_find(f.store, second.id, &found), ERR_NOT_FOUND_ROW);
    assert_int_equal(store_key_insert(f.store, &first), ERR_OK);
    store_fixture_fini(&f);
}

/* A disk between SQLite and the real one, whose n-th write or sync fails. */
static sqlite3_vfs bad_disk;
static sqlite3_vfs *good_disk;
static struct {
    sqlite3_io_methods bad;
    const sqlite3_io_methods *good;
} methods[4];         /* SQLite has one set for databases and another for logs */
static int countdown; /* 0: nothing fails */
static int failure;   /* SQLite's code for it */

static bool is_now(void)
{
    return countdown > 0 && --countdown == 0;
}

static const sqlite3_io_methods *good_methods(const sqlite3_file *file)
{
    size_t i = 0;
    while (file->pMethods != &methods[i].bad) {
        i++;
    }
    return methods[i].good;
}

static int bad_write(sqlite3_file *file, const void *at, int len, sqlite3_int64 where)
{
    return is_now() ? failure : good_methods(file)->xWrite(file, at, len, where);
}

static int bad_sync(sqlite3_file *file, int flags)
{
    return is_now() ? failure : good_methods(file)->xSync(file, flags);
}

static int bad_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *out_flags)
{
    (void)vfs;
    int code = good_disk->xOpen(good_disk, name, file, flags, out_flags);
    if (code != SQLITE_OK) {
        return code;
    }
    size_t i = 0;
    while (methods[i].good != NULL && methods[i].good != file->pMethods) {
        i++;
    }
    assert_true(i < ROWS(methods));
    methods[i].good = file->pMethods;
    methods[i].bad = *file->pMethods;
    methods[i].bad.xWrite = bad_write;
    methods[i].bad.xSync = bad_sync;
    file->pMethods = &methods[i].bad;
    return code;
}

/* Three keys in a batch, then one alone. Says which of the two commits were answered ERR_OK. */
static enum err put_four(struct store *s, bool done[2])
{
    static const char *const ids[] = {"AAAAaaaa0001", "AAAAaaaa0002", "AAAAaaaa0003"};
    enum err e = store_begin(s, STORE_SYNC_NOW), all = ERR_OK;
    if (e != ERR_OK) {
        return e;
    }
    for (size_t i = 0; i < ROWS(ids); i++) {
        struct store_key key = store_fixture_key(ids[i]);
        e = store_key_insert(s, &key);
        all = e == ERR_OK ? all : e;
    }
    e = store_commit(s);
    assert_true(all == ERR_OK || e == all);
    done[0] = e == ERR_OK;
    if (e == ERR_OK) {
        struct store_key key = store_fixture_key("AAAAaaaa0004");
        e = store_key_insert(s, &key);
        done[1] = e == ERR_OK;
    }
    return e;
}

/* What is there after the failure: whole batches, and all that were answered ERR_OK. */
static void check_after(struct store_fixture *f, enum err e, const bool done[2])
{
    uint64_t count, revision;
    store_close(&f->store);
    store_fixture_open(f);
    assert_int_equal(store_key_count(f->store, &count), ERR_OK);
    assert_int_equal(store_revision(f->store, &revision), ERR_OK);
    assert_int_equal(revision, count);
    size_t least = (done[0] ? 3 : 0) + (done[1] ? 1 : 0);
    size_t unsure = e != ERR_STORE_UNSURE ? 0 : done[0] ? 1 : 3;
    assert_true(count == least || count == least + unsure);
}

static void whichever_write_or_sync_fails_no_batch_is_halved(void **state)
{
    (void)state;
    static const struct {
        int code;
        enum err expect;
    } rows[] = {
        {SQLITE_FULL, ERR_DISK_FULL},
        {SQLITE_IOERR_WRITE, ERR_DISK},
        {SQLITE_IOERR_FSYNC, ERR_DISK},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        enum err e = ERR_DISK;
        int n = 0;
        while (e != ERR_OK) {
            struct store_fixture f;
            store_fixture_init(&f, "sqlite");
            store_fixture_open(&f);
            bool done[2] = {false, false};
            failure = rows[r].code;
            countdown = ++n;
            e = put_four(f.store, done);
            countdown = 0;
            assert_true(e == ERR_OK || e == rows[r].expect || e == ERR_STORE_UNSURE);
            check_after(&f, e, done);
            store_fixture_fini(&f);
        }
        assert_in_range(n, 4, 100); /* it did fail a few times */
    }
}

static void a_first_start_whose_disk_fails_can_be_done_again(void **state)
{
    (void)state;
    enum err e = ERR_DISK;
    for (int n = 1; e != ERR_OK; n++) {
        struct store_fixture f;
        store_fixture_init(&f, "sqlite");
        failure = SQLITE_FULL;
        countdown = n;
        e = store_open(&f.settings, &f.store);
        countdown = 0;
        assert_true(e == ERR_OK || e == ERR_DISK_FULL);
        store_close(&f.store);
        store_fixture_open(&f);
        struct store_key key = store_fixture_key("AAAAaaaa0001");
        assert_int_equal(store_key_insert(f.store, &key), ERR_OK);
        store_fixture_fini(&f);
    }
}

int main(void)
{
    good_disk = sqlite3_vfs_find(NULL);
    bad_disk = *good_disk;
    bad_disk.zName = "bad-disk";
    bad_disk.xOpen = bad_open;
    if (sqlite3_vfs_register(&bad_disk, 1) != SQLITE_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_for_its_owner_only),
        cmocka_unit_test(what_was_committed_is_there_after_opening_again),
        cmocka_unit_test(a_file_that_is_not_ours_is_refused_and_left_alone),
        cmocka_unit_test(a_damaged_file_is_named_so),
        cmocka_unit_test(a_look_finds_a_damaged_page_and_changes_nothing),
        cmocka_unit_test(a_folder_that_is_missing_is_named_so),
        cmocka_unit_test(a_store_that_another_program_locks_is_busy_until_it_lets_go),
        cmocka_unit_test(a_failed_operation_ends_its_batch),
        cmocka_unit_test(whichever_write_or_sync_fails_no_batch_is_halved),
        cmocka_unit_test(a_first_start_whose_disk_fails_can_be_done_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
