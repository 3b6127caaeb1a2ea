/* SPDX-License-Identifier: Apache-2.0 */
#include "main/commands.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cli_options.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
#define COMMAND(name, function, help) {name, function, help},
#include "main/commands.def"
#undef COMMAND
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int print_help(void)
{
    puts("Atlas: an OpenAI-compatible gateway in front of your own model servers.\n\n"
         "usage: atlas COMMAND [--help] [options]\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        printf("  %-10s %s\n", commands[i].name, commands[i].help);
    }
    puts("\nStart with `atlas init --config atlas.yaml`.");
    return CLI_DONE;
}

int main_run(int argc, char **argv)
{
    if (argc < 2) {
        fputs("atlas: no command was given; `atlas --help` lists them\n", stderr);
        return CLI_MISUSED;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        return print_help();
    }
    if (strcmp(argv[1], "--version") == 0) {
        return main_version(1, argv);
    }
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            memory_forbid_core(false);
            return commands[i].run(argc - 1, argv + 1);
        }
        names[i] = commands[i].name;
    }
    return cli_unknown("command", argv[1], names, COMMANDS);
}
