/* SPDX-License-Identifier: Apache-2.0 */
/* Man pages. Sections stand in the order that man-pages(7) wants. */
#include <string.h>

#include "base/span.h"
#include "cli/cli_pages.h"

#define CLI_LINE_BYTES 1024

const char *cli_name_in(const struct cli_command *command, const char *group)
{
    if (group == NULL) {
        return strchr(command->name, ' ') == NULL ? command->name : NULL;
    }
    size_t len = strlen(group);
    bool is_in = strncmp(command->name, group, len) == 0 && command->name[len] == ' ';
    return is_in ? command->name + len + 1 : NULL;
}

void cli_page_name(const struct cli_command *command, char out[CLI_PAGE_NAME_BYTES])
{
    snprintf(out, CLI_PAGE_NAME_BYTES, "atlas%s%s", command == NULL ? "" : "-",
             command == NULL ? "" : command->name);
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == ' ' ? '-' : *c;
    }
}

/* Writes text so that troff takes it for text; lines stay lines. */
static void put_span(FILE *out, struct span text)
{
    bool begins = true; /* a line: a point or an apostrophe here would be a request */
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (begins && (c == '.' || c == '\'')) {
            fputs("\\&", out);
        }
        if (c == '\\') {
            fputs("\\e", out);
        } else if (c == '-') {
            fputs("\\-", out);
        } else if (c == '`') {
            fputs("\\(ga", out);
        } else {
            (void)fputc(c, out); /* the caller looks at the stream's state */
        }
        begins = c == '\n';
    }
}

static void put(FILE *out, const char *text)
{
    put_span(out, span_of(text));
}

static void put_head(FILE *out, const char *name, const char *help)
{
    fprintf(out,
            ".\\\" Written by atlas from its own tables.\n.TH %s 1 \"\" \"Atlas %s\" \"Atlas\"\n",
            name, ATLAS_VERSION);
    fputs(".SH NAME\n", out);
    put(out, name);
    fputs(" \\- ", out);
    put(out, help);
    fputs("\n.SH SYNOPSIS\n", out);
}

/* "\fBatlas key create\fR": a command as it is typed. */
static void put_command(FILE *out, const char *name)
{
    fputs(".B atlas", out);
    fputs(name == NULL ? "" : " ", out);
    put(out, name == NULL ? "" : name);
    fputs("\n", out);
}

/* An option as it is typed, its value in italics. */
static void put_option(FILE *out, const struct cli_option *o)
{
    char shown[CLI_NAME_BYTES];
    struct span text = span_of(cli_option_text(o, shown));
    size_t space = o->name == NULL ? 0 : span_find(text, ' ', 0);
    fputs("\\fB", out);
    put_span(out, span_cut(text, 0, space));
    fputs("\\fR\\fI", out);
    put_span(out, span_cut(text, space, text.len));
    fputs("\\fR", out);
}

static void put_synopsis(FILE *out, const struct cli_command *command)
{
    put_command(out, command->name);
    for (const struct cli_option *o = command->options; o->help != NULL; o++) {
        bool is_needed = o->is_needed || (o->name == NULL && o->fallback == NULL);
        fputs(is_needed ? "" : "[", out);
        put_option(out, o);
        fputs(is_needed ? "\n" : "]\n", out);
    }
}

/* What is told below a command's options, in its own lines. */
static void put_notes(FILE *out, void (*teach)(FILE *out))
{
    char line[CLI_LINE_BYTES];
    FILE *told = tmpfile();
    if (told == NULL) {
        return; /* the rest of the page is of use without it */
    }
    teach(told);
    rewind(told);
    fputs(".SH NOTES\n.nf\n", out);
    while (fgets(line, sizeof(line), told) != NULL) {
        put(out, line);
    }
    fputs(".fi\n", out);
    (void)fclose(told); /* it is read already */
}

static void put_options(FILE *out, const struct cli_command *command)
{
    const struct cli_option *o = command->options;
    for (; o->help != NULL; o++) {
        char rest[CLI_REST_BYTES];
        fputs(".TP\n", out);
        put_option(out, o);
        fputs("\n", out);
        put(out, o->help);
        put(out, cli_option_rest(o, rest));
        fputs(".\n", out);
    }
    fputs(".TP\n\\fB\\-\\-help\\fR\nPrint this in short.\n", out);
    if (o->teach != NULL) {
        put_notes(out, o->teach);
    }
}

/* The commands of a group, or all there are. */
static void put_list(FILE *out, const struct cli_commands *all, const char *group)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct cli_command *c = &all->at[i];
        char page[CLI_PAGE_NAME_BYTES];
        if (cli_name_in(c, group) == NULL) {
            continue;
        }
        cli_page_name(c, page);
        fputs(".TP\n\\fB", out);
        put(out, page);
        fputs("\\fR(1)\n", out);
        put(out, c->help);
        fputs(".\n", out);
    }
}

/* `command` NULL: the program's page. */
static void put_end(FILE *out, const struct cli_command *command)
{
    fputs(".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nFailed; standard error says why.\n.TP\n2\n"
          "The command line is not valid; standard error says how to mend it.\n",
          out);
    if (command == NULL || strcmp(command->name, "ask") == 0) {
        fputs(".TP\n128+n\n\\fBatlas ask\\fR was ended by signal n (130 for Ctrl\\-C).\n", out);
    }
    fputs(
        ".SH ENVIRONMENT\n.TP\n\\fBATLAS_CONFIG\\fR\nThe configuration where \\-\\-config does not "
        "name it.\n"
        ".SH FILES\n.TP\n/etc/atlas/atlas.yaml\nThe configuration, "
        "\\fBatlas.yaml\\fR(5).\n.TP\n/var/lib/atlas\nThe data folder: keys, usage, journal.\n"
        ".SH SEE ALSO\n\\fBatlas\\fR(1), \\fBatlas.yaml\\fR(5)\n",
        out);
}

static void put_program(FILE *out, const struct cli_commands *all)
{
    put_head(out, "atlas", "an OpenAI-compatible gateway in front of your own model servers");
    put_command(out, NULL);
    fputs("\\fICOMMAND\\fR [options]\n.SH DESCRIPTION\n"
          "Checks who calls, sends the call to the right model, streams the answer back, and "
          "leaves a record of every call.\n"
          "Begin with \\fBatlas init\\fR.\n.SH COMMANDS\n",
          out);
    put_list(out, all, NULL);
}

void cli_page(FILE *out, const struct cli_commands *all, const struct cli_command *command)
{
    char page[CLI_PAGE_NAME_BYTES];
    cli_page_name(command, page);
    if (command == NULL) {
        put_program(out, all);
    } else if (command->run == NULL) {
        put_head(out, page, command->help);
        put_command(out, command->name);
        fputs("\\fIACTION\\fR [options]\n.SH ACTIONS\n", out);
        put_list(out, all, command->name);
    } else {
        put_head(out, page, command->help);
        put_synopsis(out, command);
        fputs(".SH OPTIONS\n", out);
        put_options(out, command);
    }
    put_end(out, command);
}
