/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_apply.h — brings what the journal says into the store: usage, and which calls are open.
 *
 * It listens to the journal and sums records in memory; the store thread applies them in batches,
 * the last applied sequence in the same transaction. So each record counts exactly once, whatever
 * dies in between: what the store has not seen is replayed from the segments.
 *
 * At start-up it catches the store up and settles the calls that are open then: no process lives
 * that could end them, and the lanes have been recovered, so it was a power cut that took their
 * completions. They are recorded as interrupted, at their reservation.
 *
 *   journal_open, journal_apply_open, journal_start, store_thread_open, journal_apply_attach
 *   … a timer calls journal_apply_step() …
 *   journal_close, journal_apply_step, store_thread_close, journal_apply_close
 *
 * Ownership  journal_apply_open() hands it to the caller, who gives it back to
 *            journal_apply_close() after the store thread has ended.
 * Limits     two batches of memory (journal_batch.h); what is more is read from the segments.
 * Threads    open, attach, close: one thread. step: any. now: the store thread.
 */
#ifndef JOURNAL_JOURNAL_APPLY_H
#define JOURNAL_JOURNAL_APPLY_H

#include "journal/journal.h"

#define JOURNAL_APPLY_INTERVAL_MS 200 /* between two calls of journal_apply_step() */

struct journal_apply;
struct store;
struct store_thread;

struct journal_apply_report {
    uint64_t replayed;          /* records that the store had not seen */
    uint64_t settled;           /* calls that were open, now recorded as interrupted */
    struct journal_place place; /* of the damage, with ERR_JOURNAL_BROKEN */
};

/*
 * Replays, settles, and listens from now on. `j` is open and not started. Segments that end before
 * what the store has seen are ERR_JOURNAL_BROKEN: one of the two is not what it was.
 *
 *   ERR_JOURNAL_BROKEN, ERR_DISK, ERR_DISK_FULL, ERR_NO_MEMORY, and what the store says (store.h)
 */
MUST_USE enum err journal_apply_open(struct journal *j, struct store *s,
                                     struct journal_apply_report *report,
                                     struct journal_apply **out);

/* Posts its jobs to `t` from now on. */
void journal_apply_attach(struct journal_apply *a, struct store_thread *t);

/* Posts what has come since the last time, if anything has and no such job waits. Never waits. */
void journal_apply_step(struct journal_apply *a);

/*
 * In a job of the store thread: applies all that was published before, waiting for its commit.
 * Where the journal is in trouble, it applies what is on the disk.
 *
 * Fails as the store does; the records are then replayed by a later step.
 */
MUST_USE enum err journal_apply_now(struct journal_apply *a, struct store *s);

/* Frees `*a` and sets it to NULL. Does nothing if it is NULL already. */
void journal_apply_close(struct journal_apply **a);

#endif
