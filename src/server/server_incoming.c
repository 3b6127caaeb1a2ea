/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel spreads new connections over the workers' sockets by a hash, which is fair to
 * addresses and not to workers. A worker that is far above the least loaded one passes a connection
 * on before it has read a byte of it.
 */
#include <unistd.h>

#include "base/memory.h"
#include "net/net_tls.h"
#include "server/server_internal.h"

#define AHEAD_LEAST   8  /* connections */
#define AHEAD_PERCENT 12 /* of the least loaded one's */

struct handed {
    struct list link;
    unsigned listener;
    int fd;
    bool refuse;
};

static void serve(struct server *s, unsigned listener, int fd, bool refuse)
{
    const struct server_listener *l = &s->listeners[listener];
    if (refuse) {
        if (l->tls != NULL || s->evicts || s->refused >= SERVER_REFUSED_MAX) {
            (void)close(fd); /* nothing was written */
            server_forget(s, NULL);
            return;
        }
        s->refused++;
    }
    server_connection_open(s, fd, listener, refuse);
}

static struct list *pop(struct server_incoming *in)
{
    CHECK(pthread_mutex_lock(&in->lock) == 0);
    struct list *link = list_pop_front(&in->queue);
    CHECK(pthread_mutex_unlock(&in->lock) == 0);
    return link;
}

static void on_incoming(struct net_task *task)
{
    struct server *s = LIST_OF(task, struct server, incoming.task);
    struct list *link;
    while (!net_loop_is_spent(s->loop)) {
        link = pop(&s->incoming);
        if (link == NULL) {
            return;
        }
        struct handed *h = LIST_OF(link, struct handed, link);
        serve(s, h->listener, h->fd, h->refuse);
        memory_free(h);
        net_loop_spend(s->loop, 0);
    }
    net_loop_post(s->loop, task); /* for those that are left */
}

void server_incoming_init(struct server *s)
{
    CHECK(pthread_mutex_init(&s->incoming.lock, NULL) == 0);
    list_init(&s->incoming.queue);
    net_task_init(&s->incoming.task, on_incoming);
}

void server_incoming_fini(struct server *s)
{
    struct list *link;
    while ((link = pop(&s->incoming)) != NULL) {
        struct handed *h = LIST_OF(link, struct handed, link);
        (void)close(h->fd); /* nothing was written */
        server_forget(s, NULL);
        memory_free(h);
    }
    CHECK(pthread_mutex_destroy(&s->incoming.lock) == 0);
}

/* The sibling to give a connection to, or `s` itself. */
static struct server *least_loaded(struct server *s)
{
    struct server *best = s;
    unsigned least = server_connection_count(s);
    unsigned ours = least;
    for (size_t i = 0; i < s->siblings_count; i++) {
        unsigned count = server_connection_count(s->siblings[i]);
        if (count < least) {
            least = count;
            best = s->siblings[i];
        }
    }
    unsigned ahead = least * AHEAD_PERCENT / 100;
    ahead = ahead < AHEAD_LEAST ? AHEAD_LEAST : ahead;
    return ours > least + ahead ? best : s;
}

void server_incoming_accept(struct server *s, unsigned listener, int fd)
{
    int64_t before = atomic_fetch_add_explicit(s->connections, 1, memory_order_relaxed);
    bool is_full = before >= s->settings.connections_max;
    bool refuse = is_full && !(s->evicts && server_connection_evict(s));
    struct server *to = s->draining ? s : least_loaded(s); /* the others end, too */
    struct handed *h = to == s ? NULL : memory_new(sizeof(*h));
    if (h == NULL) {
        atomic_fetch_add_explicit(&s->open, 1, memory_order_relaxed);
        serve(s, listener, fd, refuse);
        return;
    }
    atomic_fetch_add_explicit(&to->open, 1, memory_order_relaxed);
    *h = (struct handed){.listener = listener, .fd = fd, .refuse = refuse};
    CHECK(pthread_mutex_lock(&to->incoming.lock) == 0);
    list_push_back(&to->incoming.queue, &h->link);
    CHECK(pthread_mutex_unlock(&to->incoming.lock) == 0);
    net_loop_post(to->loop, &to->incoming.task);
}
