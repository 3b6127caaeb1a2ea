/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_window.h — an amount a window (a day, a week, a month, in all): taken before, settled
 * after.
 *
 * What is taken and not settled is *held*; what was settled is *spent*. Always true, at any moment
 * and for every thread that looks:
 *   1. spent + held is at most the limit, or what it was when the limit was lowered.
 *   2. A settlement goes to the window that was taken from, however many have begun since.
 *   3. A clock that is set back finds the window of that time as it was left. One that is no longer
 *      known is not made anew: the newest goes on, so that nothing is spent twice.
 *
 * A window ends for whoever looks at it first afterwards: the one of the new time is published in
 * its place. There is room for a few; one that calls still hold something of keeps its room, and
 * where there is none the current one goes on.
 *
 * Threads  any, at any time; limits_window_init() before all.
 * Sources  two-phase transfers (trust.md 5.3).
 */
#ifndef LIMITS_LIMITS_WINDOW_H
#define LIMITS_LIMITS_WINDOW_H

#include <stdatomic.h>

#include "limits/limits_calendar.h"

#define LIMITS_WINDOWS 4 /* that are known at once */

/* One window. */
struct limits_room {
    _Atomic int64_t
        users; /* calls that hold something, and who looks; far below 0: it is made anew */
    _Atomic int64_t taken; /* spent and held */
    _Atomic int64_t spent;
    _Atomic int64_t beyond;         /* was used and had no room within the limit */
    _Atomic int64_t from_us, to_us; /* both INT64_MIN: it was never used */
    _Atomic uint32_t passed; /* bit n: so much of the limit is spent as the n-th step says, */
    _Atomic uint32_t told;   /* and somebody was told */
};

struct limits_windows {
    const struct limits_zone *zone;
    enum limits_span span;
    int week_start;
    _Atomic uint32_t current; /* which of */
    struct limits_room rooms[LIMITS_WINDOWS];
};

/* What a call holds. */
struct limits_share {
    struct limits_room *room;
    int64_t amount;
};

/* How a window stands. */
struct limits_balance {
    int64_t spent, held, beyond;
    struct limits_range range;
};

/* Before the first use. `zone` is borrowed for good. */
void limits_windows_init(struct limits_windows *w, const struct limits_zone *zone,
                         enum limits_span span, int week_start, wall_us now);

#define LIMITS_STEPS 3 /* of what is spent of a limit: 50, 80 and 100 percent */

/* The steps that are passed by what is spent of a limit, bit n for the n-th. */
uint32_t limits_steps_of(int64_t spent, int64_t limit);

/* Percent of the n-th. */
int limits_step_percent(int step);

/* What was spent already of the window that `at` is in, as the store says: at the start, before any
 * other use. What of it had no room within the limit shows as that again. Of other windows than the
 * one of this time the newest are remembered. */
void limits_windows_restore(struct limits_windows *w, wall_us at, int64_t limit, int64_t spent);

/* Takes `amount` (0 or more) of the current window if its limit allows: whether it did. */
MUST_USE bool limits_windows_take(struct limits_windows *w, int64_t limit, int64_t amount,
                                  wall_us now, struct limits_share *out);

/* Takes `more` of the same window, if the limit allows: whether it did. */
MUST_USE bool limits_share_extend(struct limits_share *share, int64_t limit, int64_t more);

/* Gives back `less` of a share. */
void limits_share_shrink(struct limits_share *share, int64_t less);

/*
 * Settles a share: `used` is spent, the rest given back. What was used beyond the share is spent as
 * far as the limit allows. `*share` is empty afterwards; of an empty one nothing is done. True: a
 * step of what is spent was passed.
 */
bool limits_share_settle(struct limits_share *share, int64_t limit, int64_t used);

void limits_windows_look(struct limits_windows *w, wall_us now, struct limits_balance *out);

/* The same for any time, and changes nothing: zeros where no window of that time is known. */
void limits_windows_peek(struct limits_windows *w, wall_us now, struct limits_balance *out);

/* The limit is `limit` from now on: what was used beyond a lower one is spent as far as it fits.
 * True: a step of it is passed that was not before. */
bool limits_windows_change(struct limits_windows *w, int64_t limit);

/* Whether nothing was taken in any window. */
bool limits_windows_are_new(const struct limits_windows *w);

/* When the window that was current last ends. */
wall_us limits_windows_end(const struct limits_windows *w);

/* The steps of the current window that were passed and not told yet; they are told then, and
 * `*out` is how it stands. */
uint32_t limits_windows_news(struct limits_windows *w, wall_us now, struct limits_balance *out);

#endif
