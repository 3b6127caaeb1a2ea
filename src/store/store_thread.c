/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of jobs under one mutex. The thread waits on a condition while the ring is empty. */
#include "store/store_thread.h"

#include <pthread.h>
#include <signal.h>

#include "base/counter.h"
#include "base/memory.h"

struct store_thread {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t lock;  /* guards all below */
    pthread_cond_t posted; /* a job was posted, or `stopping` was set */
    bool stopping, running;
    size_t first, count, most;
    struct store_job jobs[]; /* `count` of them from `first`, in a ring of `most` */
};

/* Waits for a job and takes it off the ring; false when there will be none. */
static bool take_job(struct store_thread *t, struct store_job *out)
{
    (void)pthread_mutex_lock(&t->lock); /* fail only on a mutex that is none */
    t->running = false;
    while (t->count == 0 && !t->stopping) {
        (void)pthread_cond_wait(&t->posted, &t->lock);
    }
    bool is_taken = t->count > 0;
    if (is_taken) {
        *out = t->jobs[t->first];
        t->first = (t->first + 1) % t->most;
        t->count--;
        t->running = true;
    }
    (void)pthread_mutex_unlock(&t->lock);
    return is_taken;
}

static void *work(void *context)
{
    struct store_thread *t = context;
    counter_thread_start();
    (void)pthread_setname_np(pthread_self(), "atlas-store"); /* only a name */
    struct store_job job;
    while (take_job(t, &job)) {
        enum err result = job.run(t->store, job.context);
        if (job.done != NULL) {
            job.done(job.context, result);
        }
    }
    return NULL;
}

/* Starts the thread with all signals blocked: they are the main thread's. */
static bool start(struct store_thread *t)
{
    sigset_t all, before;
    (void)sigfillset(&all); /* none of these fails with valid arguments */
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    bool is_started = pthread_create(&t->thread, NULL, work, t) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return is_started;
}

enum err store_thread_open(struct store **store, size_t most_jobs, struct store_thread **out)
{
    CHECK(most_jobs > 0 && *store != NULL);
    struct store_thread *t = memory_new(sizeof(*t) + most_jobs * sizeof(t->jobs[0]));
    if (t == NULL) {
        return ERR_NO_MEMORY;
    }
    t->store = *store;
    t->most = most_jobs;
    (void)pthread_mutex_init(&t->lock, NULL); /* neither fails on Linux */
    (void)pthread_cond_init(&t->posted, NULL);
    if (!start(t)) {
        memory_free(t);
        return ERR_NO_MEMORY;
    }
    *store = NULL;
    *out = t;
    return ERR_OK;
}

enum err store_thread_post(struct store_thread *t, const struct store_job *job)
{
    enum err e = ERR_OK;
    (void)pthread_mutex_lock(&t->lock);
    if (t->stopping) {
        e = ERR_DRAINING;
    } else if (t->count == t->most) {
        e = ERR_OVERLOADED;
    } else {
        t->jobs[(t->first + t->count) % t->most] = *job;
        t->count++;
        (void)pthread_cond_signal(&t->posted);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return e;
}

size_t store_thread_load(struct store_thread *t)
{
    (void)pthread_mutex_lock(&t->lock);
    size_t load = t->count + (t->running ? 1 : 0);
    (void)pthread_mutex_unlock(&t->lock);
    return load;
}

void store_thread_close(struct store_thread **t)
{
    if (*t == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&(*t)->lock);
    (*t)->stopping = true;
    (void)pthread_cond_signal(&(*t)->posted);
    (void)pthread_mutex_unlock(&(*t)->lock);
    (void)pthread_join((*t)->thread, NULL); /* fails only for a thread that is none */
    store_close(&(*t)->store);
    (void)pthread_cond_destroy(&(*t)->posted);
    (void)pthread_mutex_destroy(&(*t)->lock);
    memory_free(*t);
    *t = NULL;
}
