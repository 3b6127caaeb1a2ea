/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_pool.h — one worker's connections to model servers.
 *
 * Connections are kept by deployment, newest first. An idle one that becomes readable (the server
 * closed it, or speaks unasked) is closed at once. Attempts beyond a deployment's most connections
 * wait in a list, oldest first.
 *
 * Ownership  upstream_pool_open() hands it to its worker.
 * Threads    the worker's own.
 */
#ifndef UPSTREAM_UPSTREAM_POOL_H
#define UPSTREAM_UPSTREAM_POOL_H

#include "base/err.h"

struct net_loop;
struct upstream_pool;

MUST_USE enum err upstream_pool_open(struct net_loop *loop, struct upstream_pool **out);

/* Closes idle connections whose deployment is held by nobody else (after a reload). */
void upstream_pool_sweep(struct upstream_pool *pool);

/* Closes `*pool` and all its idle connections. All attempts must have been closed. */
void upstream_pool_close(struct upstream_pool **pool);

#endif
