/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_deny.h — the file of revoked keys: what makes a revocation hold whatever becomes of the
 * store.
 *
 * A file of text lines in the data folder, oldest first, that only grows; behind its entries stand
 * blank lines, so that an entry overwrites what the disk has given already and a full disk cannot
 * refuse it. It is read before anything is served: neither a database that is locked nor one that
 * was restored from a backup can bring a revoked key back.
 *
 * An entry whose checksum is wrong still denies the id in it: a key too many that is refused is
 * better than one too few. Such a line at the end may be one that is just being written, and is
 * looked at again.
 *
 * Ownership  key_deny_open() hands it to the caller, who gives it back to key_deny_close().
 * Limits     32 bytes an entry. KEY_DENY_SPARE entries find room on a full disk.
 * Threads    any, also several processes: each entry is written under a lock on the file.
 * Sources    docs/formats/keys.md, section Revoked keys.
 */
#ifndef KEYS_KEY_DENY_H
#define KEYS_KEY_DENY_H

#include "base/clock.h"
#include "base/err.h"
#include "keys/key_string.h"

#define KEY_DENY_FILE  "revoked" /* its name in the data folder */
#define KEY_DENY_SPARE 512       /* blank lines that there are at least, if the disk gave them */

#define KEY_DENY_LINE_BYTES 32

struct key_deny;

struct key_denial {
    char id[KEY_ID_CHARS];
    wall_us when; /* in whole seconds */
};

/* What reading went through. */
struct key_deny_place {
    uint64_t line;                  /* the next to read: 0 at first */
    uint64_t damaged;               /* lines so far that were not as they were written */
    char last[KEY_DENY_LINE_BYTES]; /* the one before `line` */
};

typedef void key_on_denial(void *context, const struct key_denial *denial);

/*
 * Opens the file; makes it, with mode 0600 and for the owner of its folder, if it is not there.
 *
 *   ERR_FILE       it cannot be opened or made, or is no regular file
 *   ERR_DISK_FULL  it is not there, and there is no room for it
 *   ERR_DISK, ERR_NO_MEMORY
 */
MUST_USE enum err key_deny_open(const char *path, struct key_deny **out);

/* Closes `*d` and sets it to NULL. Does nothing if it is NULL already. */
void key_deny_close(struct key_deny **d);

/* The moment as the file says it: in whole seconds, so memory, journal and store say it so too,
 * whichever of them was told first. */
wall_us key_deny_moment(wall_us when);

/*
 * Writes down that the key of this id (KEY_ID_CHARS characters of Base62) was revoked, and waits
 * for the disk. An id that is in the file already is left as it is.
 *
 *   ERR_DISK_FULL, ERR_DISK  it may be in the file, but the disk has not promised to keep it
 *   ERR_LOCKED               another process has held the file's lock for half a second
 */
MUST_USE enum err key_deny_add(struct key_deny *d, struct span id, wall_us when);

/*
 * Gives the entries from `place` on to `on_denial`, and moves `place` behind them. One that is
 * damaged may be given again by the next reading.
 *
 *   ERR_DISK  `place` is where reading failed
 */
MUST_USE enum err key_deny_read(struct key_deny *d, struct key_deny_place *place,
                                key_on_denial *on_denial, void *context);

/*
 * Sees to it that the file is the one by that name: somebody may have moved it away, or put another
 * in its place. Makes one where there is none. `place` goes back to the first line where the file
 * is another, or does not hold what was read of it.
 *
 *   ERR_FILE, ERR_DISK_FULL, ERR_DISK, ERR_NO_FILES  the file that was open stays so
 */
MUST_USE enum err key_deny_follow(struct key_deny *d, struct key_deny_place *place);

#endif
