/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_internal.h — what the files of this part share: lanes, how the thread is woken, groups.
 *
 * Threads  as said at each field.
 */
#ifndef JOURNAL_JOURNAL_INTERNAL_H
#define JOURNAL_JOURNAL_INTERNAL_H

#include <dirent.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "journal/journal.h"
#include "journal/journal_frame.h"
#include "journal/journal_segment.h"
#include "journal/journal_slots.h"

#define JOURNAL_SLOT_BYTES 768
#define JOURNAL_NO_SLOT    UINT32_MAX

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
#define JOURNAL_LANE_LAYOUT 2
#define JOURNAL_LANE_PAGE   4096

enum journal_slot_state { JOURNAL_FREE, JOURNAL_TAKEN, JOURNAL_ARMED, JOURNAL_READY };

struct journal_slot {
    _Atomic uint32_t state; /* enum journal_slot_state */
    uint32_t unused;
    uint64_t ticket; /* from 1, once ready */
    uint64_t intent; /* once armed */
    struct journal_record record;
    uint8_t filler[JOURNAL_SLOT_BYTES - 24 - sizeof(struct journal_record)];
};

_Static_assert(sizeof(struct journal_slot) == JOURNAL_SLOT_BYTES, "twelve cache lines");

/* What the journal thread does, and so what a publisher must do about it. */
enum journal_mood { JOURNAL_BUSY, JOURNAL_DOZING, JOURNAL_ASLEEP };

struct journal_bell {
    _Atomic uint32_t mood;
    _Atomic uint32_t trouble; /* enum err: ERR_OK, ERR_DISK_FULL or ERR_DISK */
    sem_t wake;
};

struct journal_lane {
    struct journal_lane_file *file; /* mapped */
    struct journal_slot *slots;     /* in the same mapping */
    struct journal_bell *bell;
    uint32_t count, mask; /* slots; size of `ring`, less one */
    uint32_t hurry_at;    /* so many wait for the thread, so it does not doze; a power of two */
    uint32_t *ring;       /* published slots by ticket: filled by the worker, read by the thread */
    uint32_t *next;       /* links of `returned`, by slot */

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

/* Wakes the journal thread if it sleeps or, with `hurry`, dozes. */
void journal_ring(struct journal_bell *bell, bool hurry);

/*
 * Makes the file `name` in `folder_fd` anew with `slots` free slots, all its disk space taken, and
 * maps it.
 *
 *   ERR_DISK_FULL, ERR_DISK, ERR_NO_MEMORY
 */
MUST_USE enum err journal_lane_open(int folder_fd, const char *name, size_t slots,
                                    struct journal_bell *bell, struct journal_lane *out);

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

/* ERR_DISK_FULL or ERR_DISK for an errno. */
enum err journal_disk_error(int number);

#define JOURNAL_GROUP_RECORDS 1024

/* Record frames take no more than this of a group, so that one more and the commit always fit. */
#define JOURNAL_GROUP_FULL (JOURNAL_GROUP_MAX - 16384)

/* The group that is being put together, and what was said in the last commit. */
struct journal_writer {
    struct journal_segment *segment;
    struct buf frames;            /* of `commit.records` records */
    struct journal_commit commit; /* of this group; its last sequence counts what is in `frames` */
    struct journal_record *records[JOURNAL_GROUP_RECORDS];
};

/* Gives `record` the next sequence and adds it to the group. */
void journal_writer_add(struct journal_writer *w, struct journal_record *record);

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

#endif
