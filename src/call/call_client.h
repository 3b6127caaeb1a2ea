/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_client.h — who asks, as a call sees it: a table of functions.
 *
 * An exchange is one kind of client, and the gateway itself another (call_local.h): embeddings,
 * answers for documents, an external scanner or a shadow copy are calls like any other, recorded,
 * and kept inside borders. What each function must do is said where exchanges have it
 * (server/exchange.h); `client` is the one that the call was begun with.
 *
 * Threads  the worker's own.
 */
#ifndef CALL_CALL_CLIENT_H
#define CALL_CALL_CLIENT_H

#include "server/exchange_client.h"

struct call_client {
    bool is_own; /* the gateway itself */
    void (*attach)(void *client, exchange_on_event *on_event, void *ctx);
    const struct http_request *(*head)(const void *client);
    uint64_t (*body_length)(const void *client);
    const char *(*peer)(void *client);
    bool (*address)(void *client, struct net_ip *out); /* exchange_address() */
    void (*proceed)(void *client);                     /* exchange_continue() */
    enum exchange_pulled (*pull)(void *client, void *to, size_t size, size_t *got);
    enum err (*error)(const void *client);
    void (*put_head)(void *client, int status, struct span fields, uint64_t length);
    void (*put)(void *client, const struct iovec *pieces, int count);
    size_t (*waiting)(const void *client);
    bool (*is_gone)(const void *client);
    uint64_t (*sent)(const void *client);
    void (*finish)(void *client);
    void (*cancel)(void *client);
    void (*refuse)(void *client, enum err e, struct span message, struct span param,
                   struct span more_fields);
};

/* Who asks, in text, in `room` or as peer(): as exchange_client() has it. */
const char *call_client_text(const struct call_client *by, void *client, char room[NET_IP_TEXT]);

/* That of exchanges. */
extern const struct call_client call_client_exchange;

#endif
