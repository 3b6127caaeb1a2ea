/* SPDX-License-Identifier: Apache-2.0 */
/* test_key_deny.c — what was written down as revoked is found again, on a full disk too. */
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "synced.h"

#include "keys/key_deny.h"

#define WHEN ((wall_us){INT64_C(1795489200000000)})

static char folder[32], path[48];

static int start(void **state)
{
    (void)state;
    /* In memory: thousands of entries wait for the disk one by one. */
    (void)snprintf(folder, sizeof(folder), "%s/atlas-deny-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/revoked", folder);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static struct key_deny *open_file(void)
{
    struct key_deny *d = NULL;
    assert_int_equal(key_deny_open(path, &d), ERR_OK);
    return d;
}

struct heard {
    size_t count;
    char ids[4096][KEY_ID_CHARS + 1];
    wall_us when[4096];
};

static void hear(void *context, const struct key_denial *denial)
{
    struct heard *h = context;
    assert_true(h->count < ROWS(h->ids));
    memcpy(h->ids[h->count], denial->id, KEY_ID_CHARS);
    h->when[h->count++] = denial->when;
}

static struct heard heard;

static size_t read_file(struct key_deny *d, struct key_deny_place *place)
{
    memset(&heard, 0, sizeof(heard));
    assert_int_equal(key_deny_read(d, place, hear, &heard), ERR_OK);
    return heard.count;
}

static struct span id_of(unsigned number, char text[KEY_ID_CHARS + 1])
{
    (void)snprintf(text, KEY_ID_CHARS + 1, "KEY%09u", number % 1000000000);
    return span_make(text, KEY_ID_CHARS);
}

static void an_entry_is_there_for_who_opens_the_file_later(void **state)
{
    (void)state;
    char text[KEY_ID_CHARS + 1];
    struct key_deny *d = open_file();
    struct key_deny_place place = {0};
    struct stat st;
    assert_int_equal(read_file(d, &place), 0);
    assert_int_equal(key_deny_add(d, id_of(1, text), WHEN), ERR_OK);
    assert_int_equal(read_file(d, &place), 1);
    assert_int_equal(read_file(d, &place), 0); /* only what is new */
    key_deny_close(&d);
    key_deny_close(&d);
    d = open_file();
    assert_int_equal(key_deny_add(d, id_of(2, text), WHEN), ERR_OK);
    place = (struct key_deny_place){0};
    assert_int_equal(read_file(d, &place), 2);
    assert_string_equal(heard.ids[0], "KEY000000001");
    assert_string_equal(heard.ids[1], "KEY000000002");
    assert_int_equal(heard.when[0].us, WHEN.us);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    key_deny_close(&d);
}

static void a_key_is_written_down_once(void **state)
{
    (void)state;
    char text[KEY_ID_CHARS + 1];
    struct key_deny *d = open_file();
    struct key_deny_place place = {0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(key_deny_add(d, id_of(1, text), WHEN), ERR_OK);
    }
    assert_int_equal(read_file(d, &place), 1);
    key_deny_close(&d);
}

static void the_file_grows_before_its_room_is_used_up(void **state)
{
    (void)state;
    char text[KEY_ID_CHARS + 1];
    struct key_deny *d = open_file();
    struct stat st;
    for (unsigned i = 0; i < 3 * KEY_DENY_SPARE; i++) {
        assert_int_equal(key_deny_add(d, id_of(i, text), WHEN), ERR_OK);
        assert_int_equal(stat(path, &st), 0);
        assert_true((uint64_t)st.st_size >= (i + 1 + KEY_DENY_SPARE) * 32);
    }
    struct key_deny_place place = {0};
    assert_int_equal(read_file(d, &place), 3 * KEY_DENY_SPARE);
    assert_int_equal(place.damaged, 0);
    key_deny_close(&d);
}

/* No byte may be written beyond the file's end, as on a disk that is full. */
static void a_full_disk_refuses_no_entry_while_there_are_blank_lines(void **state)
{
    (void)state;
    char text[KEY_ID_CHARS + 1];
    struct key_deny *d = open_file();
    struct stat st;
    struct rlimit before, full;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full = before;
    full.rlim_cur = (rlim_t)st.st_size;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    unsigned lines = (unsigned)(st.st_size / 32);
    enum err first = ERR_OK, last = ERR_OK;
    for (unsigned i = 0; i < lines && first == ERR_OK; i++) {
        first = key_deny_add(d, id_of(i, text), WHEN);
    }
    last = key_deny_add(d, id_of(lines, text), WHEN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    struct key_deny_place place = {0};
    assert_int_equal(first, ERR_OK);
    assert_int_not_equal(last, ERR_OK); /* and it says so */
    assert_int_equal(read_file(d, &place), lines);
    assert_true(lines >= KEY_DENY_SPARE);
    assert_int_equal(key_deny_add(d, id_of(lines, text), WHEN), ERR_OK); /* with room again */
    key_deny_close(&d);
}

/* Writes over the file from byte `at` on. */
static void spoil(off_t at, const char *bytes)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, strlen(bytes), at), strlen(bytes));
    (void)close(fd);
}

static void a_damaged_line_still_denies_the_id_in_it_and_hides_no_other(void **state)
{
    (void)state;
    char text[KEY_ID_CHARS + 1];
    struct key_deny *d = open_file();
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(key_deny_add(d, id_of(i, text), WHEN), ERR_OK);
    }
    spoil(32 + 15, "x");     /* a time that is none */
    spoil(2 * 32, "\1\1\1"); /* an id that is none */
    struct key_deny_place place = {0};
    assert_int_equal(read_file(d, &place), 3);
    assert_int_equal(place.damaged, 2);
    assert_int_equal(place.line, 4);
    assert_string_equal(heard.ids[1], "KEY000000001");
    assert_string_equal(heard.ids[2], "KEY000000003");
    key_deny_close(&d);
}

static void a_last_line_that_is_damaged_is_neither_lost_nor_written_over(void **state)
{
    (void)state;
    char text[KEY_ID_CHARS + 1];
    struct key_deny *d = open_file();
    assert_int_equal(key_deny_add(d, id_of(0, text), WHEN), ERR_OK);
    spoil(30, "?");
    struct key_deny_place place = {0};
    assert_int_equal(read_file(d, &place), 1);
    assert_int_equal(place.line, 0); /* it may be on its way to the file still */
    assert_int_equal(key_deny_add(d, id_of(1, text), WHEN), ERR_OK);
    assert_int_equal(read_file(d, &place), 2);
    assert_int_equal(place.damaged, 1);
    key_deny_close(&d);
}

static void *add_hundred(void *from)
{
    char text[KEY_ID_CHARS + 1];
    struct key_deny *d = NULL;
    enum err e = key_deny_open(path, &d);
    for (unsigned i = 0; e == ERR_OK && i < 100; i++) {
        do { /* of four who never rest, one may find the lock held for half a second */
            e = key_deny_add(d, id_of(*(unsigned *)from + i, text), WHEN);
        } while (e == ERR_LOCKED);
    }
    key_deny_close(&d);
    return e == ERR_OK ? from : NULL;
}

static void writers_at_once_lose_nothing(void **state)
{
    (void)state;
    unsigned from[] = {0, 1000, 2000, 3000};
    pthread_t threads[ROWS(from)];
    for (size_t i = 0; i < ROWS(from); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_hundred, &from[i]), 0);
    }
    for (size_t i = 0; i < ROWS(from); i++) {
        void *ended = NULL;
        assert_int_equal(pthread_join(threads[i], &ended), 0);
        assert_non_null(ended);
    }
    struct key_deny *d = open_file();
    struct key_deny_place place = {0};
    assert_int_equal(read_file(d, &place), 400);
    assert_int_equal(place.damaged, 0);
    key_deny_close(&d);
}

static void a_new_file_has_its_name_on_the_disk_before_it_holds_anything(void **state)
{
    (void)state;
    folders_synced = 0;
    struct key_deny *d = open_file();
    assert_int_equal(folders_synced, 1);
    key_deny_close(&d);
    d = open_file();
    assert_int_equal(folders_synced, 1);
    key_deny_close(&d);
}

static void what_is_no_file_is_refused_and_not_waited_for(void **state)
{
    (void)state;
    struct key_deny *d = NULL;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(key_deny_open(path, &d), ERR_FILE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_int_equal(key_deny_open(path, &d), ERR_FILE);
    assert_int_equal(key_deny_open("/nonexistent/revoked", &d), ERR_FILE);
    assert_null(d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_is_there_for_who_opens_the_file_later),
        TEST(a_key_is_written_down_once),
        TEST(the_file_grows_before_its_room_is_used_up),
        TEST(a_full_disk_refuses_no_entry_while_there_are_blank_lines),
        TEST(a_damaged_line_still_denies_the_id_in_it_and_hides_no_other),
        TEST(a_last_line_that_is_damaged_is_neither_lost_nor_written_over),
        TEST(writers_at_once_lose_nothing),
        TEST(a_new_file_has_its_name_on_the_disk_before_it_holds_anything),
        TEST(what_is_no_file_is_refused_and_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
