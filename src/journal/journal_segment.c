/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment is born whole: header and an empty group under another name, on the disk, then renamed.
 * So a segment without a good header is damaged, never young, and the last commit, which says what
 * is in the journal, is always in the newest segment.
 *
 * Disk space is taken a megabyte ahead of the writing: a full disk is then found before a byte of a
 * group is written, and never by fdatasync(), whose failure nobody can undo.
 */
#include "journal/journal_segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "crypto/random.h"
#include "journal/journal_internal.h"

#define YOUNG_NAME  "next.tmp"
#define AHEAD_BYTES (1024 * 1024)

struct journal_segment {
    int folder_fd, fd;
    int young_fd;           /* of what will be the next one, opened ahead; -1: not yet */
    uint64_t first;         /* sequence */
    uint64_t end;           /* offset behind the last group */
    uint64_t allocated;     /* disk space taken up to this offset */
    uint64_t segment_bytes; /* where the next one is begun */
    char origin[JOURNAL_ORIGIN_CHARS];
    struct journal_commit last;
};

void journal_segment_name(uint64_t first_sequence, char out[JOURNAL_SEGMENT_NAME_BYTES])
{
    (void)snprintf(out, JOURNAL_SEGMENT_NAME_BYTES, "%016llx.seg",
                   (unsigned long long)first_sequence); /* fits: 20 characters */
}

/* The first sequence that a file's name tells; false if it is no segment. */
static bool name_parse(const char *name, uint64_t *out)
{
    char expected[JOURNAL_SEGMENT_NAME_BYTES];
    char *end;
    if (strlen(name) != 20) {
        return false;
    }
    *out = strtoull(name, &end, 16);
    journal_segment_name(*out, expected);
    return strcmp(name, expected) == 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static enum err add(uint64_t **list, size_t *count, uint64_t first)
{
    if ((*count & (*count - 1)) == 0) { /* room is a power of two */
        uint64_t *grown = memory_resize(*list, (*count == 0 ? 1 : *count * 2) * sizeof(**list));
        if (grown == NULL) {
            return ERR_NO_MEMORY;
        }
        *list = grown;
    }
    (*list)[(*count)++] = first;
    return ERR_OK;
}

DIR *journal_folder_read(int folder_fd)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL && fd >= 0) {
        (void)close(fd); /* nothing was written to it */
    }
    return folder;
}

enum err journal_segment_list(int folder_fd, uint64_t **out, size_t *count)
{
    uint64_t *list = NULL;
    size_t found = 0;
    DIR *folder = journal_folder_read(folder_fd);
    if (folder == NULL) {
        return ERR_DISK;
    }
    enum err e = ERR_OK;
    for (struct dirent *entry; e == ERR_OK && (entry = readdir(folder)) != NULL;) {
        uint64_t first;
        e = name_parse(entry->d_name, &first) ? add(&list, &found, first) : ERR_OK;
    }
    (void)closedir(folder);
    if (e != ERR_OK) {
        memory_free(list);
        return e;
    }
    if (found > 0) {
        qsort(list, found, sizeof(*list), compare);
    }
    *out = list;
    *count = found;
    return ERR_OK;
}

/* Reads `size` bytes at `offset`, or to the end of the file; the count, or -1. */
static ssize_t read_all(int fd, uint8_t *to, size_t size, uint64_t offset)
{
    size_t held = 0;
    while (held < size) {
        ssize_t got = pread(fd, to + held, size - held, (off_t)(offset + held));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -1 : (ssize_t)held;
        }
        held += (size_t)got;
    }
    return (ssize_t)held;
}

/* Of a file that is there: who may not open it is told so. */
static enum err open_error(int number)
{
    return number == EACCES || number == EPERM || number == EROFS ? ERR_FILE
                                                                  : journal_disk_error(number);
}

enum err journal_segment_look(int folder_fd, uint64_t first_sequence, struct journal_header *header,
                              int *out_fd)
{
    char name[JOURNAL_SEGMENT_NAME_BYTES];
    uint8_t bytes[JOURNAL_HEADER_BYTES];
    journal_segment_name(first_sequence, name);
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? ERR_NOT_FOUND_ROW : open_error(errno);
    }
    ssize_t got = read_all(fd, bytes, sizeof(bytes), 0);
    enum err e = got < 0 ? ERR_DISK : journal_header_parse(span_make(bytes, (size_t)got), header);
    if (e == ERR_OK && header->first_sequence != first_sequence) {
        e = ERR_JOURNAL_BROKEN;
    }
    if (e != ERR_OK) {
        (void)close(fd);
        return e;
    }
    *out_fd = fd;
    return ERR_OK;
}

/* ---- writing ---- */

/* Writes all of `bytes` at `offset`. */
static enum err write_all(int fd, struct span bytes, uint64_t offset)
{
    while (bytes.len > 0) {
        ssize_t done = pwrite(fd, bytes.at, bytes.len, (off_t)offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return done == 0 ? ERR_DISK : journal_disk_error(errno);
        }
        bytes = span_cut(bytes, (size_t)done, bytes.len);
        offset += (uint64_t)done;
    }
    return ERR_OK;
}

/*
 * Opens what will be the next segment. Ahead, so that clients who take the last descriptor
 * meanwhile do not stop the journal; where it cannot be done now, it is tried again when it is
 * needed.
 */
static enum err open_young(struct journal_segment *s)
{
    if (s->young_fd < 0) {
        (void)unlinkat(s->folder_fd, YOUNG_NAME,
                       0); /* it held nothing, and may be another user's */
        s->young_fd = openat(s->folder_fd, YOUNG_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    return s->young_fd < 0 ? journal_disk_error(errno) : ERR_OK;
}

/* Begins a segment and makes it the open one; the old one stays open on failure. */
static enum err begin(struct journal_segment *s)
{
    char name[JOURNAL_SEGMENT_NAME_BYTES];
    uint8_t header[JOURNAL_HEADER_BYTES];
    struct journal_commit empty = s->last;
    struct journal_header h = {.first_sequence = s->last.last_sequence + 1,
                               .made_ms = clock_wall().us / 1000};
    struct buf bytes;
    empty.records = 0;
    memcpy(h.origin, s->origin, sizeof(h.origin));
    memcpy(h.head, s->last.head, sizeof(h.head));
    journal_header_write(&h, header);
    buf_init(&bytes, JOURNAL_GROUP_MAX);
    buf_put(&bytes, span_make(header, sizeof(header)));
    journal_commit_write(&empty, 0, &bytes);
    journal_segment_name(s->last.last_sequence + 1, name);
    enum err e = buf_failed(&bytes) ? ERR_NO_MEMORY : ERR_OK;
    e = e == ERR_OK ? open_young(s) : e;
    int fd = s->young_fd;
    e = e == ERR_OK ? write_all(fd, buf_span(&bytes), 0) : e; /* again what an earlier try wrote */
    if (e == ERR_OK && fdatasync(fd) != 0) {
        e = journal_disk_error(errno);
    }
    if (e == ERR_OK &&
        (renameat(s->folder_fd, YOUNG_NAME, s->folder_fd, name) != 0 || fsync(s->folder_fd) != 0)) {
        e = journal_disk_error(errno);
        (void)close(fd); /* it may have its name already: another try makes another file */
        s->young_fd = -1;
    }
    if (e == ERR_OK) {
        if (s->fd >= 0) {
            (void)close(s->fd);
        }
        s->fd = fd;
        s->first = s->last.last_sequence + 1;
        s->end = s->allocated = buf_span(&bytes).len;
        s->young_fd = -1;
        (void)open_young(s); /* or later */
    }
    buf_fini(&bytes);
    return e;
}

/* Takes disk space for `size` bytes more, and some ahead. */
static enum err take_space(struct journal_segment *s, size_t size)
{
    if (s->end + size <= s->allocated) {
        return ERR_OK;
    }
    uint64_t more = size + AHEAD_BYTES;
    if (fallocate(s->fd, FALLOC_FL_KEEP_SIZE, (off_t)s->end, (off_t)more) != 0) {
        enum err e = journal_disk_error(errno);
        return e == ERR_DISK_FULL ? e : ERR_OK; /* this file system cannot; the write will tell */
    }
    s->allocated = s->end + more;
    return ERR_OK;
}

static void keep_last(struct journal_segment *s, const struct journal_commit *c)
{
    s->last.records = c->records;
    s->last.last_sequence = c->last_sequence;
    memcpy(s->last.head, c->head, sizeof(c->head));
    s->last.lanes = c->lanes;
    memcpy(s->last.lane, c->lane, c->lanes * sizeof(c->lane[0]));
}

enum err journal_segment_append(struct journal_segment *s, struct buf *group,
                                const struct journal_commit *c)
{
    struct span frames = buf_span(group);
    if (c->records == 0) {
        return ERR_OK;
    }
    size_t frames_len = group->len;
    journal_commit_write(c, frames.len, group);
    if (buf_failed(group)) {
        return ERR_NO_MEMORY;
    }
    struct span all = buf_span(group);
    group->len = frames_len; /* as it was; the commit frame's bytes are still behind it */
    enum err e = ERR_OK;
    if (s->end + all.len > s->segment_bytes && s->last.last_sequence >= s->first) {
        e = begin(s);
    }
    e = e == ERR_OK ? take_space(s, all.len) : e;
    if (e != ERR_OK) {
        return e;
    }
    e = write_all(s->fd, all, s->end);
    if (e == ERR_DISK_FULL) {
        s->allocated = s->end;
        return ftruncate(s->fd, (off_t)s->end) == 0 ? ERR_DISK_FULL : ERR_DISK;
    }
    if (e != ERR_OK || fdatasync(s->fd) != 0) {
        return ERR_DISK;
    }
    s->end += all.len;
    keep_last(s, c);
    return ERR_OK;
}

/* ---- opening ---- */

/*
 * Writes the last group again, as it is. Where its fdatasync() failed we read it from memory that
 * the kernel believes to be clean; only a new write and sync say whether the disk has it.
 */
static enum err renew(const struct journal_segment *s, size_t size)
{
    uint8_t *bytes = memory_raw(size);
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = ERR_DISK;
    if (read_all(s->fd, bytes, size, s->end - size) == (ssize_t)size) {
        e = write_all(s->fd, span_make(bytes, size), s->end - size);
    }
    memory_free(bytes);
    return e;
}

static enum err open_newest(struct journal_segment *s, const char *folder, uint64_t first,
                            const struct journal_seen *seen, struct journal_report *report)
{
    size_t size;
    enum err e = journal_look_at_newest(folder, first, seen, report, &s->last, &size);
    if (e != ERR_OK) {
        return e;
    }
    s->fd = openat(s->folder_fd, report->place.file, O_RDWR | O_CLOEXEC);
    s->first = first;
    s->end = s->allocated = report->place.offset;
    if (s->fd < 0) {
        return open_error(errno);
    }
    /* Also where nothing is torn: it gives back what was allocated ahead. */
    if (ftruncate(s->fd, (off_t)s->end) != 0) {
        return ERR_DISK;
    }
    e = renew(s, size);
    return e == ERR_OK && fdatasync(s->fd) != 0 ? ERR_DISK : e;
}

const struct journal_commit *journal_segment_last(const struct journal_segment *s)
{
    return &s->last;
}

/* Begins a journal, in an empty folder. */
static enum err begin_all(struct journal_segment *s, const struct journal_seen *seen,
                          struct journal_report *report)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t name[JOURNAL_ORIGIN_CHARS];
    enum err e = journal_look_at_none(seen, report);
    if (e != ERR_OK) {
        return e;
    }
    crypto_random(name, sizeof(name));
    for (size_t i = 0; i < sizeof(name); i++) {
        s->origin[i] = report->origin[i] = digits[name[i] % 16];
    }
    return begin(s);
}

/* Goes on with one. */
static enum err go_on(struct journal_segment *s, const char *folder, uint64_t newest,
                      const struct journal_seen *seen, struct journal_report *report)
{
    memcpy(s->origin, report->origin, sizeof(s->origin));
    enum err e = open_newest(s, folder, newest, seen, report);
    if (e == ERR_OK && fsync(s->folder_fd) != 0) {
        e = ERR_DISK; /* who gave the segment its name may have died before this */
    }
    if (e == ERR_OK) {
        (void)open_young(s); /* or later */
    }
    return e;
}

enum err journal_segment_open(const char *folder, int folder_fd, int64_t segment_bytes,
                              const struct journal_seen *seen, struct journal_report *report,
                              struct journal_segment **out)
{
    uint64_t *firsts = NULL;
    size_t count = 0;
    struct journal_segment *s = memory_new(sizeof(*s));
    if (s == NULL) {
        return ERR_NO_MEMORY;
    }
    s->folder_fd = folder_fd;
    s->fd = s->young_fd = -1;
    s->segment_bytes = (uint64_t)segment_bytes;
    enum err e = journal_segment_list(folder_fd, &firsts, &count);
    e = e == ERR_OK ? journal_look_at_all(folder_fd, firsts, count, report) : e;
    if (e == ERR_OK) {
        e = count == 0 ? begin_all(s, seen, report)
                       : go_on(s, folder, firsts[count - 1], seen, report);
    }
    memory_free(firsts);
    if (e != ERR_OK) {
        journal_segment_close(&s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

void journal_segment_reload(struct journal_segment *s, int64_t segment_bytes)
{
    s->segment_bytes = (uint64_t)segment_bytes;
}

void journal_segment_close(struct journal_segment **s)
{
    if (*s == NULL) {
        return;
    }
    if ((*s)->fd >= 0) {
        (void)close((*s)->fd);
    }
    if ((*s)->young_fd >= 0) {
        (void)close((*s)->young_fd); /* it holds nothing */
    }
    memory_free(*s);
    *s = NULL;
}
