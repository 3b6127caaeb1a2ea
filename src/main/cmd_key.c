/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas key create`, `list`, `show` and `edit`. */
#include <stdio.h>

#include "cli/cli_ask.h"
#include "cli/cli_show.h"
#include "crypto/random.h"
#include "main/commands.h"
#include "main/key_id.h"
#include "main/key_print.h"
#include "main/main_noun.h"

static const struct main_noun keys = {
    ADMIN_KEYS_PATH, ADMIN_OBJECT_key,
    "there are no keys; make one with: atlas key create --name N"};

#define SCOPES                                                                                  \
    CLI_LIST(struct main_given, scopes, "scopes", "S,S",                                        \
             "All that it may be used for: chat, completions, embeddings, models, moderations", \
             .member = "scopes", .words = ADMIN_KEY_SCOPES)
#define ALLOW_IP                                                                                 \
    CLI_LIST(struct main_given, allow_ip, "allow_ip", "NET",                                     \
             "A network or address that it may be used from, and again for more; any: anywhere", \
             .member = "ip_allowlist", .none = "any")
#define TAG                                                                                       \
    CLI_LIST(struct main_given, tag, "tag", "K=V",                                                \
             "What you say of it: env=prod, and again for more; none: no tags", .member = "tags", \
             .none = "none")
/* What a key may, as it is made and later. */
#define WHAT_IT_MAY \
    SCOPES, MAIN_MODELS, ALLOW_IP, MAIN_LOCAL_ONLY, MAIN_EXPIRES, MAIN_ROTATE_EVERY, MAIN_PLAN, TAG
#define ROLE(what) \
    CLI_TEXT(struct main_given, role, "role", "ROLE", what, .member = "role", .words = ADMIN_ROLES)

const struct cli_option main_key_create_options[] = {
    MAIN_NAME("What the key is for", .is_needed = true),
    CLI_TEXT(struct main_given, team, "team", "TEAM", "The team that it belongs to",
             .member = "team"),
    CLI_TEXT(struct main_given, user, "user", "USER", "Its user, one of that team",
             .member = "user"),
    WHAT_IT_MAY,
    MAIN_LIMITS("limits."),
    CLI_FLAG(struct main_given, test, "test", "A key for evaluation", .member = "kind",
             .says = "test"),
    CLI_FLAG(struct main_given, admin, "admin", "A key for the admin API", .member = "kind",
             .says = "admin"),
    ROLE("Of an admin key; owner if not given"),
    CLI_FLAG(struct main_given, json, "json", "Print an object with id and key"),
    MAIN_CONFIG,
    MAIN_END,
};
const struct cli_option main_key_list_options[] = {MAIN_JSON, MAIN_CONFIG, MAIN_END};

#define A_KEY MAIN_ID("The key, by its id or name, as `atlas key list` shows them")

const struct cli_option main_key_show_options[] = {A_KEY, MAIN_JSON, MAIN_CONFIG, MAIN_END};

static void teach_edit(FILE *out)
{
    fprintf(out, "What is given is the whole of what shall be: --scopes, --models and --allow-ip\n"
                 "name all that there are from then on. --tag sets that tag and leaves the\n"
                 "others; none takes all away. What is not given stays.\n");
}

const struct cli_option main_key_edit_options[] = {
    A_KEY,
    MAIN_NAME("What the key is for"),
    WHAT_IT_MAY,
    MAIN_NO_LOCAL_ONLY,
    MAIN_LIMITS("limits."),
    ROLE("Of an admin key"),
    MAIN_JSON,
    MAIN_CONFIG,
    CLI_END(teach_edit),
};

MAIN_ACT(main_key_list, "key list", keys, list)

/* ---- create ---- */

/* A key that was made and is not shown is of no use. */
#define KEY_IS_LOST "; it was made: find it with `atlas key list`, revoke it, and make another"

/* Makes it and prints it; what held it is wiped. */
static int make(const struct main_act *act, struct span body)
{
    struct buf answer;
    const struct admin_request request = {
        .method = HTTP_POST, .path = SPAN(ADMIN_KEYS_PATH), .body = body};
    buf_init(&answer, CLI_ANSWER_MAX);
    int status = cli_ask(act->command, act->given->config, &request, &answer);
    if (status == CLI_GO_ON) {
        status = act->given->json
                     ? main_key_print(act->command, buf_span(&answer), KEY_IS_LOST)
                     : main_key_print_text(act->command, buf_span(&answer), KEY_IS_LOST);
    }
    if (answer.at != NULL) {
        crypto_wipe(answer.at, answer.cap);
    }
    buf_fini(&answer);
    return status;
}

int main_key_create(const void *given)
{
    const struct main_act act = {"key create", &keys, main_key_create_options, given};
    struct buf body;
    if (act.given->role != NULL && !act.given->admin) {
        fprintf(stderr, "atlas key create: --role goes with --admin\n");
        return CLI_MISUSED;
    }
    int status = main_noun_body(&act, NULL, &body);
    if (status == CLI_GO_ON) {
        status = make(&act, buf_span(&body));
    }
    buf_fini(&body);
    return status;
}

/* ---- show and edit ---- */

/* The same, of the id that the word is or holds. */
static int act_on_id(const struct main_act *act, int (*run)(const struct main_act *act))
{
    char id[KEY_ID_CHARS + 1];
    struct main_given given = *act->given;
    struct main_act on_id = *act;
    int status = main_key_find(act->command, given.config, given.id, MAIN_KEY_WORKS, id);
    if (status != CLI_GO_ON) {
        return status;
    }
    given.id = id;
    on_id.given = &given;
    return run(&on_id);
}

int main_key_show(const void *given)
{
    const struct main_act act = {"key show", &keys, main_key_show_options, given};
    return act_on_id(&act, main_noun_show);
}

int main_key_edit(const void *given)
{
    const struct main_act act = {"key edit", &keys, main_key_edit_options, given};
    return act_on_id(&act, main_noun_edit);
}
