/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenario reload: a running gateway reads its configuration anew. Whatever failed, all of the new
 * one is in force in every worker, or all of the old one and the log says why; calls succeed all
 * the while, and so does the next reload.
 *
 * The test's thread stands for the housekeeping loop, which does not run.
 */
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/health.h"
#include "journal/journal.h"
#include "net/net_internal.h"

/* What the new configuration is: a case's `what`. */
enum { GOOD, INVALID, ELSEWHERE, NO_FILE, NO_KEY };

/* Workers take connections by chance: so many that one of two is missed once in 128 looks. */
#define LOOKS 8

static struct peer_reply reply;
static enum err result;

/* Takes the certificate's key away, or puts it back. */
static void move_key(const struct world *w, bool goes)
{
    char here[2 * WORLD_PATH], away[2 * WORLD_PATH];
    (void)snprintf(here, sizeof(here), "%s/tls.key", w->folder);
    (void)snprintf(away, sizeof(away), "%s/tls.key.away", w->folder);
    bool is_here = access(here, F_OK) == 0;
    if (goes == is_here && rename(goes ? here : away, goes ? away : here) != 0) {
        abort();
    }
}

static void write_configuration(const struct world *w, int what)
{
    static const char *const more[] = {
        [GOOD] = "client: { body_max: 1MiB, head_timeout: 9s }\npid_file: ./pid\n",
        [INVALID] = "client: { body_mux: 1MiB }\n",
        [ELSEWHERE] = "",
        [NO_FILE] = "",
        [NO_KEY] = "",
    };
    struct world changed = *w;
    if (what == ELSEWHERE) { /* another port to listen on, which only a restart can do */
        changed.admin_port = w->port;
    }
    world_configure(&changed, "new", more[what]);
    if (what == NO_FILE) {
        (void)unlink(w->config);
    }
    move_key(w, what == NO_KEY);
}

/* ---- the runs ---- */

/* The housekeeping loop is this thread's for as long as it takes. */
static enum err reload(struct world *w)
{
    serve_reload_begin(w->g, "SIGHUP", NULL);
    while (w->g->reload != NULL) {
        (void)uv_run(&w->g->loop->uv, UV_RUN_ONCE); /* says only that handles are left */
    }
    return w->g->reload_error;
}

static void get(struct world *w, const char *model)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/v1/models/%s", model);
    const struct peer_request request = {.method = "GET", .path = path, .key = w->key};
    world_call(w, &request, &reply);
}

/* How many of LOOKS connections see the model that only the new configuration has. */
static int count_new(struct world *w)
{
    int seen = 0;
    for (int i = 0; i < LOOKS; i++) {
        get(w, "new");
        seen += reply.end == PEER_WHOLE && reply.status == 200;
        if (reply.end != PEER_WHOLE || (reply.status != 200 && reply.status != 404)) {
            fault_wrong("a reload does harm: end %d, %s", (int)reply.end, reply.raw);
        }
    }
    return seen;
}

/* Workers take the change up when they come to it. */
static bool is_new_in_force(struct world *w)
{
    return count_new(w) == LOOKS;
}

static bool is_old_in_force(struct world *w)
{
    return count_new(w) == 0;
}

/* The housekeeping loop is this thread's, which is told of the record there. */
static bool has_recorded(struct world *w)
{
    (void)uv_run(&w->g->loop->uv, UV_RUN_NOWAIT); /* says only that handles are left */
    return world_has_recorded(w);
}

static void await_record(struct world *w)
{
    if (!world_until(has_recorded, w)) {
        fault_wrong("what is in force is not recorded");
    }
}

static void prepare(struct world *w, const struct fault_case *c)
{
    write_configuration(w, GOOD);
    world_configure(w, NULL, NULL);
    if (reload(w) != ERR_OK || !world_until(is_old_in_force, w)) {
        fault_wrong("the first configuration is not in force: %s", fault_log());
    }
    await_record(w);
    write_configuration(w, c->what);
}

static void run(struct world *w, const struct fault_case *c)
{
    (void)c;
    (void)inject_exempt(false);
    result = reload(w);
    (void)inject_exempt(true);
}

/* ---- what must hold ---- */

/* Which error may be told for what was injected. */
static bool is_right(enum err e)
{
    switch (fault_kind()) {
    case INJECT_MALLOC:
        return e == ERR_NO_MEMORY;
    case INJECT_SYSTEM: /* a thread that could not be made, no descriptor for a file, or: */
        if (e == ERR_NO_MEMORY || e == ERR_NO_FILES) {
            return true;
        }
        __attribute__((fallthrough));
    case INJECT_READ:
        return e == ERR_CONFIG; /* it could not be read: the log says why */
    case INJECT_NOTHING:
    case INJECT_WRITE:
    case INJECT_SHORT:
    case INJECT_CONNECT:
    case INJECT_SYNC:
    case INJECT_SPACE:
    case INJECT_SQL:
    case INJECT_KINDS:
        break;
    }
    return false;
}

/* What is wrong with the new configuration, as the log must say it. */
static bool is_told(int what)
{
    static const char *const sentences[] = {
        [INVALID] = ":11: unknown setting 'client.body_mux' — did you mean 'body_max'?",
        [ELSEWHERE] = "listen, admin and data change with a restart only",
        [NO_FILE] = "there is no such file",
        [NO_KEY] = "tls.key: No such file or directory",
    };
    const char *less = fault_hits() > 0 && fault_kind() == INJECT_MALLOC
                           ? "more is wrong than can be told; `atlas config check` tells it"
                           : sentences[what];
    return strstr(fault_log(), sentences[what]) != NULL || strstr(fault_log(), less) != NULL;
}

/* A thread writes the log: ended and begun anew, it has written all. */
static void await_log(void)
{
    log_stop();
    if (log_start() != ERR_OK) {
        fault_wrong("the log's thread cannot be started anew");
    }
}

static void check_refusal(int what)
{
    await_log();
    bool injected = fault_hits() > 0 && is_right(result);
    bool log_failed = fault_kind() == INJECT_WRITE || fault_kind() == INJECT_SPACE ||
                      fault_kind() == INJECT_SHORT; /* it is written, too */
    if (what == GOOD && !injected) {
        fault_wrong("it should have succeeded: %s", err_name(result));
    } else if (fault_hits() > 0 && log_failed) {
        return;
    } else if (strstr(fault_log(), " error reload_refused ") == NULL ||
               strstr(fault_log(), "the settings in force stay") == NULL) {
        fault_wrong("%s is not told", err_name(result));
    } else if (injected ? strstr(fault_log(), " error ") == NULL : !is_told(what)) {
        fault_wrong("it is not told what is wrong: %s", fault_log());
    }
}

static void check_in_force(struct world *w, int what)
{
    if (result == ERR_OK && what != GOOD) {
        fault_wrong("a configuration that is wrong was taken");
    } else if (result == ERR_OK && !world_until(is_new_in_force, w)) {
        fault_wrong("it has succeeded, but a worker does not follow it");
    } else if (result != ERR_OK && count_new(w) != 0) {
        fault_wrong("it was refused, but a worker follows it: %s", err_name(result));
    }
}

static void open_gateway(struct world *w)
{
    if (world_open(w) != ERR_OK) {
        fault_wrong("the gateway does not start");
        abort();
    }
}

/* Where the disk was full, calls are let in again when housekeeping has seen that there is room. */
static bool has_room(struct world *w)
{
    (void)uv_run(&w->g->loop->uv, UV_RUN_NOWAIT); /* as above */
    enum err state = journal_state(w->g->journal);
    return state == ERR_DISK || (state == ERR_OK && health_refusal() != ERR_DISK_FULL);
}

/* What comes in force is recorded. Where the journal could not, the process would end, and another
 * begin; the loop is this thread's in that one, too. */
static void begin_again_after(struct world *w)
{
    await_record(w);
    if (!world_until(has_room, w)) {
        fault_wrong("the journal does not go on after the disk was full");
    }
    if (journal_state(w->g->journal) == ERR_DISK) {
        write_configuration(w, GOOD);
        world_close(w);
        open_gateway(w);
    }
}

static void check(struct world *w, const struct fault_case *c)
{
    check_in_force(w, c->what);
    if (result != ERR_OK) {
        check_refusal(c->what);
    }
    begin_again_after(w);
    fault_check_call(w);
    write_configuration(w, GOOD);
    if (reload(w) != ERR_OK || !world_until(is_new_in_force, w)) {
        fault_wrong("the next reload fails: %s", fault_log());
    }
}

/* ---- the scenario ---- */

static void open_world(struct world *w)
{
    open_gateway(w); /* once before: libraries keep what they make first */
    fault_check_call(w);
    world_close(w);
    world_count_before(w);
    open_gateway(w);
}

static void close_world(struct world *w)
{
    world_configure(w, NULL, NULL);
    world_settle(w);
    world_close(w);
    world_check_counts(w);
    books_check(w);
}

#define CASE(name, kinds, what)                \
    {                                          \
        name, kinds, what, prepare, run, check \
    }
#define ON_PATH (FAULT_KIND(MALLOC) | FAULT_KIND(READ) | FAULT_KIND(SHORT) | FAULT_KIND(SYSTEM))

static const struct fault_case cases[] = {
    CASE("a change", FAULT_ALL, GOOD),
    CASE("a configuration that is not valid", ON_PATH, INVALID),
    CASE("another address", ON_PATH & ~FAULT_KIND(MALLOC), ELSEWHERE), /* as above */
    CASE("no configuration", ON_PATH, NO_FILE),
    CASE("no key of the certificate", ON_PATH & ~FAULT_KIND(MALLOC), NO_KEY), /* as above */
    {0},
};

const struct fault_scenario fault_reload = {"reload", open_world, cases, close_world};
