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

#include "admin/admin_status.h"
#include "gateway/gateway_usage.h"
#include "net/net_loop.h"
#include "net/net_timer.h"
#include "serve/serve.h"
#include "serve/serve_key_jobs.h"
#include "upstream/upstream_tries.h"

#define SERVE_SIGNALS 5

struct access;
struct gateway_worker;
struct key_deny;
struct key_watch;
struct limits_gate;
struct log_sink;
struct net_resolver;
struct net_signal;
struct net_tls;
struct policy;
struct policy_book;
struct serve_evaluations;
struct serve_gateway;
struct serve_reload;
struct serve_usage;
struct server;

/* What a file was at a look. */
struct serve_seen {
    uint64_t inode;
    int64_t bytes, changed_s, changed_ns;
};

/* What came in force and is not recorded yet. */
struct serve_policies {
    struct list waiting; /* serve_policies.c's, the oldest first */
    bool is_posted;      /* the first of them is being recorded */
    mono_us next;        /* after a failure: when it is tried again */
    mono_us failing;     /* since when it fails; 0: it does not */
    bool is_told;        /* of that */
};

struct serve_worker {
    pthread_t thread;
    bool started;
    struct gateway_worker *worker;
    struct serve_gateway *gateway;
    mono_us turned;   /* as of the last look */
    int64_t still_us; /* how long it has not turned, by the looks */
};

struct serve_gateway {
    const char *config_path;
    struct serve_inherited in; /* what is not -1 is still to be closed */
    struct settings *settings; /* in force */
    struct settings *started;  /* those that the start took: some of them only it can change */
    struct store *store;       /* NULL once the store thread has it */
    bool store_is_young;       /* this start made its file, and no journal has filled it yet */
    struct store_thread *store_thread;
    struct keys *keys;
    struct access *rights;    /* who may what */
    uint64_t budgets_told;    /* limits_news() when that was posted last */
    struct policy_book *book; /* the prices that were set */
    struct limits_gate *gate; /* what addresses may ask */
    struct key_deny *deny;
    struct key_watch *key_watch;
    struct serve_key_jobs key_jobs;
    struct journal *journal;
    struct journal_apply *apply;
    struct journal_recorder *recorder;
    struct serve_usage *usage;             /* what sums up old usage; NULL: not yet */
    struct serve_evaluations *evaluations; /* the same of evaluations */
    struct log_sink *access;               /* NULL: none is wanted */
    struct net_resolver *resolver;
    struct policy *policy;
    struct net_tls *tls[SERVE_TLS_MAX]; /* of the listeners, and behind them admin's */
    struct serve_worker *workers;
    struct server *servers[SERVE_WORKERS_MAX]; /* of the workers: each knows the others */
    int workers_running;
    struct net_loop *loop;
    struct admin *admin;
    struct net_signal *signals[SERVE_SIGNALS];
    struct serve_reload *reload;  /* NULL: none is under way */
    struct list reload_waits;     /* for the one behind it */
    _Atomic int reload_untaken;   /* workers that have not what it brought */
    struct net_task reload_taken; /* none is left */
    struct serve_policies policies;
    enum err reload_error;                    /* how the last one ended */
    struct serve_seen rules_read, rules_seen; /* the rules in force; as of the last look, */
    mono_us rules_looked;                     /* and when that was */
    struct net_timer watch;
    struct net_task worker_ended;
    _Atomic int workers_ended;
    wall_us since;        /* it serves */
    int64_t clocks_apart; /* wall less monotonic, at the last look */
    mono_us clock_jumped;
    mono_us looked_at_workers, said; /* the last look, the last word to the parent */
    mono_us certificates_seen;       /* the last look at them; 0: not yet */
    uint64_t room_bytes;             /* on the disk, that opening has found too little of */
    uint64_t taken_peak;             /* of buffered memory, since it was last given back */
    _Atomic int64_t calls_open, connections;
    struct upstream_tries tries;
    struct serve_probes *probes;
    uint64_t drains_seen; /* which change of drains the policy's deployments follow, */
    const struct policy *drains_policy; /* and those of which */
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

/* Begins to read the configuration anew, and all files that it names; puts it in force when that
 * is done. After any error the log says why, and all that was in force stays. While one is under
 * way, another one follows it. `actor` saw to it; `wait` (or NULL) is told when all workers have
 * what it brought, and that is recorded or could not be yet. */
void serve_reload_begin(struct serve_gateway *g, const char *actor, struct admin_reload *wait);

/* Takes what reload.c needs of `g` in use. */
void serve_reload_init(struct serve_gateway *g);

/* Has a policy recorded that came in force: `text` is its file (policy_archive.h), which is taken,
 * and `waits` (or NULL) are told then. Without memory it is not, and the log says so. */
void serve_policies_add(struct serve_gateway *g, const struct policy_version *version,
                        struct buf *text, struct list *waits);

/* Tells all of `waits` how a reload ended. */
void serve_policies_tell(struct list *waits, enum err e, const struct policy_version *version,
                         struct span problems);

/* The same of what the start took, which is in force from now on. */
void serve_policies_begin(struct serve_gateway *g);

/* Tries again what could not be recorded. */
void serve_policies_step(struct serve_gateway *g);

/* Forgets what waits; the store thread has ended. */
void serve_policies_close(struct serve_gateway *g);

/* Notes that the file of rules is read as it is now; looks whether it is another, and has it read
 * then. */
void serve_routing_note(struct serve_gateway *g);
void serve_routing_step(struct serve_gateway *g, mono_us now);

/* Waits for one that is under way, and drops it. The loop runs no more. */
void serve_reload_end(struct serve_gateway *g);

/* Whether the data folder's disk has room for what a start writes. */
MUST_USE bool serve_has_room(const struct serve_gateway *g);

/* Answers 503 on all listeners, which stay those of `g`, until serve_has_room(). Loop and TLS are
 * open, and nothing that uses the listeners. ERR_NO_MEMORY, ERR_NO_FILES, ERR_NET: at once. */
MUST_USE enum err serve_room_wait(struct serve_gateway *g);

/* What admin tells of the gateway, but for how it is reloaded. */
struct admin_source serve_source(struct serve_gateway *g);

/* Looks for trouble, and tells the log what came and went. */
void serve_health_look(struct serve_gateway *g);

/* Looks whether the workers turn; tells the health object and the parent. */
void serve_beat(struct serve_gateway *g, mono_us now);

/* Says a word to the parent. */
void serve_say(struct serve_gateway *g, enum serve_word word);

/* The certificates of g->settings are about to be others: the next look is at those. */
void serve_health_forget_certificates(struct serve_gateway *g);

/* Opens pepper, keys and the file of revoked keys, and starts to watch it; the store is open. On
 * failure the log was told what is wrong; serve_keys_close() closes the keys and the file. */
MUST_USE enum err serve_keys_open(struct serve_gateway *g);
void serve_keys_close(struct serve_gateway *g);

/* Has old usage summed up, if there is some and no step of it waits. Never waits. */
void serve_usage_step(struct serve_gateway *g);

/* Frees what that needs; the store thread has ended. */
void serve_usage_close(struct serve_gateway *g);

/* Who answers what keys ask of usage. */
struct gateway_answerer serve_answerer(struct serve_gateway *g);

/* Has the clock be in doubt at the start where it is days beyond what was written last to the store
 * of this path, as that of a machine that starts with a wrong one is. */
void serve_look_at_age(struct serve_gateway *g, const char *store);

/* Whether the clock was set so lately that nothing is ended or forgotten by it for good. */
bool serve_clock_is_in_doubt(const struct serve_gateway *g, mono_us now);

/* Has evaluations that are over marked as ended, and frees what that needs: as serve_usage_…(). */
void serve_evaluations_step(struct serve_gateway *g);
void serve_evaluations_close(struct serve_gateway *g);

/* Tells the store of revocations, and the health object of what keeps it from hearing. */
void serve_keys_step(struct serve_gateway *g);

/* Reads a configuration; ERR_CONFIG or ERR_NO_MEMORY after the log was told what is wrong. */
MUST_USE enum err serve_settings_read(const char *path, struct settings **out);

/* Asks model servers now and then whether they answer. */
MUST_USE enum err serve_probes_open(struct serve_gateway *g);
void serve_probes_step(struct serve_gateway *g, mono_us now);
void serve_probes_close(struct serve_gateway *g);

/* Reads which model servers the operator has drained; tells of them; has the policy's deployments
 * follow. */
MUST_USE enum err serve_drains_read(struct serve_gateway *g);
void serve_drains_tell(const struct serve_gateway *g);
void serve_drains_step(struct serve_gateway *g);

/* Lowers client.connections_max to what the open-file limit leaves, and says so. */
void serve_bound_connections(struct settings *settings);

/* Opens the TLS contexts of the listeners and, behind them, admin's; NULL for plain ones. What was
 * opened stays in `out` after a failure, too. */
MUST_USE enum err serve_tls_open(const struct settings *settings,
                                 struct net_tls *out[SERVE_TLS_MAX]);
void serve_tls_close(struct net_tls *tls[SERVE_TLS_MAX]);

/* The policy that the settings say; deployments that did not change go on from `previous`. */
MUST_USE enum err serve_policy_open(const struct settings *settings, const struct policy *previous,
                                    struct policy **out);

#endif
