/* SPDX-License-Identifier: Apache-2.0 */
#include "call/call_local.h"

#include "call/call_internal.h"
#include "http/http_request.h"

static void local_attach(void *client, exchange_on_event *on_event, void *ctx)
{
    struct call_local *local = client;
    local->on_event = on_event;
    local->call = ctx;
}

/* There is no HTTP in it: no header line is passed on, and none decides. */
static const struct http_request *local_head(const void *client)
{
    static const struct http_request none;
    (void)client;
    return &none;
}

static uint64_t local_body_length(const void *client)
{
    const struct call_local *local = client;
    return local->len;
}

static const char *local_peer(void *client)
{
    (void)client;
    return "gateway";
}

/* It has none. */
static bool local_address(void *client, struct net_ip *out)
{
    (void)client;
    *out = (struct net_ip){{0}};
    return false;
}

static void local_proceed(void *client)
{
    (void)client;
}

/* Nobody asks for the body of such a call: it has it from the start. */
static enum exchange_pulled local_pull(void *client, void *to, size_t size, size_t *got)
{
    (void)client;
    (void)to;
    (void)size;
    *got = 0;
    return EXCHANGE_END;
}

static enum err local_error(const void *client)
{
    const struct call_local *local = client;
    return local->is_cancelled ? ERR_CLIENT_GONE : ERR_OK;
}

static void local_put_head(void *client, int status, struct span fields, uint64_t length)
{
    struct call_local *local = client;
    (void)fields;
    (void)length;
    if (local->events->on_head != NULL) {
        local->events->on_head(local, status);
    }
}

static void local_put(void *client, const struct iovec *pieces, int count)
{
    struct call_local *local = client;
    for (int i = 0; i < count; i++) {
        local->put += pieces[i].iov_len;
        local->events->on_bytes(local, span_make(pieces[i].iov_base, pieces[i].iov_len));
    }
}

static size_t local_waiting(const void *client)
{
    (void)client;
    return 0; /* it was taken before put() returned */
}

static bool local_is_gone(const void *client)
{
    const struct call_local *local = client;
    return local->is_cancelled;
}

static uint64_t local_sent(const void *client)
{
    const struct call_local *local = client;
    return local->put;
}

/* The struct may be gone when this returns. */
static void end(struct call_local *local, enum err e, struct span message)
{
    local->shared->ports->undefer(&local->turn);
    local->events->on_end(local, e, message);
}

static void local_finish(void *client)
{
    end(client, ERR_OK, SPAN(""));
}

static void local_cancel(void *client)
{
    struct call_local *local = client;
    end(local, local->is_cancelled ? ERR_CLIENT_GONE : ERR_UPSTREAM_CLOSED, SPAN(""));
}

static void local_refuse(void *client, enum err e, struct span message, struct span param,
                         struct span more_fields)
{
    (void)param;
    (void)more_fields;
    end(client, e, message);
}

static const struct call_client client_local = {
    .is_own = true,
    .attach = local_attach,
    .head = local_head,
    .body_length = local_body_length,
    .peer = local_peer,
    .address = local_address,
    .proceed = local_proceed,
    .pull = local_pull,
    .error = local_error,
    .put_head = local_put_head,
    .put = local_put,
    .waiting = local_waiting,
    .is_gone = local_is_gone,
    .sent = local_sent,
    .finish = local_finish,
    .cancel = local_cancel,
    .refuse = local_refuse,
};

static void on_turn(struct net_task *task)
{
    struct call_local *local =
        (struct call_local *)(void *)((char *)task - offsetof(struct call_local, turn));
    if (local->call == NULL) {
        const struct call_origin from = {.by = &client_local,
                                         .client = local,
                                         .route = local->route,
                                         .key = &local->key,
                                         .body = local->body,
                                         .shadow = local->shadow};
        local->body = NULL;
        call_begin(local->shared, &from); /* the struct may be gone when this returns */
    } else {
        local->on_event(local->call);
    }
}

enum err call_local_start(struct call_local *local, struct call_shared *shared,
                          const struct route *route, const struct key_handle *key, struct span body)
{
    struct call_body *made;
    enum err e = call_body_new(body, &made);
    if (e == ERR_OK) {
        call_local_start_body(local, shared, route, key, made);
    }
    return e;
}

void call_local_start_body(struct call_local *local, struct call_shared *shared,
                           const struct route *route, const struct key_handle *key,
                           struct call_body *body)
{
    CHECK(local->events != NULL && local->call == NULL);
    local->body = body;
    local->len = call_body_span(body).len;
    local->shared = shared;
    local->route = route;
    local->key = *key;
    net_task_init(&local->turn, on_turn);
    shared->ports->defer(shared->loop, &local->turn);
}

void call_local_cancel(struct call_local *local)
{
    local->is_cancelled = true;
    local->shared->ports->defer(local->shared->loop, &local->turn);
}

void call_local_forget(struct call_local *local)
{
    CHECK(local->call == NULL);
    local->shared->ports->undefer(&local->turn);
    call_body_unref(&local->body);
}
