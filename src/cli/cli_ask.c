/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_ask.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "access/access.h"
#include "cli/cli_admin.h"
#include "cli/cli_data.h"
#include "cli/cli_options.h"
#include "keys/keys_change.h"
#include "settings/settings.h"
#include "store/store.h"
#include "json/json_value.h"

#define PROBLEMS_BYTES_MAX (128u << 10)
#define TIMEOUT_MS         30000
#define FAULT_BYTES        (256u << 10) /* each problem of a configuration has a line */

/* Whether the answer is that there is no such thing, and that is what was to be known. */
static bool is_bearable(bool is_none, bool *out)
{
    if (out != NULL) {
        *out = is_none;
    }
    return is_none && out != NULL;
}

static int fail(const char *command, enum err e, struct span fault)
{
    if (fault.len == 0) {
        fault = span_of(err_sentence(e));
    }
    fprintf(stderr, "atlas %s: %.*s\n", command, SPAN_ARGS(fault));
    return CLI_FAILED;
}

/* Opens the keys and looks at the pepper. A question can do without: it says less then. */
static enum err open_keys(const struct settings *settings, const struct admin_request *request,
                          struct store *store, struct keys **out)
{
    char path[CLI_PATH_MAX];
    enum err e = cli_data_path(settings->data, KEYS_PEPPER_FILE, path);
    if (e == ERR_OK) {
        e = keys_open(path, out);
    }
    if (request->method == HTTP_GET) {
        return ERR_OK;
    }
    return e == ERR_OK ? keys_prove(*out, store) : e;
}

/* Who there is, and what each may. Of budgets a key's, too, is told what was spent, and of keys
 * when they were used, and which have another gateway's digest. */
static enum err open_access(const struct admin_request *request, struct store *store,
                            struct keys *keys, struct access **out)
{
    struct access_report report;
    struct keys_report found;
    bool needs_keys = keys != NULL && (span_starts(request->path, SPAN(ADMIN_BUDGETS_PATH)) ||
                                       span_starts(request->path, SPAN(ADMIN_KEYS_PATH)));
    enum err e = access_open(keys, out);
    if (e == ERR_OK) {
        e = access_load(*out, store, &report);
    }
    if (e == ERR_OK && needs_keys) {
        e = keys_load(keys, store, NULL, &found);
    }
    return e == ERR_OK ? access_restore(*out, store) : e;
}

/* The store may not have heard of all revocations; what it then shows is out of date. */
static void tell_store(const char *command, const struct settings *settings, struct store *store)
{
    char path[CLI_PATH_MAX];
    struct key_deny *deny = NULL;
    enum err e = cli_data_path(settings->data, KEY_DENY_FILE, path);
    if (e == ERR_OK) {
        e = key_deny_open(path, &deny);
    }
    if (e == ERR_OK) {
        e = keys_tell_store(deny, store, UINT64_MAX);
    }
    key_deny_close(&deny);
    if (e != ERR_OK) {
        fprintf(stderr,
                "atlas %s: warning: the store may not know of all keys in the file " KEY_DENY_FILE
                ", and cannot be told now: %s\n",
                command, err_sentence(e));
    }
}

static int ask_store(const char *command, const struct settings *settings,
                     const struct admin_request *request, struct buf *answer, bool *is_none)
{
    struct store *store = NULL;
    struct keys *keys = NULL;
    struct access *rights = NULL;
    struct admin_answer said = {.tag = ""};
    struct admin_request own = *request;
    struct span fault = {NULL, 0};
    char actor[32];
    (void)snprintf(actor, sizeof(actor), "uid:%u", geteuid()); /* it fits */
    own.actor = span_of(actor);
    own.right.is_local = true;
    enum err e = cli_data_open_store(settings->data, &store);
    if (e == ERR_OK) {
        tell_store(command, settings, store);
        e = open_keys(settings, request, store, &keys);
    }
    if (e == ERR_OK) {
        e = open_access(request, store, keys, &rights);
    }
    if (e == ERR_OK) {
        const struct admin_means means = {.keys = keys, .rights = rights, .data = settings->data};
        e = admin_operate(&means, store, &own, clock_wall(), answer, &said);
        fault = span_of(said.fault.message);
    }
    access_close(&rights);
    keys_close(&keys);
    store_close(&store);
    if (e == ERR_FILE) {
        fault = SPAN("the data folder cannot be used; `atlas doctor` says why");
    }
    return e == ERR_OK || is_bearable(e == ERR_NOT_FOUND_ROW, is_none) ? CLI_GO_ON
                                                                       : fail(command, e, fault);
}

/* What is added where a change may have been made all the same. */
static const char *doubt(const struct admin_request *request)
{
    return request->method == HTTP_GET
               ? ""
               : "; whether it was done is not known: the lists tell (`atlas key list`)";
}

/* Says what the gateway's error object says. */
static int fail_as_answered(const char *command, const struct admin_request *request, int status,
                            struct span answer)
{
    struct json_index x;
    struct buf text;
    json_index_init(&x, 64, 4);
    buf_init(&text, FAULT_BYTES);
    if (json_index_parse_borrow(&x, answer) == ERR_OK) {
        uint32_t error = json_find(&x, 0, SPAN("error"));
        uint32_t message = error == JSON_NONE ? JSON_NONE : json_find(&x, error, SPAN("message"));
        size_t len = message == JSON_NONE ? 0 : json_inside(&x, message).len;
        uint8_t *room = len == 0 ? NULL : buf_reserve(&text, len);
        if (room != NULL) {
            buf_added(&text, json_unescape(&x, message, room, NULL));
        }
    }
    json_index_fini(&x);
    if (buf_span(&text).len == 0) {
        buf_clear(&text);
        buf_printf(&text, "the gateway answered with status %d%s", status, doubt(request));
    }
    int code = fail(command, ERR_NET, buf_span(&text));
    buf_fini(&text);
    return code;
}

static int ask_gateway(const char *command, const struct settings *settings,
                       const struct admin_request *request, struct buf *answer, bool *is_none)
{
    char path[CLI_PATH_MAX];
    struct cli_admin_reply reply = {0};
    enum err e = cli_data_path(settings->data, CLI_SOCKET_FILE, path);
    if (e == ERR_OK) {
        e = cli_admin_call(path, request, TIMEOUT_MS, answer, &reply);
    }
    if (e != ERR_OK && reply.was_sent) {
        fprintf(stderr, "atlas %s: the gateway was asked, but its answer did not come: %s%s\n",
                command, err_sentence(e), doubt(request));
        return CLI_FAILED;
    }
    if (e != ERR_OK) {
        fprintf(stderr, "atlas %s: a gateway holds %s, but %s cannot be asked: %s\n", command,
                settings->data, path, err_sentence(e));
        return CLI_FAILED;
    }
    return reply.status == 200 || reply.status == 201 || is_bearable(reply.status == 404, is_none)
               ? CLI_GO_ON
               : fail_as_answered(command, request, reply.status, buf_span(answer));
}

static int fail_to_lock(const char *command, const char *folder)
{
    int why = errno;
    fprintf(stderr, "atlas %s: %s cannot be locked: %s%s\n", command, folder, strerrordesc_np(why),
            why == EACCES || why == EPERM ? "; is it another user's?"
            : why == EROFS                ? "; mount it for writing, or set `data:` to another"
                                          : "");
    return CLI_FAILED;
}

/* Whether only a running gateway can say it. */
static bool is_of_gateway(struct span path)
{
    static const char *const paths[] = {ADMIN_STATUS_PATH, ADMIN_ROUTES_PATH "/explain",
                                        ADMIN_ROUTES_PATH "/reload", ADMIN_GUARD_PATH "/test"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (span_is(path, paths[i])) {
            return true;
        }
    }
    return false;
}

static int ask(const char *command, const struct settings *settings,
               const struct admin_request *request, struct buf *answer, bool *is_none)
{
    int lock = -1;
    if (access(settings->data, F_OK) != 0) {
        fprintf(stderr, "atlas %s: %s: %s; make it with: atlas init --config %s\n", command,
                settings->data, strerrordesc_np(errno), settings->path);
        return CLI_FAILED;
    }
    enum err e = cli_data_lock(settings->data, CLI_LOCK_SHARED, 0, &lock);
    if (e == ERR_LOCKED) {
        return ask_gateway(command, settings, request, answer, is_none);
    }
    if (e != ERR_OK) {
        return fail_to_lock(command, settings->data);
    }
    int status = is_of_gateway(request->path)
                     ? fail(command, ERR_USAGE, SPAN("no gateway runs with this configuration"))
                     : ask_store(command, settings, request, answer, is_none);
    (void)close(lock); /* lets go of it */
    return status;
}

int cli_ask_or_none(const char *command, const char *config, const struct admin_request *request,
                    struct buf *answer, bool *is_none)
{
    struct buf problems;
    struct settings *settings = NULL;
    int status = CLI_FAILED;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open_data(config, &problems, &settings);
    if (e == ERR_OK) {
        status = ask(command, settings, request, answer, is_none);
    } else if (e == ERR_CONFIG) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
    } else {
        status = fail(command, e, SPAN(""));
    }
    buf_fini(&problems);
    settings_close(&settings);
    return status;
}

int cli_ask(const char *command, const char *config, const struct admin_request *request,
            struct buf *answer)
{
    return cli_ask_or_none(command, config, request, answer, NULL);
}
