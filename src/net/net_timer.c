/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary heap by `armed`. `due` may be later than `armed`: the timer is then put back at its due
 * time when its armed time comes. One uv_timer_t rings for the first of the heap.
 */
#include "net/net_internal.h"

#include "base/memory.h"

#define FIRST_TIMERS 64

static void put_at(struct net_timers *t, uint32_t index, struct net_timer *timer)
{
    t->heap[index] = timer;
    timer->place = index + 1;
}

static void sift_up(struct net_timers *t, uint32_t index, struct net_timer *timer)
{
    while (index > 0) {
        uint32_t above = (index - 1) / 2;
        if (t->heap[above]->armed.us <= timer->armed.us) {
            break;
        }
        put_at(t, index, t->heap[above]);
        index = above;
    }
    put_at(t, index, timer);
}

static void sift_down(struct net_timers *t, uint32_t index, struct net_timer *timer)
{
    for (;;) {
        uint32_t below = index * 2 + 1;
        if (below >= t->count) {
            break;
        }
        if (below + 1 < t->count && t->heap[below + 1]->armed.us < t->heap[below]->armed.us) {
            below++;
        }
        if (timer->armed.us <= t->heap[below]->armed.us) {
            break;
        }
        put_at(t, index, t->heap[below]);
        index = below;
    }
    put_at(t, index, timer);
}

static void take_out(struct net_timers *t, struct net_timer *timer)
{
    uint32_t index = timer->place - 1;
    timer->place = 0;
    struct net_timer *last = t->heap[--t->count];
    if (last == timer) {
        return;
    }
    if (last->armed.us < timer->armed.us) {
        sift_up(t, index, last);
    } else {
        sift_down(t, index, last);
    }
}

static void on_clock(uv_timer_t *handle);

/* Makes the clock ring for the first of the heap, if it does not ring early enough already. */
static void wind(struct net_loop *loop)
{
    struct net_timers *t = &loop->timers;
    if (t->count == 0 || t->rings.us <= t->heap[0]->armed.us) {
        return;
    }
    t->rings = t->heap[0]->armed;
    int64_t wait_us = clock_since(clock_mono(), t->rings);
    uint64_t wait_ms = wait_us <= 0 ? 0 : (uint64_t)(wait_us + 999) / 1000;
    uv_update_time(&loop->uv);
    CHECK(uv_timer_start(&t->clock, on_clock, wait_ms, 0) == 0);
}

static void ring_due(struct net_loop *loop)
{
    struct net_timers *t = &loop->timers;
    struct net_slice slice = {0};
    mono_us now = clock_mono();
    while (t->count > 0 && t->heap[0]->armed.us <= now.us) {
        if (net_slice_is_over(loop, &slice)) {
            net_loop_defer(loop, &t->more); /* libuv would ring a clock for now before it polls */
            return;
        }
        struct net_timer *timer = t->heap[0];
        if (timer->due.us == INT64_MAX) {
            take_out(t, timer);
        } else if (timer->due.us > now.us) {
            timer->armed = timer->due;
            sift_down(t, 0, timer);
        } else {
            take_out(t, timer);
            timer->due = NET_NEVER;
            net_loop_begin(loop);
            timer->on_due(timer); /* may set or end any timer, this one too */
            net_loop_end(loop);
        }
    }
    t->rings = NET_NEVER;
    wind(loop);
}

static void on_clock(uv_timer_t *handle)
{
    ring_due(handle->data);
}

static void on_more(struct net_task *task)
{
    ring_due((struct net_loop *)(void *)((char *)task - offsetof(struct net_loop, timers.more)));
}

void net_timers_start(struct net_loop *loop)
{
    CHECK(uv_timer_init(&loop->uv, &loop->timers.clock) == 0);
    loop->timers.clock.data = loop;
    loop->timers.rings = NET_NEVER;
    net_task_init(&loop->timers.more, on_more);
}

void net_timers_end(struct net_loop *loop)
{
    CHECK(loop->timers.count == 0 || loop->timers.heap != NULL);
    uv_close((uv_handle_t *)&loop->timers.clock, NULL);
    memory_free(loop->timers.heap);
    loop->timers.heap = NULL;
    loop->timers.count = 0;
}

void net_timer_init(struct net_timer *timer, struct net_loop *loop, net_on_due *on_due)
{
    *timer = (struct net_timer){.loop = loop, .on_due = on_due, .due = NET_NEVER};
}

static enum err make_room(struct net_timers *t)
{
    if (t->count < t->cap) {
        return ERR_OK;
    }
    uint32_t cap = t->cap == 0 ? FIRST_TIMERS : t->cap * 2;
    struct net_timer **heap = memory_resize(t->heap, cap * sizeof(struct net_timer *));
    if (heap == NULL) {
        return ERR_NO_MEMORY;
    }
    t->heap = heap;
    t->cap = cap;
    return ERR_OK;
}

enum err net_timer_set(struct net_timer *timer, mono_us due)
{
    struct net_timers *t = &timer->loop->timers;
    timer->due = due;
    if (timer->place != 0) {
        if (due.us < timer->armed.us) {
            timer->armed = due;
            sift_up(t, timer->place - 1, timer);
            wind(timer->loop);
        }
        return ERR_OK;
    }
    if (make_room(t) != ERR_OK) {
        timer->due = NET_NEVER;
        return ERR_NO_MEMORY;
    }
    timer->armed = due;
    sift_up(t, t->count++, timer);
    wind(timer->loop);
    return ERR_OK;
}

enum err net_timer_set_ms(struct net_timer *timer, int64_t ms)
{
    return net_timer_set(timer, clock_after_ms(clock_mono(), ms));
}

void net_timer_stop(struct net_timer *timer)
{
    timer->due = NET_NEVER;
}

void net_timer_fini(struct net_timer *timer)
{
    timer->due = NET_NEVER;
    if (timer->place != 0) {
        take_out(&timer->loop->timers, timer);
    }
}
