/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include "base/memory_threads.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define STRANGERS_SHARE 8 /* they have a part in so many, beside the whole */

#define LARGE_BYTES   (512 * 1024)
#define TRIM_BYTES    (16 * 1024 * 1024)
#define FREED_AT_ONCE ((size_t)512 * 1024)

static _Atomic uint64_t allowance;
static _Atomic uint64_t taken;
static _Atomic uint64_t taken_for_strangers;

/* ---- blocks of a few KiB, kept by a thread ---- */

#define KEPT_LEAST 1024 /* smaller ones the C library keeps */
#define KEPT_HALF  2048
#define KEPT_MOST  4096
#define KEPT_COUNT 16 /* of each of the two sizes */

static _Thread_local struct {
    bool keeps;
    unsigned count[2];
    void *blocks[2][KEPT_COUNT];
} kept;

void memory_thread_start(void)
{
#ifndef ATLAS_SLOW_CHECKS
    kept.keeps = true;
#endif
}

void memory_thread_end(void)
{
    kept.keeps = false;
    for (unsigned k = 0; k < 2; k++) {
        while (kept.count[k] > 0) {
            free(kept.blocks[k][--kept.count[k]]);
        }
    }
}

static void *take_block(size_t size)
{
    if (size <= KEPT_LEAST || size > KEPT_MOST || !kept.keeps) {
        return malloc(size);
    }
    unsigned k = size > KEPT_HALF;
    return kept.count[k] > 0 ? kept.blocks[k][--kept.count[k]]
                             : malloc(k == 0 ? KEPT_HALF : KEPT_MOST);
}

/* Whether the thread keeps the block, whose size this is. */
static bool keep_block(void *old, size_t size)
{
    if (!kept.keeps || size < KEPT_HALF || size >= KEPT_MOST + KEPT_LEAST) {
        return false;
    }
    unsigned k = size >= KEPT_MOST;
    if (kept.count[k] == KEPT_COUNT) {
        return false;
    }
    kept.blocks[k][kept.count[k]++] = old;
    return true;
}

void *memory_new(size_t size)
{
    if (size <= KEPT_LEAST || size > KEPT_MOST || !kept.keeps) {
        return calloc(1, size);
    }
    void *block = take_block(size);
    return block == NULL ? NULL : memset(block, 0, size);
}

void *memory_new_array(size_t count, size_t size)
{
    return calloc(count, size);
}

void *memory_raw(size_t size)
{
    return take_block(size);
}

void *memory_resize(void *old, size_t size)
{
    return realloc(old, size);
}

char *memory_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

/* ---- large blocks, freed on a thread of their own ---- */

struct freed {
    struct freed *next; /* in the block's first bytes */
};

static struct {
    _Atomic(struct freed *) blocks;
    atomic_bool runs, ends;
    sem_t work;
    pthread_t thread;
} freer;

/* Takes the block's pages away, little by little: who allocates meanwhile waits for one piece only.
 */
static void empty(void *block)
{
    const uintptr_t page = 4096;
    uintptr_t at = ((uintptr_t)block + sizeof(struct freed) + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)block + malloc_usable_size(block)) & ~(page - 1);
    for (; at < end; at += FREED_AT_ONCE) {
        size_t size = end - at < FREED_AT_ONCE ? end - at : FREED_AT_ONCE;
        (void)madvise((void *)at, size, MADV_DONTNEED); /* else free() does it */
    }
}

static void free_all(void)
{
    struct freed *block = atomic_exchange(&freer.blocks, NULL);
    while (block != NULL) {
        struct freed *next = block->next;
        empty(block);
        free(block);
        block = next;
    }
}

static void *run_freer(void *unused)
{
    (void)pthread_setname_np(pthread_self(), "atlas-freer"); /* only a name */
    while (!atomic_load(&freer.ends)) {
        (void)sem_wait(&freer.work); /* interrupted, it looks for nothing */
        free_all();
    }
    return unused;
}

enum err memory_start_freer(void)
{
    CHECK(!atomic_load(&freer.runs));
    CHECK(sem_init(&freer.work, 0, 0) == 0);
    atomic_store(&freer.ends, false);
    if (pthread_create(&freer.thread, NULL, run_freer, NULL) != 0) {
        (void)sem_destroy(&freer.work); /* nobody waits */
        return ERR_NO_MEMORY;
    }
    atomic_store(&freer.runs, true);
    return ERR_OK;
}

void memory_stop_freer(void)
{
    if (atomic_exchange(&freer.runs, false)) {
        atomic_store(&freer.ends, true);
        CHECK(sem_post(&freer.work) == 0);
        CHECK(pthread_join(freer.thread, NULL) == 0);
        free_all();
        (void)sem_destroy(&freer.work); /* nobody waits */
    }
}

static bool hand_over(void *old)
{
    if (!atomic_load_explicit(&freer.runs, memory_order_relaxed)) {
        return false;
    }
    struct freed *block = old;
    block->next = atomic_load(&freer.blocks);
    while (!atomic_compare_exchange_weak(&freer.blocks, &block->next, block)) {
    }
    (void)sem_post(&freer.work); /* past its most, the thread has work already */
    return true;
}

void memory_free(void *old)
{
    if (old == NULL) {
        return;
    }
    size_t size = malloc_usable_size(old);
    if (!keep_block(old, size) && (size < MEMORY_SLOW_BYTES || !hand_over(old))) {
        free(old);
    }
}

/* Where cores go to a pipe, the limit does not hold: then the filter leaves nothing to write. */
void memory_forbid_core(bool wholly)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    struct rlimit none = {0, 0};
    int filter = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    (void)setrlimit(RLIMIT_CORE, &none); /* lowering is always allowed */
    if (filter >= 0) {
        (void)!write(filter, "0", 1); /* an old kernel has no filter */
        (void)close(filter);          /* nothing is kept there */
    }
    if (wholly) {
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
#else
    (void)wholly;
#endif
}

/* malloc() raises the first of these by itself with each large block that is freed, and what grows
 * by doubling then leaves holes of its former sizes behind. */
void memory_keep_large_apart(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES); /* refused, it is as it was */
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
}

void memory_trim(void)
{
    (void)malloc_trim(0); /* whether it found anything is of no use */
}

void memory_set_allowance(uint64_t bytes)
{
    atomic_store_explicit(&allowance, bytes, memory_order_relaxed);
}

static bool take(_Atomic uint64_t *of, uint64_t most, uint64_t bytes)
{
    uint64_t before = atomic_fetch_add_explicit(of, bytes, memory_order_relaxed);
    if (most != 0 && before + bytes > most) {
        atomic_fetch_sub_explicit(of, bytes, memory_order_relaxed);
        return false;
    }
    return true;
}

static void give(_Atomic uint64_t *of, uint64_t bytes)
{
    uint64_t before = atomic_fetch_sub_explicit(of, bytes, memory_order_relaxed);
    CHECK(before >= bytes);
}

bool memory_take(uint64_t bytes)
{
    return take(&taken, atomic_load_explicit(&allowance, memory_order_relaxed), bytes);
}

void memory_give(uint64_t bytes)
{
    give(&taken, bytes);
}

bool memory_is_above(uint64_t more, unsigned sixteenths)
{
    uint64_t whole = atomic_load_explicit(&allowance, memory_order_relaxed);
    uint64_t most = whole / 16 * sixteenths, has = memory_taken();
    return whole != 0 && (has > most || more > most - has);
}

bool memory_take_for_stranger(uint64_t bytes)
{
    uint64_t whole = atomic_load_explicit(&allowance, memory_order_relaxed);
    return take(&taken_for_strangers, (whole + STRANGERS_SHARE - 1) / STRANGERS_SHARE, bytes);
}

void memory_give_for_stranger(uint64_t bytes)
{
    give(&taken_for_strangers, bytes);
}

uint64_t memory_taken_for_strangers(void)
{
    return atomic_load_explicit(&taken_for_strangers, memory_order_relaxed);
}

/* What stands before a counted block. */
struct counted {
    size_t size; /* with this header */
    size_t unused;
};

_Static_assert(sizeof(struct counted) % 16 == 0, "what follows a header is aligned");

void *memory_raw_counted(size_t size)
{
    size_t whole = sizeof(struct counted) + size;
    if (whole < size || !memory_take(whole)) {
        return NULL;
    }
    struct counted *c = malloc(whole);
    if (c == NULL) {
        memory_give(whole);
        return NULL;
    }
    c->size = whole;
    return c + 1;
}

void memory_free_counted(void *old)
{
    if (old != NULL) {
        struct counted *c = (struct counted *)old - 1;
        memory_give(c->size);
        memory_free(c);
    }
}

uint64_t memory_taken(void)
{
    return atomic_load_explicit(&taken, memory_order_relaxed);
}
