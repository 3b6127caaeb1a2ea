/* SPDX-License-Identifier: Apache-2.0 */
/* limits_rate.c — ticks are 1024ths of a microsecond, so that a thousand million a minute is 62 of
 * them. */
#include "limits/limits_rate.h"

#define TICKS_A_US     1024
#define TICKS_A_MINUTE (INT64_C(60000000) * TICKS_A_US)

struct limits_pace limits_pace_of(int64_t per_minute, int64_t burst)
{
    CHECK(per_minute > 0 && per_minute <= LIMITS_RATE_MAX);
    CHECK(burst > 0 &&
          burst <= per_minute * LIMITS_BURST_MINUTES); /* so that no product passes 2^63 */
    return (struct limits_pace){(TICKS_A_MINUTE + per_minute - 1) / per_minute, burst};
}

static int64_t us_of(int64_t ticks)
{
    return (ticks + TICKS_A_US - 1) / TICKS_A_US;
}

/* `taken`: how many ticks' worth is not back yet. */
static void stand(struct limits_pace pace, int64_t taken, int64_t wanted,
                  struct limits_standing *out)
{
    int64_t all = pace.each * pace.burst;
    int64_t lacking = taken + wanted * pace.each - all;
    out->remaining = taken >= all ? 0 : (all - taken) / pace.each;
    out->whole_us = us_of(taken);
    out->one_more_us = lacking > 0 ? us_of(lacking) : 0;
}

bool limits_rate_take(struct limits_rate *r, struct limits_pace pace, int64_t count, mono_us now,
                      struct limits_standing *out)
{
    int64_t here = now.us * TICKS_A_US;
    int64_t back_at = atomic_load_explicit(&r->back_at, memory_order_relaxed);
    for (;;) {
        int64_t taken = back_at > here ? back_at - here : 0;
        if (count > pace.burst || taken + count * pace.each > pace.burst * pace.each) {
            stand(pace, taken, count <= pace.burst ? count : pace.burst, out);
            return false;
        }
        int64_t next = here + taken + count * pace.each;
        if (atomic_compare_exchange_weak_explicit(&r->back_at, &back_at, next, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            stand(pace, taken + count * pace.each, 1, out);
            return true;
        }
    }
}

void limits_rate_charge(struct limits_rate *r, struct limits_pace pace, int64_t count, mono_us now)
{
    int64_t here = now.us * TICKS_A_US;
    int64_t back_at = atomic_load_explicit(&r->back_at, memory_order_relaxed);
    int64_t cost = (count < pace.burst ? count : pace.burst) * pace.each;
    while (!atomic_compare_exchange_weak_explicit(&r->back_at, &back_at,
                                                  (back_at > here ? back_at : here) + cost,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void limits_rate_leave_out(struct limits_standing *standing, struct limits_pace pace, int64_t held)
{
    int64_t remaining = standing->remaining + held;
    int64_t whole_us = standing->whole_us - us_of(held * pace.each);
    standing->remaining = remaining < pace.burst ? remaining : pace.burst;
    standing->whole_us = whole_us > 0 ? whole_us : 0;
}

void limits_rate_give_back(struct limits_rate *r, struct limits_pace pace,
                           struct limits_taken taken, int64_t unused, mono_us now)
{
    int64_t passed = clock_since(taken.at, now) * TICKS_A_US;
    int64_t still_taken = taken.count * pace.each - (passed > 0 ? passed : 0);
    int64_t back = unused * pace.each < still_taken ? unused * pace.each : still_taken;
    if (back > 0) {
        (void)atomic_fetch_sub_explicit(&r->back_at, back, memory_order_relaxed);
    }
}

void limits_rate_change(struct limits_rate *r, struct limits_pace from, struct limits_pace to,
                        mono_us now)
{
    int64_t here = now.us * TICKS_A_US;
    int64_t back_at = atomic_load_explicit(&r->back_at, memory_order_relaxed), next;
    do {
        int64_t taken = back_at > here ? back_at - here : 0;
        int64_t count = (taken + from.each - 1) / from.each;
        next = here + (count < to.burst ? count : to.burst) * to.each;
    } while (back_at > here &&
             !atomic_compare_exchange_weak_explicit(&r->back_at, &back_at, next,
                                                    memory_order_relaxed, memory_order_relaxed));
}
