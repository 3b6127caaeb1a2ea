/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name is IDLE, QUEUED for a place among those that are asked at once, or ASKED. Its timer rings
 * for whatever is next: patience with a slow server ends (those who wait are told what was known),
 * or it is time to ask anew. Names are asked from a deferred task only: never from within c-ares.
 */
#include "net/net_names.h"

#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/counter.h"
#include "base/memory.h"
#include "net/net_dns.h"
#include "net/net_loop.h"
#include "net/net_timer.h"

#define NAMES_MAX       4096
#define ASKED_MAX       256 /* at once */
#define DOUBTFUL_MAX    192 /* of them, names whose last question failed */
#define FRESH_LEAST_MS  1000
#define FRESH_MOST_MS   3600000
#define STALE_MOST_MS   86400000
#define PATIENCE_MS     500 /* with the servers, where something is known */
#define NO_NAME_MS      5000
#define RETRY_FIRST_MS  1000
#define RETRY_MOST_MS   5000  /* where nothing is known: whoever calls waits for it */
#define RETRY_STALE_MS  30000 /* where something is */
#define REFRESH_PERCENT 80    /* of what a TTL lasts */

enum name_state { NAME_IDLE, NAME_QUEUED, NAME_ASKED };

struct name {
    struct list link;  /* in names->all, the one asked for last first */
    struct list queue; /* in names->queued */
    struct list askers;
    struct net_timer timer;
    struct net_names *names;
    enum name_state state;
    bool is_wanted;      /* somebody asked since it was last found out */
    bool is_doubtful;    /* it took one of DOUBTFUL_MAX places */
    unsigned failures;   /* since a server answered */
    mono_us answered;    /* when the last question ended */
    mono_us waits_since; /* the oldest of the askers */
    mono_us not_before;  /* no question before */
    mono_us refresh_at;  /* ask anew, if it is wanted */
    mono_us fresh_until; /* of what is known */
    size_t count;        /* 0: nothing is known */
    struct net_address addresses[NET_ADDRESSES_MAX];
    char host[];
};

struct net_names {
    struct net_loop *loop;
    struct net_dns *dns;
    net_names_tell *tell;
    struct list all, queued;
    size_t count, asked, doubtful;
    struct net_task pump;
};

/* ---- telling ---- */

static void tell(struct name *n, struct net_asker *asker, mono_us now)
{
    struct net_found found = {.e = n->count > 0 ? ERR_OK : ERR_NET_DNS, .count = n->count};
    memcpy(found.addresses, n->addresses, n->count * sizeof(n->addresses[0]));
    found.until = n->fresh_until;
    if (n->count > 0 && found.until.us <= now.us) {
        counter_add(COUNT_DNS_STALE, 1);
        found.until = clock_after_ms(now, FRESH_LEAST_MS);
    }
    n->names->tell(asker, &found);
}

static void tell_all(struct name *n, mono_us now)
{
    struct list *link;
    while ((link = list_pop_front(&n->askers)) != NULL) {
        tell(n, LIST_OF(link, struct net_asker, link), now);
    }
}

/* ---- when to ask ---- */

static void ask_soon(struct name *n)
{
    if (n->state == NAME_IDLE) {
        n->state = NAME_QUEUED;
        n->is_wanted = false;
        list_push_back(&n->names->queued, &n->queue);
        net_loop_defer(n->names->loop, &n->names->pump);
    }
}

static mono_us next_due(const struct name *n)
{
    if (n->count > 0 && !list_is_empty(&n->askers)) {
        return clock_after_ms(n->waits_since, PATIENCE_MS);
    }
    if (n->state == NAME_IDLE && n->count > 0 && n->is_wanted) {
        return n->refresh_at.us > n->not_before.us ? n->refresh_at : n->not_before;
    }
    return NET_NEVER;
}

/* A timer that cannot be set, for want of memory, costs only freshness: the next asker asks. */
static void schedule(struct name *n)
{
    mono_us due = next_due(n);
    if (due.us == INT64_MAX || net_timer_set(&n->timer, due) != ERR_OK) {
        net_timer_stop(&n->timer);
    }
}

static void on_due(struct net_timer *timer)
{
    struct name *n = LIST_OF(timer, struct name, timer);
    mono_us now = clock_mono();
    if (next_due(n).us <= now.us) {
        if (!list_is_empty(&n->askers)) {
            tell_all(n, now);
        } else {
            ask_soon(n);
        }
    }
    schedule(n);
}

/* ---- what the servers say ---- */

static void note_found(struct name *n, const struct net_dns_answer *answer, mono_us now)
{
    int64_t ms = (int64_t)answer->ttl_s * 1000;
    ms = ms < FRESH_LEAST_MS ? FRESH_LEAST_MS : ms > FRESH_MOST_MS ? FRESH_MOST_MS : ms;
    memcpy(n->addresses, answer->addresses, answer->count * sizeof(answer->addresses[0]));
    n->count = answer->count;
    n->failures = 0;
    n->not_before = now;
    n->fresh_until = clock_after_ms(now, ms);
    n->refresh_at = clock_after_ms(now, ms * REFRESH_PERCENT / 100);
}

static void note_failed(struct name *n, mono_us now)
{
    int64_t most = n->count > 0 ? RETRY_STALE_MS : RETRY_MOST_MS;
    int64_t wait = (int64_t)RETRY_FIRST_MS << (n->failures < 8 ? n->failures : 8);
    n->failures++;
    n->not_before = clock_after_ms(now, wait < most ? wait : most);
    counter_add(COUNT_DNS_FAILED, 1);
}

static void on_answer(void *ctx, const struct net_dns_answer *answer)
{
    struct name *n = ctx;
    struct net_names *names = n->names;
    mono_us now = clock_mono();
    names->asked--;
    names->doubtful -= n->is_doubtful;
    n->state = NAME_IDLE;
    if (answer->end == NET_DNS_AGAIN) {
        ask_soon(n);
        return;
    }
    n->answered = now;
    if (answer->end == NET_DNS_FOUND) {
        note_found(n, answer, now);
    } else if (answer->end == NET_DNS_NO_NAME) {
        n->count = 0;
        n->failures = 0;
        n->not_before = clock_after_ms(now, NO_NAME_MS);
    } else {
        note_failed(n, now);
    }
    tell_all(n, now);
    schedule(n);
    if (!list_is_empty(&names->queued)) {
        net_loop_defer(names->loop, &names->pump); /* there is a place */
    }
}

/* Asks for those that wait, the oldest first, as far as there are places. */
static void on_pump(struct net_task *task)
{
    struct net_names *names = LIST_OF(task, struct net_names, pump);
    struct list waiting;
    list_init(&waiting);
    list_move_all(&waiting, &names->queued);
    struct list *link;
    while ((link = list_pop_front(&waiting)) != NULL) {
        struct name *n = LIST_OF(link, struct name, queue);
        bool is_doubtful = n->failures > 0;
        if (names->asked == ASKED_MAX || (is_doubtful && names->doubtful == DOUBTFUL_MAX)) {
            list_push_back(&names->queued, link);
            continue;
        }
        n->state = NAME_ASKED;
        n->is_doubtful = is_doubtful;
        names->asked++;
        names->doubtful += is_doubtful;
        counter_add(COUNT_DNS_QUESTIONS, 1);
        net_dns_ask(names->dns, n->host, on_answer, n);
    }
}

/* ---- names ---- */

static void name_free(struct name *n)
{
    list_remove(&n->link);
    list_remove(&n->queue);
    n->names->count--;
    net_timer_fini(&n->timer);
    memory_free(n);
}

/* Makes room by forgetting the name that was asked for longest ago. */
static bool forget_one(struct net_names *names)
{
    for (struct list *l = names->all.prev; l != &names->all; l = l->prev) {
        struct name *n = LIST_OF(l, struct name, link);
        if (n->state == NAME_IDLE && list_is_empty(&n->askers)) {
            name_free(n);
            return true;
        }
    }
    return false;
}

static struct name *name_get(struct net_names *names, const char *host)
{
    for (struct list *l = names->all.next; l != &names->all; l = l->next) {
        struct name *n = LIST_OF(l, struct name, link);
        if (strcasecmp(n->host, host) == 0) {
            list_remove(l);
            list_push_front(&names->all, l);
            return n;
        }
    }
    if (names->count >= NAMES_MAX && !forget_one(names)) {
        return NULL;
    }
    size_t bytes = strlen(host) + 1;
    struct name *n = memory_new(sizeof(*n) + bytes);
    if (n == NULL) {
        return NULL;
    }
    n->names = names;
    list_init(&n->link);
    list_init(&n->queue);
    list_init(&n->askers);
    net_timer_init(&n->timer, names->loop, on_due);
    memcpy(n->host, host, bytes);
    list_push_front(&names->all, &n->link);
    names->count++;
    return n;
}

/* Whether what is known (or that nothing is) may be told without another question. */
static bool may_tell_now(const struct name *n, bool again, mono_us now)
{
    if (again) {
        return now.us < n->not_before.us ||
               (n->answered.us != 0 && clock_since(n->answered, now) < RETRY_FIRST_MS * 1000);
    }
    return now.us < n->not_before.us || (n->count > 0 && now.us < n->fresh_until.us);
}

void net_names_ask(struct net_names *names, struct net_asker *asker)
{
    mono_us now = clock_mono();
    struct name *n = name_get(names, asker->host);
    list_init(&asker->link);
    if (n == NULL) {
        const struct net_found none = {.e = ERR_NO_MEMORY};
        names->tell(asker, &none);
        return;
    }
    if (n->count > 0 && clock_since(n->fresh_until, now) > (int64_t)STALE_MOST_MS * 1000) {
        n->count = 0;
    }
    n->is_wanted = true;
    if (may_tell_now(n, asker->again, now)) {
        tell(n, asker, now);
    } else {
        if (list_is_empty(&n->askers)) {
            n->waits_since = now;
        }
        list_push_back(&n->askers, &asker->link);
        ask_soon(n);
    }
    schedule(n);
}

void net_names_set_servers_borrow(struct net_names *names, const struct texts *servers)
{
    for (struct list *l = names->all.next; l != &names->all; l = l->next) {
        LIST_OF(l, struct name, link)->not_before = (mono_us){0};
    }
    net_dns_set_servers_borrow(names->dns, servers);
}

enum err net_names_open(struct net_loop *loop, net_names_tell *tell_asker, struct net_names **out)
{
    struct net_names *names = memory_new(sizeof(*names));
    if (names == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = net_dns_open(loop, &names->dns);
    if (e != ERR_OK) {
        memory_free(names);
        return e;
    }
    names->loop = loop;
    names->tell = tell_asker;
    list_init(&names->all);
    list_init(&names->queued);
    net_task_init(&names->pump, on_pump);
    *out = names;
    return ERR_OK;
}

void net_names_close(struct net_names **names)
{
    struct net_names *all = *names;
    if (all == NULL) {
        return;
    }
    *names = NULL;
    net_dns_close(&all->dns);
    net_loop_undefer(&all->pump);
    while (!list_is_empty(&all->all)) {
        struct name *n = LIST_OF(all->all.next, struct name, link);
        n->count = 0;
        tell_all(n, clock_mono());
        name_free(n);
    }
    memory_free(all);
}
