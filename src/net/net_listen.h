/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_listen.h — listening sockets: made in one process, accepted from in another.
 *
 * Ownership  net_listen_fd() gives a descriptor; net_listener_open() takes one.
 * Threads    net_listen_fd() any; a listener its loop's own.
 */
#ifndef NET_NET_LISTEN_H
#define NET_NET_LISTEN_H

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct net_loop;
struct net_listener;

struct net_address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* Parses "127.0.0.1:8080", "[::1]:8080", "*:8080", "localhost:8080" or "unix:/path".
 * ERR_ADDRESS if it is none of these. */
MUST_USE enum err net_address_parse(const char *text, struct net_address *out);

/* Writes `address` in the form net_address_parse() reads. */
void net_address_text(const struct net_address *address, char *out, size_t size);

/* Whether only this machine can reach it. */
bool net_address_is_loopback(const struct net_address *address);

/* The TCP port; 0 of a Unix socket. */
unsigned net_address_port(const struct net_address *address);

/*
 * Binds and listens. With `shared` several sockets may bind to one address (SO_REUSEPORT) and the
 * kernel spreads connections over them. ERR_ADDRESS; errno says why.
 */
MUST_USE enum err net_listen_fd(const struct net_address *address, bool shared, int *out);

/* `fd` is a new connection, non-blocking, which the callee owns from now on. */
typedef void net_on_accept(void *ctx, int fd);

/* Accepts from the listening socket `fd` until closed. Out of descriptors, it waits and tries
 * again. */
MUST_USE enum err net_listener_open(struct net_loop *loop, int fd, net_on_accept *on_accept,
                                    void *ctx, struct net_listener **out);

/* Accepts those that wait to be, as far as descriptors and the handler's budget go; false: some may
 * wait still. `on_accept` must not close the listener. */
MUST_USE bool net_listener_accept_all(struct net_listener *l);

/* Stops accepting; closes `*l` and its descriptor and sets it to NULL; nothing if it is NULL. */
void net_listener_close(struct net_listener **l);

#endif
