/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_rate.h — so many a minute, with a burst: the generic cell rate algorithm.
 *
 * A rate of N a minute with a burst of B lets B through at once; each comes back after a minute /
 * N. Its whole state is one word, when all that was taken is back (the *theoretical arrival time*),
 * so taking is one compare-and-swap and there is nothing to refill. What a rounding costs, the
 * caller pays: never is one more let through.
 *
 * Threads  any, at any time.
 * Sources  GCRA: ITU-T I.371; trust.md 5.1.
 */
#ifndef LIMITS_LIMITS_RATE_H
#define LIMITS_LIMITS_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/clock.h"

#define LIMITS_RATE_MAX      1000000000 /* a minute */
#define LIMITS_BURST_MINUTES 1440       /* that a burst may take to come back: a day */

/* What is allowed. */
struct limits_pace {
    int64_t each;  /* ticks until one is back; 0: there is no limit */
    int64_t burst; /* at once */
};

/* What was taken. All zero at first. */
struct limits_rate {
    _Atomic int64_t back_at; /* ticks since the machine started: when all of it is back */
};

/* How a rate stands, for headers. */
struct limits_standing {
    int64_t remaining;   /* that would be let through now */
    int64_t whole_us;    /* until the whole burst is there again */
    int64_t one_more_us; /* until as many as were asked for are there; 0: they are */
};

/* What one has of it. */
struct limits_taken {
    int64_t count;
    mono_us at;
};

/* `per_minute`: 1 to LIMITS_RATE_MAX; `burst`: 1 to what comes back in a day. */
struct limits_pace limits_pace_of(int64_t per_minute, int64_t burst);

/*
 * Takes `count` (0 or more), or nothing: whether it did. More than the burst never is.
 * `*out` is how the rate stands afterwards.
 */
MUST_USE bool limits_rate_take(struct limits_rate *r, struct limits_pace pace, int64_t count,
                               mono_us now, struct limits_standing *out);

/* Takes `count` that were used already, whether they are allowed or not. */
void limits_rate_charge(struct limits_rate *r, struct limits_pace pace, int64_t count, mono_us now);

/* How it stands but for `held`, which is taken and not used yet. */
void limits_rate_leave_out(struct limits_standing *standing, struct limits_pace pace, int64_t held);

/*
 * Gives back `unused` of what was taken. What came back by itself meanwhile is not given a second
 * time, as others may have taken it since.
 */
void limits_rate_give_back(struct limits_rate *r, struct limits_pace pace,
                           struct limits_taken taken, int64_t unused, mono_us now);

/* Has what is taken and not back yet come back by another pace: as many, `to.burst` at most. */
void limits_rate_change(struct limits_rate *r, struct limits_pace from, struct limits_pace to,
                        mono_us now);

#endif
