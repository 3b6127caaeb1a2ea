/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_sources.h — a rate for each of many sources that nobody has registered: addresses that
 * ask, or fail.
 *
 * A source has an entry from when something was first taken until all of it is back: an entry whose
 * rate is whole says no more than none, and another source may have it. So no entry is ever lost
 * that would have refused something, and of a source with an entry never one more is let through
 * than its pace allows, whatever workers ask at once.
 *
 * Entries stand in sets of LIMITS_SOURCES_WAYS, which a keyed hash chooses, so that nobody can aim
 * at one. A source that finds all of its set's taken shares one entry more, with all others of this
 * set that find none: a crowd of addresses can neither get more than one pace a set beyond its
 * entries, nor keep a newcomer out of other sets, and who has an entry is not touched by it.
 *
 * Ownership  limits_sources_open() hands it to the caller, who gives it back to
 *            limits_sources_close() when nobody asks any more.
 * Limits     16 bytes an entry, all of it taken at the start (and touched as it is used).
 * Threads    take: any, at any time. Who has an entry waits for nobody; who needs one, for others
 *            that take one in some of the sets, which is over in nanoseconds.
 */
#ifndef LIMITS_LIMITS_SOURCES_H
#define LIMITS_LIMITS_SOURCES_H

#include "base/err.h"
#include "limits/limits_rate.h"

#define LIMITS_SOURCES_WAYS 7

struct limits_sources;

/* `sets`: a power of two. ERR_NO_MEMORY. */
MUST_USE enum err limits_sources_open(size_t sets, struct limits_sources **out);

/* Closes `*s` and sets it to NULL. Does nothing if it is NULL already. */
void limits_sources_close(struct limits_sources **s);

/* The source that an IPv6 address stands for: itself if it is an IPv4-mapped one, else its /64, of
 * which one subscriber has all. Never 0. */
uint64_t limits_source_of(const uint8_t address[16]);

/* Takes one of what `source` (not 0) may have, as limits_rate_take(): whether it did. */
MUST_USE bool limits_sources_take(struct limits_sources *s, uint64_t source,
                                  struct limits_pace pace, mono_us now,
                                  struct limits_standing *out);

#endif
