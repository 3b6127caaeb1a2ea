/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and tags of a request become lines, as the store keeps them. A line is written as it is
 * read; what is wrong with any of them is wrong with all.
 */
#include <stdio.h>
#include <stdlib.h>

#include "admin/admin_reading.h"
#include "base/arena.h"

#define WHAT_BYTES    192
#define TAG_KEY_BYTES 63
#define TAGS_MAX      16 /* of a key (admin_objects.def) */

static enum err refuse_names(const struct reading *r, const struct admin_field *f)
{
    char what[WHAT_BYTES];
    (void)snprintf(what, sizeof(what),
                   "a list of at most %lld different texts of 1 to %lld bytes without control "
                   "characters, %d bytes in all",
                   (long long)f->least, (long long)f->most, ADMIN_LINES_BYTES);
    return admin_reading_refuse(r, f, what);
}

static enum err refuse_tags(const struct reading *r, const struct admin_field *f)
{
    char what[WHAT_BYTES];
    (void)snprintf(what, sizeof(what),
                   "an object of at most %lld texts of at most %lld bytes without control "
                   "characters; their names are 1 to %d of A-Z a-z 0-9 _ . -",
                   (long long)f->least, (long long)f->most, TAG_KEY_BYTES);
    return admin_reading_refuse(r, f, what);
}

/* Whether one of the lines is `name`. */
static bool has_line(struct span lines, struct span name)
{
    for (size_t at = 0; at < lines.len;) {
        size_t end = span_find(lines, '\n', at);
        if (span_equal(span_cut(lines, at, end - at), name)) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

/* Puts a text behind the lines; false: there is no room. */
static bool add(struct span *lines, uint8_t room[ADMIN_LINES_BYTES], struct span text)
{
    if (text.len > ADMIN_LINES_BYTES - lines->len) {
        return false;
    }
    if (text.len > 0) {
        memcpy(room + lines->len, text.at, text.len);
    }
    *lines = span_make(room, lines->len + text.len);
    return true;
}

/* Reads a text of `least` to the field's most bytes. */
static enum err read_item(const struct reading *r, const struct admin_field *f, uint32_t row,
                          size_t least, struct span *out)
{
    if (json_kind(&r->x, row) != JSON_STRING) {
        return ERR_VALUE_INVALID;
    }
    enum err e = json_text(&r->x, row, r->asked->arena, out);
    if (e != ERR_OK) {
        return e;
    }
    return out->len >= least && out->len <= (size_t)f->most && !admin_has_control(*out)
               ? ERR_OK
               : ERR_VALUE_INVALID;
}

static enum err take_names(const struct reading *r, const struct admin_field *f, uint32_t row,
                           uint8_t room[ADMIN_LINES_BYTES], struct span *lines)
{
    struct span name;
    enum err e = json_count_most(&r->x, row, (uint32_t)f->least + 1) <= (uint32_t)f->least
                     ? ERR_OK
                     : ERR_VALUE_INVALID;
    for (uint32_t item = json_first(&r->x, row); e == ERR_OK && item != JSON_NONE;
         item = json_next(&r->x, item)) {
        e = read_item(r, f, item, 1, &name);
        if (e == ERR_OK &&
            (has_line(*lines, name) || (lines->len > 0 && !add(lines, room, SPAN("\n"))) ||
             !add(lines, room, name))) {
            e = ERR_VALUE_INVALID;
        }
    }
    return e;
}

enum err admin_read_names(const struct reading *r, const struct admin_field *f, uint32_t row,
                          struct span *out)
{
    uint8_t *room = arena_alloc(r->asked->arena, ADMIN_LINES_BYTES);
    struct span lines = {room, 0};
    if (room == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = json_kind(&r->x, row) == JSON_ARRAY ? take_names(r, f, row, room, &lines)
                                                     : ERR_VALUE_INVALID;
    *out = lines;
    return e == ERR_VALUE_INVALID ? refuse_names(r, f) : e;
}

struct tag {
    struct span key, value;
};

static int by_key(const void *a, const void *b)
{
    struct span one = ((const struct tag *)a)->key, other = ((const struct tag *)b)->key;
    size_t len = one.len < other.len ? one.len : other.len;
    int order = memcmp(one.at, other.at, len);
    return order != 0 ? order : (one.len > other.len) - (one.len < other.len);
}

bool admin_is_tag_name(struct span key)
{
    for (size_t i = 0; i < key.len; i++) {
        uint8_t c = key.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '-') {
            return false;
        }
    }
    return key.len > 0 && key.len <= TAG_KEY_BYTES;
}

/* Reads the members of the object into `tags`, of which there are as many as the field lets. */
static enum err take_tags(const struct reading *r, const struct admin_field *f, uint32_t row,
                          struct tag *tags, size_t *count)
{
    enum err e = ERR_OK;
    *count = 0;
    for (uint32_t key = json_first(&r->x, row); e == ERR_OK && key != JSON_NONE;
         key = json_next(&r->x, key)) {
        if (*count == (size_t)f->least) {
            return ERR_VALUE_INVALID;
        }
        struct tag *tag = &tags[(*count)++];
        uint32_t value = json_value(&r->x, key);
        bool is_taken_away = r->asked->use == ADMIN_CHANGES && json_kind(&r->x, value) == JSON_NULL;
        tag->value = (struct span){NULL, 0};
        e = json_text(&r->x, key, r->asked->arena, &tag->key);
        if (e == ERR_OK) {
            e = !admin_is_tag_name(tag->key) ? ERR_VALUE_INVALID
                : is_taken_away              ? ERR_OK
                                             : read_item(r, f, value, 0, &tag->value);
        }
    }
    return e;
}

static bool write_lines(const struct tag *tags, size_t count, uint8_t room[ADMIN_LINES_BYTES],
                        struct span *lines)
{
    for (size_t i = 0; i < count; i++) {
        if ((i > 0 && !add(lines, room, SPAN("\n"))) || !add(lines, room, tags[i].key) ||
            (tags[i].value.at != NULL &&
             (!add(lines, room, SPAN("=")) || !add(lines, room, tags[i].value)))) {
            return false;
        }
    }
    return true;
}

enum err admin_read_tags(const struct reading *r, const struct admin_field *f, uint32_t row,
                         struct span *out)
{
    size_t count = 0;
    uint32_t twice = JSON_NONE;
    uint8_t *room = arena_alloc(r->asked->arena, ADMIN_LINES_BYTES);
    struct tag *tags = arena_alloc(r->asked->arena, ((size_t)f->least + 1) * sizeof(*tags));
    struct span lines = {room, 0};
    if (room == NULL || tags == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = json_kind(&r->x, row) == JSON_OBJECT ? json_first_duplicate(&r->x, row, &twice)
                                                      : ERR_VALUE_INVALID;
    if (e == ERR_OK && twice != JSON_NONE) {
        return admin_fault_say(r->asked->fault, ERR_JSON_DUPLICATE, span_of(f->name),
                               "'%s' gives a tag twice", f->name);
    }
    if (e == ERR_OK) {
        e = take_tags(r, f, row, tags, &count);
    }
    if (e == ERR_OK) {
        qsort(tags, count, sizeof(*tags), by_key);
        e = write_lines(tags, count, room, &lines) ? ERR_OK : ERR_VALUE_INVALID;
    }
    *out = lines;
    return e == ERR_VALUE_INVALID ? refuse_tags(r, f) : e;
}

/* ---- merging ---- */

/* The first line of `rest`, which is cut off it. */
static struct span take_line(struct span *rest)
{
    struct span line = span_cut(*rest, 0, span_find(*rest, '\n', 0));
    *rest = span_cut(*rest, line.len + 1, rest->len);
    return line;
}

/* The name in the first line. */
static struct tag first_of(struct span lines)
{
    struct span line = span_cut(lines, 0, span_find(lines, '\n', 0));
    return (struct tag){span_cut(line, 0, span_find(line, '=', 0)), {NULL, 0}};
}

/* The next of two lists that are in order, the patch's where both have it. */
static struct span take_next(struct span *before, struct span *patch)
{
    const struct tag there = first_of(*before), given = first_of(*patch);
    int order = before->len == 0 ? 1 : patch->len == 0 ? -1 : by_key(&there, &given);
    if (order == 0) {
        (void)take_line(before);
    }
    return take_line(order < 0 ? before : patch);
}

bool admin_tags_merge(struct span before, struct span patch, struct arena *arena, struct span *out)
{
    uint8_t *room = arena_alloc(arena, ADMIN_LINES_BYTES);
    size_t count = 0;
    bool fits = room != NULL;
    *out = span_make(room, 0);
    before = patch.at == NULL ? SPAN("") : before;
    while (fits && before.len + patch.len > 0) {
        struct span line = take_next(&before, &patch);
        if (span_find(line, '=', 0) == line.len) {
            continue;
        }
        fits = ++count <= TAGS_MAX && (out->len == 0 || add(out, room, SPAN("\n"))) &&
               add(out, room, line);
    }
    return fits;
}
