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
#define PARTS_MAX    4 /* of a path */

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
    bool has_example = row->kind <= SETTINGS_TEXTS && row->least[0] != '\0';
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
        buf_printf(&text, "%s to %s.", row->least, row->most);
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

/* The lines that open what the row stands in and the row before it does not. */
static void put_parents(const struct settings_row *row, const struct span *parts, size_t depth,
                        const struct span *before, size_t depth_before, struct buf *out)
{
    const struct settings_collection *c = settings_collection_of(row->path);
    bool is_comment = false;
    size_t i = 0;
    while (i + 1 < depth && i < depth_before && span_equal(parts[i], before[i])) {
        is_comment = is_comment || c != NULL;
        i++;
    }
    for (; i + 1 < depth; i++) {
        int indent = (int)(2 * i);
        struct span name = parts[i];
        if (i == 0) {
            char top[32];
            struct span key = span_cut(name, 0, span_find(name, '[', 0));
            span_copy_text(key, top, sizeof(top));
            const struct settings_section *section = settings_section_find(top);
            buf_put_byte(out, '\n');
            put_comment(out, 0, span_of(c != NULL ? c->help : section->help));
            buf_printf(out, "%s:\n", top);
            is_comment = c != NULL;
        } else if (span_is(name, "*")) {
            buf_printf(out, "%*s#%s:\n", indent, "", c->example);
        } else {
            indent += c != NULL && settings_is_list(c) ? 2 : 0; /* further in than the dash */
            buf_printf(out, "%*s%s%.*s:\n", indent, "", is_comment ? "#" : "", SPAN_ARGS(name));
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
    int indent = (int)(2 * (depth - 1));
    bool in_list = strstr(row->path, "[]") != NULL;
    struct span name = parts[depth - 1];
    if (strcmp(row->path, "data") == 0) {
        put_help(row, indent, out);
        buf_put_text(out, "data: ");
        put_quoted(data, out);
        buf_put_byte(out, '\n');
        return;
    }
    /* An item's keys stand two columns further in than its dash. */
    put_help(row, in_list && !first_of_item ? indent + 2 : indent, out);
    if (in_list && first_of_item) {
        buf_printf(out, "%*s#- %.*s: %s\n", indent, "", SPAN_ARGS(name), sample_value(row));
    } else {
        buf_printf(out, "%*s#%.*s: %s\n", in_list ? indent + 2 : indent, "", SPAN_ARGS(name),
                   sample_value(row));
    }
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
    for (size_t i = 0; i < settings_rows_count; i++) {
        const struct settings_row *row = &settings_rows[i];
        struct span parts[PARTS_MAX] = {{NULL, 0}};
        size_t depth = split(row->path, parts);
        const struct settings_collection *c = settings_collection_of(row->path);
        bool first_of_item = i == 0 || settings_collection_of(settings_rows[i - 1].path) != c;
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
    for (size_t i = 0; i < settings_rows_count; i++) {
        const struct settings_row *row = &settings_rows[i];
        char top[32];
        size_t len = strcspn(row->path, ".[");
        span_copy_text(span_make(row->path, row->path[len] == '\0' ? 0 : len), top, sizeof(top));
        if (strcmp(top, section) != 0) {
            const struct settings_collection *c = settings_collection_of(row->path);
            const struct settings_section *s = settings_section_find(top);
            buf_printf(out, "\n## %s\n\n", top[0] == '\0' ? "The installation" : top);
            if (c != NULL || s != NULL) {
                put_cell(out, span_of(c != NULL ? c->help : s->help));
                buf_put_text(out, ".\n\n");
            }
            buf_put_text(out, "| setting | takes | default | from | what for |\n"
                              "| --- | --- | --- | --- | --- |\n");
            memcpy(section, top, sizeof(section));
        }
        put_reference_row(row, out);
    }
}
