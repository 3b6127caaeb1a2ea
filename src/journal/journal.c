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
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/memory.h"
#include "journal/journal_internal.h"

#define FULL_WAIT_MS 250
#define WANT_WAIT_MS 20
#define WANT_MOST_MS 1000 /* that journal_settle() waits for what is wanted; and the end, anew */

/* ---- groups ---- */

void journal_writer_add(struct journal_writer *w, struct journal_record *record, struct span state)
{
    struct journal_told *told = &w->told[w->commit.records++];
    journal_record_bound(record); /* whoever wrote it, the process and its line stay whole */
    if (record->bounded != 0) {
        counter_add(COUNT_JOURNAL_BOUNDED, 1);
    }
    record->sequence = (int64_t)++w->commit.last_sequence;
    memcpy(record->prev, w->commit.head, sizeof(record->prev));
    told->record = record;
    told->state = state;
    told->line = journal_frame_write(record, state, &w->frames);
    CHECK(!buf_failed(&w->frames)); /* the memory was taken at opening, so the line stays there */
    journal_leaf(told->line, told->leaf);
    memcpy(w->commit.head, told->leaf, sizeof(told->leaf));
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

/* Forgets what is in the group: it was not written. */
static void drop(struct journal_writer *w)
{
    const struct journal_commit *last = journal_segment_last(w->segment);
    w->commit.last_sequence = last->last_sequence;
    memcpy(w->commit.head, last->head, sizeof(last->head));
    journal_writer_clear(w);
}

/* Tells the listeners of the group, which is on the disk but still held. */
static void tell(const struct journal *j)
{
    const struct journal_writer *w = &j->writer;
    for (size_t l = 0; l < j->listener_count; l++) {
        const struct journal_listener *listener = &j->listeners[l];
        for (size_t i = 0; i < w->commit.records; i++) {
            listener->on_record(listener->ctx, &w->told[i]);
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
            struct journal_slot *slot = journal_lane_slot(lane, ++ticket);
            journal_writer_add(w, &slot->record, journal_slot_json(slot, lane->slot_bytes));
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

/* Who waits in journal_settle() does not wait for a descriptor that may never come. */
static void set_starving(struct journal *j, bool starves)
{
    if (atomic_exchange(&j->starves, starves) != starves && starves) {
        wake_settlers(j);
    }
}

/* Whether the disk is well, and only this process or machine has too little of something. */
static bool is_want(enum err e)
{
    return e == ERR_NO_FILES || e == ERR_NO_MEMORY;
}

/* Whether it was asked for the first time WANT_MOST_MS ago; `since` is 0 before. */
static bool is_long(mono_us *since)
{
    mono_us now = clock_mono();
    *since = since->us == 0 ? now : *since;
    return clock_since(*since, now) >= (int64_t)WANT_MOST_MS * 1000;
}

/* Waits before another try, or makes room for it; false: the process ends and there is none. */
static bool wait_to_try(struct journal *j, enum err why, mono_us *stopping_since)
{
    bool is_stopping = atomic_load(&j->stopping) != 0;
    if (!is_stopping || (is_want(why) && !is_long(stopping_since))) {
        atomic_store(&j->bell.mood, JOURNAL_DOZING);
        wait_until(j, clock_after_ms(clock_mono(), is_want(why) ? WANT_WAIT_MS : FULL_WAIT_MS));
        return true;
    }
    if (is_want(why) || !j->has_reserve) {
        return false;
    }
    j->has_reserve = false;
    (void)unlinkat(j->folder_fd, JOURNAL_RESERVE_NAME, 0); /* if it fails, the next try will tell */
    return true;
}

/* Writes the group, waiting for room on a full disk, or for a descriptor or memory, for as long as
 * the process does not end; then the lanes keep it for the next start. Calls wait for as long as
 * their slots last. */
static enum err write_group(struct journal *j)
{
    mono_us wanting_since = {0}, stopping_since = {0};
    journal_segment_reload(j->writer.segment, atomic_load(&j->segment_bytes));
    for (;;) {
        enum err e = journal_writer_commit(&j->writer);
        atomic_store(&j->want, is_want(e) ? (uint32_t)e : ERR_OK);
        set_starving(j, is_want(e) && is_long(&wanting_since));
        if (e != ERR_DISK_FULL && !is_want(e)) {
            set_trouble(j, e == ERR_OK ? ERR_OK : ERR_DISK);
            return e;
        }
        set_trouble(j, is_want(e) ? ERR_OK : ERR_DISK_FULL);
        if (!wait_to_try(j, e, &stopping_since)) {
            return e;
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

/* ---- for everybody ---- */

void journal_reload(struct journal *j, const struct journal_settings *settings)
{
    atomic_store(&j->interval_ms, settings->commit_interval_ms);
    atomic_store(&j->segment_bytes, settings->segment_bytes);
}

void journal_listen(struct journal *j, const struct journal_listener *listener)
{
    CHECK(j->listener_count < JOURNAL_LISTENERS_MAX && !j->started);
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
        journal_writer_add(&j->writer, &records[i], SPAN(""));
        if (!journal_writer_is_full(&j->writer) && i + 1 < count) {
            continue;
        }
        enum err e = journal_writer_commit(&j->writer);
        if (e != ERR_OK) {
            drop(&j->writer);
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
    uint64_t published[JOURNAL_WORKERS_MAX + JOURNAL_LANES_FURTHER] = {0};
    for (size_t i = 0; i < j->lane_count; i++) {
        published[i] = atomic_load(&j->lanes[i].published);
    }
    journal_ring(&j->bell, true);
    CHECK(pthread_mutex_lock(&j->lock) == 0);
    bool is_done = is_settled(j, published);
    while (j->started && !is_done && journal_state(j) == ERR_OK && !atomic_load(&j->starves)) {
        CHECK(pthread_cond_wait(&j->ended, &j->lock) == 0);
        is_done = is_settled(j, published);
    }
    CHECK(pthread_mutex_unlock(&j->lock) == 0);
    enum err trouble = journal_state(j);
    return trouble != ERR_OK || is_done || !j->started ? trouble : ERR_JOURNAL_FULL;
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

enum err journal_want(const struct journal *j)
{
    return (enum err)atomic_load(&j->want);
}

uint64_t journal_last(const struct journal *j)
{
    return atomic_load(&j->last);
}

const char *journal_folder(const struct journal *j)
{
    return j->folder;
}

const char *journal_origin(const struct journal *j)
{
    return j->origin;
}
