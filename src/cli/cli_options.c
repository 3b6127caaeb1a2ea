/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_options.h"

#include <stdio.h>
#include <string.h>

#include "base/span.h"
#include "text/text_near.h"

#define NAMES_MAX 16 /* options of one subcommand */

int cli_unknown(const char *what, const char *word, const char *const *names, size_t count)
{
    const char *meant = text_nearest(span_of(word), names, count);
    if (meant != NULL) {
        fprintf(stderr, "atlas: unknown %s '%s' — did you mean '%s'?\n", what, word, meant);
    } else {
        fprintf(stderr, "atlas: unknown %s '%s'; --help lists what there is\n", what, word);
    }
    return CLI_MISUSED;
}

static void help(const char *usage, const struct cli_option *options, size_t count)
{
    printf("usage: %s\n\n", usage);
    for (size_t i = 0; i < count; i++) {
        char shown[64];
        const char *value = options[i].value == NULL ? "" : options[i].value;
        if (options[i].name == NULL) {
            snprintf(shown, sizeof(shown), "%s", value);
        } else {
            snprintf(shown, sizeof(shown), "--%s %s", options[i].name, value);
        }
        printf("  %-22s %s\n", shown, options[i].help);
    }
    printf("  %-22s %s\n", "--help", "Print this");
}

static int unknown_option(const char *name, const struct cli_option *options, size_t count)
{
    const char *names[NAMES_MAX];
    size_t named = 0;
    for (size_t i = 0; i < count && named < NAMES_MAX; i++) {
        if (options[i].name != NULL) {
            names[named++] = options[i].name;
        }
    }
    return cli_unknown("option", name, names, named);
}

/* Reads the option at argv[*at], whose name follows the two dashes; moves *at past its value. */
static int read_option(int argc, char **argv, int *at, const struct cli_option *options,
                       size_t count)
{
    struct span given = span_of(argv[*at] + 2);
    size_t equals = span_find(given, '=', 0);
    struct span name = span_cut(given, 0, equals);
    for (size_t i = 0; i < count; i++) {
        const struct cli_option *o = &options[i];
        if (o->name == NULL || !span_is(name, o->name)) {
            continue;
        }
        if (o->flag != NULL && equals < given.len) {
            fprintf(stderr, "atlas: --%s takes no value\n", o->name);
            return CLI_MISUSED;
        }
        if (o->flag != NULL) {
            *o->flag = true;
            return CLI_GO_ON;
        }
        if (equals < given.len) {
            *o->text = argv[*at] + 2 + equals + 1;
            return CLI_GO_ON;
        }
        if (*at + 1 >= argc) {
            fprintf(stderr, "atlas: --%s needs a value\n", o->name);
            return CLI_MISUSED;
        }
        *o->text = argv[++*at];
        return CLI_GO_ON;
    }
    return unknown_option(argv[*at] + 2, options, count);
}

/* Gives `word` to the first plain word's row that is still without one. */
static int read_word(const char *word, const struct cli_option *options, size_t count, size_t *row)
{
    while (*row < count && options[*row].name != NULL) {
        ++*row;
    }
    if (*row == count) {
        fprintf(stderr, "atlas: '%s' is one word too many; --help shows the usage\n", word);
        return CLI_MISUSED;
    }
    *options[(*row)++].text = word;
    return CLI_GO_ON;
}

int cli_options(int argc, char **argv, const char *usage, const struct cli_option *options,
                size_t count)
{
    size_t row = 0; /* the next plain word's row is at or after it */
    for (int at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            help(usage, options, count);
            return CLI_DONE;
        }
        int status = strncmp(argv[at], "--", 2) == 0 ? read_option(argc, argv, &at, options, count)
                                                     : read_word(argv[at], options, count, &row);
        if (status != CLI_GO_ON) {
            return status;
        }
    }
    for (; row < count; row++) {
        if (options[row].name == NULL) {
            fprintf(stderr, "atlas: %s is missing\nusage: %s\n", options[row].value, usage);
            return CLI_MISUSED;
        }
    }
    return CLI_GO_ON;
}
