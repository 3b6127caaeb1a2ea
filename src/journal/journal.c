/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread:
 *
 *      ┌─→ collect ──→ write, wait for the disk ──→ tell, free ──→ doze ─┐
 *      │      │ nothing                                                  │
 *      │      └──→ sleep until a record is published ──→ doze ─────────→ ┤
 *      └─────────────────────────────────────────────────────────────────┘
 *
 * It dozes until the commit interval since the last collecting is over; journal_ring() says who may
 * end that early. The order at the end of a group matters: what waits for the disk goes on first;
 * listeners read the records in their slots; only then are these free.
 */
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/memory.h"
#include "journal/journal_internal.h"

#define LISTENERS_MAX 4
#define FULL_WAIT_MS  250
#define RESERVE_NAME  "reserve"
#define RESERVE_BYTES (1024 * 1024)

struct journal {
    char *folder;
    int folder_fd;
    _Atomic int64_t interval_ms;
    _Atomic int64_t segment_bytes;
    struct journal_bell bell;
    struct journal_lane *lanes;
    size_t lane_count;
    struct journal_listener listeners[LISTENERS_MAX];
    size_t listener_count;
    struct journal_writer writer;
    _Atomic uint64_t last; /* sequence that is on the disk */
    _Atomic uint32_t stopping;
    bool started;
    bool has_reserve;
    pthread_t thread;
    pthread_mutex_t lock; /* for `ended` */
    pthread_cond_t ended; /* a group, or all hope: for journal_settle() */
};

/* ---- groups ---- */

void journal_writer_add(struct journal_writer *w, struct journal_record *record)
{
    record->sequence = (int64_t)++w->commit.last_sequence;
    w->records[w->commit.records++] = record;
    journal_frame_write(record, &w->frames);
    CHECK(!buf_failed(&w->frames)); /* the memory was taken at opening */
}

bool journal_writer_is_full(const struct journal_writer *w)
{
    return w->commit.records == JOURNAL_GROUP_RECORDS || w->frames.len > JOURNAL_GROUP_FULL;
}

enum err journal_writer_commit(struct journal_writer *w)
{
    enum err e = journal_segment_append(w->segment, &w->frames, &w->commit);
    if (e == ERR_OK) {
        counter_add(COUNT_JOURNAL_RECORDS, w->commit.records);
        counter_add(COUNT_JOURNAL_COMMITS, 1);
    }
    return e;
}

void journal_writer_clear(struct journal_writer *w)
{
    w->commit.records = 0;
    buf_clear(&w->frames);
}

/* Tells the listeners of the group, which is on the disk but still held. */
static void tell(const struct journal *j)
{
    const struct journal_writer *w = &j->writer;
    for (size_t l = 0; l < j->listener_count; l++) {
        const struct journal_listener *listener = &j->listeners[l];
        struct span frames = buf_span(&w->frames);
        struct span line;
        for (size_t i = 0; journal_frame_next(&frames, &line); i++) {
            listener->on_record(listener->ctx, w->records[i], line);
        }
        if (listener->on_commit != NULL) {
            listener->on_commit(listener->ctx, w->commit.last_sequence);
        }
    }
}

/* ---- the thread ---- */

/* Takes what is published into the group; true if more is left than a group holds. */
static bool collect(struct journal *j)
{
    struct journal_writer *w = &j->writer;
    bool more = false;
    for (size_t i = 0; i < j->lane_count; i++) {
        struct journal_lane *lane = &j->lanes[i];
        uint64_t published = atomic_load(&lane->published);
        uint64_t ticket = w->commit.lane[i].ticket;
        while (ticket < published && !journal_writer_is_full(w)) {
            journal_writer_add(w, &journal_lane_slot(lane, ++ticket)->record);
        }
        w->commit.lane[i].ticket = ticket;
        atomic_store_explicit(&lane->collected, ticket, memory_order_relaxed);
        more |= ticket < published;
    }
    return more;
}

/* Waits until it is rung or `until` has come. A wake-up too many does no harm. */
static void wait_until(struct journal *j, mono_us until)
{
    struct timespec at = {.tv_sec = until.us / 1000000, .tv_nsec = until.us % 1000000 * 1000};
    while (sem_clockwait(&j->bell.wake, CLOCK_MONOTONIC, &at) != 0 && errno == EINTR) {
    }
    (void)atomic_exchange(&j->bell.mood, JOURNAL_BUSY);
}

static bool is_urgent(const struct journal *j)
{
    bool urgent = atomic_load(&j->stopping) != 0;
    for (size_t i = 0; i < j->lane_count; i++) {
        const struct journal_lane *lane = &j->lanes[i];
        uint64_t waiting = atomic_load(&lane->published) - j->writer.commit.lane[i].ticket;
        urgent |= waiting >= lane->hurry_at || (waiting > 0 && atomic_load(&lane->wanted) != 0);
    }
    return urgent;
}

static void doze(struct journal *j, mono_us until)
{
    atomic_store(&j->bell.mood, JOURNAL_DOZING);
    if (is_urgent(j)) {
        (void)atomic_exchange(&j->bell.mood, JOURNAL_BUSY);
    } else {
        wait_until(j, until);
    }
}

static void sleep_until_published(struct journal *j)
{
    atomic_store(&j->bell.mood, JOURNAL_ASLEEP);
    bool idle = atomic_load(&j->stopping) == 0;
    for (size_t i = 0; i < j->lane_count; i++) {
        idle &= atomic_load(&j->lanes[i].published) == j->writer.commit.lane[i].ticket;
    }
    while (idle && sem_wait(&j->bell.wake) != 0 && errno == EINTR) {
    }
    (void)atomic_exchange(&j->bell.mood, JOURNAL_BUSY);
}

static void wake_settlers(struct journal *j)
{
    CHECK(pthread_mutex_lock(&j->lock) == 0);
    CHECK(pthread_cond_broadcast(&j->ended) == 0);
    CHECK(pthread_mutex_unlock(&j->lock) == 0);
}

/* Nothing becomes durable for now, or ever: who waits for it must hear of it. */
static void wake_waiters(struct journal *j)
{
    for (size_t i = 0; i < j->lane_count; i++) {
        struct journal_lane *lane = &j->lanes[i];
        if (lane->on_durable != NULL) {
            lane->on_durable(lane->on_durable_ctx);
        }
    }
}

static void set_trouble(struct journal *j, enum err trouble)
{
    if (atomic_exchange(&j->bell.trouble, (uint32_t)trouble) == (uint32_t)trouble) {
        return;
    }
    wake_settlers(j);
    if (trouble != ERR_OK) {
        wake_waiters(j);
    }
}

/* Writes the group, waiting for room on a full disk for as long as the process does not end. */
static enum err write_group(struct journal *j)
{
    journal_segment_reload(j->writer.segment, atomic_load(&j->segment_bytes));
    for (;;) {
        enum err e = journal_writer_commit(&j->writer);
        if (e != ERR_DISK_FULL) {
            set_trouble(j, e == ERR_OK ? ERR_OK : ERR_DISK);
            return e;
        }
        set_trouble(j, ERR_DISK_FULL);
        if (atomic_load(&j->stopping) == 0) {
            atomic_store(&j->bell.mood, JOURNAL_DOZING);
            wait_until(j, clock_after_ms(clock_mono(), FULL_WAIT_MS));
        } else if (j->has_reserve) {
            j->has_reserve = false;
            (void)unlinkat(j->folder_fd, RESERVE_NAME, 0); /* if it fails, the next try will tell */
        } else {
            return e; /* the lanes keep it for the next start */
        }
    }
}

/* Says that a group is done, in the order told at the top. */
static void end_group(struct journal *j)
{
    struct journal_writer *w = &j->writer;
    atomic_store(&j->last, w->commit.last_sequence);
    for (size_t i = 0; i < j->lane_count; i++) {
        journal_lane_durable(&j->lanes[i], w->commit.lane[i].ticket);
    }
    tell(j);
    for (size_t i = 0; i < j->lane_count; i++) {
        journal_lane_free_to(&j->lanes[i], w->commit.lane[i].ticket);
    }
    journal_writer_clear(w);
    wake_settlers(j);
}

static void *run(void *ctx)
{
    struct journal *j = ctx;
    (void)pthread_setname_np(pthread_self(), "atlas-journal"); /* only a name */
    counter_thread_start();
    for (;;) {
        bool stopping = atomic_load(&j->stopping) != 0; /* before collecting: it is the last time */
        mono_us from = clock_mono();
        bool more = collect(j);
        if (j->writer.commit.records > 0) {
            if (write_group(j) != ERR_OK) {
                return NULL;
            }
            end_group(j);
        } else if (stopping) {
            return NULL;
        } else {
            sleep_until_published(j);
            from = clock_mono();
        }
        if (!more) {
            doze(j, clock_after_ms(from, atomic_load(&j->interval_ms)));
        }
    }
}

/* ---- opening and closing ---- */

static enum err open_folder(struct journal *j, const char *folder)
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
    if (mkdir(j->folder, 0700) != 0 && errno != EEXIST) {
        return errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_FILE;
    }
    j->folder_fd = open(j->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return j->folder_fd < 0 ? ERR_FILE : ERR_OK;
}

/* The file that is given up on a full disk so that the last records can be written. Without it all
 * works; they then stay in the lanes. */
static void make_reserve(struct journal *j)
{
    int fd = openat(j->folder_fd, RESERVE_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        j->has_reserve = posix_fallocate(fd, 0, RESERVE_BYTES) == 0;
        (void)close(fd);
    }
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
    journal_writer_add(&j->writer, &r);
    enum err e = journal_writer_commit(&j->writer);
    journal_writer_clear(&j->writer);
    return e;
}

static enum err open_lanes(struct journal *j, size_t lanes, size_t slots)
{
    struct journal_commit *c = &j->writer.commit;
    j->lanes = memory_new_array(lanes, sizeof(*j->lanes));
    if (j->lanes == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < lanes; i++) {
        char name[16];
        journal_lane_name(i, name);
        enum err e = journal_lane_open(j->folder_fd, name, slots, &j->bell, &j->lanes[i]);
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
                         const struct journal_settings *settings, size_t lanes, uint64_t seen,
                         struct journal_report *report)
{
    struct journal_writer *w = &j->writer;
    enum err e = open_folder(j, folder);
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
        e = record_cut(j, report);
    }
    if (e == ERR_OK) {
        e = journal_recover(j->folder_fd, w, report);
    }
    if (e == ERR_OK) {
        e = open_lanes(j, lanes, (size_t)settings->slots);
    }
    if (e == ERR_OK) {
        make_reserve(j);
        report->last_sequence = w->commit.last_sequence;
        atomic_store(&j->last, w->commit.last_sequence);
    }
    return e;
}

enum err journal_open(const char *folder, const struct journal_settings *settings, size_t lanes,
                      uint64_t seen, struct journal_report *report, struct journal **out)
{
    CHECK(lanes >= 1 && lanes <= JOURNAL_WORKERS_MAX);
    *report = (struct journal_report){0};
    struct journal *j = memory_new(sizeof(*j));
    if (j == NULL) {
        return ERR_NO_MEMORY;
    }
    j->folder_fd = -1;
    journal_reload(j, settings);
    CHECK(sem_init(&j->bell.wake, 0, 0) == 0);
    CHECK(pthread_mutex_init(&j->lock, NULL) == 0 && pthread_cond_init(&j->ended, NULL) == 0);
    enum err e = open_all(j, folder, settings, lanes, seen, report);
    if (e != ERR_OK) {
        journal_close(&j);
        return e;
    }
    *out = j;
    return ERR_OK;
}

void journal_reload(struct journal *j, const struct journal_settings *settings)
{
    atomic_store(&j->interval_ms, settings->commit_interval_ms);
    atomic_store(&j->segment_bytes, settings->segment_bytes);
}

void journal_listen(struct journal *j, const struct journal_listener *listener)
{
    CHECK(j->listener_count < LISTENERS_MAX && !j->started);
    j->listeners[j->listener_count++] = *listener;
}

void journal_on_commit(struct journal *j, size_t lane, journal_on_durable *on_durable, void *ctx)
{
    CHECK(lane < j->lane_count && !j->started);
    j->lanes[lane].on_durable = on_durable;
    j->lanes[lane].on_durable_ctx = ctx;
}

enum err journal_append(struct journal *j, struct journal_record *records, size_t count)
{
    CHECK(!j->started);
    for (size_t i = 0; i < count; i++) {
        journal_writer_add(&j->writer, &records[i]);
        if (!journal_writer_is_full(&j->writer) && i + 1 < count) {
            continue;
        }
        enum err e = journal_writer_commit(&j->writer);
        if (e != ERR_OK) {
            j->writer.commit.last_sequence -= j->writer.commit.records;
            journal_writer_clear(&j->writer);
            return e;
        }
        end_group(j);
    }
    return ERR_OK;
}

enum err journal_start(struct journal *j)
{
    CHECK(!j->started);
    j->started = pthread_create(&j->thread, NULL, run, j) == 0;
    return j->started ? ERR_OK : ERR_NO_MEMORY;
}

/* Whether all tickets up to `published` have been told of. */
static bool is_settled(const struct journal *j, const uint64_t *published)
{
    for (size_t i = 0; i < j->lane_count; i++) {
        if (atomic_load(&j->lanes[i].freed) < published[i]) {
            return false;
        }
    }
    return true;
}

enum err journal_settle(struct journal *j)
{
    uint64_t published[JOURNAL_WORKERS_MAX] = {0};
    for (size_t i = 0; i < j->lane_count; i++) {
        published[i] = atomic_load(&j->lanes[i].published);
    }
    journal_ring(&j->bell, true);
    CHECK(pthread_mutex_lock(&j->lock) == 0);
    while (j->started && !is_settled(j, published) && journal_state(j) == ERR_OK) {
        CHECK(pthread_cond_wait(&j->ended, &j->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&j->lock) == 0);
    return journal_state(j);
}

struct journal_lane *journal_lane(struct journal *j, size_t lane)
{
    CHECK(lane < j->lane_count);
    return &j->lanes[lane];
}

enum err journal_state(const struct journal *j)
{
    return (enum err)atomic_load(&j->bell.trouble);
}

uint64_t journal_last(const struct journal *j)
{
    return atomic_load(&j->last);
}

const char *journal_folder(const struct journal *j)
{
    return j->folder;
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
