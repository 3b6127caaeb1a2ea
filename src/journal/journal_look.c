/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a journal is whole, and the one that the store has seen: asked by a start before it
 * changes anything, and by commands that only look. */
#include "journal/journal_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "journal/journal_reader.h"

/* Reads the last commit of a segment that is complete: that of the record before `next`. `*size` is
 * where it ends. */
static enum err look_at_end(int fd, uint64_t next, struct journal_commit *last, uint64_t *size)
{
    uint8_t bytes[JOURNAL_COMMIT_FRAME_MAX];
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return ERR_DISK;
    }
    *size = (uint64_t)info.st_size;
    uint64_t from = *size > sizeof(bytes) ? *size - sizeof(bytes) : 0;
    ssize_t got = pread(fd, bytes, sizeof(bytes), (off_t)from);
    if (got < 0) {
        return ERR_DISK;
    }
    return journal_commit_at_end(span_make(bytes, (size_t)got), last) &&
                   last->last_sequence + 1 == next
               ? ERR_OK
               : ERR_JOURNAL_BROKEN;
}

/* Whether a segment of header `h` may follow the commit `before`, in the journal of `origin`. */
static enum err follows(const struct journal_header *h, const struct journal_commit *before,
                        const char *origin, struct journal_report *report)
{
    bool is_same = memcmp(h->origin, origin, JOURNAL_ORIGIN_CHARS) == 0 &&
                   memcmp(h->head, before->head, JOURNAL_HASH_BYTES) == 0;
    report->flaw = is_same ? JOURNAL_FLAWLESS : JOURNAL_MIXED;
    return is_same ? ERR_OK : ERR_JOURNAL_OTHER;
}

/* Something is damaged or missing, as `e` says: perhaps a segment was given another's name. */
static enum err look_at_names(int folder_fd, const uint64_t *firsts, size_t count, enum err e,
                              struct journal_report *report)
{
    for (size_t i = 0; i < count; i++) {
        int fd;
        struct journal_header header = {0};
        enum err found = journal_segment_look(folder_fd, firsts[i], &header, &fd);
        if (found == ERR_OK) {
            (void)close(fd); /* only read from */
        }
        if (found == ERR_JOURNAL_BROKEN && header.first_sequence != 0 &&
            header.first_sequence != firsts[i]) {
            journal_segment_name(firsts[i], report->place.file);
            report->place.offset = 0;
            report->flaw = JOURNAL_RENAMED;
            return ERR_JOURNAL_OTHER;
        }
    }
    return e;
}

enum err journal_look_at_all(int folder_fd, const uint64_t *firsts, size_t count,
                             struct journal_report *report)
{
    struct journal_commit *last = memory_new(sizeof(*last)); /* before the first: all zero */
    enum err e = last == NULL ? ERR_NO_MEMORY : ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < count; i++) {
        int fd;
        uint64_t size = 0;
        struct journal_header header;
        journal_segment_name(firsts[i], report->place.file);
        report->place.offset = 0;
        e = journal_segment_look(folder_fd, firsts[i], &header, &fd);
        if (e != ERR_OK) {
            break;
        }
        if (i == 0) {
            memcpy(report->origin, header.origin, sizeof(header.origin));
        }
        if (i == 0 && firsts[0] != 1) {
            report->flaw = JOURNAL_HEADLESS;
            e = ERR_JOURNAL_OTHER;
        } else {
            e = follows(&header, last, report->origin, report);
        }
        if (e == ERR_OK && i + 1 < count) {
            e = look_at_end(fd, firsts[i + 1], last, &size);
            report->place.offset = size;
        }
        (void)close(fd);
    }
    if (e == ERR_OK) {
        report->place = (struct journal_place){0};
    } else if (e == ERR_JOURNAL_BROKEN || report->flaw == JOURNAL_HEADLESS) {
        e = look_at_names(folder_fd, firsts, count, e, report);
    }
    memory_free(last);
    return e;
}

/* Reads the newest segment to its last commit; `size` is the last group's. */
static enum err read_newest(const char *folder, uint64_t first, struct journal_report *report,
                            struct journal_commit *last, size_t *size)
{
    struct journal_reader *r;
    struct journal_group group;
    uint64_t sequence;
    enum err e = journal_reader_open(folder, first, &report->place, &r);
    if (e != ERR_OK) {
        return e;
    }
    *size = 0;
    while ((e = journal_reader_next(r, &group, &sequence)) == ERR_OK) {
        *last = group.commit;
        *size = group.size;
    }
    report->place = journal_reader_place(r);
    report->torn_bytes = e == ERR_NOT_FOUND_ROW ? journal_reader_tail(r) : 0;
    journal_reader_close(&r);
    if (e == ERR_NOT_FOUND_ROW) {
        e = *size > 0 ? ERR_OK : ERR_JOURNAL_BROKEN; /* it was born with a group */
    }
    return e;
}

/* Reads the leaf hash of record `sequence`, which is there. */
static enum err read_leaf(const char *folder, uint64_t sequence, struct journal_place *place,
                          uint8_t leaf[JOURNAL_HASH_BYTES])
{
    struct journal_reader *r = NULL;
    struct span line;
    uint64_t first;
    struct journal_group *group = memory_new(sizeof(*group));
    enum err e = group == NULL ? ERR_NO_MEMORY : journal_reader_open(folder, sequence, place, &r);
    for (bool found = false; e == ERR_OK && !found;) { /* a segment's first group is empty */
        e = journal_reader_next(r, group, &first);
        for (; e == ERR_OK && journal_frame_next(&group->frames, &line); first++) {
            if (first == sequence) {
                journal_leaf(line, leaf);
                found = true;
            }
        }
    }
    if (r != NULL) {
        *place = journal_reader_place(r);
    }
    journal_reader_close(&r);
    memory_free(group);
    return e == ERR_NOT_FOUND_ROW ? ERR_JOURNAL_BROKEN : e; /* it was there */
}

/* Whether the last record that was seen is in the journal, which ends with `last`. */
static enum err compare_end(const char *folder, const struct journal_commit *last,
                            const struct journal_seen *seen, struct journal_report *report)
{
    uint8_t leaf[JOURNAL_HASH_BYTES];
    struct journal_place place = {0};
    if (last->last_sequence < seen->sequence) {
        report->flaw = JOURNAL_SHORT;
        return ERR_JOURNAL_BROKEN; /* what looks like a torn tail may be all that is left */
    }
    if (seen->origin[0] == '\0' || seen->sequence == 0) {
        return ERR_OK;
    }
    memcpy(leaf, last->head, sizeof(leaf));
    if (last->last_sequence != seen->sequence) {
        enum err e = read_leaf(folder, seen->sequence, &place, leaf);
        if (e != ERR_OK) {
            report->place = place;
            return e;
        }
    }
    report->flaw = memcmp(leaf, seen->head, sizeof(leaf)) == 0 ? JOURNAL_FLAWLESS : JOURNAL_FORKED;
    return report->flaw == JOURNAL_FLAWLESS ? ERR_OK : ERR_JOURNAL_OTHER;
}

enum err journal_look_at_newest(const char *folder, uint64_t first, const struct journal_seen *seen,
                                struct journal_report *report, struct journal_commit *last,
                                size_t *size)
{
    if (seen->origin[0] != '\0' &&
        memcmp(report->origin, seen->origin, JOURNAL_ORIGIN_CHARS) != 0) {
        report->flaw = JOURNAL_FOREIGN;
        return ERR_JOURNAL_OTHER;
    }
    enum err e = read_newest(folder, first, report, last, size);
    if (e == ERR_OK) {
        report->last_sequence = last->last_sequence;
        e = compare_end(folder, last, seen, report);
    }
    return e;
}

enum err journal_look_at_none(const struct journal_seen *seen, struct journal_report *report)
{
    if (seen->sequence > 0 || seen->origin[0] != '\0') {
        report->flaw = JOURNAL_SHORT;
        return ERR_JOURNAL_BROKEN;
    }
    return ERR_OK;
}

enum err journal_look(const char *folder, const struct journal_seen *seen,
                      struct journal_report *report)
{
    uint64_t *firsts = NULL;
    size_t count = 0, size;
    *report = (struct journal_report){0};
    struct journal_commit *last = memory_new(sizeof(*last));
    int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err e = last == NULL ? ERR_NO_MEMORY : ERR_OK;
    if (e == ERR_OK && folder_fd < 0) {
        e = errno == ENOENT ? journal_look_at_none(seen, report) : ERR_FILE;
    } else if (e == ERR_OK) {
        e = journal_segment_list(folder_fd, &firsts, &count);
        e = e == ERR_OK ? journal_look_at_all(folder_fd, firsts, count, report) : e;
        e = e == ERR_OK && count == 0 ? journal_look_at_none(seen, report) : e;
    }
    if (e == ERR_OK && count > 0) {
        e = journal_look_at_newest(folder, firsts[count - 1], seen, report, last, &size);
    }
    if (folder_fd >= 0) {
        (void)close(folder_fd); /* only read from */
    }
    memory_free(firsts);
    memory_free(last);
    return e;
}
