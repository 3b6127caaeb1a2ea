/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_resolve.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "net/net_internal.h"

struct net_lookup {
    uv_getaddrinfo_t request;
    net_on_resolved *on_resolved; /* NULL once cancelled */
    void *ctx;
};

bool net_resolve_numeric(const char *host, uint16_t port, struct net_address *out)
{
    struct net_address a = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&a.storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&a.storage;
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        a.len = sizeof(*four);
    } else if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        a.len = sizeof(*six);
    } else {
        return false;
    }
    *out = a;
    return true;
}

static void on_addresses(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct net_lookup *lookup = request->data;
    struct net_address addresses[NET_ADDRESSES_MAX];
    size_t count = 0;
    if (status == 0) {
        for (struct addrinfo *a = found; a != NULL && count < NET_ADDRESSES_MAX; a = a->ai_next) {
            if (a->ai_addrlen <= sizeof(addresses[count].storage)) {
                memcpy(&addresses[count].storage, a->ai_addr, a->ai_addrlen);
                addresses[count++].len = a->ai_addrlen;
            }
        }
    }
    uv_freeaddrinfo(found);
    net_on_resolved *tell = lookup->on_resolved;
    void *ctx = lookup->ctx;
    memory_free(lookup);
    if (tell != NULL) {
        tell(ctx, count > 0 ? ERR_OK : ERR_NET_DNS, addresses, count);
    }
}

enum err net_resolve(struct net_loop *loop, const char *host, uint16_t port,
                     net_on_resolved *on_resolved, void *ctx, struct net_lookup **out)
{
    struct net_lookup *lookup = memory_new(sizeof(*lookup));
    if (lookup == NULL) {
        return ERR_NO_MEMORY;
    }
    lookup->on_resolved = on_resolved;
    lookup->ctx = ctx;
    lookup->request.data = lookup;
    char service[8];
    (void)snprintf(service, sizeof(service), "%u", port); /* at most five digits */
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
    if (uv_getaddrinfo(&loop->uv, &lookup->request, on_addresses, host, service, &hints) != 0) {
        memory_free(lookup);
        return ERR_NET_DNS;
    }
    *out = lookup;
    return ERR_OK;
}

void net_resolve_cancel(struct net_lookup **lookup)
{
    if (*lookup == NULL) {
        return;
    }
    (*lookup)->on_resolved = NULL;
    (void)uv_cancel((uv_req_t *)&(*lookup)->request); /* too late is fine: nobody is told */
    *lookup = NULL;
}
