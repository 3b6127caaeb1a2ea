/* SPDX-License-Identifier: Apache-2.0 */
/* `atlas models list | show`: the catalogue, and what configured models took from it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli_table.h"
#include "main/commands.h"
#include "settings/settings.h"
#include "settings/settings_table.h"
#include "settings/settings_value.h"
#include "json/json_write.h"

#define PROBLEMS_BYTES_MAX (128u << 10)
#define PAGE_BYTES_MAX     (64u << 20)
#define PREFIX             "models.*."

struct models_given {
    const char *config, *name;
    bool json;
};

const struct cli_option main_models_list_options[] = {
    CLI_FLAG(struct models_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct models_given, config),
    CLI_END(NULL),
};

const struct cli_option main_models_show_options[] = {
    CLI_WORD(struct models_given, name, "NAME",
             "A model of the catalogue by any of its names, or a configured one"),
    CLI_FLAG(struct models_given, json, "json", "Print JSON"),
    CLI_CONFIG(struct models_given, config),
    CLI_END(NULL),
};

/* The configuration with its catalogue; where there is none, the catalogue that Atlas brings. NULL
 * when standard error says what is wrong. */
static struct settings *read_settings(const char *path)
{
    struct stat unused;
    struct buf problems;
    struct settings *settings = NULL;
    buf_init(&problems, PROBLEMS_BYTES_MAX);
    bool is_there = stat(path, &unused) == 0 || errno != ENOENT;
    enum err e = is_there ? settings_open(path, &problems, &settings)
                          : settings_open_catalogue(&problems, &settings);
    if (e == ERR_CONFIG) {
        fprintf(stderr, "%.*s", SPAN_ARGS(buf_span(&problems)));
    } else if (e != ERR_OK) {
        fprintf(stderr, "%s: %s\n", path, err_sentence(e));
    } else if (!is_there) {
        fprintf(stderr, "there is no %s: this is the catalogue that Atlas brings\n", path);
    }
    buf_fini(&problems);
    return settings;
}

/* ---- JSON ---- */

static void put_list(struct json_writer *w, const struct settings_row *row, const void *field)
{
    struct texts texts = {.count = 0};
    uint32_t bits = 0;
    json_write_array(w);
    if (row->kind == SETTINGS_TEXTS) {
        memcpy(&texts, field, sizeof(texts));
    } else {
        memcpy(&bits, field, sizeof(bits));
    }
    for (size_t i = 0; i < texts.count; i++) {
        json_write_text(w, texts.at[i]);
    }
    for (unsigned i = 0; bits >> i != 0; i++) {
        if ((bits >> i & 1) != 0) {
            json_write_string(w, settings_choice_name(row, i));
        }
    }
    json_write_end(w);
}

static void put_value(struct json_writer *w, const struct settings_row *row, const void *field)
{
    struct buf text;
    buf_init(&text, PROBLEMS_BYTES_MAX);
    settings_value_put(row, field, &text);
    struct span said = buf_span(&text);
    if (settings_value_is_list(row)) {
        put_list(w, row, field);
    } else if (row->kind == SETTINGS_COUNT || row->kind == SETTINGS_BOOL || span_is(said, "true") ||
               span_is(said, "false")) {
        json_write_raw(w, said);
    } else {
        json_write_string(w, said);
    }
    buf_fini(&text);
}

/* Whether the row is of a model itself, and of a kind that can be told. */
static bool is_told(const struct settings_row *row)
{
    bool is_own = strncmp(row->path, PREFIX, strlen(PREFIX)) == 0 &&
                  strpbrk(row->path + strlen(PREFIX), ".[") == NULL;
    switch ((unsigned)row->kind) {
    case SETTINGS_TEXT:
    case SETTINGS_LABEL:
    case SETTINGS_TEXTS:
    case SETTINGS_COUNT:
    case SETTINGS_BOOL:
    case SETTINGS_CHOICE:
    case SETTINGS_CHOICES:
        return is_own;
    default:
        return false;
    }
}

/* Whether the field says something: what is not known is 0, and an empty text or list. */
static bool says(const struct settings_row *row, const void *field)
{
    struct buf text;
    buf_init(&text, PROBLEMS_BYTES_MAX);
    settings_value_put(row, field, &text);
    struct span said = buf_span(&text);
    bool does = said.len > 0 && !span_is(said, "0") && !span_is(said, "[]") &&
                !span_is(said, "unknown") && !span_is(said, "as-is");
    buf_fini(&text);
    return does;
}

/* The members of an object: what `base` says of the rows of `t`. */
static void put_members(struct json_writer *w, const struct settings_table *t, const void *base)
{
    for (size_t i = 0; i < t->rows_count; i++) {
        const struct settings_row *row = &t->rows[i];
        const char *field = (const char *)base + row->offset;
        if (is_told(row) && says(row, field)) {
            json_write_key(w, row->path + strlen(PREFIX));
            put_value(w, row, field);
        }
    }
}

static void put_entry(struct json_writer *w, const struct catalogue_entry *e)
{
    json_write_object(w);
    json_write_key(w, "name");
    json_write_text(w, e->name);
    json_write_key(w, "own");
    json_write_bool(w, e->is_own);
    put_members(w, &settings_entries, e);
    json_write_end(w);
}

static void put_model(struct json_writer *w, const struct model_settings *m)
{
    struct buf taken;
    buf_init(&taken, PROBLEMS_BYTES_MAX);
    settings_catalogue_put_taken(m, &taken);
    json_write_object(w);
    json_write_key(w, "name");
    json_write_text(w, m->name);
    json_write_key(w, "known_as");
    if (m->known_as == NULL) {
        json_write_null(w);
    } else {
        json_write_text(w, m->known_as);
    }
    json_write_key(w, "taken");
    json_write_string(w, buf_span(&taken).len == 0 ? SPAN("") : buf_span(&taken));
    put_members(w, &settings_models, m);
    json_write_end(w);
    buf_fini(&taken);
}

/* The configured models, or those alone that took from `of`. */
static void put_models(struct json_writer *w, const struct settings *s,
                       const struct catalogue_entry *of)
{
    json_write_array(w);
    for (size_t i = 0; i < s->gateway.models_count; i++) {
        const struct model_settings *m = &s->gateway.models[i];
        if (of == NULL || (m->known_as != NULL && strcmp(m->known_as, of->name) == 0)) {
            put_model(w, m);
        }
    }
    json_write_end(w);
}

static void put_catalogue(struct json_writer *w, const struct settings_catalogue *c)
{
    json_write_array(w);
    for (size_t i = 0; i < c->models_count; i++) {
        put_entry(w, &c->models[i]);
    }
    json_write_end(w);
}

/* ---- for people ---- */

static const struct cli_column of_models[] = {
    {"MODEL", "name", "-", 0},
    {"KNOWN AS", "known_as", "-", 0},
    {"TAKEN FROM THE CATALOGUE", "taken", "-", 0},
};

static const struct cli_column of_entries[] = {
    {"CATALOGUE", "name", "-", 0},          {"SIZE", "parameters", "-", CLI_RIGHT},
    {"CONTEXT", "context", "-", CLI_RIGHT}, {"TIER", "tier", "-", CLI_RIGHT},
    {"INPUTS", "inputs", "-", 0},           {"TOOLS", "tools", "-", 0},
    {"THINKS", "thinks", "-", 0},           {"LICENCE", "licence", "-", 0},
    {"COMMERCIAL", "commercial", "-", 0},
};

/* Prints one of the two lists as a table; `*lines`: how many there were. */
static enum err print_table(const struct settings *s, bool is_catalogue, size_t *lines)
{
    struct buf page;
    struct json_writer w;
    buf_init(&page, PAGE_BYTES_MAX);
    json_write_init(&w, &page);
    json_write_object(&w);
    json_write_key(&w, "data");
    if (is_catalogue) {
        put_catalogue(&w, &s->catalogue);
    } else {
        put_models(&w, s, NULL);
    }
    json_write_end(&w);
    enum err e = json_write_finish(&w);
    if (e == ERR_OK) {
        e = is_catalogue ? cli_table_print(stdout, buf_span(&page), of_entries,
                                           sizeof(of_entries) / sizeof(of_entries[0]), lines)
                         : cli_table_print(stdout, buf_span(&page), of_models,
                                           sizeof(of_models) / sizeof(of_models[0]), lines);
    }
    buf_fini(&page);
    return e;
}

static enum err print_json(const struct settings *s, const struct catalogue_entry *entry)
{
    struct buf page;
    struct json_writer w;
    buf_init(&page, PAGE_BYTES_MAX);
    json_write_init(&w, &page);
    json_write_object(&w);
    json_write_key(&w, "models");
    put_models(&w, s, entry);
    json_write_key(&w, entry == NULL ? "catalogue" : "entry");
    if (entry == NULL) {
        put_catalogue(&w, &s->catalogue);
    } else {
        put_entry(&w, entry);
    }
    json_write_end(&w);
    enum err e = json_write_finish(&w);
    if (e == ERR_OK) {
        printf("%.*s\n", SPAN_ARGS(buf_span(&page)));
    }
    buf_fini(&page);
    return e;
}

static void print_entry(const struct settings *s, const struct catalogue_entry *e)
{
    struct buf text;
    buf_init(&text, PROBLEMS_BYTES_MAX);
    printf("%-11s %s%s\n", "name", e->name, e->is_own ? " (of your own file)" : "");
    for (size_t i = 0; i < settings_entries.rows_count; i++) {
        const struct settings_row *row = &settings_entries.rows[i];
        const char *field = (const char *)e + row->offset;
        if (is_told(row) && says(row, field)) {
            buf_clear(&text);
            settings_value_put(row, field, &text);
            printf("%-11s %.*s\n", row->path + strlen(PREFIX), SPAN_ARGS(buf_span(&text)));
        }
    }
    for (size_t i = 0; i < s->gateway.models_count; i++) {
        const struct model_settings *m = &s->gateway.models[i];
        if (m->known_as != NULL && strcmp(m->known_as, e->name) == 0) {
            buf_clear(&text);
            settings_catalogue_put_taken(m, &text);
            printf("%-11s %s takes %.*s\n", "configured", m->name, SPAN_ARGS(buf_span(&text)));
        }
    }
    buf_fini(&text);
}

static int end(const char *command, struct settings *settings, enum err e)
{
    if (e != ERR_OK) {
        fprintf(stderr, "atlas %s: %s\n", command, err_sentence(e));
    }
    settings_close(&settings);
    return e == ERR_OK ? CLI_DONE : CLI_FAILED;
}

int main_models_list(const void *given)
{
    const struct models_given *g = given;
    struct settings *settings = read_settings(g->config);
    size_t lines = 0;
    if (settings == NULL) {
        return CLI_FAILED;
    }
    enum err e = g->json ? print_json(settings, NULL) : print_table(settings, false, &lines);
    if (!g->json && e == ERR_OK) {
        (void)fputs(lines > 0 ? "\n" : "", stdout); /* the stream remembers */
        e = print_table(settings, true, &lines);
    }
    return end("models list", settings, e);
}

/* The entry of that name, or that a configured model of that name took from. */
static const struct catalogue_entry *find(const struct settings *s, const char *name)
{
    const struct settings_catalogue *c = &s->catalogue;
    for (size_t i = 0; i < s->gateway.models_count; i++) {
        const struct model_settings *m = &s->gateway.models[i];
        if (strcmp(m->name, name) == 0 && m->known_as != NULL) {
            return settings_catalogue_find(c, span_of(m->known_as));
        }
    }
    return settings_catalogue_find(c, span_of(name));
}

int main_models_show(const void *given)
{
    const struct models_given *g = given;
    struct settings *settings = read_settings(g->config);
    if (settings == NULL) {
        return CLI_FAILED;
    }
    const struct catalogue_entry *entry = find(settings, g->name);
    if (entry == NULL) {
        const char *meant = settings_catalogue_near(&settings->catalogue, span_of(g->name));
        fprintf(stderr, "atlas models show: the catalogue has no model '%s'%s%s%s\n", g->name,
                meant == NULL ? "; `atlas models list` shows them" : " — did you mean '",
                meant == NULL ? "" : meant, meant == NULL ? "" : "'?");
        settings_close(&settings);
        return CLI_FAILED;
    }
    enum err e = ERR_OK;
    if (g->json) {
        e = print_json(settings, entry);
    } else {
        print_entry(settings, entry);
    }
    return end("models show", settings, e);
}
