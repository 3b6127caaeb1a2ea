/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the sample "# words" is an explanation and "#name: value" a setting; the # stands where the
 * name will, so that taking it away leaves the right indentation.
 */
#include "settings/settings_write.h"

#include <stdio.h>
#include <string.h>

#include "settings/settings_table.h"

#define LINE_COLUMNS 96
#define PARTS_MAX    6 /* of a path */

/* Writes `text` as comment lines, broken between words. */
static void put_comment(struct buf *out, int indent, struct span text)
{
    while (text.len > 0) {
        size_t room = (size_t)(LINE_COLUMNS - indent - 2);
        size_t len = text.len;
        if (len > room) {
            len = room;
            while (len > 0 && text.at[len] != ' ') {
                len--;
            }
        }
        buf_printf(out, "%*s# %.*s\n", indent, "", SPAN_ARGS(span_cut(text, 0, len)));
        text = span_trim(span_cut(text, len, text.len));
    }
}

/* Cuts a path at its dots; a part keeps its "[]". */
static size_t split(const char *path, struct span parts[PARTS_MAX])
{
    struct span rest = span_of(path);
    size_t count = 0;
    while (rest.len > 0) {
        size_t dot = span_find(rest, '.', 0);
        CHECK(count < PARTS_MAX);
        parts[count++] = span_cut(rest, 0, dot);
        rest = span_cut(rest, dot + 1, rest.len);
    }
    return count;
}

/* What stands behind the setting's name in the sample: its default, or an example. */
static const char *sample_value(const struct settings_row *row)
{
    bool is_given = row->fallback != NULL && row->fallback[0] != '\0';
    bool has_example =
        (row->kind <= SETTINGS_PAIRS || row->kind == SETTINGS_MOMENT) && row->least[0] != '\0';
    if (row->kind == SETTINGS_PRICE && !is_given) {
        return "0.20"; /* whoever takes each # away has no model that is free by accident */
    }
    if (is_given && !(has_example && row->kind == SETTINGS_TEXTS)) {
        return row->fallback;
    }
    return has_example ? row->least : "\"\"";
}

static void put_help(const struct settings_row *row, int indent, struct buf *out)
{
    struct buf text;
    buf_init(&text, 2048);
    buf_printf(&text, "%s. ", row->help);
    if (row->most[0] != '\0') {
        bool has_none = row->fallback != NULL && row->fallback[0] == '\0';
        buf_printf(&text, "%s to %s%s.", row->least, row->most,
                   has_none ? "; none by default" : "");
    } else if (row->kind >= SETTINGS_CHOICE) {
        settings_put_choices(row, &text);
        buf_put_byte(&text, '.');
    } else if (row->fallback == NULL) {
        buf_put_text(&text, "Must be given.");
    } else if (row->fallback[0] == '\0') {
        buf_put_text(&text, "None by default.");
    }
    put_comment(out, indent, span_trim(buf_span(&text)));
    buf_fini(&text);
}

static bool is_list_part(struct span part)
{
    return part.len > 2 && part.at[part.len - 1] == ']';
}

/* The column in which the name of part `i` stands: two further in with each part before it, and
 * two more behind the dash of each list. */
static int column_of(const struct span *parts, size_t i)
{
    int column = 0;
    for (size_t p = 0; p < i; p++) {
        column += is_list_part(parts[p]) ? 4 : 2;
    }
    return column;
}

/* The collection whose items part `i` of the path stands for, or NULL. */
static const struct settings_collection *collection_at(const struct span *parts, size_t i)
{
    bool is_list = is_list_part(parts[i]);
    if (!is_list && !span_is(parts[i], "*")) {
        return NULL;
    }
    size_t behind = is_list ? parts[i].len - 2 : 0; /* the key, without "[]"; of ".*" nothing */
    const uint8_t *end = is_list ? parts[i].at + behind : parts[i].at - 1;
    char path[128];
    span_copy_text(span_make(parts[0].at, (size_t)(end - parts[0].at)), path, sizeof(path));
    return settings_collection_find(&settings_main, path);
}

/* What opens a section or a list: its name, below what it is for. */
static void put_opening(const struct span *parts, size_t i, bool is_comment, struct buf *out)
{
    char name[64];
    const struct settings_collection *c = collection_at(parts, i);
    struct span key = span_cut(parts[i], 0, span_find(parts[i], '[', 0));
    int column = column_of(parts, i);
    span_copy_text(key, name, sizeof(name));
    if (i == 0) {
        const struct settings_section *section = settings_section_find(&settings_main, name);
        c = c == NULL ? settings_collection_find(&settings_main, name) : c;
        buf_put_byte(out, '\n');
        put_comment(out, 0, span_of(c != NULL ? c->help : section->help));
    } else if (c != NULL) {
        put_comment(out, column, span_of(c->help));
    }
    buf_printf(out, "%*s%s%s:\n", column, "", is_comment ? "#" : "", name);
}

/* The lines that open what the row stands in and the row before it does not. */
static void put_parents(const struct settings_row *row, const struct span *parts, size_t depth,
                        const struct span *before, size_t depth_before, struct buf *out)
{
    bool is_in_collection = settings_collection_of(&settings_main, row->path) != NULL;
    size_t i = 0;
    while (i + 1 < depth && i < depth_before && span_equal(parts[i], before[i])) {
        i++;
    }
    for (; i + 1 < depth; i++) {
        const struct settings_collection *c = collection_at(parts, i);
        if (c != NULL && !settings_is_list(c)) {
            buf_printf(out, "%*s#%s:\n", column_of(parts, i), "", c->example);
        } else {
            put_opening(parts, i, is_in_collection && i > 0, out);
        }
    }
}

/* A path in double quotes where YAML could read it as something else. */
static void put_quoted(const char *text, struct buf *out)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
    if ((text[0] == '/' || text[0] == '.') && strspn(text, safe) == strlen(text)) {
        buf_put_text(out, text);
        return;
    }
    buf_put_byte(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            buf_put_byte(out, '\\');
        }
        buf_put_byte(out, (uint8_t)*text);
    }
    buf_put_byte(out, '"');
}

static void put_setting(const struct settings_row *row, const struct span *parts, size_t depth,
                        bool first_of_item, const char *data, struct buf *out)
{
    int indent = column_of(parts, depth - 1);
    bool has_dash = first_of_item && depth > 1 && is_list_part(parts[depth - 2]);
    struct span name = parts[depth - 1];
    if (strcmp(row->path, "data") == 0) {
        put_help(row, indent, out);
        buf_put_text(out, "data: ");
        put_quoted(data, out);
        buf_put_byte(out, '\n');
        return;
    }
    indent -= has_dash ? 2 : 0;
    put_help(row, indent, out);
    buf_printf(out, "%*s#%s%.*s: %s\n", indent, "", has_dash ? "- " : "", SPAN_ARGS(name),
               sample_value(row));
}

/* Whether no row before it is of the same item: its line has the dash. */
static bool is_first_of_item(const struct settings_row *row)
{
    const struct settings_collection *c = settings_collection_of(&settings_main, row->path);
    for (const struct settings_row *r = settings_main.rows; r < row; r++) {
        if (settings_collection_of(&settings_main, r->path) == c) {
            return false;
        }
    }
    return true;
}

void settings_write_sample(const char *data, struct buf *out)
{
    struct span before[PARTS_MAX] = {{NULL, 0}};
    size_t depth_before = 0;
    buf_put_text(
        out, "# The configuration of Atlas. Every setting stands here with its default; take the "
             "# away\n"
             "# before the ones to change. `atlas config check` says whether the file is "
             "valid,\n"
             "# `atlas config reference` prints the manual. Texts may hold ${NAME} for an\n"
             "# environment variable, or be file:PATH for the contents of a file.\n\n");
    for (size_t i = 0; i < settings_main.rows_count; i++) {
        const struct settings_row *row = &settings_main.rows[i];
        struct span parts[PARTS_MAX] = {{NULL, 0}};
        size_t depth = split(row->path, parts);
        bool first_of_item = i == 0 || is_first_of_item(row);
        put_parents(row, parts, depth, before, depth_before, out);
        put_setting(row, parts, depth, first_of_item, data, out);
        memcpy(before, parts, sizeof(parts));
        depth_before = depth;
    }
}

/* A cell of a Markdown table: '|' would end it. */
static void put_cell(struct buf *out, struct span text)
{
    CHECK(text.at != NULL);
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '|' || text.at[i] == '*' || text.at[i] == '<') {
            buf_put_byte(out, '\\');
        }
        buf_put_byte(out, text.at[i]);
    }
}

static void put_reference_row(const struct settings_row *row, struct buf *out)
{
    struct buf takes;
    buf_init(&takes, 1024);
    settings_describe(row, &takes);
    buf_printf(out, "| `%s` | ", row->path);
    put_cell(out, buf_span(&takes));
    buf_fini(&takes);
    if (row->fallback == NULL) {
        buf_put_text(out, " | must be given");
    } else if (row->fallback[0] == '\0') {
        buf_put_text(out, " | none");
    } else {
        buf_printf(out, " | `%s`", row->fallback);
    }
    buf_printf(out, " | %s | ", row->takes == SETTINGS_RELOAD ? "reload" : "restart");
    put_cell(out, span_of(row->help));
    buf_put_text(out, " |\n");
}

/* A section's heading, what it is for, and the head of its table. */
static void put_reference_section(const char *top, struct buf *out)
{
    const struct settings_collection *c = settings_collection_find(&settings_main, top);
    const struct settings_section *s = settings_section_find(&settings_main, top);
    buf_printf(out, "\n## %s\n\n", top[0] == '\0' ? "The installation" : top);
    if (c != NULL || s != NULL) {
        put_cell(out, span_of(c != NULL ? c->help : s->help));
        buf_put_text(out, ".\n\n");
    }
    buf_put_text(out, "| setting | takes | default | from | what for |\n"
                      "| --- | --- | --- | --- | --- |\n");
}

/* A collection within another, or within a section. */
static void put_reference_collection(const struct settings_collection *c, struct buf *out)
{
    buf_printf(out, "| `%s` | a %s, at most %zu | none | reload | ", c->path,
               settings_is_list(c) ? "list" : "mapping", c->most);
    put_cell(out, span_of(c->help));
    buf_put_text(out, " |\n");
}

void settings_write_reference(struct buf *out)
{
    char section[32] = "?";
    buf_put_text(
        out,
        "# Settings\n\n"
        "Written by `atlas config reference` from src/settings/settings.def; do not edit.\n\n"
        "The configuration is one YAML file. `a.b` is the key `b` in the section `a`; `a[].b` "
        "stands "
        "in each item of the\nlist `a`; `a.*.b` in each entry of the mapping `a`, whose keys you "
        "choose. A setting that takes effect on *reload*\nchanges with SIGHUP, one on *restart* "
        "with "
        "the next start. Any text may hold `${NAME}`, the value of an\nenvironment variable "
        "(`$${` for the characters themselves), or be `file:PATH`, the contents of a file.\n"
        "Anchors, aliases and tags of YAML are not supported.\n");
    const struct settings_collection *inner = NULL;
    for (size_t i = 0; i < settings_main.rows_count; i++) {
        const struct settings_row *row = &settings_main.rows[i];
        const struct settings_collection *own = settings_collection_of(&settings_main, row->path);
        char top[32];
        size_t len = strcspn(row->path, ".[");
        span_copy_text(span_make(row->path, row->path[len] == '\0' ? 0 : len), top, sizeof(top));
        if (strcmp(top, section) != 0) {
            put_reference_section(top, out);
            memcpy(section, top, sizeof(section));
            inner = own;
        }
        if (own != inner && own != NULL) {
            put_reference_collection(own, out);
        }
        inner = own;
        put_reference_row(row, out);
    }
}
