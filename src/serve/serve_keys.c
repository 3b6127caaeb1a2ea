/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the gateway: opened before anything is served, watched while it runs. */
#include "base/health.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "keys/key_watch.h"
#include "keys/keys.h"
#include "serve/serve_internal.h"
#include "store/store.h"

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
    e = keys_load(g->keys, g->store, g->deny, &report);
    if (e != ERR_OK) {
        log_error("keys", "%s: %s", path, err_sentence(e));
        return e;
    }
    say_report(g->settings->data, &report);
    return key_watch_open(g->keys, g->deny, &g->key_watch);
}

void serve_keys_step(struct serve_gateway *g)
{
    key_watch_step(g->key_watch, g->store_thread);
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
    keys_close(&g->keys);
    key_deny_close(&g->deny);
}
