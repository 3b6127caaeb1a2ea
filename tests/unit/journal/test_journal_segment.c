/* SPDX-License-Identifier: Apache-2.0 */
/* test_journal_segment.c — wherever a segment is cut or damaged, the verdict is right. */
#include "unit.h"

#include <sys/resource.h>

#include "folder.h"

#include "base/memory.h"
#include "journal/journal_internal.h"
#include "journal/journal_reader.h"
#include "json/json_index.h"

#define GROUPS 4 /* the first one is empty */

static const uint32_t records_of[GROUPS] = {0, 2, 3, 3};

/* One segment with its groups' and frames' places. */
struct sample {
    struct folder folder;
    uint8_t bytes[16384];
    size_t size;
    size_t group_end[GROUPS];
    size_t frames[32]; /* where each frame begins; the last entry is `size` */
    size_t frame_count;
};

static struct journal_segment *open_segment(const struct folder *f, int64_t segment_bytes,
                                            struct journal_report *report, enum err expect)
{
    struct journal_segment *s = NULL;
    int fd = open(f->journal, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    *report = (struct journal_report){0};
    assert_int_equal(journal_segment_open(f->journal, fd, segment_bytes, &nothing_seen, report, &s),
                     expect);
    if (s == NULL) {
        assert_int_equal(close(fd), 0);
    }
    return s; /* the test's end closes the folder */
}

static void append(struct journal_segment *s, uint64_t *sequence, uint32_t records)
{
    struct journal_commit c = {.records = records, .lanes = 1, .lane = {{7, *sequence + records}}};
    struct buf frames;
    buf_init(&frames, JOURNAL_GROUP_MAX);
    for (uint32_t i = 0; i < records; i++) {
        struct journal_record r = record_of(JOURNAL_INTENT, ++*sequence);
        r.sequence = (int64_t)*sequence;
        (void)journal_frame_write(&r, SPAN(""), &frames);
    }
    c.last_sequence = *sequence;
    assert_int_equal(journal_segment_append(s, &frames, &c), ERR_OK);
    buf_fini(&frames);
}

static size_t read_file(const struct folder *f, const char *name, uint8_t *out, size_t size)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", f->journal, name);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t got = read(fd, out, size);
    assert_true(got >= 0 && (size_t)got < size);
    assert_int_equal(close(fd), 0);
    return (size_t)got;
}

static void write_file(const struct folder *f, const char *name, const uint8_t *bytes, size_t size)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", f->journal, name);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(close(fd), 0);
}

#define FIRST_SEGMENT "0000000000000001.seg"

static void make_sample(struct sample *s)
{
    struct journal_report report;
    uint64_t sequence = 0;
    memset(s, 0, sizeof(*s));
    s->folder = folder_new();
    assert_int_equal(mkdir(s->folder.journal, 0700), 0);
    struct journal_segment *writer = open_segment(&s->folder, 1 << 20, &report, ERR_OK);
    for (size_t g = 1; g < GROUPS; g++) {
        append(writer, &sequence, records_of[g]);
    }
    journal_segment_close(&writer);
    s->size = read_file(&s->folder, FIRST_SEGMENT, s->bytes, sizeof(s->bytes));
    struct span rest = span_make(s->bytes, s->size);
    rest = span_cut(rest, JOURNAL_HEADER_BYTES, rest.len);
    for (size_t g = 0; g < GROUPS; g++) {
        struct journal_group group;
        assert_int_equal(journal_group_parse(rest, &group), JOURNAL_GROUP_WHOLE);
        assert_int_equal(group.commit.records, records_of[g]);
        struct span frames = group.frames;
        for (struct span line; journal_frame_next(&frames, &line);) {
            s->frames[s->frame_count++] = (size_t)(line.at - s->bytes) - JOURNAL_FRAME_BYTES;
        }
        s->frames[s->frame_count++] = (size_t)(rest.at - s->bytes) + group.frames.len;
        rest = span_cut(rest, group.size, rest.len);
        s->group_end[g] = (size_t)(rest.at - s->bytes);
    }
    assert_int_equal(rest.len, 0);
    s->frames[s->frame_count] = s->size;
}

struct verdict {
    enum err e;
    uint64_t records, tail;
    struct journal_place place;
};

static struct verdict read_all(const struct folder *f)
{
    struct verdict v = {0};
    struct journal_reader *r;
    v.e = journal_reader_open(f->journal, 0, &v.place, &r);
    if (v.e != ERR_OK) {
        return v;
    }
    static struct journal_group group;
    uint64_t first;
    while ((v.e = journal_reader_next(r, &group, &first)) == ERR_OK) {
        assert_int_equal(first, v.records + 1);
        v.records += group.commit.records;
    }
    v.place = journal_reader_place(r);
    v.tail = journal_reader_tail(r);
    journal_reader_close(&r);
    return v;
}

static void a_segment_cut_anywhere_keeps_its_whole_groups(void **state)
{
    (void)state;
    struct sample s;
    make_sample(&s);
    for (size_t cut = 0; cut <= s.size; cut++) {
        write_file(&s.folder, FIRST_SEGMENT, s.bytes, cut);
        struct verdict v = read_all(&s.folder);
        size_t whole = 0;
        uint64_t records = 0;
        for (size_t g = 0; g < GROUPS && s.group_end[g] <= cut; g++) {
            whole = s.group_end[g];
            records += records_of[g];
        }
        if (cut < JOURNAL_HEADER_BYTES) {
            assert_int_equal(v.e, ERR_JOURNAL_BROKEN);
        } else {
            whole = whole == 0 ? JOURNAL_HEADER_BYTES : whole;
            if (v.e != ERR_NOT_FOUND_ROW || v.records != records || v.place.offset != whole ||
                v.tail != cut - whole) {
                fail_msg("cut at %zu: %s, %llu records, tail %llu at %llu", cut, err_name(v.e),
                         (unsigned long long)v.records, (unsigned long long)v.tail,
                         (unsigned long long)v.place.offset);
            }
        }
    }
    folder_remove(&s.folder);
}

static void a_damaged_byte_anywhere_is_named_or_is_in_the_tail(void **state)
{
    (void)state;
    struct sample s;
    make_sample(&s);
    size_t last_commit = s.frames[s.frame_count - 1];
    for (size_t at = 0; at < s.size; at++) {
        for (uint8_t bit = 1; bit != 0; bit = (uint8_t)(bit << 3)) {
            s.bytes[at] ^= bit;
            write_file(&s.folder, FIRST_SEGMENT, s.bytes, s.size);
            s.bytes[at] ^= bit;
            struct verdict v = read_all(&s.folder);
            size_t frame = 0;
            while (s.frames[frame + 1] <= at) {
                frame++;
            }
            uint64_t where = at < JOURNAL_HEADER_BYTES ? 0 : s.frames[frame];
            enum err expect = at < last_commit ? ERR_JOURNAL_BROKEN : ERR_NOT_FOUND_ROW;
            where = at < last_commit ? where : s.group_end[GROUPS - 2];
            if (v.e != expect || v.place.offset != where ||
                strcmp(v.place.file, FIRST_SEGMENT) != 0) {
                fail_msg("byte %zu: %s at %s %llu", at, err_name(v.e), v.place.file,
                         (unsigned long long)v.place.offset);
            }
        }
    }
    folder_remove(&s.folder);
}

/* A power cut may keep a group's commit frame and lose a piece before it. */
static void a_last_group_with_a_hole_of_zeros_is_a_tail(void **state)
{
    (void)state;
    struct sample s;
    make_sample(&s);
    size_t start = s.group_end[GROUPS - 2];
    size_t sector = (start + 511) / 512 * 512;
    assert_true(sector + 512 < s.frames[s.frame_count - 1]);
    uint8_t kept[16384];
    memcpy(kept, s.bytes, sizeof(kept));
    memset(s.bytes + sector, 0, 512);
    write_file(&s.folder, FIRST_SEGMENT, s.bytes, s.size);
    struct verdict v = read_all(&s.folder);
    assert_int_equal(v.e, ERR_NOT_FOUND_ROW);
    assert_int_equal(v.place.offset, start);
    assert_int_equal(v.tail, s.size - start);

    memcpy(s.bytes, kept, sizeof(kept));
    memset(s.bytes + start, 0, sector - start);
    write_file(&s.folder, FIRST_SEGMENT, s.bytes, s.size);
    assert_int_equal(read_all(&s.folder).e, ERR_NOT_FOUND_ROW);

    /* The same hole in an earlier group is damage: the later one was written after a sync. */
    memcpy(s.bytes, kept, sizeof(kept));
    size_t earlier = s.group_end[GROUPS - 3] / 512 * 512 + 512;
    memset(s.bytes + earlier, 0, 512);
    write_file(&s.folder, FIRST_SEGMENT, s.bytes, s.size);
    assert_int_equal(read_all(&s.folder).e, ERR_JOURNAL_BROKEN);
    folder_remove(&s.folder);
}

static void opening_cuts_a_torn_tail_and_leaves_damage_alone(void **state)
{
    (void)state;
    struct sample s;
    struct journal_report report;
    make_sample(&s);
    write_file(&s.folder, FIRST_SEGMENT, s.bytes, s.size - 10);
    struct journal_segment *w = open_segment(&s.folder, 1 << 20, &report, ERR_OK);
    assert_int_equal(report.torn_bytes, s.size - 10 - s.group_end[GROUPS - 2]);
    assert_int_equal(report.last_sequence, 5);
    uint64_t sequence = report.last_sequence;
    append(w, &sequence, 2);
    journal_segment_close(&w);
    struct verdict v = read_all(&s.folder);
    assert_int_equal(v.e, ERR_NOT_FOUND_ROW);
    assert_int_equal(v.records, 7);
    assert_int_equal(v.tail, 0);

    s.bytes[s.group_end[0] + 20] ^= 1;
    write_file(&s.folder, FIRST_SEGMENT, s.bytes, s.size);
    assert_null(open_segment(&s.folder, 1 << 20, &report, ERR_JOURNAL_BROKEN));
    assert_int_equal(report.place.offset, s.group_end[0]);
    uint8_t again[16384];
    assert_int_equal(read_file(&s.folder, FIRST_SEGMENT, again, sizeof(again)), s.size);
    assert_memory_equal(again, s.bytes, s.size);
    folder_remove(&s.folder);
}

static void a_full_segment_is_followed_by_the_next(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    uint64_t sequence = 0;
    assert_int_equal(mkdir(f.journal, 0700), 0);
    struct journal_segment *w = open_segment(&f, 4000, &report, ERR_OK);
    for (int i = 0; i < 20; i++) {
        append(w, &sequence, 3);
    }
    journal_segment_close(&w);
    uint64_t *firsts;
    size_t count;
    int fd = open(f.journal, O_RDONLY | O_DIRECTORY);
    assert_int_equal(journal_segment_list(fd, &firsts, &count), ERR_OK);
    assert_true(count > 5);
    struct verdict v = read_all(&f);
    assert_int_equal(v.e, ERR_NOT_FOUND_ROW);
    assert_int_equal(v.records, 60);

    /* Reading from the middle begins with the group that holds it. */
    struct journal_reader *r;
    struct journal_group group;
    uint64_t first;
    assert_int_equal(journal_reader_open(f.journal, 32, &v.place, &r), ERR_OK);
    assert_int_equal(journal_reader_next(r, &group, &first), ERR_OK);
    assert_int_equal(first, 31);
    journal_reader_close(&r);

    /* A segment that ends too early, or is missing, is damage. */
    char name[JOURNAL_SEGMENT_NAME_BYTES];
    uint8_t bytes[16384];
    journal_segment_name(firsts[2], name);
    size_t size = read_file(&f, name, bytes, sizeof(bytes));
    write_file(&f, name, bytes, size - 1);
    v = read_all(&f);
    assert_int_equal(v.e, ERR_JOURNAL_BROKEN);
    assert_string_equal(v.place.file, name);
    assert_null(open_segment(&f, 4000, &report, ERR_JOURNAL_BROKEN));
    assert_string_equal(report.place.file, name);
    assert_int_equal(report.place.offset, size - 1);
    assert_int_equal(unlinkat(fd, name, 0), 0);
    assert_int_equal(read_all(&f).e, ERR_JOURNAL_BROKEN);
    assert_null(open_segment(&f, 4000, &report, ERR_JOURNAL_BROKEN));
    write_file(&f, name, bytes, size);
    w = open_segment(&f, 4000, &report, ERR_OK);
    journal_segment_close(&w);
    memory_free(firsts);
    assert_int_equal(close(fd), 0);
    folder_remove(&f);
}

static void a_full_disk_leaves_the_group_for_another_try(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    assert_int_equal(mkdir(f.journal, 0700), 0);
    struct journal_segment *w = open_segment(&f, 1 << 20, &report, ERR_OK);
    struct journal_commit c = {.records = 1, .last_sequence = 1};
    struct journal_record r = record_of(JOURNAL_INTENT, 1);
    struct buf frames;
    r.sequence = 1;
    buf_init(&frames, JOURNAL_GROUP_MAX);
    (void)journal_frame_write(&r, SPAN(""), &frames);
    disk.full = ENOSPC;
    assert_int_equal(journal_segment_append(w, &frames, &c), ERR_DISK_FULL);
    assert_int_equal(journal_segment_append(w, &frames, &c), ERR_DISK_FULL);
    disk.full = 0;
    assert_int_equal(journal_segment_append(w, &frames, &c), ERR_OK);
    disk.sync = EIO;
    assert_int_equal(journal_segment_append(w, &frames, &c), ERR_DISK);
    disk.sync = 0;
    buf_fini(&frames);
    journal_segment_close(&w);
    folder_remove(&f);
}

static void without_descriptors_one_more_segment_is_begun_and_then_the_group_waits(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct journal_report report;
    struct rlimit files;
    assert_int_equal(mkdir(f.journal, 0700), 0);
    struct journal_segment *w = open_segment(&f, 1, &report, ERR_OK); /* one a group */
    struct buf frames;
    buf_init(&frames, JOURNAL_GROUP_MAX);
    assert_non_null(buf_reserve(&frames, JOURNAL_GROUP_MAX));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    static const enum err ends[] = {ERR_OK, ERR_OK, ERR_NO_FILES, ERR_NO_FILES, ERR_OK};
    struct journal_commit c = {.records = 1, .last_sequence = 1};
    for (size_t i = 0; i < ROWS(ends); i++) {
        struct rlimit none = {.rlim_cur = i == 0 || i + 1 == ROWS(ends) ? files.rlim_cur : 0,
                              .rlim_max = files.rlim_max};
        struct journal_record r = record_of(JOURNAL_INTENT, c.last_sequence);
        r.sequence = (int64_t)c.last_sequence;
        buf_clear(&frames);
        (void)journal_frame_write(&r, SPAN(""), &frames);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        enum err e = journal_segment_append(w, &frames, &c);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
        assert_int_equal(e, ends[i]);
        c.last_sequence += e == ERR_OK;
    }
    buf_fini(&frames);
    journal_segment_close(&w);
    struct verdict v = read_all(&f);
    assert_int_equal(v.records, 3);
    folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_cut_anywhere_keeps_its_whole_groups),
        cmocka_unit_test(a_damaged_byte_anywhere_is_named_or_is_in_the_tail),
        cmocka_unit_test(a_last_group_with_a_hole_of_zeros_is_a_tail),
        cmocka_unit_test(opening_cuts_a_torn_tail_and_leaves_damage_alone),
        cmocka_unit_test(a_full_segment_is_followed_by_the_next),
        cmocka_unit_test(a_full_disk_leaves_the_group_for_another_try),
        cmocka_unit_test(without_descriptors_one_more_segment_is_begun_and_then_the_group_waits),
    };
    disk.no_waits = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
