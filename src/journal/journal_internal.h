/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_internal.h — what the files of this part share: lanes, how the thread is woken, groups.
 *
 * Threads  as said at each field.
 */
#ifndef JOURNAL_JOURNAL_INTERNAL_H
#define JOURNAL_JOURNAL_INTERNAL_H

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "journal/journal.h"
#include "journal/journal_frame.h"
#include "journal/journal_segment.h"
#include "journal/journal_slots.h"

#define JOURNAL_SLOT_BYTES       2048
#define JOURNAL_STATE_SLOT_BYTES (JOURNAL_SLOT_BYTES + JOURNAL_STATE_MAX) /* of admin's lanes */
#define JOURNAL_NO_SLOT          UINT32_MAX

/* The first page of a lane's file. */
struct journal_lane_file {
    char magic[8];
    uint32_t layout; /* of this struct, the slot and the record */
    uint32_t slot_bytes;
    uint32_t slots;
    _Atomic uint32_t touched; /* slots from here on were never taken */
    char boot[40];            /* the machine's life in which it was made: /proc/.../boot_id */
    uint64_t id;              /* random: names this file among all lanes that ever were */
};

#define JOURNAL_LANE_MAGIC  "ATLASLNE"
#define JOURNAL_LANE_LAYOUT 8
#define JOURNAL_LANE_PAGE   4096

enum journal_slot_state { JOURNAL_FREE, JOURNAL_TAKEN, JOURNAL_ARMED, JOURNAL_READY };

struct journal_slot {
    _Atomic uint32_t state; /* enum journal_slot_state */
    uint32_t index;         /* its place in the lane */
    uint64_t ticket;        /* from 1, once ready */
    uint64_t intent;        /* once armed: its intent's ticket */
    struct journal_record record;
    uint8_t filler[JOURNAL_SLOT_BYTES - 24 - sizeof(struct journal_record)];
    char json[]; /* in a lane of states: JOURNAL_STATE_MAX bytes */
};

_Static_assert(sizeof(struct journal_slot) == JOURNAL_SLOT_BYTES, "32 cache lines");

/* What the journal thread does, and so what a publisher must do about it. */
enum journal_mood { JOURNAL_BUSY, JOURNAL_DOZING, JOURNAL_ASLEEP };

struct journal_bell {
    _Atomic uint32_t mood;
    _Atomic uint32_t trouble; /* enum err: ERR_OK, ERR_DISK_FULL or ERR_DISK */
    sem_t wake;
};

struct journal_lane {
    struct journal_lane_file *file; /* mapped */
    struct journal_bell *bell;
    uint32_t count, mask; /* slots; size of `ring`, less one */
    uint32_t slot_bytes;
    uint32_t hurry_at; /* so many wait for the thread, so it does not doze; a power of two */
    uint32_t *ring;    /* published slots by ticket: filled by the worker, read by the thread */
    uint32_t *next;    /* links of `returned`, by slot */

    /* the worker's */
    char apart_1[64];
    uint32_t *stack; /* free slots that were used before */
    uint32_t stacked;
    uint32_t fresh; /* the next slot that was never used */
    uint64_t published_here;

    /* worker to thread */
    char apart_2[64];
    _Atomic uint64_t published; /* last ticket in `ring` */
    _Atomic uint32_t wanted;    /* 1: the worker waits for `durable` to move */

    /* thread to worker */
    char apart_3[64];
    _Atomic uint64_t durable;   /* last ticket on the disk */
    _Atomic uint64_t collected; /* last ticket that the thread has seen */
    _Atomic uint32_t returned;  /* head of the slots freed */
    _Atomic uint64_t freed;     /* last ticket that listeners were told of and whose slot is free */

    /* the thread's; set before it starts */
    journal_on_durable *on_durable;
    void *on_durable_ctx;
};

/* Slot `index` of a lane's file. */
static inline struct journal_slot *journal_slot_at(struct journal_lane_file *file, size_t index,
                                                   size_t slot_bytes)
{
    return (struct journal_slot *)((char *)file + JOURNAL_LANE_PAGE + index * slot_bytes);
}

/* What of an admin record's JSON lies in the slot, if that has room for it. */
static inline struct span journal_slot_json(const struct journal_slot *slot, size_t slot_bytes)
{
    size_t room = slot_bytes - JOURNAL_SLOT_BYTES;
    size_t len = slot->record.state_bytes;
    return span_make(slot->json, len <= room ? len : 0);
}

/* Wakes the journal thread if it sleeps or, with `hurry`, dozes. */
void journal_ring(struct journal_bell *bell, bool hurry);

/* How a lane is made. */
struct journal_lane_plan {
    size_t slots;
    size_t slot_bytes; /* JOURNAL_SLOT_BYTES or JOURNAL_STATE_SLOT_BYTES */
    struct journal_bell *bell;
};

/*
 * Makes the file `name` in `folder_fd` anew with free slots, all its disk space taken, and maps it.
 *
 *   ERR_DISK_FULL, ERR_DISK, ERR_NO_MEMORY
 */
MUST_USE enum err journal_lane_open(int folder_fd, const char *name,
                                    const struct journal_lane_plan *plan, struct journal_lane *out);

/* Unmaps; the file stays. Does nothing to a lane of zeros. */
void journal_lane_close(struct journal_lane *lane);

/* The journal thread's side: the slot of `ticket`, which is published and not collected. */
struct journal_slot *journal_lane_slot(const struct journal_lane *lane, uint64_t ticket);

/* The journal thread's side: says that the tickets up to `last` are durable, to who waits for it.
 */
void journal_lane_durable(struct journal_lane *lane, uint64_t last);

/* The journal thread's side: frees the slots of the tickets up to `last`, which are durable. */
void journal_lane_free_to(struct journal_lane *lane, uint64_t last);

/* Name of the lane's file: "lane-000". `out` has room for 16 bytes. */
void journal_lane_name(size_t lane, char out[16]);

/* The machine's present life, as struct journal_lane_file keeps it; all zeros where the system does
 * not tell. ERR_DISK: it could not be read now. */
MUST_USE enum err journal_boot(char out[40]);

/* ERR_DISK_FULL, ERR_NO_FILES, ERR_NO_MEMORY or, for all others, ERR_DISK for an errno. */
enum err journal_disk_error(int number);

#define JOURNAL_GROUP_RECORDS 1024

/* Record frames take no more than this of a group, so that one more and the commit always fit. */
#define JOURNAL_GROUP_FULL \
    (JOURNAL_GROUP_MAX - JOURNAL_FRAME_BYTES - JOURNAL_LINE_MAX - JOURNAL_COMMIT_FRAME_MAX)

/* The group that is being put together, and what was said in the last commit. */
struct journal_writer {
    struct journal_segment *segment;
    struct buf frames;            /* of `commit.records` records */
    struct journal_commit commit; /* of this group; last sequence and head count what is in it */
    struct journal_told told[JOURNAL_GROUP_RECORDS]; /* its records; their lines come later */
};

/* Gives `record` the next sequence, chains it to the one before and adds it to the group. `state`:
 * an admin record's JSON. */
void journal_writer_add(struct journal_writer *w, struct journal_record *record, struct span state);

/* Whether the group takes no more. */
bool journal_writer_is_full(const struct journal_writer *w);

/* Writes the group, which stays until it is cleared; as journal_segment_append(). */
MUST_USE enum err journal_writer_commit(struct journal_writer *w);

/* Begins the next group. */
void journal_writer_clear(struct journal_writer *w);

/*
 * Moves what a killed process left in the lanes' files of the folder to the segments, and removes
 * the files. `report` counts.
 *
 *   ERR_DISK, ERR_DISK_FULL, ERR_NO_MEMORY   it can be tried again: nothing enters twice
 */
MUST_USE enum err journal_recover(int folder_fd, struct journal_writer *w,
                                  struct journal_report *report);

/* The folder's entries from the first on, for closedir(); NULL with errno set. */
DIR *journal_folder_read(int folder_fd);

#define JOURNAL_LISTENERS_MAX 4
#define JOURNAL_RESERVE_NAME  "reserve"

struct journal {
    char *folder;
    char origin[JOURNAL_ORIGIN_CHARS + 1];
    int folder_fd;
    _Atomic int64_t interval_ms;
    _Atomic int64_t segment_bytes;
    struct journal_bell bell;
    struct journal_lane *lanes;
    size_t lane_count;
    struct journal_listener listeners[JOURNAL_LISTENERS_MAX];
    size_t listener_count;
    struct journal_writer writer;
    _Atomic uint64_t last; /* sequence that is on the disk */
    _Atomic uint32_t stopping;
    _Atomic uint32_t want; /* enum err: what it waits for, but for room on the disk */
    _Atomic bool starves;  /* it has waited for that so long that journal_settle() does not */
    bool started;
    bool has_reserve;
    pthread_t thread;
    pthread_mutex_t lock; /* for `ended` */
    pthread_cond_t ended; /* a group, or all hope: for journal_settle() */
};

#endif
