/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a YAML value to a field: ${NAME} becomes the environment's value, file:PATH the file's
 * contents, and relative paths absolute ones. What a problem shows is what stands in the file,
 * never what came from the environment, and nothing at all of a secret.
 */
#include "settings/settings_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "settings/settings_value.h"
#include "text/text_near.h"

#define NAME_BYTES_MAX  128 /* of an environment variable's name */
#define VALUE_BYTES_MAX (64u << 10)

/* One value on its way: what names it in problems, and its text so far. */
struct value {
    const char *shown;
    struct span written; /* as it stands in the file */
    struct ytree_place place;
    struct buf *text;
};

/* Puts the value of the variable that the braces at `s` name; *after: what follows them. */
static bool put_variable(struct settings_loader *l, const struct value *v, struct span s,
                         struct span *after)
{
    char name[NAME_BYTES_MAX];
    size_t close = span_find(s, '}', 0);
    if (close == s.len || close == 0 || close >= sizeof(name)) {
        settings_problem(l, v->place,
                         "%s: ${ needs the name of a variable and a }; write $${ for "
                         "the characters themselves",
                         v->shown);
        return false;
    }
    span_copy_text(span_cut(s, 0, close), name, sizeof(name));
    const char *value = secure_getenv(name);
    if (value == NULL || value[0] == '\0') {
        settings_problem(l, v->place,
                         "%s: the environment variable %s is %s; set it before starting Atlas",
                         v->shown, name, value == NULL ? "not set" : "empty");
        return false;
    }
    buf_put_text(v->text, value);
    *after = span_cut(s, close + 1, s.len);
    return true;
}

static bool expand_variables(struct settings_loader *l, const struct value *v, struct span s)
{
    size_t dollar = span_find(s, '$', 0);
    while (dollar < s.len) {
        struct span rest = span_cut(s, dollar, s.len);
        buf_put(v->text, span_cut(s, 0, dollar));
        if (span_starts(rest, SPAN("$${"))) {
            buf_put_text(v->text, "${");
            s = span_cut(rest, 3, rest.len);
        } else if (!span_starts(rest, SPAN("${"))) {
            buf_put_byte(v->text, '$');
            s = span_cut(rest, 1, rest.len);
        } else if (!put_variable(l, v, span_cut(rest, 2, rest.len), &s)) {
            return false;
        }
        dollar = span_find(s, '$', 0);
    }
    buf_put(v->text, s);
    return true;
}

static ssize_t read_all(int fd, uint8_t *out, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, out + len, size - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    return (ssize_t)len;
}

/* Where the text comes from, as problems show it: the whole path, but for what the file does not
 * say itself. */
static const char *shown_path(struct settings_loader *l, const struct value *v, const char *path)
{
    bool is_expanded = span_find(v->written, '$', 0) < v->written.len;
    const char *shown = is_expanded ? (const char *)arena_copy(l->scratch, v->written).at : path;
    return shown == NULL ? "the file" : shown;
}

/* Replaces the text "file:PATH" by the file's contents without the line ends behind them. */
static bool expand_file(struct settings_loader *l, const struct value *v)
{
    struct span text = buf_span(v->text);
    char name[SETTINGS_TEXT_BYTES_MAX];
    span_copy_text(span_cut(text, 5, text.len), name, sizeof(name));
    const char *path = settings_join(l->scratch, l->file->folder, name);
    buf_clear(v->text);
    uint8_t *room = buf_reserve(v->text, VALUE_BYTES_MAX);
    if (path == NULL || room == NULL) {
        l->out_of_memory = true;
        return false;
    }
    int fd = -1;
    ssize_t len = -1;
    const char *why;
    if (file_open(path, &fd, &why) == ERR_OK) {
        len = read_all(fd, room, VALUE_BYTES_MAX);
        why = strerrordesc_np(errno);
        (void)close(fd); /* only read from */
    }
    if (len < 0) {
        settings_note_unread(l);
        settings_problem(l, v->place, "%s: %s cannot be read: %s", v->shown, shown_path(l, v, path),
                         why);
        return false;
    }
    while (len > 0 && (room[len - 1] == '\n' || room[len - 1] == '\r')) {
        len--;
    }
    buf_added(v->text, (size_t)len);
    if (len > SETTINGS_TEXT_BYTES_MAX) {
        settings_problem(l, v->place, "%s: %s holds more than %d bytes", v->shown,
                         shown_path(l, v, path), SETTINGS_TEXT_BYTES_MAX);
        return false;
    }
    if (len == 0 || memchr(room, '\0', (size_t)len) != NULL) {
        settings_problem(l, v->place, "%s: %s %s", v->shown, shown_path(l, v, path),
                         len == 0 ? "is empty" : "holds a NUL byte");
        return false;
    }
    return true;
}

const char *settings_join(struct arena *arena, const char *folder, const char *path)
{
    if (path[0] == '/') {
        return (const char *)arena_copy(arena, span_of(path)).at;
    }
    while (strncmp(path, "./", 2) == 0) {
        path += 2;
    }
    size_t size = strlen(folder) + 1 + strlen(path) + 1;
    char *joined = arena_alloc(arena, size);
    if (joined != NULL) {
        snprintf(joined, size, "%s%s%s", folder, strcmp(folder, "/") == 0 ? "" : "/", path);
    }
    return joined;
}

static bool is_texts(enum settings_kind kind)
{
    return kind <= SETTINGS_TEXTS;
}

#define CHOICES_MAX 16

/* The choice that was probably meant, in `out`; false if none is near. */
static bool find_meant(const struct settings_row *row, struct span text, char out[32])
{
    char words[CHOICES_MAX][32];
    const char *pointers[CHOICES_MAX];
    size_t count = 0;
    if (row->kind != SETTINGS_CHOICE && row->kind != SETTINGS_CHOICES) {
        return false;
    }
    for (struct span rest = span_of(row->least); rest.len > 0 && count < CHOICES_MAX; count++) {
        size_t bar = span_find(rest, '|', 0);
        span_copy_text(span_cut(rest, 0, bar), words[count], sizeof(words[count]));
        pointers[count] = words[count];
        rest = span_cut(rest, bar + 1, rest.len);
    }
    const char *meant = text_nearest(text, pointers, count);
    if (meant != NULL) {
        span_copy_text(span_of(meant), out, sizeof(words[0]));
    }
    return meant != NULL;
}

/* Says what the setting takes, and what it was given unless that is a secret. */
static void mistyped(struct settings_loader *l, const struct settings_row *row,
                     const struct ytree_node *node, const char *shown)
{
    struct buf takes;
    buf_init(&takes, 1024);
    settings_describe(row, &takes);
    struct span words = buf_span(&takes);
    char meant[32];
    bool has_password = row->kind == SETTINGS_SECRET ||
                        (row->kind == SETTINGS_URL &&
                         (span_find(node->text, '@', 0) < node->text.len ||
                          span_find(node->text, '?', 0) < node->text.len)); /* ?key=… */
    if (node->kind != YTREE_SCALAR || has_password) {
        settings_problem(l, node->place, "%s takes %.*s%s", shown, SPAN_ARGS(words),
                         has_password && row->kind == SETTINGS_URL ? "; a key stands in `api_key:`"
                                                                   : "");
    } else if (find_meant(row, node->text, meant)) {
        settings_problem(l, node->place, "%s takes %.*s, not '%.*s' — did you mean '%s'?", shown,
                         SPAN_ARGS(words), SPAN_ARGS(span_cut_text(node->text, 64)), meant);
    } else {
        settings_problem(l, node->place, "%s takes %.*s, not '%.*s'", shown, SPAN_ARGS(words),
                         SPAN_ARGS(span_cut_text(node->text, 64)));
    }
    buf_fini(&takes);
}

/* Reads one scalar into `field`. */
static void assign_scalar(struct settings_loader *l, const struct settings_row *row,
                          const struct ytree_node *node, const char *shown, void *field)
{
    struct buf text;
    buf_init(&text, 4 * VALUE_BYTES_MAX);
    const struct value v = {shown, node->text, node->place, &text};
    bool ok = expand_variables(l, &v, node->text);
    if (ok && is_texts(row->kind) && span_starts(node->text, SPAN("file:"))) {
        ok = expand_file(l, &v);
    }
    l->out_of_memory = l->out_of_memory || buf_failed(&text);
    if (ok && !l->out_of_memory) {
        enum err e = settings_value_read(row, buf_span(&text), l->arena, field);
        if (e == ERR_CONFIG) {
            mistyped(l, row, node, shown);
        }
        l->out_of_memory = e == ERR_NO_MEMORY;
    }
    if (text.at != NULL) {
        explicit_bzero(text.at, text.cap);
    }
    buf_fini(&text);
}

static void make_path_absolute(struct settings_loader *l, void *field)
{
    const char *path;
    memcpy(&path, field, sizeof(path));
    if (path != NULL && path[0] != '\0') {
        path = settings_join(l->arena, l->file->folder, path);
        l->out_of_memory = l->out_of_memory || path == NULL;
        memcpy(field, &path, sizeof(path));
    }
}

static void assign_list(struct settings_loader *l, const struct settings_row *row,
                        const struct ytree_node *node, const char *shown, void *field)
{
    if (node->kind != YTREE_LIST) {
        mistyped(l, row, node, shown);
        return;
    }
    memset(field, 0, row->kind == SETTINGS_TEXTS ? sizeof(struct texts) : sizeof(uint32_t));
    for (const struct ytree_node *item = node->first; item != NULL; item = item->next) {
        if (item->kind != YTREE_SCALAR || ytree_is_null(item)) {
            mistyped(l, row, item, shown);
        } else {
            assign_scalar(l, row, item, shown, field);
        }
    }
}

/* One name of a mapping and its value; false: it has none. */
static bool assign_pair(struct settings_loader *l, const struct ytree_node *node, const char *shown,
                        struct pair *out)
{
    if (node->kind != YTREE_SCALAR || ytree_is_null(node)) {
        settings_problem(l, node->place, "%s.%.*s takes one value", shown,
                         SPAN_ARGS(span_cut_text(node->key, 64)));
        return false;
    }
    out->name = (const char *)arena_copy(l->arena, node->key).at;
    out->value = (const char *)arena_copy(l->arena, node->text).at;
    l->out_of_memory = l->out_of_memory || out->name == NULL || out->value == NULL;
    return !l->out_of_memory;
}

/* What the names and values mean is asked when all of the file is read. */
static void assign_pairs(struct settings_loader *l, const struct settings_row *row,
                         const struct ytree_node *node, const char *shown, void *field)
{
    if (node->kind != YTREE_MAP) {
        mistyped(l, row, node, shown);
        return;
    }
    struct pair *pairs = arena_new(l->arena, (node->count + 1) * sizeof(*pairs));
    struct pairs out = {pairs, 0};
    l->out_of_memory = l->out_of_memory || pairs == NULL;
    for (const struct ytree_node *c = node->first; c != NULL && !l->out_of_memory; c = c->next) {
        out.count += assign_pair(l, c, shown, &pairs[out.count]);
    }
    memcpy(field, &out, sizeof(out));
}

void settings_assign(struct settings_loader *l, const struct settings_row *row,
                     const struct ytree_node *node, const char *shown, char *base)
{
    void *field = base + row->offset;
    if (settings_value_is_list(row)) {
        assign_list(l, row, node, shown, field);
        return;
    }
    if (row->kind == SETTINGS_PAIRS && !ytree_is_null(node)) {
        assign_pairs(l, row, node, shown, field);
        return;
    }
    if (node->kind == YTREE_SCALAR && ytree_is_null(node)) {
        settings_problem(l, node->key_place,
                         "%s is given no value; leave the line out, or give one", shown);
        return;
    }
    if (node->kind != YTREE_SCALAR) {
        mistyped(l, row, node, shown);
        return;
    }
    assign_scalar(l, row, node, shown, field);
    if (row->kind == SETTINGS_PATH) {
        make_path_absolute(l, field);
    }
}

void settings_default(struct settings_loader *l, const struct settings_collection *collection,
                      char *item)
{
    const struct settings_table *t = l->file->table;
    for (size_t i = 0; i < t->rows_count && !l->out_of_memory; i++) {
        const struct settings_row *row = &t->rows[i];
        if (settings_collection_of(t, row->path) != collection) {
            continue;
        }
        enum err e = settings_value_default(row, l->arena, item + row->offset);
        l->out_of_memory = e == ERR_NO_MEMORY;
    }
}
