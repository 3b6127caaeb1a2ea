/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_segment.h — the files that the records end up in. For the files of this part only.
 *
 * A segment is named by its first sequence, "%016x.seg", begins with a header and an empty group,
 * and is only ever appended to: whole groups, each on the disk before the next is begun.
 *
 * Ownership  journal_segment_open() hands the writer to the caller, who gives it back to
 *            journal_segment_close().
 * Threads    one at a time.
 * Sources    docs/formats/journal.md.
 */
#ifndef JOURNAL_JOURNAL_SEGMENT_H
#define JOURNAL_JOURNAL_SEGMENT_H

#include "journal/journal.h"
#include "journal/journal_frame.h"

#define JOURNAL_SEGMENT_NAME_BYTES 24

struct journal_segment;

/* The first sequences of all segments in the folder, ascending; freed with memory_free(). */
MUST_USE enum err journal_segment_list(int folder_fd, uint64_t **out, size_t *count);

/* "%016x.seg" of `first_sequence`. */
void journal_segment_name(uint64_t first_sequence, char out[JOURNAL_SEGMENT_NAME_BYTES]);

/*
 * Opens a segment to read it, and checks its header.
 *
 *   ERR_NOT_FOUND_ROW   there is no such segment
 *   ERR_JOURNAL_BROKEN  the header is damaged
 *   ERR_JOURNAL_OLD     it is of an earlier version
 *   ERR_FILE            this user may not read it
 *   ERR_DISK, ERR_NO_FILES, ERR_NO_MEMORY
 */
MUST_USE enum err journal_segment_look(int folder_fd, uint64_t first_sequence,
                                       struct journal_header *header, int *out_fd);

/*
 * Opens the newest segment for appending, making the first one in an empty folder, and cuts a torn
 * tail off; `report`'s place, torn_bytes, last_sequence and origin are filled. What was `seen` must
 * be there.
 *
 *   ERR_JOURNAL_BROKEN  damage at report->place, or it is too short; nothing was changed
 *   ERR_JOURNAL_OTHER   as report->flaw says; nothing was changed
 *   ERR_JOURNAL_OLD     nothing was changed
 *   ERR_FILE            this user may not write it
 *   ERR_DISK, ERR_DISK_FULL, ERR_NO_MEMORY
 */
MUST_USE enum err journal_segment_open(const char *folder, int folder_fd, int64_t segment_bytes,
                                       const struct journal_seen *seen,
                                       struct journal_report *report, struct journal_segment **out);

/* Looks at where each of the segments begins and ends: none in between is missing, short or another
 * journal's. What lies inside the older ones is checked by who reads it. Sets report->origin. */
MUST_USE enum err journal_look_at_all(int folder_fd, const uint64_t *firsts, size_t count,
                                      struct journal_report *report);

/* Reads the newest segment to its last commit, after journal_look_at_all(); what was `seen` must be
 * in the journal. `size` is the last group's. */
MUST_USE enum err journal_look_at_newest(const char *folder, uint64_t first,
                                         const struct journal_seen *seen,
                                         struct journal_report *report, struct journal_commit *last,
                                         size_t *size);

/* Whether nothing is missed where there is no segment. */
MUST_USE enum err journal_look_at_none(const struct journal_seen *seen,
                                       struct journal_report *report);

/* The last commit. */
const struct journal_commit *journal_segment_last(const struct journal_segment *s);

/*
 * Appends a group and waits for the disk. `group` holds its record frames; the commit frame is
 * added to it. With `c->records` 0 nothing is done.
 *
 *   ERR_DISK_FULL  nothing was written; `group` is as it was; it may be tried again
 *   ERR_NO_FILES, ERR_NO_MEMORY  likewise: the next segment could not be opened for want of them
 *   ERR_DISK       nobody knows what was written: the writer must not be used again
 */
MUST_USE enum err journal_segment_append(struct journal_segment *s, struct buf *group,
                                         const struct journal_commit *c);

/* Sets the size at which a segment is followed by the next. */
void journal_segment_reload(struct journal_segment *s, int64_t segment_bytes);

/* Closes `*s` and sets it to NULL. Does nothing if it is NULL already. */
void journal_segment_close(struct journal_segment **s);

#endif
