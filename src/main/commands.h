/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.h — the subcommands of `atlas`, declared from commands.def.
 *
 * Threads  the main thread.
 */
#ifndef MAIN_COMMANDS_H
#define MAIN_COMMANDS_H

#define COMMAND(name, function, help) int function(int argc, char **argv);
#include "main/commands.def"
#undef COMMAND

/* Runs the subcommand that argv[1] names; what it returns is the program's exit status. */
int main_run(int argc, char **argv);

#endif
