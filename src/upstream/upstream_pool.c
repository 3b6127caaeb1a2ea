/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection counts against its deployment's most from the moment it may be made until it is
 * closed, idle time included. Its socket has one handler for all its life, so that taking it from
 * the pool and giving it back touch no system call. One timer serves all that is idle or waits; it
 * is set only while there is something to look at.
 */
#include "upstream/upstream_pool.h"

#include "base/counter.h"
#include "base/memory.h"
#include "upstream/upstream_internal.h"

#define REST_MS  3600000 /* between two looks at nothing */
#define YIELD_MS 60      /* longer than it takes the others to look */
#define LOOK_AT  256     /* of the idle connections, for one of the owner's */

static void on_tick(struct net_timer *timer)
{
    struct upstream_pool *pool =
        (struct upstream_pool *)(void *)((char *)timer - offsetof(struct upstream_pool, tick));
    upstream_pool_sweep(pool);
}

enum err upstream_pool_open(struct net_loop *loop, struct net_resolver *resolver,
                            struct upstream_pool **out)
{
    struct upstream_pool *pool = memory_new(sizeof(*pool));
    if (pool == NULL) {
        return ERR_NO_MEMORY;
    }
    pool->loop = loop;
    pool->resolver = resolver;
    list_init(&pool->sites);
    list_init(&pool->unused);
    list_init(&pool->ending);
    net_timer_init(&pool->tick, loop, on_tick);
    enum err e = net_timer_set(&pool->tick, clock_after_ms(clock_mono(), REST_MS));
    if (e != ERR_OK) {
        memory_free(pool);
        return e;
    }
    *out = pool;
    return ERR_OK;
}

void upstream_pool_tick_by(struct upstream_pool *pool, mono_us due)
{
    if (due.us < pool->tick.due.us) {
        /* It always has a place among the loop's timers, or one that it left just now. */
        CHECK(net_timer_set(&pool->tick, due) == ERR_OK);
    }
}

void upstream_pool_sweep(struct upstream_pool *pool)
{
    mono_us now = clock_mono();
    mono_us next = clock_after_ms(now, REST_MS);
    for (struct list *l = pool->sites.next, *after; l != &pool->sites; l = after) {
        after = l->next;
        struct upstream_site *site = LIST_OF(l, struct upstream_site, link);
        mono_us look = upstream_site_look(site, now);
        next = look.us < next.us ? look : next;
        if (site->attempt_count == 0 && site->idle_count == 0 && upstream_site_is_retired(site)) {
            upstream_site_free(site);
        }
    }
    upstream_pool_tick_by(pool, next);
}

void upstream_pool_close(struct upstream_pool **pool)
{
    struct upstream_pool *p = *pool;
    if (p == NULL) {
        return;
    }
    *pool = NULL;
    while (!list_is_empty(&p->ending)) {
        struct attempt *a = LIST_OF(p->ending.next, struct attempt, link);
        attempt_close(&a);
    }
    while (!list_is_empty(&p->sites)) {
        upstream_site_free(LIST_OF(p->sites.next, struct upstream_site, link));
    }
    struct list *link;
    while ((link = list_pop_front(&p->unused)) != NULL) {
        struct attempt *a = LIST_OF(link, struct attempt, link);
        net_timer_fini(&a->timer);
        memory_free(a);
    }
    net_timer_fini(&p->tick);
    memory_free(p);
}

static bool take_slot(struct deployment *d)
{
    int64_t most = d->definition.connections_max;
    int64_t open = atomic_fetch_add(&d->connections, 1);
    if (most > 0 && open >= most) {
        (void)atomic_fetch_sub(&d->connections, 1); /* undoes the line above */
        return false;
    }
    return true;
}

static struct upstream_connection *idle_newest(const struct upstream_site *site)
{
    return LIST_OF(site->idle.next, struct upstream_connection, link);
}

static struct upstream_connection *idle_oldest(struct upstream_site *site)
{
    return LIST_OF(site->idle.prev, struct upstream_connection, link);
}

static void leave_idle(struct upstream_connection *c)
{
    list_remove(&c->link);
    c->site->idle_count--;
}

/* Whether what this worker let go is still for the others to take. */
static bool must_yield(const struct upstream_site *site)
{
    return site->yields_until.us != 0 && upstream_site_others_waiting(site) > 0 &&
           net_loop_now(site->pool->loop).us < site->yields_until.us;
}

bool upstream_site_rests(const struct upstream_site *site)
{
    return site->idle_count > 0 && idle_newest(site)->idle_turn == net_loop_turns(site->pool->loop);
}

/* The one that was idle longest of those that may serve `owner`, off the list; NULL: there is none.
 * One on which something was said, or that ended, is closed. */
static struct upstream_connection *lend(struct upstream_site *site, const char *owner)
{
    bool any = site->deployment->definition.reuse == UPSTREAM_REUSE_ANY;
    uint64_t turn = net_loop_turns(site->pool->loop);
    int left = LOOK_AT;
    for (struct list *l = site->idle.prev, *before; l != &site->idle && left > 0; l = before) {
        before = l->prev;
        left--;
        struct upstream_connection *c = LIST_OF(l, struct upstream_connection, link);
        if (c->idle_turn == turn) {
            break; /* as are all that are newer */
        }
        if (!any && memcmp(c->owner, owner, sizeof(c->owner)) != 0) {
            continue;
        }
        leave_idle(c);
        if (net_is_quiet(c->socket)) {
            return c;
        }
        upstream_connection_close(&c);
    }
    return NULL;
}

enum err upstream_connection_take(const struct attempt *a, struct upstream_connection **out)
{
    struct upstream_site *site = a->site;
    *out = a->fresh ? NULL : lend(site, a->owner);
    if (*out != NULL || must_yield(site)) {
        return ERR_OK;
    }
    if (!take_slot(site->deployment)) {
        if (site->idle_count == 0 || (!a->fresh && upstream_site_rests(site))) {
            return ERR_OK;
        }
        struct upstream_connection *idle = idle_oldest(site);
        upstream_connection_close(&idle); /* a new one is wanted in its place */
        if (!take_slot(site->deployment)) {
            return ERR_OK; /* another worker was faster */
        }
    }
    struct upstream_connection *c = memory_new(sizeof(*c));
    if (c == NULL) {
        (void)atomic_fetch_sub(&site->deployment->connections, 1); /* the slot was not used */
        return ERR_NO_MEMORY;
    }
    c->magic = UPSTREAM_CONNECTION_MAGIC;
    c->site = site;
    list_init(&c->link);
    site->open_count++;
    counter_add(COUNT_UPSTREAM_CONNECTIONS, 1);
    *out = c;
    return ERR_OK;
}

void upstream_connection_close(struct upstream_connection **connection)
{
    struct upstream_connection *c = *connection;
    if (c == NULL) {
        return;
    }
    *connection = NULL;
    struct upstream_site *site = c->site;
    if (!list_is_empty(&c->link)) {
        leave_idle(c);
    }
    net_socket_close(&c->socket);
    c->magic = 0;
    memory_free(c);
    site->open_count--;
    (void)atomic_fetch_sub(&site->deployment->connections, 1); /* the new count is of no use */
    upstream_site_wake(site);
}

/* Whether another worker has more use for a connection, or more right to it, than this one. */
static bool should_let_go(const struct upstream_site *site)
{
    if (upstream_site_others_waiting(site) <= 0) {
        return false;
    }
    const struct deployment *d = site->deployment;
    int64_t workers = atomic_load_explicit(&d->pools, memory_order_relaxed);
    return site->waiting_count == 0 || site->open_count * workers > d->definition.connections_max;
}

void upstream_connection_give_back(struct upstream_connection **connection)
{
    struct upstream_connection *c = *connection;
    struct upstream_site *site = c->site;
    const struct upstream_definition *own = &site->deployment->definition;
    if (should_let_go(site)) {
        site->yields_until = clock_after_ms(net_loop_now(site->pool->loop), YIELD_MS);
        upstream_connection_close(connection);
        return;
    }
    bool wanted = site->waiting_count > 0 || own->idle_connections_max > 0;
    if (!wanted || upstream_site_is_retired(site)) {
        upstream_connection_close(connection);
        return;
    }
    *connection = NULL;
    if (site->idle_count > 0 && site->idle_count >= own->idle_connections_max) {
        struct upstream_connection *oldest = idle_oldest(site);
        upstream_connection_close(&oldest);
    }
    c->attempt = NULL;
    c->readable = false;
    c->idle_since = net_loop_now(site->pool->loop);
    c->idle_turn = net_loop_turns(site->pool->loop);
    net_want(c->socket, true, false);
    list_push_front(&site->idle, &c->link);
    site->idle_count++;
    upstream_pool_tick_by(site->pool, upstream_site_idle_look(site, c->idle_since));
    upstream_site_wake(site);
}

/* An idle connection has something to say. TLS may speak of itself (RFC 8446 4.6.1: tickets);
 * anything else is an end, or bytes that nobody asked for. */
static void on_idle_ready(struct upstream_connection *c)
{
    if (net_is_quiet(c->socket)) {
        net_want(c->socket, true, false);
        return;
    }
    upstream_connection_close(&c);
}

void upstream_connection_on_ready(void *ctx, unsigned events)
{
    struct upstream_connection *c = ctx;
    CHECK_OBJ(c, UPSTREAM_CONNECTION_MAGIC);
    if (c->attempt == NULL) {
        on_idle_ready(c);
        return;
    }
    if ((events & (NET_READABLE | NET_HANGUP)) != 0) {
        c->readable = true;
    }
    if ((events & (NET_WRITABLE | NET_HANGUP)) != 0) {
        c->writable = true;
    }
    struct attempt *a = c->attempt;
    attempt_run(a);
    attempt_tell(a);
}
