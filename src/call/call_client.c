/* SPDX-License-Identifier: Apache-2.0 */
/* An exchange as a call's client. */
#include "call/call_client.h"

const char *call_client_text(const struct call_client *by, void *client, char room[NET_IP_TEXT])
{
    struct net_ip named;
    if (!by->address(client, &named)) {
        return by->peer(client);
    }
    net_ip_text(&named, room);
    return room;
}

static void attach(void *client, exchange_on_event *on_event, void *ctx)
{
    exchange_attach(client, on_event, ctx);
}

static const struct http_request *head(const void *client)
{
    return exchange_head(client);
}

static uint64_t body_length(const void *client)
{
    return exchange_body_length(client);
}

static const char *peer(void *client)
{
    return exchange_peer(client);
}

static bool address(void *client, struct net_ip *out)
{
    return exchange_address(client, out);
}

static void proceed(void *client)
{
    exchange_continue(client);
}

static enum exchange_pulled pull(void *client, void *to, size_t size, size_t *got)
{
    return exchange_pull(client, to, size, got);
}

static enum err error(const void *client)
{
    return exchange_error(client);
}

static void put_head(void *client, int status, struct span fields, uint64_t length)
{
    exchange_put_head(client, status, fields, length);
}

static void put(void *client, const struct iovec *pieces, int count)
{
    exchange_put(client, pieces, count);
}

static size_t waiting(const void *client)
{
    return exchange_waiting(client);
}

static bool is_gone(const void *client)
{
    return exchange_is_gone(client);
}

static uint64_t sent(const void *client)
{
    return exchange_sent(client);
}

static void finish(void *client)
{
    exchange_finish(client);
}

static void cancel(void *client)
{
    exchange_cancel(client);
}

static void refuse(void *client, enum err e, struct span message, struct span param,
                   struct span more_fields)
{
    exchange_refuse(client, e, message, param, more_fields);
}

const struct call_client call_client_exchange = {
    .attach = attach,
    .head = head,
    .body_length = body_length,
    .peer = peer,
    .address = address,
    .proceed = proceed,
    .pull = pull,
    .error = error,
    .put_head = put_head,
    .put = put,
    .waiting = waiting,
    .is_gone = is_gone,
    .sent = sent,
    .finish = finish,
    .cancel = cancel,
    .refuse = refuse,
};
