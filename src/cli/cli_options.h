/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_options.h — the subcommands of `atlas` as tables, reading a command line by them, and the
 * exit statuses.
 *
 * A command's options are one table, from which its reading, its --help, its man page and the
 * shells' completion come:
 *
 *     struct usage_given {
 *         const char *config, *from;
 *         bool json;
 *     };
 *     const struct cli_option main_usage_options[] = {
 *         CLI_TEXT(struct usage_given, from, "from", "DAY", "The first day"),
 *         CLI_FLAG(struct usage_given, json, "json", "Print JSON"),
 *         CLI_CONFIG(struct usage_given, config),
 *         CLI_END(NULL),
 *     };
 *     int main_usage(const void *given);
 *
 * An option that makes a member of a request's body says so in its row, and needs no code.
 *
 * Ownership  tables are constant; what was given points into argv, the environment or a table.
 * Limits     CLI_GIVEN_BYTES for the struct of what was given; CLI_OPTIONS_MAX options.
 * Threads    the main thread.
 */
#ifndef CLI_CLI_OPTIONS_H
#define CLI_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CLI_CONFIG_DEFAULT "/etc/atlas/atlas.yaml"
#define CLI_CONFIG_ENV     "ATLAS_CONFIG"
#define CLI_GIVEN_BYTES    4096
#define CLI_OPTIONS_MAX    32
#define CLI_NAME_BYTES     48
#define CLI_REST_BYTES     256
#define CLI_TEXTS_MAX      64 /* times that a list's option may be given */

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,  /* the reason is on standard error */
    CLI_MISUSED = 2, /* the command line is not valid; so is how to mend it */
    CLI_GO_ON = -1   /* not an exit status: nothing stands in the way */
};

/* One option. A row whose `help` is NULL ends a table (CLI_END). */
struct cli_option {
    const char *name;     /* "config" for --config, '_' stands for '-'; NULL: a plain word */
    const char *value;    /* what stands for its value in the help; NULL: a flag */
    const char *help;     /* a phrase without a full stop */
    const char *fallback; /* its text when it is not given; NULL: none */
    const char *env;      /* variables, "ONE TWO", asked before the fallback; NULL: none */
    const char *words; /* what its value may be, "one two …" or "one|two|…", or CLI_FILES … below;
                          NULL: any */
    const char *member; /* where it goes in a request's body (cli/cli_body.h); NULL: nowhere */
    const char *says;   /* of a flag that goes there: as what */
    const char *none; /* the word that stands for nothing there: null, [] or {}; NULL: none does */
    size_t field;     /* where in the struct it goes: const char *, bool for a flag, struct
                         cli_texts for a list */
    bool is_list;     /* it may be given again and again */
    bool is_needed;   /* a plain word always is, unless it has a fallback */
    void (*teach)(
        FILE *out); /* of the row that ends the table: what is told below; NULL: nothing */
};

/* The values of a list's option, in the order they were given. */
struct cli_texts {
    size_t count;
    const char *at[CLI_TEXTS_MAX];
};

/* The value names a file: shells complete it as such. */
#define CLI_FILES "/"

/* The word names a command, or (behind one) an action of it. */
#define CLI_COMMANDS "*"
#define CLI_ACTIONS  "**"

#define CLI_AT(type, member, as) \
    _Generic(((type *)NULL)->member, as : offsetof(type, member)) /* or it does not compile */
/* The help, and behind it what else is to be set: CLI_TEXT(…, "The file", .words = CLI_FILES). */
#define CLI_TEXT(type, member, called, takes, ...)                                       \
    {                                                                                    \
        .name = (called), .value = (takes), .field = CLI_AT(type, member, const char *), \
        .help = __VA_ARGS__                                                              \
    }
#define CLI_FLAG(type, member, called, ...)                                        \
    {                                                                              \
        .name = (called), .field = CLI_AT(type, member, bool), .help = __VA_ARGS__ \
    }
#define CLI_LIST(type, member, called, takes, ...)                                           \
    {                                                                                        \
        .name = (called), .value = (takes), .field = CLI_AT(type, member, struct cli_texts), \
        .is_list = true, .help = __VA_ARGS__                                                 \
    }
#define CLI_WORD(type, member, takes, ...) CLI_TEXT(type, member, NULL, takes, __VA_ARGS__)
#define CLI_CONFIG(type, member)                                                                  \
    CLI_TEXT(type, member, "config", "FILE", "The configuration", .fallback = CLI_CONFIG_DEFAULT, \
             .env = CLI_CONFIG_ENV, .words = CLI_FILES)

#define CLI_END(tells)   \
    {                    \
        .teach = (tells) \
    }

/* Whether the option was given, or something stands for it; and a text's or a list's first value.
 */
bool cli_was_given(const struct cli_option *option, const void *given);
const char *cli_given_text(const struct cli_option *option, const void *given);

/* The values of a list's option. */
const struct cli_texts *cli_given_texts(const struct cli_option *option, const void *given);

/* What a command that takes nothing but --config was given. */
struct cli_given_config {
    const char *config;
};

/* One subcommand. Its rows stand below the one of its group: "key", then "key create". */
struct cli_command {
    const char *name;
    const char *help;                 /* a sentence without its full stop */
    int (*run)(const void *given);    /* NULL: a group, whose actions run */
    const struct cli_option *options; /* NULL for a group */
};

/*
 * Reads the `count` words behind a command's name into `given`, a struct of CLI_GIVEN_BYTES at most
 * that is all zero. CLI_GO_ON, CLI_DONE after --help was answered, or CLI_MISUSED when it has said
 * what is wrong.
 */
int cli_read(const struct cli_command *command, int count, char *const *words, void *given);

/* Prints what --help shows of a command that runs. */
void cli_help(FILE *out, const struct cli_command *command);

/* Writes an option as it is typed, "--first-token-ms MS", to `out`. Returns it. */
const char *cli_option_text(const struct cli_option *option, char out[CLI_NAME_BYTES]);

/* Writes what is behind an option's help, " ($ATLAS_CONFIG, else /etc/…)", to `out`. Returns it. */
const char *cli_option_rest(const struct cli_option *option, char out[CLI_REST_BYTES]);

/* Says that `word` is none of the `count` names, and which was probably meant. CLI_MISUSED. */
int cli_unknown(const char *what, const char *word, const char *const *names, size_t count);

#endif
