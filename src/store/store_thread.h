/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_thread.h — the threads of a gateway that touch the store: one writes, one reads.
 *
 * Other threads post jobs; a thread runs them in the order of posting, one after the other, and
 * then calls the job's `done`, on itself: `done` hops back to the poster's loop (net's wake) and
 * does no more. The store never makes a loop wait. Urgent jobs go before all others of the writer;
 * what only reads, such as a page of rows, goes to the reader, which has a handle of its own and
 * does not wait behind batches. It sees what was committed when it runs. No operation waits longer
 * than STORE_THREAD_BUSY_MS for another program.
 *
 * Ownership  the threads own the store. A job's context belongs to the poster until it has posted,
 *            to the job until `done` returns, and to the poster again.
 * Limits     `most_jobs` jobs wait for the writer and as many for the reader, and STORE_URGENT_MAX
 *            urgent ones; the next is refused.
 * Threads    the functions that post from any; open and close from one.
 */
#ifndef STORE_STORE_THREAD_H
#define STORE_STORE_THREAD_H

#include "store/store.h"

#define STORE_URGENT_MAX 64

/* How long a job waits where another program has the database locked: who comes behind it, a
 * revocation above all, has one second. */
#define STORE_THREAD_BUSY_MS 100

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
 * Starts the threads, which take `*store` over and set it to NULL; on failure it stays the
 * caller's.
 *
 *   ERR_NO_MEMORY  also when no thread can be made
 *   and as store_open_reader()
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

/* As store_thread_post(), for what must not wait behind other jobs: it runs after the one that runs
 * now, and after urgent ones that were posted before. */
MUST_USE enum err store_thread_post_urgent(struct store_thread *t, const struct store_job *job);

/* As store_thread_post(), for what only reads: `run` is given the reader's handle. */
MUST_USE enum err store_thread_post_read(struct store_thread *t, const struct store_job *job);

/* Waits, for at most so long, until the writer has run what was posted, urgent jobs first; false:
 * it has not. */
bool store_thread_settle(struct store_thread *t, int64_t most_ms);

/* Jobs that wait or run now. */
size_t store_thread_load(struct store_thread *t);

/* Runs what was posted, ends the threads, closes the store and sets `*t` to NULL. Waits for all of
 * it. Does nothing if `*t` is NULL. */
void store_thread_close(struct store_thread **t);

#endif
