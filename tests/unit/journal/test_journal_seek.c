/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal_seek.c — the segment that a time lies in. */
#include "unit.h"

#include "folder.h"
#include "journal/journal_reader.h"
#include "journal/journal_segment.h"

#define SEGMENTS 9
#define HOUR_MS  3600000
#define FIRST_MS 1790000000000

/* A segment an hour, with a record at its beginning and one at its end. */
static void write_segments(const struct folder *f, uint64_t firsts[SEGMENTS])
{
    struct journal_report report = {0};
    struct journal_segment *s = NULL;
    uint64_t sequence = 0;
    int fd = open(f->journal, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    assert_int_equal(journal_segment_open(f->journal, fd, 1, &nothing_seen, &report, &s), ERR_OK);
    for (int i = 0; i < SEGMENTS; i++) {
        struct journal_commit c = {.records = 2, .lanes = 1, .lane = {{7, sequence + 2}}};
        struct buf frames;
        buf_init(&frames, JOURNAL_GROUP_MAX);
        firsts[i] = sequence + 1;
        for (int half = 0; half < 2; half++) {
            struct journal_record r = record_of(JOURNAL_INTENT, ++sequence);
            r.sequence = (int64_t)sequence;
            r.attempt_ms = FIRST_MS + HOUR_MS * (int64_t)i + half * (HOUR_MS - 1);
            (void)journal_frame_write(&r, SPAN(""), &frames);
        }
        c.last_sequence = sequence;
        assert_int_equal(journal_segment_append(s, &frames, &c), ERR_OK);
        buf_fini(&frames);
    }
    journal_segment_close(&s);
    (void)close(fd);
}

static void the_segment_that_began_last_before_a_time_is_found(void **state)
{
    (void)state;
    struct folder f = folder_new();
    uint64_t firsts[SEGMENTS], found = 99;
    assert_int_equal(mkdir(f.journal, 0700), 0);
    assert_int_equal(journal_seek(f.journal, FIRST_MS, &found), ERR_OK);
    assert_int_equal(found, 99); /* there is no segment yet */
    write_segments(&f, firsts);
    for (int64_t i = 0; i < SEGMENTS; i++) {
        int64_t middle = FIRST_MS + HOUR_MS * i + HOUR_MS / 2;
        assert_int_equal(journal_seek(f.journal, middle, &found), ERR_OK);
        assert_int_equal(found, firsts[i]);
    }
    assert_int_equal(journal_seek(f.journal, FIRST_MS - 1, &found), ERR_OK);
    assert_int_equal(found, 1);
    assert_int_equal(journal_seek(f.journal, INT64_MAX, &found), ERR_OK);
    assert_int_equal(found, firsts[SEGMENTS - 1]);
    folder_remove(&f);
    assert_int_equal(journal_seek(f.journal, FIRST_MS, &found), ERR_FILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_segment_that_began_last_before_a_time_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
