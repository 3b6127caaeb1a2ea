/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenario key: `atlas key create`, `list` and `revoke`, on the data folder itself and through a
 * running gateway. Whatever failed, the command has done what it says: a key that it prints works,
 * after an error there is none, and where it cannot know it says so. The next try succeeds.
 *
 * The command runs in the test's thread, which is then not exempt.
 */

#include "fault.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_data.h"
#include "cli/cli_options.h"
#include "journal/journal_apply.h"
#include "keys/keys.h"
#include "main/commands.h"
#include "store/store.h"
#include "store/store_tables.h"

/* What a case does: the sums of these are its `what`. */
enum { LIST, CREATE, REVOKE, DIRECT = 0, GATEWAY = 16 };

#define ACTION(what) ((what)&15)

static struct {
    int status;
    char out[65536], errors[4096];
} said;

static struct peer_reply reply;
static struct key_text subject; /* the key to revoke */
static size_t count_before;
static bool by_gateway; /* the command asked one */

void __sanitizer_set_report_fd(void *fd);

/* ---- the command ---- */

static int redirect(int fd, FILE *to)
{
    int kept = dup(fd);
    if (kept < 0 || dup2(fileno(to), fd) < 0) {
        abort();
    }
    return kept;
}

static void read_back(FILE *from, int fd, int kept, char *text, size_t size)
{
    rewind(from);
    text[fread(text, 1, size - 1, from)] = '\0';
    if (dup2(kept, fd) < 0) {
        abort();
    }
    (void)close(kept);
    (void)fclose(from);
}

/* Runs `atlas key …` and keeps what it says. */
static void command(bool is_test, int argc, const char *const *argv)
{
    FILE *out = tmpfile(), *errors = tmpfile();
    if (out == NULL || errors == NULL) {
        abort();
    }
    (void)fflush(stdout);
    int kept_out = redirect(STDOUT_FILENO, out);
    int kept_errors = redirect(STDERR_FILENO, errors);
    __sanitizer_set_report_fd((void *)(intptr_t)kept_errors);
    (void)inject_exempt(is_test);
    said.status = main_run(argc, (char **)(uintptr_t)argv);
    (void)inject_exempt(true);
    (void)fflush(stdout);
    __sanitizer_set_report_fd((void *)(intptr_t)STDERR_FILENO);
    read_back(out, STDOUT_FILENO, kept_out, said.out, sizeof(said.out));
    read_back(errors, STDERR_FILENO, kept_errors, said.errors, sizeof(said.errors));
}

static void act(const struct world *w, int what, bool is_test)
{
    const char *const list[] = {"atlas", "key", "list", "--config", w->config, NULL};
    const char *const create[] = {"atlas",    "key",      "create",  "--name",
                                  "one more", "--config", w->config, NULL};
    const char *const revoke[] = {"atlas",    "key",     "revoke", subject.text,
                                  "--config", w->config, NULL};
    switch (ACTION(what)) {
    case LIST:
        command(is_test, 5, list);
        break;
    case CREATE:
        command(is_test, 7, create);
        break;
    default:
        command(is_test, 6, revoke);
        break;
    }
}

/* ---- what there is ---- */

/* Takes what creations in the folder have made out again: a command reads all keys, and would else
 * take a step more of SQL each time, so that the last would never fail. */
static void forget_made(const struct world *w)
{
    char path[PATH_MAX];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/atlas.db", w->data); /* fits, as the world's own */
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, "DELETE FROM unrecorded; DELETE FROM api_key WHERE name = 'one more'",
                     NULL, NULL, NULL) != SQLITE_OK) {
        fault_wrong("keys that were made cannot be forgotten: %s", sqlite3_errmsg(db));
    }
    (void)sqlite3_close(db);
}

static size_t count_keys(const struct world *w)
{
    struct store *store = NULL;
    uint64_t count = 0;
    if (cli_data_open_store(w->data, &store) != ERR_OK ||
        store_key_count(store, &count) != ERR_OK) {
        fault_wrong("the store cannot be read");
    }
    store_close(&store);
    return count;
}

/* What was recorded is in the store, too: it follows. */
static bool has_followed(struct world *w)
{
    struct journal_apply_state state;
    journal_apply_state(w->g->apply, &state);
    return state.applied >= journal_last(w->g->journal);
}

static void await_store(struct world *w)
{
    if (w->runs && !world_until(has_followed, w)) {
        fault_wrong("the store does not follow the journal");
    }
}

static bool is_doubted(void)
{
    return strstr(said.errors, "is not known") != NULL ||
           strstr(said.errors, "did not say whether") != NULL;
}

/* What the next start would say of the key. */
static enum err check_in_store(const struct world *w, const char *text)
{
    char path[2 * WORLD_PATH];
    struct store *store = NULL;
    struct keys *keys = NULL;
    struct key_deny *deny = NULL;
    struct keys_report report;
    struct key_handle handle;
    (void)snprintf(path, sizeof(path), "%s/" KEYS_PEPPER_FILE, w->data);
    enum err e = cli_data_open_store(w->data, &store);
    e = e == ERR_OK ? keys_open(path, &keys) : e;
    (void)snprintf(path, sizeof(path), "%s/" KEY_DENY_FILE, w->data);
    e = e == ERR_OK ? key_deny_open(path, &deny) : e;
    e = e == ERR_OK ? keys_load(keys, store, deny, &report) : e;
    e = e == ERR_OK ? keys_check(keys, span_of(text), KEY_USE_INFERENCE, clock_wall(), &handle) : e;
    keys_close(&keys);
    key_deny_close(&deny);
    store_close(&store);
    return e;
}

static bool works(struct world *w, const char *text)
{
    const struct peer_request request = {.method = "GET", .path = "/v1/models", .key = text};
    bool in_store = check_in_store(w, text) == ERR_OK;
    if (!w->runs) {
        return in_store;
    }
    world_call(w, &request, &reply);
    if (reply.end != PEER_WHOLE || (reply.status != 200 && reply.status != 401)) {
        fault_wrong("a call fails: end %d, %s", (int)reply.end, reply.raw);
    } else if ((reply.status == 200) != in_store && !(in_store && is_doubted())) {
        /* A revocation in doubt holds where it is sure: in the gateway. */
        fault_wrong("the gateway says %d, the store says otherwise", reply.status);
    }
    return reply.status == 200;
}

/* The key that was printed, alone. */
static bool is_key_printed(struct key_text *out)
{
    struct key_parts parts;
    struct span text = span_of(said.out);
    if (text.len < 2 || text.at[text.len - 1] != '\n' || text.len - 1 >= sizeof(out->text) ||
        key_string_parse(span_cut(text, 0, text.len - 1), &parts) != ERR_OK) {
        return false;
    }
    span_copy_text(span_cut(text, 0, text.len - 1), out->text, sizeof(out->text));
    return true;
}

/* ---- the runs ---- */

static void stop_gateway(struct world *w)
{
    if (w->runs) {
        world_settle(w);
        world_stop(w);
        world_close(w);
        world_check_counts(w);
    }
}

static void prepare(struct world *w, const struct fault_case *c)
{
    bool wants_gateway = (c->what & GATEWAY) != 0;
    if (!wants_gateway) {
        stop_gateway(w);
        forget_made(w);
    } else if (!w->runs) {
        world_count_before(w);
        world_start(w);
    }
    if (ACTION(c->what) == REVOKE) {
        act(w, CREATE, true);
        if (said.status != CLI_DONE || !is_key_printed(&subject)) {
            fault_wrong("the key to revoke cannot be made: %s", said.errors);
        }
    }
    await_store(w);
    count_before = count_keys(w);
    if (!wants_gateway) {
        world_count_before(w);
    }
}

static void run(struct world *w, const struct fault_case *c)
{
    by_gateway = (c->what & GATEWAY) != 0;
    act(w, c->what, false);
}

/* ---- what must hold ---- */

/* A gateway that cannot write its journal says that it does not know. */
static bool must_succeed(void)
{
    bool is_disk = fault_kind() == INJECT_SYNC || fault_kind() == INJECT_SPACE;
    return fault_hits() == 0 || fault_kind() == INJECT_SHORT ||
           (is_disk && !(by_gateway && is_doubted()));
}

/* An error is told in words that fit a failure, not in those of a mistake or of damage. */
static void check_error(void)
{
    static const char *const wrong[] = {
        "damaged",      "not valid JSON", "is not a list",  "too long",
        "another user", "is not there",   "not a key's id", "no key of this",
        "usage:",       "invalid",        "(null)",         "holds no"};
    const char *colon = strstr(said.errors, ": ");
    if (must_succeed()) {
        fault_wrong("it should have succeeded: %s", said.errors);
    } else if (said.status != CLI_FAILED || colon == NULL || colon[2] < ' ' ||
               said.errors[strlen(said.errors) - 1] != '\n') {
        fault_wrong("status %d is not told: %s", said.status, said.errors);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (strstr(said.errors, wrong[i]) != NULL) {
            fault_wrong("this is not what this failure is: %s", said.errors);
        }
    }
}

static void check_list(const struct world *w)
{
    size_t lines = 0;
    struct key_parts parts;
    if (said.status != CLI_DONE) {
        check_error();
        return;
    }
    for (const char *c = said.out; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    if (lines != count_before + 1 || key_string_parse(span_of(w->key), &parts) != ERR_OK ||
        memmem(said.out, strlen(said.out), parts.id.at, parts.id.len) == NULL) {
        fault_wrong("%zu keys are not listed whole: %s", count_before, said.out);
    }
}

static void check_creation(struct world *w, bool may_fail)
{
    struct key_text made;
    size_t more = count_keys(w) - count_before;
    if (said.status == CLI_DONE) {
        if (more != 1 || !is_key_printed(&made)) {
            fault_wrong("%zu keys were made, this was said: %s", more, said.out);
        } else if (!works(w, made.text)) {
            fault_wrong("the key does not work: %s", reply.raw);
        }
    } else if (!may_fail) {
        fault_wrong("the next try fails: %s", said.errors);
    } else {
        check_error();
        if (more > 1 ||
            (more == 1 && !is_doubted() && strstr(said.errors, "it was made") == NULL)) {
            fault_wrong("a key was made, but this was said: %s", said.errors);
        } else if (said.out[0] != '\0') {
            fault_wrong("it failed, but this was said: %s", said.out);
        }
    }
    count_before += more;
}

static void check_revocation(struct world *w, bool may_fail)
{
    bool still = works(w, subject.text);
    if (said.status == CLI_DONE) {
        if (still) {
            fault_wrong("it was not revoked, but this was said: %s", said.out);
        }
    } else if (!may_fail) {
        fault_wrong("the next try fails: %s", said.errors);
    } else {
        check_error();
        if (!still && !is_doubted() && strstr(said.errors, "was revoked") == NULL) {
            fault_wrong("it was revoked, but this was said: %s", said.errors);
        }
    }
}

static void check_action(struct world *w, int what, bool may_fail)
{
    if (ACTION(what) == LIST) {
        check_list(w);
    } else if (ACTION(what) == CREATE) {
        check_creation(w, may_fail);
    } else {
        check_revocation(w, may_fail);
    }
}

static void check(struct world *w, const struct fault_case *c)
{
    if ((c->what & GATEWAY) == 0) {
        world_check_counts(w);
    } else {
        world_recover(w);
    }
    await_store(w);
    check_action(w, c->what, true);
    if (fault_hits() > 0 && ACTION(c->what) != LIST) {
        act(w, c->what, true);
        await_store(w);
        check_action(w, c->what, false);
    }
}

/* ---- the scenario ---- */

static void open_world(struct world *w)
{
    world_start(w); /* once before: libraries keep what they make first */
    act(w, LIST, true);
    world_stop(w);
    world_close(w);
    act(w, LIST, true);
}

static void close_world(struct world *w)
{
    stop_gateway(w);
    books_check(w);
}

#define CASE(name, kinds, what)                \
    {                                          \
        name, kinds, what, prepare, run, check \
    }

/* Lists come first, while they are short. */
static const struct fault_case key[] = {
    CASE("a list of the folder's", FAULT_ALL, LIST | DIRECT),
    CASE("a list of a gateway's", FAULT_ALL, LIST | GATEWAY),
    CASE("a creation in the folder", FAULT_ALL, CREATE | DIRECT),
    CASE("a revocation in the folder", FAULT_ALL, REVOKE | DIRECT),
    CASE("a creation by a gateway", FAULT_ALL, CREATE | GATEWAY),
    CASE("a revocation by a gateway", FAULT_ALL, REVOKE | GATEWAY),
    {0},
};

const struct fault_scenario fault_key = {"key", open_world, key, close_world};
