/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_internal.h — what the files that make a struct settings share.
 *
 * Ownership  a loader lives for one settings_open(); texts of problems are in `scratch`.
 * Limits     SETTINGS_PROBLEMS_MAX problems are kept; the rest is counted.
 * Threads    one.
 */
#ifndef SETTINGS_SETTINGS_INTERNAL_H
#define SETTINGS_SETTINGS_INTERNAL_H

#include "base/arena.h"
#include "settings/settings.h"
#include "settings/settings_table.h"
#include "yaml/yaml_tree.h"

#define SETTINGS_PROBLEMS_MAX 50
#define SETTINGS_PATH_MAX     512 /* of a setting as a problem shows it: "upstreams.x.url" */

struct settings_problem {
    struct ytree_place place; /* line 0: of the file as a whole */
    const char *sentence;
};

struct settings_loader {
    const char *file;    /* as the operator gave it */
    const char *folder;  /* of the file, absolute */
    struct arena *arena; /* of the settings */
    struct arena *scratch;
    struct settings *settings;
    const struct ytree_node *root;
    struct settings_problem problems[SETTINGS_PROBLEMS_MAX];
    size_t problems_count; /* may be more than are kept */
    bool out_of_memory;
};

/* Remembers that something is wrong at `place`. */
void settings_problem(struct settings_loader *l, struct ytree_place place, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Fills l->settings from l->root over the defaults. What is wrong becomes a problem. */
void settings_read(struct settings_loader *l);

/* Writes the defaults of the settings of `collection` to `item`; of none: to l->settings. */
void settings_default(struct settings_loader *l, const struct settings_collection *collection,
                      char *item);

/* Sets the row's field in `base` from `node`; `shown` is the setting's path as written. */
void settings_assign(struct settings_loader *l, const struct settings_row *row,
                     const struct ytree_node *node, const char *shown, char *base);

/* Puts `path` behind `folder`, unless it is absolute. NULL without memory. */
const char *settings_join(struct arena *arena, const char *folder, const char *path);

/* What only the file as a whole can show; fills in what follows from several settings. */
void settings_check(struct settings_loader *l);

#endif
