/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the gateway: opened before anything is served, watched while it runs. */
#include "base/health.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "gateway/gateway_worker.h"
#include "keys/key_watch.h"
#include "keys/keys.h"
#include "policy/policy_book.h"
#include "serve/serve_internal.h"
#include "store/store.h"
#include "store/store_thread.h"

#define PATH_BYTES 4300

static enum err open_deny(struct serve_gateway *g)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/" KEY_DENY_FILE, g->settings->data); /* as settings */
    errno = 0;
    enum err e = key_deny_open(path, &g->deny);
    if (e != ERR_OK) {
        log_error("keys_revoked", "%s, the file of revoked keys, cannot be used: %s", path,
                  e == ERR_FILE && errno != 0 ? strerrordesc_np(errno) : err_sentence(e));
    }
    return e;
}

static void say_report(const char *data, const struct keys_report *report)
{
    if (report->damaged > 0) {
        log_error(
            "keys_damaged",
            "%s/atlas.db has %llu damaged row%s; of such a row the key is refused, and `atlas key "
            "list` shows it",
            data, (unsigned long long)report->damaged, SPAN_PLURAL(report->damaged));
    }
    if (report->no_pepper > 0) {
        log_error("keys_no_pepper",
                  "%s/" KEYS_PEPPER_FILE " no longer holds the pepper of %llu key%s, so they are "
                  "refused; `atlas key list` shows which",
                  data, (unsigned long long)report->no_pepper, SPAN_PLURAL(report->no_pepper));
    }
    if (report->denied > 0) {
        log_warn("keys_denied",
                 "%s/" KEY_DENY_FILE
                 " revokes %llu key%s of which the store has not heard; it is told "
                 "now",
                 data, (unsigned long long)report->denied, SPAN_PLURAL(report->denied));
    }
    if (report->damaged_lines > 0) {
        log_error("keys_revoked",
                  "%s/" KEY_DENY_FILE " has %llu damaged line%s; whatever id can be read there is "
                  "refused",
                  data, (unsigned long long)report->damaged_lines,
                  SPAN_PLURAL(report->damaged_lines));
    }
}

static void say_access(const char *data, const struct access_report *report)
{
    uint64_t damaged = report->directory.damaged + report->damaged;
    if (damaged > 0) {
        log_error("access",
                  "%s/atlas.db has %llu damaged row%s of teams, users, plans, limits or budgets: "
                  "what they allow is not known, and not limited; restore a backup",
                  data, (unsigned long long)damaged, SPAN_PLURAL(damaged));
    }
    if (report->directory.alone > 0) {
        log_error("access", "%s/atlas.db has %llu row%s that name%s what is not there", data,
                  (unsigned long long)report->directory.alone, SPAN_PLURAL(report->directory.alone),
                  report->directory.alone == 1 ? "s" : "");
    }
    if (report->zones > 0) {
        log_error("access",
                  "%llu budget%s count in UTC: this machine does not know their time zones "
                  "(install tzdata)",
                  (unsigned long long)report->zones, SPAN_PLURAL(report->zones));
    }
}

static enum err load_prices(struct serve_gateway *g)
{
    struct policy_book_report found;
    enum err e = policy_book_open(&g->book);
    if (e == ERR_OK) {
        e = policy_book_load(g->book, g->store, clock_wall(), &found);
    }
    if (e == ERR_OK && found.damaged > 0) {
        log_error("prices",
                  "%s/atlas.db has %llu damaged row%s of prices: these models cost what the "
                  "configuration or another price says; restore a backup",
                  g->settings->data, (unsigned long long)found.damaged, SPAN_PLURAL(found.damaged));
    }
    return e;
}

/* Keys are bound to teams and plans as they come in, so these are there first. */
static enum err load(struct serve_gateway *g, struct keys_report *report)
{
    struct access_report found = {0};
    enum err e = access_open(g->keys, &g->rights);
    if (e == ERR_OK) {
        e = access_load(g->rights, g->store, &found);
    }
    if (e == ERR_OK) {
        say_access(g->settings->data, &found);
        e = keys_load(g->keys, g->store, g->deny, report);
    }
    if (e == ERR_OK) {
        e = access_restore(g->rights, g->store);
    }
    return e == ERR_OK ? load_prices(g) : e;
}

enum err serve_keys_open(struct serve_gateway *g)
{
    char path[PATH_BYTES];
    struct keys_report report;
    (void)snprintf(path, sizeof(path), "%s/" KEYS_PEPPER_FILE, g->settings->data); /* as settings */
    enum err e = keys_open(path, &g->keys);
    if (e != ERR_OK) {
        log_error("keys", "%s: %s", path, err_sentence(e));
        return e;
    }
    e = open_deny(g);
    if (e != ERR_OK) {
        return e;
    }
    e = load(g, &report);
    if (e != ERR_OK) {
        log_error("keys", "%s: %s", path, err_sentence(e));
        return e;
    }
    say_report(g->settings->data, &report);
    return key_watch_open(g->keys, g->deny, &g->key_watch);
}

/* Since when every loop that looks at keys and teams has turned. */
static mono_us turned_by_all(const struct serve_gateway *g)
{
    mono_us turned = net_loop_turned(g->loop);
    for (int i = 0; i < g->workers_running; i++) {
        mono_us one = gateway_worker_turned(g->workers[i].worker);
        turned = one.us < turned.us ? one : turned;
    }
    return turned;
}

static enum err run_tell(struct store *s, void *context)
{
    (void)s; /* its thread is the one that may look at all of them */
    access_tell_budgets(context, clock_wall());
    return ERR_OK;
}

static void tell_budgets(struct serve_gateway *g)
{
    uint64_t news = limits_news(access_limits(g->rights));
    const struct store_job job = {run_tell, NULL, g->rights};
    if (news != g->budgets_told && store_thread_post(g->store_thread, &job) == ERR_OK) {
        g->budgets_told = news; /* else the next time */
    }
}

void serve_keys_step(struct serve_gateway *g)
{
    key_watch_step(g->key_watch, g->store_thread);
    mono_us turned = turned_by_all(g);
    access_set_turned(g->rights, turned);
    access_look_for_ends(g->rights, clock_wall());
    policy_book_set_turned(g->book, turned);
    tell_budgets(g);
    serve_key_jobs_step(&g->key_jobs, g->keys, g->store_thread);
    enum err trouble = key_watch_trouble(g->key_watch);
    if (trouble != ERR_OK) {
        health_set(HEALTH_KEYS_UNTOLD, NULL,
                   "revoked keys are refused and written down, but %s/atlas.db cannot be told: %s",
                   g->settings->data, err_sentence(trouble));
    } else {
        health_clear(HEALTH_KEYS_UNTOLD, NULL);
    }
}

void serve_keys_close(struct serve_gateway *g)
{
    policy_book_close(&g->book);
    access_close(&g->rights);
    keys_close(&g->keys);
    key_deny_close(&g->deny);
}
