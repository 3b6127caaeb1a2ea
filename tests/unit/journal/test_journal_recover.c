/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal_recover.c — starts of a gateway: on a disk that does not say its size, after a death
 * with very many calls open, and after an end at which a descriptor was wanted. */
#include "unit.h"

#include "folder.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>

#include "journal/journal_slots.h"

#define MANY 24000

static struct {
    _Atomic int is_told;
    struct statvfs size;
} told; /* what the disk says of its size, if it is told what to say */

int fstatvfs(int fildes, struct statvfs *buf)
{
    struct statfs real;
    if (atomic_load(&told.is_told) != 0) {
        *buf = told.size;
        return 0;
    }
    *buf = (struct statvfs){.f_blocks = 0};
    if (fstatfs(fildes, &real) != 0) {
        return -1;
    }
    buf->f_frsize = (unsigned long)real.f_frsize;
    buf->f_blocks = real.f_blocks;
    buf->f_bavail = real.f_bavail;
    return 0;
}

static void a_disk_that_does_not_say_its_size_is_no_full_one(void **state)
{
    (void)state;
    static const struct {
        struct statvfs size;
        enum err e;
    } disks[] = {
        {{.f_frsize = 4096, .f_blocks = 1000, .f_bavail = 1}, ERR_DISK_FULL},
        {{.f_frsize = 4096}, ERR_OK}, /* ramfs, and a tmpfs without a bound */
        {{.f_frsize = 0}, ERR_OK},    /* one of a user's program that does not say it */
    };
    struct folder f = folder_new();
    atomic_store(&told.is_told, 1);
    for (size_t i = 0; i < ROWS(disks); i++) {
        struct journal_report report;
        struct journal *j = NULL;
        told.size = disks[i].size;
        assert_int_equal(journal_open(f.path, &journal_quick, 1, &nothing_seen, &report, &j),
                         disks[i].e);
        journal_close(&j);
    }
    atomic_store(&told.is_told, 0);
    folder_remove(&f);
}

/* A try whose end is armed. */
static void begin_try(struct journal_lane *lane, uint64_t call, uint8_t attempt)
{
    struct journal_slot *intent, *end;
    if (journal_take(lane, &intent) != ERR_OK || journal_take(lane, &end) != ERR_OK) {
        _exit(1);
    }
    *journal_slot_record(intent) = record_of(JOURNAL_INTENT, call);
    *journal_slot_record(end) =
        record_of(attempt == 1 ? JOURNAL_COMPLETION : JOURNAL_TRY_END, call);
    journal_slot_record(intent)->attempt = journal_slot_record(end)->attempt = attempt;
    journal_arm(lane, end);
    (void)journal_publish(lane, intent);
}

/* All of them are tried twice when the process dies, as where their server says nothing. */
static void die_with(const struct folder *f, uint64_t calls)
{
    struct journal_report report;
    struct journal *j;
    struct journal_settings settings = journal_quick;
    settings.slots = (int64_t)calls * 4;
    if (fork() == 0) {
        if (journal_open(f->path, &settings, 1, &nothing_seen, &report, &j) != ERR_OK) {
            _exit(1);
        }
        for (uint64_t call = 0; call < calls * 2; call++) {
            begin_try(journal_lane(j, 0), call % calls + 1, call < calls ? 1 : 2);
        }
        _exit(0);
    }
    int status;
    assert_true(wait(&status) > 0 && status == 0);
}

/* How long the next start takes. */
static int64_t start_us(uint64_t calls)
{
    struct folder f = folder_new();
    struct journal_report report;
    struct journal *j;
    struct timespec from, to;
    die_with(&f, calls);
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from), 0);
    assert_int_equal(journal_open(f.path, &journal_quick, 1, &nothing_seen, &report, &j), ERR_OK);
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to), 0);
    journal_close(&j);
    folder_remove(&f);
    assert_true(report.recovered == calls * 4 && report.interrupted == calls * 2);
    return (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000;
}

static void a_start_takes_as_long_as_there_are_calls_and_not_as_their_square(void **state)
{
    (void)state;
    int64_t few = start_us(MANY / 12), many = start_us(MANY);
    print_message("%lld us of %d calls, %lld us of %d\n", (long long)few, MANY / 12,
                  (long long)many, MANY);
    assert_true(many < few * 36); /* twelve times as many: 12, or 144 */
}

static struct journal *open_for(const struct folder *f, const struct journal_settings *settings,
                                size_t workers, struct journal_report *report)
{
    struct journal *j = NULL;
    assert_int_equal(journal_open(f->path, settings, workers, &nothing_seen, report, &j), ERR_OK);
    return j;
}

static struct journal *open_with(const struct folder *f, const struct journal_settings *settings,
                                 struct journal_report *report)
{
    return open_for(f, settings, 1, report);
}

static void publish_on(struct journal_lane *lane, uint64_t call)
{
    struct journal_slot *slot;
    assert_int_equal(journal_take(lane, &slot), ERR_OK);
    *journal_slot_record(slot) = record_of(JOURNAL_INTENT, call);
    (void)journal_publish(lane, slot);
}

static void publish(struct journal *j, uint64_t call)
{
    publish_on(journal_lane(j, 0), call);
}

static void nobody_waits_without_end_for_a_descriptor_and_the_record_stays(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct rlimit files;
    struct journal_settings small = journal_quick;
    small.segment_bytes = 1; /* a segment a group */
    struct journal *j = open_with(&f, &small, &report);
    assert_int_equal(journal_start(j), ERR_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    publish(j, 1); /* in what was opened ahead */
    assert_int_equal(journal_settle(j), ERR_OK);
    publish(j, 2);
    assert_int_equal(journal_settle(j), ERR_JOURNAL_FULL);
    assert_int_equal(journal_state(j), ERR_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    while (journal_want(j) != ERR_OK) {
        (void)sched_yield();
    }
    assert_int_equal(journal_settle(j), ERR_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    publish(j, 3); /* as the first one */
    assert_int_equal(journal_settle(j), ERR_OK);
    publish(j, 4);
    journal_close(&j); /* in which it could not be written */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    j = open_with(&f, &small, &report);
    assert_int_equal(report.recovered, 1);
    journal_close(&j);
    folder_remove(&f);
}

static void as_many_workers_as_may_be_are_started_again_and_again(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct journal_settings few = journal_quick;
    few.slots = 4;
    for (uint64_t start = 0; start < 4; start++) {
        struct journal *j = open_for(&f, &few, JOURNAL_WORKERS_MAX, &report);
        assert_int_equal(report.recovered, start == 0 ? 0 : JOURNAL_WORKERS_MAX);
        for (size_t lane = 0; lane < JOURNAL_WORKERS_MAX; lane++) {
            publish_on(journal_lane(j, lane), start * JOURNAL_WORKERS_MAX + lane);
        }
        journal_close(&j); /* it was never started: the lanes keep all */
    }
    for (int start = 0; start < 3; start++) { /* without a commit in between */
        struct journal *j = open_for(&f, &few, JOURNAL_WORKERS_MAX, &report);
        assert_int_equal(report.recovered, start == 0 ? JOURNAL_WORKERS_MAX : 0);
        journal_close(&j);
    }
    folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_that_does_not_say_its_size_is_no_full_one),
        cmocka_unit_test(a_start_takes_as_long_as_there_are_calls_and_not_as_their_square),
        cmocka_unit_test(as_many_workers_as_may_be_are_started_again_and_again),
        cmocka_unit_test(nobody_waits_without_end_for_a_descriptor_and_the_record_stays),
    };
    disk.no_waits = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
