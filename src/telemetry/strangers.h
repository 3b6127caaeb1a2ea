/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strangers.h — who was refused for want of a good key: a line of the log a second for each
 * address, and then a number.
 *
 * Ownership  the caller's; all zero to begin with.
 * Limits     STRANGERS - 1 addresses are told apart, so that strangers cannot fill the log: those
 *            beyond share one entry.
 * Threads    one at a time: each worker has its own.
 */
#ifndef TELEMETRY_STRANGERS_H
#define TELEMETRY_STRANGERS_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

#define STRANGERS              33
#define STRANGER_ADDRESS_BYTES 48

#define STRANGER_KEYS 5 /* different keys in a minute: no mistake any more */

/* An address that was refused for want of a good key. */
struct stranger {
    int64_t minute;                /* of `tried` */
    uint32_t tried[STRANGER_KEYS]; /* hashes of different keys that are none */
    unsigned tried_count;
    char address[STRANGER_ADDRESS_BYTES];
    int64_t second;  /* of the last line about it */
    uint32_t untold; /* refusals since then */
};

struct strangers {
    struct stranger at[STRANGERS]; /* the last is all others' */
};

/* Notes that the client at `peer` was refused for want of a good key, and counts it. */
void strangers_note(struct strangers *all, const char *peer, enum err e, mono_us now);

/* Notes that the client at `peer`, of which strangers_note() was just told, tried `token`, which is
 * no key: whether it has tried STRANGER_KEYS different ones in this minute. */
bool strangers_try(struct strangers *all, const char *peer, struct span token, mono_us now);

/* Tells the log that somebody tries many keys; that a key which was revoked is still in use. When
 * it was told last is the caller's to know. */
void strangers_tell_guesses(const char *peer);
void strangers_tell_revoked(const char *peer, struct span key_id);

/* Tells the log how many were refused, in seconds that are over. Whether some are left to tell. */
bool strangers_tell(struct strangers *all, mono_us now);

#endif
