/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas config check | sample | reference | openapi`. */
#include <stdio.h>

#include "admin/admin_operations.h"
#include "main/commands.h"
#include "settings/settings.h"
#include "settings/settings_write.h"

#define PROBLEMS_BYTES_MAX (128u << 10)
#define PAGE_BYTES_MAX     (256u << 10)

const struct cli_option main_config_check_options[] = {
    CLI_CONFIG(struct cli_given_config, config),
    CLI_END(NULL),
};

/* What is valid and may be an accident all the same: no reason to fail. */
static void warn(const char *path, const struct settings *settings)
{
    const struct settings_money known = {.is_limited = false}; /* budgets are the store's */
    struct buf warnings;
    buf_init(&warnings, PROBLEMS_BYTES_MAX);
    settings_warn_prices(settings, &known, clock_wall(), &warnings);
    for (struct span rest = buf_span(&warnings); rest.len > 0;) {
        size_t line = span_find(rest, '\n', 0);
        fprintf(stderr, "%s: warning: %.*s\n", path, SPAN_ARGS(span_cut(rest, 0, line)));
        rest = span_cut(rest, line + 1, rest.len);
    }
    buf_fini(&warnings);
}

/* What the catalogue filled in, a line a model. */
static void say_taken(const struct settings *settings)
{
    struct buf taken;
    buf_init(&taken, PROBLEMS_BYTES_MAX);
    for (size_t i = 0; i < settings->gateway.models_count; i++) {
        const struct model_settings *m = &settings->gateway.models[i];
        if (m->taken != 0) {
            buf_clear(&taken);
            settings_catalogue_put_taken(m, &taken);
            printf("models.%s is %s of the catalogue: %.*s\n", m->name, m->known_as,
                   SPAN_ARGS(buf_span(&taken)));
        }
    }
    buf_fini(&taken);
}

int main_config_check(const void *given)
{
    const char *path = ((const struct cli_given_config *)given)->config;
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    enum err e = settings_open_whole(path, &problems, &settings);
    if (e == ERR_OK) {
        printf("%s is valid\n", path);
        say_taken(settings);
        warn(path, settings);
    } else if (e == ERR_CONFIG) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
    } else {
        fprintf(stderr, "%s: %s\n", path, err_sentence(e));
    }
    buf_fini(&problems);
    settings_close(&settings);
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}

const struct cli_option main_config_sample_options[] = {CLI_END(NULL)};

int main_config_sample(const void *given)
{
    (void)given; /* it takes nothing */
    struct buf page;
    buf_init(&page, PAGE_BYTES_MAX);
    settings_write_sample("/var/lib/atlas", &page);
    printf("%.*s", SPAN_ARGS(buf_span(&page)));
    buf_fini(&page);
    return CLI_DONE;
}

const struct cli_option main_config_reference_options[] = {CLI_END(NULL)};

int main_config_reference(const void *given)
{
    (void)given; /* it takes nothing */
    struct buf page;
    buf_init(&page, PAGE_BYTES_MAX);
    settings_write_reference(&page);
    printf("%.*s", SPAN_ARGS(buf_span(&page)));
    buf_fini(&page);
    return CLI_DONE;
}

const struct cli_option main_config_openapi_options[] = {CLI_END(NULL)};

int main_config_openapi(const void *given)
{
    (void)given; /* it takes nothing */
    struct buf page;
    buf_init(&page, PAGE_BYTES_MAX);
    enum err e = admin_openapi_write(&page);
    if (e == ERR_OK) {
        printf("%.*s\n", SPAN_ARGS(buf_span(&page)));
    } else {
        fprintf(stderr, "atlas config openapi: %s\n", err_sentence(e));
    }
    buf_fini(&page);
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}
