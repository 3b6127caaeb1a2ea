/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a SIGHUP brings: settings, TLS contexts, policy. All is made before anything changes, so a
 * failure leaves the old ones whole.
 *
 *   SIGHUP → begin ──→ a thread of its own: prepare ──→ the housekeeping loop: on_prepared → apply
 *               ↑                                                                             │
 *               └── a SIGHUP that came meanwhile ──── on_taken ←── the workers take it up ←───┘
 *
 * Hundreds of authorities take seconds to parse, and a file may be on a disk that is slow: the
 * loop, which answers /readyz and `atlas key revoke`, does not wait for it.
 */
#include <string.h>
#include <sys/resource.h>

#include "admin/admin.h"
#include "base/memory.h"
#include "gateway/gateway_worker.h"
#include "journal/journal.h"
#include "net/net_resolve.h"
#include "net/net_tls.h"
#include "policy/policy.h"
#include "policy/policy_archive.h"
#include "routing/routing.h"
#include "serve/serve_internal.h"

#define PROBLEMS_BYTES_MAX (128u << 10)

/* Reads a configuration; what is wrong is put into `problems` and told to the log. */
static enum err read_settings(const char *path, struct buf *problems, struct settings **out)
{
    enum err e = settings_open(path, problems, out);
    struct span lines = e == ERR_OK ? SPAN("") : buf_span(problems);
    while (lines.len > 0) {
        size_t end = span_find(lines, '\n', 0);
        log_error("config", "%.*s", SPAN_ARGS(span_cut(lines, 0, end)));
        lines = span_cut(lines, end + 1, lines.len);
    }
    if (e == ERR_CONFIG && buf_failed(problems)) {
        log_error("config", "%s: more is wrong than can be told; `atlas config check` tells it",
                  path);
    } else if (e != ERR_OK && e != ERR_CONFIG) {
        log_error("config", "%s: %s", path, err_sentence(e));
    }
    return e;
}

enum err serve_settings_read(const char *path, struct settings **out)
{
    struct buf problems;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = read_settings(path, &problems, out);
    buf_fini(&problems);
    return e;
}

/* Every client may hold a call and every call an upstream's connection. What is let in beyond that
 * takes the descriptors that calls, the journal and the store need: strangers could stop them. */
void serve_bound_connections(struct settings *settings)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur > INT32_MAX) {
        return;
    }
    int64_t limit = (int64_t)files.rlim_cur;
    int64_t others = settings_files_beside(settings);
    int64_t left = limit - (others < limit / 2 ? others : limit / 2);
    int64_t beside_calls = left - settings->gateway.calls_max;
    int64_t most = beside_calls > left / 2 ? beside_calls : left / 2;
    if (settings->server.connections_max > most) {
        log_info("connections_bounded",
                 "the open-file limit of %lld leaves %lld client connections, not the %lld of "
                 "client.connections_max",
                 (long long)limit, (long long)most, (long long)settings->server.connections_max);
        settings->server.connections_max = most;
    }
}

/* Lowers calls.max to what the journal's slots were made for: only a start makes others. */
static void bound_calls(const struct settings *started, struct settings *next)
{
    int64_t most = started->journal.slots - JOURNAL_SLOTS_A_CALL;
    if (next->gateway.calls_max > most) {
        log_warn("calls_bounded",
                 "calls.max of %lld is %lld until the next start: the journal's slots were made "
                 "for fewer calls",
                 (long long)next->gateway.calls_max, (long long)most);
        next->gateway.calls_max = most;
    }
}

enum err serve_tls_open(const struct settings *settings, struct net_tls *out[SERVE_TLS_MAX])
{
    const struct server_listen *listen;
    for (size_t i = 0; (listen = settings_listen(settings, i)) != NULL; i++) {
        char reason[NET_TLS_REASON_BYTES];
        struct net_tls_pair pairs[1 + SERVER_SNI_MAX] = {
            {listen->tls_certificate, listen->tls_key}};
        if (listen->tls_certificate == NULL) {
            continue;
        }
        for (size_t p = 0; p < listen->tls_sni_count; p++) {
            pairs[1 + p].certificate = listen->tls_sni[p].certificate;
            pairs[1 + p].key = listen->tls_sni[p].key;
        }
        enum err e = net_tls_open_server(pairs, 1 + listen->tls_sni_count, reason, &out[i]);
        if (e != ERR_OK) {
            log_error("tls", "%s: %s", listen->address,
                      reason[0] == '\0' ? err_sentence(e) : reason);
            return e == ERR_NET_TLS ? ERR_CONFIG : e; /* no handshake was made */
        }
    }
    return ERR_OK;
}

void serve_tls_close(struct net_tls *tls[SERVE_TLS_MAX])
{
    for (size_t i = 0; i < SERVE_TLS_MAX; i++) {
        net_tls_unref(&tls[i]);
    }
}

enum err serve_policy_open(const struct settings *settings, const struct policy *previous,
                           struct policy **out)
{
    char reason[DEPLOYMENT_REASON_BYTES] = "";
    enum err e =
        policy_open(&settings->gateway, &settings->upstream, previous, clock_wall(), reason, out);
    if (e != ERR_OK && reason[0] != '\0') {
        log_error("policy", "%s", reason);
        return ERR_CONFIG;
    }
    if (e != ERR_OK) {
        log_error("policy", "%s", err_sentence(e));
    }
    return e;
}

/* ---- reload ---- */

static bool same_listeners(const struct settings *a, const struct settings *b)
{
    const struct server_listen *x;
    if (a->server.listens_count != b->server.listens_count) {
        return false;
    }
    for (size_t i = 0; (x = settings_listen(a, i)) != NULL; i++) {
        const struct server_listen *y = settings_listen(b, i);
        if (strcmp(x->address, y->address) != 0 || (x->tls_key == NULL) != (y->tls_key == NULL)) {
            return false;
        }
    }
    return true;
}

/* The worker that calls this has taken up what a reload brought. */
static void on_worker_took(void *ctx)
{
    struct serve_gateway *g = ctx;
    if (atomic_fetch_sub(&g->reload_untaken, 1) == 1) {
        net_loop_post(g->loop, &g->reload_taken);
    }
}

/* Hands the change to all workers, or to none. */
static enum err reload_workers(struct serve_gateway *g, struct policy *policy,
                               const struct server_settings *server, struct net_tls **tls)
{
    const struct gateway_change change = {policy,         server, tls, (size_t)g->in.listeners,
                                          on_worker_took, g};
    struct gateway_reload *reloads[SERVE_WORKERS_MAX] = {NULL};
    enum err e = ERR_OK;
    for (int i = 0; e == ERR_OK && i < g->in.workers; i++) {
        e = gateway_reload_new(&change, &reloads[i]);
    }
    atomic_store(&g->reload_untaken, g->in.workers);
    for (int i = 0; i < g->in.workers; i++) {
        if (e == ERR_OK) {
            gateway_worker_post_reload(g->workers[i].worker, &reloads[i]);
        } else {
            gateway_reload_free(&reloads[i]);
        }
    }
    return e;
}

struct serve_reload {
    struct serve_gateway *gateway;
    pthread_t thread;
    bool is_joined; /* the thread has ended */
    struct net_task prepared;
    enum err error;
    char actor[POLICY_ACTOR_BYTES];
    struct list waits;   /* struct admin_reload: who are told how it ended */
    struct buf problems; /* why it was refused, a line each */
    struct settings *next;
    struct net_tls *tls[SERVE_TLS_MAX];
    struct policy *policy;
    struct buf text; /* its file in the data folder, */
    uint8_t digest[CRYPTO_SHA256_BYTES];
    bool again; /* asked for while it was prepared, */
    char again_actor[POLICY_ACTOR_BYTES];
};

/* Settings that a reload cannot change: the rest of the new ones is in force all the same. */
static void warn_of_restart(const struct settings *started, const struct settings *next)
{
    struct buf paths;
    buf_init(&paths, 2048);
    settings_restart_needed(started, next, &paths);
    if (buf_failed(&paths)) { /* too many, or no memory to name them */
        log_warn("restart_needed", "some of what changed takes effect with the next start");
    } else if (buf_span(&paths).len > 0) {
        log_warn("restart_needed", "%.*s changed, which takes effect with the next start",
                 SPAN_ARGS(buf_span(&paths)));
    }
    buf_fini(&paths);
}

static MUST_USE enum err refuse(struct serve_reload *r, enum err e, const char *why)
{
    log_error("reload_refused", "%s; the settings in force stay", why);
    if (buf_span(&r->problems).len == 0) {
        buf_printf(&r->problems, "%s: %s\n", r->gateway->config_path, why);
    }
    return e;
}

/* Reads and makes all that is new. The loop changes nothing of what is read here meanwhile. */
static enum err prepare(struct serve_reload *r)
{
    const struct serve_gateway *g = r->gateway;
    enum err e = read_settings(g->config_path, &r->problems, &r->next);
    if (e != ERR_OK) {
        log_error("reload_refused", "%s: %s; the settings in force stay", g->config_path,
                  err_sentence(e));
        return e;
    }
    if (!same_listeners(g->settings, r->next) || strcmp(g->settings->data, r->next->data) != 0) {
        return refuse(r, ERR_CONFIG, "listen, admin and data change with a restart only");
    }
    if (g->policy->routing != NULL && routing_count(g->policy->routing) > 0 &&
        r->next->gateway.routing == NULL) {
        log_error("routing",
                  "%s is gone; where there shall be no rules, write `routes: []` into it",
                  r->next->routing_file);
        buf_printf(&r->problems,
                   "%s: it is gone; where there shall be no rules, write `routes: []` into it\n",
                   r->next->routing_file);
        return refuse(r, ERR_CONFIG, "rules do not vanish with their file");
    }
    serve_bound_connections(r->next);
    bound_calls(g->started, r->next);
    e = serve_tls_open(r->next, r->tls);
    e = e == ERR_OK ? serve_policy_open(r->next, g->policy, &r->policy) : e;
    if (e == ERR_CONFIG) {
        return refuse(r, e,
                      "a certificate, or what an upstream is believed by, cannot be used; "
                      "the log says which");
    }
    e = e == ERR_OK
            ? policy_archive_write(&r->next->gateway, &r->next->upstream, &r->text, r->digest)
            : e;
    return e == ERR_OK ? e : refuse(r, e, err_sentence(e));
}

static void *run(void *arg)
{
    struct serve_reload *r = arg;
    (void)pthread_setname_np(pthread_self(), "atlas-reload"); /* only a name */
    r->error = prepare(r);
    net_loop_post(r->gateway->loop, &r->prepared);
    return NULL;
}

/* Frees what it made and did not hand on; who waits still is told by nobody. */
static void end(struct serve_reload *r)
{
    while (list_pop_front(&r->waits) != NULL) {
        /* the loop does not run any more: admin cuts them off */
    }
    serve_tls_close(r->tls);
    policy_unref(&r->policy);
    settings_close(&r->next);
    buf_fini(&r->text);
    buf_fini(&r->problems);
    memory_free(r);
}

static MUST_USE enum err apply(struct serve_gateway *g, struct serve_reload *r)
{
    enum err e = net_resolver_set(g->resolver, &r->next->dns);
    if (e == ERR_OK) {
        e = reload_workers(g, r->policy, &r->next->server, r->tls);
    }
    if (e != ERR_OK) {
        return refuse(r, e, err_sentence(e));
    }
    admin_reload(g->admin, &r->next->server, r->tls[g->in.listeners]);
    policy_unref(&g->policy);
    g->policy = r->policy;
    r->policy = NULL;
    journal_reload(g->journal, &r->next->journal);
    log_setup(r->next->log.level, r->next->log.format == SETTINGS_LOG_JSON);
    memory_set_allowance((uint64_t)r->next->gateway.buffered_bytes_max);
    warn_of_restart(g->started, r->next);
    serve_health_forget_certificates(g);
    if (g->settings != g->started) {
        settings_close(&g->settings);
    }
    g->settings = r->next;
    r->next = NULL;
    log_info("reloaded", "%s is in force", g->config_path);
    return ERR_OK;
}

/* It is over: the one that was asked for meanwhile follows. */
static void follow(struct serve_gateway *g, struct serve_reload *r)
{
    char actor[POLICY_ACTOR_BYTES];
    bool again = r->again && !g->stopping;
    memcpy(actor, r->again_actor, sizeof(actor));
    g->reload = NULL;
    end(r);
    if (again) {
        serve_reload_begin(g, actor, NULL);
    } else {
        serve_policies_tell(&g->reload_waits, ERR_DRAINING, NULL, SPAN(""));
    }
}

static void on_prepared(struct net_task *task)
{
    struct serve_reload *r =
        (struct serve_reload *)(void *)((char *)task - offsetof(struct serve_reload, prepared));
    struct serve_gateway *g = r->gateway;
    CHECK(pthread_join(r->thread, NULL) == 0);
    r->is_joined = true;
    g->reload_error = g->stopping ? ERR_DRAINING : r->error;
    if (g->reload_error == ERR_OK) {
        g->reload_error = apply(g, r);
    }
    if (g->reload_error != ERR_OK) {
        serve_policies_tell(&r->waits, g->reload_error, NULL, buf_span(&r->problems));
        follow(g, r);
    }
}

/* All workers have what the reload brought. */
static void on_taken(struct net_task *task)
{
    struct serve_gateway *g =
        (struct serve_gateway *)(void *)((char *)task -
                                         offsetof(struct serve_gateway, reload_taken));
    struct serve_reload *r = g->reload;
    struct policy_version version = {.since = clock_wall()};
    memcpy(version.digest, r->digest, sizeof(version.digest));
    memcpy(version.actor, r->actor, sizeof(version.actor));
    serve_policies_add(g, &version, &r->text, &r->waits);
    follow(g, r);
}

void serve_reload_init(struct serve_gateway *g)
{
    list_init(&g->reload_waits);
    list_init(&g->policies.waiting);
    net_task_init(&g->reload_taken, on_taken);
}

static struct serve_reload *new_reload(struct serve_gateway *g, const char *actor)
{
    struct serve_reload *r = memory_new(sizeof(*r));
    if (r != NULL) {
        r->gateway = g;
        span_copy_text(span_of(actor), r->actor, sizeof(r->actor));
        list_init(&r->waits);
        list_move_all(&r->waits, &g->reload_waits);
        buf_init(&r->problems, PROBLEMS_BYTES_MAX);
        buf_init(&r->text, POLICY_ARCHIVE_BYTES_MAX);
        net_task_init(&r->prepared, on_prepared);
    }
    return r;
}

void serve_reload_begin(struct serve_gateway *g, const char *actor, struct admin_reload *wait)
{
    if (wait != NULL) {
        list_push_back(&g->reload_waits, &wait->link);
    }
    if (g->stopping) {
        serve_policies_tell(&g->reload_waits, ERR_DRAINING, NULL, SPAN(""));
        return;
    }
    if (g->reload != NULL) {
        g->reload->again = true;
        span_copy_text(span_of(actor), g->reload->again_actor, sizeof(g->reload->again_actor));
        return;
    }
    struct serve_reload *r = new_reload(g, actor);
    if (r == NULL || pthread_create(&r->thread, NULL, run, r) != 0) {
        g->reload_error = ERR_NO_MEMORY;
        log_error("reload_refused", "%s; the settings in force stay", err_sentence(ERR_NO_MEMORY));
        serve_policies_tell(r == NULL ? &g->reload_waits : &r->waits, ERR_NO_MEMORY, NULL,
                            SPAN(""));
        memory_free(r);
        return;
    }
    g->reload = r;
}

void serve_reload_end(struct serve_gateway *g)
{
    struct serve_reload *r = g->reload;
    if (r == NULL) {
        return;
    }
    g->reload = NULL;
    if (!r->is_joined) {
        CHECK(pthread_join(r->thread, NULL) == 0);
        net_loop_undefer(&r->prepared);
    }
    end(r);
}
