/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_gate.h — what an address may ask, and how often it may fail, before anybody knows whose
 * key it has. One for all workers and the operator's side.
 *
 * Always true: of an address, and of a listener, no more requests are let through than their paces
 * allow; a key that is good is asked for nothing here.
 *
 * Ownership  limits_gate_open() hands it to the caller.
 * Limits     57,344 addresses that ask and 7,168 that fail have an entry at once (limits_sources.h
 *            says what becomes of more): 1.2 MiB, touched as it is used.
 * Threads    any, at any time.
 * Sources    trust.md 3.5.
 */
#ifndef LIMITS_LIMITS_GATE_H
#define LIMITS_LIMITS_GATE_H

#include "base/span.h"
#include "limits/limits.h"
#include "limits/limits_sources.h"

#define LIMITS_GATE_LISTENERS 64

struct limits_gate;

/* So many a minute; 0: any number. */
struct limits_gate_rate {
    int64_t per_minute;
    struct limits_pace pace;
};

/* What is allowed. */
struct limits_gate_terms {
    struct limits_gate_rate address;                         /* requests of each address */
    struct limits_gate_rate listener[LIMITS_GATE_LISTENERS]; /* of all clients of each listener */
    struct limits_gate_rate guesses; /* requests of each address with a key that is none of ours */
};

/* What happens again and again, and is told to the log once a minute for each who does it. */
enum limits_gate_news {
    LIMITS_NEWS_LIMITED,  /* an address asks too often */
    LIMITS_NEWS_GUESSING, /* an address tries keys that are none */
    LIMITS_NEWS_REVOKED,  /* a revoked key is still in use */
};

/* A rate of a minute, with a burst; 0: a whole minute's at once. */
struct limits_gate_rate limits_gate_rate_of(int64_t per_minute, int64_t burst);

MUST_USE enum err limits_gate_open(struct limits_gate **out);

/* Closes `*g` and sets it to NULL. Does nothing if it is NULL already. */
void limits_gate_close(struct limits_gate **g);

/*
 * Whether `source` may ask once more at the listener. `*out` is how the tighter of the two rates
 * stands: the one that refuses, else the one with less left; limit 0: there is none.
 */
MUST_USE bool limits_gate_enter(struct limits_gate *g, const struct limits_gate_terms *terms,
                                unsigned listener, uint64_t source, mono_us now,
                                struct limits_tightest *out);

/* `source` came with a key that is none: whether that is told it, and not that it does so too
 * often. */
MUST_USE bool limits_gate_guess(struct limits_gate *g, const struct limits_gate_terms *terms,
                                uint64_t source, mono_us now, struct limits_tightest *out);

/* Whether it is time to tell of `who` (a source, or a key's id) that it does this: once a minute.
 */
MUST_USE bool limits_gate_is_news(struct limits_gate *g, enum limits_gate_news news,
                                  struct span who, mono_us now);

#endif
