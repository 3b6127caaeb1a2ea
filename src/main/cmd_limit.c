/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas limit`: a limit is named by whose it is. What is not said stays as it was set before. */
#include <stdio.h>

#include "main/commands.h"
#include "main/main_subject.h"

static const struct main_noun limits = {
    ADMIN_LIMITS_PATH, ADMIN_OBJECT_limit,
    "no limits are set; set some with: atlas limit set --team T --requests-per-minute N"};

#define OF_PLAN CLI_TEXT(struct main_given, plan, "plan", "PLAN", "Of this plan", .member = "plan")

const struct cli_option main_limit_set_options[] = {
    MAIN_WHOSE, OF_PLAN, MAIN_EACH, MAIN_LIMITS(""), MAIN_JSON, MAIN_CONFIG, MAIN_END,
};
const struct cli_option main_limit_list_options[] = {MAIN_JSON, MAIN_CONFIG, MAIN_END};

#define A_LIMIT                                                                       \
    CLI_WORD(struct main_given, id, "ID",                                             \
             "Whose, as `atlas limit list` shows it; or say it by the options below", \
             .fallback = "")

const struct cli_option main_limit_show_options[] = {
    A_LIMIT, MAIN_WHOSE, OF_PLAN, MAIN_EACH, MAIN_JSON, MAIN_CONFIG, MAIN_END,
};
const struct cli_option main_limit_end_options[] = {
    A_LIMIT, MAIN_WHOSE, OF_PLAN, MAIN_EACH, MAIN_JSON, MAIN_CONFIG, MAIN_END,
};

MAIN_ACT(main_limit_list, "limit list", limits, list)

/* Finds whose it is, and with that the path. */
static int find_path(const struct main_act *act, char out[MAIN_NOUN_PATH_BYTES])
{
    struct main_subject subject;
    char id[MAIN_SUBJECT_BYTES + 8];
    int status = main_subject_find(act, true, &subject);
    if (status != CLI_GO_ON) {
        return status;
    }
    snprintf(id, sizeof(id), "%s%s%s", subject.id, subject.each == NULL ? "" : "/",
             subject.each == NULL ? "" : subject.each);
    return main_noun_path(act, id, out);
}

/* The limits alone: whose they are is in the path. */
static const struct cli_option numbers[] = {MAIN_LIMITS(""), MAIN_END};

int main_limit_set(const void *given)
{
    const struct main_act act = {"limit set", &limits, numbers, given};
    char path[MAIN_NOUN_PATH_BYTES];
    struct buf body;
    int status = main_noun_body(&act, NULL, &body);
    if (status == CLI_GO_ON) {
        status = find_path(&act, path);
    }
    if (status == CLI_GO_ON) {
        status = main_noun_ask(&act, HTTP_PATCH, span_of(path), buf_span(&body));
    }
    buf_fini(&body);
    return status;
}

static int ask_of_one(const struct main_act *act, enum http_method method)
{
    char path[MAIN_NOUN_PATH_BYTES];
    bool has_id = act->given->id[0] != '\0';
    if (has_id && main_subject_is_given(act->given)) {
        fprintf(stderr, "atlas %s: an id says whose it is: leave the options out\n", act->command);
        return CLI_MISUSED;
    }
    int status = has_id ? main_noun_path(act, act->given->id, path) : find_path(act, path);
    return status == CLI_GO_ON ? main_noun_ask(act, method, span_of(path), SPAN("")) : status;
}

int main_limit_show(const void *given)
{
    const struct main_act act = {"limit show", &limits, main_limit_show_options, given};
    return ask_of_one(&act, HTTP_GET);
}

int main_limit_end(const void *given)
{
    const struct main_act act = {"limit end", &limits, main_limit_end_options, given};
    return ask_of_one(&act, HTTP_DELETE);
}
