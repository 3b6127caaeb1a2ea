/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a file for later: its text, with `***` for each secret that is written in it, in
 * a comment, too. What names one (`${NAME}`, `file:PATH`) stays.
 */
#include <string.h>

#include "settings/settings_internal.h"

#define MASK SPAN("***")
#define BOM  SPAN("\xEF\xBB\xBF")

/* A text that is gone through once: libyaml counts characters, not bytes. */
struct keeping {
    const struct settings_table *table;
    struct span text;
    size_t at, character; /* how far it was copied */
    struct buf *out;
};

/* Whether some secret's setting is called so, in whatever section. */
static bool is_secret(const struct settings_table *t, struct span key)
{
    for (size_t i = 0; i < t->rows_count; i++) {
        const char *dot = strrchr(t->rows[i].path, '.');
        const char *name = dot == NULL ? t->rows[i].path : dot + 1;
        if (t->rows[i].kind == SETTINGS_SECRET && span_is(key, name)) {
            return true;
        }
    }
    return false;
}

/* Whether the text only says where the secret is. */
static bool is_reference(struct span text)
{
    bool is_variable = span_starts(text, SPAN("${")) && span_find(text, '}', 0) == text.len - 1;
    return span_starts(text, SPAN("file:")) || is_variable;
}

/* Goes on to a character; `is_kept`: what lies before it is copied. */
static void go_to(struct keeping *k, size_t character, bool is_kept)
{
    size_t from = k->at;
    while (k->at < k->text.len && k->character < character) {
        k->at++;
        k->character += k->at == k->text.len || (k->text.at[k->at] & 0xC0) != 0x80;
    }
    if (is_kept) {
        buf_put(k->out, span_cut(k->text, from, k->at - from));
    }
}

static void mask(struct keeping *k, const struct ytree_node *node)
{
    go_to(k, node->from, true);
    go_to(k, node->until, false);
    buf_put(k->out, MASK);
    if (k->at > 0 && k->text.at[k->at - 1] == '\n') { /* a block's last line ends in it */
        buf_put_byte(k->out, '\n');
    }
}

/* Goes through the tree in the order of the file. */
static void copy(struct keeping *k, const struct ytree_node *root)
{
    const struct ytree_node *open[YTREE_DEPTH_MAX + 1] = {root};
    size_t depth = 1;
    while (depth > 0) {
        const struct ytree_node *node = open[depth - 1];
        if (node == NULL) {
            depth--;
            continue;
        }
        open[depth - 1] = node->next;
        if (node->kind != YTREE_SCALAR) {
            open[depth++] = node->first;
        } else if (is_secret(k->table, node->key) && !is_reference(node->text)) {
            mask(k, node);
        }
    }
    go_to(k, SIZE_MAX, true);
}

/* Where in a line's comment the value of a secret begins; its end: there is none. */
static size_t find_in_comment(const struct settings_table *t, struct span line)
{
    size_t hash = span_find(line, '#', 0);
    for (size_t colon = span_find(line, ':', hash); colon < line.len;
         colon = span_find(line, ':', colon + 1)) {
        size_t to = colon;
        while (to > hash && strchr(" \"'", line.at[to - 1]) != NULL && line.at[to - 1] != 0) {
            to--;
        }
        size_t from = to;
        while (from > hash && (line.at[from - 1] == '_' || (line.at[from - 1] | 32) >= 'a')) {
            from--;
        }
        struct span value = span_trim(span_cut(line, colon + 1, line.len));
        if (is_secret(t, span_cut(line, from, to - from)) && value.len > 0 &&
            !is_reference(value)) {
            return (size_t)(value.at - line.at);
        }
    }
    return line.len;
}

static void mask_comments(const struct settings_table *t, struct span text, struct buf *out)
{
    while (text.len > 0) {
        size_t end = span_find(text, '\n', 0);
        struct span line = span_cut(text, 0, end);
        size_t secret = find_in_comment(t, line);
        buf_put(out, span_cut(line, 0, secret));
        buf_put(out, secret < line.len ? MASK : SPAN(""));
        buf_put(out, span_cut(text, end, 1));
        text = span_cut(text, end + 1, text.len);
    }
}

void settings_keep_text(struct settings_loader *l, struct span text)
{
    struct policy_texts *texts = &l->settings->gateway.texts;
    struct span *kept = l->file == &l->main ? &texts->settings : &texts->models;
    struct buf masked, whole;
    struct keeping k = {.table = l->file->table, .text = text, .out = &masked};
    buf_init(&masked, 2 * YTREE_BYTES_MAX);
    buf_init(&whole, 2 * YTREE_BYTES_MAX);
    if (span_starts(text, BOM)) { /* no character of the tree's */
        buf_put(&masked, BOM);
        k.text = span_cut(text, BOM.len, text.len);
    }
    copy(&k, l->file->root);
    mask_comments(l->file->table, buf_span(&masked), &whole);
    *kept = arena_copy(l->arena, buf_span(&whole));
    l->out_of_memory =
        l->out_of_memory || kept->at == NULL || buf_failed(&masked) || buf_failed(&whole);
    if (masked.at != NULL) {
        explicit_bzero(masked.at, masked.cap); /* a comment was in it */
    }
    buf_fini(&masked);
    buf_fini(&whole);
}
