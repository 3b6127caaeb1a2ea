/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas plan`. */
#include <stdio.h>

#include "cli/cli_ask.h"
#include "cli/cli_body.h"
#include "main/commands.h"
#include "main/main_noun.h"

static const struct main_noun plans = {
    ADMIN_PLANS_PATH, ADMIN_OBJECT_plan,
    "there are no plans; make one with: atlas plan set NAME --requests-per-minute N"};

#define A_PLAN(what, ...) CLI_WORD(struct main_given, id, "PLAN", what, __VA_ARGS__)

const struct cli_option main_plan_list_options[] = {MAIN_ENDED, MAIN_JSON, MAIN_CONFIG, MAIN_END};
const struct cli_option main_plan_set_options[] = {
    A_PLAN("Its name, or its id; of one that is not there yet the name", .member = "name"),
    MAIN_LIMITS("limits."),
    MAIN_JSON,
    MAIN_CONFIG,
    MAIN_END,
};
const struct cli_option main_plan_show_options[] = {A_PLAN("The plan's id or name"), MAIN_JSON,
                                                    MAIN_CONFIG, MAIN_END};
const struct cli_option main_plan_end_options[] = {A_PLAN("The plan's id or name"), MAIN_JSON,
                                                   MAIN_CONFIG, MAIN_END};

MAIN_ACT(main_plan_list, "plan list", plans, list)
MAIN_ACT(main_plan_show, "plan show", plans, show)
MAIN_ACT(main_plan_end, "plan end", plans, end)

/* Changes the plan, if there is one. */
static int change(const struct main_act *act, bool *is_none)
{
    char path[MAIN_NOUN_PATH_BYTES];
    struct buf body, answer;
    buf_init(&answer, CLI_ANSWER_MAX);
    int status = main_noun_body(act, "name", &body);
    if (status == CLI_GO_ON) {
        status = main_noun_path(act, act->given->id, path);
    }
    if (status == CLI_GO_ON) {
        const struct admin_request request = {.method = HTTP_PATCH,
                                              .path = span_of(path),
                                              .body = buf_span(&body),
                                              .if_match = SPAN("*")};
        status = cli_ask_or_none(act->command, act->given->config, &request, &answer, is_none);
    }
    if (status == CLI_GO_ON && !*is_none) {
        status = main_noun_print(act, buf_span(&answer));
    }
    buf_fini(&answer);
    buf_fini(&body);
    return status;
}

int main_plan_set(const void *given)
{
    const struct main_act act = {"plan set", &plans, main_plan_set_options, given};
    bool is_none = false;
    int status = change(&act, &is_none);
    if (status != CLI_GO_ON) {
        return status;
    }
    if (span_starts(span_of(act.given->id), SPAN("plan_"))) {
        fprintf(stderr, "atlas plan set: there is no plan %s; `atlas plan list` shows them\n",
                act.given->id);
        return CLI_FAILED;
    }
    return main_noun_create(&act);
}
