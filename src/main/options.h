/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h — reading a subcommand's command line, and the exit statuses of `atlas`.
 *
 *     const char *config = MAIN_CONFIG_DEFAULT;
 *     bool json = false;
 *     const struct main_option options[] = {
 *         {"config", "F", "The configuration", .text = &config},
 *         {"json", NULL, "Print JSON", .flag = &json},
 *     };
 *     int status = main_options(argc, argv, "atlas usage [--config F] [--json]", options, 2);
 *     if (status != MAIN_GO_ON) {
 *         return status;
 *     }
 *
 * Ownership  option texts point into argv.
 * Threads    the main thread.
 */
#ifndef MAIN_OPTIONS_H
#define MAIN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#define MAIN_CONFIG_DEFAULT "/etc/atlas/atlas.yaml"

enum main_exit {
    MAIN_DONE = 0,
    MAIN_FAILED = 1,  /* the reason is on standard error */
    MAIN_MISUSED = 2, /* the command line is not valid; so is how to mend it */
    MAIN_GO_ON = -1   /* not an exit status: nothing stands in the way */
};

/* One option. Exactly one of `text` and `flag` is set. */
struct main_option {
    const char *name;  /* "config" for --config; NULL: a plain word that must be given */
    const char *value; /* what stands for its value in the help; NULL for a flag */
    const char *help;
    const char **text; /* set to the value of --name VALUE or --name=VALUE, or to the plain word */
    bool *flag;        /* set to true by --name */
};

/*
 * Reads argv[1] onward. `usage` is the line that --help shows above the options. Returns
 * MAIN_GO_ON, MAIN_DONE after --help, or MAIN_MISUSED when it has said what is wrong.
 */
int main_options(int argc, char **argv, const char *usage, const struct main_option *options,
                 size_t count);

/* Says that `word` is none of the `count` names, and which was probably meant. MAIN_MISUSED. */
int main_unknown(const char *what, const char *word, const char *const *names, size_t count);

#endif
