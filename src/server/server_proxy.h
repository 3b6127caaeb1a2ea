/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_proxy.h — the PROXY protocol's header, version 1 or 2: whom a connection comes from.
 *
 * What follows it may be TLS, so it is read to its last byte and not one further: the header says
 * how many bytes are surely its own still, and takes those.
 *
 *     while ((size = server_proxy_room(h, &to)) > 0) { read up to `size` bytes to `to`;
 *                                                      server_proxy_took(h, got); }
 *
 * Ownership  the caller's; all zero to begin with.
 * Limits     107 bytes of version 1, SERVER_PROXY_MOST of version 2; what follows its addresses
 *            (TLVs) is dropped as it comes.
 * Threads    any.
 * Sources    haproxy's doc/proxy-protocol.txt, 2.1 and 2.2.
 */
#ifndef SERVER_SERVER_PROXY_H
#define SERVER_SERVER_PROXY_H

#include "net/net_ip.h"

#define SERVER_PROXY_MOST 4096
#define SERVER_PROXY_KEPT 107

struct server_proxy_header {
    uint8_t bytes[SERVER_PROXY_KEPT];
    uint16_t have; /* bytes that came */
    bool is_bad;   /* it is no such header */
    bool is_whole;
    bool has_client;      /* it names one; else the connection is the proxy's own (a look at our
                             health), or the proxy does not know */
    struct net_ip client; /* of has_client */
};

/* How many bytes may come next, and where they go; 0: it is whole, or bad. */
size_t server_proxy_room(struct server_proxy_header *h, uint8_t **to);

/* So many of them came. */
void server_proxy_took(struct server_proxy_header *h, size_t count);

#endif
