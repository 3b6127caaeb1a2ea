/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_pages.h — the tables of all subcommands as man pages and as completions for shells.
 *
 * Ownership  nothing is kept.
 * Threads    the main thread.
 * Sources    man(7), man-pages(7); bash(1), Programmable Completion; zshcompsys(1).
 */
#ifndef CLI_CLI_PAGES_H
#define CLI_CLI_PAGES_H

#include "cli/cli_options.h"

#define CLI_PAGE_NAME_BYTES 64

/* All subcommands, in the order of commands.def. */
struct cli_commands {
    const struct cli_command *at;
    size_t count;
};

/* The part of a command's name behind its group, or NULL if it is not of `group`; for a `group` of
 * NULL the name of a command or group itself. */
const char *cli_name_in(const struct cli_command *command, const char *group);

/* "atlas-key-create" of "key create"; "atlas" of NULL. */
void cli_page_name(const struct cli_command *command, char out[CLI_PAGE_NAME_BYTES]);

/* Writes the page of one command or group, or of the program for NULL, in man's macros. */
void cli_page(FILE *out, const struct cli_commands *all, const struct cli_command *command);

/* Writes what bash, and what zsh, is to load. */
void cli_complete_bash(FILE *out, const struct cli_commands *all);
void cli_complete_zsh(FILE *out, const struct cli_commands *all);

#endif
