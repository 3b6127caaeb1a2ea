/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening makes whole what the last process left, in an order in which each step may be the last:
 * segments first, then what is in the lanes, and only then are these made anew.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "journal/journal_internal.h"

#define RESERVE_BYTES (1024 * 1024)

/* The folder's name is on the disk before anything in it is promised; each time, since whoever
 * made the folder may have died before this. */
static enum err sync_name(const char *parent)
{
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return ERR_FILE;
    }
    enum err e = fsync(fd) == 0 ? ERR_OK : journal_disk_error(errno);
    (void)close(fd); /* only read from */
    return e;
}

static enum err open_folder(struct journal *j, const char *folder, bool *is_new)
{
    struct buf path;
    buf_init(&path, 4096);
    buf_printf(&path, "%s/journal", folder);
    buf_put_byte(&path, '\0');
    j->folder = buf_failed(&path) ? NULL : memory_text((const char *)buf_span(&path).at);
    buf_fini(&path);
    if (j->folder == NULL) {
        return ERR_NO_MEMORY;
    }
    *is_new = mkdir(j->folder, 0700) == 0;
    if (!*is_new && errno != EEXIST) {
        return errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_FILE;
    }
    j->folder_fd = open(j->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return j->folder_fd < 0 ? ERR_FILE : sync_name(folder);
}

/* Takes away a folder that this opening has made: nothing was promised of what is in it. */
static void remove_folder(const struct journal *j)
{
    DIR *folder = journal_folder_read(j->folder_fd);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is this function's own
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        (void)unlinkat(j->folder_fd, entry->d_name, 0); /* "." and ".." stay */
    }
    if (folder != NULL) {
        (void)closedir(folder); /* only read from */
    }
    (void)rmdir(j->folder); /* what stays is an empty folder */
}

/* The file that is given up on a full disk so that the last records can be written. Without it all
 * works; they then stay in the lanes. */
static void make_reserve(struct journal *j)
{
    int fd = openat(j->folder_fd, JOURNAL_RESERVE_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        j->has_reserve = posix_fallocate(fd, 0, RESERVE_BYTES) == 0;
        (void)close(fd);
    }
}

static enum err record_one(struct journal *j, struct journal_record *r)
{
    journal_writer_add(&j->writer, r, SPAN(""));
    enum err e = journal_writer_commit(&j->writer);
    journal_writer_clear(&j->writer);
    return e;
}

/* Writes down that a torn tail was cut off. */
static enum err record_cut(struct journal *j, const struct journal_report *report)
{
    struct journal_record r = {
        .kind = JOURNAL_RECOVERY,
        .started_ms = clock_wall().us / 1000,
        .cut_offset = (int64_t)report->place.offset,
        .cut_bytes = (int64_t)report->torn_bytes,
    };
    char *end;
    r.cut_segment = (int64_t)strtoull(report->place.file, &end, 16);
    if (report->torn_bytes == 0) {
        return ERR_OK;
    }
    return record_one(j, &r);
}

/* The first record, which names the journal. */
static enum err record_origin(struct journal *j)
{
    struct journal_record r = {.kind = JOURNAL_ORIGIN, .started_ms = clock_wall().us / 1000};
    if (j->writer.commit.last_sequence > 0) {
        return ERR_OK;
    }
    journal_record_set(&r, JOURNAL_TEXT_ORIGIN, span_of(j->origin));
    journal_record_set(&r, JOURNAL_TEXT_PROGRAM, SPAN("atlas " ATLAS_VERSION));
    return record_one(j, &r);
}

/* Of the lane's file. */
static size_t plan_bytes(const struct journal_lane_plan *plan)
{
    return JOURNAL_LANE_PAGE + plan->slots * plan->slot_bytes;
}

/* How lane `lane` is made. */
static struct journal_lane_plan plan_of(struct journal *j, size_t lane, size_t workers,
                                        size_t slots)
{
    bool is_workers = lane < workers;
    return (struct journal_lane_plan){
        .slots = is_workers ? slots : JOURNAL_STATE_SLOTS,
        .slot_bytes = is_workers ? JOURNAL_SLOT_BYTES : JOURNAL_STATE_SLOT_BYTES,
        .bell = &j->bell,
    };
}

/* They found no room: says how much they want, and how much there is without them. */
static void report_room(struct journal *j, size_t workers, size_t slots,
                        struct journal_report *report)
{
    struct statvfs disk;
    for (size_t i = 0; i < j->lane_count; i++) {
        char name[16];
        journal_lane_name(i, name);
        (void)unlinkat(j->folder_fd, name, 0); /* it holds nothing; mapped until it is closed */
        journal_lane_close(&j->lanes[i]);
    }
    j->lane_count = 0;
    if (fstatvfs(j->folder_fd, &disk) == 0) {
        for (size_t i = 0; i < workers + JOURNAL_LANES_FURTHER; i++) {
            struct journal_lane_plan plan = plan_of(j, i, workers, slots);
            report->needed_bytes += plan_bytes(&plan);
        }
        report->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    }
}

static enum err open_lanes(struct journal *j, size_t workers, size_t slots,
                           struct journal_report *report)
{
    struct journal_commit *c = &j->writer.commit;
    size_t lanes = workers + JOURNAL_LANES_FURTHER;
    j->lanes = memory_new_array(lanes, sizeof(*j->lanes));
    if (j->lanes == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < lanes; i++) {
        char name[16];
        journal_lane_name(i, name);
        struct journal_lane_plan plan = plan_of(j, i, workers, slots);
        enum err e = journal_lane_open(j->folder_fd, name, &plan, &j->lanes[i]);
        if (e == ERR_DISK_FULL) {
            report_room(j, workers, slots, report);
        }
        if (e != ERR_OK) {
            return e;
        }
        j->lane_count = i + 1;
        c->lane[i] = (struct journal_lane_mark){.id = j->lanes[i].file->id};
    }
    c->lanes = lanes;
    return ERR_OK;
}

static enum err open_all(struct journal *j, const char *folder,
                         const struct journal_settings *settings, size_t workers,
                         const struct journal_seen *seen, struct journal_report *report)
{
    struct journal_writer *w = &j->writer;
    bool is_new = false;
    enum err e = open_folder(j, folder, &is_new);
    if (e == ERR_OK) {
        buf_init(&w->frames, JOURNAL_GROUP_MAX);
        e = buf_reserve(&w->frames, JOURNAL_GROUP_MAX) == NULL ? ERR_NO_MEMORY : ERR_OK;
    }
    if (e == ERR_OK) {
        e = journal_segment_open(j->folder, j->folder_fd, settings->segment_bytes, seen, report,
                                 &w->segment);
    }
    if (e == ERR_OK) {
        w->commit = *journal_segment_last(w->segment);
        w->commit.records = 0;
        memcpy(j->origin, report->origin, sizeof(j->origin));
        e = record_origin(j);
    }
    if (e == ERR_OK) {
        e = record_cut(j, report);
    }
    if (e == ERR_OK) {
        e = journal_recover(j->folder_fd, w, report);
    }
    if (e == ERR_OK) {
        e = open_lanes(j, workers, (size_t)settings->slots, report);
    }
    if (e == ERR_OK) {
        make_reserve(j);
        report->last_sequence = w->commit.last_sequence;
        atomic_store(&j->last, w->commit.last_sequence);
    } else if (is_new) {
        remove_folder(j);
    }
    return e;
}

const char *journal_flaw_sentence(enum journal_flaw flaw)
{
    switch (flaw) {
    case JOURNAL_FLAWLESS:
        break;
    case JOURNAL_SHORT:
        return "it ends before what the store has seen: segments were cut or lost, or atlas.db is "
               "another folder's, or a newer one; put back what is missing, or begin a new journal "
               "(docs/operating.md)";
    case JOURNAL_HEADLESS:
        return "its first segments are missing; put them back, for without them nobody can tell "
               "what it held";
    case JOURNAL_MIXED:
        return "this segment does not continue the one before it, or is of another journal; put "
               "back the one that belongs here";
    case JOURNAL_RENAMED:
        return "this segment was copied or renamed: its name tells another first record than it "
               "has; take the copy away, or give it its name back";
    case JOURNAL_FOREIGN:
        return "atlas.db was filled from another journal than this; put back the two that belong "
               "together, or move atlas.db away: usage and keys are then what this journal says";
    case JOURNAL_FORKED:
        return "atlas.db was filled from a copy of this journal that went on by itself, or this is "
               "that copy; put back the two that belong together, or move atlas.db away: usage and "
               "keys are then what this journal says";
    }
    return "";
}

enum err journal_open(const char *folder, const struct journal_settings *settings, size_t workers,
                      const struct journal_seen *seen, struct journal_report *report,
                      struct journal **out)
{
    CHECK(workers >= 1 && workers <= JOURNAL_WORKERS_MAX);
    *report = (struct journal_report){0};
    struct journal *j = memory_new(sizeof(*j));
    if (j == NULL) {
        return ERR_NO_MEMORY;
    }
    j->folder_fd = -1;
    journal_reload(j, settings);
    CHECK(sem_init(&j->bell.wake, 0, 0) == 0);
    CHECK(pthread_mutex_init(&j->lock, NULL) == 0 && pthread_cond_init(&j->ended, NULL) == 0);
    enum err e = open_all(j, folder, settings, workers, seen, report);
    if (e != ERR_OK) {
        journal_close(&j);
        return e;
    }
    *out = j;
    return ERR_OK;
}

void journal_close(struct journal **j)
{
    struct journal *ended = *j;
    if (ended == NULL) {
        return;
    }
    if (ended->started) {
        atomic_store(&ended->stopping, 1);
        journal_ring(&ended->bell, true);
        CHECK(pthread_join(ended->thread, NULL) == 0);
    }
    for (size_t i = 0; i < ended->lane_count; i++) {
        journal_lane_close(&ended->lanes[i]);
    }
    journal_segment_close(&ended->writer.segment);
    buf_fini(&ended->writer.frames);
    if (ended->folder_fd >= 0) {
        (void)close(ended->folder_fd);
    }
    (void)sem_destroy(&ended->bell.wake); /* nobody waits on these */
    (void)pthread_cond_destroy(&ended->ended);
    (void)pthread_mutex_destroy(&ended->lock);
    memory_free(ended->lanes);
    memory_free(ended->folder);
    memory_free(ended);
    *j = NULL;
}
