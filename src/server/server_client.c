/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server_client.h"

#include "base/log.h"
#include "base/memory.h"
#include "net/net_tls.h"
#include "server/server_internal.h"

#define MINUTE_US INT64_C(60000000)

static bool is_proxy(const struct server_trust *trust, const struct server_client *client)
{
    return client->has_address &&
           net_networks_have(trust->proxies, trust->proxies_count, &client->address);
}

/* ---- X-Forwarded-For ---- */

/* Cuts the last of the comma-separated members off. */
static struct span last_member(struct span *list)
{
    size_t from = list->len;
    while (from > 0 && list->at[from - 1] != ',') {
        from--;
    }
    struct span member = span_trim(span_cut(*list, from, list->len));
    list->len = from > 0 ? from - 1 : 0;
    return member;
}

/* The way through the lists of a request. */
struct way {
    const struct server_trust *trust;
    struct server_client client;
    unsigned hops;
    bool is_over;
};

static void go_back(struct way *way, struct span list)
{
    while (list.len > 0 && !way->is_over) {
        struct span member = last_member(&list);
        struct net_ip named;
        way->is_over = ++way->hops == SERVER_HOPS_MAX;
        if (member.len == 0) {
            continue; /* RFC 9110 5.6.1.2 */
        }
        if (!net_ip_parse_any(member, &named)) {
            way->is_over = true;
            return;
        }
        way->client.address = named;
        way->client.is_derived = true;
        way->is_over = way->is_over || !is_proxy(way->trust, &way->client);
    }
}

struct server_client server_client_behind(struct server_client client,
                                          const struct http_fields *fields,
                                          const struct server_trust *trust)
{
    struct way way = {.trust = trust, .client = client};
    if (!http_fields_has(fields, HTTP_NAME_X_FORWARDED_FOR) || !is_proxy(trust, &client)) {
        return client;
    }
    for (uint32_t i = fields->count; i-- > 0 && !way.is_over;) {
        if (fields->rows[i].id == HTTP_NAME_X_FORWARDED_FOR) {
            go_back(&way, http_field_value(fields, i));
        }
    }
    return way.client;
}

/* ---- a connection's ---- */

/* Whose connection it is, as the kernel says. */
static void find_peer(struct server_connection *c)
{
    if (!c->has_client) {
        c->client.has_address = net_peer_ip(c->socket, &c->client.address);
        c->has_client = true;
    }
}

struct server_client server_client_of(struct server_connection *c)
{
    find_peer(c);
    return server_client_behind(c->client, &c->exchange.head->request.fields,
                                &c->server->settings.trust);
}

/* Tells the log of a connection that is closed for its header, once a minute. */
static enum net_result refuse(struct server_connection *c, const char *why)
{
    char text[NET_IP_TEXT] = "a client that has left";
    int64_t minute = net_loop_now(c->server->loop).us / MINUTE_US + 1;
    if (c->client.has_address) {
        net_ip_text(&c->client.address, text);
    }
    if (c->server->proxy_told != minute) {
        c->server->proxy_told = minute;
        log_warn("proxy_refused", "%s: %s", text, why);
    }
    return NET_FAILED;
}

static enum net_result take_header(struct server_connection *c)
{
    const struct server_proxy_header *h = c->proxy;
    if (h->is_bad) {
        return refuse(c, "it is a listed proxy, and its connection does not begin with a PROXY "
                         "header (v1 or v2), as the listener's proxy_protocol wants it");
    }
    if (h->has_client && !net_ip_equal(&h->client, &c->client.address)) {
        c->client.address = h->client;
        c->client.is_derived = true;
    }
    return NET_OK;
}

enum net_result server_client_read(struct server_connection *c)
{
    find_peer(c);
    if (c->proxy == NULL && !is_proxy(&c->server->settings.trust, &c->client)) {
        return refuse(c, "it is not one of client.proxies, and the listener's proxy_protocol takes "
                         "connections from those alone");
    }
    if (c->proxy == NULL && (c->proxy = memory_new(sizeof(*c->proxy))) == NULL) {
        return NET_FAILED;
    }
    uint8_t *to;
    for (size_t size; (size = server_proxy_room(c->proxy, &to)) > 0;) {
        size_t got;
        enum net_result r = c->readable ? server_input_read(c, to, size, &got) : NET_AGAIN;
        if (r != NET_OK) {
            return r;
        }
        server_proxy_took(c->proxy, got);
    }
    return take_header(c);
}

void server_client_forget(struct server_connection *c)
{
    memory_free(c->proxy);
    c->proxy = NULL;
    net_tls_unref(&c->tls);
}
