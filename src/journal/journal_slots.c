/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three ways between worker and thread, each with one writer a side:
 *   ring + published    tickets to slots, worker → thread
 *   returned            a chain of freed slots, thread → worker; the worker takes it whole
 *   durable             the last ticket on the disk, thread → worker
 *
 * Whether the thread sleeps is decided as in Dekker's algorithm: the publisher stores `published`
 * and then reads `mood`, the thread stores `mood` and then reads `published`, all sequentially
 * consistent, so at least one of them sees the other. The same holds for `wanted` and `durable`,
 * and for `wanted` and `returned`.
 */
#include "journal/journal_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/memory.h"
#include "crypto/random.h"
#include "journal/journal_internal.h"
#include "journal/journal_settings.h"

/* Each commit costs about 0.2 ms of CPU whatever its size: few and large ones are cheap. A lane of
 * few slots cannot wait for so many. */
#define HURRY_MOST 512

#define CACHE_LINE_BYTES 64
#define SLOT_HEAD_BYTES \
    (offsetof(struct journal_slot, record) + offsetof(struct journal_record, room))

void journal_ring(struct journal_bell *bell, bool hurry)
{
    uint32_t mood = atomic_load(&bell->mood);
    if (mood == JOURNAL_ASLEEP || (hurry && mood == JOURNAL_DOZING)) {
        if (atomic_exchange(&bell->mood, JOURNAL_BUSY) != JOURNAL_BUSY) {
            CHECK(sem_post(&bell->wake) == 0);
        }
    }
}

static struct journal_slot *slot_at(const struct journal_lane *lane, uint32_t index)
{
    return journal_slot_at(lane->file, index, lane->slot_bytes);
}

/* ---- the worker's side ---- */

static void take_returned(struct journal_lane *lane)
{
    if (atomic_load_explicit(&lane->returned, memory_order_relaxed) == JOURNAL_NO_SLOT) {
        return;
    }
    uint32_t slot =
        atomic_exchange_explicit(&lane->returned, JOURNAL_NO_SLOT, memory_order_acquire);
    while (slot != JOURNAL_NO_SLOT) {
        uint32_t next = lane->next[slot];
        lane->stack[lane->stacked++] = slot;
        slot = next;
    }
}

enum err journal_trouble(const struct journal_lane *lane)
{
    return (enum err)atomic_load_explicit(&lane->bell->trouble, memory_order_relaxed);
}

/* The slot that is taken next was last written by the thread's core: it is asked for now. */
static void fetch_next(const struct journal_lane *lane)
{
    if (LIKELY(lane->stacked > 0)) {
        const char *next = (const char *)slot_at(lane, lane->stack[lane->stacked - 1]);
        for (size_t at = 0; at < SLOT_HEAD_BYTES; at += CACHE_LINE_BYTES) {
            __builtin_prefetch(next + at, 1);
        }
    }
}

enum err journal_take(struct journal_lane *lane, struct journal_slot **out)
{
    enum err trouble = journal_trouble(lane);
    if (UNLIKELY(trouble != ERR_OK)) {
        return trouble;
    }
    take_returned(lane);
    uint32_t index;
    if (lane->stacked > 0) {
        index = lane->stack[--lane->stacked];
    } else if (lane->fresh < lane->count) {
        index = lane->fresh++;
        atomic_store_explicit(&lane->file->touched, lane->fresh, memory_order_release);
    } else {
        return ERR_JOURNAL_FULL;
    }
    struct journal_slot *slot = slot_at(lane, index);
    CHECK(atomic_load_explicit(&slot->state, memory_order_relaxed) == JOURNAL_FREE);
    slot->index = index;
    slot->ticket = slot->intent = 0;
    memset(&slot->record, 0, offsetof(struct journal_record, room));
    atomic_store_explicit(&slot->state, JOURNAL_TAKEN, memory_order_release);
    fetch_next(lane);
    *out = slot;
    return ERR_OK;
}

struct journal_record *journal_slot_record(struct journal_slot *slot)
{
    return &slot->record;
}

char *journal_slot_state(const struct journal_lane *lane, struct journal_slot *slot)
{
    CHECK(lane->slot_bytes == JOURNAL_STATE_SLOT_BYTES);
    return slot->json;
}

void journal_arm(const struct journal_lane *lane, struct journal_slot *slot)
{
    CHECK(atomic_load_explicit(&slot->state, memory_order_relaxed) == JOURNAL_TAKEN);
    CHECK(slot->record.kind == JOURNAL_COMPLETION || slot->record.kind == JOURNAL_TRY_END);
    slot->intent = lane->published_here + 1;
    atomic_store_explicit(&slot->state, JOURNAL_ARMED, memory_order_release);
}

uint64_t journal_publish(struct journal_lane *lane, struct journal_slot *slot)
{
    uint32_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    CHECK(state == JOURNAL_TAKEN || state == JOURNAL_ARMED);
    uint64_t ticket = ++lane->published_here;
    slot->ticket = ticket;
    /* Ready first: from here on the record survives us, whoever hears of it. */
    atomic_store_explicit(&slot->state, JOURNAL_READY, memory_order_release);
    lane->ring[ticket & lane->mask] = slot->index;
    atomic_store(&lane->published, ticket);
    bool many =
        ticket % lane->hurry_at == 0 &&
        ticket - atomic_load_explicit(&lane->collected, memory_order_relaxed) >= lane->hurry_at;
    journal_ring(lane->bell, many);
    return ticket;
}

void journal_give_back(struct journal_lane *lane, struct journal_slot *slot)
{
    CHECK(atomic_load_explicit(&slot->state, memory_order_relaxed) == JOURNAL_TAKEN);
    atomic_store_explicit(&slot->state, JOURNAL_FREE, memory_order_release);
    lane->stack[lane->stacked++] = slot->index;
}

bool journal_is_durable(const struct journal_lane *lane, uint64_t ticket)
{
    return atomic_load(&lane->durable) >= ticket;
}

bool journal_await(struct journal_lane *lane, uint64_t ticket)
{
    atomic_store(&lane->wanted, 1);
    if (journal_is_durable(lane, ticket)) {
        return true;
    }
    journal_ring(lane->bell, true);
    return false;
}

bool journal_await_slots(struct journal_lane *lane)
{
    atomic_store(&lane->wanted, 1);
    if (atomic_load(&lane->returned) != JOURNAL_NO_SLOT) { /* in this order: see free_to() */
        take_returned(lane);
    }
    if (journal_slots_free(lane) >= JOURNAL_SLOTS_A_CALL) {
        return true;
    }
    journal_ring(lane->bell, true);
    return false;
}

size_t journal_slots_free(const struct journal_lane *lane)
{
    return lane->stacked + (lane->count - lane->fresh);
}

/* ---- the journal thread's side ---- */

struct journal_slot *journal_lane_slot(const struct journal_lane *lane, uint64_t ticket)
{
    struct journal_slot *slot = slot_at(lane, lane->ring[ticket & lane->mask]);
    CHECK(slot->ticket == ticket);
    return slot;
}

/* Wakes the worker, if it has asked since it was woken last. */
static void wake(struct journal_lane *lane)
{
    if (atomic_exchange(&lane->wanted, 0) != 0 && lane->on_durable != NULL) {
        lane->on_durable(lane->on_durable_ctx);
    }
}

void journal_lane_durable(struct journal_lane *lane, uint64_t last)
{
    if (atomic_load_explicit(&lane->durable, memory_order_relaxed) == last) {
        return;
    }
    atomic_store(&lane->durable, last);
    wake(lane);
}

void journal_lane_free_to(struct journal_lane *lane, uint64_t last)
{
    uint64_t ticket = atomic_load_explicit(&lane->freed, memory_order_relaxed);
    if (ticket == last) {
        return;
    }
    uint32_t head = JOURNAL_NO_SLOT;
    uint32_t tail = JOURNAL_NO_SLOT;
    while (ticket < last) {
        uint32_t index = lane->ring[++ticket & lane->mask];
        atomic_store_explicit(&slot_at(lane, index)->state, JOURNAL_FREE, memory_order_release);
        lane->next[index] = head;
        head = index;
        tail = tail == JOURNAL_NO_SLOT ? index : tail;
    }
    uint32_t before = atomic_load_explicit(&lane->returned, memory_order_relaxed);
    do {
        lane->next[tail] = before;
    } while (!atomic_compare_exchange_weak(&lane->returned, &before, head));
    atomic_store(&lane->freed, last);
    wake(lane); /* looks at `wanted` after `returned` was stored, journal_await_slots() before */
}

/* ---- the file ---- */

enum err journal_disk_error(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return ERR_DISK_FULL;
    case EMFILE:
    case ENFILE:
        return ERR_NO_FILES;
    case ENOMEM:
        return ERR_NO_MEMORY;
    default:
        return ERR_DISK;
    }
}

void journal_lane_name(size_t lane, char out[16])
{
    CHECK(lane < JOURNAL_LANES_MAX);
    (void)snprintf(out, 16, "lane-%03u", (unsigned)lane); /* fits: the check above */
}

enum err journal_boot(char out[40])
{
    memset(out, 0, 40);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? ERR_OK : ERR_DISK;
    }
    /* The kernel gives it whole or not at all. */
    enum err e = read(fd, out, 36) == 36 ? ERR_OK : ERR_DISK;
    (void)close(fd); /* it was only read */
    return e;
}

/* Whether the disk has so much room. To try it is no way to know: until it failed, nobody else on
 * this disk would find any. One that does not say how large it is (a tmpfs without a bound, some
 * file systems of users) is tried all the same. */
static bool has_room(int folder_fd, size_t bytes)
{
    struct statvfs disk;
    bool is_known = fstatvfs(folder_fd, &disk) == 0 && disk.f_blocks > 0 && disk.f_frsize > 0;
    return !is_known || bytes / disk.f_frsize < disk.f_bavail;
}

/* Takes the file's disk space now, so that no store into the mapping can find none (SIGBUS). */
static enum err make_file(int folder_fd, const char *name, size_t bytes, int *out)
{
    (void)unlinkat(folder_fd, name, 0); /* usually there is none */
    if (!has_room(folder_fd, bytes)) {
        return ERR_DISK_FULL;
    }
    int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return journal_disk_error(errno);
    }
    int number = posix_fallocate(fd, 0, (off_t)bytes);
    if (number != 0) {
        (void)unlinkat(folder_fd, name, 0); /* it holds nothing */
        (void)close(fd);
        return journal_disk_error(number);
    }
    *out = fd;
    return ERR_OK;
}

static enum err map_file(struct journal_lane *lane, int fd, size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        return ERR_NO_MEMORY;
    }
    lane->file = at;
    lane->file->layout = JOURNAL_LANE_LAYOUT;
    lane->file->slot_bytes = lane->slot_bytes;
    lane->file->slots = lane->count;
    crypto_random(&lane->file->id, sizeof(lane->file->id));
    enum err e = journal_boot(lane->file->boot);
    if (e == ERR_OK) { /* without it the file is nobody's */
        memcpy(lane->file->magic, JOURNAL_LANE_MAGIC, sizeof(lane->file->magic));
    }
    return e;
}

static enum err make_lists(struct journal_lane *lane)
{
    size_t ring = 1;
    while (ring < lane->count) {
        ring *= 2;
    }
    lane->mask = (uint32_t)(ring - 1);
    lane->ring = memory_raw(ring * sizeof(*lane->ring));
    lane->next = memory_raw(lane->count * sizeof(*lane->next));
    lane->stack = memory_raw(lane->count * sizeof(*lane->stack));
    atomic_init(&lane->returned, JOURNAL_NO_SLOT);
    bool made = lane->ring != NULL && lane->next != NULL && lane->stack != NULL;
    return made ? ERR_OK : ERR_NO_MEMORY;
}

enum err journal_lane_open(int folder_fd, const char *name, const struct journal_lane_plan *plan,
                           struct journal_lane *out)
{
    size_t slots = plan->slots;
    CHECK(slots >= 2 && slots < JOURNAL_NO_SLOT / 2);
    size_t bytes = JOURNAL_LANE_PAGE + slots * plan->slot_bytes;
    int fd = -1;
    enum err e = make_file(folder_fd, name, bytes, &fd);
    if (e != ERR_OK) {
        return e;
    }
    memset(out, 0, sizeof(*out));
    out->bell = plan->bell;
    out->slot_bytes = (uint32_t)plan->slot_bytes;
    out->count = (uint32_t)slots;
    out->hurry_at = HURRY_MOST;
    while (out->hurry_at > 1 && out->hurry_at > slots / 4) {
        out->hurry_at /= 2;
    }
    e = make_lists(out);
    if (e == ERR_OK) {
        e = map_file(out, fd, bytes);
    }
    (void)close(fd); /* the mapping holds the file */
    if (e != ERR_OK) {
        journal_lane_close(out);
    }
    return e;
}

void journal_lane_close(struct journal_lane *lane)
{
    if (lane->file != NULL) {
        (void)munmap(lane->file, JOURNAL_LANE_PAGE + (size_t)lane->count * lane->slot_bytes);
    }
    memory_free(lane->ring);
    memory_free(lane->next);
    memory_free(lane->stack);
    memset(lane, 0, sizeof(*lane));
}
