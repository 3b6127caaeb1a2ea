/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_signal.h — signals as events of a loop.
 *
 * Ownership  net_signal_open() hands the watch to the caller, who closes it before the loop.
 * Threads    the loop's own. Block the signal in no thread, or only in others.
 */
#ifndef NET_NET_SIGNAL_H
#define NET_NET_SIGNAL_H

#include "base/err.h"

struct net_loop;
struct net_signal;

typedef void net_on_signal(void *ctx, int number);

/* Calls `on_signal` each time the process gets signal `number`. */
MUST_USE enum err net_signal_open(struct net_loop *loop, int number, net_on_signal *on_signal,
                                  void *ctx, struct net_signal **out);

/* Closes `*s` and sets it to NULL; nothing if it is NULL. */
void net_signal_close(struct net_signal **s);

#endif
