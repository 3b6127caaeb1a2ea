/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas eval`. */
#include "main/commands.h"
#include "main/main_noun.h"

static const struct main_noun evaluations = {
    ADMIN_EVALUATIONS_PATH, ADMIN_OBJECT_evaluation,
    "there are no evaluations; make one with: atlas eval create --name N --days 7"};

#define DAYS(help) CLI_TEXT(struct main_given, days, "days", "N", help, .member = "days")
#define EXPIRES                                                                                  \
    CLI_TEXT(                                                                                    \
        struct main_given, expires, "expires", "TIME",                                           \
        "When it ends, in place of --days: 12h from now, or as the day 2027-01-31 begins (UTC)", \
        .member = "expires_at")

const struct cli_option main_eval_create_options[] = {
    MAIN_NAME("What people call it", .is_needed = true),
    DAYS("How long it lasts; 7 if nothing is given"),
    EXPIRES,
    MAIN_MODELS,
    CLI_TEXT(struct main_given, plan, "plan", "PLAN",
             "The plan whose limits it has; development if not given", .member = "plan"),
    CLI_TEXT(struct main_given, organisation, "organisation", "ORG",
             "Its organisation, where there are several", .member = "organisation"),
    MAIN_JSON,
    MAIN_CONFIG,
    MAIN_END,
};

#define AN_EVALUATION MAIN_ID("The evaluation's id or name")

const struct cli_option main_eval_list_options[] = {MAIN_ENDED, MAIN_JSON, MAIN_CONFIG, MAIN_END};
const struct cli_option main_eval_show_options[] = {AN_EVALUATION, MAIN_JSON, MAIN_CONFIG,
                                                    MAIN_END};
const struct cli_option main_eval_edit_options[] = {
    AN_EVALUATION, DAYS("How long it lasts from its making on"),
    EXPIRES,       MAIN_MODELS,
    MAIN_JSON,     MAIN_CONFIG,
    MAIN_END,
};
const struct cli_option main_eval_end_options[] = {AN_EVALUATION, MAIN_JSON, MAIN_CONFIG, MAIN_END};

MAIN_ACT(main_eval_create, "eval create", evaluations, create)
MAIN_ACT(main_eval_list, "eval list", evaluations, list)
MAIN_ACT(main_eval_show, "eval show", evaluations, show)
MAIN_ACT(main_eval_edit, "eval edit", evaluations, edit)
MAIN_ACT(main_eval_end, "eval end", evaluations, end)
