/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_apply.h — brings what the journal says into the store: usage, and which calls are open.
 *
 * It listens to the journal and sums records in memory; the store thread applies them in batches,
 * the last applied sequence in the same transaction. So each record counts exactly once, whatever
 * dies in between: what the store has not seen is replayed from the segments.
 *
 * At start-up it catches the store up and settles the tries that are open then: no process lives
 * that could end them, and the lanes have been recovered, so it was a power cut that took their
 * ends. They are recorded as interrupted, at their reservation, the last one of a call by its
 * completion.
 *
 *   journal_apply_seen, journal_open, journal_apply_open, journal_start, store_thread_open,
 *   journal_apply_attach
 *   … a timer calls journal_apply_step() …
 *   journal_apply_stop, journal_close, journal_apply_step, store_thread_close, journal_apply_close
 *
 * Ownership  journal_apply_open() hands it to the caller, who gives it back to
 *            journal_apply_close() after the store thread has ended.
 * Limits     two batches of memory (journal_batch.h); what is more is read from the segments. A
 *            store that fails is asked again after JOURNAL_APPLY_WAIT_MS, twice that, and so on up
 *            to JOURNAL_APPLY_WAIT_MAX_MS; one that another program locks, up to
 *            JOURNAL_APPLY_BUSY_MAX_MS, as asking that costs little.
 * Threads    open, attach, stop, close: one thread. step, state: any. now, change: the store's.
 */
#ifndef JOURNAL_JOURNAL_APPLY_H
#define JOURNAL_JOURNAL_APPLY_H

#include "base/clock.h"
#include "journal/journal.h"

#define JOURNAL_APPLY_INTERVAL_MS 200 /* between two calls of journal_apply_step() */
#define JOURNAL_APPLY_WAIT_MS     400
#define JOURNAL_APPLY_WAIT_MAX_MS 30000
#define JOURNAL_APPLY_BUSY_MAX_MS 1000

struct journal_apply;
struct store;
struct store_thread;

struct journal_apply_report {
    uint64_t replayed;          /* records that the store had not seen */
    uint64_t settled;           /* calls that were open, now recorded as interrupted */
    struct journal_place place; /* of the damage, with ERR_JOURNAL_BROKEN */
};

/* How far the store has come. */
struct journal_apply_state {
    uint64_t told;     /* the last record that is on the disk and was heard of */
    uint64_t applied;  /* the last record that the store has */
    enum err error;    /* why it did not take the last batch; ERR_OK: it did */
    unsigned failures; /* since the last success */
    mono_us retry;     /* when it is asked again, after a failure */
};

/* Reads from a store what it has seen of the journal: for journal_open(). As store_sequence(). */
MUST_USE enum err journal_apply_seen(struct store *s, struct journal_seen *out);

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

/* Posts what has come since the last time, if anything has, no such job waits, and the time to ask
 * again has come after a failure. Never waits. */
void journal_apply_step(struct journal_apply *a);

void journal_apply_state(struct journal_apply *a, struct journal_apply_state *out);

/*
 * In a job of the store thread: applies all that was published before, waiting for its commit.
 * Where the journal is in trouble, or journal_apply_stop() was called, it applies what is on the
 * disk.
 *
 * Fails as the store does; the records are then replayed by a later step.
 */
MUST_USE enum err journal_apply_now(struct journal_apply *a, struct store *s);

/*
 * The same for a change of a row: returns ERR_OK only where all that was published is in the store,
 * and asks none that failed before it is to be asked again: then it says what the store said.
 */
MUST_USE enum err journal_apply_change(struct journal_apply *a, struct store *s);

/* From here on nobody waits for the journal: before it is closed. Waits for one who does. Does
 * nothing for NULL. */
void journal_apply_stop(struct journal_apply *a);

/* Frees `*a` and sets it to NULL. Does nothing if it is NULL already. */
void journal_apply_close(struct journal_apply **a);

#endif
