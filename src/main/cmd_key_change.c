/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas key change`. What it is told is the whole of what shall be, so it changes the key however
 * it is now. */
#include <stdio.h>

#include "cli/cli_ask.h"
#include "main/commands.h"
#include "main/key_body.h"
#include "main/key_id.h"

struct change_given {
    const char *config, *id, *name, *expires, *scopes, *role;
    bool json;
};

const struct cli_option main_key_change_options[] = {
    CLI_WORD(struct change_given, id, "ID", "The key's id, as `atlas key list` shows it"),
    CLI_TEXT(struct change_given, name, "name", "NAME", "What the key is for"),
    CLI_TEXT(struct change_given, expires, "expires", "TIME",
             "When it ends, from now: 12h, 30d; or never"),
    CLI_TEXT(struct change_given, scopes, "scopes", "S,S",
             "All that it may be used for from now on"),
    CLI_TEXT(struct change_given, role, "role", "ROLE",
             "Of an admin key: owner, admin, operator, auditor, developer"),
    CLI_FLAG(struct change_given, json, "json", "Print the key as JSON"),
    CLI_CONFIG(struct change_given, config),
    CLI_END(NULL),
};

int main_key_change(const void *given)
{
    const struct change_given *g = given;
    const struct main_key_body said = {.action = "change",
                                       .name = g->name,
                                       .expires = g->expires,
                                       .scopes = g->scopes,
                                       .role = g->role};
    char path[MAIN_KEY_PATH_BYTES];
    struct span id;
    int status = main_key_id("change", g->id, &id);
    if (status != CLI_GO_ON) {
        return status;
    }
    if (g->name == NULL && g->expires == NULL && g->scopes == NULL && g->role == NULL) {
        fprintf(stderr, "atlas key change: nothing is to change; give --name, --expires, --scopes "
                        "or --role\n");
        return CLI_MISUSED;
    }
    struct buf body, answer;
    buf_init(&body, ADMIN_BODY_BYTES_MAX);
    buf_init(&answer, CLI_ANSWER_MAX);
    status = main_key_body_write(&said, &body);
    if (status == CLI_GO_ON) {
        const struct admin_request request = {.method = HTTP_PATCH,
                                              .path = main_key_path(id, path),
                                              .body = buf_span(&body),
                                              .if_match = SPAN("*")};
        status = cli_ask("key change", g->config, &request, &answer);
    }
    if (status == CLI_GO_ON && g->json) {
        status = main_key_print("change", buf_span(&answer), "; it was changed");
    } else if (status == CLI_GO_ON) {
        printf("changed %.*s\n", SPAN_ARGS(id));
        status = CLI_DONE;
    }
    buf_fini(&answer);
    buf_fini(&body);
    return status;
}
