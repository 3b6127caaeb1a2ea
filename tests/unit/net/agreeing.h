/* SPDX-License-Identifier: Apache-2.0 */
/* agreeing.h — two ends of a stream that agree on TLS, or do not. */
#ifndef TESTS_NET_AGREEING_H
#define TESTS_NET_AGREEING_H

#include "net/certificate.h"
#include "net/sides.h"

#include <openssl/ssl.h>

#include "net/net_tls.h"
#include "net/net_transport.h"

/* Lets them agree, if they do. */
static inline void agree(struct net_loop *loop, struct side *client, struct side *server,
                         struct net_tls *believes, struct net_tls *shows, const char *host)
{
    pair_open(loop, client, server, on_agreeing);
    assert_int_equal(net_socket_start_tls(server->socket, shows, NULL), ERR_OK);
    assert_int_equal(net_socket_start_tls(client->socket, believes, host), ERR_OK);
    net_want(server->socket, true, false);
    net_want(client->socket, true, true); /* it speaks first */
    for (int i = 0; i < 100 && !client->failed && !(client->agreed && server->agreed); i++) {
        turn_settle(loop);
    }
}

static inline struct net_tls *open_client(const char *ca)
{
    struct net_tls *tls = NULL;
    char reason[NET_TLS_REASON_BYTES];
    assert_int_equal(net_tls_open_client(ca, reason, &tls), ERR_OK);
    return tls;
}

static inline struct net_tls *open_server(const struct certificate *c)
{
    struct net_tls *tls = NULL;
    char reason[NET_TLS_REASON_BYTES];
    struct net_tls_pair pair = {c->cert, c->key};
    assert_int_equal(net_tls_open_server(&pair, 1, reason, &tls), ERR_OK);
    return tls;
}

#endif
