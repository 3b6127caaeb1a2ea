/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.h — the one log of calls: opened, recovered, written by one thread, closed.
 *
 * Workers publish records in lanes (journal_slots.h). The journal thread takes what is ready from
 * all of them, writes it as one group to the newest segment, waits for the disk, tells who listens,
 * and frees the slots. A group closes after `commit_interval_ms`, or sooner when 512 records of a
 * lane wait or a worker waits for one (journal_await()).
 *
 * Each record names the one before it by its hash, the first one gives the journal its name (its
 * *origin*), and each segment names both, so that no record can be lost, added or changed, nor a
 * segment be exchanged, without its being seen.
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
 * Limits     256 workers.
 * Threads    open, listen, on_commit, append, start, close: one thread, in this order.
 *            state, last, settle, reload: any, until close. Callbacks come on the journal thread.
 * Sources    docs/formats/journal.md; fdatasync: "PostgreSQL's fsync() surprise" (LWN, 2018).
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "journal/journal_record.h"
#include "journal/journal_settings.h"
#include "journal/journal_slots.h"

#define JOURNAL_WORKERS_MAX   256
#define JOURNAL_LANES_FURTHER 2  /* behind the workers': housekeeping's, the store thread's */
#define JOURNAL_STATE_SLOTS   64 /* of each of these */

struct journal;

/* What the store has seen of a journal: journal_open() looks whether it is this one. */
struct journal_seen {
    uint64_t sequence;                     /* the last record; 0: none */
    uint8_t head[JOURNAL_HASH_BYTES];      /* its leaf hash */
    char origin[JOURNAL_ORIGIN_CHARS + 1]; /* "": it has seen no journal */
};

/* How a journal that is not damaged is not what it should be. */
enum journal_flaw {
    JOURNAL_FLAWLESS,
    JOURNAL_SHORT,    /* it ends before what the store has seen */
    JOURNAL_HEADLESS, /* its first segments are missing */
    JOURNAL_MIXED,    /* a segment is another journal's, or does not continue the one before */
    JOURNAL_RENAMED,  /* a segment has another one's name */
    JOURNAL_FOREIGN,  /* the store has seen another journal */
    JOURNAL_FORKED    /* it had another record than the store has seen: one of the two is a copy
                         that went on by itself */
};

/* What is wrong and what to do, as a part of a sentence; "" for JOURNAL_FLAWLESS. */
const char *journal_flaw_sentence(enum journal_flaw flaw);

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
    uint64_t needed_bytes;      /* with ERR_DISK_FULL: what the lanes take, and what there is; */
    uint64_t free_bytes;        /* 0 and 0: something else found no room */
    enum journal_flaw flaw;     /* with ERR_JOURNAL_BROKEN and ERR_JOURNAL_OTHER: what is wrong */
    char origin[JOURNAL_ORIGIN_CHARS + 1]; /* the journal's name */
};

/* A record that is on the disk. */
struct journal_told {
    const struct journal_record *record;
    struct span line;
    struct span state; /* an admin record's JSON */
    uint8_t leaf[JOURNAL_HASH_BYTES];
};

/* One who is told of every record once it is on the disk, in order. */
struct journal_listener {
    void (*on_record)(void *ctx, const struct journal_told *told);
    void (*on_commit)(void *ctx, uint64_t last_sequence); /* after a group's records; or NULL */
    void *ctx;
};

/* Told that a ticket which journal_await() asked for is durable, or that the journal is in trouble.
 */
typedef void journal_on_durable(void *ctx);

/*
 * Opens the journal in `folder`/journal, making it if it is not there, and recovers it. `report` is
 * filled in any case. `seen` is what the store has read in it before. It has a lane for each of
 * `workers`, and JOURNAL_LANES_FURTHER behind them, whose slots have room for states.
 *
 *   ERR_JOURNAL_BROKEN  damage before the last commit, or it is too short
 *   ERR_JOURNAL_OTHER   it is sound, but not the journal of before: report->flaw says how
 *   ERR_JOURNAL_OLD     of a version that wrote other records
 *   ERR_DISK, ERR_DISK_FULL, ERR_FILE, ERR_NO_MEMORY
 *
 * With the first three all was left as it is, and with any no folder that was not there.
 */
MUST_USE enum err journal_open(const char *folder, const struct journal_settings *settings,
                               size_t workers, const struct journal_seen *seen,
                               struct journal_report *report, struct journal **out);

/*
 * Looks at the segments in `folder`, which is the journal's own, as journal_open() does, also
 * beside a gateway, and changes nothing. Where there is none, and none is missed, ERR_OK with
 * report->last_sequence 0.
 *
 *   ERR_JOURNAL_BROKEN, ERR_JOURNAL_OTHER, ERR_JOURNAL_OLD, ERR_DISK, ERR_FILE, ERR_NO_MEMORY
 */
MUST_USE enum err journal_look(const char *folder, const struct journal_seen *seen,
                               struct journal_report *report);

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

/* The lane of worker `lane`; the number of workers is housekeeping's, the one after it the store
 * thread's. */
struct journal_lane *journal_lane(struct journal *j, size_t lane);

/* What it waits for before it writes on: ERR_NO_FILES, ERR_NO_MEMORY; ERR_OK if for nothing. Calls
 * go on for as long as their slots last. */
enum err journal_want(const struct journal *j);

/* ERR_OK; ERR_DISK_FULL while no call may start; ERR_DISK when the process must end. */
enum err journal_state(const struct journal *j);

/*
 * Waits until all that was published before is on the disk and listeners were told of it: two
 * commits at most. Not for a thread that runs a loop.
 *
 *   ERR_DISK, ERR_DISK_FULL  as journal_state(): it is not
 *   ERR_JOURNAL_FULL         as journal_want(), for a second or longer: it is not yet
 */
MUST_USE enum err journal_settle(struct journal *j);

/* The last sequence number on the disk; 0 before the first. */
uint64_t journal_last(const struct journal *j);

/* The folder of the segments, for journal_reader.h. */
const char *journal_folder(const struct journal *j);

/* The journal's name, JOURNAL_ORIGIN_CHARS characters. */
const char *journal_origin(const struct journal *j);

/*
 * Writes what is published, ends the thread, closes the files, sets `*j` to NULL. Workers must have
 * ended. On a full disk the reserve file is given up for it; what does not fit stays in the lanes
 * for the next start. Does nothing if it is NULL already.
 */
void journal_close(struct journal **j);

#endif
