/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_queue.c — who waits for a connection to a deployment, and in which order.
 *
 * Owners take turns. Each attempt has a round: as many rounds as its turns are (less one) behind
 * the one that is served now, or its turns behind the last that its owner has waiting. The list is
 * sorted by rounds, so whoever has a thousand attempts waiting stands behind the first of another
 * owner with one; and who has fewer turns, before most of those who have more, though not for ever:
 * rounds go on with each that is served. The last of a full list belongs to an owner who has most
 * there, or waits longest by its turns, and makes room for any whose round is nearer.
 *
 * A list of queue_max attempts may be walked once or twice to find a place; only those who have to
 * wait anyway do that.
 */
#include "upstream/upstream_internal.h"

static struct attempt *last_of(const struct upstream_site *site)
{
    return list_is_empty(&site->waiting) ? NULL : LIST_OF(site->waiting.prev, struct attempt, link);
}

static uint64_t round_for(const struct upstream_site *site, const struct attempt *new)
{
    for (struct list *l = site->waiting.prev; l != &site->waiting; l = l->prev) {
        const struct attempt *a = LIST_OF(l, struct attempt, link);
        if (memcmp(a->owner, new->owner, sizeof(a->owner)) == 0) {
            return a->round + new->turns;
        }
    }
    return site->round + new->turns - 1;
}

static bool is_full(const struct upstream_site *site)
{
    return site->waiting_count >= site->deployment->definition.queue_max;
}

bool upstream_queue_has_room(const struct upstream_site *site, const struct attempt *a)
{
    const struct attempt *last = last_of(site);
    return !is_full(site) || (last != NULL && round_for(site, a) < last->round);
}

/* The attempt whose turn is farthest fails; whoever made it is told in the loop's next turn. */
static void push_out(struct attempt *a)
{
    attempt_enter(a, attempt_fail(a, ERR_UPSTREAM_BUSY));
    net_loop_defer(a->site->pool->loop, &a->task);
}

enum err upstream_queue_put(struct attempt *a)
{
    struct upstream_site *site = a->site;
    if (!upstream_queue_has_room(site, a)) {
        return ERR_UPSTREAM_BUSY;
    }
    if (is_full(site)) {
        push_out(LIST_OF(site->waiting.prev, struct attempt, link));
    }
    a->round = round_for(site, a);
    struct list *at = &site->waiting; /* before which it goes */
    while (at->prev != &site->waiting &&
           LIST_OF(at->prev, struct attempt, link)->round > a->round) {
        at = at->prev;
    }
    list_add_before(at, &a->link);
    site->waiting_count++;
    (void)atomic_fetch_add(&site->deployment->waiting, 1); /* only counts */
    return ERR_OK;
}

void upstream_queue_leave(struct attempt *a)
{
    a->site->waiting_count--;
    (void)atomic_fetch_sub(&a->site->deployment->waiting, 1); /* only counts */
    upstream_site_wake(a->site);
}

void upstream_queue_note_served(const struct attempt *a)
{
    if (!list_is_empty(&a->link) && a->round >= a->site->round) {
        a->site->round = a->round + 1;
    }
}
