/* SPDX-License-Identifier: Apache-2.0 */
#include "main/main_noun.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli_ask.h"
#include "cli/cli_body.h"
#include "cli/cli_list.h"
#include "cli/cli_show.h"
#include "crypto/random.h"

int main_noun_print(const struct main_act *act, struct span answer)
{
    return act->given->json ? cli_show_json(act->command, answer)
                            : cli_show_object(act->command, act->noun->object, answer);
}

int main_noun_path(const struct main_act *act, const char *id, char out[MAIN_NOUN_PATH_BYTES])
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t len = (size_t)snprintf(out, MAIN_NOUN_PATH_BYTES, "%s/", act->noun->path);
    if (id[0] == '\0') {
        fprintf(stderr, "atlas %s: an id or a name is wanted, and this is an empty text\n",
                act->command);
        return CLI_MISUSED;
    }
    for (const char *c = id; *c != '\0'; c++) {
        if (len + 4 > MAIN_NOUN_PATH_BYTES) {
            fprintf(stderr, "atlas %s: '%.32s…' is longer than an id or a name can be\n",
                    act->command, id);
            return CLI_MISUSED;
        }
        len += (size_t)snprintf(out + len, MAIN_NOUN_PATH_BYTES - len,
                                strchr(plain, *c) != NULL ? "%c" : "%%%02X", (uint8_t)*c);
    }
    return CLI_GO_ON;
}

int main_noun_ask(const struct main_act *act, enum http_method method, struct span path,
                  struct span body)
{
    struct buf answer;
    struct admin_request request = {.method = method, .path = path, .body = body};
    request.if_match = method == HTTP_PATCH ? SPAN("*") : request.if_match;
    buf_init(&answer, CLI_ANSWER_MAX);
    int status = cli_ask(act->command, act->given->config, &request, &answer);
    if (status == CLI_GO_ON) {
        status = main_noun_print(act, buf_span(&answer));
    }
    if (answer.at != NULL) {
        crypto_wipe(answer.at, answer.cap); /* an evaluation's holds a key */
    }
    buf_fini(&answer);
    return status;
}

int main_noun_body(const struct main_act *act, const char *leave_out, struct buf *out)
{
    struct cli_body body = {.command = act->command,
                            .options = act->options,
                            .object = act->noun->object,
                            .leave_out = leave_out,
                            .given = act->given};
    int status = cli_body_write(&body, out);
    if (status == CLI_GO_ON && body.members == 0) {
        fprintf(stderr, "atlas %s: nothing is to change; --help lists what can be\n", act->command);
        status = CLI_MISUSED;
    }
    return status;
}

int main_noun_create(const struct main_act *act)
{
    struct buf body;
    int status = main_noun_body(act, NULL, &body);
    if (status == CLI_GO_ON) {
        status = main_noun_ask(act, HTTP_POST, span_of(act->noun->path), buf_span(&body));
    }
    buf_fini(&body);
    return status;
}

int main_noun_list(const struct main_act *act)
{
    struct buf all;
    struct span query = act->given->ended ? SPAN("include=ended") : SPAN("");
    buf_init(&all, CLI_ANSWER_MAX);
    int status =
        cli_list_all(act->command, act->given->config, span_of(act->noun->path), query, &all);
    if (status == CLI_GO_ON) {
        status = act->given->json ? cli_show_json(act->command, buf_span(&all))
                                  : cli_show_list(act->command, act->noun->object, buf_span(&all),
                                                  act->noun->none);
    }
    buf_fini(&all);
    return status;
}

/* Asks of what the plain word names. */
static int ask_of_word(const struct main_act *act, enum http_method method, struct span body)
{
    char path[MAIN_NOUN_PATH_BYTES];
    int status = main_noun_path(act, act->given->id, path);
    return status == CLI_GO_ON ? main_noun_ask(act, method, span_of(path), body) : status;
}

int main_noun_show(const struct main_act *act)
{
    return ask_of_word(act, HTTP_GET, SPAN(""));
}

int main_noun_edit(const struct main_act *act)
{
    struct buf body;
    int status = main_noun_body(act, NULL, &body);
    if (status == CLI_GO_ON) {
        status = ask_of_word(act, HTTP_PATCH, buf_span(&body));
    }
    buf_fini(&body);
    return status;
}

int main_noun_end(const struct main_act *act)
{
    return ask_of_word(act, HTTP_DELETE, SPAN(""));
}
