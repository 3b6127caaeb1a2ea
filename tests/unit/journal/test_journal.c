/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal.c — what is published is journaled once and in order, whatever the process does. */
#include "unit.h"

#include <sys/resource.h>

#include "folder.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/counter.h"
#include "base/memory.h"
#include "journal/journal_internal.h"
#include "journal/journal_reader.h"

/* What a listener heard, or a reader read. */
struct heard {
    pthread_mutex_t lock;
    pthread_cond_t more;
    size_t count;
    struct journal_record records[600];
    int durable; /* callbacks of journal_await() */
};

static struct heard heard_new(void)
{
    return (struct heard){.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};
}

static void hear(void *ctx, const struct journal_told *told)
{
    struct heard *h = ctx;
    struct span line = told->line;
    uint8_t leaf[JOURNAL_HASH_BYTES];
    journal_leaf(line, leaf);
    assert_memory_equal(told->leaf, leaf, sizeof(leaf));
    assert_true(line.len > 2 && line.at[0] == '{' && line.at[line.len - 1] == '}');
    (void)pthread_mutex_lock(&h->lock);
    assert_true(h->count < ROWS(h->records));
    h->records[h->count++] = *told->record;
    (void)pthread_cond_broadcast(&h->more);
    (void)pthread_mutex_unlock(&h->lock);
}

static void hear_durable(void *ctx)
{
    struct heard *h = ctx;
    (void)pthread_mutex_lock(&h->lock);
    h->durable++;
    (void)pthread_cond_broadcast(&h->more);
    (void)pthread_mutex_unlock(&h->lock);
}

static void until_heard(struct heard *h, size_t count)
{
    (void)pthread_mutex_lock(&h->lock);
    while (h->count < count) {
        (void)pthread_cond_wait(&h->more, &h->lock);
    }
    (void)pthread_mutex_unlock(&h->lock);
}

static struct journal *open_journal(const struct folder *f, size_t lanes,
                                    struct journal_report *report)
{
    struct journal *j;
    assert_int_equal(journal_open(f->path, &journal_quick, lanes, &nothing_seen, report, &j),
                     ERR_OK);
    return j;
}

static uint64_t publish(struct journal_lane *lane, enum journal_kind kind, uint64_t call)
{
    struct journal_slot *slot;
    assert_int_equal(journal_take(lane, &slot), ERR_OK);
    *journal_slot_record(slot) = record_of(kind, call);
    return journal_publish(lane, slot);
}

/* A call's first intent, and its completion, armed. */
static struct journal_slot *begin(struct journal_lane *lane, uint64_t call)
{
    struct journal_slot *slot;
    assert_int_equal(journal_take(lane, &slot), ERR_OK);
    *journal_slot_record(slot) = record_of(JOURNAL_COMPLETION, call);
    journal_arm(lane, slot);
    (void)publish(lane, JOURNAL_INTENT, call);
    return slot;
}

/* All records of the journal but the origin, read from its segments; their order and their chain
 * are checked. */
static void read_back(const struct folder *f, struct heard *h)
{
    struct journal_place where;
    struct journal_reader *r;
    static struct journal_group group;
    uint64_t first, sequence = 1;
    uint8_t leaf[JOURNAL_HASH_BYTES] = {0};
    enum err e;
    h->count = 0;
    assert_int_equal(journal_reader_open(f->journal, 0, &where, &r), ERR_OK);
    while ((e = journal_reader_next(r, &group, &first)) == ERR_OK) {
        for (struct span line; journal_frame_next(&group.frames, &line); sequence++) {
            struct journal_record *record = &h->records[h->count];
            assert_int_equal(journal_record_parse(line, record, NULL), ERR_OK);
            assert_int_equal(record->sequence, sequence);
            assert_memory_equal(record->prev, leaf, sizeof(leaf));
            journal_leaf(line, leaf);
            h->count += record->kind != JOURNAL_ORIGIN;
        }
        assert_memory_equal(group.commit.head, leaf, sizeof(leaf));
    }
    assert_int_equal(e, ERR_NOT_FOUND_ROW);
    assert_int_equal(journal_reader_tail(r), 0);
    journal_reader_close(&r);
}

/* Runs `doing` in a child that then dies without a word: killed, as checkers of leaks know it. */
static void in_a_child_that_dies(void (*doing)(const struct folder *f), const struct folder *f)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        doing(f);
        (void)raise(SIGKILL); /* cannot fail */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void published_records_arrive_in_order_and_once(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct heard h = heard_new();
    struct journal *j = open_journal(&f, 2, &report);
    journal_listen(j, &(struct journal_listener){.on_record = hear, .ctx = &h});
    assert_int_equal(journal_start(j), ERR_OK);
    for (uint64_t i = 1; i <= 200; i++) {
        (void)publish(journal_lane(j, i % 2), JOURNAL_INTENT, i);
        if (i % 50 == 0) {
            until_heard(&h, i);
        }
    }
    journal_close(&j);
    assert_int_equal(h.count, 200);
    uint64_t last[2] = {0, 0};
    for (size_t i = 0; i < h.count; i++) {
        uint64_t call = call_of(&h.records[i]);
        assert_int_equal(h.records[i].sequence, i + 2);
        assert_true(call > last[call % 2]);
        last[call % 2] = call;
    }
    struct heard again = heard_new();
    read_back(&f, &again);
    assert_int_equal(again.count, 200);
    for (size_t i = 0; i < again.count; i++) {
        assert_memory_equal(&again.records[i], &h.records[i],
                            offsetof(struct journal_record, used));
    }
    folder_remove(&f);
}

static void one_who_waits_is_told_when_the_record_is_on_the_disk(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct heard h = heard_new();
    struct journal *j = open_journal(&f, 1, &report);
    struct journal_lane *lane = journal_lane(j, 0);
    journal_listen(j, &(struct journal_listener){.on_record = hear, .ctx = &h});
    journal_on_commit(j, 0, hear_durable, &h);
    uint64_t ticket = publish(lane, JOURNAL_INTENT, 1);
    assert_false(journal_await(lane, ticket));
    assert_int_equal(journal_start(j), ERR_OK);
    (void)pthread_mutex_lock(&h.lock);
    while (h.durable == 0) {
        (void)pthread_cond_wait(&h.more, &h.lock);
    }
    (void)pthread_mutex_unlock(&h.lock);
    assert_true(journal_is_durable(lane, ticket));
    assert_true(journal_await(lane, ticket));
    (void)publish(lane, JOURNAL_INTENT, 2);
    journal_close(&j);
    assert_int_equal(h.count, 2);
    assert_int_equal(h.durable, 2); /* asked once more, above */
    folder_remove(&f);
}

static void one_who_waits_for_slots_is_told_when_there_are_some(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct heard h = heard_new();
    struct journal *j = open_journal(&f, 1, &report);
    struct journal_lane *lane = journal_lane(j, 0);
    journal_on_commit(j, 0, hear_durable, &h);
    assert_true(journal_await_slots(lane));
    for (int i = 0; i < 255; i++) {
        (void)publish(lane, JOURNAL_INTENT, i);
    }
    assert_int_equal(journal_slots_free(lane), 1);
    assert_false(journal_await_slots(lane)); /* a call needs two */
    assert_int_equal(journal_start(j), ERR_OK);
    (void)pthread_mutex_lock(&h.lock);
    for (int told = 0; !journal_await_slots(lane);) {
        while (h.durable == told) { /* a waiter that is not told hangs here */
            (void)pthread_cond_wait(&h.more, &h.lock);
        }
        told = h.durable;
    }
    (void)pthread_mutex_unlock(&h.lock);
    assert_int_equal(journal_slots_free(lane), 256);
    journal_close(&j);
    folder_remove(&f);
}

static void slots_run_out_and_come_back(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct heard h = heard_new();
    struct journal_slot *slots[256];
    struct journal *j = open_journal(&f, 1, &report);
    struct journal_lane *lane = journal_lane(j, 0);
    journal_listen(j, &(struct journal_listener){.on_record = hear, .ctx = &h});
    for (size_t i = 0; i < 256; i++) {
        assert_int_equal(journal_take(lane, &slots[i]), ERR_OK);
    }
    struct journal_slot *none;
    assert_int_equal(journal_take(lane, &none), ERR_JOURNAL_FULL);
    journal_give_back(lane, slots[7]);
    assert_int_equal(journal_take(lane, &none), ERR_OK);
    assert_ptr_equal(none, slots[7]);
    for (size_t i = 0; i < 256; i++) {
        *journal_slot_record(slots[i]) = record_of(JOURNAL_INTENT, i);
        (void)journal_publish(lane, slots[i]);
    }
    assert_int_equal(journal_slots_free(lane), 0);
    assert_int_equal(journal_start(j), ERR_OK);
    until_heard(&h, 256);
    while (journal_take(lane, &none) != ERR_OK) { /* the slots come back just after we heard */
        (void)sched_yield();
    }
    journal_give_back(lane, none);
    journal_close(&j);
    folder_remove(&f);
}

static void die_with_all_kinds_of_slots(const struct folder *f)
{
    struct journal_report report;
    struct journal_slot *slot;
    struct journal *j = open_journal(f, 2, &report);
    struct journal_lane *lane = journal_lane(j, 1);
    (void)publish(journal_lane(j, 0), JOURNAL_INTENT, 9);
    struct journal_slot *first = begin(lane, 1), *second = begin(lane, 2);
    journal_slot_record(second)->bytes_out = 77;
    journal_slot_record(second)->status = 200;
    journal_slot_record(second)->tokens_in = 5;
    journal_slot_record(second)->cost_nano = 6;
    journal_slot_record(second)->reserved_nano = 60;
    journal_slot_record(second)->attempts_sent = 1;
    journal_slot_record(second)->tokens_out = -5; /* no number may keep a record from being */
    journal_slot_record(first)->cost_nano = INT64_MAX;
    (void)journal_publish(lane, first);
    struct journal_slot *waiting = begin(lane, 4); /* its attempt had not begun */
    journal_slot_record(waiting)->tokens_in = journal_slot_record(waiting)->reserved_nano = 5;
    journal_slot_record(waiting)->tokens_in_estimated = 1;
    journal_slot_record(waiting)->bytes_out = 9; /* noted in part: its status comes last */
    if (journal_take(lane, &slot) == ERR_OK) {
        *journal_slot_record(slot) = record_of(JOURNAL_COMPLETION, 3);
    }
}

static void a_killed_process_s_slots_are_moved_and_its_calls_settled(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    static struct heard h;
    counter_thread_start();
    in_a_child_that_dies(die_with_all_kinds_of_slots, &f);
    for (int again = 0; again < 2; again++) {
        struct journal *j = open_journal(&f, 1, &report);
        assert_int_equal(report.recovered, again == 0 ? 7 : 0);
        assert_int_equal(report.interrupted, again == 0 ? 2 : 0);
        assert_int_equal(report.discarded, 0);
        assert_int_equal(report.last_sequence, 8);
        journal_close(&j);
    }
    read_back(&f, &h);
    assert_int_equal(h.count, 7);
    size_t at = call_of(&h.records[0]) == 9 ? 1 : 0; /* lanes have no order among themselves */
    assert_int_equal(call_of(&h.records[at]), 1);
    assert_int_equal(call_of(&h.records[at + 1]), 2);
    assert_int_equal(call_of(&h.records[at + 2]), 1);
    assert_int_equal(h.records[at + 2].outcome, JOURNAL_OUTCOME_OK);
    assert_true(h.records[at + 2].bounded == 1 &&
                h.records[at + 2].cost_nano == JOURNAL_NUMBER_MAX);
    assert_int_equal(call_of(&h.records[at + 3]), 4);
    const struct journal_record *cut = &h.records[at + 4], *never_sent = &h.records[at + 5];
    if (call_of(cut) == 4) { /* those that were armed have no order */
        cut = &h.records[at + 5], never_sent = &h.records[at + 4];
    }
    assert_int_equal(call_of(cut), 2);
    assert_int_equal(cut->kind, JOURNAL_COMPLETION);
    assert_int_equal(cut->outcome, JOURNAL_OUTCOME_INTERRUPTED);
    assert_int_equal(cut->bytes_out, 77);
    assert_true(cut->ended_ms > 0);
    assert_true(says(cut, JOURNAL_TEXT_ERROR, "INTERRUPTED"));
    assert_true(cut->attempts_sent == 1 && cut->tokens_in == 5);
    assert_true(cut->bounded == 1 && cut->tokens_out == 0 && never_sent->bounded == 0);
    assert_int_equal(counter_sum(COUNT_JOURNAL_BOUNDED), 2);
    assert_int_equal(cut->cost_nano, 60); /* its reservation: nobody knows what was used */
    assert_int_equal(call_of(never_sent), 4);
    assert_true(never_sent->status == 0 && never_sent->bytes_out == 0);
    assert_int_equal(never_sent->outcome, JOURNAL_OUTCOME_INTERRUPTED);
    assert_true(never_sent->attempt == 1 && never_sent->attempts_sent == 0 &&
                never_sent->tokens_in == 0 && never_sent->tokens_in_estimated == 0 &&
                never_sent->cost_nano == 0);
    folder_remove(&f);
}

/* As if the process had died between the commit and the freeing of the slots. */
static void die_before_freeing(const struct folder *f)
{
    struct journal_report report;
    struct heard h = heard_new();
    struct journal *j = open_journal(f, 1, &report);
    struct journal_lane *lane = journal_lane(j, 0);
    journal_listen(j, &(struct journal_listener){.on_record = hear, .ctx = &h});
    assert_int_equal(journal_start(j), ERR_OK);
    for (uint64_t i = 1; i <= 10; i++) {
        (void)publish(lane, JOURNAL_INTENT, i);
    }
    until_heard(&h, 10);
    while (journal_slots_free(lane) < 256) {
        struct journal_slot *slot;
        if (journal_take(lane, &slot) == ERR_OK) {
            journal_give_back(lane, slot);
        }
    }
    for (size_t i = 0; i < 10; i++) {
        struct journal_slot *slot = journal_slot_at(lane->file, i, lane->slot_bytes);
        slot->ticket = i + 1;
        slot->record = record_of(JOURNAL_INTENT, i + 1);
        atomic_store(&slot->state, JOURNAL_READY);
    }
}

static void a_committed_record_that_was_not_freed_enters_once(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    in_a_child_that_dies(die_before_freeing, &f);
    struct journal *j = open_journal(&f, 1, &report);
    assert_int_equal(report.recovered, 0);
    assert_int_equal(report.last_sequence, 11);
    journal_close(&j);
    folder_remove(&f);
}

static void after_a_power_cut_the_lanes_are_not_trusted(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    char path[128];
    in_a_child_that_dies(die_with_all_kinds_of_slots, &f);
    for (int lane = 0; lane < 2; lane++) {
        (void)snprintf(path, sizeof(path), "%s/lane-%03d", f.journal, lane);
        int fd = open(path, O_RDWR);
        assert_int_equal(pwrite(fd, "another life", 12, offsetof(struct journal_lane_file, boot)),
                         12);
        assert_int_equal(close(fd), 0);
    }
    struct journal *j = open_journal(&f, 1, &report);
    assert_int_equal(report.recovered, 0);
    assert_int_equal(report.last_sequence, 1);
    journal_close(&j);
    folder_remove(&f);
}

static void a_torn_tail_leaves_a_record_of_its_cutting(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    static struct heard h;
    char path[128];
    struct journal_record r = record_of(JOURNAL_INTENT, 1);
    struct journal *j = open_journal(&f, 1, &report);
    assert_int_equal(journal_append(j, &r, 1), ERR_OK);
    assert_int_equal(r.sequence, 2);
    journal_close(&j);
    (void)snprintf(path, sizeof(path), "%s/0000000000000001.seg", f.journal);
    int fd = open(path, O_RDWR | O_APPEND);
    assert_int_equal(write(fd, "garbage", 7), 7);
    assert_int_equal(close(fd), 0);
    j = open_journal(&f, 1, &report);
    assert_int_equal(report.torn_bytes, 7);
    assert_int_equal(report.last_sequence, 3);
    journal_close(&j);
    read_back(&f, &h);
    assert_int_equal(h.count, 2);
    assert_int_equal(h.records[1].kind, JOURNAL_RECOVERY);
    assert_int_equal(h.records[1].cut_bytes, 7);
    assert_int_equal(h.records[1].cut_segment, 1);
    assert_true(h.records[1].cut_offset > 64);
    folder_remove(&f);
}

static void a_full_disk_stops_admission_and_loses_nothing(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct journal_slot *slot;
    struct heard h = heard_new();
    struct journal *j = open_journal(&f, 1, &report);
    journal_close(&j);
    j = open_journal(&f, 1, &report); /* nothing is taken ahead of the writing yet */
    struct journal_lane *lane = journal_lane(j, 0);
    journal_listen(j, &(struct journal_listener){.on_record = hear, .ctx = &h});
    assert_int_equal(journal_take(lane, &slot), ERR_OK);
    disk.full = ENOSPC;
    assert_int_equal(journal_start(j), ERR_OK);
    (void)publish(lane, JOURNAL_INTENT, 1);
    while (journal_state(j) != ERR_DISK_FULL) {
        (void)sched_yield();
    }
    struct journal_slot *none;
    assert_int_equal(journal_take(lane, &none), ERR_DISK_FULL);
    *journal_slot_record(slot) = record_of(JOURNAL_COMPLETION, 1); /* a call in flight still ends */
    (void)journal_publish(lane, slot);
    assert_int_equal(h.count, 0);
    disk.full = 0;
    until_heard(&h, 2);
    assert_int_equal(journal_state(j), ERR_OK);

    journal_close(&j);
    assert_int_equal(h.count, 2);
    folder_remove(&f);
}

static void a_full_descriptor_table_is_waited_for_and_is_no_trouble(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct heard h = heard_new();
    struct rlimit files;
    struct journal *j = open_journal(&f, 1, &report);
    struct journal_lane *lane = journal_lane(j, 0);
    struct journal_settings small = journal_quick;
    small.segment_bytes = 1; /* a segment a group */
    journal_reload(j, &small);
    journal_listen(j, &(struct journal_listener){.on_record = hear, .ctx = &h});
    assert_int_equal(journal_start(j), ERR_OK);
    (void)publish(lane, JOURNAL_INTENT, 1);
    until_heard(&h, 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    (void)publish(lane, JOURNAL_INTENT, 2); /* in a segment that was opened ahead */
    until_heard(&h, 2);
    (void)publish(lane, JOURNAL_INTENT, 3);
    while (journal_want(j) != ERR_NO_FILES) {
        (void)sched_yield();
    }
    assert_int_equal(journal_state(j), ERR_OK);
    assert_int_equal(h.count, 2);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    until_heard(&h, 3);
    assert_int_equal(journal_want(j), ERR_OK);
    journal_close(&j);
    read_back(&f, &h);
    assert_int_equal(h.count, 3);
    folder_remove(&f);
}

static void lanes_that_find_no_room_say_how_much_they_want(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct journal *j = NULL;
    struct journal_settings large = journal_quick;
    large.slots = 1 << 30; /* 2,048 GiB */
    assert_int_equal(journal_open(f.path, &large, 2, &nothing_seen, &report, &j), ERR_DISK_FULL);
    assert_null(j);
    uint64_t further = 2 * (4096 + (uint64_t)64 * (2048 + 14336)); /* housekeeping's, the store's */
    assert_int_equal(report.needed_bytes, 2 * (4096 + ((uint64_t)2048 << 30)) + further);
    assert_true(report.free_bytes < report.needed_bytes);
    folder_remove(&f);
}

static void what_a_full_disk_kept_back_is_written_by_the_next_start(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct journal *j = open_journal(&f, 1, &report);
    journal_close(&j);
    j = open_journal(&f, 1, &report); /* nothing is taken ahead of the writing yet */
    struct journal_lane *lane = journal_lane(j, 0);
    disk.full = EDQUOT;
    assert_int_equal(journal_start(j), ERR_OK);
    (void)publish(lane, JOURNAL_INTENT, 1);
    journal_close(&j);
    disk.full = 0;
    j = open_journal(&f, 1, &report);
    assert_int_equal(report.recovered, 1);
    assert_int_equal(report.last_sequence, 2);
    journal_close(&j);
    folder_remove(&f);
}

static void a_failed_sync_stops_the_journal_for_good(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct heard h = heard_new();
    struct journal *j = open_journal(&f, 1, &report);
    struct journal_lane *lane = journal_lane(j, 0);
    journal_listen(j, &(struct journal_listener){.on_record = hear, .ctx = &h});
    journal_on_commit(j, 0, hear_durable, &h);
    disk.sync = EIO;
    assert_int_equal(journal_start(j), ERR_OK);
    uint64_t ticket = publish(lane, JOURNAL_INTENT, 1);
    (void)pthread_mutex_lock(&h.lock);
    while (h.durable == 0) {
        (void)pthread_cond_wait(&h.more, &h.lock);
    }
    (void)pthread_mutex_unlock(&h.lock);
    disk.sync = 0;
    struct journal_slot *none;
    assert_int_equal(journal_take(lane, &none), ERR_DISK);
    assert_int_equal(journal_state(j), ERR_DISK);
    assert_false(journal_is_durable(lane, ticket));
    journal_close(&j);
    assert_int_equal(h.count, 0);
    /* The record reached the file though not, for all we knew, the disk: it must not enter twice.
     */
    j = open_journal(&f, 1, &report);
    assert_int_equal(report.last_sequence, 2);
    journal_close(&j);
    folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_records_arrive_in_order_and_once),
        cmocka_unit_test(one_who_waits_is_told_when_the_record_is_on_the_disk),
        cmocka_unit_test(one_who_waits_for_slots_is_told_when_there_are_some),
        cmocka_unit_test(slots_run_out_and_come_back),
        cmocka_unit_test(a_killed_process_s_slots_are_moved_and_its_calls_settled),
        cmocka_unit_test(a_committed_record_that_was_not_freed_enters_once),
        cmocka_unit_test(after_a_power_cut_the_lanes_are_not_trusted),
        cmocka_unit_test(a_torn_tail_leaves_a_record_of_its_cutting),
        cmocka_unit_test(a_full_disk_stops_admission_and_loses_nothing),
        cmocka_unit_test(a_full_descriptor_table_is_waited_for_and_is_no_trouble),
        cmocka_unit_test(lanes_that_find_no_room_say_how_much_they_want),
        cmocka_unit_test(what_a_full_disk_kept_back_is_written_by_the_next_start),
        cmocka_unit_test(a_failed_sync_stops_the_journal_for_good),
    };
    disk.no_waits = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
