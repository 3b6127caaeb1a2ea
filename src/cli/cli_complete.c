/* SPDX-License-Identifier: Apache-2.0 */
/* Completion. Helps hold no apostrophes but what is escaped here; names hold none at all. */
#include <string.h>

#include "cli/cli_pages.h"

static bool is_group(const struct cli_command *c)
{
    return c->run == NULL;
}

static bool is_file(const struct cli_option *o)
{
    return o->words != NULL && strcmp(o->words, CLI_FILES) == 0;
}

static bool is_word_of(const struct cli_option *o, const char *words)
{
    return o->name == NULL && o->words != NULL && strcmp(o->words, words) == 0;
}

/* What may be chosen stands in the table of options itself. */
static bool has_list(const struct cli_option *o)
{
    return o->words != NULL && !is_file(o) && !is_word_of(o, CLI_COMMANDS) &&
           !is_word_of(o, CLI_ACTIONS);
}

/* Whether a command's words are the names of commands. */
static bool names_commands(const struct cli_command *c)
{
    const struct cli_option *o = c->options;
    while (o->help != NULL && !is_word_of(o, CLI_COMMANDS)) {
        o++;
    }
    return o->help != NULL;
}

/* What may be chosen, with blanks between, the option's word for nothing behind it. */
static void put_words(FILE *out, const struct cli_option *o)
{
    const char *words = o->words == NULL ? "" : o->words;
    for (; *words != '\0'; words++) {
        (void)fputc(*words == '|' ? ' ' : *words, out); /* the stream remembers */
    }
    if (o->none != NULL) {
        fprintf(out, "%s%s", o->words == NULL ? "" : " ", o->none);
    }
}

/* An option's name as it is typed, without its value. */
static const char *name_of(const struct cli_option *o, char out[CLI_NAME_BYTES])
{
    (void)cli_option_text(o, out);
    out[strcspn(out, " ")] = '\0';
    return out;
}

/* The names of a group's actions, or of all commands, with blanks between. */
static void put_names(FILE *out, const struct cli_commands *all, const char *group)
{
    const char *name, *blank = "";
    for (size_t i = 0; i < all->count; i++) {
        if ((name = cli_name_in(&all->at[i], group)) != NULL) {
            fprintf(out, "%s%s", blank, name);
            blank = " ";
        }
    }
}

static void put_bash_options(FILE *out, const struct cli_command *c)
{
    char name[CLI_NAME_BYTES];
    fprintf(out, "    '%s') words='--help", c->name);
    for (const struct cli_option *o = c->options; o->help != NULL; o++) {
        if (o->name != NULL) {
            fprintf(out, " %s", name_of(o, name));
        } else if (has_list(o)) {
            fputs(" ", out);
            put_words(out, o);
        }
    }
    fputs("' ;;\n", out);
}

static void put_bash_values(FILE *out, const struct cli_command *c)
{
    char name[CLI_NAME_BYTES];
    for (const struct cli_option *o = c->options; o->help != NULL; o++) {
        if (o->name == NULL || o->value == NULL) {
            continue;
        }
        fprintf(out, "    '%s %s') ", c->name, name_of(o, name));
        if (is_file(o)) {
            fputs("words='' files=yes ;;\n", out);
        } else {
            fputs("words='", out);
            put_words(out, o);
            fprintf(out, "'%s ;;\n", o->is_list ? " list=yes" : "");
        }
    }
}

/* The actions of each group, a case each: a list between `add` and `end`. */
static void put_actions(FILE *out, const struct cli_commands *all, const char *add, const char *end)
{
    for (size_t i = 0; i < all->count; i++) {
        if (is_group(&all->at[i])) {
            fprintf(out, " %s) %s", all->at[i].name, add);
            put_names(out, all, all->at[i].name);
            fprintf(out, "%s ;;", end);
        }
    }
}

/* Behind `help`: all commands, then the actions of the one that was named. */
static void put_bash_commands(FILE *out, const struct cli_commands *all,
                              const struct cli_command *c)
{
    fprintf(out, "    '%s') case $at in\n        2) words+=' ", c->name);
    put_names(out, all, NULL);
    fputs("' ;;\n        3) case ${COMP_WORDS[2]} in", out);
    put_actions(out, all, "words+=' ", "'");
    fputs(" esac ;;\n        esac ;;\n", out);
}

void cli_complete_bash(FILE *out, const struct cli_commands *all)
{
    fputs("# bash completion for atlas(1). Written by `atlas completion bash`.\n"
          "_atlas() {\n"
          "    local at=$COMP_CWORD command=${COMP_WORDS[1]-} words='' files='' list='' first=''\n"
          "    local typed=${COMP_WORDS[at]-} before=${COMP_WORDS[at - 1]-}\n"
          "    COMPREPLY=()\n"
          "    case $command in\n",
          out);
    for (size_t i = 0; i < all->count; i++) {
        if (is_group(&all->at[i])) {
            fprintf(out, "    %s) ((at == 2)) && words='", all->at[i].name);
            put_names(out, all, all->at[i].name);
            fputs("' || command+=\" ${COMP_WORDS[2]-}\" ;;\n", out);
        }
    }
    fputs("    esac\n    ((at == 1)) && words='", out);
    put_names(out, all, NULL);
    fputs("'\n    case $command in\n", out);
    for (size_t i = 0; i < all->count; i++) {
        if (!is_group(&all->at[i])) {
            put_bash_options(out, &all->at[i]);
        }
    }
    fputs("    esac\n    case $command in\n", out);
    for (size_t i = 0; i < all->count; i++) {
        if (!is_group(&all->at[i]) && names_commands(&all->at[i])) {
            put_bash_commands(out, all, &all->at[i]);
        }
    }
    fputs("    esac\n    case \"$command $before\" in\n", out);
    for (size_t i = 0; i < all->count; i++) {
        if (!is_group(&all->at[i])) {
            put_bash_values(out, &all->at[i]);
        }
    }
    fputs("    esac\n"
          "    if [ -n \"$files\" ]; then\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$typed\")\n"
          "    else\n"
          "        [ -z \"$list\" ] || first=${typed%\"${typed##*,}\"}\n"
          "        mapfile -t COMPREPLY < <(compgen -P \"$first\" -W \"$words\" -- "
          "\"${typed#\"$first\"}\")\n"
          "    fi\n"
          "}\n"
          "complete -F _atlas atlas\n",
          out);
}

/* Text inside single quotes, where zsh gives ":", "[", "]" and "\" a meaning. */
static void put_zsh_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            fputs("'\\''", out);
        } else {
            fprintf(out, strchr(":[]\\", *text) != NULL ? "\\%c" : "%c", *text);
        }
    }
}

static void put_zsh_list(FILE *out, const struct cli_commands *all, const char *group)
{
    const char *name;
    fputs("list=(", out);
    for (size_t i = 0; i < all->count; i++) {
        if ((name = cli_name_in(&all->at[i], group)) != NULL) {
            fprintf(out, "\n            '%s:", name);
            put_zsh_text(out, all->at[i].help);
            fputs("'", out);
        }
    }
    fprintf(out, ")\n        _describe '%s' list\n        return\n",
            group == NULL ? "command" : "action");
}

/* ":MESSAGE:ACTION" of what takes a value. */
static void put_zsh_value(FILE *out, const struct cli_commands *all, const struct cli_option *o)
{
    fputs(o->name == NULL && o->fallback != NULL ? "::" : ":", out);
    put_zsh_text(out, o->value);
    if (is_file(o)) {
        fputs(":_files", out);
    } else if (is_word_of(o, CLI_COMMANDS)) {
        fputs(":(", out);
        put_names(out, all, NULL);
        fputs(")", out);
    } else if (is_word_of(o, CLI_ACTIONS)) {
        fputs(":{case $words[2] in", out);
        put_actions(out, all, "compadd ", "");
        fputs(" esac}", out);
    } else if (o->words != NULL || o->none != NULL) {
        fputs(o->is_list ? ":_sequence compadd - " : ":(", out);
        put_words(out, o);
        fputs(o->is_list ? "" : ")", out);
    } else {
        fputs(":", out);
    }
}

static void put_zsh_options(FILE *out, const struct cli_commands *all, const struct cli_command *c)
{
    char name[CLI_NAME_BYTES];
    fprintf(out, "    '%s')\n        _arguments '--help[Print this]'", c->name);
    for (const struct cli_option *o = c->options; o->help != NULL; o++) {
        fputs(" \\\n            '", out);
        if (o->name != NULL) {
            fprintf(out, "%s%s%s[", o->is_list ? "*" : "", name_of(o, name),
                    o->value == NULL ? "" : "=");
            put_zsh_text(out, o->help);
            fputs("]", out);
        }
        if (o->value != NULL) {
            put_zsh_value(out, all, o);
        }
        fputs("'", out);
    }
    fputs(" ;;\n", out);
}

void cli_complete_zsh(FILE *out, const struct cli_commands *all)
{
    fputs("#compdef atlas\n# Written by `atlas completion zsh`.\n"
          "_atlas() {\n    local -a list\n    local command=$words[2]\n"
          "    if ((CURRENT == 2)); then\n        ",
          out);
    put_zsh_list(out, all, NULL);
    fputs("    fi\n    shift words\n    ((CURRENT--))\n    case $command in\n", out);
    for (size_t i = 0; i < all->count; i++) {
        if (is_group(&all->at[i])) {
            fprintf(out, "    %s)\n        if ((CURRENT == 2)); then\n        ", all->at[i].name);
            put_zsh_list(out, all, all->at[i].name);
            fputs("        fi\n        command+=\" $words[2]\"\n        shift words\n"
                  "        ((CURRENT--)) ;;\n",
                  out);
        }
    }
    fputs("    esac\n    case $command in\n", out);
    for (size_t i = 0; i < all->count; i++) {
        if (!is_group(&all->at[i])) {
            put_zsh_options(out, all, &all->at[i]);
        }
    }
    fputs("    esac\n}\n"
          "if [ \"$funcstack[1]\" = _atlas ]; then\n    _atlas \"$@\"\nelse\n"
          "    compdef _atlas atlas\nfi\n",
          out);
}
