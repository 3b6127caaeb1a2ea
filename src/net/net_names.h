/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_names.h — what is known of host names, and who waits to know. For net_resolve.c.
 *
 * Ownership  net_names_open() hands it to the resolver's thread. A question is its asker's memory,
 *            on a list here until it is told.
 * Threads    the loop's own.
 */
#ifndef NET_NET_NAMES_H
#define NET_NET_NAMES_H

#include "base/list.h"
#include "net/net_resolve.h"

struct net_names;

/* One who wants to know. */
struct net_asker {
    struct list link;
    const char *host;
    bool again;
};

/* Called once for each asker, perhaps from within net_names_ask(): it is on no list any more. The
 * addresses have no port. */
typedef void net_names_tell(struct net_asker *asker, const struct net_found *found);

MUST_USE enum err net_names_open(struct net_loop *loop, net_names_tell *tell,
                                 struct net_names **out);

/* The servers to ask, as net_dns_set_servers_borrow(). Names that failed may be asked again now. */
void net_names_set_servers_borrow(struct net_names *names, const struct texts *servers);

void net_names_ask(struct net_names *names, struct net_asker *asker);

/* Tells whoever waits that nothing was found, closes `*names`, sets it to NULL; nothing if it is
 * NULL. */
void net_names_close(struct net_names **names);

#endif
