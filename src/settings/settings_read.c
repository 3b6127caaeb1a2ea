/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML tree is walked with a stack of frames, one a level of settings.def's paths. Each frame
 * knows two names of where it is: the pattern that settings.def is asked with ("upstreams.*"), and
 * what the operator wrote ("upstreams.falcon"), which problems show.
 */
#include "settings/settings_internal.h"

#include <stdio.h>

#include "text/text_near.h"

#define DEPTH_MAX   8
#define PATTERN_MAX 64
#define NAMES_MAX   64 /* settings of one section */

struct frame {
    const struct settings_collection *items; /* the children are its items; NULL: settings */
    const struct ytree_node *child;          /* the next one */
    size_t index;                            /* of the next item */
    char *base;                              /* the struct, or the first item */
    char pattern[PATTERN_MAX];
    char shown[SETTINGS_PATH_MAX];
};

struct walk {
    struct frame frames[DEPTH_MAX];
    size_t depth;
};

/* The names that may stand in the section `pattern`, each once. */
static size_t names_in(const struct settings_table *t, const char *pattern,
                       char names[NAMES_MAX][PATTERN_MAX])
{
    size_t count = 0;
    size_t skip = strlen(pattern) == 0 ? 0 : strlen(pattern) + 1;
    for (size_t i = 0; i < t->rows_count && count < NAMES_MAX; i++) {
        const char *path = t->rows[i].path;
        if (skip > 0 && (strncmp(path, pattern, skip - 1) != 0 || path[skip - 1] != '.')) {
            continue;
        }
        size_t len = strcspn(path + skip, ".[");
        span_copy_text(span_make(path + skip, len), names[count], PATTERN_MAX);
        if (count == 0 || strcmp(names[count], names[count - 1]) != 0) {
            count++;
        }
    }
    return count;
}

/* Where else in the file a setting of this name stands: "client.head_max" for "head_max". */
static const char *elsewhere(const struct settings_table *t, struct span key)
{
    for (size_t i = 0; i < t->rows_count; i++) {
        const char *dot = strrchr(t->rows[i].path, '.');
        if (dot != NULL && span_is(key, dot + 1)) {
            return t->rows[i].path;
        }
    }
    return NULL;
}

static void unknown(struct settings_loader *l, const struct frame *f,
                    const struct ytree_node *child)
{
    char names[NAMES_MAX][PATTERN_MAX];
    const char *pointers[NAMES_MAX] = {NULL};
    size_t count = names_in(l->file->table, f->pattern, names);
    for (size_t i = 0; i < count; i++) {
        pointers[i] = names[i];
    }
    const char *meant = text_nearest(child->key, pointers, count);
    struct span shown = span_cut_text(child->key, 64);
    const char *dot = f->shown[0] == '\0' ? "" : ".";
    const char *other = elsewhere(l->file->table, child->key);
    if (meant != NULL) {
        settings_problem(l, child->key_place, "unknown setting '%s%s%.*s' — did you mean '%s'?",
                         f->shown, dot, SPAN_ARGS(shown), meant);
    } else if (other != NULL) {
        settings_problem(l, child->key_place, "unknown setting '%s%s%.*s' — did you mean '%s'?",
                         f->shown, dot, SPAN_ARGS(shown), other);
    } else {
        settings_problem(l, child->key_place,
                         "unknown setting '%s%s%.*s'; `atlas config reference` lists them all",
                         f->shown, dot, SPAN_ARGS(shown));
    }
}

/* Whether an item that is no mapping has the name of an item's setting: its line has too little
 * indent. */
static bool is_out_of_its_item(const struct settings_table *t, const struct frame *frame,
                               const struct ytree_node *node)
{
    char pattern[PATTERN_MAX * 2];
    size_t len = strlen(frame->pattern);
    if (len < 2 || strcmp(frame->pattern + len - 2, ".*") != 0 || node->kind == YTREE_MAP) {
        return false;
    }
    (void)snprintf(pattern, sizeof(pattern), "%s.%.*s", frame->pattern,
                   SPAN_ARGS(span_cut(node->key, 0, PATTERN_MAX))); /* cut, it is found nowhere */
    return settings_row_find(t, pattern) != NULL;
}

/* Begins with the children of `node`, which must be a list or a mapping as the frame asks for. */
static void push(struct settings_loader *l, struct walk *w, const struct frame *frame,
                 const struct ytree_node *node)
{
    enum ytree_kind asked =
        frame->items != NULL && settings_is_list(frame->items) ? YTREE_LIST : YTREE_MAP;
    if (ytree_is_null(node)) {
        return; /* a section whose settings are all comments */
    }
    if (node->kind != asked && is_out_of_its_item(l->file->table, frame, node)) {
        settings_problem(l, node->key_place,
                         "`%.*s` stands beside the names of %.*s and not below one; indent this "
                         "line deeper than the name it belongs to",
                         SPAN_ARGS(span_cut_text(node->key, 64)), (int)strcspn(frame->shown, "."),
                         frame->shown);
        return;
    }
    if (node->kind != asked) {
        settings_problem(l, node->place, "%s takes a %s", frame->shown,
                         asked == YTREE_LIST ? "list, each item after a dash"
                                             : "mapping: lines of `name: value` below it");
        return;
    }
    CHECK(w->depth < DEPTH_MAX); /* settings.def is not deeper */
    w->frames[w->depth] = *frame;
    w->frames[w->depth++].child = node->first;
}

/* Makes room for the items of `node`, which belong to the section's struct, and begins with them.
 */
static void push_collection(struct settings_loader *l, struct walk *w,
                            const struct settings_collection *c, const struct ytree_node *node,
                            const struct frame *section)
{
    struct frame frame = {.items = c};
    char *owner = section->base;
    snprintf(frame.pattern, sizeof(frame.pattern), "%s", c->path);
    snprintf(frame.shown, sizeof(frame.shown), "%s", section->shown);
    if (node->count > c->most) {
        settings_problem(l, node->place, "%s holds more than %zu items", frame.shown, c->most);
        return;
    }
    size_t count = node->kind == YTREE_SCALAR ? 0 : node->count;
    if (count > 0) {
        frame.base = arena_new(l->arena, count * c->item_bytes);
        if (frame.base == NULL) {
            l->out_of_memory = true;
            return;
        }
        memcpy(owner + c->offset, &frame.base, sizeof(frame.base));
        memcpy(owner + c->count_offset, &count, sizeof(count));
    }
    push(l, w, &frame, node);
}

/* The next item of a collection: defaults, its name, then its settings. */
static void on_item(struct settings_loader *l, struct walk *w, struct frame *f,
                    const struct ytree_node *child)
{
    const struct settings_collection *c = f->items;
    struct frame item = {.base = f->base + f->index * c->item_bytes};
    settings_default(l, c, item.base);
    snprintf(item.pattern, sizeof(item.pattern), "%s", c->path);
    if (settings_is_list(c)) {
        snprintf(item.shown, sizeof(item.shown), "%s[%zu]", f->shown, f->index);
    } else {
        const char *name = (const char *)arena_copy(l->arena, child->key).at;
        l->out_of_memory = l->out_of_memory || name == NULL;
        memcpy(item.base + c->name_offset, &name, sizeof(name));
        snprintf(item.shown, sizeof(item.shown), "%s.%.*s", f->shown,
                 SPAN_ARGS(span_cut(child->key, 0, 200)));
    }
    f->index++;
    push(l, w, &item, child);
}

static void on_setting(struct settings_loader *l, struct walk *w, const struct frame *f,
                       const struct ytree_node *child)
{
    struct frame section = {.base = f->base};
    const char *dot = f->pattern[0] == '\0' ? "" : ".";
    struct span key = span_cut(child->key, 0, PATTERN_MAX);
    snprintf(section.pattern, sizeof(section.pattern), "%s%s%.*s", f->pattern, dot, SPAN_ARGS(key));
    snprintf(section.shown, sizeof(section.shown), "%s%s%.*s", f->shown, dot, SPAN_ARGS(key));

    const struct settings_table *t = l->file->table;
    const struct settings_row *row = settings_row_find(t, section.pattern);
    const struct settings_collection *c = settings_collection_find(t, section.pattern);
    bool is_one_word = strcspn((const char *)child->key.at, ".*[]") == child->key.len;
    if (!is_one_word || key.len == 0) {
        unknown(l, f, child);
    } else if (row != NULL) {
        settings_assign(l, row, child, section.shown, f->base);
    } else if (c != NULL) {
        push_collection(l, w, c, child, &section);
    } else if (settings_is_section(t, section.pattern)) {
        push(l, w, &section, child);
    } else {
        unknown(l, f, child);
    }
}

struct span settings_data_line(struct span text)
{
    static const struct span name = {(const uint8_t *)"data:", 5};
    struct span found = {NULL, 0};
    for (size_t at = 0; at < text.len;) {
        size_t end = span_find(text, '\n', at);
        struct span line = span_cut(text, at, end - at);
        at = end + 1;
        if (span_starts(line, name) && found.at != NULL) {
            return (struct span){NULL, 0};
        }
        found = span_starts(line, name) ? line : found;
    }
    return found;
}

void settings_read_data(struct settings_loader *l)
{
    const struct settings_row *row = settings_row_find(l->file->table, "data");
    const struct ytree_node *node = ytree_find(l->file->root, "data");
    if (node != NULL && !l->out_of_memory) {
        settings_assign(l, row, node, "data", (char *)l->settings);
    }
}

void settings_read(struct settings_loader *l)
{
    struct walk *w = arena_new(l->scratch, sizeof(*w));
    if (w == NULL) {
        l->out_of_memory = true;
        return;
    }
    const struct frame top = {.base = (char *)l->settings, .shown = "the file"};
    push(l, w, &top, l->file->root);
    w->frames[0].shown[0] = '\0';
    while (w->depth > 0 && !l->out_of_memory) {
        struct frame *f = &w->frames[w->depth - 1];
        const struct ytree_node *child = f->child;
        if (child == NULL) {
            w->depth--;
            continue;
        }
        f->child = child->next;
        if (f->items != NULL) {
            on_item(l, w, f, child);
        } else {
            on_setting(l, w, f, child);
        }
    }
}
