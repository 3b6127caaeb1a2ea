/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas key revoke` and `atlas key delete`. */
#include <stdio.h>
#include <string.h>

#include "cli/cli_ask.h"
#include "cli/cli_revoke.h"
#include "cli/cli_show.h"
#include "main/commands.h"
#include "main/key_id.h"
#include "main/main_given.h"
#include "settings/settings.h"

#define PROBLEMS_BYTES_MAX (128u << 10)

/* Revokes in the folder that the configuration names, whatever else is in it. */
static int revoke_as_configured(const char *config, struct span id)
{
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open_data(config, &problems, &settings);
    int status = CLI_FAILED;
    if (e == ERR_OK) {
        status = cli_revoke(settings->data, id);
    } else {
        fprintf(stderr,
                "%.*satlas key revoke: the configuration does not say where the data "
                "folder is; name it with --data\n",
                SPAN_ARGS(buf_span(&problems)));
    }
    buf_fini(&problems);
    settings_close(&settings);
    return status;
}

const struct cli_option main_key_revoke_options[] = {
    MAIN_ID("The key's id, as `atlas key list` shows it, or its name; an id alone needs no store"),
    CLI_TEXT(struct main_given, data, "data", "DIR",
             "The data folder; no configuration is read then", .words = CLI_FILES),
    MAIN_JSON,
    MAIN_CONFIG,
    MAIN_END,
};

int main_key_revoke(const void *given)
{
    const struct main_given *g = given;
    struct span id;
    char found[KEY_ID_CHARS + 1];
    int status = CLI_GO_ON;
    if (g->data != NULL && !main_key_id(g->id, &id)) {
        fprintf(stderr, "atlas key revoke: '%s' is not a key's id, and --data wants one\n", g->id);
        return CLI_MISUSED;
    }
    if (!main_key_id(g->id, &id)) { /* an id needs neither the configuration nor the store */
        status = main_key_find("key revoke", g->config, g->id, MAIN_KEY_WORKS, found);
        id = span_make(found, KEY_ID_CHARS);
    }
    if (status != CLI_GO_ON) {
        return status;
    }
    status = g->data != NULL ? cli_revoke(g->data, id) : revoke_as_configured(g->config, id);
    if (status == CLI_DONE) { /* it holds, whether or not anybody can read that */
        printf(g->json ? "{\"id\":\"%.*s\",\"status\":\"revoked\"}\n" : "revoked %.*s\n",
               SPAN_ARGS(id));
    }
    return status;
}

const struct cli_option main_key_delete_options[] = {
    MAIN_ID("The id or name of a key that was revoked or has expired"),
    MAIN_JSON,
    MAIN_CONFIG,
    MAIN_END,
};

int main_key_delete(const void *given)
{
    const struct main_given *g = given;
    char path[MAIN_KEY_PATH_BYTES], found[KEY_ID_CHARS + 1];
    struct buf answer;
    int status = main_key_find("key delete", g->config, g->id, MAIN_KEY_ENDED, found);
    struct span id = span_make(found, KEY_ID_CHARS);
    if (status != CLI_GO_ON) {
        return status;
    }
    const struct admin_request request = {
        .method = HTTP_DELETE, .path = main_key_path(id, path), .query = SPAN("forget=true")};
    buf_init(&answer, CLI_ANSWER_MAX);
    status = cli_ask("key delete", g->config, &request, &answer);
    if (status == CLI_GO_ON && g->json) {
        status = cli_show_json("key delete", buf_span(&answer));
    } else if (status == CLI_GO_ON) {
        printf("deleted %.*s\n", SPAN_ARGS(id));
        status = CLI_DONE;
    }
    buf_fini(&answer);
    return status;
}
