/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml/yaml_explain.h"

#include <stdio.h>

#define NAME_SHOWN 40 /* bytes of a line's first word */

/* The line numbered so, from 1, without its end. */
static struct span line_at(struct span text, uint32_t number)
{
    for (uint32_t i = 1; i < number && text.len > 0; i++) {
        text = span_cut(text, span_find(text, '\n', 0) + 1, text.len);
    }
    struct span line = span_cut(text, 0, span_find(text, '\n', 0));
    return line.len > 0 && line.at[line.len - 1] == '\r' ? span_cut(line, 0, line.len - 1) : line;
}

static size_t indent_of(struct span line)
{
    size_t indent = 0;
    while (indent < line.len && line.at[indent] == ' ') {
        indent++;
    }
    return indent;
}

static bool is_blank(struct span line)
{
    struct span rest = span_trim(line);
    return rest.len == 0 || rest.at[0] == '#';
}

/* The last line before this one that says something; 0: none. */
static uint32_t line_before(struct span text, uint32_t number)
{
    while (--number > 0) {
        if (!is_blank(line_at(text, number))) {
            return number;
        }
    }
    return 0;
}

/* Whether a tab stands before the first word of the line, or just there. */
static bool find_tab(struct span line, uint32_t column, uint32_t *out)
{
    size_t at = 0;
    while (at < line.len && line.at[at] == ' ') {
        at++;
    }
    if (at < line.len && line.at[at] == '\t') {
        *out = (uint32_t)at + 1;
        return true;
    }
    *out = column;
    return column > 0 && column <= line.len && line.at[column - 1] == '\t';
}

static bool ends_with_colon(struct span line)
{
    struct span rest = span_trim(line);
    return rest.len > 0 && rest.at[rest.len - 1] == ':';
}

static bool explain_tab(struct span text, const struct yaml_complaint *c, struct ytree_problem *out)
{
    const struct ytree_place places[] = {c->place, {c->place.line, 0}, c->context};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        uint32_t column;
        if (places[i].line > 0 &&
            find_tab(line_at(text, places[i].line), places[i].column, &column)) {
            out->place = (struct ytree_place){places[i].line, column};
            (void)snprintf(out->sentence, sizeof(out->sentence),
                           "this is a tab, and YAML indents with spaces only; put spaces in its "
                           "place"); /* fits */
            return true;
        }
    }
    return false;
}

static bool say_no_colon(struct span line, struct ytree_place place, struct ytree_problem *out)
{
    struct span word = span_cut(span_trim(line), 0, NAME_SHOWN);
    out->place = place;
    (void)snprintf(out->sentence, sizeof(out->sentence),
                   "`%.*s` has no `: ` behind it; a setting is a name, a colon, a blank and its "
                   "value",
                   SPAN_ARGS(span_cut(word, 0, span_find(word, ' ', 0)))); /* cut to fit */
    return true;
}

/* A line that is indented deeper than the one above, which has its value already. */
static bool explain_deeper(struct span text, const struct yaml_complaint *c,
                           struct ytree_problem *out)
{
    uint32_t before = line_before(text, c->place.line);
    struct span line = line_at(text, c->place.line), above = line_at(text, before);
    size_t indent = indent_of(line);
    if (strstr(c->problem, "mapping values are not allowed") == NULL) {
        return false;
    }
    out->place = (struct ytree_place){c->place.line, (uint32_t)indent + 1};
    if (before > 0 && indent > indent_of(above) && !ends_with_colon(above)) {
        (void)snprintf(out->sentence, sizeof(out->sentence),
                       "this line is indented by %zu and line %u, which has its value already, "
                       "by %zu; give both the same indent",
                       indent, before, indent_of(above)); /* fits */
        return true;
    }
    if (before > 0 && indent == indent_of(above) && span_find(above, ':', 0) == above.len) {
        return say_no_colon(above, (struct ytree_place){before, (uint32_t)indent + 1}, out);
    }
    if (span_find(line, ':', 0) + 1 >= c->place.column) {
        return false;
    }
    out->place = c->place;
    (void)snprintf(out->sentence, sizeof(out->sentence),
                   "a second `: ` in one line; put the value in quotes"); /* fits */
    return true;
}

/* A line whose indent is less than that of the one above, and that of no other. */
static bool explain_stray(struct span text, const struct yaml_complaint *c,
                          struct ytree_problem *out)
{
    struct span line = line_at(text, c->place.line);
    size_t indent = indent_of(line);
    bool is_stray = strstr(c->problem, "did not find expected key") != NULL ||
                    strstr(c->problem, "did not find expected '-' indicator") != NULL ||
                    strstr(c->problem, "did not find expected <document start>") != NULL;
    if (!is_stray || is_blank(line) || c->place.column != indent + 1) {
        return false;
    }
    uint32_t before = line_before(text, c->place.line);
    size_t above = before == 0 ? 0 : indent_of(line_at(text, before));
    for (uint32_t at = before; at > 0 && indent_of(line_at(text, at)) != indent;) {
        at = line_before(text, at);
        if (at > 0 && indent_of(line_at(text, at)) < indent) {
            out->place = c->place;
            (void)snprintf(out->sentence, sizeof(out->sentence),
                           "this line is indented by %zu, line %u by %zu and line %u by %zu; give "
                           "it the indent of the line it stands beside",
                           indent, before, above, at, indent_of(line_at(text, at))); /* fits */
            return true;
        }
    }
    if (before > 0 && above != indent) {
        out->place = c->place;
        (void)snprintf(out->sentence, sizeof(out->sentence),
                       "this line is indented by %zu and line %u by %zu; give it the indent of "
                       "the line it stands beside",
                       indent, before, above); /* fits */
        return true;
    }
    return false;
}

/* A name that no colon follows. */
static bool explain_no_colon(struct span text, const struct yaml_complaint *c,
                             struct ytree_problem *out)
{
    if (strstr(c->problem, "could not find expected ':'") == NULL || c->context.line == 0) {
        return false;
    }
    return say_no_colon(line_at(text, c->context.line), c->context, out);
}

bool yaml_explain(struct span text, const struct yaml_complaint *c, struct ytree_problem *out)
{
    return explain_tab(text, c, out) || explain_deeper(text, c, out) ||
           explain_stray(text, c, out) || explain_no_colon(text, c, out);
}
