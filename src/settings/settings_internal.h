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
#include "base/map.h"
#include "settings/settings.h"
#include "settings/settings_table.h"
#include "yaml/yaml_tree.h"

#define SETTINGS_PROBLEMS_MAX 50
#define SETTINGS_PATH_MAX     512 /* of a setting as a problem shows it: "upstreams.x.url" */

/* One of the files that are read. */
struct settings_file {
    const char *name;   /* as the operator gave it */
    const char *folder; /* its own, absolute */
    const struct settings_table *table;
    const struct ytree_node *root; /* NULL: it was not read */
};

struct settings_problem {
    const struct settings_file *file;
    struct ytree_place place; /* line 0: of the file as a whole */
    const char *sentence;
};

struct settings_loader {
    struct settings_file main, models, catalogue, built_in;
    struct settings_file *file; /* the one that is looked at: problems are of it */
    struct arena *arena;        /* of the settings */
    struct arena *scratch;
    struct settings *settings;
    struct settings_problem problems[SETTINGS_PROBLEMS_MAX];
    size_t problems_count; /* may be more than are kept */
    bool out_of_memory;
    bool out_of_files;            /* which passes: the file is not to blame */
    struct buf *routing_problems; /* what is wrong with the rules, a line each */
    bool routing_is_wrong;
    const char *rules; /* the file of them, whatever the configuration says; NULL: as that says */
};

/* Remembers that something is wrong at `place` of l->file. */
void settings_problem(struct settings_loader *l, struct ytree_place place, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Notes that a file could not be opened, as errno says. */
void settings_note_unread(struct settings_loader *l);

/* Fills l->settings from l->file over what is there. What is wrong becomes a problem. */
void settings_read(struct settings_loader *l);

/* Fills in where the data folder is, and nothing else. */
void settings_read_data(struct settings_loader *l);

/* Of a file's text the one line that says where the data folder is, whatever stands around it;
 * empty where there is no such line, or more than one. */
struct span settings_data_line(struct span text);

/* Writes the defaults of the settings of `collection`, one of l->file's table, to `item`; NULL: of
 * those that are in none. */
void settings_default(struct settings_loader *l, const struct settings_collection *collection,
                      char *item);

/* Sets the row's field in `base` from `node`; `shown` is the setting's path as written. */
void settings_assign(struct settings_loader *l, const struct settings_row *row,
                     const struct ytree_node *node, const char *shown, char *base);

/* Puts `path` behind `folder`, unless it is absolute. NULL without memory. */
const char *settings_join(struct arena *arena, const char *folder, const char *path);

/* Keeps the text of l->file, whose tree was read, without the secrets that are written in it. */
void settings_keep_text(struct settings_loader *l, struct span text);

/* Looks at the certificates and keys that the file names. */
void settings_check_files(struct settings_loader *l);

/* Finds the upstreams of the model at `node`, `upstreams` by their names, and what is wrong with
 * its `upstream:` or `deployments:`. */
void settings_check_places(struct settings_loader *l, struct model_settings *model,
                           const struct ytree_node *node, const struct map *upstreams);

/* What follows from what the price at `node` leaves out. False: it is no price, and that was said.
 */
bool settings_complete_price(struct settings_loader *l, struct policy_price *price,
                             const struct ytree_node *node, const char *shown);

/* Puts what `price:` and `prices:` of the model at `node` say in the order of time; `shown` is the
 * model's path. */
void settings_check_prices(struct settings_loader *l, struct model_settings *model,
                           const struct ytree_node *node, const char *shown);

/* Reads the catalogue that Atlas brings, and over it l->catalogue, if that was read. */
void settings_read_catalogue(struct settings_loader *l);

/* Fills in what the file's models leave out and the catalogue knows; all of the file is right. */
void settings_take_from_catalogue(struct settings_loader *l);

/* Reads the rules of routing, if there is a file of them; all else is right. */
void settings_read_routing(struct settings_loader *l);

/* Reads the examples that the rules name, if they do, and gives them to `r`. False: what is wrong
 * was told. */
MUST_USE bool settings_read_examples(struct settings_loader *l, struct routing *r);

/* A problem for each required setting of the item at `node`, of the collection `path`, that the
 * file does not give. */
void settings_check_required(struct settings_loader *l, const char *path, const char *shown,
                             const struct ytree_node *node);

/* Makes the guard's policy of what the file says of it, if it does, and of the lists that it names.
 */
void settings_check_guard(struct settings_loader *l);

/* What only the file as a whole can show; fills in what follows from several settings. */
void settings_check(struct settings_loader *l);

#endif
