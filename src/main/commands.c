/* SPDX-License-Identifier: Apache-2.0 */
#include "main/commands.h"

#include <string.h>

#include "base/memory.h"

static const struct cli_command commands[] = {
#define GROUP(name, help)             {name, help, NULL, NULL},
#define COMMAND(name, function, help) {name, help, function, function##_options},
#include "main/commands.def"
#undef COMMAND
#undef GROUP
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

struct cli_commands main_commands(void)
{
    return (struct cli_commands){commands, COMMANDS};
}

/* The command, group or (`group` not NULL) action that is named `word`. NULL after it has said that
 * there is none. */
static const struct cli_command *find(const char *group, const char *word)
{
    const char *names[COMMANDS], *name;
    size_t count = 0;
    for (size_t i = 0; i < COMMANDS; i++) {
        if ((name = cli_name_in(&commands[i], group)) == NULL) {
            continue;
        }
        if (strcmp(name, word) == 0) {
            return &commands[i];
        }
        names[count++] = name;
    }
    char what[64];
    snprintf(what, sizeof(what), "%s%s%s", group == NULL ? "" : "action of `atlas ",
             group == NULL ? "command" : group, group == NULL ? "" : "`:");
    (void)cli_unknown(what, word, names, count);
    return NULL;
}

static void print_rows(FILE *out, const char *group)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        const char *name = cli_name_in(&commands[i], group);
        if (name != NULL) {
            fprintf(out, "  %-12s %s\n", name, commands[i].help);
        }
    }
}

static int print_help(void)
{
    puts("Atlas: an OpenAI-compatible gateway in front of your own model servers.\n\n"
         "usage: atlas COMMAND [--help] [options]\n");
    print_rows(stdout, NULL);
    puts("\nExit status: 0 done; 1 failed, standard error says why; 2 wrong command line.\n"
         "ATLAS_CONFIG names the configuration where --config does not.\n\n"
         "Start with `atlas init --config atlas.yaml`.");
    return CLI_DONE;
}

static void print_group(FILE *out, const struct cli_command *group)
{
    fprintf(out, "usage: atlas %s ACTION [--help] [options]\n\n", group->name);
    print_rows(out, group->name);
}

static bool asks_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* Finds the command that words[0], and words[1] for a group, name; `*used` counts them. NULL when
 * all is said; then `*status` is the exit status. */
static const struct cli_command *choose(int count, char *const *words, int *used, int *status)
{
    const struct cli_command *command = find(NULL, words[0]);
    *status = CLI_MISUSED;
    *used = 1;
    if (command == NULL || command->run != NULL) {
        return command;
    }
    if (count == 1 || asks_help(words[1])) {
        *status = count == 1 ? CLI_MISUSED : CLI_DONE;
        print_group(count == 1 ? stderr : stdout, command);
        return NULL;
    }
    *used = 2;
    return find(command->name, words[1]);
}

int main_explain(const char *name, const char *action)
{
    if (name[0] == '\0') {
        return print_help();
    }
    const struct cli_command *command = find(NULL, name);
    if (command != NULL && command->run == NULL) {
        if (action[0] == '\0') {
            print_group(stdout, command);
            return CLI_DONE;
        }
        command = find(command->name, action);
    }
    if (command == NULL) {
        return CLI_MISUSED;
    }
    cli_help(stdout, command);
    return CLI_DONE;
}

int main_run(int argc, char **argv)
{
    union {
        char bytes[CLI_GIVEN_BYTES];
        max_align_t aligned;
    } given = {{0}};
    int used, status;
    if (argc < 2) {
        fputs("atlas: no command was given; `atlas --help` lists them\n", stderr);
        return CLI_MISUSED;
    }
    if (asks_help(argv[1])) {
        return print_help();
    }
    if (strcmp(argv[1], "--version") == 0) {
        return main_version(&given);
    }
    if (argv[1][0] == '-') {
        fprintf(stderr,
                "atlas: %s stands before a command; options come behind it, as in "
                "`atlas serve --config FILE`; `atlas --help` lists the commands\n",
                argv[1]);
        return CLI_MISUSED;
    }
    const struct cli_command *command = choose(argc - 1, argv + 1, &used, &status);
    if (command == NULL) {
        return status;
    }
    status = cli_read(command, argc - 1 - used, argv + 1 + used, &given);
    if (status != CLI_GO_ON) {
        return status;
    }
    memory_forbid_core(false);
    return command->run(&given);
}
