/* SPDX-License-Identifier: Apache-2.0 */
/* test_access_log.c — lines arrive whole and in order, also across a rotation. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/counter.h"
#include "telemetry/access_log.h"

struct files {
    char folder[64], log[80], moved[80];
};

static struct files files_new(void)
{
    struct files f = {.folder = "/tmp/atlas-access-XXXXXX"};
    assert_non_null(mkdtemp(f.folder));
    (void)snprintf(f.log, sizeof(f.log), "%s/log", f.folder);
    (void)snprintf(f.moved, sizeof(f.moved), "%s/log.1", f.folder);
    return f;
}

static void files_remove(const struct files *f)
{
    (void)unlink(f->log); /* perhaps it was moved */
    (void)unlink(f->moved);
    assert_int_equal(rmdir(f->folder), 0);
}

static void assert_file_is(const char *path, const char *expect)
{
    char text[256] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t got = fread(text, 1, sizeof(text) - 1, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(got, strlen(expect));
    assert_string_equal(text, expect);
}

static void lines_wait_for_the_flush_and_follow_what_was_there(void **state)
{
    (void)state;
    struct files f = files_new();
    struct access_log *log;
    assert_int_equal(access_log_open(f.log, &log), ERR_OK);
    access_log_put(log, SPAN("{\"a\":1}"));
    access_log_put(log, SPAN("{\"a\":2}"));
    assert_file_is(f.log, "");
    access_log_flush(log);
    assert_file_is(f.log, "{\"a\":1}\n{\"a\":2}\n");
    access_log_close(&log);
    assert_null(log);
    access_log_close(&log);
    assert_int_equal(access_log_open(f.log, &log), ERR_OK);
    access_log_put(log, SPAN("3"));
    access_log_close(&log);
    assert_file_is(f.log, "{\"a\":1}\n{\"a\":2}\n3\n");
    files_remove(&f);
}

static void a_moved_file_gets_no_line_after_the_reopening(void **state)
{
    (void)state;
    struct files f = files_new();
    struct access_log *log;
    assert_int_equal(access_log_open(f.log, &log), ERR_OK);
    access_log_put(log, SPAN("old"));
    access_log_flush(log);
    assert_int_equal(rename(f.log, f.moved), 0);
    access_log_put(log, SPAN("still old"));
    access_log_flush(log);
    assert_int_equal(access_log_reopen(log), ERR_OK);
    access_log_put(log, SPAN("new"));
    access_log_flush(log);
    assert_file_is(f.moved, "old\nstill old\n");
    assert_file_is(f.log, "new\n");
    access_log_close(&log);
    files_remove(&f);
}

static void a_file_that_cannot_be_opened_anew_is_said_and_the_old_one_stays(void **state)
{
    (void)state;
    struct files f = files_new();
    struct access_log *log;
    assert_int_equal(access_log_open(f.log, &log), ERR_OK);
    assert_int_equal(rename(f.log, f.moved), 0);
    assert_int_equal(mkdir(f.log, 0700), 0);
    assert_int_equal(access_log_reopen(log), ERR_FILE);
    access_log_put(log, SPAN("still there"));
    access_log_close(&log);
    assert_file_is(f.moved, "still there\n");
    assert_int_equal(rmdir(f.log), 0);
    files_remove(&f);
}

static void more_than_is_held_is_written_at_once(void **state)
{
    (void)state;
    struct files f = files_new();
    struct access_log *log;
    static uint8_t line[ACCESS_LOG_HELD_MAX / 4];
    memset(line, 'x', sizeof(line));
    assert_int_equal(access_log_open(f.log, &log), ERR_OK);
    for (int i = 0; i < 9; i++) {
        access_log_put(log, span_make(line, sizeof(line) - 1));
    }
    access_log_close(&log);
    FILE *file = fopen(f.log, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    assert_int_equal(ftell(file), 9 * sizeof(line));
    assert_int_equal(fclose(file), 0);
    files_remove(&f);
}

static void a_file_that_cannot_be_written_costs_lines_and_no_more(void **state)
{
    (void)state;
    struct access_log *log;
    counter_thread_start();
    int64_t before = counter_sum(COUNT_ACCESS_LOG_LOST);
    assert_int_equal(access_log_open("/dev/full", &log), ERR_OK);
    access_log_put(log, SPAN("1"));
    access_log_put(log, SPAN("2"));
    access_log_flush(log);
    assert_int_equal(counter_sum(COUNT_ACCESS_LOG_LOST) - before, 2);
    access_log_close(&log);
    assert_int_equal(access_log_open("/nowhere/at/all", &log), ERR_FILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_wait_for_the_flush_and_follow_what_was_there),
        cmocka_unit_test(a_moved_file_gets_no_line_after_the_reopening),
        cmocka_unit_test(a_file_that_cannot_be_opened_anew_is_said_and_the_old_one_stays),
        cmocka_unit_test(more_than_is_held_is_written_at_once),
        cmocka_unit_test(a_file_that_cannot_be_written_costs_lines_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
