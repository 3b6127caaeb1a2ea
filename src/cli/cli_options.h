/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_options.h — reading a subcommand's command line, and the exit statuses of `atlas`.
 *
 *     const char *config = CLI_CONFIG_DEFAULT;
 *     bool json = false;
 *     const struct cli_option options[] = {
 *         {"config", "F", "The configuration", .text = &config},
 *         {"json", NULL, "Print JSON", .flag = &json},
 *     };
 *     int status = cli_options(argc, argv, "atlas usage [--config F] [--json]", options, 2);
 *     if (status != CLI_GO_ON) {
 *         return status;
 *     }
 *
 * Ownership  option texts point into argv.
 * Threads    the main thread.
 */
#ifndef CLI_CLI_OPTIONS_H
#define CLI_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#define CLI_CONFIG_DEFAULT "/etc/atlas/atlas.yaml"

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,  /* the reason is on standard error */
    CLI_MISUSED = 2, /* the command line is not valid; so is how to mend it */
    CLI_GO_ON = -1   /* not an exit status: nothing stands in the way */
};

/* One option. Exactly one of `text` and `flag` is set. */
struct cli_option {
    const char *name;  /* "config" for --config; NULL: a plain word that must be given */
    const char *value; /* what stands for its value in the help; NULL for a flag */
    const char *help;
    const char **text; /* set to the value of --name VALUE or --name=VALUE, or to the plain word */
    bool *flag;        /* set to true by --name */
};

/*
 * Reads argv[1] onward. `usage` is the line that --help shows above the options. Returns
 * CLI_GO_ON, CLI_DONE after --help, or CLI_MISUSED when it has said what is wrong.
 */
int cli_options(int argc, char **argv, const char *usage, const struct cli_option *options,
                size_t count);

/* Says that `word` is none of the `count` names, and which was probably meant. CLI_MISUSED. */
int cli_unknown(const char *what, const char *word, const char *const *names, size_t count);

#endif
