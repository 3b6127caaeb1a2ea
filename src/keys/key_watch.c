/* SPDX-License-Identifier: Apache-2.0 */
/* The file is looked at before what was posted is written: a disk that takes its time for the one
 * must not keep the other waiting. */
#include "keys/key_watch.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/counter.h"
#include "base/memory.h"
#include "keys/keys_change.h"
#include "store/store_thread.h"

#define RETRY_FIRST_MS 200
#define RETRY_MOST_MS  10000

struct key_watch {
    struct keys *keys;
    struct key_deny *deny;
    struct key_deny_place place; /* the thread's alone: how far it has read */
    pthread_t thread;

    pthread_mutex_t lock; /* for the rest */
    pthread_cond_t woken; /* a job was posted, or `stopping` was set */
    struct list jobs;     /* struct key_watch_job */
    bool stopping;
    bool behind;             /* the store may not have heard of all that is in the file */
    bool posted;             /* a job of the store's waits or runs */
    uint64_t known, telling; /* lines that were seen, and before which that job tells of them: who
                                revokes a key by its id tells of it before the line is there */
    enum err trouble;
    int64_t retry_ms; /* how long the next failure is waited after */
    mono_us retry_at;
};

static void lock(struct key_watch *w)
{
    CHECK(pthread_mutex_lock(&w->lock) == 0);
}

static void unlock(struct key_watch *w)
{
    CHECK(pthread_mutex_unlock(&w->lock) == 0);
}

static void on_denial(void *context, const struct key_denial *denial)
{
    struct key_watch *w = context;
    enum err e = keys_deny(w->keys, span_make(denial->id, KEY_ID_CHARS), denial->when);
    (void)e; /* a key that is not here is refused as it is */
}

static void look(struct key_watch *w)
{
    uint64_t before = w->place.line;
    enum err followed = key_deny_follow(w->deny, &w->place);
    (void)followed; /* else the one that is open is read */
    bool is_other = w->place.line != before;
    enum err e = key_deny_read(w->deny, &w->place, on_denial, w);
    (void)e; /* the next look is soon */
    if (is_other || w->place.line != before) {
        lock(w);
        w->behind = true;
        w->known = w->place.line;
        unlock(w);
    }
}

/* Waits for a job, for the time of the next look, or for the end. */
static struct key_watch_job *wait_for_job(struct key_watch *w, bool *stopping)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until); /* cannot fail with this clock */
    until.tv_nsec += (long)KEY_WATCH_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    lock(w);
    if (list_is_empty(&w->jobs) && !w->stopping) {
        (void)pthread_cond_timedwait(&w->woken, &w->lock, &until); /* either way it looks */
    }
    struct list *link = list_pop_front(&w->jobs);
    *stopping = w->stopping;
    unlock(w);
    return link == NULL ? NULL : LIST_OF(link, struct key_watch_job, link);
}

static void *work(void *context)
{
    struct key_watch *w = context;
    bool stopping = false;
    counter_thread_start();
    (void)pthread_setname_np(pthread_self(), "atlas-revoked"); /* only a name */
    for (;;) {
        struct key_watch_job *job = wait_for_job(w, &stopping);
        look(w);
        if (job != NULL) {
            job->result = key_deny_add(w->deny, span_make(job->id, KEY_ID_CHARS), job->when);
            look(w);
            job->done(job);
        } else if (stopping) {
            return NULL;
        }
    }
}

/* Starts the thread with all signals blocked: they are the main thread's. */
static bool start(struct key_watch *w)
{
    sigset_t all, before;
    (void)sigfillset(&all); /* none of these fails with valid arguments */
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    bool is_started = pthread_create(&w->thread, NULL, work, w) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return is_started;
}

enum err key_watch_open(struct keys *keys, struct key_deny *deny, struct key_watch **out)
{
    struct key_watch *w = memory_new(sizeof(*w));
    pthread_condattr_t monotonic;
    if (w == NULL) {
        return ERR_NO_MEMORY;
    }
    w->keys = keys;
    w->deny = deny;
    w->behind = true; /* a store that was restored from a backup has not heard of all */
    w->retry_ms = RETRY_FIRST_MS;
    list_init(&w->jobs);
    (void)pthread_mutex_init(&w->lock, NULL); /* none of these fails on Linux */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->woken, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (!start(w)) {
        memory_free(w);
        return ERR_NO_MEMORY;
    }
    *out = w;
    return ERR_OK;
}

void key_watch_post(struct key_watch *w, struct key_watch_job *job)
{
    lock(w);
    list_push_back(&w->jobs, &job->link);
    (void)pthread_cond_signal(&w->woken);
    unlock(w);
}

static enum err run_job(struct store *s, void *context)
{
    struct key_watch *w = context;
    return keys_tell_store(w->deny, s, w->telling); /* which is another's once this is over */
}

static void on_job_done(void *context, enum err result)
{
    struct key_watch *w = context;
    lock(w);
    w->posted = false;
    w->trouble = result;
    if (result == ERR_OK) {
        w->retry_ms = RETRY_FIRST_MS;
    } else {
        w->behind = true;
        w->retry_at = clock_after_ms(clock_mono(), w->retry_ms);
        w->retry_ms = w->retry_ms * 2 < RETRY_MOST_MS ? w->retry_ms * 2 : RETRY_MOST_MS;
    }
    unlock(w);
}

void key_watch_step(struct key_watch *w, struct store_thread *store)
{
    const struct store_job job = {run_job, on_job_done, w};
    lock(w);
    bool is_due = clock_since(w->retry_at, clock_mono()) >= 0;
    bool post = w->behind && !w->posted && is_due;
    if (post) {
        w->posted = true;
        w->behind = false; /* what comes from now on is another job's */
        w->telling = w->known;
    }
    unlock(w);
    if (post && store_thread_post_urgent(store, &job) != ERR_OK) {
        lock(w);
        w->posted = false; /* the next step tries again */
        w->behind = true;
        unlock(w);
    }
}

enum err key_watch_trouble(struct key_watch *w)
{
    lock(w);
    enum err trouble = w->trouble;
    unlock(w);
    return trouble;
}

void key_watch_close(struct key_watch **watch)
{
    struct key_watch *w = *watch;
    if (w == NULL) {
        return;
    }
    *watch = NULL;
    lock(w);
    w->stopping = true;
    (void)pthread_cond_signal(&w->woken);
    unlock(w);
    (void)pthread_join(w->thread, NULL); /* fails only for a thread that is none */
    (void)pthread_cond_destroy(&w->woken);
    (void)pthread_mutex_destroy(&w->lock);
    memory_free(w);
}
