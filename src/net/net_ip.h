/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_ip.h — IP addresses without a port, and networks, as bytes that can be compared.
 *
 * One form for both families: an IPv4 address is its IPv4-mapped IPv6 one (::ffff:192.0.2.7), so
 * the same client is the same 16 bytes however its socket came about. No I/O; struct net_address
 * (net_listen.h) is where a socket goes.
 *
 * Ownership  none: values, and texts that the caller has room for.
 * Limits     texts are strict: no leading zeros ("010" may be 8 or 10), no zones ("%eth0"), no
 *            shortened IPv4 ("10.1"), no spaces.
 * Threads    any.
 * Sources    RFC 4291 (2.2, 2.5.5.2), RFC 4632 (3.1), RFC 5952.
 */
#ifndef NET_NET_IP_H
#define NET_NET_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct sockaddr;

#define NET_IP_TEXT      46 /* of the longest address, and a NUL */
#define NET_NETWORK_TEXT 50 /* of the longest network, and a NUL */

struct net_ip {
    uint8_t bytes[16];
};

/* All addresses that begin with the first `bits` of `ip`, whose others are zero. */
struct net_network {
    struct net_ip ip;
    uint8_t bits; /* 0 to 128: that of an IPv4 network is 96 and more */
};

/* What a network's text may be. */
enum net_network_text {
    NET_NETWORK_GOOD,
    NET_NETWORK_MALFORMED,
    NET_NETWORK_LONG,      /* more bits than an address has */
    NET_NETWORK_HOST_BITS, /* 10.0.0.1/8: 10.0.0.0/8 or 10.0.0.1 may be meant */
};

/* Parses "192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7". */
MUST_USE bool net_ip_parse(struct span text, struct net_ip *out);

/* The same, and what proxies write: "192.0.2.7:4711", "[2001:db8::1]:4711", "[2001:db8::1]". The
 * port is looked at, and dropped. */
MUST_USE bool net_ip_parse_any(struct span text, struct net_ip *out);

/* Of the four bytes of an IPv4 address, as they travel. */
struct net_ip net_ip_of_v4(const void *four);

/* Of a socket's address; false of one that is not IP's. */
MUST_USE bool net_ip_of_sockaddr(const struct sockaddr *address, struct net_ip *out);

/* Whether it is an IPv4 one. */
bool net_ip_is_v4(const struct net_ip *ip);

bool net_ip_equal(const struct net_ip *a, const struct net_ip *b);

/* Writes it as people do: "192.0.2.7" of an IPv4 one, else as RFC 5952 says. */
void net_ip_text(const struct net_ip *ip, char out[NET_IP_TEXT]);

/* The address with all bits but the first `bits` zero. */
struct net_ip net_ip_cut(const struct net_ip *ip, unsigned bits);

/*
 * Parses "10.0.0.0/8", "2001:db8::/32", or an address, which is a network of one.
 * "::ffff:a.b.c.d/n" with n of 96 and more is the IPv4 network of n - 96 bits.
 *
 * `*out` is set on GOOD; on HOST_BITS too, to the network around the address, so that a message can
 * name what may be meant.
 */
MUST_USE enum net_network_text net_network_parse(struct span text, struct net_network *out);

/* What is wrong with the text, as the rest of a sentence that begins with it; "" if nothing. */
const char *net_network_problem(enum net_network_text parsed);

/* Writes it as net_network_parse() reads it; a network of one without its bits. */
void net_network_write(const struct net_network *network, char out[NET_NETWORK_TEXT]);

/* Whether the address is in it. An IPv4 address is in no network of IPv6: "::/0" is all of IPv6,
 * and who means all of IPv4 as well says "0.0.0.0/0". */
bool net_network_has(const struct net_network *network, const struct net_ip *ip);

/* Whether it is in one of them. */
bool net_networks_have(const struct net_network *networks, size_t count, const struct net_ip *ip);

#endif
