/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas key create`. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli_ask.h"
#include "crypto/random.h"
#include "main/commands.h"
#include "main/key_body.h"
#include "json/json_value.h"

/* What `create` was told. */
struct wish {
    const char *config, *name, *expires, *scopes, *role, *team;
    bool is_test, is_admin, json;
};

/* A key that was made and is not shown is of no use. */
#define KEY_IS_LOST "; it was made: find it with `atlas key list`, revoke it, and make another"

/* Prints the key of the answer, alone. */
static int print_key(struct span answer)
{
    struct json_index x;
    json_index_init(&x, 64, 4);
    enum err e = json_index_parse_borrow(&x, answer);
    uint32_t key = e == ERR_OK ? json_find(&x, 0, SPAN("key")) : JSON_NONE;
    int status = CLI_FAILED;
    if (key == JSON_NONE) {
        fprintf(stderr, "atlas key create: the key cannot be read from the answer%s%s%s\n",
                e == ERR_OK ? "" : ": ", e == ERR_OK ? "" : err_sentence(e), KEY_IS_LOST);
    } else {
        status = main_key_print("create", json_inside(&x, key),
                                KEY_IS_LOST); /* Base62 and "_": nothing is escaped */
    }
    json_index_fini(&x);
    if (status == CLI_DONE && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO)) {
        fprintf(stderr, "keep it: it is not shown again\n");
    }
    return status;
}

const struct cli_option main_key_create_options[] = {
    CLI_TEXT(struct wish, name, "name", "NAME", "What the key is for", .is_needed = true),
    CLI_TEXT(struct wish, expires, "expires", "TIME",
             "When it ends, from now: 12h, 30d; never if not given"),
    CLI_TEXT(struct wish, scopes, "scopes", "S,S",
             "chat, completions, embeddings, models; all if not given"),
    CLI_FLAG(struct wish, is_test, "test", "A key for evaluation"),
    CLI_FLAG(struct wish, is_admin, "admin", "A key for the admin API"),
    CLI_TEXT(struct wish, role, "role", "ROLE",
             "Of an admin key: owner, admin, operator, auditor, developer; owner if not given"),
    CLI_TEXT(struct wish, team, "team", "TEAM", "The id of the team that it belongs to"),
    CLI_FLAG(struct wish, json, "json", "Print an object with id and key"),
    CLI_CONFIG(struct wish, config),
    CLI_END(NULL),
};

int main_key_create(const void *given)
{
    const struct wish *wish = given;
    const struct main_key_body said = {.action = "create",
                                       .name = wish->name,
                                       .expires = wish->expires,
                                       .scopes = wish->scopes,
                                       .role = wish->role,
                                       .team = wish->team,
                                       .kind = wish->is_admin  ? "admin"
                                               : wish->is_test ? "test"
                                                               : "live"};
    if (wish->is_test && wish->is_admin) {
        fprintf(stderr, "atlas key create: --test and --admin do not go together\n");
        return CLI_MISUSED;
    }
    if (wish->role != NULL && !wish->is_admin) {
        fprintf(stderr, "atlas key create: --role goes with --admin\n");
        return CLI_MISUSED;
    }
    struct buf body, answer;
    buf_init(&body, ADMIN_BODY_BYTES_MAX);
    buf_init(&answer, CLI_ANSWER_MAX);
    int status = main_key_body_write(&said, &body);
    if (status == CLI_GO_ON) {
        const struct admin_request request = {
            .method = HTTP_POST, .path = SPAN(ADMIN_KEYS_PATH), .body = buf_span(&body)};
        status = cli_ask("key create", wish->config, &request, &answer);
    }
    if (status == CLI_GO_ON) {
        status = wish->json ? main_key_print("create", buf_span(&answer), KEY_IS_LOST)
                            : print_key(buf_span(&answer));
    }
    if (answer.at != NULL) {
        crypto_wipe(answer.at, answer.cap);
    }
    buf_fini(&answer);
    buf_fini(&body);
    return status;
}
