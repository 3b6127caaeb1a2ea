/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_thread.h — the one thread of a gateway that touches the store.
 *
 * Other threads post jobs; the thread runs them in the order of posting, one after the other, and
 * then calls the job's `done`, on itself: `done` hops back to the poster's loop (net's wake) and
 * does no more. The store never makes a loop wait.
 *
 * Ownership  the thread owns the store. A job's context belongs to the poster until it has posted,
 *            to the job until `done` returns, and to the poster again.
 * Limits     `most_jobs` jobs wait; the next is refused.
 * Threads    store_thread_post() from any; open and close from one.
 */
#ifndef STORE_STORE_THREAD_H
#define STORE_STORE_THREAD_H

#include "store/store.h"

struct store_thread;

/* The work; leaves no batch open. */
typedef enum err store_job_run(struct store *s, void *context);

/* Told what the work returned. */
typedef void store_job_done(void *context, enum err result);

struct store_job {
    store_job_run *run;
    store_job_done *done; /* or NULL */
    void *context;
};

/*
 * Starts the thread, which takes `*store` over and sets it to NULL; on failure it stays the
 * caller's.
 *
 *   ERR_NO_MEMORY  also when no thread can be made
 */
MUST_USE enum err store_thread_open(struct store **store, size_t most_jobs,
                                    struct store_thread **out);

/*
 * Posts a job; never waits.
 *
 *   ERR_OVERLOADED  as many jobs as may wait do
 *   ERR_DRAINING    the thread is stopping
 * In both cases neither `run` nor `done` is called.
 */
MUST_USE enum err store_thread_post(struct store_thread *t, const struct store_job *job);

/* Jobs that wait or run now. */
size_t store_thread_load(struct store_thread *t);

/* Runs what was posted, ends the thread, closes the store and sets `*t` to NULL. Waits for all of
 * it. Does nothing if `*t` is NULL. */
void store_thread_close(struct store_thread **t);

#endif
