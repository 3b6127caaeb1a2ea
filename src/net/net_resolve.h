/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_resolve.h — host names to addresses: one thread asks and remembers for the whole process.
 *
 * Names are found as the system's resolver finds them (/etc/hosts, search domains, resolv.conf,
 * both kinds of address), or at the servers of the settings. What is known:
 *
 *   fresh        for as long as its TTL says, between 1 s and 1 h: told at once. Where it was asked
 *                for, it is asked anew before that ends.
 *   stale        for a day more, while no server answers: told at once, and the servers are asked
 *                again with back-off. Where a server answers slowly, after half a second.
 *   no such name for 5 s; without any answer, for 1 s to 5 s
 *
 * Questions for the same name are one. Names whose servers do not answer may take most places
 * among those that are asked at once, never all: they keep no other name waiting.
 *
 * Ownership  net_resolver_open() hands it to the caller, who closes it after all that asked it. A
 *            lookup belongs to the resolver until its callback was called or it was cancelled.
 * Limits     NET_ADDRESSES_MAX addresses a name, 4,096 names, 256 questions at once.
 * Threads    net_resolve() and net_resolve_cancel() any, each lookup its loop's own; the rest one.
 * Sources    RFC 8767 (stale data), RFC 2308 (negative answers).
 */
#ifndef NET_NET_RESOLVE_H
#define NET_NET_RESOLVE_H

#include <stdint.h>

#include "base/clock.h"
#include "base/value.h"
#include "net/net_listen.h"

#define NET_ADDRESSES_MAX 8

struct net_lookup;
struct net_resolver;

struct net_dns_settings {
    struct texts servers; /* what net_dns_server_parse() takes; none: the system's */
};

struct net_question {
    const char *host; /* a name, or an address in text */
    uint16_t port;
    bool again; /* what was told last led nowhere: ask the servers before it is told again */
};

/* `count` addresses in the order to try them, good until `until`; or none, with e ERR_NET_DNS
 * or ERR_NO_MEMORY. */
struct net_found {
    enum err e;
    size_t count;
    mono_us until;
    struct net_address addresses[NET_ADDRESSES_MAX];
};

/* Called once on the asking loop's thread, never from within net_resolve(). */
typedef void net_on_resolved(void *ctx, const struct net_found *found);

/* Starts the thread; `settings` is copied. ERR_NO_MEMORY, or ERR_NET when the kernel has no
 * descriptor or thread left. */
MUST_USE enum err net_resolver_open(const struct net_dns_settings *settings,
                                    struct net_resolver **out);

/* Asks other servers from now on. What is known stays. ERR_NO_MEMORY changes nothing. */
MUST_USE enum err net_resolver_set(struct net_resolver *r, const struct net_dns_settings *settings);

/* Ends the thread. Every lookup must have been told or cancelled. Sets `*r` to NULL; nothing if it
 * is NULL. */
void net_resolver_close(struct net_resolver **r);

/* Looks a name up for `loop`. `*out` is for net_resolve_cancel(). ERR_NO_MEMORY. */
MUST_USE enum err net_resolve(struct net_resolver *r, struct net_loop *loop,
                              const struct net_question *question, net_on_resolved *on_resolved,
                              void *ctx, struct net_lookup **out);

/* If `host` is an address in text, sets `*out` and returns true: nothing has to be looked up. */
MUST_USE bool net_resolve_numeric(const char *host, uint16_t port, struct net_address *out);

/* Parses the address of a name server: "10.0.0.2", "10.0.0.2:5353", "[::1]:53", "::1".
 * ERR_ADDRESS. */
MUST_USE enum err net_dns_server_parse(const char *text, struct net_address *out);

/* The callback will not be called. Sets `*lookup` to NULL; nothing if it is NULL. */
void net_resolve_cancel(struct net_lookup **lookup);

#endif
