/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange_client.h — who sent an exchange's request, and by which listener.
 *
 * Ownership  none; an exchange as exchange.h has it.
 * Threads    the worker's own.
 */
#ifndef SERVER_EXCHANGE_CLIENT_H
#define SERVER_EXCHANGE_CLIENT_H

#include "net/net_ip.h"
#include "server/exchange.h"

/* Who asks: the peer, or behind proxies that are believed (client.proxies) whom they name. False:
 * it is the peer. Of a peer without an IP address, or gone before anybody asked, all zero. */
bool exchange_address(struct exchange *x, struct net_ip *out);

/* The same in text, in `room` or as exchange_peer(). */
const char *exchange_client(struct exchange *x, char room[NET_IP_TEXT]);

/* The number of the listener that the connection came in by. */
unsigned exchange_listener(const struct exchange *x);

#endif
