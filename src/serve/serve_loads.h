/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_loads.h — asks model servers whose `load.every:` says so how much work they have.
 *
 * Each is asked for its page of metrics, by one connection and one question at a time, and no more
 * often than it says. One that cannot be asked, or whose page says nothing that is known, is asked
 * more and more rarely, once a minute at last, and the log says so once.
 *
 * Ownership  serve_loads_open() hands it to the caller; the pool outlives it.
 * Limits     16 are asked at once, for 5 seconds each at most; a page has a MiB at most.
 * Threads    the housekeeping loop's.
 */
#ifndef SERVE_SERVE_LOADS_H
#define SERVE_SERVE_LOADS_H

#include "base/clock.h"
#include "base/err.h"

struct policy;
struct serve_loads;
struct upstream_pool;

MUST_USE enum err serve_loads_open(struct upstream_pool *pool, struct serve_loads **out);

/* Those of a policy that is new; whoever is the same server is asked as it would have been. */
void serve_loads_take_over(struct serve_loads *all, const struct policy *policy, mono_us now);

/* Asks whom it is time to ask, or nobody while the gateway is stopping. */
void serve_loads_step(struct serve_loads *all, bool is_stopping, mono_us now);

/* Sets `*loads` to NULL; nothing if it is NULL. */
void serve_loads_close(struct serve_loads **loads);

#endif
