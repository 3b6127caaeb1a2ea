/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other threads reach a worker through tasks on its loop only. A sweep four times a second looks
 * for revoked keys and is what ends a drain; everything else is driven by events.
 */
#include "gateway/gateway_worker.h"

#include <pthread.h>

#include "access/access.h"
#include "base/counter.h"
#include "base/memory.h"
#include "base/memory_threads.h"
#include "call/call.h"
#include "gateway/gateway_replies.h"
#include "net/net_loop.h"
#include "net/net_timer.h"
#include "net/net_tls.h"
#include "server/exchange_client.h"
#include "server/server.h"
#include "telemetry/call_series.h"
#include "upstream/upstream_pool.h"

#define SWEEP_MS 250 /* a revocation is seen within one second: four looks */
_Static_assert(SERVER_LISTENERS_MAX == LIMITS_GATE_LISTENERS, "each listener has a rate");

#define ACCEPT_MS 1 /* to the next look while more wait to be accepted, at the end */

struct gateway_worker {
    struct net_loop *loop;
    struct server *server;
    struct call_shared shared;
    const _Atomic bool *ready;
    struct net_timer sweep;
    uint64_t keys_revision;
    struct net_task commit, drain;
    _Atomic int64_t notice_ms, drain_timeout_ms;
    mono_us notice_until, drain_until;
    bool accepts_no_more;
};

static void on_request(void *ctx, struct exchange *x)
{
    struct gateway_worker *w = ctx;
    gateway_reply(&w->shared, atomic_load_explicit(w->ready, memory_order_relaxed),
                  exchange_listener(x), x);
}

static void end_drain_when_idle(struct gateway_worker *w)
{
    if (!w->shared.draining) {
        return;
    }
    mono_us now = clock_mono();
    bool late = clock_since(w->drain_until, now) >= 0;
    if (late) {
        call_end_shadows(&w->shared);
        call_stop_all(&w->shared);
    }
    if (clock_since(w->notice_until, now) < 0) {
        return;
    }
    if (!w->accepts_no_more) {
        w->accepts_no_more = server_stop_accepting(w->server);
    }
    if ((call_is_none(&w->shared) && server_is_idle(w->server)) || late) {
        net_loop_stop(w->loop);
    }
}

static void on_sweep(struct net_timer *timer)
{
    struct gateway_worker *w =
        (struct gateway_worker *)(void *)((char *)timer - offsetof(struct gateway_worker, sweep));
    uint64_t revision = keys_revision(w->shared.keys) + access_revision(w->shared.rights);
    call_recheck_keys(&w->shared, revision != w->keys_revision);
    w->keys_revision = revision;
    call_tell_failures(&w->shared, clock_mono());
    (void)strangers_tell(&w->shared.strangers, clock_mono()); /* what is left, the next time */
    upstream_pool_sweep(w->shared.pool);
    end_drain_when_idle(w);
    bool is_accepting = w->shared.draining && !w->accepts_no_more &&
                        clock_since(w->notice_until, clock_mono()) >= 0;
    CHECK(net_timer_set_ms(&w->sweep, is_accepting ? ACCEPT_MS : SWEEP_MS) ==
          ERR_OK); /* its place in the heap was just freed */
}

static void on_commit(struct net_task *task)
{
    struct gateway_worker *w =
        (struct gateway_worker *)(void *)((char *)task - offsetof(struct gateway_worker, commit));
    call_wake_durable(&w->shared);
}

static void on_drain(struct net_task *task)
{
    struct gateway_worker *w =
        (struct gateway_worker *)(void *)((char *)task - offsetof(struct gateway_worker, drain));
    w->shared.draining = true;
    mono_us now = clock_mono();
    w->notice_until = clock_after_ms(now, atomic_load(&w->notice_ms));
    w->drain_until = clock_after_ms(now, atomic_load(&w->drain_timeout_ms));
    server_drain(w->server);
    call_end_shadows(&w->shared);
    end_drain_when_idle(w);
}

static struct limits_gate_terms terms_of(const struct server_settings *server)
{
    struct limits_gate_terms terms = {
        .address = limits_gate_rate_of(server->requests_per_minute, server->burst),
        .guesses = limits_gate_rate_of(server->guesses_per_minute, 0)};
    for (size_t i = 0; i < server->listens_count; i++) {
        const struct server_listen *listen = &server->listens[i];
        terms.listener[i] = limits_gate_rate_of(listen->requests_per_minute, listen->burst);
    }
    return terms;
}

static enum err open_parts(struct gateway_worker *w, const struct gateway_worker_options *options)
{
    enum err e = net_loop_open(&w->loop);
    if (e != ERR_OK) {
        return e;
    }
    net_loop_count_turns(w->loop);
    w->shared.loop = w->loop;
    e = gateway_asks_open(w->loop, &options->answerer, &w->shared.asks);
    if (e != ERR_OK) {
        return e;
    }
    e = upstream_pool_open(w->loop, options->resolver, &w->shared.pool);
    if (e != ERR_OK) {
        return e;
    }
    struct server_options server = {.settings = options->server,
                                    .on_request = on_request,
                                    .ctx = w,
                                    .connections = options->connections};
    e = server_open(w->loop, &server, &w->server);
    if (e != ERR_OK) {
        return e;
    }
    net_timer_init(&w->sweep, w->loop, on_sweep);
    return net_timer_set_ms(&w->sweep, SWEEP_MS);
}

enum err gateway_worker_open(const struct gateway_worker_options *options,
                             struct gateway_worker **out)
{
    struct gateway_worker *w = memory_new(sizeof(*w));
    if (w == NULL) {
        return ERR_NO_MEMORY;
    }
    w->ready = options->ready;
    w->shared.ports = call_ports_real();
    w->shared.keys = options->keys;
    w->shared.rights = options->rights;
    w->shared.book = options->book;
    w->shared.gate = options->gate;
    w->shared.gate_terms = terms_of(options->server);
    w->shared.lane = options->lane;
    w->shared.access = options->access;
    w->shared.policy = policy_ref(options->policy);
    w->shared.calls_open = options->calls_open;
    w->shared.tries = options->tries;
    w->shared.body_bytes_max = options->server->body_bytes_max;
    w->shared.output_bytes_max = options->server->output_bytes_max;
    net_task_init(&w->commit, on_commit);
    net_task_init(&w->drain, on_drain);
    enum err e = call_shared_init(&w->shared);
    if (e == ERR_OK) {
        e = open_parts(w, options);
    }
    if (e != ERR_OK) {
        gateway_worker_close(&w);
        return e;
    }
    *out = w;
    return ERR_OK;
}

struct server *gateway_worker_server(struct gateway_worker *w)
{
    return w->server;
}

void gateway_worker_run(struct gateway_worker *w)
{
    counter_thread_start();
    call_series_thread_start();
    memory_thread_start();
    net_loop_run(w->loop);
    call_end_shadows(&w->shared);
    call_stop_all(&w->shared);
    memory_thread_end();
}

/* ---- what other threads ask ---- */

struct gateway_reload {
    struct net_task task;
    struct gateway_worker *worker; /* once it is posted */
    struct policy *policy;
    struct server_settings server;
    struct limits_gate_terms gate_terms;
    void (*on_taken)(void *ctx);
    void *ctx;
    size_t tls_count;
    struct net_tls *tls[];
};

static void on_reload(struct net_task *task)
{
    struct gateway_reload *r =
        (struct gateway_reload *)(void *)((char *)task - offsetof(struct gateway_reload, task));
    struct gateway_worker *w = r->worker;
    struct policy *old = w->shared.policy;
    w->shared.policy = r->policy;
    r->policy = old;
    w->shared.gate_terms = r->gate_terms;
    w->shared.body_bytes_max = r->server.body_bytes_max;
    w->shared.output_bytes_max = r->server.output_bytes_max;
    server_set_settings(w->server, &r->server);
    for (size_t i = 0; i < r->tls_count; i++) {
        if (r->tls[i] != NULL) {
            server_set_tls(w->server, (unsigned)i, r->tls[i]);
        }
    }
    r->on_taken(r->ctx);
    gateway_reload_free(&r);
}

enum err gateway_reload_new(const struct gateway_change *change, struct gateway_reload **out)
{
    size_t count = change->tls_count;
    struct gateway_reload *r = memory_new(sizeof(*r) + count * sizeof(struct net_tls *));
    if (r == NULL) {
        return ERR_NO_MEMORY;
    }
    net_task_init(&r->task, on_reload);
    r->policy = policy_ref(change->policy);
    r->server = *change->server;
    r->gate_terms = terms_of(change->server);
    r->on_taken = change->on_taken;
    r->ctx = change->ctx;
    r->tls_count = count;
    for (size_t i = 0; i < count; i++) {
        r->tls[i] = change->tls[i] == NULL ? NULL : net_tls_ref(change->tls[i]);
    }
    *out = r;
    return ERR_OK;
}

void gateway_reload_free(struct gateway_reload **reload)
{
    struct gateway_reload *r = *reload;
    if (r == NULL) {
        return;
    }
    *reload = NULL;
    policy_unref(&r->policy);
    for (size_t i = 0; i < r->tls_count; i++) {
        net_tls_unref(&r->tls[i]);
    }
    memory_free(r);
}

void gateway_worker_post_reload(struct gateway_worker *w, struct gateway_reload **r)
{
    struct gateway_reload *posted = *r;
    *r = NULL;
    posted->worker = w;
    net_loop_post(w->loop, &posted->task);
}

void gateway_worker_post_commit(struct gateway_worker *w)
{
    net_loop_post(w->loop, &w->commit);
}

void gateway_worker_post_drain(struct gateway_worker *w, int64_t notice_ms, int64_t timeout_ms)
{
    atomic_store(&w->notice_ms, notice_ms);
    atomic_store(&w->drain_timeout_ms, timeout_ms);
    net_loop_post(w->loop, &w->drain);
}

mono_us gateway_worker_turned(const struct gateway_worker *w)
{
    return net_loop_turned(w->loop);
}

void gateway_worker_close(struct gateway_worker **worker)
{
    struct gateway_worker *w = *worker;
    if (w == NULL) {
        return;
    }
    *worker = NULL;
    gateway_asks_close(&w->shared.asks);
    server_close(&w->server);
    upstream_pool_close(&w->shared.pool);
    if (w->loop != NULL && w->sweep.loop != NULL) {
        net_timer_fini(&w->sweep);
    }
    net_loop_close(&w->loop);
    call_shared_fini(&w->shared);
    policy_unref(&w->shared.policy);
    memory_free(w);
}
