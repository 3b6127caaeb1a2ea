/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas completion`, `atlas man`: what packages install, made from the tables. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/cli_pages.h"
#include "main/commands.h"
#include "settings/settings_write.h"

#define PAGE_BYTES_MAX (256u << 10)
#define PATH_BYTES     4096

struct completion_given {
    const char *shell;
};

static void teach_completion(FILE *out)
{
    fprintf(out, "For this shell:  source <(atlas completion bash)\n"
                 "For all of them: `make install` puts it where bash and zsh look.\n");
}

const struct cli_option main_completion_options[] = {
    CLI_WORD(struct completion_given, shell, "SHELL", "bash or zsh", .words = "bash zsh"),
    CLI_END(teach_completion),
};

static int end_output(void)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return CLI_DONE;
    }
    fprintf(stderr, "atlas: the output cannot be written: %s\n", strerrordesc_np(errno));
    return CLI_FAILED;
}

int main_completion(const void *given)
{
    static const char *const shells[] = {"bash", "zsh"};
    const struct completion_given *g = given;
    const struct cli_commands all = main_commands();
    if (strcmp(g->shell, shells[0]) == 0) {
        cli_complete_bash(stdout, &all);
    } else if (strcmp(g->shell, shells[1]) == 0) {
        cli_complete_zsh(stdout, &all);
    } else {
        return cli_unknown("shell", g->shell, shells, 2);
    }
    return end_output();
}

struct man_given {
    const char *page, *action, *to;
};

static void teach_man(FILE *out)
{
    fprintf(out, "Pages: atlas, COMMAND, COMMAND ACTION, atlas.yaml. The names that man(1)\n"
                 "knows them by will do too: atlas-key-create.\n"
                 "  atlas man key create | man -l -\n");
}

const struct cli_option main_man_options[] = {
    CLI_WORD(struct man_given, page, "PAGE", "Which page", .fallback = "atlas",
             .words = CLI_COMMANDS),
    CLI_WORD(struct man_given, action, "ACTION", "Of which action of the command", .fallback = "",
             .words = CLI_ACTIONS),
    CLI_TEXT(struct man_given, to, "to", "FOLDER", "Write all pages to a folder instead",
             .words = CLI_FILES),
    CLI_END(teach_man),
};

#define SETTINGS_PAGE "atlas.yaml"

static void write_settings(FILE *out)
{
    struct buf page;
    buf_init(&page, PAGE_BYTES_MAX);
    settings_write_manual(&page);
    fprintf(out,
            ".\\\" Written by atlas from settings.def.\n.TH %s 5 \"\" \"Atlas %s\" \"Atlas\"\n",
            SETTINGS_PAGE, ATLAS_VERSION);
    (void)fwrite(buf_span(&page).at, 1, buf_span(&page).len, out); /* the stream remembers */
    buf_fini(&page);
}

/* Writes one page; `command` as cli_page(). */
static int write_page(const char *folder, const struct cli_commands *all,
                      const struct cli_command *command, bool is_settings)
{
    char name[CLI_PAGE_NAME_BYTES], path[PATH_BYTES];
    cli_page_name(command, name);
    snprintf(path, sizeof(path), "%s/%s", folder, is_settings ? SETTINGS_PAGE ".5" : name);
    if (!is_settings) {
        size_t len = strlen(path);
        snprintf(path + len, sizeof(path) - len, ".1");
    }
    FILE *out = fopen(path, "we");
    if (out != NULL && is_settings) {
        write_settings(out);
    } else if (out != NULL) {
        cli_page(out, all, command);
    }
    bool is_written = out != NULL && ferror(out) == 0;
    if ((out != NULL && fclose(out) != 0) || !is_written) {
        fprintf(stderr, "atlas man: %s cannot be written: %s\n", path, strerrordesc_np(errno));
        return CLI_FAILED;
    }
    return CLI_DONE;
}

static int write_pages(const char *folder, const struct cli_commands *all)
{
    int status = write_page(folder, all, NULL, false);
    for (size_t i = 0; status == CLI_DONE && i < all->count; i++) {
        status = write_page(folder, all, &all->at[i], false);
    }
    return status == CLI_DONE ? write_page(folder, all, NULL, true) : status;
}

/* Whether what was asked for is the page `name`, with or without its "atlas-". */
static bool is_page(const struct man_given *g, const char *name)
{
    char asked[2 * CLI_PAGE_NAME_BYTES];
    int len = snprintf(asked, sizeof(asked), "%s%s%s", g->page, g->action[0] == '\0' ? "" : "-",
                       g->action);
    bool is_long = strncmp(asked, "atlas", 5) == 0;
    const char *rest = is_long || strncmp(name, "atlas-", 6) != 0 ? name : name + 6;
    return len < (int)sizeof(asked) && strcmp(asked, rest) == 0;
}

int main_man(const void *given)
{
    const struct man_given *g = given;
    const struct cli_commands all = main_commands();
    char name[CLI_PAGE_NAME_BYTES];
    if (g->to != NULL) {
        return write_pages(g->to, &all);
    }
    if (is_page(g, SETTINGS_PAGE)) {
        write_settings(stdout);
        return end_output();
    }
    for (size_t i = 0; i <= all.count; i++) {
        const struct cli_command *command = i == 0 ? NULL : &all.at[i - 1];
        cli_page_name(command, name);
        if (is_page(g, name)) {
            cli_page(stdout, &all, command);
            return end_output();
        }
    }
    fprintf(stderr,
            "atlas man: there is no page '%s%s%s'; `atlas man --help` says how they are named\n",
            g->page, g->action[0] == '\0' ? "" : " ", g->action);
    return CLI_MISUSED;
}
