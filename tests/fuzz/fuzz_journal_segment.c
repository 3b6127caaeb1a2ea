/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_journal_segment.c — a segment that was changed says so, or what it still says is true.
 *
 * The first byte chooses:
 *   even   the rest is a record's line and, with right checksums, a segment: what is read as a
 *          record is written the same
 *   odd    the rest damages a good segment: three bytes an edit (where, twice; what), then, after
 * an edit of nothing, bytes that are put behind it. The reader gives out whole groups of the
 *          undamaged segment and nothing else, and calls an intact one intact.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/journal_reader.h"

#define GROUPS     4
#define GOOD_BYTES 16384
#define TAIL_BYTES 4096

static char folder[64];
static struct buf good; /* a segment of GROUPS groups */
static size_t ends[GROUPS];

static void add_group(uint32_t records, struct journal_commit *c)
{
    struct buf frames;
    buf_init(&frames, JOURNAL_GROUP_MAX);
    for (uint32_t i = 0; i < records; i++) {
        struct journal_record r = {.kind = JOURNAL_INTENT, .attempt = 1};
        r.sequence = (int64_t)++c->last_sequence;
        journal_record_set(&r, JOURNAL_TEXT_MODEL, SPAN("arabic-large"));
        (void)journal_frame_write(&r, SPAN(""), &frames);
    }
    c->records = records;
    journal_commit_write(c, buf_span(&frames).len, &frames);
    buf_put(&good, buf_span(&frames));
    buf_fini(&frames);
}

static void remove_folder(void)
{
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/0000000000000001.seg", folder);
    (void)unlink(path); /* it is the last input's; nobody minds if it is not there */
    (void)rmdir(folder);
}

static void set_up(void)
{
    static struct journal_commit c = {.lanes = 1, .lane = {{7, 0}}};
    uint8_t header[JOURNAL_HEADER_BYTES];
    (void)snprintf(folder, sizeof(folder), "%s/atlas-fuzz-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
    (void)atexit(remove_folder);
    buf_init(&good, GOOD_BYTES);
    journal_header_write(&(struct journal_header){.first_sequence = 1}, header);
    buf_put(&good, span_make(header, sizeof(header)));
    for (uint32_t g = 0; g < GROUPS; g++) {
        add_group(g == 0 ? 0 : g, &c);
        ends[g] = buf_span(&good).len;
    }
    CHECK(!buf_failed(&good));
}

static void write_segment(struct span bytes)
{
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/0000000000000001.seg", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, bytes.at, bytes.len) == (ssize_t)bytes.len);
    CHECK(ftruncate(fd, (off_t)bytes.len) == 0 && close(fd) == 0);
}

/* Reads the segment; `*size` is where its whole groups end. */
static enum err read_segment(struct span bytes, size_t *size)
{
    static struct journal_group group;
    struct journal_place place;
    struct journal_reader *r;
    uint64_t first;
    write_segment(bytes);
    *size = 0;
    enum err e = journal_reader_open(folder, 0, &place, &r);
    if (e != ERR_OK) {
        return e;
    }
    while ((e = journal_reader_next(r, &group, &first)) == ERR_OK) {
        *size = (size_t)journal_reader_place(r).offset;
        struct journal_record record;
        for (struct span line; journal_frame_next(&group.frames, &line);) {
            enum err parsed = journal_record_parse(line, &record, NULL);
            CHECK(parsed == ERR_OK || parsed == ERR_VALUE_INVALID);
        }
    }
    CHECK(e == ERR_NOT_FOUND_ROW || e == ERR_JOURNAL_BROKEN);
    CHECK(journal_reader_place(r).offset <= bytes.len);
    if (e == ERR_NOT_FOUND_ROW) {
        CHECK(journal_reader_place(r).offset + journal_reader_tail(r) == bytes.len);
    }
    journal_reader_close(&r);
    return e;
}

static void read_damaged(struct span edits)
{
    static uint8_t bytes[GOOD_BYTES + TAIL_BYTES];
    struct span whole = buf_span(&good);
    size_t len = whole.len;
    size_t size;
    memcpy(bytes, whole.at, len);
    while (edits.len >= 3 && edits.at[2] != 0) {
        bytes[(size_t)(edits.at[0] << 8 | edits.at[1]) % whole.len] ^= edits.at[2];
        edits = span_cut(edits, 3, edits.len);
    }
    size_t first = 0;
    while (first < len && bytes[first] == whole.at[first]) {
        first++;
    }
    struct span tail = span_cut(edits, 3, TAIL_BYTES);
    memcpy(bytes + len, tail.at, tail.len);
    len += tail.len;
    enum err e = read_segment(span_make(bytes, len), &size);
    size_t intact = 0;
    for (size_t g = 0; g < GROUPS && ends[g] <= first; g++) {
        intact = ends[g];
    }
    bool is_refused = e == ERR_JOURNAL_BROKEN || e == ERR_JOURNAL_OLD;
    CHECK(first < JOURNAL_HEADER_BYTES ? is_refused : size >= intact);
    CHECK(first < whole.len || size >= whole.len);
}

static void read_raw(struct span data)
{
    struct journal_record record;
    struct span state = {NULL, 0};
    struct buf out;
    size_t size;
    if (journal_record_parse(data, &record, &state) == ERR_OK) {
        CHECK(journal_record_is_valid(&record, state));
        buf_init(&out, JOURNAL_LINE_MAX);
        journal_record_write(&record, state, &out);
        CHECK(span_equal(buf_span(&out), data));
        buf_fini(&out);
    }
    buf_init(&out, GOOD_BYTES + TAIL_BYTES);
    buf_put(&out, span_cut(buf_span(&good), 0, JOURNAL_HEADER_BYTES));
    buf_put(&out, span_cut(data, 0, TAIL_BYTES));
    CHECK(read_segment(buf_span(&out), &size) != ERR_OK);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (good.max == 0) {
        set_up();
    }
    if (size == 0) {
        return 0;
    }
    if (data[0] % 2 == 0) {
        read_raw(span_make(data + 1, size - 1));
    } else {
        read_damaged(span_make(data + 1, size - 1));
    }
    return 0;
}
