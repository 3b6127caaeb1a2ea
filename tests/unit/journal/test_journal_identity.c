/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal_identity.c — a journal that is not what it should be is told, and left as it is. */
#include "unit.h"

#include "folder.h"

#include "base/memory.h"
#include "journal/journal_reader.h"
#include "journal/journal_segment.h"

static struct journal *open_journal(const struct folder *f, int64_t segment_bytes,
                                    struct journal_report *report)
{
    struct journal *j;
    struct journal_settings settings = journal_quick;
    settings.segment_bytes = segment_bytes;
    assert_int_equal(journal_open(f->path, &settings, 1, &nothing_seen, report, &j), ERR_OK);
    return j;
}

/* A journal of so many records, each in a segment of its own; its name. */
static struct folder journal_of(int records, char origin[JOURNAL_ORIGIN_CHARS + 1])
{
    struct folder f = folder_new();
    struct journal_report report;
    struct journal *j = open_journal(&f, 1, &report);
    memcpy(origin, report.origin, sizeof(report.origin));
    for (int i = 0; i < records; i++) {
        struct journal_record r = record_of(JOURNAL_INTENT, (uint64_t)i);
        assert_int_equal(journal_append(j, &r, 1), ERR_OK);
    }
    journal_close(&j);
    return f;
}

static void path_of(const struct folder *f, uint64_t first, char out[160])
{
    char name[JOURNAL_SEGMENT_NAME_BYTES];
    journal_segment_name(first, name);
    (void)snprintf(out, 160, "%s/%s", f->journal, name);
}

/* What opening says; the folder is as it was. */
static enum err refused(const struct folder *f, const struct journal_seen *seen,
                        struct journal_report *report)
{
    struct journal *j = NULL;
    uint64_t *before, *after;
    size_t count_before, count_after;
    int fd = open(f->journal, O_RDONLY | O_DIRECTORY);
    assert_int_equal(journal_segment_list(fd, &before, &count_before), ERR_OK);
    enum err e = journal_open(f->path, &journal_quick, 1, seen, report, &j);
    assert_null(j);
    assert_int_equal(journal_segment_list(fd, &after, &count_after), ERR_OK);
    assert_int_equal(count_before, count_after);
    assert_memory_equal(before, after, count_before * sizeof(*before));
    memory_free(before);
    memory_free(after);
    assert_int_equal(close(fd), 0);
    return e;
}

static enum err read_all(const struct folder *f, uint64_t from)
{
    static struct journal_group group;
    struct journal_place where;
    struct journal_reader *r = NULL;
    uint64_t first;
    enum err e = journal_reader_open(f->journal, from, &where, &r);
    while (e == ERR_OK) {
        e = journal_reader_next(r, &group, &first);
    }
    journal_reader_close(&r);
    return e;
}

/* Cut at a group's end or in a group's middle: neither may be taken for a torn tail. */
static void a_journal_that_lost_records_is_left_as_it_is(void **state)
{
    (void)state;
    static const off_t cuts[] = {0, 1, 700};
    for (size_t i = 0; i < ROWS(cuts); i++) {
        struct folder f = folder_new();
        struct journal_report report;
        struct journal *j = open_journal(&f, 64 << 20, &report);
        struct journal_record records[2] = {record_of(JOURNAL_INTENT, 1),
                                            record_of(JOURNAL_COMPLETION, 1)};
        assert_int_equal(journal_append(j, &records[0], 1), ERR_OK);
        assert_int_equal(journal_append(j, &records[1], 1), ERR_OK);
        journal_close(&j);
        char path[128];
        struct stat before, after;
        (void)snprintf(path, sizeof(path), "%s/0000000000000001.seg", f.journal);
        assert_int_equal(stat(path, &before), 0);
        assert_int_equal(truncate(path, before.st_size - cuts[i]), 0);
        struct journal_seen seen = {.sequence = cuts[i] == 0 ? 4 : 3};
        memcpy(seen.origin, report.origin, sizeof(seen.origin));
        assert_int_equal(journal_open(f.path, &journal_quick, 1, &seen, &report, &j),
                         ERR_JOURNAL_BROKEN);
        assert_int_equal(report.flaw, JOURNAL_SHORT);
        assert_int_equal(stat(path, &after), 0);
        assert_int_equal(after.st_size, before.st_size - cuts[i]);
        assert_int_equal(unlink(path), 0);
        seen.sequence = 1;
        assert_int_equal(journal_open(f.path, &journal_quick, 1, &seen, &report, &j),
                         ERR_JOURNAL_BROKEN);
        assert_int_equal(report.flaw, JOURNAL_SHORT);
        assert_int_equal(stat(path, &after), -1);
        folder_remove(&f);
    }
}

static void the_first_record_names_the_journal(void **state)
{
    (void)state;
    static struct journal_group group;
    char origin[JOURNAL_ORIGIN_CHARS + 1];
    struct folder f = journal_of(2, origin);
    struct journal_place where;
    struct journal_reader *r;
    struct journal_record record;
    struct span line;
    uint64_t first;
    assert_int_equal(journal_reader_open(f.journal, 0, &where, &r), ERR_OK);
    do {
        assert_int_equal(journal_reader_next(r, &group, &first), ERR_OK);
    } while (!journal_frame_next(&group.frames, &line));
    assert_int_equal(journal_record_parse(line, &record, NULL), ERR_OK);
    assert_int_equal(record.kind, JOURNAL_ORIGIN);
    assert_int_equal(record.sequence, 1);
    assert_true(says(&record, JOURNAL_TEXT_ORIGIN, origin));
    assert_true(says(&record, JOURNAL_TEXT_PROGRAM, "atlas " ATLAS_VERSION));
    assert_memory_equal(journal_reader_header(r)->origin, origin, JOURNAL_ORIGIN_CHARS);
    journal_reader_close(&r);
    folder_remove(&f);
}

static void a_first_segment_that_is_gone_is_missed(void **state)
{
    (void)state;
    char origin[JOURNAL_ORIGIN_CHARS + 1], path[160];
    struct journal_report report;
    struct folder f = journal_of(3, origin);
    path_of(&f, 1, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(refused(&f, &nothing_seen, &report), ERR_JOURNAL_OTHER);
    assert_int_equal(report.flaw, JOURNAL_HEADLESS);
    folder_remove(&f);
}

/* The other journal has as many records, with the same numbers. */
static void a_segment_of_another_journal_is_told(void **state)
{
    (void)state;
    char origin[JOURNAL_ORIGIN_CHARS + 1], path[160], other[160];
    struct journal_report report;
    for (uint64_t first = 2; first <= 4; first++) {
        struct folder f = journal_of(3, origin), g = journal_of(3, origin);
        path_of(&f, first, path);
        path_of(&g, first, other);
        assert_int_equal(rename(other, path), 0);
        assert_int_equal(refused(&f, &nothing_seen, &report), ERR_JOURNAL_OTHER);
        assert_int_equal(report.flaw, JOURNAL_MIXED);
        assert_true(strstr(path, report.place.file) != NULL);
        assert_int_equal(read_all(&f, 1), ERR_JOURNAL_OTHER);
        folder_remove(&f);
        folder_remove(&g);
    }
}

static void a_segment_with_anothers_name_is_told(void **state)
{
    (void)state;
    static const uint64_t names[][2] = {{1, 2}, {1, 9}, {2, 1}, {4, 9}}; /* of records 1 to 4 */
    char origin[JOURNAL_ORIGIN_CHARS + 1], path[160], other[160];
    struct journal_report report;
    for (size_t i = 0; i < 2 * ROWS(names); i++) {
        struct folder f = journal_of(3, origin);
        const uint64_t *name = names[i / 2];
        path_of(&f, name[0], path);
        path_of(&f, name[1], other);
        (void)unlink(other); /* which may be there */
        assert_int_equal(link(path, other), 0);
        assert_int_equal(i % 2 == 0 ? unlink(path) : 0, 0); /* renamed; or a copy is there, too */
        assert_int_equal(refused(&f, &nothing_seen, &report), ERR_JOURNAL_OTHER);
        assert_int_equal(report.flaw, JOURNAL_RENAMED);
        assert_true(strstr(other, report.place.file) != NULL);
        folder_remove(&f);
    }
}

/* A copy of the folder that went on by itself: the same name and numbers, other records. */
static void a_segment_of_a_fork_is_told(void **state)
{
    (void)state;
    char origin[JOURNAL_ORIGIN_CHARS + 1], path[160];
    struct journal_report report;
    uint8_t bytes[4096];
    struct folder f = journal_of(3, origin);
    path_of(&f, 4, path);
    int fd = open(path, O_RDWR);
    ssize_t len = read(fd, bytes, sizeof(bytes));
    assert_true(len > JOURNAL_HEADER_BYTES);
    struct journal_header h;
    assert_int_equal(journal_header_parse(span_make(bytes, (size_t)len), &h), ERR_OK);
    h.head[0] ^= 1; /* of the record before, which is another one there */
    journal_header_write(&h, bytes);
    assert_int_equal(pwrite(fd, bytes, (size_t)len, 0), len);
    assert_int_equal(close(fd), 0);
    assert_int_equal(refused(&f, &nothing_seen, &report), ERR_JOURNAL_OTHER);
    assert_int_equal(report.flaw, JOURNAL_MIXED);
    folder_remove(&f);
}

static void a_journal_that_the_store_does_not_know_is_told(void **state)
{
    (void)state;
    char origin[JOURNAL_ORIGIN_CHARS + 1];
    struct journal_report report;
    struct folder f = journal_of(3, origin);
    struct journal_seen seen = {.sequence = 2};
    memset(seen.origin, 'a', JOURNAL_ORIGIN_CHARS);
    assert_int_equal(refused(&f, &seen, &report), ERR_JOURNAL_OTHER);
    assert_int_equal(report.flaw, JOURNAL_FOREIGN);
    memcpy(seen.origin, origin, sizeof(seen.origin)); /* its name, but another record */
    memset(seen.head, 1, sizeof(seen.head));
    for (seen.sequence = 1; seen.sequence <= 4; seen.sequence++) {
        assert_int_equal(refused(&f, &seen, &report), ERR_JOURNAL_OTHER);
        assert_int_equal(report.flaw, JOURNAL_FORKED);
        assert_int_equal(journal_look(f.journal, &seen, &report), ERR_JOURNAL_OTHER);
        assert_int_equal(report.flaw, JOURNAL_FORKED);
    }
    folder_remove(&f);
}

/* The first of a segment, and one within: each record that a store may have seen last. */
static void a_store_that_is_behind_knows_its_journal(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2000, 1 << 20};
    for (size_t i = 0; i < ROWS(sizes); i++) {
        struct folder f = folder_new();
        struct journal_report report;
        struct journal_place where;
        struct journal_reader *r;
        struct span line;
        static struct journal_group group;
        struct journal *j = open_journal(&f, sizes[i], &report);
        struct journal_seen seen = {.sequence = 0};
        uint64_t first;
        memcpy(seen.origin, report.origin, sizeof(seen.origin));
        for (uint64_t call = 1; call <= 6; call++) {
            struct journal_record records[2] = {record_of(JOURNAL_INTENT, call),
                                                record_of(JOURNAL_COMPLETION, call)};
            assert_int_equal(journal_append(j, records, 2), ERR_OK);
        }
        journal_close(&j);
        assert_int_equal(journal_reader_open(f.journal, 0, &where, &r), ERR_OK);
        while (journal_reader_next(r, &group, &first) == ERR_OK) {
            while (journal_frame_next(&group.frames, &line)) {
                seen.sequence++;
                journal_leaf(line, seen.head);
                assert_int_equal(journal_look(f.journal, &seen, &report), ERR_OK);
                seen.head[0] ^= 1;
                assert_int_equal(journal_look(f.journal, &seen, &report), ERR_JOURNAL_OTHER);
                assert_int_equal(report.flaw, JOURNAL_FORKED);
            }
        }
        assert_int_equal(seen.sequence, 13);
        journal_reader_close(&r);
        folder_remove(&f);
    }
}

/* Who only looks says what a start would, and changes nothing. */
static void a_look_at_a_journal_says_what_opening_it_would(void **state)
{
    (void)state;
    char origin[JOURNAL_ORIGIN_CHARS + 1], path[160];
    struct journal_report report;
    struct journal_seen seen = {.sequence = 9};
    struct folder f = journal_of(3, origin);
    assert_int_equal(journal_look(f.journal, &nothing_seen, &report), ERR_OK);
    assert_int_equal(report.last_sequence, 4);
    assert_string_equal(report.origin, origin);
    memcpy(seen.origin, origin, sizeof(seen.origin));
    assert_int_equal(journal_look(f.journal, &seen, &report), ERR_JOURNAL_BROKEN);
    assert_int_equal(report.flaw, JOURNAL_SHORT);
    assert_true(strlen(journal_flaw_sentence(report.flaw)) > 0);
    path_of(&f, 4, path);
    assert_int_equal(truncate(path, JOURNAL_HEADER_BYTES + 200), 0); /* a group, and some of one */
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(journal_look(f.journal, &nothing_seen, &report), ERR_OK);
    assert_int_equal(report.last_sequence, 3);
    assert_true(report.torn_bytes > 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    folder_remove(&f);
    assert_int_equal(journal_look(f.journal, &nothing_seen, &report), ERR_OK);
    assert_int_equal(journal_look(f.journal, &seen, &report), ERR_JOURNAL_BROKEN);
    assert_int_equal(report.flaw, JOURNAL_SHORT);
}

static void an_opening_that_is_refused_leaves_no_folder_behind(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct journal *j = NULL;
    struct journal_seen seen = {.sequence = 7};
    memset(seen.origin, 'a', JOURNAL_ORIGIN_CHARS);
    assert_int_equal(journal_open(f.path, &journal_quick, 1, &seen, &report, &j),
                     ERR_JOURNAL_BROKEN);
    assert_int_equal(report.flaw, JOURNAL_SHORT);
    assert_int_equal(access(f.journal, F_OK), -1);
    disk.sync = EIO; /* of the first segment */
    assert_int_equal(journal_open(f.path, &journal_quick, 1, &nothing_seen, &report, &j), ERR_DISK);
    disk.sync = 0;
    assert_int_equal(access(f.journal, F_OK), -1);
    disk.full = ENOSPC; /* for its first record */
    assert_int_equal(journal_open(f.path, &journal_quick, 1, &nothing_seen, &report, &j),
                     ERR_DISK_FULL);
    disk.full = 0;
    assert_int_equal(access(f.journal, F_OK), -1);
    assert_null(j);
    assert_int_equal(rmdir(f.path), 0);
}

static void a_journal_of_an_earlier_version_is_refused(void **state)
{
    (void)state;
    char origin[JOURNAL_ORIGIN_CHARS + 1], path[160];
    struct journal_report report;
    struct folder f = journal_of(1, origin);
    path_of(&f, 1, path);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "\x01", 1, 8), 1); /* its version */
    assert_int_equal(close(fd), 0);
    assert_int_equal(refused(&f, &nothing_seen, &report), ERR_JOURNAL_OLD);
    assert_int_equal(read_all(&f, 1), ERR_JOURNAL_OLD);
    folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_journal_that_lost_records_is_left_as_it_is),
        cmocka_unit_test(the_first_record_names_the_journal),
        cmocka_unit_test(a_first_segment_that_is_gone_is_missed),
        cmocka_unit_test(a_segment_of_another_journal_is_told),
        cmocka_unit_test(a_segment_of_a_fork_is_told),
        cmocka_unit_test(a_segment_with_anothers_name_is_told),
        cmocka_unit_test(a_journal_that_the_store_does_not_know_is_told),
        cmocka_unit_test(a_store_that_is_behind_knows_its_journal),
        cmocka_unit_test(a_look_at_a_journal_says_what_opening_it_would),
        cmocka_unit_test(an_opening_that_is_refused_leaves_no_folder_behind),
        cmocka_unit_test(a_journal_of_an_earlier_version_is_refused),
    };
    disk.no_waits = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
