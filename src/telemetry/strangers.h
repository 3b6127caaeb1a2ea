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

#define STRANGERS              33
#define STRANGER_ADDRESS_BYTES 48

/* An address that was refused for want of a good key. */
struct stranger {
    char address[STRANGER_ADDRESS_BYTES];
    int64_t second;  /* of the last line about it */
    uint32_t untold; /* refusals since then */
};

struct strangers {
    struct stranger at[STRANGERS]; /* the last is all others' */
};

/* Notes that the client at `peer` was refused for want of a good key, and counts it. */
void strangers_note(struct strangers *all, const char *peer, enum err e, mono_us now);

/* Tells the log how many were refused, in seconds that are over. Whether some are left to tell. */
bool strangers_tell(struct strangers *all, mono_us now);

#endif
