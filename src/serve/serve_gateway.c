/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway in the child. Everything is opened in the order in which it depends on the other, and
 * closed in the reverse order:
 *
 *   settings → store → keys → journal (recovers) → access log → applied to the store → TLS, policy
 *            → workers → admin
 *
 * The main thread is the housekeeping loop: signals, admin API, reload, a look at the journal.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "admin/admin.h"
#include "base/memory.h"
#include "gateway/gateway_worker.h"
#include "journal/journal.h"
#include "journal/journal_apply.h"
#include "keys/keys.h"
#include "net/net_signal.h"
#include "serve/serve_internal.h"
#include "server/server.h"
#include "store/store.h"
#include "store/store_thread.h"
#include "store/store_usage.h"
#include "telemetry/access_log.h"

#define PATH_BYTES     4300
#define STORE_BUSY_MS  5000
#define STORE_JOBS_MAX 1024
#define WATCH_MS       JOURNAL_APPLY_INTERVAL_MS
#define TRIM_LEAST     (64u << 20) /* of a peak: less is not worth the wait */

/* ---- opening, one thing after the other ---- */

static enum err open_loop(struct serve_gateway *g)
{
    return net_loop_open(&g->loop);
}

static enum err open_store(struct serve_gateway *g)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/atlas.db", g->settings->data); /* bounded by settings */
    char complaint[STORE_COMPLAINT_BYTES] = "";
    struct store_settings settings = {
        .driver = "sqlite", .path = path, .busy_ms = STORE_BUSY_MS, .complaint = complaint};
    struct stat st;
    bool is_new = stat(path, &st) != 0 || st.st_size == 0;
    enum err e = store_open(&settings, &g->store);
    if (e != ERR_OK) {
        log_error("store", "%s: %s (%s)", path, err_sentence(e), complaint);
        return e;
    }
    if (is_new) {
        log_warn("store_new",
                 "%s was not there and was made anew: it holds no keys; usage is summed up again "
                 "from the journal",
                 path);
    }
    (void)snprintf(path, sizeof(path), "%s/" KEYS_PEPPER_FILE, g->settings->data); /* as above */
    e = keys_open(path, &g->keys);
    if (e == ERR_OK) {
        e = keys_load(g->keys, g->store);
    }
    if (e != ERR_OK) {
        log_error("keys", "%s: %s", path, err_sentence(e));
    }
    return e;
}

static void say_report(const struct journal_report *report)
{
    if (report->torn_bytes > 0) {
        log_warn("journal_torn", "%llu bytes of an unfinished write were cut off %s at %llu",
                 (unsigned long long)report->torn_bytes, report->place.file,
                 (unsigned long long)report->place.offset);
    }
    if (report->recovered > 0 || report->interrupted > 0) {
        log_info("journal_recovered", "%llu records recovered, %llu calls were interrupted",
                 (unsigned long long)report->recovered, (unsigned long long)report->interrupted);
    }
}

static void say_broken(const char *data, enum err e, uint64_t seen,
                       const struct journal_report *report)
{
    const char *file = report->place.file;
    if (report->is_short) {
        log_error("journal",
                  "%s/journal ends with record %llu%s%s, but the store has seen record %llu: "
                  "segments were cut or lost, or atlas.db is another folder's; all was left as it "
                  "is",
                  data, (unsigned long long)report->last_sequence, file[0] != '\0' ? " in " : "",
                  file, (unsigned long long)seen);
    } else if (file[0] != '\0') {
        log_error("journal", "%s/journal/%s at byte %llu: %s", data, file,
                  (unsigned long long)report->place.offset, err_sentence(e));
    } else {
        log_error("journal", "%s/journal: %s", data, err_sentence(e));
    }
}

static enum err open_journal(struct serve_gateway *g)
{
    struct journal_report report = {0};
    uint64_t seen = 0;
    enum err e = store_sequence(g->store, &seen);
    if (e == ERR_OK) {
        e = journal_open(g->settings->data, &g->settings->journal, (size_t)g->in.workers, seen,
                         &report, &g->journal);
    }
    if (e != ERR_OK) {
        say_broken(g->settings->data, e, seen, &report);
        return e;
    }
    say_report(&report);
    return ERR_OK;
}

static void on_record(void *ctx, const struct journal_record *record, struct span line)
{
    if (record->kind == JOURNAL_COMPLETION) {
        access_log_put(ctx, line);
    }
}

static void on_commit(void *ctx, uint64_t last_sequence)
{
    (void)last_sequence;
    access_log_flush(ctx);
}

static enum err open_access_log(struct serve_gateway *g)
{
    if (g->settings->log.access == NULL) {
        return ERR_OK;
    }
    enum err e = access_log_open(g->settings->log.access, &g->access);
    if (e != ERR_OK) {
        log_error("access_log", "%s cannot be opened: %s", g->settings->log.access,
                  strerrordesc_np(errno));
        return e;
    }
    const struct journal_listener listener = {on_record, on_commit, g->access};
    journal_listen(g->journal, &listener);
    return ERR_OK;
}

/* Brings the store up to the journal, then gives it to its thread. */
static enum err open_apply(struct serve_gateway *g)
{
    struct journal_apply_report report;
    enum err e = journal_apply_open(g->journal, g->store, &report, &g->apply);
    if (e != ERR_OK) {
        log_error("journal", "it cannot be applied to the store: %s", err_sentence(e));
        return e;
    }
    if (report.replayed > 0 || report.settled > 0) {
        log_info("journal_applied", "%llu records replayed, %llu calls settled as interrupted",
                 (unsigned long long)report.replayed, (unsigned long long)report.settled);
    }
    e = store_thread_open(&g->store, STORE_JOBS_MAX, &g->store_thread);
    if (e == ERR_OK) {
        journal_apply_attach(g->apply, g->store_thread);
    }
    return e;
}

static enum err open_tls(struct serve_gateway *g)
{
    return serve_tls_open(g->settings, g->tls);
}

static enum err open_policy(struct serve_gateway *g)
{
    return serve_policy_open(g->settings, NULL, &g->policy);
}

/* ---- workers ---- */

static void on_worker_ended(struct net_task *task)
{
    struct serve_gateway *g =
        (struct serve_gateway *)(void *)((char *)task -
                                         offsetof(struct serve_gateway, worker_ended));
    if (atomic_load(&g->workers_ended) == g->workers_running) {
        net_loop_stop(g->loop);
    }
}

static void *run_worker(void *arg)
{
    struct serve_worker *t = arg;
    (void)pthread_setname_np(pthread_self(), "atlas-worker"); /* only a name */
    gateway_worker_run(t->worker);
    (void)atomic_fetch_add(&t->gateway->workers_ended, 1); /* the old count is of no use */
    net_loop_post(t->gateway->loop, &t->gateway->worker_ended);
    return NULL;
}

static void on_durable(void *ctx)
{
    gateway_worker_post_commit(ctx);
}

static enum err open_worker(struct serve_gateway *g, int index)
{
    struct serve_worker *t = &g->workers[index];
    t->gateway = g;
    struct gateway_worker_options options = {
        .server = &g->settings->server,
        .policy = g->policy,
        .keys = g->keys,
        .lane = journal_lane(g->journal, (size_t)index),
        .calls_open = &g->calls_open,
        .connections = &g->connections,
        .ready = &g->ready,
    };
    enum err e = gateway_worker_open(&options, &t->worker);
    if (e != ERR_OK) {
        return e;
    }
    journal_on_commit(g->journal, (size_t)index, on_durable, t->worker);
    for (int l = 0; e == ERR_OK && l < g->in.listeners; l++) {
        int *fd = &g->in.fds[l * g->in.workers + index];
        e = server_listen(gateway_worker_server(t->worker), *fd, (unsigned)l, g->tls[l]);
        *fd = -1; /* taken */
    }
    return e;
}

static enum err open_workers(struct serve_gateway *g)
{
    struct server **servers = g->servers;
    g->workers = memory_new_array((size_t)g->in.workers, sizeof(*g->workers));
    if (g->workers == NULL) {
        return ERR_NO_MEMORY;
    }
    for (int i = 0; i < g->in.workers; i++) {
        enum err e = open_worker(g, i);
        if (e != ERR_OK) {
            return e;
        }
        servers[i] = gateway_worker_server(g->workers[i].worker);
    }
    for (int i = 0; i < g->in.workers; i++) {
        server_set_siblings(servers[i], servers, (size_t)g->in.workers);
    }
    return ERR_OK;
}

static enum err start_journal(struct serve_gateway *g)
{
    return journal_start(g->journal);
}

static enum err start_workers(struct serve_gateway *g)
{
    for (int i = 0; i < g->in.workers; i++) {
        if (pthread_create(&g->workers[i].thread, NULL, run_worker, &g->workers[i]) != 0) {
            return ERR_NO_MEMORY;
        }
        g->workers[i].started = true;
        g->workers_running++;
    }
    return ERR_OK;
}

/* ---- signals and the journal's health ---- */

static void drain(struct serve_gateway *g)
{
    if (g->stopping) {
        return;
    }
    g->stopping = true;
    atomic_store(&g->ready, false);
    for (int i = 0; i < g->workers_running; i++) {
        gateway_worker_post_drain(g->workers[i].worker, g->settings->gateway.drain_timeout_ms);
    }
}

static void on_signal(void *ctx, int number)
{
    struct serve_gateway *g = ctx;
    if (number == SIGHUP && g->stopping) {
        log_info("reload_ignored", "the gateway is stopping");
    } else if (number == SIGHUP) {
        enum err e = serve_reload(g);
        (void)e; /* it has said what is wrong */
    } else if (number == SIGUSR1) {
        if (log_reopen() != ERR_OK) {
            log_error("log_reopen",
                      "the log file cannot be opened anew: %s; lines go on to the old one",
                      strerrordesc_np(errno));
        }
        if (g->access != NULL && access_log_reopen(g->access) != ERR_OK) {
            log_error("access_log", "%s cannot be opened anew: %s; lines go on to the old file",
                      access_log_path(g->access), strerrordesc_np(errno));
        }
    } else {
        drain(g);
    }
}

/* What a crowd's buffers took stays in the heap, in pieces: given back once, when it has gone. */
static void trim_after_peak(struct serve_gateway *g)
{
    uint64_t taken = memory_taken();
    if (taken > g->taken_peak) {
        g->taken_peak = taken;
    } else if (g->taken_peak > TRIM_LEAST && taken < g->taken_peak / 8) {
        g->taken_peak = taken;
        memory_trim();
    }
}

/* A journal that failed ends the process: the next one starts from what the disk really holds. */
static void on_watch(struct net_timer *timer)
{
    struct serve_gateway *g =
        (struct serve_gateway *)(void *)((char *)timer - offsetof(struct serve_gateway, watch));
    if (journal_state(g->journal) == ERR_DISK) {
        log_error("journal", "the disk refused a write; the gateway ends and recovers");
        net_loop_stop(g->loop); /* serve_gateway_run() says why */
        return;
    }
    journal_apply_step(g->apply);
    trim_after_peak(g);
    CHECK(net_timer_set_ms(timer, WATCH_MS) == ERR_OK); /* its place in the heap was just freed */
}

static enum err open_housekeeping(struct serve_gateway *g)
{
    static const int numbers[SERVE_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT};
    net_task_init(&g->worker_ended, on_worker_ended);
    net_timer_init(&g->watch, g->loop, on_watch);
    enum err e = net_timer_set_ms(&g->watch, WATCH_MS);
    for (int i = 0; e == ERR_OK && i < SERVE_SIGNALS; i++) {
        e = net_signal_open(g->loop, numbers[i], on_signal, g, &g->signals[i]);
    }
    if (e != ERR_OK) {
        return e;
    }
    struct admin_options options = {
        .loop = g->loop,
        .server = &g->settings->server,
        .keys = g->keys,
        .store = g->store_thread,
        .apply = g->apply,
        .ready = &g->ready,
        .connections = &g->admin_connections,
        .listen_fd = g->in.admin_fd,
        .socket_fd = g->in.socket_fd,
    };
    g->in.admin_fd = g->in.socket_fd = -1; /* taken */
    return admin_open(&options, &g->admin);
}

/* ---- the whole ---- */

static enum err open_all(struct serve_gateway *g)
{
    static enum err (*const steps[])(struct serve_gateway *) = {
        open_loop,   open_store,   open_journal,      open_access_log, open_apply,    open_tls,
        open_policy, open_workers, open_housekeeping, start_journal,   start_workers,
    };
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < sizeof(steps) / sizeof(steps[0]); i++) {
        e = steps[i](g);
    }
    return e;
}

enum err serve_gateway_open(const char *config_path, struct settings **settings,
                            const struct serve_inherited *in, struct serve_gateway **out)
{
    struct serve_inherited listeners = *in;
    struct serve_gateway *g = memory_new(sizeof(*g));
    if (g == NULL) {
        log_error("start", "the gateway cannot start: %s", err_sentence(ERR_NO_MEMORY));
        serve_close_listeners(&listeners);
        settings_close(settings);
        return ERR_NO_MEMORY;
    }
    g->config_path = config_path;
    g->settings = g->started = *settings;
    g->in = listeners;
    *settings = NULL;
    memory_set_allowance((uint64_t)g->settings->gateway.buffered_bytes_max);
    serve_bound_connections(g->settings);
    enum err e = open_all(g);
    if (e != ERR_OK) {
        log_error("start", "the gateway cannot start: %s", err_sentence(e));
        serve_gateway_close(&g);
        return e;
    }
    atomic_store(&g->ready, true);
    log_info("ready", "%d workers, %zu keys", g->in.workers, key_table_count(keys_table(g->keys)));
    *out = g;
    return ERR_OK;
}

enum err serve_gateway_run(struct serve_gateway *g)
{
    net_loop_run(g->loop);
    return journal_state(g->journal) == ERR_DISK ? ERR_DISK : ERR_OK;
}

/* The journal ends after the last call and before the workers, whom it wakes; the store after the
 * journal, and before admin, whose answers it owes. */
void serve_gateway_close(struct serve_gateway **gateway)
{
    struct serve_gateway *g = *gateway;
    if (g == NULL) {
        return;
    }
    *gateway = NULL;
    for (int i = 0; i < g->workers_running; i++) {
        gateway_worker_post_drain(g->workers[i].worker, 0);
        CHECK(pthread_join(g->workers[i].thread, NULL) == 0);
    }
    journal_close(&g->journal);
    for (int i = 0; g->workers != NULL && i < g->in.workers; i++) {
        gateway_worker_close(&g->workers[i].worker);
    }
    memory_free(g->workers);
    if (g->store_thread != NULL) {
        journal_apply_step(g->apply);
    }
    store_thread_close(&g->store_thread);
    admin_close(&g->admin);
    journal_apply_close(&g->apply);
    access_log_close(&g->access);
    policy_unref(&g->policy);
    serve_tls_close(g->tls);
    keys_close(&g->keys);
    store_close(&g->store);
    for (int i = 0; i < SERVE_SIGNALS; i++) {
        net_signal_close(&g->signals[i]);
    }
    if (g->loop != NULL && g->watch.loop != NULL) {
        net_timer_fini(&g->watch);
    }
    net_loop_close(&g->loop);
    if (g->settings != g->started) {
        settings_close(&g->settings);
    }
    settings_close(&g->started);
    serve_close_listeners(&g->in);
    memory_free(g);
}
