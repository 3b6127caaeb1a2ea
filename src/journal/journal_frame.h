/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_frame.h — how records lie in a segment: frames, and groups that count or do not.
 *
 *   segment   header, group, group, …
 *   header    magic 8 | version 4 | header bytes 4 | first sequence 8 | made, ms 8 | origin 32 |
 *             head 32 | zeros 28 | CRC 4
 *   group     record frame, …, commit frame
 *   frame     length 4 | CRC 4 | payload       the CRC is over the length and the payload
 *   record    one line of JSON (journal_record.h)
 *   commit    magic 8 | version 2 | lanes 2 | records 4 | last sequence 8 | bytes 8 | head 32 |
 *             for each lane: id 8 | ticket 8
 *
 * A group whose commit frame is whole is there, any other is not. Numbers are little-endian, CRCs
 * are CRC-32C. A head is the leaf hash of the record before, or zeros. A commit's lanes say which
 * published slots (journal_slots.h) are in the segments.
 *
 * Ownership  spans given out lie in the bytes passed in.
 * Limits     a record of JOURNAL_LINE_MAX bytes, a group of JOURNAL_GROUP_MAX, as many lanes as
 *            JOURNAL_LANES_MAX. Larger ones are bad frames.
 * Threads    any; a codec.
 * Sources    docs/formats/journal.md.
 */
#ifndef JOURNAL_JOURNAL_FRAME_H
#define JOURNAL_JOURNAL_FRAME_H

#include "journal/journal_record.h"

#define JOURNAL_HEADER_BYTES 128
#define JOURNAL_FRAME_BYTES  8 /* before the payload */
#define JOURNAL_LANES_MAX    512
#define JOURNAL_GROUP_MAX    (1024 * 1024) /* bytes, commit frame included */

/* A commit frame with all the lanes it may have. */
#define JOURNAL_COMMIT_FRAME_MAX (JOURNAL_FRAME_BYTES + 64 + 16 * JOURNAL_LANES_MAX)

struct journal_header {
    uint64_t first_sequence; /* of the segment's first record */
    int64_t made_ms;
    char origin[JOURNAL_ORIGIN_CHARS]; /* of the journal that it belongs to */
    uint8_t head[JOURNAL_HASH_BYTES];  /* leaf hash of the record before its first */
};

/* All records that lane `id` published with tickets up to `ticket` are in the journal. */
struct journal_lane_mark {
    uint64_t id;
    uint64_t ticket;
};

struct journal_commit {
    uint32_t records;                 /* in this group */
    uint64_t last_sequence;           /* in the journal so far */
    uint8_t head[JOURNAL_HASH_BYTES]; /* that record's leaf hash */
    size_t lanes;
    struct journal_lane_mark lane[JOURNAL_LANES_MAX];
};

void journal_header_write(const struct journal_header *h, uint8_t out[JOURNAL_HEADER_BYTES]);

/*
 * Reads a segment's header.
 *
 *   ERR_JOURNAL_OLD     it is one of an earlier version
 *   ERR_JOURNAL_BROKEN  it is none
 */
MUST_USE enum err journal_header_parse(struct span bytes, struct journal_header *out);

/* Appends a record's frame and returns its line there; `out` is sticky. `state`: an admin record's
 * JSON. */
struct span journal_frame_write(const struct journal_record *r, struct span state, struct buf *out);

/* Appends the commit frame of a group whose record frames are `group_bytes` bytes. */
void journal_commit_write(const struct journal_commit *c, size_t group_bytes, struct buf *out);

enum journal_group_found {
    JOURNAL_GROUP_WHOLE,
    JOURNAL_GROUP_SHORT, /* good as far as it goes, but it goes on behind `bytes` */
    JOURNAL_GROUP_BAD    /* it is damaged at `size` */
};

struct journal_group {
    struct span frames; /* the record frames: for journal_frame_next() */
    size_t size; /* with the commit frame; or, where bad or short, up to the last good frame */
    struct journal_commit commit;
};

/* Looks at the group that begins where `bytes` does. `out` is filled as far as it says. */
enum journal_group_found journal_group_parse(struct span bytes, struct journal_group *out);

/* Takes the first record's JSON off `frames` of a whole group; false if there is none left. */
MUST_USE bool journal_frame_next(struct span *frames, struct span *line);

/*
 * Whether a whole commit frame lies anywhere in `bytes`: then a damage before it is no torn tail.
 * `*at` is its offset, `*end` the one behind it, `*group_bytes` what it says of its group.
 */
MUST_USE bool journal_commit_find(struct span bytes, size_t *at, size_t *end, size_t *group_bytes);

/* Reads the commit frame that `bytes`, the end of a segment, ends with; false if it does not. */
MUST_USE bool journal_commit_at_end(struct span bytes, struct journal_commit *out);

#endif
