/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lookup travels: on the resolver's list of new ones, then among those who wait for a name, then,
 * told, on the asking loop's queue. One lock guards where it is. Whoever cancels finds it either on
 * its own loop's queue, and frees it, or with the resolver, which frees it when its turn comes.
 */
#include "net/net_resolve.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#include "base/check.h"
#include "base/counter.h"
#include "base/memory.h"
#include "net/net_loop.h"
#include "net/net_names.h"

struct net_resolver {
    struct net_loop *loop;
    struct net_names *names;
    pthread_t thread;
    struct net_task wake;
    const struct texts *servers; /* that `names` borrows */
    struct {
        pthread_mutex_t lock;
        struct list asked;     /* lookups that the thread has not seen */
        struct texts *servers; /* to be asked from now on; NULL: no change */
        bool is_ending;
    } shared;
};

struct net_lookup {
    struct net_asker asker; /* `link` is in shared.asked at first */
    struct net_resolver *resolver;
    struct net_loop *loop;
    struct net_task task; /* on that loop */
    net_on_resolved *on_resolved;
    void *ctx;
    uint16_t port;
    bool is_told, is_cancelled; /* under the lock */
    struct net_found found;
    char host[];
};

static void lock(struct net_resolver *r)
{
    CHECK(pthread_mutex_lock(&r->shared.lock) == 0);
}

static void unlock(struct net_resolver *r)
{
    CHECK(pthread_mutex_unlock(&r->shared.lock) == 0);
}

/* ---- addresses in text ---- */

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

enum err net_dns_server_parse(const char *text, struct net_address *out)
{
    if (net_resolve_numeric(text, 53, out)) {
        return ERR_OK;
    }
    if (strncmp(text, "unix:", 5) == 0 || text[0] == '*') {
        return ERR_ADDRESS;
    }
    return net_address_parse(text, out);
}

static void set_port(struct net_address *address, uint16_t port)
{
    if (address->storage.ss_family == AF_INET) {
        ((struct sockaddr_in *)(void *)&address->storage)->sin_port = htons(port);
    } else {
        ((struct sockaddr_in6 *)(void *)&address->storage)->sin6_port = htons(port);
    }
}

/* ---- on the resolver's thread ---- */

static void on_told(struct net_task *task)
{
    struct net_lookup *lookup = LIST_OF(task, struct net_lookup, task);
    lookup->on_resolved(lookup->ctx, &lookup->found);
    memory_free(lookup);
}

static void tell(struct net_asker *asker, const struct net_found *found)
{
    struct net_lookup *lookup = LIST_OF(asker, struct net_lookup, asker);
    struct net_resolver *r = lookup->resolver;
    lookup->found = *found;
    for (size_t i = 0; i < found->count; i++) {
        set_port(&lookup->found.addresses[i], lookup->port);
    }
    lock(r);
    bool is_cancelled = lookup->is_cancelled;
    if (!is_cancelled) {
        lookup->is_told = true;
        net_loop_post(lookup->loop, &lookup->task);
    }
    unlock(r);
    if (is_cancelled) {
        memory_free(lookup);
    }
}

static void take_servers(struct net_resolver *r, struct texts *servers)
{
    const struct texts *old = r->servers;
    net_names_set_servers_borrow(r->names, servers);
    r->servers = servers;
    memory_free((void *)(uintptr_t)old);
}

static void on_wake(struct net_task *task)
{
    struct net_resolver *r = LIST_OF(task, struct net_resolver, wake);
    struct list asked;
    list_init(&asked);
    lock(r);
    list_move_all(&asked, &r->shared.asked);
    struct texts *servers = r->shared.servers;
    r->shared.servers = NULL;
    bool is_ending = r->shared.is_ending;
    unlock(r);
    if (servers != NULL) {
        take_servers(r, servers);
    }
    struct list *link;
    while ((link = list_pop_front(&asked)) != NULL) {
        net_names_ask(r->names, LIST_OF(link, struct net_asker, link));
    }
    if (is_ending) {
        net_loop_stop(r->loop);
    }
}

static void *run(void *arg)
{
    struct net_resolver *r = arg;
    (void)pthread_setname_np(pthread_self(), "atlas-resolver"); /* only a name */
    counter_thread_start();
    net_loop_run(r->loop);
    return NULL;
}

/* ---- from any thread ---- */

enum err net_resolve(struct net_resolver *r, struct net_loop *loop,
                     const struct net_question *question, net_on_resolved *on_resolved, void *ctx,
                     struct net_lookup **out)
{
    size_t bytes = strlen(question->host) + 1;
    struct net_lookup *lookup = memory_new(sizeof(*lookup) + bytes);
    if (lookup == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(lookup->host, question->host, bytes);
    lookup->asker.host = lookup->host;
    lookup->asker.again = question->again;
    lookup->resolver = r;
    lookup->loop = loop;
    lookup->port = question->port;
    lookup->on_resolved = on_resolved;
    lookup->ctx = ctx;
    list_init(&lookup->asker.link);
    net_task_init(&lookup->task, on_told);
    lock(r);
    list_push_back(&r->shared.asked, &lookup->asker.link);
    unlock(r);
    net_loop_post(r->loop, &r->wake);
    *out = lookup;
    return ERR_OK;
}

void net_resolve_cancel(struct net_lookup **lookup)
{
    struct net_lookup *l = *lookup;
    if (l == NULL) {
        return;
    }
    *lookup = NULL;
    struct net_resolver *r = l->resolver;
    lock(r);
    bool is_told = l->is_told;
    l->is_cancelled = true;
    unlock(r);
    if (is_told) {
        net_loop_unpost(l->loop, &l->task);
        memory_free(l);
    }
}

/* One allocation: the list, its pointers, their texts. */
static enum err copy_servers(const struct texts *servers, struct texts **out)
{
    size_t bytes = sizeof(struct texts) + servers->count * sizeof(char *);
    for (size_t i = 0; i < servers->count; i++) {
        bytes += strlen(servers->at[i]) + 1;
    }
    struct texts *copy = memory_new(bytes);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    const char **at = (const char **)(void *)(copy + 1);
    char *text = (char *)(at + servers->count);
    for (size_t i = 0; i < servers->count; i++) {
        size_t len = strlen(servers->at[i]) + 1;
        memcpy(text, servers->at[i], len);
        at[i] = text;
        text += len;
    }
    copy->at = at;
    copy->count = servers->count;
    *out = copy;
    return ERR_OK;
}

enum err net_resolver_set(struct net_resolver *r, const struct net_dns_settings *settings)
{
    struct texts *servers = NULL;
    enum err e = copy_servers(&settings->servers, &servers);
    if (e != ERR_OK) {
        return e;
    }
    lock(r);
    struct texts *unseen = r->shared.servers;
    r->shared.servers = servers;
    unlock(r);
    memory_free(unseen);
    net_loop_post(r->loop, &r->wake);
    return ERR_OK;
}

enum err net_resolver_open(const struct net_dns_settings *settings, struct net_resolver **out)
{
    struct net_resolver *r = memory_new(sizeof(*r));
    if (r == NULL) {
        return ERR_NO_MEMORY;
    }
    list_init(&r->shared.asked);
    net_task_init(&r->wake, on_wake);
    CHECK(pthread_mutex_init(&r->shared.lock, NULL) == 0);
    struct texts *servers = NULL;
    enum err e = net_loop_open(&r->loop);
    if (e == ERR_OK) {
        e = net_names_open(r->loop, tell, &r->names);
    }
    if (e == ERR_OK) {
        e = copy_servers(&settings->servers, &servers);
    }
    if (e == ERR_OK) {
        take_servers(r, servers);
        e = pthread_create(&r->thread, NULL, run, r) == 0 ? ERR_OK : ERR_NET;
    }
    if (e != ERR_OK) {
        net_names_close(&r->names);
        net_loop_close(&r->loop);
        memory_free((void *)(uintptr_t)r->servers);
        CHECK(pthread_mutex_destroy(&r->shared.lock) == 0);
        memory_free(r);
        return e;
    }
    *out = r;
    return ERR_OK;
}

void net_resolver_close(struct net_resolver **resolver)
{
    struct net_resolver *r = *resolver;
    if (r == NULL) {
        return;
    }
    *resolver = NULL;
    lock(r);
    r->shared.is_ending = true;
    unlock(r);
    net_loop_post(r->loop, &r->wake);
    CHECK(pthread_join(r->thread, NULL) == 0);
    net_names_close(&r->names);
    net_loop_close(&r->loop);
    CHECK(list_is_empty(&r->shared.asked));
    memory_free(r->shared.servers);
    memory_free((void *)(uintptr_t)r->servers);
    CHECK(pthread_mutex_destroy(&r->shared.lock) == 0);
    memory_free(r);
}
