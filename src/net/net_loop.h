/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_loop.h — one thread's event loop: sockets, timers, tasks from other threads.
 *
 * A turn of the loop is: run due timers, wait for sockets, run their handlers, run what was
 * deferred. Handlers never block.
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

/* Runs until net_loop_stop(). */
void net_loop_run(struct net_loop *loop);

/* Makes net_loop_run() return after this turn. Any thread. */
void net_loop_stop(struct net_loop *loop);

/* Prepares `task` to be queued. */
void net_task_init(struct net_task *task, net_run *run);

/* Queues `task` to run on the loop's thread. Any thread; wakes the loop. A task that is already
 * queued by the same thread stays where it is. */
void net_loop_post(struct net_loop *loop, struct net_task *task);

/* Queues `task` to run at the end of this turn, before the loop waits again. Own thread only. */
void net_loop_defer(struct net_loop *loop, struct net_task *task);

/* Takes a deferred task off its queue; nothing if it is on none. Own thread only. A posted one may
 * be taken off when the loop runs no more and no thread is left that posts. */
void net_loop_undefer(struct net_task *task);

/* The time when the socket's handler that runs now was called, for limits and ages: a call asks a
 * dozen times, and the clock is not free. Outside such a handler it is clock_mono(). Own thread. */
mono_us net_loop_now(struct net_loop *loop);

/* NET_SCRATCH_BYTES that any handler may use until it returns. */
uint8_t *net_loop_scratch(struct net_loop *loop);

#endif
