/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas config check | sample | reference`. */
#include <stdio.h>
#include <string.h>

#include "cli/cli_options.h"
#include "main/commands.h"
#include "settings/settings.h"
#include "settings/settings_write.h"

#define PROBLEMS_BYTES_MAX (128u << 10)
#define PAGE_BYTES_MAX     (256u << 10)

static int check(const char *path)
{
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open(path, &problems, &settings);
    if (e == ERR_OK) {
        printf("%s is valid\n", path);
    } else if (e == ERR_CONFIG) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
    } else {
        fprintf(stderr, "%s: %s\n", path, err_sentence(e));
    }
    buf_fini(&problems);
    settings_close(&settings);
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}

static int print_sample(const char *path)
{
    (void)path; /* the sample is the same for every file */
    struct buf page;
    buf_init(&page, PAGE_BYTES_MAX);
    settings_write_sample("/var/lib/atlas", &page);
    printf("%.*s", SPAN_ARGS(buf_span(&page)));
    buf_fini(&page);
    return CLI_DONE;
}

static int print_reference(const char *path)
{
    (void)path; /* as above */
    struct buf page;
    buf_init(&page, PAGE_BYTES_MAX);
    settings_write_reference(&page);
    printf("%.*s", SPAN_ARGS(buf_span(&page)));
    buf_fini(&page);
    return CLI_DONE;
}

static const struct {
    const char *name;
    int (*run)(const char *path);
} actions[] = {
    {"check", check},
    {"sample", print_sample},
    {"reference", print_reference},
};

#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

int main_config(int argc, char **argv)
{
    const char *path = CLI_CONFIG_DEFAULT;
    const char *action = "";
    const char *names[ACTIONS];
    const struct cli_option options[] = {
        {NULL, "ACTION", "check: say what is wrong; sample, reference: print the page",
         .text = &action},
        {"config", "F", "The configuration; " CLI_CONFIG_DEFAULT " if not given", .text = &path},
    };
    int status = cli_options(argc, argv, "atlas config check|sample|reference [--config F]",
                             options, sizeof(options) / sizeof(options[0]));
    if (status != CLI_GO_ON) {
        return status;
    }
    for (size_t i = 0; i < ACTIONS; i++) {
        if (strcmp(action, actions[i].name) == 0) {
            return actions[i].run(path);
        }
        names[i] = actions[i].name;
    }
    return cli_unknown("action", action, names, ACTIONS);
}
