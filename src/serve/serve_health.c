/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The look at what the gateway stands on, a few times a second: the journal, the store, the clock.
 * What is found goes into the health object; what has changed there is said on the log, once.
 */
#include "base/health.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/memory.h"
#include "journal/journal.h"
#include "journal/journal_apply.h"
#include "net/net_certificate.h"
#include "policy/policy.h"
#include "serve/serve_internal.h"

#define CLOCK_JUMP_US    2000000
#define CLOCK_SHOWN_US   600000000
#define DAY_US           (INT64_C(86400) * 1000000)
#define CERTIFICATE_DAYS 14

static void look_at_journal(const struct serve_gateway *g)
{
    if (journal_state(g->journal) == ERR_DISK_FULL) {
        health_set(HEALTH_DISK_FULL, NULL,
                   "the disk of %s is full: calls are answered 503 until there is room",
                   g->settings->data);
    } else {
        health_clear(HEALTH_DISK_FULL, NULL);
    }
    enum err want = journal_want(g->journal);
    if (want != ERR_OK) {
        health_set(HEALTH_JOURNAL_WAITS, NULL,
                   "the journal cannot begin its next file for want of %s; it tries again, and "
                   "calls go on until its slots are used up",
                   want == ERR_NO_FILES ? "a file descriptor" : "memory");
    } else {
        health_clear(HEALTH_JOURNAL_WAITS, NULL);
    }
}

static void look_at_store(const struct serve_gateway *g)
{
    struct journal_apply_state state;
    journal_apply_state(g->apply, &state);
    unsigned long long lacks = state.told - state.applied;
    if (state.failures > 0) {
        health_set(
            HEALTH_STORE_FAILING, NULL,
            "%s/atlas.db lacks %llu records of the journal: %s; asked %u times, again within "
            "%d s",
            g->settings->data, lacks, err_sentence(state.error), state.failures,
            JOURNAL_APPLY_WAIT_MAX_MS / 1000);
    } else {
        health_clear(HEALTH_STORE_FAILING, NULL);
    }
    if (lacks > (unsigned long long)g->settings->journal.unapplied_max) {
        health_set(HEALTH_STORE_BEHIND, NULL,
                   "%s/atlas.db lacks %llu records, more than journal.unapplied_max: calls are "
                   "answered 503 until it has caught up",
                   g->settings->data, lacks);
    } else {
        health_clear(HEALTH_STORE_BEHIND, NULL);
    }
}

/* Those that a reload took away are not missed. */
static void forget_gone(const struct policy *policy)
{
    struct health_entry entries[HEALTH_ENTRIES_MAX];
    size_t count = health_count(HEALTH_UPSTREAM_DOWN) == 0 ? 0 : health_read(entries);
    for (size_t i = 0; i < count; i++) {
        bool is_there = entries[i].kind != HEALTH_UPSTREAM_DOWN;
        for (size_t d = 0; !is_there && d < policy->deployment_count; d++) {
            is_there = strcmp(policy->deployments[d]->definition.name, entries[i].subject) == 0;
        }
        if (!is_there) {
            health_clear(HEALTH_UPSTREAM_DOWN, entries[i].subject);
        }
    }
}

static void look_at_upstreams(const struct serve_gateway *g)
{
    const struct policy *policy = g->policy;
    for (size_t i = 0; i < policy->deployment_count; i++) {
        const struct deployment *d = policy->deployments[i];
        if (atomic_load(&d->health.is_unreachable)) {
            health_set(HEALTH_UPSTREAM_DOWN, d->definition.name,
                       "no probe reaches it: no call is sent there");
        } else if (deployment_health_is_down(&d->health)) {
            health_set(HEALTH_UPSTREAM_DOWN, d->definition.name, "the last %u requests failed: %s",
                       atomic_load(&d->health.failed_in_row),
                       err_sentence((enum err)atomic_load(&d->health.last_error)));
        } else if (health_count(HEALTH_UPSTREAM_DOWN) > 0) {
            health_clear(HEALTH_UPSTREAM_DOWN, d->definition.name);
        }
    }
    forget_gone(policy);
}

/* The wall clock must go on as the other one does. */
static void look_at_clock(struct serve_gateway *g, mono_us now)
{
    int64_t apart = clock_wall().us - now.us;
    int64_t jump = g->clocks_apart == 0 ? 0 : apart - g->clocks_apart;
    g->clocks_apart = apart;
    if (llabs(jump) >= CLOCK_JUMP_US) {
        g->clock_jumped = now;
        health_set(HEALTH_CLOCK_JUMPED, NULL, "the machine's clock was set %s by %.1f s",
                   jump < 0 ? "back" : "forward", (double)llabs(jump) / 1e6);
    } else if (clock_since(g->clock_jumped, now) > CLOCK_SHOWN_US) {
        health_clear(HEALTH_CLOCK_JUMPED, NULL);
    }
}

/* One certificate: trouble from CERTIFICATE_DAYS before its end on, said again every day. */
static void look_at_certificate(struct net_tls_pair pair, bool is_over, bool is_daily)
{
    char reason[NET_TLS_REASON_BYTES];
    char warning[PATH_MAX + HEALTH_SENTENCE_BYTES];
    struct net_certificate c = {0};
    if (!is_over && net_certificate_look(&pair, reason, &c) == ERR_OK &&
        net_certificate_warning(&pair, &c, CERTIFICATE_DAYS, warning, sizeof(warning))) {
        const char *what = strchr(warning + strlen(pair.certificate), ' '); /* it begins so */
        health_set(HEALTH_CERTIFICATE_EXPIRING, pair.certificate, "it%s", what);
        if (is_daily) {
            log_warn("certificate_expiring", "%s", warning);
        }
    } else {
        health_clear(HEALTH_CERTIFICATE_EXPIRING, pair.certificate);
    }
}

static void look_at_listeners(const struct settings *settings, bool is_over, bool is_daily)
{
    const struct server_listen *l;
    for (size_t i = 0; (l = settings_listen(settings, i)) != NULL; i++) {
        if (l->tls_certificate == NULL) {
            continue;
        }
        look_at_certificate((struct net_tls_pair){l->tls_certificate, l->tls_key}, is_over,
                            is_daily);
        for (size_t p = 0; p < l->tls_sni_count; p++) {
            look_at_certificate((struct net_tls_pair){l->tls_sni[p].certificate, l->tls_sni[p].key},
                                is_over, is_daily);
        }
    }
}

static void look_at_certificates(struct serve_gateway *g, mono_us now)
{
    bool is_first = g->certificates_seen.us == 0;
    if (is_first || clock_since(g->certificates_seen, now) > DAY_US) {
        g->certificates_seen = now;
        look_at_listeners(g->settings, false, !is_first);
    }
}

void serve_health_forget_certificates(struct serve_gateway *g)
{
    look_at_listeners(g->settings, true, false);
    g->certificates_seen = (mono_us){0};
}

static void say_changes(mono_us now)
{
    struct health_change change;
    while (health_next_change(now, &change)) {
        const struct health_row *row = health_row(change.entry.kind);
        const char *subject = change.entry.subject;
        const char *after = subject[0] == '\0' ? "" : ": ";
        if (change.is_over) {
            log_info(row->word, "%s%sit lasted %.1f s and is over", subject, after,
                     (double)change.lasted_us / 1e6);
        } else {
            log_write(row->level, row->word, "%s%s%s", subject, after, change.entry.sentence);
        }
    }
}

void serve_health_look(struct serve_gateway *g)
{
    mono_us now = clock_mono();
    look_at_journal(g);
    look_at_store(g);
    look_at_upstreams(g);
    serve_beat(g, now);
    look_at_clock(g, now);
    look_at_certificates(g, now);
    say_changes(now);
}

/* ---- what admin asks ---- */

static void tell_facts(void *ctx, struct admin_facts *out)
{
    const struct serve_gateway *g = ctx;
    struct journal_apply_state applied;
    struct statvfs disk;
    journal_apply_state(g->apply, &applied);
    *out = (struct admin_facts){
        .since = g->since,
        .data = g->settings->data,
        .is_ready = atomic_load(&g->ready),
        .workers = g->workers_running,
        .calls_open = atomic_load(&g->calls_open),
        .connections_open = atomic_load(&g->connections),
        .journal_error = journal_state(g->journal),
        .journal_last = applied.told,
        .store_last = applied.applied,
        .store_error = applied.error,
        .disk_free = -1,
        .disk_size = -1,
        .buffered = (int64_t)memory_taken(),
        .buffered_max = g->settings->gateway.buffered_bytes_max,
    };
    if (statvfs(g->settings->data, &disk) == 0 && disk.f_blocks > 0) { /* else it does not say */
        out->disk_free = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
        out->disk_size = (int64_t)disk.f_blocks * (int64_t)disk.f_frsize;
    }
}

static bool tell_upstream(void *ctx, size_t i, struct admin_upstream_facts *out)
{
    const struct serve_gateway *g = ctx;
    if (i >= g->policy->deployment_count) {
        return false;
    }
    const struct deployment *d = g->policy->deployments[i];
    *out = (struct admin_upstream_facts){
        .name = d->definition.name,
        .is_down = deployment_health_is_down(&d->health),
        .error = (enum err)atomic_load(&d->health.last_error),
        .in_flight = atomic_load(&d->in_flight),
        .connections_open = atomic_load(&d->connections),
        .attempts = atomic_load(&d->attempts),
        .failures = atomic_load(&d->failures),
        .omits = deployment_omits_text(deployment_omits(d)),
    };
    struct upstream_load said;
    int64_t age_us;
    if (deployment_load_said(&d->load, clock_mono(), &said, &age_us)) {
        out->has_load = true;
        out->load_running = said.running;
        out->load_waiting = said.waiting;
        out->load_kv_percent = said.kv_permille < 0 ? -1 : (said.kv_permille + 9) / 10;
        out->load_age_s = age_us / 1000000;
    }
    return true;
}

static bool tell_listener(void *ctx, size_t i, struct admin_listener_facts *out)
{
    const struct serve_gateway *g = ctx;
    const struct server_listen *l = settings_listen(g->settings, i);
    if (l == NULL) {
        return false;
    }
    out->is_admin = l == &g->settings->admin.listen;
    (void)snprintf(out->url, sizeof(out->url), "%s://%s", l->tls_key == NULL ? "http" : "https",
                   l->address); /* an address is short */
    return true;
}

static struct policy *tell_policy(void *ctx)
{
    const struct serve_gateway *g = ctx;
    return g->policy;
}

struct admin_source serve_source(struct serve_gateway *g)
{
    return (struct admin_source){.ctx = g,
                                 .data = g->started->data,
                                 .facts = tell_facts,
                                 .upstream = tell_upstream,
                                 .listener = tell_listener,
                                 .policy = tell_policy};
}
