/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading goes in pieces of half a group's limit, into a buffer that holds a group and a piece, so
 * a group is always looked at in one span:
 *
 *   segment   |.... groups given out ....|  whole group  | part of the next |  not read yet  |
 *                                        ^ at            held in `bytes`    ^ at + held
 */
#include "journal/journal_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "journal/journal_segment.h"

#define PIECE_BYTES  (JOURNAL_GROUP_MAX / 2)
#define SECTOR_BYTES 512

struct journal_reader {
    int folder_fd, fd;
    size_t opened;
    struct journal_header header;     /* of the open segment */
    uint8_t head[JOURNAL_HASH_BYTES]; /* leaf hash of the record before the next */
    uint64_t newest; /* first sequence of the last segment that was there at opening */
    uint64_t first;  /* of the open segment */
    uint64_t next;   /* sequence of the next record */
    uint64_t at;     /* offset in the segment of what `bytes` holds */
    uint64_t tail;
    uint64_t wanted; /* groups that end before it are passed over */
    struct buf bytes;
    size_t given; /* of `bytes`, to be dropped at the next call */
};

/* Whether a segment of header `h` goes on where the open one ended. */
static bool goes_on(const struct journal_reader *r, const struct journal_header *h)
{
    return r->fd < 0 || (memcmp(h->origin, r->header.origin, sizeof(h->origin)) == 0 &&
                         memcmp(h->head, r->head, sizeof(h->head)) == 0);
}

static enum err open_segment(struct journal_reader *r, uint64_t first)
{
    int fd;
    struct journal_header header;
    enum err e = journal_segment_look(r->folder_fd, first, &header, &fd);
    if (e == ERR_OK || e == ERR_JOURNAL_BROKEN || e == ERR_JOURNAL_OLD) {
        r->first = r->next = first;
        r->at = r->given = 0;
    }
    if (e != ERR_OK) {
        return e;
    }
    if (!goes_on(r, &header)) {
        (void)close(fd);
        r->first = first;
        r->at = r->given = 0;
        return ERR_JOURNAL_OTHER;
    }
    if (r->fd >= 0) {
        (void)close(r->fd);
    }
    r->fd = fd;
    r->header = header;
    memcpy(r->head, header.head, sizeof(r->head));
    r->opened++;
    r->at = JOURNAL_HEADER_BYTES;
    buf_clear(&r->bytes);
    return ERR_OK;
}

/* Reads up to `most` bytes more; `*got` 0 at the end of the file. */
static enum err read_more(struct journal_reader *r, size_t most, size_t *got)
{
    uint8_t *to = buf_reserve(&r->bytes, most);
    if (to == NULL) {
        return ERR_NO_MEMORY;
    }
    ssize_t count = pread(r->fd, to, most, (off_t)(r->at + buf_span(&r->bytes).len));
    if (count < 0) {
        return ERR_DISK;
    }
    buf_added(&r->bytes, (size_t)count);
    *got = (size_t)count;
    return ERR_OK;
}

/* Makes the buffer hold what the segment has from `from` to before `to`, a group at most. */
static enum err load(struct journal_reader *r, uint64_t from, uint64_t to)
{
    size_t got = 1;
    enum err e = ERR_OK;
    buf_clear(&r->bytes);
    r->at = from;
    while (e == ERR_OK && got > 0 && from + buf_span(&r->bytes).len < to) {
        e = read_more(r, (size_t)(to - from) - buf_span(&r->bytes).len, &got);
    }
    return e;
}

/* Whether a sector of `group`, which lies at r->at, reads as zeros from offset `good` on. */
static bool has_zero_sector(const struct journal_reader *r, struct span group, size_t good)
{
    uint64_t sector = (r->at + good) / SECTOR_BYTES * SECTOR_BYTES;
    for (; sector < r->at + group.len; sector += SECTOR_BYTES) {
        size_t from = sector < r->at ? 0 : (size_t)(sector - r->at);
        size_t to = (size_t)(sector + SECTOR_BYTES - r->at);
        struct span piece = span_cut(group, from, to - from);
        size_t zeros = 0;
        while (zeros < piece.len && piece.at[zeros] == 0) {
            zeros++;
        }
        if (zeros == piece.len) {
            return true;
        }
    }
    return false;
}

/*
 * The group at `start` is not whole: its first `good` bytes are frames, and the segment ends at
 * `size`. Damage, if a commit frame follows; else the tail.
 */
static enum err judge(struct journal_reader *r, uint64_t start, size_t good, uint64_t size)
{
    bool found = false;
    size_t at = 0;
    size_t end = 0;
    size_t group_bytes = 0;
    enum err e = ERR_OK;
    for (uint64_t from = start + good; e == ERR_OK && !found && from < size;
         from += PIECE_BYTES - JOURNAL_COMMIT_FRAME_MAX) {
        uint64_t to = size - from < PIECE_BYTES ? size : from + PIECE_BYTES;
        e = load(r, from, to);
        found = e == ERR_OK && journal_commit_find(buf_span(&r->bytes), &at, &end, &group_bytes);
    }
    if (e != ERR_OK) {
        return e;
    }
    bool torn = !found;
    if (found && r->at + end == size && r->at + at == start + group_bytes &&
        group_bytes <= JOURNAL_GROUP_MAX) {
        e = load(r, start, start + group_bytes);
        torn = e == ERR_OK && has_zero_sector(r, buf_span(&r->bytes), good);
    }
    buf_clear(&r->bytes);
    r->at = torn ? start : start + good;
    r->tail = size - start;
    return e != ERR_OK ? e : torn ? ERR_NOT_FOUND_ROW : ERR_JOURNAL_BROKEN;
}

/* The next group of the open segment. */
static enum err next_here(struct journal_reader *r, struct journal_group *group)
{
    buf_consume(&r->bytes, r->given);
    r->at += r->given;
    r->given = 0;
    r->tail = 0;
    for (;;) {
        size_t got;
        struct span held = buf_span(&r->bytes);
        enum journal_group_found found = journal_group_parse(held, group);
        if (found == JOURNAL_GROUP_WHOLE) {
            r->given = group->size;
            return ERR_OK;
        }
        struct stat info;
        if (found == JOURNAL_GROUP_BAD) {
            return fstat(r->fd, &info) == 0 ? judge(r, r->at, group->size, (uint64_t)info.st_size)
                                            : ERR_DISK;
        }
        enum err e = read_more(r, PIECE_BYTES, &got);
        if (e != ERR_OK) {
            return e;
        }
        if (got == 0) {
            return held.len == 0 ? ERR_NOT_FOUND_ROW
                                 : judge(r, r->at, group->size, r->at + held.len);
        }
    }
}

/* The next group of this segment or the one after it. */
static enum err next_anywhere(struct journal_reader *r, struct journal_group *group)
{
    enum err e = next_here(r, group);
    if (e != ERR_NOT_FOUND_ROW || r->next == r->first) {
        return e;
    }
    /* A segment is begun only after the one before it is complete. */
    uint64_t place = r->at;
    uint64_t done = r->first;
    bool complete = r->tail == 0;
    e = open_segment(r, r->next);
    if (e == ERR_OK && complete) {
        return next_here(r, group);
    }
    if (e == ERR_OK || (e == ERR_NOT_FOUND_ROW && done < r->newest)) {
        r->first = done;
        r->at = place;
        return ERR_JOURNAL_BROKEN;
    }
    return e;
}

enum err journal_reader_next(struct journal_reader *r, struct journal_group *group, uint64_t *first)
{
    for (;;) {
        enum err e = next_anywhere(r, group);
        if (e != ERR_OK) {
            return e;
        }
        uint64_t next = r->next + group->commit.records;
        if (group->commit.last_sequence != next - 1) {
            r->given = 0;
            return ERR_JOURNAL_BROKEN;
        }
        *first = r->next;
        r->next = next;
        memcpy(r->head, group->commit.head, sizeof(r->head));
        if (next > r->wanted || (group->commit.records == 0 && next == r->wanted)) {
            return ERR_OK;
        }
    }
}

/* The segment that `sequence` is in: the last one that begins at or before it. */
static enum err open_at(struct journal_reader *r, uint64_t sequence)
{
    uint64_t *firsts;
    size_t count;
    enum err e = journal_segment_list(r->folder_fd, &firsts, &count);
    if (e != ERR_OK) {
        return e;
    }
    size_t at = 0;
    while (at + 1 < count && firsts[at + 1] <= sequence) {
        at++;
    }
    e = count == 0 || (firsts[at] > sequence && sequence > 1) ? ERR_NOT_FOUND_ROW : ERR_OK;
    if (e == ERR_OK) {
        r->newest = firsts[count - 1];
        e = open_segment(r, firsts[at]);
    }
    memory_free(firsts);
    return e;
}

enum err journal_reader_open(const char *folder, uint64_t sequence, struct journal_place *where,
                             struct journal_reader **out)
{
    struct journal_reader *r = memory_new(sizeof(*r));
    if (r == NULL) {
        return ERR_NO_MEMORY;
    }
    r->fd = -1;
    buf_init(&r->bytes, JOURNAL_GROUP_MAX + JOURNAL_COMMIT_FRAME_MAX + 2 * PIECE_BYTES);
    r->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err e = r->folder_fd < 0 ? ERR_FILE : open_at(r, sequence);
    if (e == ERR_OK) {
        r->wanted = sequence;
        *out = r;
        return ERR_OK;
    }
    *where = journal_reader_place(r);
    journal_reader_close(&r);
    return e;
}

struct journal_place journal_reader_place(const struct journal_reader *r)
{
    struct journal_place place = {.offset = r->at + r->given};
    journal_segment_name(r->first, place.file);
    return place;
}

uint64_t journal_reader_tail(const struct journal_reader *r)
{
    return r->tail;
}

const struct journal_header *journal_reader_header(const struct journal_reader *r)
{
    return &r->header;
}

size_t journal_reader_segments(const struct journal_reader *r)
{
    return r->opened;
}

void journal_reader_close(struct journal_reader **r)
{
    if (*r == NULL) {
        return;
    }
    if ((*r)->fd >= 0) {
        (void)close((*r)->fd);
    }
    if ((*r)->folder_fd >= 0) {
        (void)close((*r)->folder_fd);
    }
    buf_fini(&(*r)->bytes);
    memory_free(*r);
    *r = NULL;
}
