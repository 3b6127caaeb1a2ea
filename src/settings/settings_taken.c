/* SPDX-License-Identifier: Apache-2.0 */
/* What a configured model takes from the catalogue: each setting that its lines do not say. */
#include <stdio.h>
#include <string.h>

#include "settings/settings_internal.h"
#include "settings/settings_value.h"

#define TAKE(key, field)                                                                      \
    {                                                                                         \
        key, offsetof(struct catalogue_entry, field), offsetof(struct model_settings, field), \
            sizeof(((struct model_settings *)NULL)->field)                                    \
    }

/* By their bits in model_settings.taken. */
static const struct {
    const char *key;
    size_t from, to, bytes;
} takes[] = {
    TAKE("context", context_tokens),
    TAKE("max_output", max_output),
    TAKE("endpoints", endpoints),
    TAKE("inputs", inputs),
    TAKE("tools", tools),
    TAKE("reasoning", reasoning),
    TAKE("tier", tier),
    TAKE("languages", languages),
};

#define TAKES (sizeof(takes) / sizeof(takes[0]))

static bool is_said(const char *field, size_t bytes)
{
    static const char zeros[sizeof(struct texts)];
    return memcmp(field, zeros, bytes) != 0;
}

static void take(struct model_settings *model, const struct catalogue_entry *entry,
                 const struct ytree_node *node)
{
    for (size_t i = 0; i < TAKES; i++) {
        const char *from = (const char *)entry + takes[i].from;
        if (ytree_find(node, takes[i].key) == NULL && is_said(from, takes[i].bytes)) {
            memcpy((char *)model + takes[i].to, from, takes[i].bytes);
            model->taken |= 1u << i;
            model->has_guessed_tools =
                model->has_guessed_tools || strcmp(takes[i].key, "tools") == 0;
        }
    }
    model->known_as = entry->name;
    model->tokenizer = entry->tokenizer;
}

/* The entry that the model's name at its server means. What several servers call it must mean one
 * and the same. */
static const struct catalogue_entry *meant_by(const struct settings_catalogue *c,
                                              const struct model_settings *model)
{
    const char *own = model->upstream_name == NULL ? model->name : model->upstream_name;
    const struct catalogue_entry *meant =
        model->deployments_count == 0 ? settings_catalogue_find(c, span_of(own)) : NULL;
    for (size_t i = 0; i < model->deployments_count; i++) {
        const char *name = model->deployments[i].upstream_name;
        const struct catalogue_entry *entry =
            settings_catalogue_find(c, span_of(name == NULL ? model->name : name));
        if (i > 0 && entry != meant) {
            return NULL;
        }
        meant = entry;
    }
    return meant;
}

/* The entry that the model names, else the one that its name at the model server means. */
static void take_for(struct settings_loader *l, struct model_settings *model,
                     const struct ytree_node *node)
{
    const struct settings_catalogue *c = &l->settings->catalogue;
    const struct catalogue_entry *entry = NULL;
    if (model->catalogue != NULL && strcmp(model->catalogue, "none") == 0) {
        return;
    }
    if (model->catalogue != NULL) {
        entry = settings_catalogue_find(c, span_of(model->catalogue));
    } else if (!model->is_pattern) {
        entry = meant_by(c, model);
    }
    if (entry != NULL) {
        take(model, entry, node);
    } else if (model->catalogue != NULL) {
        const struct ytree_node *written = ytree_find(node, "catalogue");
        struct span shown = span_cut_text(written->text, 64); /* it may be from a variable */
        const char *meant = settings_catalogue_near(c, span_of(model->catalogue));
        settings_problem(l, written->place, "the catalogue has no model '%.*s'%s%s%s",
                         SPAN_ARGS(shown),
                         meant == NULL ? "; `atlas models list` shows them" : " — did you mean '",
                         meant == NULL ? "" : meant, meant == NULL ? "" : "'?");
    }
}

void settings_take_from_catalogue(struct settings_loader *l)
{
    l->file = l->models.root != NULL ? &l->models : &l->main;
    const struct ytree_node *map = ytree_find(l->file->root, "models");
    const struct ytree_node *node = map == NULL ? NULL : map->first;
    /* Not handed out yet: the loader made these structs and may still write to them. */
    struct model_settings *models = (struct model_settings *)(uintptr_t)l->settings->gateway.models;
    for (size_t i = 0; i < l->settings->gateway.models_count && node != NULL; i++) {
        take_for(l, &models[i], node);
        node = node->next;
    }
    l->file = &l->main;
}

void settings_catalogue_put_taken(const struct model_settings *model, struct buf *out)
{
    const char *comma = "";
    for (size_t i = 0; i < TAKES; i++) {
        char path[64];
        if ((model->taken & 1u << i) == 0) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "models.*.%s", takes[i].key); /* fits */
        buf_printf(out, "%s%s ", comma, takes[i].key);
        settings_value_put(settings_row_find(&settings_models, path),
                           (const char *)model + takes[i].to, out);
        comma = ", ";
    }
}
