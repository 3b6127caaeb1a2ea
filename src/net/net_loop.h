/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_loop.h — one thread's event loop: sockets, timers, tasks from other threads.
 *
 * A turn of the loop is: run due timers, wait for sockets, run their handlers, run what was
 * deferred. Handlers never block.
 *
 * Nobody holds the others up: each handler (of a socket, a timer, a task) has a *budget*, which is
 * NET_BUDGET_BYTES of what peers sent or NET_BUDGET_US by a fresh clock, whichever ends first; less
 * where less than that is left of the half millisecond that a turn should take. What
 * works through input asks net_loop_is_spent() before each step and tells net_loop_spend() of it
 * after, and goes on in a later turn (net_loop_yield(), or net_want() of a socket). net_read() and
 * net_writev() do so by themselves and say NET_AGAIN, so a loop that pulls from a socket, and works
 * in proportion to what it got, needs nothing more. Nor does a crowd: when sockets have had
 * NET_BUDGET_US of a turn, the others stand in a row, and those that become ready meanwhile are
 * looked at before that.
 *
 * Ownership  net_loop_open() hands the loop to its thread, which closes it. Tasks are the caller's
 *            memory: a task that is queued must live until it has run.
 * Threads    one thread runs a loop and may call everything; net_loop_post() and net_loop_stop()
 *            may be called from any.
 * Sources    libuv's design overview (docs.libuv.org/en/v1.x/design.html).
 */
#ifndef NET_NET_LOOP_H
#define NET_NET_LOOP_H

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"

#define NET_SCRATCH_BYTES (256 * 1024)
#define NET_BUDGET_BYTES  (256 * 1024)
#define NET_BUDGET_US     250

struct net_loop;
struct net_task;

typedef void net_run(struct net_task *task);

/* Something to run once. Embed it, fill in `run`, and find yourself with LIST_OF's sister,
 * offsetof. A task is on at most one queue. */
struct net_task {
    struct list link;
    net_run *run;
    bool queued;
};

/* Makes a loop. ERR_NO_MEMORY, or ERR_NET when the kernel has no descriptor left. */
MUST_USE enum err net_loop_open(struct net_loop **out);

/* Closes `*loop` and sets it to NULL. Sockets and timers must have been closed before. */
void net_loop_close(struct net_loop **loop);

/* Runs until net_loop_stop(); then the loop may be run again. */
void net_loop_run(struct net_loop *loop);

/* Makes net_loop_run(), or the next one, return after this turn. Any thread. */
void net_loop_stop(struct net_loop *loop);

/* Prepares `task` to be queued. */
void net_task_init(struct net_task *task, net_run *run);

/* Queues `task` to run on the loop's thread. Any thread; wakes the loop. A task that is already
 * queued by the same thread stays where it is. */
void net_loop_post(struct net_loop *loop, struct net_task *task);

/* Queues `task` to run at the end of this turn, before the loop waits again. Own thread only. */
void net_loop_defer(struct net_loop *loop, struct net_task *task);

/* Queues `task` to run at the end of the next turn: sockets are looked at in between. For work
 * whose budget is spent. Own thread only. */
void net_loop_yield(struct net_loop *loop, struct net_task *task);

/* Notes a step of the handler that runs now, which took `cost` bytes of input (0: it is counted as
 * a step only). */
void net_loop_spend(struct net_loop *loop, size_t cost);

/* Whether the budget of the handler that runs now is used up. False outside of one. */
bool net_loop_is_spent(struct net_loop *loop);

/* How many microseconds the handler that runs now may take in all. For what works through things
 * that cost more than a look at the clock. */
int64_t net_loop_share(struct net_loop *loop);

/* Takes a deferred or yielded task off its queue; nothing if it is on none. Own thread only. A
 * posted one may be taken off when the loop runs no more and no thread is left that posts. */
void net_loop_undefer(struct net_task *task);

/* How many turns have ended: since another number sockets were looked at once. */
uint64_t net_loop_turns(const struct net_loop *loop);

/* Takes a posted task off the queue, if it has not run: it will not. The loop's own thread; whoever
 * posts it must have been kept from doing so again. */
void net_loop_unpost(struct net_loop *loop, struct net_task *task);

/* The time when the handler that runs now was called, for limits and ages: a call asks a dozen
 * times, and the clock is not free. Outside a handler it is clock_mono(). Own thread. */
mono_us net_loop_now(struct net_loop *loop);

/* From now on the length of each stretch in which the loop looked at no socket goes into the
 * histogram of workers' turns. */
void net_loop_count_turns(struct net_loop *loop);

/* When the loop last came to the end of a stretch: it stands still when that is long ago though a
 * timer was due. Any thread. */
mono_us net_loop_turned(const struct net_loop *loop);

/* NET_SCRATCH_BYTES that any handler may use until it returns. */
uint8_t *net_loop_scratch(struct net_loop *loop);

#endif
