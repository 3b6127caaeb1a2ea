/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_pool.h — one worker's connections to model servers.
 *
 * Connections are kept by deployment. One goes back a turn of the loop after its answer ended, and
 * the one that was idle longest is lent first: a server that says more than it was asked for has
 * time to be found out. One that becomes readable (the server closed it, or speaks unasked) is
 * closed at once, and each is looked at once more as it is lent. Attempts beyond a deployment's
 * most connections wait; their owners take turns.
 *
 * Ownership  upstream_pool_open() hands it to its worker.
 * Threads    the worker's own.
 */
#ifndef UPSTREAM_UPSTREAM_POOL_H
#define UPSTREAM_UPSTREAM_POOL_H

#include "base/err.h"

struct net_loop;
struct net_resolver;
struct upstream_pool;

/* `resolver` finds the servers' addresses; it outlives the pool. */
MUST_USE enum err upstream_pool_open(struct net_loop *loop, struct net_resolver *resolver,
                                     struct upstream_pool **out);

/* Closes idle connections whose deployment is held by nobody else (after a reload). */
void upstream_pool_sweep(struct upstream_pool *pool);

/* Closes `*pool` and all its idle connections. All attempts must have been closed. */
void upstream_pool_close(struct upstream_pool **pool);

#endif
