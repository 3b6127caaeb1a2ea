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
    bool (*is_quiet)(struct net_socket *s);
    void (*finish)(struct net_socket *s);
    void (*end)(struct net_socket *s);
};

/* What a client says first, of which OpenSSL would make room for all that a head announces. */
struct tls_hello {
    uint8_t record[5], head[4]; /* of the record that is read; of the message */
    uint8_t record_have, head_have;
    bool is_second; /* one message was read whole */
    bool is_over;   /* nothing more is looked at */
    uint32_t left;  /* of the message behind its head */
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
    bool told_hangup;
    bool is_ours;      /* dialled, not accepted */
    struct list late;  /* the loop's */
    unsigned late_for; /* net_events that its handler was not told of yet */
    bool muted;        /* is late, and not polled until its turn comes */
    bool postponed;    /* its handshake waits in the loop's crowd */
    struct list crowd;
    bool tls_wants_read, tls_wants_write; /* what TLS needs to go on, whatever the owner wants */
    bool tls_dry;                         /* the kernel had no byte left when TLS asked */
    bool tls_more;                        /* TLS stopped reading before that */
    uint8_t tls_reads;                    /* of this turn */
    struct tls_hello tls_hello;
    uint8_t
        tls_fruitless; /* turns that read of the socket and brought no data, since the last did */
};

extern const struct net_transport net_transport_plain;

/* A handshake for which this turn has no time left: its handler is called in one that has. */
void net_socket_postpone(struct net_socket *s, bool is_dialled);

/* A signature takes up to a millisecond or more: a crowd of handshakes has so much of a turn. */
#define NET_HANDSHAKES_A_TURN_US 1000

/* RFC 9525: a certificate's names stand in its subjectAltName, not in its subject (6.3), and a
 * wildcard is a whole label (6.3). */
#define NET_TLS_NAME_FLAGS \
    (X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

#endif
