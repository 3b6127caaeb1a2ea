/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libuv waits with no limit when it sees no reason not to, so whoever defers something from a timer
 * handler starts an idle handle: it makes the next wait return at once, and the turn's end runs.
 */
#include "net/net_internal.h"

#include <stdlib.h>

#include "base/memory.h"

static void run_all(struct list *queue)
{
    struct list *link;
    while ((link = list_pop_front(queue)) != NULL) {
        struct net_task *task = LIST_OF(link, struct net_task, link);
        task->queued = false;
        task->run(task);
    }
}

static void on_turn_end(uv_check_t *handle)
{
    struct net_loop *loop = handle->data;
    struct list now;
    list_init(&now);
    /* Tasks that these tasks defer run in the next turn, or two of them could hold the loop. */
    while (!list_is_empty(&loop->deferred)) {
        list_push_back(&now, list_pop_front(&loop->deferred));
    }
    uv_idle_stop(&loop->no_wait);
    run_all(&now);
}

static void on_no_wait(uv_idle_t *handle)
{
    (void)handle; /* its being there is all */
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
    struct list *link;
    while ((link = list_pop_front(&loop->shared.posted)) != NULL) {
        list_push_back(&now, link);
    }
    bool stopping = loop->shared.stopping;
    CHECK(pthread_mutex_unlock(&loop->shared.lock) == 0);
    struct net_task *task;
    while ((task = take_posted(loop, &now)) != NULL) {
        task->run(task);
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
    list_init(&loop->shared.posted);
    CHECK(pthread_mutex_init(&loop->shared.lock, NULL) == 0);
    CHECK(uv_check_init(&loop->uv, &loop->turn_end) == 0);
    CHECK(uv_idle_init(&loop->uv, &loop->no_wait) == 0);
    loop->turn_end.data = loop->no_wait.data = loop->wake.data = loop;
    net_timers_start(loop);
    CHECK(uv_check_start(&loop->turn_end, on_turn_end) == 0);
    uv_unref((uv_handle_t *)&loop->turn_end);
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

void net_loop_defer(struct net_loop *loop, struct net_task *task)
{
    if (task->queued) {
        return;
    }
    if (list_is_empty(&loop->deferred)) {
        CHECK(uv_idle_start(&loop->no_wait, on_no_wait) == 0);
    }
    task->queued = true;
    list_push_back(&loop->deferred, &task->link);
}

void net_loop_undefer(struct net_task *task)
{
    list_remove(&task->link);
    task->queued = false;
}

void net_loop_handle(struct net_loop *loop, net_on_ready *on_ready, void *ctx, unsigned told)
{
    loop->in_handler = true;
    loop->now = (mono_us){0};
    on_ready(ctx, told);
    loop->in_handler = false;
}

mono_us net_loop_now(struct net_loop *loop)
{
    if (!loop->in_handler) {
        return clock_mono();
    }
    if (loop->now.us == 0) {
        loop->now = clock_mono();
    }
    return loop->now;
}

uint8_t *net_loop_scratch(struct net_loop *loop)
{
    return loop->scratch;
}
