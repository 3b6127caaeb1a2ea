/* SPDX-License-Identifier: Apache-2.0 */
/* test_log_sink.c — who logs never waits, and what is lost is counted and said. */
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_sink.h"

#define TEXT_MAX (1u << 20)
#define LINE_LEN 110 /* of those that fill() puts */

struct files {
    char folder[64], log[80], moved[80], own[80];
    struct log_sink *sink;
};

/* A folder, a log of our own in it, and a sink for lines that are lost as ACCESS_LOG_LOST. */
static struct files files_new(void)
{
    struct files f = {.folder = "/tmp/atlas-log-XXXXXX"};
    assert_non_null(mkdtemp(f.folder));
    (void)snprintf(f.log, sizeof(f.log), "%s/log", f.folder);
    (void)snprintf(f.moved, sizeof(f.moved), "%s/log.1", f.folder);
    (void)snprintf(f.own, sizeof(f.own), "%s/own", f.folder);
    assert_int_equal(log_open(f.own), ERR_OK);
    log_info("begin", "the log is good");
    return f;
}

static void open_sink(struct files *f, const char *path)
{
    const struct log_sink_options options = {.path = path,
                                             .name = "the test",
                                             .event = "test_log",
                                             .ring_bytes = 64 * 1024,
                                             .lost = COUNT_ACCESS_LOG_LOST};
    assert_int_equal(log_sink_open(&options, &f->sink), ERR_OK);
}

static void files_remove(struct files *f)
{
    log_sink_close(&f->sink);
    (void)unlink(f->log); /* perhaps it was moved */
    (void)unlink(f->moved);
    assert_int_equal(unlink(f->own), 0);
    assert_int_equal(rmdir(f->folder), 0);
}

static char *read_whole(const char *path)
{
    static char text[TEXT_MAX];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t got = fread(text, 1, sizeof(text) - 1, file);
    text[got] = '\0';
    assert_int_equal(fclose(file), 0);
    return text;
}

static bool is_within_ms(bool (*is)(const void *), const void *what, int64_t ms)
{
    mono_us until = clock_after_ms(clock_mono(), ms);
    while (!is(what)) {
        if (clock_since(until, clock_mono()) > 0) {
            return false;
        }
        (void)sched_yield();
    }
    return true;
}

static bool says_that_lines_were_dropped(const void *f)
{
    return strstr(read_whole(((const struct files *)f)->own), "log_lost") != NULL;
}

static void put(struct files *f, const char *text)
{
    log_sink_put(f->sink, span_of(text), SPAN(""));
}

static void lines_are_written_at_once_without_the_thread_and_soon_with_it(void **state)
{
    (void)state;
    struct files f = files_new();
    open_sink(&f, f.log);
    put(&f, "before");
    assert_string_equal(read_whole(f.log), "before\n");
    assert_int_equal(log_start(), ERR_OK);
    log_sink_put(f.sink, SPAN("wi"), SPAN("th"));
    log_stop();
    assert_string_equal(read_whole(f.log), "before\nwith\n");
    put(&f, "after");
    assert_string_equal(read_whole(f.log), "before\nwith\nafter\n");
    files_remove(&f);
}

static void a_moved_file_gets_no_line_after_the_reopening(void **state)
{
    (void)state;
    struct files f = files_new();
    open_sink(&f, f.log);
    assert_int_equal(log_start(), ERR_OK);
    put(&f, "old");
    assert_int_equal(rename(f.log, f.moved), 0);
    put(&f, "still old");
    log_sink_reopen(f.sink);
    mono_us until = clock_after_ms(clock_mono(), 10000);
    while (access(f.log, F_OK) != 0 && clock_since(until, clock_mono()) < 0) {
        (void)sched_yield();
    }
    put(&f, "new");
    log_stop();
    assert_string_equal(read_whole(f.moved), "old\nstill old\n");
    assert_string_equal(read_whole(f.log), "new\n");
    files_remove(&f);
}

static void a_file_that_cannot_be_opened_anew_is_said_and_the_old_one_stays(void **state)
{
    (void)state;
    struct files f = files_new();
    open_sink(&f, f.log);
    assert_int_equal(log_start(), ERR_OK);
    assert_int_equal(rename(f.log, f.moved), 0);
    assert_int_equal(mkdir(f.log, 0700), 0);
    log_sink_reopen(f.sink);
    put(&f, "still there");
    log_stop();
    assert_string_equal(read_whole(f.moved), "still there\n");
    assert_non_null(strstr(read_whole(f.own), "error test_log  the test: "));
    assert_int_equal(rmdir(f.log), 0);
    files_remove(&f);
}

/* A FIFO that is full, and a reader of it that does not read: its descriptor. */
static int stopped_reader(const struct files *f)
{
    static const char feeds[4096] = "\n"; /* and zeros */
    assert_int_equal(mkfifo(f->log, 0600), 0);
    int fd = open(f->log, O_RDWR | O_NONBLOCK);
    assert_true(fd >= 0);
    while (write(fd, feeds, sizeof(feeds)) > 0) {
    }
    return fd;
}

/* Puts lines until some are dropped, and returns how many; none of the puts waits. */
static int fill(struct files *f)
{
    char line[128];
    int64_t slowest = 0, before = counter_sum(COUNT_ACCESS_LOG_LOST);
    int count = 0;
    mono_us until = clock_after_ms(clock_mono(), 20000);
    while (counter_sum(COUNT_ACCESS_LOG_LOST) == before && clock_since(until, clock_mono()) < 0) {
        mono_us begun = clock_mono();
        (void)snprintf(line, sizeof(line), "%08d %0100d", count++, 0);
        put(f, line);
        int64_t took = clock_since(begun, clock_mono());
        slowest = took > slowest ? took : slowest;
        (void)sched_yield();
    }
    assert_true(counter_sum(COUNT_ACCESS_LOG_LOST) > before);
    assert_true(slowest < 500000);
    return count;
}

/* What made the pipe full. */
static bool is_filler(char c)
{
    return c == '\0' || c == '\n';
}

static void a_reader_that_stops_holds_nobody_up_and_hears_what_was_dropped(void **state)
{
    (void)state;
    static char got[TEXT_MAX];
    struct files f = files_new();
    counter_thread_start();
    int64_t before = counter_sum(COUNT_ACCESS_LOG_LOST);
    int fd = stopped_reader(&f);
    open_sink(&f, f.log);
    assert_int_equal(log_start(), ERR_OK);
    int count = fill(&f);
    assert_false(says_that_lines_were_dropped(&f));
    size_t len = 0;
    int64_t lines = 0, last = -1;
    mono_us until = clock_after_ms(clock_mono(), 20000);
    while ((!says_that_lines_were_dropped(&f) ||
            lines + counter_sum(COUNT_ACCESS_LOG_LOST) - before < count) &&
           clock_since(until, clock_mono()) < 0) {
        struct pollfd ready = {fd, POLLIN, 0};
        (void)poll(&ready, 1, 10); /* and then looked again whether it was said */
        ssize_t n = read(fd, got + len, sizeof(got) - len);
        len += n > 0 ? (size_t)n : 0;
        size_t at = 0;
        while (at < len && (is_filler(got[at]) || len - at >= LINE_LEN)) {
            if (is_filler(got[at])) {
                at++;
                continue;
            }
            int64_t number = strtoll(got + at, NULL, 10);
            assert_true(number > last && got[at + LINE_LEN - 1] == '\n');
            lines++;
            last = number;
            at += LINE_LEN;
        }
        len -= at;
        memmove(got, got + at, len);
    }
    assert_true(says_that_lines_were_dropped(&f));
    assert_int_equal(lines + counter_sum(COUNT_ACCESS_LOG_LOST) - before, count);
    log_stop();
    assert_int_equal(close(fd), 0);
    files_remove(&f);
}

static void the_end_waits_for_a_reader_that_stopped_no_longer_than_its_bound(void **state)
{
    (void)state;
    struct files f = files_new();
    int fd = stopped_reader(&f);
    open_sink(&f, f.log);
    assert_int_equal(log_start(), ERR_OK);
    counter_thread_start();
    (void)fill(&f);
    mono_us before = clock_mono();
    log_stop();
    int64_t took_ms = clock_since(before, clock_mono()) / 1000;
    assert_true(took_ms >= LOG_FLUSH_MS - 50 && took_ms < LOG_FLUSH_MS + 2000);
    before = clock_mono();
    for (int i = 0; i < 100; i++) { /* without the thread: a moment, once */
        put(&f, "more");
    }
    assert_true(clock_since(before, clock_mono()) / 1000 < LOG_DIRECT_MS + 1000);
    assert_int_equal(close(fd), 0);
    files_remove(&f);
}

static bool has_lost_two(const void *before)
{
    return counter_sum(COUNT_ACCESS_LOG_LOST) - *(const int64_t *)before == 2;
}

static void a_fifo_needs_no_reader(void **state)
{
    (void)state;
    struct files f = files_new();
    char got[16] = "";
    assert_int_equal(mkfifo(f.log, 0600), 0);
    open_sink(&f, f.log);
    assert_int_equal(log_start(), ERR_OK);
    put(&f, "held");
    log_stop();
    int fd = open(f.log, O_RDONLY | O_NONBLOCK);
    assert_int_equal(read(fd, got, sizeof(got)), 5);
    assert_string_equal(got, "held\n");
    assert_int_equal(close(fd), 0);
    files_remove(&f);
}

static void a_full_disk_costs_lines_and_no_more(void **state)
{
    (void)state;
    struct files f = files_new();
    counter_thread_start();
    int64_t before = counter_sum(COUNT_ACCESS_LOG_LOST);
    open_sink(&f, "/dev/full");
    assert_int_equal(log_start(), ERR_OK);
    put(&f, "1");
    put(&f, "2");
    assert_true(is_within_ms(has_lost_two, &before, 10000));
    log_stop();
    files_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_written_at_once_without_the_thread_and_soon_with_it),
        cmocka_unit_test(a_moved_file_gets_no_line_after_the_reopening),
        cmocka_unit_test(a_file_that_cannot_be_opened_anew_is_said_and_the_old_one_stays),
        cmocka_unit_test(a_reader_that_stops_holds_nobody_up_and_hears_what_was_dropped),
        cmocka_unit_test(the_end_waits_for_a_reader_that_stopped_no_longer_than_its_bound),
        cmocka_unit_test(a_fifo_needs_no_reader),
        cmocka_unit_test(a_full_disk_costs_lines_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
