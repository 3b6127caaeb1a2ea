/* SPDX-License-Identifier: Apache-2.0 */
/* Three rings of jobs under one mutex. A thread waits on its condition while its rings are empty.
 */
#include "store/store_thread.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/memory.h"

struct ring {
    struct store_job *jobs; /* `count` of them from `first`, in a ring of `most` */
    size_t first, count, most;
};

/* One of the two threads. */
struct hand {
    struct store_thread *owner;
    const char *name;
    struct store *store;
    pthread_t thread;
    pthread_cond_t posted; /* a job was posted, or `stopping` was set */
    bool started, running;
    struct ring urgent, others; /* the reader has no urgent ones */
};

struct store_thread {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t idle;  /* a thread found no job; on the monotonic clock */
    bool stopping;
    struct hand writer, reader;
    struct store_job jobs[]; /* of all rings */
};

static bool ring_take(struct ring *r, struct store_job *out)
{
    if (r->count == 0) {
        return false;
    }
    *out = r->jobs[r->first];
    r->first = (r->first + 1) % r->most;
    r->count--;
    return true;
}

/* Waits for a job and takes it off its ring; false when there will be none. */
static bool take_job(struct hand *h, struct store_job *out)
{
    struct store_thread *t = h->owner;
    (void)pthread_mutex_lock(&t->lock); /* fail only on a mutex that is none */
    h->running = false;
    if (h->urgent.count + h->others.count == 0) {
        (void)pthread_cond_broadcast(&t->idle);
    }
    while (h->urgent.count + h->others.count == 0 && !t->stopping) {
        (void)pthread_cond_wait(&h->posted, &t->lock);
    }
    bool is_taken = ring_take(&h->urgent, out) || ring_take(&h->others, out);
    h->running = is_taken;
    (void)pthread_mutex_unlock(&t->lock);
    return is_taken;
}

static void *work(void *context)
{
    struct hand *h = context;
    counter_thread_start();
    (void)pthread_setname_np(pthread_self(), h->name); /* only a name */
    struct store_job job;
    while (take_job(h, &job)) {
        enum err result = job.run(h->store, job.context);
        if (job.done != NULL) {
            job.done(job.context, result);
        }
    }
    return NULL;
}

/* Starts a thread with all signals blocked: they are the main thread's. */
static bool start(struct hand *h)
{
    sigset_t all, before;
    (void)sigfillset(&all); /* none of these fails with valid arguments */
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    h->started = pthread_create(&h->thread, NULL, work, h) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return h->started;
}

/* Ends the threads that run, once they have done what was posted; frees all but the stores. */
static void stop(struct store_thread *t)
{
    struct hand *hands[] = {&t->writer, &t->reader};
    (void)pthread_mutex_lock(&t->lock);
    t->stopping = true;
    for (size_t i = 0; i < 2; i++) {
        (void)pthread_cond_signal(&hands[i]->posted);
    }
    (void)pthread_mutex_unlock(&t->lock);
    for (size_t i = 0; i < 2; i++) {
        if (hands[i]->started) {
            (void)pthread_join(hands[i]->thread, NULL); /* fails only for a thread that is none */
        }
        (void)pthread_cond_destroy(&hands[i]->posted);
    }
    (void)pthread_cond_destroy(&t->idle);
    (void)pthread_mutex_destroy(&t->lock);
}

static void idle_init(pthread_cond_t *idle)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic); /* none of these fails on Linux */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(idle, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

static void hand_init(struct hand *h, struct store_thread *t, const char *name)
{
    h->owner = t;
    h->name = name;
    (void)pthread_cond_init(&h->posted, NULL); /* does not fail on Linux */
}

enum err store_thread_open(struct store **store, size_t most_jobs, struct store_thread **out)
{
    CHECK(most_jobs > 0 && *store != NULL);
    size_t rooms = STORE_URGENT_MAX + 2 * most_jobs;
    struct store_thread *t = memory_new(sizeof(*t) + rooms * sizeof(t->jobs[0]));
    if (t == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_mutex_init(&t->lock, NULL); /* does not fail on Linux */
    idle_init(&t->idle);
    hand_init(&t->writer, t, "atlas-store");
    hand_init(&t->reader, t, "atlas-reader");
    t->writer.urgent = (struct ring){.jobs = t->jobs, .most = STORE_URGENT_MAX};
    t->writer.others = (struct ring){.jobs = t->jobs + STORE_URGENT_MAX, .most = most_jobs};
    t->reader.others =
        (struct ring){.jobs = t->jobs + STORE_URGENT_MAX + most_jobs, .most = most_jobs};
    t->writer.store = *store;
    store_set_busy(*store, STORE_THREAD_BUSY_MS);
    enum err e = store_open_reader(*store, &t->reader.store);
    if (e == ERR_OK && (!start(&t->writer) || !start(&t->reader))) {
        e = ERR_NO_MEMORY;
    }
    if (e != ERR_OK) {
        stop(t);
        store_close(&t->reader.store);
        memory_free(t);
        return e;
    }
    *store = NULL;
    *out = t;
    return ERR_OK;
}

static enum err post(struct store_thread *t, struct hand *h, struct ring *r,
                     const struct store_job *job)
{
    enum err e = ERR_OK;
    (void)pthread_mutex_lock(&t->lock);
    if (t->stopping) {
        e = ERR_DRAINING;
    } else if (r->count == r->most) {
        e = ERR_OVERLOADED;
    } else {
        r->jobs[(r->first + r->count) % r->most] = *job;
        r->count++;
        (void)pthread_cond_signal(&h->posted);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return e;
}

enum err store_thread_post(struct store_thread *t, const struct store_job *job)
{
    return post(t, &t->writer, &t->writer.others, job);
}

enum err store_thread_post_urgent(struct store_thread *t, const struct store_job *job)
{
    return post(t, &t->writer, &t->writer.urgent, job);
}

enum err store_thread_post_read(struct store_thread *t, const struct store_job *job)
{
    return post(t, &t->reader, &t->reader.others, job);
}

static size_t load_of(const struct hand *h)
{
    return h->urgent.count + h->others.count + (h->running ? 1 : 0);
}

bool store_thread_settle(struct store_thread *t, int64_t most_ms)
{
    int64_t until_us = clock_after_ms(clock_mono(), most_ms).us;
    const struct timespec until = {until_us / 1000000, (long)(until_us % 1000000) * 1000};
    int waited = 0;
    (void)pthread_mutex_lock(&t->lock);
    while (load_of(&t->writer) > 0 && waited == 0) {
        waited = pthread_cond_timedwait(&t->idle, &t->lock, &until);
    }
    bool is_settled = load_of(&t->writer) == 0;
    (void)pthread_mutex_unlock(&t->lock);
    return is_settled;
}

size_t store_thread_load(struct store_thread *t)
{
    (void)pthread_mutex_lock(&t->lock);
    size_t load = load_of(&t->writer) + load_of(&t->reader);
    (void)pthread_mutex_unlock(&t->lock);
    return load;
}

void store_thread_close(struct store_thread **t)
{
    if (*t == NULL) {
        return;
    }
    stop(*t);
    store_close(&(*t)->reader.store);
    store_close(&(*t)->writer.store);
    memory_free(*t);
    *t = NULL;
}
