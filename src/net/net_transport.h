/* SPDX-License-Identifier: Apache-2.0 */
/* net_transport.h — how net's sockets move bytes: plain or TLS. For net's own files. */
#ifndef NET_NET_TRANSPORT_H
#define NET_NET_TRANSPORT_H

#include <openssl/types.h>

#include "base/span.h"
#include "net/net_internal.h"
#include "net/net_socket.h"

struct net_transport {
    enum net_result (*handshake)(struct net_socket *s);
    enum net_result (*read)(struct net_socket *s, void *to, size_t size, size_t *got);
    enum net_result (*writev)(struct net_socket *s, const struct iovec *pieces, int count,
                              size_t *sent);
    bool (*holds_bytes)(const struct net_socket *s);
    void (*finish)(struct net_socket *s);
    void (*end)(struct net_socket *s);
};

struct net_socket {
    uv_poll_t poll;
    struct net_loop *loop;
    const struct net_transport *transport;
    net_on_ready *on_ready; /* NULL once closed */
    void *ctx;
    struct net_task held;
    struct net_tls *tls;
    SSL *ssl;
    int fd;
    int flags; /* what the poll handle was last asked for; -1: stopped by libuv */
    bool want_read, want_write;
    bool tls_wants_read, tls_wants_write; /* what TLS needs to go on, whatever the owner wants */
    bool told_hangup;
};

extern const struct net_transport net_transport_plain;

#endif
