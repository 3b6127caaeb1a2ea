/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `atlas serve`: the child. Everything is opened in the order in which it depends on the other, and
 * closed in the reverse order:
 *
 *   settings → log → store → keys → journal (recovers) → applied to the store → policy, TLS
 *            → workers → admin → "ready" to the parent
 *
 * The main thread is the housekeeping loop: signals, admin API, reload, a look at the journal.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/counter.h"
#include "base/memory.h"
#include "gateway/gateway_worker.h"
#include "journal/journal.h"
#include "journal/journal_apply.h"
#include "keys/keys.h"
#include "main/options.h"
#include "main/serve.h"
#include "net/net_loop.h"
#include "net/net_signal.h"
#include "net/net_timer.h"
#include "net/net_tls.h"
#include "server/server.h"
#include "store/store.h"
#include "store/store_thread.h"
#include "telemetry/access_log.h"

#define PROBLEMS_BYTES_MAX (128u << 10)
#define PATH_BYTES         4300
#define STORE_BUSY_MS      5000
#define STORE_JOBS_MAX     1024
#define WATCH_MS           JOURNAL_APPLY_INTERVAL_MS
#define SIGNALS            5

struct worker_thread {
    pthread_t thread;
    bool started;
    struct gateway_worker *worker;
    struct child *child;
};

struct child {
    const char *config_path;
    struct serve_inherited in;
    struct settings *settings;
    struct store *store; /* NULL once the store thread has it */
    struct store_thread *store_thread;
    struct keys *keys;
    struct journal *journal;
    struct journal_apply *apply;
    struct access_log *access; /* NULL: none is wanted */
    struct policy *policy;
    struct net_tls *tls[SERVE_LISTENERS_MAX];
    struct worker_thread *workers;
    struct server *servers[SERVE_WORKERS_MAX]; /* of the workers: each knows the others */
    int workers_running;
    struct net_loop *loop;
    struct admin *admin;
    struct net_signal *signals[SIGNALS];
    struct net_timer watch;
    struct net_task worker_ended;
    _Atomic int workers_ended;
    _Atomic int64_t calls_open, connections, admin_connections;
    _Atomic bool ready;
    bool stopping;
    int status;
};

/* ---- opening, one thing after the other ---- */

static struct settings *read_settings(const char *path)
{
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open(path, &problems, &settings);
    if (e != ERR_OK) {
        struct span lines = buf_span(&problems);
        while (lines.len > 0) {
            size_t end = span_find(lines, '\n', 0);
            log_error("config", "%.*s", SPAN_ARGS(span_cut(lines, 0, end)));
            lines = span_cut(lines, end + 1, lines.len);
        }
    }
    buf_fini(&problems);
    return settings;
}

static enum err open_store(struct child *c)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/atlas.db", c->settings->data); /* bounded by settings */
    struct store_settings settings = {"sqlite", path, STORE_BUSY_MS};
    enum err e = store_open(&settings, &c->store);
    if (e != ERR_OK) {
        log_error("store", "%s: %s", path, err_sentence(e));
        return e;
    }
    (void)snprintf(path, sizeof(path), "%s/" KEYS_PEPPER_FILE, c->settings->data); /* as above */
    e = keys_open(path, &c->keys);
    if (e == ERR_OK) {
        e = keys_load(c->keys, c->store);
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

static enum err open_journal(struct child *c)
{
    struct journal_report report;
    enum err e = journal_open(c->settings->data, &c->settings->journal, (size_t)c->in.workers,
                              &report, &c->journal);
    if (e != ERR_OK) {
        log_error("journal", "%s (%s at %llu)", err_sentence(e), report.place.file,
                  (unsigned long long)report.place.offset);
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

static enum err open_access_log(struct child *c)
{
    if (c->settings->log.access == NULL) {
        return ERR_OK;
    }
    enum err e = access_log_open(c->settings->log.access, &c->access);
    if (e != ERR_OK) {
        log_error("access_log", "%s cannot be opened: %s", c->settings->log.access,
                  strerrordesc_np(errno));
        return e;
    }
    const struct journal_listener listener = {on_record, on_commit, c->access};
    journal_listen(c->journal, &listener);
    return ERR_OK;
}

/* Brings the store up to the journal, then gives it to its thread. */
static enum err open_apply(struct child *c)
{
    struct journal_apply_report report;
    enum err e = journal_apply_open(c->journal, c->store, &report, &c->apply);
    if (e != ERR_OK) {
        log_error("journal", "it cannot be applied to the store: %s", err_sentence(e));
        return e;
    }
    if (report.replayed > 0 || report.settled > 0) {
        log_info("journal_applied", "%llu records replayed, %llu calls settled as interrupted",
                 (unsigned long long)report.replayed, (unsigned long long)report.settled);
    }
    e = store_thread_open(&c->store, STORE_JOBS_MAX, &c->store_thread);
    if (e == ERR_OK) {
        journal_apply_attach(c->apply, c->store_thread);
    }
    return e;
}

static enum err open_tls(const struct settings *settings, struct net_tls **out)
{
    for (size_t i = 0; i < settings->server.listens_count; i++) {
        const struct server_listen *listen = &settings->server.listens[i];
        char reason[NET_TLS_REASON_BYTES];
        struct net_tls_pair pairs[1 + SETTINGS_SNI_MAX] = {
            {listen->tls_certificate, listen->tls_key}};
        if (listen->tls_certificate == NULL) {
            continue;
        }
        for (size_t p = 0; p < listen->tls_sni_keys.count; p++) {
            pairs[1 + p].certificate = listen->tls_sni_certificates.at[p];
            pairs[1 + p].key = listen->tls_sni_keys.at[p];
        }
        enum err e = net_tls_open_server(pairs, 1 + listen->tls_sni_keys.count, reason, &out[i]);
        if (e != ERR_OK) {
            log_error("tls", "%s: %s", listen->address, reason);
            return e;
        }
    }
    return ERR_OK;
}

static void close_tls(struct net_tls **tls)
{
    for (size_t i = 0; i < SERVE_LISTENERS_MAX; i++) {
        net_tls_unref(&tls[i]);
    }
}

static enum err open_policy(const struct settings *settings, const struct policy *previous,
                            struct policy **out)
{
    char reason[DEPLOYMENT_REASON_BYTES];
    enum err e =
        policy_open(&settings->gateway, &settings->upstream, previous, clock_wall(), reason, out);
    if (e != ERR_OK) {
        log_error("policy", "%s%s%s", err_sentence(e), reason[0] == '\0' ? "" : ": ", reason);
    }
    return e;
}

/* ---- workers ---- */

static void on_worker_ended(struct net_task *task)
{
    struct child *c = (struct child *)(void *)((char *)task - offsetof(struct child, worker_ended));
    if (atomic_load(&c->workers_ended) == c->workers_running) {
        net_loop_stop(c->loop);
    }
}

static void *run_worker(void *arg)
{
    struct worker_thread *t = arg;
    gateway_worker_run(t->worker);
    (void)atomic_fetch_add(&t->child->workers_ended, 1); /* the old count is of no use */
    net_loop_post(t->child->loop, &t->child->worker_ended);
    return NULL;
}

static void on_durable(void *ctx)
{
    gateway_worker_post_commit(ctx);
}

static enum err open_worker(struct child *c, int index)
{
    struct worker_thread *t = &c->workers[index];
    t->child = c;
    struct gateway_worker_options options = {
        .server = &c->settings->server,
        .policy = c->policy,
        .keys = c->keys,
        .lane = journal_lane(c->journal, (size_t)index),
        .calls_open = &c->calls_open,
        .connections = &c->connections,
        .ready = &c->ready,
    };
    enum err e = gateway_worker_open(&options, &t->worker);
    if (e != ERR_OK) {
        return e;
    }
    journal_on_commit(c->journal, (size_t)index, on_durable, t->worker);
    for (int l = 0; e == ERR_OK && l < c->in.listeners; l++) {
        e = server_listen(gateway_worker_server(t->worker), c->in.fds[l * c->in.workers + index],
                          (unsigned)l, c->tls[l]);
    }
    return e;
}

static enum err open_workers(struct child *c)
{
    struct server **servers = c->servers;
    c->workers = memory_new_array((size_t)c->in.workers, sizeof(*c->workers));
    if (c->workers == NULL) {
        return ERR_NO_MEMORY;
    }
    for (int i = 0; i < c->in.workers; i++) {
        enum err e = open_worker(c, i);
        if (e != ERR_OK) {
            return e;
        }
        servers[i] = gateway_worker_server(c->workers[i].worker);
    }
    for (int i = 0; i < c->in.workers; i++) {
        server_set_siblings(servers[i], servers, (size_t)c->in.workers);
    }
    return ERR_OK;
}

static enum err start_workers(struct child *c)
{
    for (int i = 0; i < c->in.workers; i++) {
        if (pthread_create(&c->workers[i].thread, NULL, run_worker, &c->workers[i]) != 0) {
            return ERR_NO_MEMORY;
        }
        c->workers[i].started = true;
        c->workers_running++;
    }
    return ERR_OK;
}

/* ---- reload ---- */

static bool same_listeners(const struct settings *a, const struct settings *b)
{
    if (a->server.listens_count != b->server.listens_count ||
        strcmp(a->admin.address, b->admin.address) != 0) {
        return false;
    }
    for (size_t i = 0; i < a->server.listens_count; i++) {
        if (strcmp(a->server.listens[i].address, b->server.listens[i].address) != 0 ||
            (a->server.listens[i].tls_key == NULL) != (b->server.listens[i].tls_key == NULL)) {
            return false;
        }
    }
    return true;
}

static enum err apply_reload(struct child *c, struct settings *next, struct net_tls **tls)
{
    struct policy *policy = NULL;
    enum err e = open_tls(next, tls);
    if (e == ERR_OK) {
        e = open_policy(next, c->policy, &policy);
    }
    for (int i = 0; e == ERR_OK && i < c->in.workers; i++) {
        e = gateway_worker_post_reload(c->workers[i].worker, policy_ref(policy), &next->server, tls,
                                       (size_t)c->in.listeners);
        if (e != ERR_OK) { /* the worker keeps the old one; its reference was not taken */
            struct policy *extra = policy;
            policy_unref(&extra);
        }
    }
    if (e == ERR_OK) {
        policy_unref(&c->policy);
        c->policy = policy;
        journal_reload(c->journal, &next->journal);
    } else if (policy != NULL) {
        policy_unref(&policy);
    }
    return e;
}

/* Settings that a reload cannot change: the rest of the new ones is in force all the same. */
static void warn_of_restart(const struct settings *in_force, const struct settings *next)
{
    struct buf paths;
    buf_init(&paths, 2048);
    settings_restart_needed(in_force, next, &paths);
    if (buf_span(&paths).len > 0) {
        log_warn("restart_needed", "%.*s changed, which takes effect with the next start",
                 SPAN_ARGS(buf_span(&paths)));
    }
    buf_fini(&paths);
}

/* A configuration that is not valid changes nothing. */
static void reload(struct child *c)
{
    struct net_tls *tls[SERVE_LISTENERS_MAX] = {0};
    struct settings *next = read_settings(c->config_path);
    if (next == NULL) {
        log_error("reload_refused", "%s is not valid; the settings in force stay", c->config_path);
        return;
    }
    if (!same_listeners(c->settings, next) || strcmp(c->settings->data, next->data) != 0) {
        log_error("reload_refused",
                  "listen, admin and data change with a restart only; the settings "
                  "in force stay");
        settings_close(&next);
        return;
    }
    enum err e = apply_reload(c, next, tls);
    close_tls(tls);
    if (e != ERR_OK) {
        log_error("reload_refused", "%s; the settings in force stay", err_sentence(e));
        settings_close(&next);
        return;
    }
    log_setup(next->log.level, next->log.format == SETTINGS_LOG_JSON);
    memory_set_allowance((uint64_t)next->gateway.buffered_bytes_max);
    warn_of_restart(c->settings, next);
    settings_close(&c->settings);
    c->settings = next;
    log_info("reloaded", "%s is in force", c->config_path);
}

/* ---- signals and the journal's health ---- */

static void drain(struct child *c)
{
    if (c->stopping) {
        return;
    }
    c->stopping = true;
    atomic_store(&c->ready, false);
    for (int i = 0; i < c->workers_running; i++) {
        gateway_worker_post_drain(c->workers[i].worker, c->settings->gateway.drain_timeout_ms);
    }
}

static void on_signal(void *ctx, int number)
{
    struct child *c = ctx;
    if (number == SIGHUP) {
        reload(c);
    } else if (number == SIGUSR1) {
        if (log_reopen() != ERR_OK) {
            log_error("log_reopen", "the log file cannot be opened anew");
        }
        if (c->access != NULL) {
            access_log_reopen(c->access);
        }
    } else {
        drain(c);
    }
}

/* A journal that failed ends the process: the next one starts from what the disk really holds. */
static void on_watch(struct net_timer *timer)
{
    struct child *c = (struct child *)(void *)((char *)timer - offsetof(struct child, watch));
    if (journal_state(c->journal) == ERR_DISK) {
        log_error("journal", "the disk refused a write; the gateway ends and recovers");
        _exit(MAIN_FAILED);
    }
    journal_apply_step(c->apply);
    CHECK(net_timer_set_ms(timer, WATCH_MS) == ERR_OK); /* its place in the heap was just freed */
}

static enum err open_housekeeping(struct child *c)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT};
    net_task_init(&c->worker_ended, on_worker_ended);
    net_timer_init(&c->watch, c->loop, on_watch);
    enum err e = net_timer_set_ms(&c->watch, WATCH_MS);
    for (int i = 0; e == ERR_OK && i < SIGNALS; i++) {
        e = net_signal_open(c->loop, numbers[i], on_signal, c, &c->signals[i]);
    }
    if (e != ERR_OK) {
        return e;
    }
    struct admin_options options = {
        .loop = c->loop,
        .server = &c->settings->server,
        .keys = c->keys,
        .store = c->store_thread,
        .apply = c->apply,
        .ready = &c->ready,
        .connections = &c->admin_connections,
        .listen_fd = c->in.admin_fd,
        .socket_fd = c->in.socket_fd,
    };
    return admin_open(&options, &c->admin);
}

/* ---- the whole ---- */

static enum err open_all(struct child *c)
{
    enum err e = net_loop_open(&c->loop);
    if (e == ERR_OK) {
        e = open_store(c);
    }
    if (e == ERR_OK) {
        e = open_journal(c);
    }
    if (e == ERR_OK) {
        e = open_access_log(c);
    }
    if (e == ERR_OK) {
        e = open_apply(c);
    }
    if (e == ERR_OK) {
        e = open_tls(c->settings, c->tls);
    }
    if (e == ERR_OK) {
        e = open_policy(c->settings, NULL, &c->policy);
    }
    if (e == ERR_OK) {
        e = open_workers(c);
    }
    if (e == ERR_OK) {
        e = open_housekeeping(c);
    }
    if (e == ERR_OK) {
        e = journal_start(c->journal);
    }
    return e == ERR_OK ? start_workers(c) : e;
}

static void close_all(struct child *c)
{
    for (int i = 0; i < c->workers_running; i++) {
        gateway_worker_post_drain(c->workers[i].worker, 0);
        CHECK(pthread_join(c->workers[i].thread, NULL) == 0);
    }
    for (int i = 0; c->workers != NULL && i < c->in.workers; i++) {
        gateway_worker_close(&c->workers[i].worker);
    }
    memory_free(c->workers);
    admin_close(&c->admin);
    journal_close(&c->journal);
    if (c->store_thread != NULL) {
        journal_apply_step(c->apply);
    }
    store_thread_close(&c->store_thread);
    journal_apply_close(&c->apply);
    access_log_close(&c->access);
    policy_unref(&c->policy);
    close_tls(c->tls);
    keys_close(&c->keys);
    store_close(&c->store);
    for (int i = 0; i < SIGNALS; i++) {
        net_signal_close(&c->signals[i]);
    }
    if (c->loop != NULL && c->watch.loop != NULL) {
        net_timer_fini(&c->watch);
    }
    net_loop_close(&c->loop);
    settings_close(&c->settings);
    memory_free(c->in.fds);
}

/* Prompts and keys lie in this process's memory: it leaves no core file. */
static void forbid_core(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);      /* lowering is always allowed */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* also where cores go to a pipe */
#endif
}

static void say_ready(struct child *c)
{
    atomic_store(&c->ready, true);
    log_info("ready", "%d workers, %zu keys", c->in.workers, key_table_count(keys_table(c->keys)));
    (void)!write(c->in.ready_fd, "r", 1); /* without a reader the parent is gone, and so are we */
    (void)close(c->in.ready_fd);          /* said */
}

int serve_child(const char *config_path)
{
    static struct child c;
    c.config_path = config_path;
    forbid_core();
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
    if (serve_import(&c.in) != ERR_OK) {
        fprintf(stderr, "atlas: %s is for atlas itself; unset it\n", SERVE_INHERITED_ENV);
        return MAIN_MISUSED;
    }
    (void)unsetenv(SERVE_INHERITED_ENV); /* no other thread runs */
    c.settings = read_settings(config_path);
    if (c.settings == NULL) {
        return MAIN_FAILED;
    }
    log_setup(c.settings->log.level, c.settings->log.format == SETTINGS_LOG_JSON);
    if (c.settings->log.file != NULL && log_open(c.settings->log.file) != ERR_OK) {
        log_error("log", "%s cannot be opened", c.settings->log.file);
        return MAIN_FAILED;
    }
    counter_thread_start();
    memory_set_allowance((uint64_t)c.settings->gateway.buffered_bytes_max);
    enum err e = open_all(&c);
    if (e == ERR_OK) {
        say_ready(&c);
        net_loop_run(c.loop);
    } else {
        log_error("start", "the gateway cannot start: %s", err_sentence(e));
    }
    close_all(&c);
    return e == ERR_OK ? MAIN_DONE : MAIN_FAILED;
}
