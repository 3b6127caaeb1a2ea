/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libuv waits with no limit when it sees no reason not to, so whoever defers something from a timer
 * handler starts an idle handle: it makes the next wait return at once, and the turn's end runs.
 */
#include "net/net_internal.h"

#include <stdlib.h>

#include "base/histogram.h"
#include "base/memory.h"

#define STEPS_A_LOOK    8           /* at the clock */
#define BYTES_A_LOOK    (16 * 1024) /* as well */
#define HANDLERS_A_LOOK 4           /* as well */
#define TURN_US         (2 * NET_BUDGET_US)
#define LEAST_US        (NET_BUDGET_US / 8) /* who comes late in a turn has so small a budget */

static void on_no_wait(uv_idle_t *handle)
{
    (void)handle; /* its being there is all */
}

/* Whatever is deferred now is not to wait for a socket. */
static void do_not_wait(struct net_loop *loop)
{
    CHECK(uv_idle_start(&loop->no_wait, on_no_wait) == 0);
}

static mono_us read_clock(struct net_loop *loop)
{
    loop->seen = clock_mono();
    return loop->seen;
}

/* The time is read for the first time in this turn. */
static void begin_stretch(struct net_loop *loop)
{
    if (loop->stretch.us == 0) {
        loop->stretch = read_clock(loop);
    }
}

/* How long may be worked from `begun` on. */
static int64_t share_from(const struct net_loop *loop, mono_us begun)
{
    int64_t left = TURN_US - clock_since(loop->stretch, begun);
    return left > NET_BUDGET_US ? NET_BUDGET_US : left < LEAST_US ? LEAST_US : left;
}

bool net_slice_is_over(struct net_loop *loop, struct net_slice *slice)
{
    if (slice->count++ == 0) {
        begin_stretch(loop);
        slice->begun = loop->seen;
        return false;
    }
    mono_us now = slice->count % HANDLERS_A_LOOK == 0 ? read_clock(loop) : loop->seen;
    return clock_since(slice->begun, now) >= share_from(loop, slice->begun);
}

bool net_loop_is_full(struct net_loop *loop)
{
    begin_stretch(loop);
    if (++loop->handled % HANDLERS_A_LOOK == 0) {
        (void)read_clock(loop);
    }
    return clock_since(loop->stretch, loop->seen) >= NET_BUDGET_US;
}

void net_loop_begin(struct net_loop *loop)
{
    loop->in_handler = true;
    loop->now = (mono_us){0};
    loop->budget = (struct net_budget){0};
    if (loop->stretch.us == 0) {
        begin_stretch(loop);
        loop->now = loop->stretch;
    }
    loop->budget.begun = loop->seen;
}

static void look_at_clock(struct net_loop *loop)
{
    mono_us now = read_clock(loop);
    if (loop->now.us == 0) {
        loop->now = now;
    }
    mono_us begun = loop->budget.begun;
    loop->budget.is_spent = clock_since(begun, now) >= share_from(loop, begun);
    loop->budget.steps = 0;
    loop->budget.bytes_at_last_look = loop->budget.bytes;
}

void net_loop_spend(struct net_loop *loop, size_t cost)
{
    struct net_budget *b = &loop->budget;
    if (b->is_spent || !loop->in_handler) {
        return;
    }
    b->bytes += cost < NET_BUDGET_BYTES ? (uint32_t)cost : NET_BUDGET_BYTES;
    b->is_spent = b->bytes >= NET_BUDGET_BYTES;
    b->steps++;
}

int64_t net_loop_share(struct net_loop *loop)
{
    return share_from(loop, net_loop_now(loop));
}

bool net_loop_is_spent(struct net_loop *loop)
{
    struct net_budget *b = &loop->budget;
    if (!loop->in_handler || b->is_spent) {
        return loop->in_handler;
    }
    /* Only now is the work over that the last bytes made. */
    if (b->steps >= STEPS_A_LOOK || b->bytes - b->bytes_at_last_look >= BYTES_A_LOOK) {
        look_at_clock(loop);
    }
    return b->is_spent;
}

/* The loop is about to look at its sockets again, and perhaps to wait. */
static void on_turned(uv_prepare_t *handle)
{
    struct net_loop *loop = handle->data;
    mono_us now = clock_mono();
    atomic_store_explicit(&loop->turned_us, now.us, memory_order_release);
    if (loop->counts_turns && loop->stretch.us != 0) {
        histogram_add(HISTOGRAM_TURN, clock_since(loop->stretch, now));
    }
    loop->stretch = (mono_us){0};
}

void net_loop_count_turns(struct net_loop *loop)
{
    loop->counts_turns = true;
}

mono_us net_loop_turned(const struct net_loop *loop)
{
    return (mono_us){atomic_load_explicit(&loop->turned_us, memory_order_acquire)};
}

static void run_task(struct net_loop *loop, struct net_task *task)
{
    net_loop_begin(loop);
    task->run(task);
    net_loop_end(loop);
}

/* Runs them, or puts off to the next turn those for which there is no time. */
static void run_all(struct net_loop *loop, struct list *queue)
{
    struct net_slice slice = {0};
    struct list *link;
    while (!net_slice_is_over(loop, &slice) && (link = list_pop_front(queue)) != NULL) {
        struct net_task *task = LIST_OF(link, struct net_task, link);
        task->queued = false;
        run_task(loop, task);
    }
    if (!list_is_empty(queue)) {
        list_move_all(queue, &loop->deferred); /* which were deferred since */
        list_move_all(&loop->deferred, queue);
        do_not_wait(loop);
    }
}

static void on_turn_end(uv_check_t *handle)
{
    struct net_loop *loop = handle->data;
    struct list now;
    list_init(&now);
    loop->handshakes_us = 0;
    /* Tasks that these tasks defer run in the next turn, or two of them could hold the loop. */
    list_move_all(&now, &loop->deferred);
    uv_idle_stop(&loop->no_wait);
    if (!list_is_empty(&loop->yielded)) {
        list_move_all(&loop->deferred, &loop->yielded);
        do_not_wait(loop);
    }
    run_all(loop, &now);
    loop->turns++;
}

/* The front of what this turn runs. It counts as queued until here: a task posted again meanwhile
 * is about to run anyway, and must not be linked twice. */
static struct net_task *take_posted(struct net_loop *loop, struct list *now)
{
    CHECK(pthread_mutex_lock(&loop->shared.lock) == 0);
    struct list *link = list_pop_front(now);
    struct net_task *task = link == NULL ? NULL : LIST_OF(link, struct net_task, link);
    if (task != NULL) {
        task->queued = false;
    }
    CHECK(pthread_mutex_unlock(&loop->shared.lock) == 0);
    return task;
}

static void on_wake(uv_async_t *handle)
{
    struct net_loop *loop = handle->data;
    struct list now;
    list_init(&now);
    CHECK(pthread_mutex_lock(&loop->shared.lock) == 0);
    list_move_all(&now, &loop->shared.posted);
    bool stopping = loop->shared.stopping;
    loop->shared.stopping = false; /* of this run: the loop may be run again */
    CHECK(pthread_mutex_unlock(&loop->shared.lock) == 0);
    struct net_task *task;
    while ((task = take_posted(loop, &now)) != NULL) {
        run_task(loop, task);
    }
    if (stopping) {
        uv_stop(&loop->uv);
    }
}

enum err net_loop_open(struct net_loop **out)
{
    struct net_loop *loop = memory_new(sizeof(*loop));
    if (loop == NULL) {
        return ERR_NO_MEMORY;
    }
    loop->scratch = memory_raw(NET_SCRATCH_BYTES);
    if (loop->scratch == NULL) {
        memory_free(loop);
        return ERR_NO_MEMORY;
    }
    if (uv_loop_init(&loop->uv) != 0) {
        memory_free(loop->scratch);
        memory_free(loop);
        return ERR_NET;
    }
    list_init(&loop->deferred);
    list_init(&loop->yielded);
    loop->turned_us = clock_mono().us;
    list_init(&loop->crowd);
    list_init(&loop->dialled);
    list_init(&loop->late);
    list_init(&loop->late_ours);
    net_task_init(&loop->crowd_task, net_crowd_run);
    net_task_init(&loop->late_task, net_late_run);
    list_init(&loop->shared.posted);
    CHECK(pthread_mutex_init(&loop->shared.lock, NULL) == 0);
    CHECK(uv_check_init(&loop->uv, &loop->turn_end) == 0);
    CHECK(uv_prepare_init(&loop->uv, &loop->turned) == 0);
    CHECK(uv_idle_init(&loop->uv, &loop->no_wait) == 0);
    loop->turn_end.data = loop->turned.data = loop->no_wait.data = loop->wake.data = loop;
    net_timers_start(loop);
    CHECK(uv_check_start(&loop->turn_end, on_turn_end) == 0);
    CHECK(uv_prepare_start(&loop->turned, on_turned) == 0);
    uv_unref((uv_handle_t *)&loop->turn_end);
    uv_unref((uv_handle_t *)&loop->turned);
    if (uv_async_init(&loop->uv, &loop->wake, on_wake) != 0) {
        loop->wake.data = NULL;
        net_loop_close(&loop);
        return ERR_NET;
    }
    *out = loop;
    return ERR_OK;
}

void net_loop_close(struct net_loop **loop)
{
    struct net_loop *l = *loop;
    if (l == NULL) {
        return;
    }
    *loop = NULL;
    uv_close((uv_handle_t *)&l->turn_end, NULL);
    uv_close((uv_handle_t *)&l->turned, NULL);
    uv_close((uv_handle_t *)&l->no_wait, NULL);
    if (l->wake.data != NULL) {
        uv_close((uv_handle_t *)&l->wake, NULL);
    }
    net_timers_end(l);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT); /* runs the close callbacks of sockets and of the above */
    CHECK(uv_loop_close(&l->uv) == 0);
    CHECK(pthread_mutex_destroy(&l->shared.lock) == 0);
    memory_free(l->scratch);
    memory_free(l);
}

void net_loop_run(struct net_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* says only whether handles are left */
}

void net_loop_stop(struct net_loop *loop)
{
    CHECK(pthread_mutex_lock(&loop->shared.lock) == 0);
    loop->shared.stopping = true;
    CHECK(pthread_mutex_unlock(&loop->shared.lock) == 0);
    CHECK(uv_async_send(&loop->wake) == 0);
}

void net_task_init(struct net_task *task, net_run *run)
{
    list_init(&task->link);
    task->run = run;
    task->queued = false;
}

void net_loop_post(struct net_loop *loop, struct net_task *task)
{
    CHECK(pthread_mutex_lock(&loop->shared.lock) == 0);
    bool was_empty = list_is_empty(&loop->shared.posted);
    if (!task->queued) {
        task->queued = true;
        list_push_back(&loop->shared.posted, &task->link);
    }
    CHECK(pthread_mutex_unlock(&loop->shared.lock) == 0);
    if (was_empty) {
        CHECK(uv_async_send(&loop->wake) == 0);
    }
}

void net_loop_unpost(struct net_loop *loop, struct net_task *task)
{
    CHECK(pthread_mutex_lock(&loop->shared.lock) == 0);
    list_remove(&task->link);
    task->queued = false;
    CHECK(pthread_mutex_unlock(&loop->shared.lock) == 0);
}

void net_loop_defer(struct net_loop *loop, struct net_task *task)
{
    if (task->queued) {
        return;
    }
    do_not_wait(loop);
    task->queued = true;
    list_push_back(&loop->deferred, &task->link);
}

void net_loop_yield(struct net_loop *loop, struct net_task *task)
{
    if (task->queued) {
        return;
    }
    do_not_wait(loop);
    task->queued = true;
    list_push_back(&loop->yielded, &task->link);
}

void net_loop_undefer(struct net_task *task)
{
    list_remove(&task->link);
    task->queued = false;
}

void net_loop_handle(struct net_loop *loop, net_on_ready *on_ready, void *ctx, unsigned told)
{
    net_loop_begin(loop);
    on_ready(ctx, told);
    net_loop_end(loop);
}

uint64_t net_loop_turns(const struct net_loop *loop)
{
    return loop->turns;
}

mono_us net_loop_now(struct net_loop *loop)
{
    if (!loop->in_handler) {
        return clock_mono();
    }
    if (loop->now.us == 0) {
        loop->now = read_clock(loop);
    }
    return loop->now;
}

uint8_t *net_loop_scratch(struct net_loop *loop)
{
    return loop->scratch;
}
