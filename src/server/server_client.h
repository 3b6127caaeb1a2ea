/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_client.h — who a client is, where proxies that are believed stand before it.
 *
 * Ownership  none: values.
 * Limits     SERVER_HOPS_MAX members of X-Forwarded-For are looked at.
 * Threads    any.
 * Sources    nginx's ngx_http_realip_module with real_ip_recursive; trust.md 3.4.
 */
#ifndef SERVER_SERVER_CLIENT_H
#define SERVER_SERVER_CLIENT_H

#include "http/http_fields.h"
#include "server/server_settings.h"

#define SERVER_HOPS_MAX 64

struct server_client {
    struct net_ip address; /* all zero: it has none */
    bool has_address;
    bool is_derived; /* a proxy said so: it is not the connection's peer */
};

/*
 * Goes from `client`, who sent the request or whom a PROXY header named, to whom X-Forwarded-For
 * names: while it is a listed proxy, to the member of the list before it, from the right. What the
 * left of the list says, the client itself may have written; so may a proxy that hands on what it
 * was given, and then a client beyond SERVER_HOPS_MAX members is not found. A member that is no
 * address ends the way at the last that was one.
 */
struct server_client server_client_behind(struct server_client client,
                                          const struct http_fields *fields,
                                          const struct server_trust *trust);

#endif
