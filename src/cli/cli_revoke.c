/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_revoke.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli_admin.h"
#include "cli/cli_data.h"
#include "cli/cli_options.h"
#include "keys/key_watch.h"
#include "keys/keys_change.h"
#include "store/store_tables.h"

#define ANSWER_BYTES_MAX (64u << 10)
#define LOOK_MARGIN_MS   100

static int fail(const char *what, enum err e)
{
    fprintf(stderr, "atlas key revoke: %s%s\n", what, e == ERR_OK ? "" : err_sentence(e));
    return CLI_FAILED;
}

static void warn(const char *what, enum err e)
{
    fprintf(stderr, "atlas key revoke: warning: %s (%s)\n", what, err_sentence(e));
}

/* Puts the key into the file of revoked keys. */
static enum err write_down(const char *folder, struct span id)
{
    char path[CLI_PATH_MAX];
    struct key_deny *deny = NULL;
    enum err e = cli_data_path(folder, KEY_DENY_FILE, path);
    if (e == ERR_OK) {
        e = key_deny_open(path, &deny);
    }
    if (e == ERR_OK) {
        e = key_deny_add(deny, id, clock_wall());
    }
    key_deny_close(&deny);
    return e;
}

/* A gateway that runs has looked into the file by then: what is said after it is true. */
static void let_gateway_look(void)
{
    const struct timespec look = {0, (long)(KEY_WATCH_MS + LOOK_MARGIN_MS) * 1000000};
    (void)nanosleep(&look, NULL); /* woken early, it only speaks early */
}

/* ---- with a gateway ---- */

/* ERR_OK: it is revoked. ERR_NOT_FOUND_ROW: the gateway knows no such key. */
static enum err ask_gateway(const char *folder, struct span id)
{
    char socket[CLI_PATH_MAX];
    char path[sizeof(ADMIN_KEYS_PATH) + 1 + KEY_ID_CHARS];
    struct cli_admin_reply reply = {0};
    struct buf answer;
    (void)snprintf(path, sizeof(path), ADMIN_KEYS_PATH "/%.*s", SPAN_ARGS(id)); /* it fits */
    const struct admin_request request = {.method = HTTP_DELETE, .path = span_of(path)};
    buf_init(&answer, ANSWER_BYTES_MAX);
    enum err e = cli_data_path(folder, CLI_SOCKET_FILE, socket);
    if (e == ERR_OK) {
        e = cli_admin_call(socket, &request, CLI_REVOKE_WAIT_MS, &answer, &reply);
    }
    buf_fini(&answer);
    if (e != ERR_OK) {
        return e;
    }
    return reply.status == 200 ? ERR_OK : reply.status == 404 ? ERR_NOT_FOUND_ROW : ERR_DISK;
}

static int revoke_in_gateway(const char *folder, struct span id)
{
    enum err asked = ask_gateway(folder, id);
    if (asked == ERR_OK) {
        return CLI_DONE;
    }
    if (asked == ERR_NOT_FOUND_ROW) {
        return fail("there is no key of this id; `atlas key list` shows them", ERR_OK);
    }
    enum err e = write_down(folder, id);
    if (e != ERR_OK) {
        return fail("the gateway did not say that it was done, and the key cannot be written into "
                    "the file of revoked keys; whether it is revoked is not known: ",
                    e);
    }
    let_gateway_look();
    warn("the gateway did not do it itself; the key is in its file of revoked keys, which it looks "
         "at "
         "five times a second while it serves, and reads before it serves again",
         asked);
    return CLI_DONE;
}

/* ---- without ---- */

/* Whether the store surely has no such key. One that cannot be asked is not sure. */
static bool is_unknown(struct store *store, struct span id)
{
    struct store_key key = {.id = id};
    return store != NULL && store_key_get(store, &key) == ERR_NOT_FOUND_ROW;
}

/* A gateway that was killed may have made the key and not told the store, which hears of it from
 * the journal at the next start: the file of revoked keys has it by then. */
static int fail_unknown(enum err in_file)
{
    return in_file == ERR_OK
               ? fail("there is no key of this id; `atlas key list` shows them (should the journal "
                      "know one that the store has not heard of, it is refused)",
                      ERR_OK)
               : fail("there is no key of this id; `atlas key list` shows them", ERR_OK);
}

static int revoke_alone(const char *folder, struct span id)
{
    struct store *store = NULL;
    enum err in_store = cli_data_open_store(folder, &store);
    bool unknown = is_unknown(store, id);
    char actor[32];
    enum err in_file = write_down(folder, id); /* of an unknown one too: see fail_unknown() */
    (void)snprintf(actor, sizeof(actor), "uid:%u", (unsigned)geteuid()); /* it fits */
    if (in_store == ERR_OK && !unknown) {
        in_store = keys_revoke_row(store, id, span_of(actor), clock_wall());
    }
    store_close(&store);
    if (unknown) {
        return fail_unknown(in_file);
    }
    if (in_file != ERR_OK && in_store != ERR_OK) {
        return fail("neither the file of revoked keys nor the store can be written; nothing was "
                    "done: ",
                    in_file);
    }
    if (in_file != ERR_OK) {
        warn("the file of revoked keys cannot be written: a backup of the store would bring the "
             "key back",
             in_file);
    }
    if (in_store != ERR_OK) {
        warn("the key is in the file of revoked keys and refused from now on; the store cannot be "
             "told now and is when a gateway starts",
             in_store);
    }
    return CLI_DONE;
}

int cli_revoke(const char *folder, struct span id)
{
    int lock = -1;
    if (access(folder, F_OK) != 0) {
        fprintf(stderr, "atlas key revoke: there is no data folder %s\n", folder);
        return CLI_FAILED;
    }
    enum err e = cli_data_lock(folder, CLI_LOCK_SHARED, 0, &lock);
    int status = e == ERR_LOCKED ? revoke_in_gateway(folder, id) : revoke_alone(folder, id);
    if (lock >= 0) {
        (void)close(lock); /* lets go of it */
    } else if (e != ERR_LOCKED && status == CLI_DONE) {
        let_gateway_look(); /* there may be one: who holds the folder cannot be seen */
    }
    return status;
}
