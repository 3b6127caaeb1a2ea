/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway in the child. Everything is opened in the order in which it depends on the other, and
 * closed in the reverse order:
 *
 *   settings → TLS → store → journal (recovers) → access log → applied to the store → keys → policy
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
#include "base/memory_threads.h"
#include "call/call.h"
#include "gateway/gateway_worker.h"
#include "journal/journal.h"
#include "journal/journal_apply.h"
#include "journal/journal_recorder.h"
#include "keys/key_watch.h"
#include "keys/keys.h"
#include "limits/limits_gate.h"
#include "net/net_resolve.h"
#include "net/net_signal.h"
#include "serve/serve_internal.h"
#include "server/server.h"
#include "store/store.h"
#include "store/store_thread.h"
#include "store/store_usage.h"
#include "telemetry/access_log.h"
#include "upstream/upstream_drains.h"

#define PATH_BYTES      4300
#define STORE_BUSY_MS   5000
#define STORE_JOBS_MAX  1024
#define STORE_SETTLE_MS 1000 /* that the end waits for what the store was asked */
#define WATCH_MS        JOURNAL_APPLY_INTERVAL_MS
#define TRIM_LEAST      (32u << 20) /* of a peak: less is not worth the wait */

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
    serve_look_at_age(g, path);
    g->store_is_young =
        stat(path, &st) != 0 ? errno == ENOENT : S_ISREG(st.st_mode) && st.st_size == 0;
    enum err e = store_open(&settings, &g->store);
    if (e != ERR_OK) {
        log_error("store", "%s: %s (%s)", path, err_sentence(e), complaint);
        return e;
    }
    return ERR_OK;
}

/* Closes the store, and takes away what a start made that went no further: the next one would find
 * an empty store where there was none. */
static void close_store(struct serve_gateway *g)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    store_close(&g->store);
    for (size_t i = 0; g->store_is_young && i < sizeof(ends) / sizeof(ends[0]); i++) {
        char path[PATH_BYTES];
        (void)snprintf(path, sizeof(path), "%s/atlas.db%s", g->settings->data, ends[i]);
        (void)unlink(path); /* it may not be there */
    }
    g->store_is_young = false;
}

static void say_report(const struct journal_report *report)
{
    if (report->torn_bytes > 0) {
        log_warn("journal_torn", "%llu bytes of an unfinished write were cut off %s at %llu",
                 (unsigned long long)report->torn_bytes, report->place.file,
                 (unsigned long long)report->place.offset);
    }
    if (report->recovered > 0 || report->interrupted > 0) {
        log_info("journal_recovered", "%llu record%s recovered, %llu call%s interrupted",
                 (unsigned long long)report->recovered, SPAN_PLURAL(report->recovered),
                 (unsigned long long)report->interrupted, SPAN_PLURAL(report->interrupted));
    }
}

static void say_broken(const char *data, enum err e, uint64_t seen,
                       const struct journal_report *report)
{
    const char *file = report->place.file;
    if (report->flaw != JOURNAL_FLAWLESS && report->flaw != JOURNAL_SHORT) {
        log_error("journal", "%s/journal%s%s: %s; all was left as it is", data,
                  file[0] != '\0' ? "/" : "", file, journal_flaw_sentence(report->flaw));
    } else if (report->flaw == JOURNAL_SHORT) {
        log_error("journal",
                  "%s/journal ends with record %llu%s%s, but the store has seen record %llu: "
                  "segments were cut or lost, or atlas.db is another folder's; all was left as it "
                  "is; put back what is missing, or begin a new journal (docs/operating.md)",
                  data, (unsigned long long)report->last_sequence, file[0] != '\0' ? " in " : "",
                  file, (unsigned long long)seen);
    } else if (e == ERR_DISK_FULL && report->needed_bytes > 0) {
        log_error(
            "journal",
            "%s/journal needs %llu KiB for records on their way to the disk, and its disk has "
            "%llu KiB free; make room, or lower calls.max (or journal.slots) or workers",
            data, (unsigned long long)report->needed_bytes / 1024,
            (unsigned long long)report->free_bytes / 1024);
    } else if (file[0] != '\0') {
        log_error("journal", "%s/journal/%s at byte %llu: %s%s", data, file,
                  (unsigned long long)report->place.offset, err_sentence(e),
                  e == ERR_JOURNAL_BROKEN ? "; put it back, or the segment behind it if that is "
                                            "missing, or begin a new journal (docs/operating.md)"
                                          : "");
    } else {
        log_error("journal", "%s/journal: %s", data, err_sentence(e));
    }
}

static enum err open_journal(struct serve_gateway *g)
{
    struct journal_report report = {0};
    struct journal_seen seen;
    enum err e = journal_apply_seen(g->store, &seen);
    if (e == ERR_OK) {
        e = journal_open(g->settings->data, &g->settings->journal, (size_t)g->in.workers, &seen,
                         &report, &g->journal);
    }
    g->room_bytes = report.needed_bytes;
    if (e != ERR_OK) {
        say_broken(g->settings->data, e, seen.sequence, &report);
        return e;
    }
    if (g->store_is_young) {
        log_warn("store_new",
                 "%s/atlas.db was not there, or empty, and was made anew: keys and usage are taken "
                 "from the journal, as far back as it goes",
                 g->settings->data);
        g->store_is_young = false;
    }
    say_report(&report);
    return ERR_OK;
}

static enum err open_access_log(struct serve_gateway *g)
{
    if (g->settings->log.access == NULL) {
        return ERR_OK;
    }
    enum err e = access_log_open(g->settings->log.access, call_access_format, &g->access);
    if (e != ERR_OK) {
        log_error("access_log", "%s cannot be opened: %s", g->settings->log.access,
                  strerrordesc_np(errno));
        return e;
    }
    return ERR_OK;
}

/* From here on nobody who logs waits for the disk or a reader. */
static enum err start_log(struct serve_gateway *g)
{
    (void)g;
    return log_start();
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
        log_info("journal_applied", "%llu record%s replayed, %llu call%s settled as interrupted",
                 (unsigned long long)report.replayed, SPAN_PLURAL(report.replayed),
                 (unsigned long long)report.settled, SPAN_PLURAL(report.settled));
    }
    e = serve_keys_open(g); /* they are what was replayed */
    e = e == ERR_OK ? serve_drains_read(g) : e;
    if (e == ERR_OK) { /* the store thread's lane is the last one */
        e = journal_recorder_open(g->journal, journal_lane(g->journal, (size_t)g->in.workers + 1),
                                  g->apply, g->store, &g->recorder);
    }
    if (e == ERR_OK) {
        e = store_thread_open(&g->store, STORE_JOBS_MAX, &g->store_thread);
    }
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
    enum err e = serve_policy_open(g->settings, NULL, &g->policy);
    serve_drains_tell(g);
    return e;
}

static enum err open_resolver(struct serve_gateway *g)
{
    return net_resolver_open(&g->settings->dns, &g->resolver);
}

static enum err open_gate(struct serve_gateway *g)
{
    return limits_gate_open(&g->gate);
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
        .rights = g->rights,
        .book = g->book,
        .gate = g->gate,
        .resolver = g->resolver,
        .lane = journal_lane(g->journal, (size_t)index),
        .access = g->access,
        .calls_open = &g->calls_open,
        .connections = &g->connections,
        .tries = &g->tries,
        .answerer = serve_answerer(g),
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

/* Somebody who sits at a terminal (INT) has no load balancer that must see it. */
static void drain(struct serve_gateway *g, int64_t notice_ms)
{
    if (g->stopping) {
        return;
    }
    g->stopping = true;
    atomic_store(&g->ready, false);
    for (int i = 0; i < g->workers_running; i++) {
        gateway_worker_post_drain(g->workers[i].worker, notice_ms,
                                  g->settings->gateway.drain_timeout_ms);
    }
}

static void on_signal(void *ctx, int number)
{
    struct serve_gateway *g = ctx;
    if (number == SIGHUP && g->stopping) {
        log_info("reload_ignored", "the gateway is stopping");
    } else if (number == SIGHUP) {
        serve_reload_begin(g, "SIGHUP", NULL);
    } else if (number == SIGUSR1) {
        log_reopen();
        if (g->access != NULL) {
            log_sink_reopen(g->access);
        }
    } else {
        drain(g, number == SIGINT ? 0 : g->settings->gateway.drain_notice_ms);
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
    serve_keys_step(g);
    serve_usage_step(g);
    serve_evaluations_step(g);
    serve_policies_step(g);
    serve_routing_step(g, clock_mono());
    serve_probes_step(g, clock_mono());
    serve_drains_step(g);
    serve_health_look(g);
    trim_after_peak(g);
    CHECK(net_timer_set_ms(timer, WATCH_MS) == ERR_OK); /* its place in the heap was just freed */
}

static void begin_reload(void *ctx, struct admin_reload *wait)
{
    serve_reload_begin(ctx, wait->actor, wait);
}

static enum err open_housekeeping(struct serve_gateway *g)
{
    serve_routing_note(g);
    static const int numbers[SERVE_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT};
    net_task_init(&g->worker_ended, on_worker_ended);
    net_timer_init(&g->watch, g->loop, on_watch);
    enum err e = net_timer_set_ms(&g->watch, WATCH_MS);
    e = e == ERR_OK ? serve_probes_open(g) : e;
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
        .rights = g->rights,
        .gate = g->gate,
        .book = g->book,
        .watch = g->key_watch,
        .store = g->store_thread,
        .apply = g->apply,
        .ready = &g->ready,
        .source = serve_source(g),
        .listen_fd = g->in.admin_fd,
        .tls = g->tls[g->in.listeners],
        .socket_fd = g->in.socket_fd,
    };
    options.source.reload = begin_reload;
    g->in.admin_fd = g->in.socket_fd = -1; /* taken */
    return admin_open(&options, &g->admin);
}

/* ---- the whole ---- */

/* What is in the data folder. */
static enum err open_data(struct serve_gateway *g)
{
    static enum err (*const steps[])(struct serve_gateway *) = {
        open_store, open_journal, open_access_log, start_log, open_apply,
    };
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < sizeof(steps) / sizeof(steps[0]); i++) {
        e = steps[i](g);
    }
    return e;
}

/* Who revoked a key was told that it is done when the file held it: the record that names them is
 * the store thread's to make while there is a journal to take it. */
static void settle_store(struct serve_gateway *g)
{
    if (g->store_thread != NULL && !store_thread_settle(g->store_thread, STORE_SETTLE_MS)) {
        log_warn("store_busy",
                 "%s/atlas.db did not take in time what was asked of it at the end; "
                 "what was recorded, and which keys are revoked, it is told at the next start",
                 g->settings->data);
    }
}

/* What stands on the data goes with it. The journal ends after the last call and before the
 * workers, whom it wakes; the store after the journal, and before admin, whose answers it owes. */
static void close_data(struct serve_gateway *g)
{
    if (g->store_thread != NULL) {
        serve_key_jobs_end(&g->key_jobs, g->keys, g->store_thread);
    }
    settle_store(g);
    journal_recorder_stop(g->recorder);
    journal_apply_stop(g->apply);
    journal_close(&g->journal);
    for (int i = 0; g->workers != NULL && i < g->in.workers; i++) {
        gateway_worker_close(&g->workers[i].worker);
    }
    memory_free(g->workers);
    g->workers = NULL;
    if (g->store_thread != NULL) {
        journal_apply_step(g->apply);
    }
    store_thread_close(&g->store_thread);
    serve_usage_close(g);
    serve_evaluations_close(g);
    serve_policies_close(g);
    key_watch_close(&g->key_watch);
    admin_close(&g->admin);
    journal_apply_close(&g->apply);
    log_stop();
    log_sink_close(&g->access);
    serve_keys_close(g);
    upstream_drains_clear();
    close_store(g);
    journal_recorder_close(&g->recorder);
}

/* A gateway that has served before waits for room; the very first one says what is wrong. */
static enum err open_data_when_there_is_room(struct serve_gateway *g)
{
    enum err e = open_data(g);
    while (e != ERR_OK && g->in.again == 1 && !serve_has_room(g)) {
        close_data(g);
        e = serve_room_wait(g);
        e = e == ERR_OK ? open_data(g) : e;
    }
    return e;
}

static enum err open_all(struct serve_gateway *g)
{
    static enum err (*const steps[])(struct serve_gateway *) = {
        open_loop,     open_tls,          open_data_when_there_is_room,
        open_policy,   open_resolver,     open_gate,
        open_workers,  open_housekeeping, start_journal,
        start_workers,
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
    serve_reload_init(g);
    g->settings = g->started = *settings;
    g->in = listeners;
    *settings = NULL;
    memory_set_allowance((uint64_t)g->settings->gateway.buffered_bytes_max);
    if (memory_start_freer() != ERR_OK) {
        log_warn("start", "no thread for freeing large blocks: workers do it themselves");
    }
    serve_bound_connections(g->settings);
    enum err e = open_all(g);
    if (e != ERR_OK) {
        log_error("start", "the gateway cannot start: %s", err_sentence(e));
        serve_gateway_close(&g);
        return e;
    }
    g->since = clock_wall();
    serve_policies_begin(g);
    atomic_store(&g->ready, true);
    log_info("ready", "%d worker%s, %zu key%s", g->in.workers, SPAN_PLURAL(g->in.workers),
             key_table_count(keys_table(g->keys)),
             SPAN_PLURAL(key_table_count(keys_table(g->keys))));
    *out = g;
    return ERR_OK;
}

enum err serve_gateway_run(struct serve_gateway *g)
{
    net_loop_run(g->loop);
    if (journal_state(g->journal) != ERR_DISK) {
        return ERR_OK;
    }
    log_stop(); /* it has said why */
    return ERR_DISK;
}

void serve_gateway_close(struct serve_gateway **gateway)
{
    struct serve_gateway *g = *gateway;
    if (g == NULL) {
        return;
    }
    *gateway = NULL;
    serve_reload_end(g);
    for (int i = 0; i < g->workers_running; i++) {
        gateway_worker_post_drain(g->workers[i].worker, 0, 0);
        CHECK(pthread_join(g->workers[i].thread, NULL) == 0);
    }
    close_data(g);
    serve_probes_close(g);
    limits_gate_close(&g->gate);
    net_resolver_close(&g->resolver);
    policy_unref(&g->policy);
    serve_tls_close(g->tls);
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
    memory_stop_freer();
}
