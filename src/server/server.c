/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server.h"

#include <stdio.h>
#include <unistd.h>

#include "base/counter.h"
#include "base/memory.h"
#include "http/http_write.h"
#include "net/net_listen.h"
#include "net/net_tls.h"
#include "server/server_internal.h"

enum err server_open(struct net_loop *loop, const struct server_options *options,
                     struct server **out)
{
    struct server *s = memory_new(sizeof(*s));
    if (s == NULL) {
        return ERR_NO_MEMORY;
    }
    s->inbox = memory_raw(SERVER_INBOX_BYTES);
    s->head = memory_raw(sizeof(*s->head) + SERVER_FIELDS_MOST * sizeof(struct http_field));
    if (s->inbox == NULL || s->head == NULL) {
        memory_free(s->inbox);
        memory_free(s->head);
        memory_free(s);
        return ERR_NO_MEMORY;
    }
    s->loop = loop;
    s->settings = *options->settings;
    s->on_request = options->on_request;
    s->ctx = options->ctx;
    s->connections = options->connections;
    s->evicts = options->evicts;
    list_init(&s->all);
    list_init(&s->closed);
    server_incoming_init(s);
    *out = s;
    return ERR_OK;
}

static void on_accept(void *ctx, int fd)
{
    struct server_listener *l = ctx;
    server_incoming_accept(l->server, (unsigned)(l - l->server->listeners), fd);
}

enum err server_listen(struct server *s, int fd, unsigned listener, struct net_tls *tls)
{
    CHECK(listener < SERVER_LISTENERS_MAX && s->listeners[listener].listener == NULL);
    struct server_listener *l = &s->listeners[listener];
    l->server = s;
    enum err e = net_listener_open(s->loop, fd, on_accept, l, &l->listener);
    if (e != ERR_OK) {
        (void)close(fd); /* a listening socket holds no data */
        return e;
    }
    l->tls = tls == NULL ? NULL : net_tls_ref(tls);
    return ERR_OK;
}

void server_set_tls(struct server *s, unsigned listener, struct net_tls *tls)
{
    CHECK(listener < SERVER_LISTENERS_MAX);
    struct server_listener *l = &s->listeners[listener];
    CHECK((l->tls == NULL) == (tls == NULL));
    struct net_tls *old = l->tls;
    l->tls = tls == NULL ? NULL : net_tls_ref(tls);
    net_tls_unref(&old);
}

void server_set_settings(struct server *s, const struct server_settings *settings)
{
    s->settings = *settings;
}

unsigned server_connection_count(const struct server *s)
{
    return atomic_load_explicit(&s->open, memory_order_relaxed);
}

void server_set_siblings(struct server *s, struct server *const *siblings, size_t count)
{
    s->siblings = siblings;
    s->siblings_count = count;
}

static void close_listeners(struct server *s)
{
    for (size_t i = 0; i < SERVER_LISTENERS_MAX; i++) {
        net_listener_close(&s->listeners[i].listener);
    }
}

void server_drain(struct server *s)
{
    s->draining = true;
    for (struct list *link = s->all.next; link != &s->all; link = link->next) {
        struct server_connection *c = LIST_OF(link, struct server_connection, link);
        server_connection_drain(c);
    }
}

bool server_stop_accepting(struct server *s)
{
    CHECK(s->draining);
    for (size_t i = 0; i < SERVER_LISTENERS_MAX; i++) {
        struct net_listener *l = s->listeners[i].listener;
        if (l != NULL && !net_listener_accept_all(l)) {
            return false;
        }
    }
    close_listeners(s);
    s->closed_listeners = true;
    return true;
}

bool server_is_idle(const struct server *s)
{
    return s->closed_listeners && server_connection_count(s) == 0;
}

void server_forget(struct server *s, struct server_connection *c)
{
    atomic_fetch_sub_explicit(&s->open, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(s->connections, 1, memory_order_relaxed);
    if (c != NULL) {
        s->refused -= c->refused ? 1 : 0;
        counter_add(COUNT_CONNECTIONS_OPEN, -1);
    }
}

void server_close(struct server **server)
{
    struct server *s = *server;
    if (s == NULL) {
        return;
    }
    *server = NULL;
    s->draining = true;
    close_listeners(s);
    while (!list_is_empty(&s->all)) {
        struct server_connection *c = LIST_OF(s->all.next, struct server_connection, link);
        server_connection_abort(c);
    }
    while (!list_is_empty(&s->closed)) {
        server_connection_free(LIST_OF(s->closed.next, struct server_connection, link));
    }
    server_incoming_fini(s);
    for (size_t i = 0; i < SERVER_LISTENERS_MAX; i++) {
        net_tls_unref(&s->listeners[i].tls);
    }
    memory_free(s->inbox);
    memory_free(s->head);
    memory_free(s);
}

struct span server_date(struct server *s)
{
    int64_t second = clock_wall_coarse().us / 1000000;
    if (second != s->date_second) {
        char text[HTTP_DATE_BYTES];
        http_date((wall_us){second * 1000000}, text);
        (void)snprintf(s->date, sizeof(s->date), "Date: %s\r\n", text); /* has room */
        s->date_second = second;
    }
    return span_make(s->date, SERVER_DATE_BYTES - 1);
}
