/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_worker.h — one thread that serves calls: its loop, listeners, pool and open calls.
 *
 * Ownership  gateway_worker_open() hands it to the caller. What `options` points at outlives it.
 * Threads    open, close, and run on the worker's own thread; gateway_worker_post_* from any.
 */
#ifndef GATEWAY_GATEWAY_WORKER_H
#define GATEWAY_GATEWAY_WORKER_H

#include <stdatomic.h>

#include "gateway/gateway_usage.h"
#include "policy/policy.h"
#include "server/server_settings.h"

struct access;
struct gateway_reload;
struct gateway_worker;
struct journal;
struct journal_lane;
struct keys;
struct limits_gate;
struct log_sink;
struct net_resolver;
struct net_tls;
struct policy_book;
struct server;

struct gateway_worker_options {
    const struct server_settings *server; /* copied */
    struct policy *policy;                /* referenced */
    const struct keys *keys;
    const struct access *rights;
    const struct policy_book *book; /* the prices that were set */
    struct limits_gate *gate;       /* one for the process; NULL: addresses may ask anything */
    struct net_resolver *resolver;
    struct journal_lane *lane;
    struct log_sink *access;          /* made with call_access_format(); NULL: none is wanted */
    _Atomic int64_t *calls_open;      /* one for the process */
    _Atomic int64_t *connections;     /* one for the process */
    struct upstream_tries *tries;     /* one for the process */
    struct gateway_answerer answerer; /* of what keys ask of usage */
    const _Atomic bool *ready;        /* what /readyz says */
};

MUST_USE enum err gateway_worker_open(const struct gateway_worker_options *options,
                                      struct gateway_worker **out);

/* The worker's server, for whoever gives it its listeners. */
struct server *gateway_worker_server(struct gateway_worker *w);

/* Serves until gateway_worker_post_drain() ends it; its thread does nothing else. No call is open
 * when it returns, and none writes to the lane any more. */
void gateway_worker_run(struct gateway_worker *w);

/*
 * A change for one worker: new calls begin with `policy`, and new connections with these settings
 * (copied) and TLS contexts (one a listener, NULL for plain). Policy and contexts are referenced.
 * Made apart from its posting, which cannot fail: so all workers change or none does. `on_taken` is
 * called on the worker's thread once it has changed.
 *
 *   ERR_NO_MEMORY
 */
struct gateway_change {
    struct policy *policy;
    const struct server_settings *server;
    struct net_tls *const *tls;
    size_t tls_count;
    void (*on_taken)(void *ctx);
    void *ctx;
};
MUST_USE enum err gateway_reload_new(const struct gateway_change *change,
                                     struct gateway_reload **out);
void gateway_reload_free(struct gateway_reload **r);

/* Takes `*r`, sets it to NULL; the worker changes soon. Any thread. */
void gateway_worker_post_reload(struct gateway_worker *w, struct gateway_reload **r);

/* The journal has committed: calls that wait for it may go on. Any thread, at any rate. */
void gateway_worker_post_commit(struct gateway_worker *w);

/* Tells whoever comes 503 for `notice_ms`, so that a load balancer sees it; then accepts no more,
 * and returns from run() when the last call has ended. Calls get `timeout_ms` in all. Any thread.
 */
void gateway_worker_post_drain(struct gateway_worker *w, int64_t notice_ms, int64_t timeout_ms);

/* When its loop last came around, four times a second. Any thread. */
mono_us gateway_worker_turned(const struct gateway_worker *w);

void gateway_worker_close(struct gateway_worker **w);

#endif
