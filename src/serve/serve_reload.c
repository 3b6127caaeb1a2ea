/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a SIGHUP brings: settings, TLS contexts, policy. All is made before anything changes, so a
 * failure leaves the old ones whole.
 */
#include <string.h>
#include <sys/resource.h>

#include "base/memory.h"
#include "gateway/gateway_worker.h"
#include "journal/journal.h"
#include "net/net_tls.h"
#include "serve/serve_internal.h"

#define PROBLEMS_BYTES_MAX (128u << 10)

enum err serve_settings_read(const char *path, struct settings **out)
{
    struct buf problems;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open(path, &problems, out);
    struct span lines = e == ERR_OK ? SPAN("") : buf_span(&problems);
    while (lines.len > 0) {
        size_t end = span_find(lines, '\n', 0);
        log_error("config", "%.*s", SPAN_ARGS(span_cut(lines, 0, end)));
        lines = span_cut(lines, end + 1, lines.len);
    }
    if (e == ERR_CONFIG && buf_failed(&problems)) {
        log_error("config", "%s: more is wrong than can be told; `atlas config check` tells it",
                  path);
    } else if (e != ERR_OK && e != ERR_CONFIG) {
        log_error("config", "%s: %s", path, err_sentence(e));
    }
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

enum err serve_tls_open(const struct settings *settings, struct net_tls *out[SERVE_LISTENERS_MAX])
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
            log_error("tls", "%s: %s", listen->address,
                      reason[0] == '\0' ? err_sentence(e) : reason);
            return e == ERR_NET_TLS ? ERR_CONFIG : e; /* no handshake was made */
        }
    }
    return ERR_OK;
}

void serve_tls_close(struct net_tls *tls[SERVE_LISTENERS_MAX])
{
    for (size_t i = 0; i < SERVE_LISTENERS_MAX; i++) {
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

/* Hands the change to all workers, or to none. */
static enum err reload_workers(struct serve_gateway *g, struct policy *policy,
                               const struct server_settings *server, struct net_tls **tls)
{
    struct gateway_reload *reloads[SERVE_WORKERS_MAX] = {NULL};
    enum err e = ERR_OK;
    for (int i = 0; e == ERR_OK && i < g->in.workers; i++) {
        e = gateway_reload_new(policy, server, tls, (size_t)g->in.listeners, &reloads[i]);
    }
    for (int i = 0; i < g->in.workers; i++) {
        if (e == ERR_OK) {
            gateway_worker_post_reload(g->workers[i].worker, &reloads[i]);
        } else {
            gateway_reload_free(&reloads[i]);
        }
    }
    return e;
}

static enum err apply_reload(struct serve_gateway *g, struct settings *next, struct net_tls **tls)
{
    struct policy *policy = NULL;
    enum err e = serve_tls_open(next, tls);
    if (e == ERR_OK) {
        e = serve_policy_open(next, g->policy, &policy);
    }
    if (e == ERR_OK) {
        e = reload_workers(g, policy, &next->server, tls);
    }
    if (e != ERR_OK) {
        policy_unref(&policy);
        return e;
    }
    policy_unref(&g->policy);
    g->policy = policy;
    journal_reload(g->journal, &next->journal);
    return ERR_OK;
}

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

enum err serve_reload(struct serve_gateway *g)
{
    struct net_tls *tls[SERVE_LISTENERS_MAX] = {0};
    struct settings *next = NULL;
    enum err e = serve_settings_read(g->config_path, &next);
    if (e != ERR_OK) {
        log_error("reload_refused", "%s: %s; the settings in force stay", g->config_path,
                  err_sentence(e));
        return e;
    }
    if (!same_listeners(g->settings, next) || strcmp(g->settings->data, next->data) != 0) {
        log_error("reload_refused",
                  "listen, admin and data change with a restart only; the settings "
                  "in force stay");
        settings_close(&next);
        return ERR_CONFIG;
    }
    serve_bound_connections(next);
    e = apply_reload(g, next, tls);
    serve_tls_close(tls);
    if (e != ERR_OK) {
        log_error("reload_refused", "%s; the settings in force stay", err_sentence(e));
        settings_close(&next);
        return e;
    }
    log_setup(next->log.level, next->log.format == SETTINGS_LOG_JSON);
    memory_set_allowance((uint64_t)next->gateway.buffered_bytes_max);
    warn_of_restart(g->started, next);
    if (g->settings != g->started) {
        settings_close(&g->settings);
    }
    g->settings = next;
    log_info("reloaded", "%s is in force", g->config_path);
    return ERR_OK;
}
