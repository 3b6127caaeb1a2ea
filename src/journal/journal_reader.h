/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_reader.h — the journal from some record on, group by group, as it lies in the segments.
 *
 * Every frame's CRC, every group's count, and that each segment continues the one before it, is
 * checked on the way; that each record does is for who reads their lines (journal_leaf()).
 * A bad frame before the last
 * commit is ERR_JOURNAL_BROKEN; what lies behind the last commit is a tail that does not count: a
 * group that is just being written, or one that a power cut tore.
 *
 * A torn group may reach the disk with its commit frame and without an earlier piece of it, which
 * then reads as zeros from a sector's edge on. That too is a tail, if nothing follows it.
 *
 * Ownership  journal_reader_open() hands the reader to the caller, who gives it back to
 *            journal_reader_close(). A group's spans are valid until the next call.
 * Limits     two groups of memory (2 MiB).
 * Threads    one at a time; any number of readers beside a running gateway.
 * Sources    docs/formats/journal.md.
 */
#ifndef JOURNAL_JOURNAL_READER_H
#define JOURNAL_JOURNAL_READER_H

#include "journal/journal.h"
#include "journal/journal_frame.h"

struct journal_reader;

/*
 * Opens the journal folder `folder` (journal_folder()) to read the group of `sequence` and all
 * after it; 0 and 1 mean from the start.
 *
 *   ERR_FILE            there is no such folder
 *   ERR_JOURNAL_BROKEN  a segment's header is damaged; *where says which
 *   ERR_JOURNAL_OLD     it is of an earlier version
 *   ERR_NOT_FOUND_ROW   the segments begin after `sequence`
 *   ERR_DISK, ERR_NO_MEMORY
 */
MUST_USE enum err journal_reader_open(const char *folder, uint64_t sequence,
                                      struct journal_place *where, struct journal_reader **out);

/*
 * Reads the next group. `first` is the sequence of its first record; it may have none.
 *
 *   ERR_NOT_FOUND_ROW   there is no further whole group: journal_reader_tail() says what is left
 *   ERR_JOURNAL_BROKEN  damage at journal_reader_place()
 *   ERR_JOURNAL_OTHER   the segment there does not continue the one before it
 *   ERR_DISK, ERR_NO_MEMORY
 */
MUST_USE enum err journal_reader_next(struct journal_reader *r, struct journal_group *group,
                                      uint64_t *first);

/* Where the group last read ends, or what is damaged begins. */
struct journal_place journal_reader_place(const struct journal_reader *r);

/* After ERR_NOT_FOUND_ROW: bytes behind the last whole group. */
uint64_t journal_reader_tail(const struct journal_reader *r);

/* Of the segment that the group last read is in, or of the first. */
const struct journal_header *journal_reader_header(const struct journal_reader *r);

/* Segments opened so far. */
size_t journal_reader_segments(const struct journal_reader *r);

/* When what a record tells of was: the attempt began, the call ended, the cut was found. */
int64_t journal_written_ms(const struct journal_record *r);

/*
 * The first record of the last segment that began before `since_ms`, or of the first one: what was
 * written from then on is not before it. `*out` stays as it is where there is no segment.
 *
 *   ERR_FILE  there is no such folder
 *   ERR_DISK, ERR_NO_MEMORY
 */
MUST_USE enum err journal_seek(const char *folder, int64_t since_ms, uint64_t *out);

/* Closes `*r` and sets it to NULL. Does nothing if it is NULL already. */
void journal_reader_close(struct journal_reader **r);

#endif
