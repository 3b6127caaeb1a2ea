/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attempt is some 2 KiB that are used again: starting one on a pooled connection allocates
 * nothing. Its `store` holds first the request's head, then the answer's.
 */
#include "upstream/attempt.h"

#include <stdio.h>

#include "base/memory.h"
#include "upstream/upstream_internal.h"

#ifdef ATLAS_SLOW_CHECKS
#define UNUSED_MAX 0 /* or the sanitizers would not see a use after the end */
#else
#define UNUSED_MAX 256
#endif

#define RETIRE_LOOK_MS 50
#define FINAL_CHUNK_MS 1000

static void on_task(struct net_task *task)
{
    struct attempt *a = (struct attempt *)(void *)((char *)task - offsetof(struct attempt, task));
    attempt_run(a);
    attempt_tell(a);
}

/* A new or used one, all of it zero from `step` to `store`. */
static struct attempt *attempt_new(struct upstream_pool *pool)
{
    struct list *link = list_pop_front(&pool->unused);
    struct attempt *a;
    if (link != NULL) {
        pool->unused_count--;
        a = LIST_OF(link, struct attempt, link);
    } else {
        a = memory_raw(sizeof(*a));
        if (a == NULL) {
            return NULL;
        }
        list_init(&a->link);
        net_task_init(&a->task, on_task);
        net_timer_init(&a->timer, pool->loop, attempt_on_due);
    }
    a->magic = UPSTREAM_ATTEMPT_MAGIC;
    size_t from = offsetof(struct attempt, step);
    memset((char *)a + from, 0, offsetof(struct attempt, store) - from);
    a->may_keep = true;
    a->limit_at = a->total_at = a->connect_at = NET_NEVER;
    return a;
}

static void attempt_free(struct upstream_pool *pool, struct attempt *a)
{
    a->magic = 0;
    if (pool->unused_count < UNUSED_MAX) {
        net_timer_stop(&a->timer); /* it stays in the heap, for the next */
        pool->unused_count++;
        list_push_front(&pool->unused, &a->link);
        return;
    }
    net_timer_fini(&a->timer);
    memory_free(a);
}

static uint64_t body_bytes(const struct attempt_request *request)
{
    uint64_t sum = 0;
    for (int i = 0; i < request->piece_count; i++) {
        sum += request->pieces[i].iov_len;
    }
    return sum;
}

static uint8_t *put(uint8_t *to, struct span s)
{
    if (s.len > 0) {
        memcpy(to, s.at, s.len);
    }
    return to + s.len;
}

#define LENGTH_BYTES 48

/* "Content-Length: 1700\r\n", written from its end. */
static struct span write_length(uint64_t body, char out[LENGTH_BYTES])
{
    static const char name[] = "Content-Length: ";
    size_t at = LENGTH_BYTES;
    out[--at] = '\n';
    out[--at] = '\r';
    do {
        out[--at] = (char)('0' + body % 10);
        body /= 10;
    } while (body > 0);
    at -= sizeof(name) - 1;
    memcpy(out + at, name, sizeof(name) - 1);
    return span_make(out + at, LENGTH_BYTES - at);
}

/* The head is put together once and sent as one piece, before those of the body. */
static MUST_USE enum err write_head(struct attempt *a, const struct deployment *d,
                                    const struct attempt_request *request)
{
    bool post = request->post || request->piece_count > 0;
    uint64_t body = body_bytes(request);
    char length[LENGTH_BYTES] = "";
    bool has_id = request->id.len > 0;
    const struct span parts[] = {post ? SPAN("POST ") : SPAN("GET "),
                                 request->at_root ? SPAN("") : d->path_prefix,
                                 request->path,
                                 SPAN(" HTTP/1.1\r\n"),
                                 request->lean ? span_cut(d->fixed_fields, 0, d->lean_fields)
                                               : d->fixed_fields,
                                 request->fields,
                                 has_id ? SPAN("X-Request-Id: ") : SPAN(""),
                                 request->id,
                                 has_id ? SPAN("\r\n") : SPAN(""),
                                 post ? write_length(body, length) : SPAN(""),
                                 SPAN("\r\n")};
    size_t count = sizeof(parts) / sizeof(parts[0]);
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    uint8_t *to = a->store;
    if (len > sizeof(a->store)) {
        to = a->block = memory_raw_counted(len);
        if (to == NULL) {
            return ERR_NO_MEMORY;
        }
    }
    a->head = to;
    a->head_len = len;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].at == request->id.at) {
            a->id = span_make(to, request->id.len);
        }
        to = put(to, parts[i]);
    }
    a->pieces = request->pieces;
    a->piece_count = request->piece_count;
    a->to_send = len + body;
    return ERR_OK;
}

static void join(struct attempt *a, struct upstream_site *site)
{
    struct deployment *d = site->deployment;
    a->site = site;
    site->attempt_count++;
    (void)atomic_fetch_add_explicit(&d->in_flight, !a->is_probe,
                                    memory_order_relaxed); /* only counts */
}

static void leave(struct attempt *a)
{
    struct upstream_site *site = a->site;
    attempt_leave_lists(a);
    upstream_connection_close(&a->connection);
    if (a->trial != 0) {
        deployment_health_untried(&site->deployment->health, a->trial);
    }
    net_loop_undefer(&a->task);
    attempt_free_blocks(a);
    (void)atomic_fetch_sub_explicit(&site->deployment->in_flight, !a->is_probe,
                                    memory_order_relaxed);
    site->attempt_count--;
    if (upstream_site_is_retired(site)) {
        upstream_pool_tick_by(site->pool,
                              clock_after_ms(net_loop_now(site->pool->loop), RETIRE_LOOK_MS));
    }
}

/* Whether the deployment is to be asked now. One that is not judged cannot find out if it works. */
static bool may_begin(struct attempt *a, struct deployment *deployment, bool alone, mono_us now)
{
    struct deployment_health *h = &deployment->health;
    if (alone && !a->is_unjudged) {
        return deployment_health_begin_alone(h, now, &a->trial);
    }
    return a->is_unjudged ? deployment_health_state(h, now) == DEPLOYMENT_UP
                          : deployment_health_begin(h, now, &a->trial);
}

enum err attempt_prepare(struct upstream_pool *pool, struct deployment *deployment,
                         const struct attempt_request *request, attempt_on_event *on_event,
                         void *ctx, struct attempt **out)
{
    struct upstream_site *site;
    enum err e = upstream_site_get(pool, deployment, &site);
    if (e != ERR_OK) {
        return e;
    }
    struct attempt *a = attempt_new(pool);
    if (a == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)put((uint8_t *)a->owner, span_cut(request->owner, 0, sizeof(a->owner)));
    CHECK(request->turns <= ATTEMPT_TURNS_MAX);
    a->until = request->until;
    a->turns = request->turns == 0 ? 1 : request->turns;
    if (!list_is_empty(&site->waiting) &&
        (request->unjudged || !upstream_queue_has_room(site, a))) {
        attempt_free(pool, a);
        return ERR_UPSTREAM_BUSY;
    }
    a->on_event = on_event;
    a->ctx = ctx;
    a->fresh = request->fresh;
    a->is_unjudged = request->unjudged;
    a->is_probe = request->probe;
    if (!request->probe && !may_begin(a, deployment, request->alone, net_loop_now(pool->loop))) {
        attempt_free(pool, a);
        return ERR_NO_UPSTREAM;
    }
    join(a, site);
    e = write_head(a, deployment, request);
    if (e != ERR_OK) {
        attempt_close(&a);
        return e;
    }
    *out = a;
    return ERR_OK;
}

void attempt_start(struct attempt *a)
{
    CHECK_OBJ(a, UPSTREAM_ATTEMPT_MAGIC);
    struct deployment *d = a->site->deployment;
    CHECK(a->total_at.us == NET_NEVER.us); /* it was not started before */
    (void)atomic_fetch_add_explicit(&d->attempts, 1, memory_order_relaxed); /* only counts */
    a->total_at = clock_after_ms(net_loop_now(a->site->pool->loop), d->definition.total_timeout_ms);
    if (a->until.us != 0 && a->until.us < a->total_at.us) {
        a->total_at = a->until;
    }
    if (net_timer_set(&a->timer, a->total_at) == ERR_OK) {
        attempt_run(a);
    } else {
        attempt_enter(a, attempt_fail(a, ERR_NO_MEMORY));
    }
    if (a->must_tell) {
        net_loop_defer(a->site->pool->loop, &a->task);
    }
}

void attempt_close(struct attempt **attempt)
{
    struct attempt *a = *attempt;
    if (a == NULL) {
        return;
    }
    CHECK_OBJ(a, UPSTREAM_ATTEMPT_MAGIC);
    *attempt = NULL;
    struct upstream_pool *pool = a->site->pool;
    leave(a);
    attempt_free(pool, a);
}

/* Nothing but the end is welcome. Ends the attempt, if it is not to wait. */
static void on_final_chunk(void *ctx)
{
    struct attempt *a = ctx;
    uint8_t byte;
    size_t got;
    if (attempt_pull(a, &byte, sizeof(byte), &got) != ATTEMPT_LATER) {
        attempt_close(&a);
    }
}

void attempt_finish(struct attempt **attempt)
{
    struct attempt *a = *attempt;
    if (a == NULL || a->step != STEP_BODY || !a->may_keep ||
        a->response.body.kind != HTTP_BODY_CHUNKED) {
        attempt_close(attempt);
        return;
    }
    *attempt = NULL;
    net_loop_undefer(&a->task);
    a->must_tell = false;
    a->on_event = on_final_chunk;
    a->ctx = a;
    a->total_at = clock_after_ms(net_loop_now(a->site->pool->loop), FINAL_CHUNK_MS);
    list_push_back(&a->site->pool->ending, &a->link);
    on_final_chunk(a);
}

enum err attempt_error(const struct attempt *a)
{
    return a->step == STEP_FAILED ? a->error : ERR_OK;
}

const char *attempt_problem(const struct attempt *a)
{
    return a->problem;
}

const struct http_response *attempt_head(const struct attempt *a)
{
    CHECK(a->step == STEP_HEAD || a->step == STEP_BODY || a->step == STEP_END);
    return &a->response;
}

mono_us attempt_first_byte(const struct attempt *a)
{
    return a->first_byte;
}

const struct attempt_peer *attempt_peer(const struct attempt *a)
{
    return &a->peer;
}

bool attempt_was_reused(const struct attempt *a)
{
    return a->reused;
}

bool attempt_has_sent(const struct attempt *a)
{
    return a->sent > 0;
}

void attempt_blame(struct attempt *a, enum err e)
{
    deployment_health_failed(&a->site->deployment->health, e, a->trial,
                             net_loop_now(a->site->pool->loop));
    a->trial = 0;
}

int64_t attempt_served_us(const struct attempt *a)
{
    mono_us until = a->ended_at.us != 0 ? a->ended_at : net_loop_now(a->site->pool->loop);
    return a->sent == 0 ? 0 : clock_since(a->sending_at, until);
}
