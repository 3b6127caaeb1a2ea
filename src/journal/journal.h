/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.h — the one log of calls: opened, recovered, written by one thread, closed.
 *
 * Workers publish records in lanes (journal_slots.h). The journal thread takes what is ready from
 * all of them, writes it as one group to the newest segment, waits for the disk, tells who listens,
 * and frees the slots. A group closes after `commit_interval_ms`, or sooner when 512 records of a
 * lane wait or a worker waits for one (journal_await()).
 *
 * Opening leaves a journal without open ends: a torn last group is cut off and recorded, slots that
 * a killed process left ready are moved to the segments once, armed ones are recorded as
 * interrupted. After a power cut the lanes are not trusted (the machine's boot id tells); calls
 * that are open then are found by journal_apply.h.
 *
 * When the disk is full journal_take() says so, nothing is lost, and it goes on by itself when
 * there is room. When a write or fdatasync fails otherwise, nothing more is ever said to be durable
 * and the process must end: the next one recovers from what the disk really holds.
 *
 * Ownership  journal_open() hands the journal to the caller, who gives it back to journal_close().
 *            Lanes belong to the journal. The data folder is locked by the caller.
 * Limits     256 lanes.
 * Threads    open, listen, on_commit, append, start, close: one thread, in this order.
 *            state, last, settle, reload: any, until close. Callbacks come on the journal thread.
 * Sources    docs/formats/journal.md; fdatasync: "PostgreSQL's fsync() surprise" (LWN, 2018).
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "journal/journal_record.h"
#include "journal/journal_settings.h"
#include "journal/journal_slots.h"

#define JOURNAL_WORKERS_MAX 256

struct journal;

/* A place in the journal's folder, for a sentence to the operator. */
struct journal_place {
    char file[24];
    uint64_t offset;
};

/* What opening found and did. */
struct journal_report {
    struct journal_place place; /* of the torn tail; of the damage with ERR_JOURNAL_BROKEN */
    uint64_t torn_bytes;        /* cut off at `place`; 0: nothing was */
    uint64_t recovered;         /* records that a killed process had published */
    uint64_t interrupted;       /* calls that it left open */
    uint64_t discarded;         /* slots that held no valid record: it went mad before it died */
    uint64_t last_sequence;     /* after all this */
    bool is_short;              /* with ERR_JOURNAL_BROKEN: it is sound, and ends before `seen` */
};

/* One who is told of every record once it is on the disk, in order. */
struct journal_listener {
    void (*on_record)(void *ctx, const struct journal_record *record, struct span line);
    void (*on_commit)(void *ctx, uint64_t last_sequence); /* after a group's records; or NULL */
    void *ctx;
};

/* Told that a ticket which journal_await() asked for is durable, or that the journal is in trouble.
 */
typedef void journal_on_durable(void *ctx);

/*
 * Opens the journal in `folder`/journal, making it if it is not there, and recovers it. `report` is
 * filled in any case. `seen` is the last record that was read in it before, by the store: a journal
 * that ends earlier has lost some.
 *
 *   ERR_JOURNAL_BROKEN  damage before the last commit, or it is too short; all was left as it is
 *   ERR_DISK, ERR_DISK_FULL, ERR_FILE, ERR_NO_MEMORY
 */
MUST_USE enum err journal_open(const char *folder, const struct journal_settings *settings,
                               size_t lanes, uint64_t seen, struct journal_report *report,
                               struct journal **out);

/* Adds a listener, of at most four. */
void journal_listen(struct journal *j, const struct journal_listener *listener);

/* Sets who is told for journal_await() on lane `lane`. */
void journal_on_commit(struct journal *j, size_t lane, journal_on_durable *on_durable, void *ctx);

/*
 * Writes records at once and waits for the disk; before journal_start() only. Listeners hear of
 * them. Sets their sequences. On failure the first ones may have been written.
 *
 *   ERR_DISK, ERR_DISK_FULL
 */
MUST_USE enum err journal_append(struct journal *j, struct journal_record *records, size_t count);

/* Starts the journal thread. ERR_NO_MEMORY: it cannot be started. */
MUST_USE enum err journal_start(struct journal *j);

/* Takes the commit interval and the segments' size from `settings` from the next group on. The
 * number of slots needs a restart. */
void journal_reload(struct journal *j, const struct journal_settings *settings);

/* The lane of worker `lane`. */
struct journal_lane *journal_lane(struct journal *j, size_t lane);

/* ERR_OK; ERR_DISK_FULL while no call may start; ERR_DISK when the process must end. */
enum err journal_state(const struct journal *j);

/*
 * Waits until all that was published before is on the disk and listeners were told of it: two
 * commits at most. Not for a thread that runs a loop.
 *
 *   ERR_DISK, ERR_DISK_FULL  as journal_state(): it is not
 */
MUST_USE enum err journal_settle(struct journal *j);

/* The last sequence number on the disk; 0 before the first. */
uint64_t journal_last(const struct journal *j);

/* The folder of the segments, for journal_reader.h. */
const char *journal_folder(const struct journal *j);

/*
 * Writes what is published, ends the thread, closes the files, sets `*j` to NULL. Workers must have
 * ended. On a full disk the reserve file is given up for it; what does not fit stays in the lanes
 * for the next start. Does nothing if it is NULL already.
 */
void journal_close(struct journal **j);

#endif
