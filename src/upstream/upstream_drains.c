/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/upstream_drains.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"

struct drain {
    struct drain *next;
    size_t len;
    uint8_t name[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct drain *first;
static _Atomic uint64_t revision;

/* Where the name's entry hangs; that of the end: it is not there. */
static struct drain **find(struct span name)
{
    struct drain **at = &first;
    while (*at != NULL && !span_equal(span_make((*at)->name, (*at)->len), name)) {
        at = &(*at)->next;
    }
    return at;
}

static enum err add(struct span name)
{
    struct drain *drain = memory_new(sizeof(*drain) + name.len);
    if (drain == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(drain->name, name.at, name.len);
    drain->len = name.len;
    drain->next = first;
    first = drain;
    return ERR_OK;
}

enum err upstream_drains_set(struct span name, bool is_drained)
{
    enum err e = ERR_OK;
    CHECK(pthread_mutex_lock(&lock) == 0);
    struct drain **at = find(name), *found = *at;
    if (is_drained && found == NULL) {
        e = add(name);
    } else if (!is_drained && found != NULL) {
        *at = found->next;
        memory_free(found);
    }
    atomic_fetch_add(&revision, 1);
    CHECK(pthread_mutex_unlock(&lock) == 0);
    return e;
}

bool upstream_drains_has(struct span name)
{
    CHECK(pthread_mutex_lock(&lock) == 0);
    bool has = *find(name) != NULL;
    CHECK(pthread_mutex_unlock(&lock) == 0);
    return has;
}

uint64_t upstream_drains_revision(void)
{
    return atomic_load(&revision);
}

void upstream_drains_clear(void)
{
    CHECK(pthread_mutex_lock(&lock) == 0);
    while (first != NULL) {
        struct drain *drain = first;
        first = drain->next;
        memory_free(drain);
    }
    CHECK(pthread_mutex_unlock(&lock) == 0);
}
