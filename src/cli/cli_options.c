/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_options.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/span.h"
#include "text/text_near.h"

#define LINE_COLUMNS 80
#define HELP_BYTES   1024
#define HELP_COLUMN  26 /* where an option's help begins */

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

/* Writes "--first-token-ms" of `first_token_ms`. */
static void write_name(const char *name, char out[CLI_NAME_BYTES])
{
    snprintf(out, CLI_NAME_BYTES, "--%s", name);
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == '_' ? '-' : *c;
    }
}

const char *cli_option_text(const struct cli_option *option, char out[CLI_NAME_BYTES])
{
    if (option->name == NULL) {
        snprintf(out, CLI_NAME_BYTES, "%s", option->value);
        return out;
    }
    write_name(option->name, out);
    if (option->value != NULL) {
        size_t len = strlen(out);
        snprintf(out + len, CLI_NAME_BYTES - len, " %s", option->value);
    }
    return out;
}

const char *cli_option_rest(const struct cli_option *option, char out[CLI_REST_BYTES])
{
    const size_t bytes = CLI_REST_BYTES;
    bool has_fallback = option->fallback != NULL && option->fallback[0] != '\0';
    size_t len = 0;
    out[0] = '\0';
    for (const char *at = option->env; at != NULL && *at != '\0' && len < bytes;) {
        size_t name = strcspn(at, " ");
        len += (size_t)snprintf(out + len, bytes - len, "%s$%.*s", len == 0 ? " (" : ", ",
                                (int)name, at);
        at += name;
        at += strspn(at, " ");
    }
    if (has_fallback && len < bytes) {
        len += (size_t)snprintf(out + len, bytes - len, "%s%s", len == 0 ? " (" : ", else ",
                                option->fallback);
    }
    if (len > 0 && len < bytes) {
        snprintf(out + len, bytes - len, ")");
    }
    return out;
}

/* Prints the words of `text`, the first at column `left`, in lines that begin there. */
static void wrap(FILE *out, const char *text, size_t left)
{
    for (size_t at = left; *text != '\0';) {
        size_t len = strcspn(text, " ");
        if (at + 1 + len > LINE_COLUMNS && at > left) {
            fprintf(out, "\n%*s", (int)left, "");
            at = left;
        }
        fprintf(out, at > left ? " %.*s" : "%.*s", (int)len, text);
        at += len + (at > left);
        text += len;
        text += strspn(text, " ");
    }
}

/* One option in the usage line; it is not broken at its value. */
static void put_usage(FILE *out, const struct cli_option *o, size_t left, size_t *at)
{
    char text[CLI_NAME_BYTES];
    bool is_needed = o->is_needed || (o->name == NULL && o->fallback == NULL);
    size_t len = strlen(cli_option_text(o, text)) + (is_needed ? 0 : 2);
    if (*at + 1 + len > LINE_COLUMNS) {
        fprintf(out, "\n%*s", (int)left, "");
        *at = left;
    }
    fprintf(out, is_needed ? " %s" : " [%s]", text);
    *at += 1 + len;
}

static void put_row(FILE *out, const char *shown, const char *help, const char *rest)
{
    char text[HELP_BYTES];
    snprintf(text, sizeof(text), "%s%s", help, rest);
    bool is_long = strlen(shown) > HELP_COLUMN - 4;
    fprintf(out, is_long ? "  %s\n%*s" : "  %s%*s", shown,
            is_long ? HELP_COLUMN : HELP_COLUMN - 2 - (int)strlen(shown), "");
    wrap(out, text, HELP_COLUMN);
    (void)fputc('\n', out); /* who cannot read it is not helped */
}

static void put_usage_line(FILE *out, const struct cli_command *command)
{
    size_t left = strlen("usage: atlas ") + strlen(command->name), at = left;
    fprintf(out, "usage: atlas %s", command->name);
    for (const struct cli_option *o = command->options; o->help != NULL; o++) {
        put_usage(out, o, left, &at);
    }
    (void)fputc('\n', out); /* as above */
}

static const struct cli_option *end_of(const struct cli_option *options)
{
    while (options->help != NULL) {
        options++;
    }
    return options;
}

void cli_help(FILE *out, const struct cli_command *command)
{
    char shown[CLI_NAME_BYTES], rest[CLI_REST_BYTES];
    put_usage_line(out, command);
    fprintf(out, "\n%s.\n\n", command->help);
    for (const struct cli_option *o = command->options; o->help != NULL; o++) {
        put_row(out, cli_option_text(o, shown), o->help, cli_option_rest(o, rest));
    }
    put_row(out, "--help", "Print this", "");
    void (*teach)(FILE *) = end_of(command->options)->teach;
    if (teach != NULL) {
        (void)fputc('\n', out); /* as above */
        teach(out);
    }
}

static int misused(const struct cli_command *command, const char *word, const char *why)
{
    fprintf(stderr, "atlas %s: '%s' %s\n", command->name, word, why);
    return CLI_MISUSED;
}

static int unknown_option(const struct cli_command *command, const char *given)
{
    static char names[CLI_OPTIONS_MAX][CLI_NAME_BYTES];
    const char *list[CLI_OPTIONS_MAX];
    size_t named = 0;
    for (const struct cli_option *o = command->options; o->help != NULL; o++) {
        CHECK(named < CLI_OPTIONS_MAX);
        if (o->name != NULL) {
            write_name(o->name, names[named]);
            list[named] = names[named];
            named++;
        }
    }
    return cli_unknown("option", given, list, named);
}

static void put_text(void *given, const struct cli_option *o, const char *text)
{
    CHECK(o->field + sizeof(text) <= CLI_GIVEN_BYTES);
    memcpy((char *)given + o->field, &text, sizeof(text));
}

const struct cli_texts *cli_given_texts(const struct cli_option *option, const void *given)
{
    CHECK(option->is_list);
    return (const struct cli_texts *)((const char *)given + option->field);
}

const char *cli_given_text(const struct cli_option *option, const void *given)
{
    const char *text;
    if (option->is_list) {
        return cli_given_texts(option, given)->at[0];
    }
    memcpy(&text, (const char *)given + option->field, sizeof(text));
    return text;
}

bool cli_was_given(const struct cli_option *option, const void *given)
{
    bool is_set;
    if (option->value != NULL) {
        return cli_given_text(option, given) != NULL;
    }
    memcpy(&is_set, (const char *)given + option->field, sizeof(is_set));
    return is_set;
}

/* Puts a value behind those of before. */
static int add_text(const struct cli_command *command, void *given, const struct cli_option *o,
                    const char *text)
{
    char shown[CLI_NAME_BYTES];
    CHECK(o->field + sizeof(struct cli_texts) <= CLI_GIVEN_BYTES);
    struct cli_texts *list = (struct cli_texts *)((char *)given + o->field);
    if (list->count == CLI_TEXTS_MAX) {
        fprintf(stderr, "atlas %s: %s may be given %d times\n", command->name,
                cli_option_text(o, shown), CLI_TEXTS_MAX);
        return CLI_MISUSED;
    }
    list->at[list->count++] = text;
    return CLI_GO_ON;
}

/* Whether `given`, which may end in "=value", is the option's name. */
static bool is_named(const struct cli_option *o, struct span given)
{
    char name[CLI_NAME_BYTES];
    if (o->name == NULL) {
        return false;
    }
    write_name(o->name, name);
    return span_is(span_cut(given, 0, span_find(given, '=', 0)), name);
}

/* Reads the option at words[*at]; moves *at past its value. */
static int read_option(const struct cli_command *command, int count, char *const *words, int *at,
                       void *given)
{
    struct span word = span_of(words[*at]);
    size_t equals = span_find(word, '=', 0);
    bool has_value = equals < word.len;
    for (const struct cli_option *o = command->options; o->help != NULL; o++) {
        if (!is_named(o, word)) {
            continue;
        }
        if (o->value == NULL && has_value) {
            return misused(command, words[*at], "takes no value");
        }
        if (o->value == NULL) {
            CHECK(o->field < CLI_GIVEN_BYTES);
            memcpy((char *)given + o->field, &(bool){true}, sizeof(bool));
            return CLI_GO_ON;
        }
        if (!has_value && *at + 1 >= count) {
            return misused(command, words[*at], "needs a value");
        }
        const char *value = has_value ? words[*at] + equals + 1 : words[++*at];
        if (o->is_list) {
            return add_text(command, given, o, value);
        }
        put_text(given, o, value);
        return CLI_GO_ON;
    }
    return unknown_option(command, words[*at]);
}

/* Gives `word` to the first plain word's row at or after `*row`. */
static int read_word(const struct cli_command *command, const char *word,
                     const struct cli_option **row, void *given)
{
    while ((*row)->help != NULL && (*row)->name != NULL) {
        ++*row;
    }
    if ((*row)->help == NULL) {
        return misused(command, word, "is one word too many; --help shows the usage");
    }
    put_text(given, (*row)++, word);
    return CLI_GO_ON;
}

/* What the first of an option's variables that is set and not empty says, or NULL. */
static const char *text_of_environment(const struct cli_option *o)
{
    char name[CLI_NAME_BYTES];
    for (const char *at = o->env; at != NULL && *at != '\0'; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        span_copy_text(span_make(at, len), name, sizeof(name));
        const char *text = getenv(name); // NOLINT(concurrency-mt-unsafe): no other thread runs yet
        if (text != NULL && text[0] != '\0') {
            return text;
        }
        at += len;
    }
    return NULL;
}

/* Puts in what stands for that which was not given. */
static int complete(const struct cli_command *command, void *given)
{
    char shown[CLI_NAME_BYTES];
    for (const struct cli_option *o = command->options; o->help != NULL; o++) {
        if (o->value == NULL || o->is_list || cli_given_text(o, given) != NULL) {
            continue;
        }
        const char *text = text_of_environment(o);
        put_text(given, o, text != NULL ? text : o->fallback);
        bool is_needed = o->is_needed || o->name == NULL;
        if (is_needed && cli_given_text(o, given) == NULL) {
            fprintf(stderr, "atlas %s: %s is missing: %s\n", command->name,
                    cli_option_text(o, shown), o->help);
            put_usage_line(stderr, command);
            return CLI_MISUSED;
        }
    }
    return CLI_GO_ON;
}

int cli_read(const struct cli_command *command, int count, char *const *words, void *given)
{
    const struct cli_option *row = command->options;
    bool only_words = false; /* behind "--" */
    for (int at = 0; at < count; at++) {
        int status;
        if (!only_words && (strcmp(words[at], "--help") == 0 || strcmp(words[at], "-h") == 0)) {
            cli_help(stdout, command);
            return CLI_DONE;
        }
        if (!only_words && strcmp(words[at], "--") == 0) {
            only_words = true;
            continue;
        }
        if (!only_words && words[at][0] == '-' && words[at][1] != '\0') {
            status = read_option(command, count, words, &at, given);
        } else {
            status = read_word(command, words[at], &row, given);
        }
        if (status != CLI_GO_ON) {
            return status;
        }
    }
    return complete(command, given);
}
