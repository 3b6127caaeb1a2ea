/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a killed process left: slots that are READY, and ARMED ones whose calls died with it. The
 * kernel kept the mapped pages, so each holds what was last stored, unless the machine itself went
 * down: then pages may be of any age, the boot id in the file is not this one, and it is not read.
 *
 * Nothing enters twice, however often recovery itself is killed: a READY slot whose ticket the last
 * commit covers is passed over, and an ARMED one is first made READY, with a ticket, in the file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "journal/journal_internal.h"

struct left {
    uint64_t ticket;
    struct journal_slot *slot;
};

static int by_ticket(const void *a, const void *b)
{
    uint64_t x = ((const struct left *)a)->ticket;
    uint64_t y = ((const struct left *)b)->ticket;
    return (x > y) - (x < y);
}

static int by_call(const void *a, const void *b)
{
    return memcmp(((const struct left *)a)->slot->record.call_id,
                  ((const struct left *)b)->slot->record.call_id, JOURNAL_ID_BYTES);
}

/* What a dead process left in its file, in the layout that this program makes. */
struct left_lane {
    struct journal_lane_file *file;
    size_t slot_bytes;
    uint32_t touched;
};

/* The mark of lane `id` in the commit that is being made; NULL: there is no room for one more. */
static struct journal_lane_mark *mark_of(struct journal_commit *c, uint64_t id)
{
    for (size_t i = 0; i < c->lanes; i++) {
        if (c->lane[i].id == id) {
            return &c->lane[i];
        }
    }
    if (c->lanes == JOURNAL_LANES_MAX) {
        return NULL;
    }
    c->lane[c->lanes] = (struct journal_lane_mark){.id = id};
    return &c->lane[c->lanes++];
}

static void interrupt(struct journal_slot *slot, uint64_t ticket)
{
    struct journal_record *r = &slot->record;
    r->outcome = JOURNAL_OUTCOME_INTERRUPTED;
    r->ended_ms = clock_wall().us / 1000;
    bool was_sent = r->kind == JOURNAL_TRY_END ? r->sent != 0 : r->attempts_sent > 0;
    if (!was_sent) { /* it waited for the disk: nobody has used what is held for it */
        r->tokens_in = r->tokens_out = 0;
        r->tokens_in_estimated = r->tokens_out_estimated = 0;
    } else if (journal_record_text(r, JOURNAL_TEXT_BUDGETS).len > 0 &&
               r->tokens_in + r->tokens_out < r->tokens_reserved) {
        r->tokens_out = r->tokens_reserved - r->tokens_in; /* as money: all that was held */
        r->tokens_out_estimated = 1;
    }
    int64_t used = r->cost_nano > r->reserved_nano ? r->cost_nano : r->reserved_nano;
    r->cost_nano = was_sent ? used : 0; /* nobody knows how much of it was used */
    if (r->status == 0) {               /* it died while it noted that the answer had begun */
        r->bytes_out = 0;
    }
    journal_record_set(r, JOURNAL_TEXT_ERROR, span_of(err_name(ERR_INTERRUPTED)));
    slot->ticket = ticket;
    atomic_store(&slot->state, JOURNAL_READY);
}

/* The completion of the same call, whose records `left` begins with, or, if there is none, a later
 * try's end; NULL: neither. */
static struct journal_record *find_heir(const struct left *left, size_t count,
                                        const struct journal_record *end)
{
    struct journal_record *heir = NULL;
    for (size_t i = 0; i < count && by_call(&left[i], left) == 0; i++) {
        struct journal_record *r = &left[i].slot->record;
        if (r->kind == JOURNAL_COMPLETION) {
            return r;
        }
        heir = r->kind == JOURNAL_TRY_END && r->attempt > end->attempt ? r : heir;
    }
    return heir;
}

/* A call whose try has an armed end has a completion in its lane, too; but where the process died
 * as that went from one try to another, it is made of the last try's end. */
static void complete(const struct left *left, size_t count, struct journal_record *end)
{
    struct journal_record *heir = find_heir(left, count, end);
    if (heir == NULL) {
        end->kind = JOURNAL_COMPLETION;
        end->attempts_sent = end->sent ? end->attempt : (uint8_t)(end->attempt - 1);
    } else if (heir->kind == JOURNAL_COMPLETION && heir->attempt < end->attempt) {
        heir->attempt = end->attempt; /* it died before it noted that there is one more */
    }
}

/* Gives those that are armed tickets behind `last`. There may be as many as a worker has calls. */
static void interrupt_armed(struct left *left, size_t count, uint64_t last)
{
    qsort(left, count, sizeof(*left), by_call);
    for (size_t i = 0, first = 0; i < count; i++) {
        first = by_call(&left[first], &left[i]) == 0 ? first : i;
        if (left[i].ticket == UINT64_MAX && left[i].slot->record.kind == JOURNAL_TRY_END) {
            complete(left + first, count - first, &left[i].slot->record);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (left[i].ticket == UINT64_MAX) {
            interrupt(left[i].slot, left[i].ticket = ++last);
        }
    }
}

/* Frees what was armed for an intent that the process did not come to publish: first of all, for
 * later there are tickets that look like that one. Returns how many are left. */
static size_t free_void(struct left *left, size_t count, uint64_t last)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (left[i].ticket == UINT64_MAX && left[i].slot->intent > last) {
            atomic_store(&left[i].slot->state, JOURNAL_FREE);
        } else {
            left[kept++] = left[i];
        }
    }
    return kept;
}

/* The slots to move, in the order of their tickets. */
static size_t gather(const struct left_lane *lane, uint64_t done, struct left *left,
                     struct journal_report *report)
{
    size_t count = 0;
    uint64_t last = done;
    for (size_t i = 0; i < lane->touched; i++) {
        struct journal_slot *slot = journal_slot_at(lane->file, i, lane->slot_bytes);
        uint32_t state = atomic_load(&slot->state);
        if (state != JOURNAL_READY && state != JOURNAL_ARMED) {
            continue;
        }
        struct span json = journal_slot_json(slot, lane->slot_bytes);
        journal_record_bound(&slot->record); /* as it would have been, had the process lived */
        if (!journal_record_is_valid(&slot->record, json)) {
            report->discarded++;
        } else if (state == JOURNAL_ARMED) {
            left[count++] = (struct left){.ticket = UINT64_MAX, .slot = slot};
        } else if (slot->ticket > done) {
            left[count++] = (struct left){.ticket = slot->ticket, .slot = slot};
            last = slot->ticket > last ? slot->ticket : last;
        }
    }
    count = free_void(left, count, last);
    if (count > 0) {
        interrupt_armed(left, count, last);
        qsort(left, count, sizeof(*left), by_ticket);
    }
    return count;
}

static enum err drain(struct journal_lane_file *file, struct journal_writer *w,
                      struct journal_report *report)
{
    struct journal_lane_mark *mark = mark_of(&w->commit, file->id);
    struct left_lane lane = {file, file->slot_bytes, atomic_load(&file->touched)};
    lane.touched = lane.touched < file->slots ? lane.touched : file->slots;
    struct left *left = memory_new_array((size_t)lane.touched + 1, sizeof(*left));
    if (left == NULL || mark == NULL) {
        memory_free(left);
        return ERR_NO_MEMORY;
    }
    size_t count = gather(&lane, mark->ticket, left, report);
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < count; i++) {
        struct journal_record *r = &left[i].slot->record;
        journal_writer_add(w, r, journal_slot_json(left[i].slot, lane.slot_bytes));
        mark->ticket = left[i].ticket;
        report->recovered++;
        report->interrupted += r->outcome == JOURNAL_OUTCOME_INTERRUPTED;
        if (journal_writer_is_full(w) || i + 1 == count) {
            e = journal_writer_commit(w);
            journal_writer_clear(w);
        }
    }
    memory_free(left);
    return e;
}

/* Whether the file is one of ours, whole, and of this life of the machine. */
static bool is_trusted(const struct journal_lane_file *file, size_t bytes, const char boot[40])
{
    return memcmp(file->magic, JOURNAL_LANE_MAGIC, sizeof(file->magic)) == 0 &&
           file->layout == JOURNAL_LANE_LAYOUT &&
           (file->slot_bytes == JOURNAL_SLOT_BYTES ||
            file->slot_bytes == JOURNAL_STATE_SLOT_BYTES) &&
           bytes == JOURNAL_LANE_PAGE + (size_t)file->slots * file->slot_bytes && boot[0] != '\0' &&
           memcmp(file->boot, boot, sizeof(file->boot)) == 0;
}

struct recovery {
    struct journal_writer *writer;
    struct journal_report *report;
    size_t kept; /* marks in the front whose lanes are there */
};

/* Reads the id of the lane in an open file: 0 where the file is too short to hold a lane. */
static enum err read_id(int fd, uint64_t *id)
{
    struct journal_lane_file head = {0};
    size_t held = 0;
    *id = 0;
    while (held < sizeof(head)) {
        ssize_t got = pread(fd, (char *)&head + held, sizeof(head) - held, (off_t)held);
        if (got < 0 && errno != EINTR) {
            return ERR_DISK;
        }
        if (got == 0) {
            return ERR_OK;
        }
        held += got > 0 ? (size_t)got : 0;
    }
    *id = head.id;
    return ERR_OK;
}

/* Keeps the mark of a lane that is there. Those of lanes that are gone are never asked for again,
 * and there is no room for the marks of all lanes that ever were. */
static enum err keep_mark(int folder_fd, const char *name, struct recovery *r)
{
    struct journal_commit *c = &r->writer->commit;
    uint64_t id;
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return ERR_DISK;
    }
    enum err e = read_id(fd, &id);
    (void)close(fd); /* only read from */
    for (size_t i = r->kept; e == ERR_OK && i < c->lanes; i++) {
        if (c->lane[i].id == id) {
            struct journal_lane_mark mark = c->lane[i];
            c->lane[i] = c->lane[r->kept];
            c->lane[r->kept++] = mark;
        }
    }
    return e;
}

static enum err remove_file(int folder_fd, const char *name, struct recovery *r)
{
    (void)r;
    return unlinkat(folder_fd, name, 0) == 0 ? ERR_OK : ERR_DISK;
}

static enum err recover_file(int folder_fd, const char *name, struct recovery *r)
{
    int fd = openat(folder_fd, name, O_RDWR | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return ERR_DISK;
    }
    char boot[40];
    enum err e = journal_boot(boot);
    size_t bytes = (size_t)info.st_size;
    if (e == ERR_OK && bytes >= JOURNAL_LANE_PAGE) {
        void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED) {
            e = ERR_NO_MEMORY;
        } else {
            e = is_trusted(at, bytes, boot) ? drain(at, r->writer, r->report) : ERR_OK;
            (void)munmap(at, bytes);
        }
    }
    (void)close(fd);
    return e;
}

static enum err each_lane(int folder_fd, struct recovery *r,
                          enum err (*visit)(int folder_fd, const char *name, struct recovery *r))
{
    DIR *folder = journal_folder_read(folder_fd);
    if (folder == NULL) {
        return ERR_DISK;
    }
    enum err e = ERR_OK;
    for (struct dirent *entry; e == ERR_OK && (entry = readdir(folder)) != NULL;) {
        if (span_starts(span_of(entry->d_name), SPAN("lane-"))) {
            e = visit(folder_fd, entry->d_name, r);
        }
    }
    (void)closedir(folder);
    return e;
}

enum err journal_recover(int folder_fd, struct journal_writer *w, struct journal_report *report)
{
    struct recovery r = {.writer = w, .report = report};
    enum err e = each_lane(folder_fd, &r, keep_mark);
    if (e == ERR_OK) {
        w->commit.lanes = r.kept;
        e = each_lane(folder_fd, &r, recover_file);
    }
    /* Only now: the commits of one lane also stand for the others' tickets. */
    return e == ERR_OK ? each_lane(folder_fd, &r, remove_file) : e;
}
