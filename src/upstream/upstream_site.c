/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One deployment as one worker knows it: who waits for it, where it is.
 *
 * Whoever waits is woken by a task at the end of the loop's turn, never from within what freed a
 * connection. A wake-up cannot be lost: each end of a connection here wakes the first; the first
 * that leaves the list wakes the next; and what other workers free is looked for every LOOK_MS.
 */
#include "upstream/upstream_internal.h"

#include "base/memory.h"

#define LOOK_MS      50 /* while somebody waits, here or elsewhere */
#define LOOK_IDLE_MS 1000

bool upstream_site_is_retired(const struct upstream_site *site)
{
    struct deployment *d = site->deployment;
    return atomic_load_explicit(&d->refs, memory_order_relaxed) <=
           atomic_load_explicit(&d->pools, memory_order_relaxed);
}

int64_t upstream_site_others_waiting(const struct upstream_site *site)
{
    const struct deployment *d = site->deployment;
    if (d->definition.connections_max == 0) {
        return 0;
    }
    return atomic_load_explicit(&d->waiting, memory_order_relaxed) - site->waiting_count;
}

static MUST_USE enum err site_new(struct upstream_pool *pool, struct deployment *d,
                                  struct upstream_site **out)
{
    struct upstream_site *site = memory_new(sizeof(*site));
    if (site == NULL) {
        return ERR_NO_MEMORY;
    }
    list_init(&site->link);
    list_init(&site->idle);
    list_init(&site->waiting);
    list_init(&site->resolving);
    site->pool = pool;
    site->deployment = deployment_ref(d);
    (void)atomic_fetch_add(&d->pools, 1); /* the old count is of no use */
    if (net_resolve_numeric(d->host, d->port, &site->addresses[0])) {
        site->address_count = 1;
        site->addresses_until = NET_NEVER;
    }
    *out = site;
    return ERR_OK;
}

enum err upstream_site_get(struct upstream_pool *pool, struct deployment *d,
                           struct upstream_site **out)
{
    for (struct list *l = pool->sites.next; l != &pool->sites; l = l->next) {
        struct upstream_site *site = LIST_OF(l, struct upstream_site, link);
        if (site->deployment == d) {
            if (l != pool->sites.next) {
                list_remove(l);
                list_push_front(&pool->sites, l);
            }
            *out = site;
            return ERR_OK;
        }
    }
    enum err e = site_new(pool, d, out);
    if (e == ERR_OK) {
        list_push_front(&pool->sites, &(*out)->link);
    }
    return e;
}

static struct upstream_connection *oldest(const struct upstream_site *site)
{
    return LIST_OF(site->idle.prev, struct upstream_connection, link);
}

static void close_oldest(struct upstream_site *site)
{
    struct upstream_connection *c = oldest(site);
    upstream_connection_close(&c);
    net_loop_spend(site->pool->loop, 0);
}

static void close_idle(struct upstream_site *site)
{
    while (!list_is_empty(&site->idle)) {
        close_oldest(site);
    }
}

void upstream_site_free(struct upstream_site *site)
{
    CHECK(site->attempt_count == 0 && list_is_empty(&site->waiting) &&
          list_is_empty(&site->resolving));
    close_idle(site);
    net_resolve_cancel(&site->lookup);
    list_remove(&site->link);
    (void)atomic_fetch_sub(&site->deployment->pools, 1); /* before the reference goes */
    deployment_unref(&site->deployment);
    memory_free(site);
}

void upstream_site_wake(struct upstream_site *site)
{
    if (list_is_empty(&site->waiting)) {
        return;
    }
    struct attempt *first = LIST_OF(site->waiting.next, struct attempt, link);
    net_loop_defer(site->pool->loop, &first->task);
}

/* Closes what was idle for too long, and one for each attempt that waits in another worker; all of
 * a retired site's. False: the turn has no time left for more. */
static bool expire(struct upstream_site *site, mono_us now)
{
    int64_t keep_us = site->deployment->definition.idle_keep_ms * 1000;
    int64_t wanted = list_is_empty(&site->waiting) ? upstream_site_others_waiting(site) : 0;
    bool all = upstream_site_is_retired(site);
    while (!list_is_empty(&site->idle) && !net_loop_is_spent(site->pool->loop)) {
        if (!all && clock_since(oldest(site)->idle_since, now) < keep_us && wanted-- <= 0) {
            break;
        }
        close_oldest(site);
    }
    return !net_loop_is_spent(site->pool->loop);
}

mono_us upstream_site_idle_look(const struct upstream_site *site, mono_us now)
{
    const struct upstream_definition *own = &site->deployment->definition;
    if (list_is_empty(&site->idle)) {
        return NET_NEVER;
    }
    mono_us next = clock_after_ms(oldest(site)->idle_since, own->idle_keep_ms);
    if (own->connections_max > 0) {
        bool full = atomic_load(&site->deployment->connections) >= own->connections_max;
        mono_us look = clock_after_ms(now, full ? LOOK_MS : LOOK_IDLE_MS);
        next = look.us < next.us ? look : next;
    }
    return next;
}

mono_us upstream_site_look(struct upstream_site *site, mono_us now)
{
    bool is_done = expire(site, now);
    upstream_site_wake(site);
    if (!is_done) {
        return clock_after_ms(now, 1); /* others have theirs in between */
    }
    if (!list_is_empty(&site->waiting)) {
        return clock_after_ms(now, LOOK_MS);
    }
    return upstream_site_idle_look(site, now);
}

bool upstream_site_has_addresses(const struct upstream_site *site)
{
    return site->address_count > 0 &&
           (site->addresses_until.us == INT64_MAX ||
            site->addresses_until.us > net_loop_now(site->pool->loop).us);
}

void upstream_site_forget_addresses(struct upstream_site *site)
{
    if (site->addresses_until.us != INT64_MAX) {
        site->addresses_until = (mono_us){0};
        site->addresses_failed = true;
    }
    site->address_first = 0;
}

static void on_resolved(void *ctx, const struct net_found *found)
{
    struct upstream_site *site = ctx;
    site->lookup = NULL;
    if (found->e == ERR_OK) {
        memcpy(site->addresses, found->addresses, found->count * sizeof(found->addresses[0]));
        site->address_count = (uint32_t)found->count;
        site->address_first = 0;
        site->addresses_until = found->until;
        site->addresses_failed = false;
    }
    struct list *link;
    while ((link = list_pop_front(&site->resolving)) != NULL) {
        struct attempt *a = LIST_OF(link, struct attempt, link);
        a->unresolved = found->e;
        net_loop_defer(site->pool->loop, &a->task);
    }
}

enum err upstream_site_resolve(struct upstream_site *site, struct attempt *a)
{
    if (site->lookup == NULL) {
        const struct deployment *d = site->deployment;
        const struct net_question question = {d->host, d->port, site->addresses_failed};
        enum err e = net_resolve(site->pool->resolver, site->pool->loop, &question, on_resolved,
                                 site, &site->lookup);
        if (e != ERR_OK) {
            return e;
        }
    }
    list_push_back(&site->resolving, &a->link);
    return ERR_OK;
}
