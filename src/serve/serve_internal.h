/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_internal.h — the gateway inside the child of `atlas serve`: all that is opened, as one.
 *
 * Ownership  serve_gateway_open() hands it to the caller.
 * Threads    one, the housekeeping loop's, opens, runs, reloads and closes it. The threads of the
 *            workers, the journal and the store are its own.
 */
#ifndef SERVE_SERVE_INTERNAL_H
#define SERVE_SERVE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "net/net_loop.h"
#include "net/net_timer.h"
#include "serve/serve.h"

#define SERVE_SIGNALS 5

struct access_log;
struct gateway_worker;
struct net_signal;
struct net_tls;
struct policy;
struct serve_gateway;
struct server;

struct serve_worker {
    pthread_t thread;
    bool started;
    struct gateway_worker *worker;
    struct serve_gateway *gateway;
};

struct serve_gateway {
    const char *config_path;
    struct serve_inherited in; /* what is not -1 is still to be closed */
    struct settings *settings; /* in force */
    struct settings *started;  /* those that the start took: some of them only it can change */
    struct store *store;       /* NULL once the store thread has it */
    struct store_thread *store_thread;
    struct keys *keys;
    struct journal *journal;
    struct journal_apply *apply;
    struct access_log *access; /* NULL: none is wanted */
    struct policy *policy;
    struct net_tls *tls[SERVE_LISTENERS_MAX];
    struct serve_worker *workers;
    struct server *servers[SERVE_WORKERS_MAX]; /* of the workers: each knows the others */
    int workers_running;
    struct net_loop *loop;
    struct admin *admin;
    struct net_signal *signals[SERVE_SIGNALS];
    struct net_timer watch;
    struct net_task worker_ended;
    _Atomic int workers_ended;
    uint64_t taken_peak; /* of buffered memory, since it was last given back */
    _Atomic int64_t calls_open, connections, admin_connections;
    _Atomic bool ready;
    bool stopping;
};

/*
 * Opens everything but the log. Takes `*settings`, sets it to NULL, and takes the descriptors of
 * `in`, but for the lock's and the parent's pipe. On failure the log says what is wrong and all is
 * closed.
 */
MUST_USE enum err serve_gateway_open(const char *config_path, struct settings **settings,
                                     const struct serve_inherited *in, struct serve_gateway **out);

/*
 * Serves until a signal ends it.
 *
 *   ERR_DISK  the journal failed: the process is to end as it is; the next one starts from what
 *             the disk really holds
 */
MUST_USE enum err serve_gateway_run(struct serve_gateway *g);

/* Ends what is in flight and closes everything. Sets `*g` to NULL; nothing if it is NULL. */
void serve_gateway_close(struct serve_gateway **g);

/* Reads the configuration anew and puts it in force. After any error the log says why, and all
 * that was in force stays. */
MUST_USE enum err serve_reload(struct serve_gateway *g);

/* Reads a configuration; ERR_CONFIG or ERR_NO_MEMORY after the log was told what is wrong. */
MUST_USE enum err serve_settings_read(const char *path, struct settings **out);

/* Lowers client.connections_max to what the open-file limit leaves, and says so. */
void serve_bound_connections(struct settings *settings);

/* Opens the TLS contexts of the listeners, NULL for plain ones; what was opened stays in `out`
 * after a failure, too. */
MUST_USE enum err serve_tls_open(const struct settings *settings,
                                 struct net_tls *out[SERVE_LISTENERS_MAX]);
void serve_tls_close(struct net_tls *tls[SERVE_LISTENERS_MAX]);

/* The policy that the settings say; deployments that did not change go on from `previous`. */
MUST_USE enum err serve_policy_open(const struct settings *settings, const struct policy *previous,
                                    struct policy **out);

#endif
