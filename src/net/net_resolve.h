/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_resolve.h — host names to addresses, without blocking the loop.
 *
 * Ownership  the lookup belongs to net until its callback was called or it was cancelled.
 * Threads    the loop's own; the system resolver runs on libuv's worker threads.
 */
#ifndef NET_NET_RESOLVE_H
#define NET_NET_RESOLVE_H

#include <stdint.h>

#include "net/net_listen.h"

#define NET_ADDRESSES_MAX 8

struct net_lookup;

/* `count` addresses, in the order to try them; or ERR_NET_DNS and none. Called once, never from
 * within net_resolve(). */
typedef void net_on_resolved(void *ctx, enum err e, const struct net_address *addresses,
                             size_t count);

/* Looks `host` (a name, or an address in text) up. `*out` is for net_resolve_cancel(). */
MUST_USE enum err net_resolve(struct net_loop *loop, const char *host, uint16_t port,
                              net_on_resolved *on_resolved, void *ctx, struct net_lookup **out);

/* If `host` is an address in text, sets `*out` and returns true: nothing has to be looked up. */
MUST_USE bool net_resolve_numeric(const char *host, uint16_t port, struct net_address *out);

/* The callback will not be called. Sets `*lookup` to NULL; nothing if it is NULL. */
void net_resolve_cancel(struct net_lookup **lookup);

#endif
