/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_dns.h — questions to name servers, through c-ares. For net_resolve.c: no cache, no patience.
 *
 * /etc/hosts, the search domains and the servers of /etc/resolv.conf are asked as the system's own
 * resolver does; a changed resolv.conf is read again with the next question. Addresses that no
 * server can be at (0.0.0.0, ::, multicast) are left out of an answer: 0.0.0.0 is this machine. A
 * name server that does not answer for IPv6 keeps no IPv4 address waiting.
 *
 * Ownership  net_dns_open() hands it to the loop's thread.
 * Limits     NET_ADDRESSES_MAX addresses of an answer; three tries, about 7 s, for a question.
 * Threads    the loop's own. c-ares 1.18 wants a channel to be one thread's.
 * Sources    c-ares.org/docs; RFC 1035, 2181 (8: a TTL with the highest bit set is 0), 6724, 6761.
 */
#ifndef NET_NET_DNS_H
#define NET_NET_DNS_H

#include "base/value.h"
#include "net/net_resolve.h"

struct net_dns;

enum net_dns_end {
    NET_DNS_FOUND,
    NET_DNS_NO_NAME, /* a server says that there is no such name */
    NET_DNS_FAILED,  /* no server answered, or none with an address */
    NET_DNS_AGAIN    /* the servers changed meanwhile: ask again */
};

struct net_dns_answer {
    enum net_dns_end end;
    uint32_t ttl_s; /* the shortest of all records; 0 for /etc/hosts */
    size_t count;
    struct net_address addresses[NET_ADDRESSES_MAX]; /* without a port */
};

/* Called once for each question, perhaps from within net_dns_ask() or net_dns_close(). */
typedef void net_dns_on_answer(void *ctx, const struct net_dns_answer *answer);

MUST_USE enum err net_dns_open(struct net_loop *loop, struct net_dns **out);

/* Asks these servers from now on, the system's if there are none. What is being asked ends AGAIN.
 * The texts are valid addresses and are borrowed until the next call or the end. */
void net_dns_set_servers_borrow(struct net_dns *dns, const struct texts *servers);

/* The host's text is borrowed until it is answered. */
void net_dns_ask(struct net_dns *dns, const char *host, net_dns_on_answer *on_answer, void *ctx);

/* Ends all questions with AGAIN, closes `*dns` and sets it to NULL; nothing if it is NULL. */
void net_dns_close(struct net_dns **dns);

#endif
