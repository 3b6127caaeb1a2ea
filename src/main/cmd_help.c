/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas help`. */
#include "main/commands.h"

struct help_given {
    const char *name, *action;
};

const struct cli_option main_help_options[] = {
    CLI_WORD(struct help_given, name, "COMMAND", "Which command; all of them if not given",
             .fallback = "", .words = CLI_COMMANDS),
    CLI_WORD(struct help_given, action, "ACTION", "Which action of a command that has some",
             .fallback = "", .words = CLI_ACTIONS),
    CLI_END(NULL),
};

int main_help(const void *given)
{
    const struct help_given *g = given;
    return main_explain(g->name, g->action);
}
