/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.h — the subcommands of `atlas`, declared from commands.def.
 *
 * Threads  the main thread.
 */
#ifndef MAIN_COMMANDS_H
#define MAIN_COMMANDS_H

#include "cli/cli_options.h"
#include "cli/cli_pages.h"

#define GROUP(name, help)
#define COMMAND(name, function, help) \
    int function(const void *given);  \
    extern const struct cli_option function##_options[];
#include "main/commands.def"
#undef COMMAND
#undef GROUP

/* Runs the subcommand that argv[1] names; what it returns is the program's exit status. */
int main_run(int argc, char **argv);

/* All of them. */
struct cli_commands main_commands(void);

/* Prints what the command `name`, and its action for a group, does; all commands for "". The exit
 * status. */
int main_explain(const char *name, const char *action);

#endif
