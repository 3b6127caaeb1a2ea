/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue is read by the same table machinery as the configuration (settings_catalogue.def),
 * twice: what the operator adds, then what is built in. Both lie in one array then, his first, so
 * that of two entries with one name his is found.
 */
#include "settings/settings_catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "settings/settings_internal.h"
#include "text/text_near.h"

#define NEAR_MAX 1024

/* ---- checking one file ---- */

static const struct catalogue_entry *find_family(const struct settings_catalogue *c,
                                                 const char *name)
{
    for (size_t i = 0; i < c->families_count; i++) {
        if (strcmp(c->families[i].name, name) == 0) {
            return &c->families[i];
        }
    }
    return NULL;
}

/* Of l->file, in the order of the entries that were read. */
static const struct ytree_node *first_model(const struct settings_loader *l)
{
    const struct ytree_node *map = ytree_find(l->file->root, "models");
    return map == NULL || map->kind != YTREE_MAP ? NULL : map->first;
}

static struct ytree_place place_of(const struct ytree_node *node, const char *key)
{
    const struct ytree_node *child = ytree_find(node, key);
    return child == NULL ? node->key_place : child->place;
}

/* Notes a plain name and where it stands; says so if another entry of the file has it. */
static void check_name(struct settings_loader *l, struct map *seen, const char *name,
                       const struct ytree_node *node, struct ytree_place place)
{
    char plain[CATALOGUE_NAME_BYTES];
    settings_catalogue_plain(span_of(name), plain);
    const struct ytree_node *other = map_find(seen, span_of(plain));
    if (plain[0] == '\0' || strcmp(plain, "*") == 0 || strcmp(plain, "none") == 0) {
        settings_problem(l, place, "'%.64s' cannot name a model", name);
    } else if (other != NULL && other != node) {
        settings_problem(l, place, "'%.64s' means the same as a name of '%.*s' (line %u)", name,
                         SPAN_ARGS(span_cut_text(other->key, 64)), other->key_place.line);
    } else if (other == NULL) {
        struct span kept = arena_copy(l->scratch, span_of(plain));
        l->out_of_memory =
            l->out_of_memory || kept.at == NULL ||
            map_put_borrow(seen, kept, (struct ytree_node *)(uintptr_t)node) != ERR_OK;
    }
}

static void check_entry(struct settings_loader *l, struct map *seen,
                        const struct catalogue_entry *e, const struct ytree_node *node)
{
    const struct ytree_node *list = ytree_find(node, "names");
    const struct ytree_node *item = list == NULL ? NULL : list->first;
    check_name(l, seen, e->name, node, node->key_place);
    for (size_t i = 0; i < e->names.count && item != NULL; i++, item = item->next) {
        check_name(l, seen, e->names.at[i], node, item->place);
    }
}

/* The models of l->file, which were read into `models`. */
static void check_entries(struct settings_loader *l, const struct catalogue_entry *models,
                          size_t count)
{
    const struct ytree_node *node = first_model(l);
    struct map seen;
    map_init(&seen);
    for (size_t i = 0; i < count && node != NULL && !l->out_of_memory; i++, node = node->next) {
        check_entry(l, &seen, &models[i], node);
    }
    map_fini(&seen);
}

/* ---- families ---- */

static size_t bytes_of(const struct settings_row *row)
{
    switch ((unsigned)row->kind) {
    case SETTINGS_TEXTS:
        return sizeof(struct texts);
    case SETTINGS_CHOICE:
    case SETTINGS_CHOICES:
        return sizeof(uint32_t);
    case SETTINGS_COUNT:
        return sizeof(int64_t);
    default:
        return sizeof(const char *);
    }
}

static bool is_zero(const char *field, size_t bytes)
{
    static const char zeros[sizeof(struct texts)];
    return memcmp(field, zeros, bytes) == 0;
}

/* Fills in what the model leaves out and its family says: what is not said is all zero. */
static void inherit(struct catalogue_entry *model, const struct catalogue_entry *family)
{
    for (size_t i = 0; i < settings_entries.rows_count; i++) {
        const struct settings_row *row = &settings_entries.rows[i];
        char *to = (char *)model + row->offset;
        if (strncmp(row->path, "families.", 9) == 0 && is_zero(to, bytes_of(row))) {
            memcpy(to, (const char *)family + row->offset, bytes_of(row));
        }
    }
}

/* Finds the families of `count` models that l->file has in the order of `models`. */
static void join_families(struct settings_loader *l, struct catalogue_entry *models, size_t count)
{
    const struct settings_catalogue *c = &l->settings->catalogue;
    const struct ytree_node *node = first_model(l);
    for (size_t i = 0; i < count && node != NULL; i++, node = node->next) {
        const struct catalogue_entry *family =
            models[i].family == NULL ? NULL : find_family(c, models[i].family);
        if (family != NULL) {
            inherit(&models[i], family);
        } else if (models[i].family != NULL) {
            settings_problem(l, place_of(node, "family"), "there is no family '%.64s'",
                             models[i].family);
        }
    }
}

/* ---- both files as one ---- */

static int by_text(const void *a, const void *b)
{
    const struct catalogue_name *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    return order != 0 ? order : (x->entry > y->entry) - (x->entry < y->entry);
}

static int longest_first(const void *a, const void *b)
{
    const struct catalogue_name *x = a, *y = b;
    size_t left = strlen(x->text), right = strlen(y->text);
    return left != right ? (left < right ? 1 : -1) : by_text(a, b);
}

/* Adds a name to the whole ones, or to the beginnings. */
static void add_name(struct settings_loader *l, const char *name,
                     const struct catalogue_entry *entry, struct catalogue_name *whole,
                     struct catalogue_name *beginnings)
{
    struct settings_catalogue *c = &l->settings->catalogue;
    char plain[CATALOGUE_NAME_BYTES];
    settings_catalogue_plain(span_of(name), plain);
    size_t len = strlen(plain);
    bool is_beginning = len > 1 && plain[len - 1] == '*';
    struct span kept = arena_copy(l->arena, span_make(plain, is_beginning ? len - 1 : len));
    struct catalogue_name *to =
        is_beginning ? &beginnings[c->beginnings_count++] : &whole[c->names_count++];
    *to = (struct catalogue_name){(const char *)kept.at, entry};
    l->out_of_memory = l->out_of_memory || kept.at == NULL;
}

static void index_names(struct settings_loader *l)
{
    struct settings_catalogue *c = &l->settings->catalogue;
    size_t most = c->models_count;
    for (size_t i = 0; i < c->models_count; i++) {
        most += c->models[i].names.count;
    }
    struct catalogue_name *whole = arena_new(l->arena, (most + 1) * sizeof(*whole));
    struct catalogue_name *beginnings = arena_new(l->arena, (most + 1) * sizeof(*beginnings));
    if (whole == NULL || beginnings == NULL) {
        l->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < c->models_count; i++) {
        const struct catalogue_entry *e = &c->models[i];
        add_name(l, e->name, e, whole, beginnings);
        for (size_t n = 0; n < e->names.count; n++) {
            add_name(l, e->names.at[n], e, whole, beginnings);
        }
    }
    if (!l->out_of_memory) {
        qsort(whole, c->names_count, sizeof(*whole), by_text);
        qsort(beginnings, c->beginnings_count, sizeof(*beginnings), longest_first);
    }
    c->names = whole;
    c->beginnings = beginnings;
}

/* `own` and behind it `more`, but what has a key of his. */
static const struct catalogue_entry *
put_together(struct settings_loader *l, const struct catalogue_entry *own, size_t own_count,
             const struct catalogue_entry *more, size_t more_count, size_t *count)
{
    struct catalogue_entry *all = arena_new(l->arena, (own_count + more_count + 1) * sizeof(*all));
    *count = 0;
    if (all == NULL) {
        l->out_of_memory = true;
        return NULL;
    }
    for (size_t i = 0; i < own_count; i++) {
        all[i] = own[i];
        all[i].is_own = true;
    }
    *count = own_count;
    for (size_t i = 0; i < more_count; i++) {
        bool is_his = false;
        for (size_t k = 0; k < own_count && !is_his; k++) {
            is_his = span_equal_nocase(span_of(own[k].name), span_of(more[i].name));
        }
        if (!is_his) {
            all[(*count)++] = more[i];
        }
    }
    return all;
}

/* Reads l->file into the settings' catalogue, which is empty. */
static void read_entries(struct settings_loader *l)
{
    l->settings->catalogue = (struct settings_catalogue){.families = NULL};
    if (l->file->root != NULL) {
        settings_read(l);
        check_entries(l, l->settings->catalogue.models, l->settings->catalogue.models_count);
    }
}

static void parse_built_in(struct settings_loader *l)
{
    struct ytree_problem problem;
    l->built_in.name = "models.yaml (built in)";
    l->built_in.folder = "/";
    l->built_in.table = &settings_entries;
    enum err e = ytree_parse(settings_catalogue_text(), l->scratch, &problem, &l->built_in.root);
    if (e == ERR_CONFIG) {
        settings_problem(l, problem.place, "%s", problem.sentence);
    }
    l->out_of_memory = l->out_of_memory || e == ERR_NO_MEMORY;
}

/* Whether some model may take something. Without models the catalogue itself is asked for. */
static bool is_wanted(const struct settings *s)
{
    const struct policy_settings *g = &s->gateway;
    bool takes = g->models_count == 0 || s->catalogue_file != NULL;
    for (size_t i = 0; i < g->models_count && !takes; i++) {
        const char *said = g->models[i].catalogue;
        takes = said == NULL || strcmp(said, "none") != 0;
    }
    return takes;
}

void settings_read_catalogue(struct settings_loader *l)
{
    struct settings_catalogue *c = &l->settings->catalogue;
    if (!is_wanted(l->settings)) {
        return;
    }
    l->file = &l->catalogue;
    read_entries(l);
    const struct settings_catalogue own = *c;
    l->file = &l->built_in;
    parse_built_in(l);
    read_entries(l);
    const struct settings_catalogue more = *c;
    if (l->problems_count == 0 && !l->out_of_memory) {
        c->families = put_together(l, own.families, own.families_count, more.families,
                                   more.families_count, &c->families_count);
        /* Nobody has been handed them: the loader made them, and may still write to them. */
        join_families(l, (struct catalogue_entry *)(uintptr_t)more.models, more.models_count);
        l->file = &l->catalogue;
        join_families(l, (struct catalogue_entry *)(uintptr_t)own.models, own.models_count);
        c->models = put_together(l, own.models, own.models_count, more.models, more.models_count,
                                 &c->models_count);
    }
    if (l->problems_count == 0 && !l->out_of_memory) {
        index_names(l);
    }
    l->file = &l->main;
}

/* ---- asking it ---- */

const struct catalogue_entry *settings_catalogue_find(const struct settings_catalogue *c,
                                                      struct span name)
{
    char plain[CATALOGUE_NAME_BYTES];
    settings_catalogue_plain(name, plain);
    size_t from = 0, to = c->names_count;
    while (from < to) { /* the first of those alike: the operator's own */
        size_t middle = from + (to - from) / 2;
        if (strcmp(c->names[middle].text, plain) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    if (from < c->names_count && strcmp(c->names[from].text, plain) == 0) {
        return c->names[from].entry;
    }
    for (size_t i = 0; i < c->beginnings_count; i++) {
        if (span_starts(span_of(plain), span_of(c->beginnings[i].text))) {
            return c->beginnings[i].entry;
        }
    }
    return NULL;
}

const char *settings_catalogue_near(const struct settings_catalogue *c, struct span name)
{
    const char *near[NEAR_MAX];
    size_t count = c->models_count < NEAR_MAX ? c->models_count : NEAR_MAX;
    for (size_t i = 0; i < count; i++) {
        near[i] = c->models[i].name;
    }
    return text_nearest(name, near, count);
}
