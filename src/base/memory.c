/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static _Atomic uint64_t allowance;
static _Atomic uint64_t taken;

void *memory_new(size_t size)
{
    return calloc(1, size);
}

void *memory_new_array(size_t count, size_t size)
{
    return calloc(count, size);
}

void *memory_raw(size_t size)
{
    return malloc(size);
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

void memory_free(void *old)
{
    free(old);
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

void memory_trim(void)
{
    (void)malloc_trim(0); /* whether it found anything is of no use */
}

void memory_set_allowance(uint64_t bytes)
{
    atomic_store_explicit(&allowance, bytes, memory_order_relaxed);
}

bool memory_take(uint64_t bytes)
{
    uint64_t most = atomic_load_explicit(&allowance, memory_order_relaxed);
    uint64_t before = atomic_fetch_add_explicit(&taken, bytes, memory_order_relaxed);
    if (most != 0 && before + bytes > most) {
        atomic_fetch_sub_explicit(&taken, bytes, memory_order_relaxed);
        return false;
    }
    return true;
}

void memory_give(uint64_t bytes)
{
    uint64_t before = atomic_fetch_sub_explicit(&taken, bytes, memory_order_relaxed);
    CHECK(before >= bytes);
}

uint64_t memory_taken(void)
{
    return atomic_load_explicit(&taken, memory_order_relaxed);
}
