/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_timer.h — deadlines that are mostly moved and seldom reached.
 *
 * A timer that is moved later only notes the new time; the heap is touched when the old time comes.
 * So a deadline that moves with every event of a stream costs a store.
 *
 * Ownership  a timer is the caller's memory and must be stopped with net_timer_fini() before that
 *            memory goes.
 * Threads    the loop's own.
 */
#ifndef NET_NET_TIMER_H
#define NET_NET_TIMER_H

#include "base/clock.h"
#include "base/err.h"

struct net_loop;
struct net_timer;

typedef void net_on_due(struct net_timer *timer);

struct net_timer {
    struct net_loop *loop;
    net_on_due *on_due;
    mono_us due;    /* when to call; NET_NEVER while stopped */
    mono_us armed;  /* the place in the heap, never later than `due` */
    uint32_t place; /* index in the heap + 1; 0: not in it */
};

#define NET_NEVER ((mono_us){INT64_MAX})

void net_timer_init(struct net_timer *timer, struct net_loop *loop, net_on_due *on_due);

/* Calls on_due at `due` (at most 1 ms late on an idle loop), once. Replaces an earlier setting.
 * ERR_NO_MEMORY leaves it stopped. */
MUST_USE enum err net_timer_set(struct net_timer *timer, mono_us due);

/* Sets it `ms` from now. */
MUST_USE enum err net_timer_set_ms(struct net_timer *timer, int64_t ms);

/* Stops it; on_due will not be called. The memory must stay until net_timer_fini(). */
void net_timer_stop(struct net_timer *timer);

/* Stops it and forgets it. Nothing on one that was never set. */
void net_timer_fini(struct net_timer *timer);

#endif
