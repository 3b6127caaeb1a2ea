/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's policy: what `guard:` says, with the word lists that it names. Where a problem stands
 * is found again in the tree by the member that it is of. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "guard/guard_form.h"
#include "settings/settings_internal.h"

#define PIECE_BYTES 65536

/* The i-th item of a list; NULL: it has no such. */
static const struct ytree_node *item_at(const struct ytree_node *list, unsigned long i)
{
    const struct ytree_node *item = list == NULL ? NULL : list->first;
    for (; item != NULL && i > 0; i--) {
        item = item->next;
    }
    return item;
}

/* The node of a member ("patterns[2].regex"), or the nearest around it that is there. */
static const struct ytree_node *find_member(const struct ytree_node *guard, const char *member)
{
    const struct ytree_node *node = guard;
    char key[GUARD_MEMBER_BYTES];
    while (*member != '\0') {
        const struct ytree_node *whole = ytree_find(node, member);
        size_t len = strcspn(member, ".[");
        span_copy_text(span_make(member, len), key, sizeof(key));
        const struct ytree_node *next = whole != NULL ? whole : ytree_find(node, key);
        member += whole != NULL ? strlen(member) : len;
        if (next != NULL && *member == '[') {
            unsigned long i = 0;
            for (member++; *member >= '0' && *member <= '9'; member++) {
                i = 10 * i + (unsigned long)(*member - '0');
            }
            member += *member == ']';
            next = item_at(next, i);
        }
        member += *member == '.';
        if (next == NULL) {
            break;
        }
        node = next;
    }
    return node;
}

static void on_problem(void *ctx, const char *member, bool is_name, const char *sentence)
{
    struct settings_loader *l = ctx;
    const struct ytree_node *node = find_member(ytree_find(l->file->root, "guard"), member);
    bool at_key = is_name && node->key.len > 0;
    settings_problem(l, at_key ? node->key_place : node->place, "guard%s%s: %s",
                     member[0] == '\0' ? "" : ".", member, sentence);
}

/* Reads all of a list's file into `out`; false: the reason is noted. */
static bool read_all(struct settings_loader *l, int fd, const struct ytree_node *node,
                     const char *path, struct buf *out)
{
    ssize_t got = 1;
    while (got > 0 && buf_span(out).len <= GUARD_WORDS_BYTES) {
        uint8_t *at = buf_reserve(out, PIECE_BYTES);
        if (at == NULL) {
            l->out_of_memory = true;
            return false;
        }
        got = read(fd, at, PIECE_BYTES);
        buf_added(out, got > 0 ? (size_t)got : 0);
    }
    if (got < 0) {
        settings_problem(l, node->place, "%s: cannot be read: %s", path, strerrordesc_np(errno));
    } else if (buf_span(out).len > GUARD_WORDS_BYTES) {
        settings_problem(l, node->place, "%s: is larger than %u MiB", path,
                         GUARD_WORDS_BYTES >> 20);
    }
    return got >= 0 && buf_span(out).len <= GUARD_WORDS_BYTES;
}

/* Reads the file of a list, and keeps it with the settings. */
static bool read_list(struct settings_loader *l, struct guard_rule_form *rule,
                      const struct ytree_node *item)
{
    const struct ytree_node *said = ytree_find(item, "file");
    const char *why;
    int fd = -1;
    if (rule->file == NULL || said == NULL) {
        return true;
    }
    if (file_open(rule->file, &fd, &why) != ERR_OK) {
        settings_note_unread(l);
        settings_problem(l, said->place, "%s: cannot be read: %s", rule->file, why);
        return false;
    }
    struct buf text;
    buf_init(&text, GUARD_WORDS_BYTES + 2 * PIECE_BYTES);
    bool is_read = read_all(l, fd, said, rule->file, &text);
    if (is_read) {
        rule->text = arena_copy(l->arena, buf_span(&text));
        l->out_of_memory = l->out_of_memory || rule->text.at == NULL;
    }
    buf_fini(&text);
    (void)close(fd); /* only read from */
    return is_read;
}

/* What the items of a list must have; reads the files that they name. False: one was not read. */
static bool check_rules(struct settings_loader *l, const char *name,
                        const struct guard_rule_form *rules, size_t count)
{
    const struct ytree_node *list = ytree_find(ytree_find(l->file->root, "guard"), name);
    const struct ytree_node *item = list == NULL ? NULL : list->first;
    bool is_read = true;
    for (size_t i = 0; i < count && item != NULL; i++, item = item->next) {
        char path[32];
        char shown[64];
        (void)snprintf(path, sizeof(path), "guard.%s[]", name);         /* fits */
        (void)snprintf(shown, sizeof(shown), "guard.%s[%zu]", name, i); /* fits */
        settings_check_required(l, path, shown, item);
        struct guard_rule_form *rule = (struct guard_rule_form *)(uintptr_t)&rules[i];
        is_read = read_list(l, rule, item) && is_read;
    }
    return is_read;
}

/* What scanners must have, and names of their own: they are upstreams, too. */
static void check_external(struct settings_loader *l)
{
    const struct guard_form *form = &l->settings->gateway.guard;
    const struct upstream_settings *upstreams = &l->settings->upstream;
    const struct ytree_node *list = ytree_find(ytree_find(l->file->root, "guard"), "external");
    const struct ytree_node *item = list == NULL ? NULL : list->first;
    for (size_t i = 0; i < form->external_count && item != NULL; i++, item = item->next) {
        char shown[64];
        const char *name = form->external[i].name;
        (void)snprintf(shown, sizeof(shown), "guard.external[%zu]", i); /* fits */
        settings_check_required(l, "guard.external[]", shown, item);
        for (size_t u = 0; u < upstreams->definitions_count && name != NULL; u++) {
            if (strcmp(upstreams->definitions[u].name, name) == 0) {
                settings_problem(l, item->place, "%s: an upstream is called '%s', too", shown,
                                 name);
            }
        }
    }
}

/* Whether it is more than the sample's: names whose lines are all comments. */
static bool says_anything(const struct ytree_node *guard)
{
    const struct ytree_node *child = guard->first;
    while (child != NULL && ytree_is_null(child)) {
        child = child->next;
    }
    return child != NULL;
}

void settings_check_guard(struct settings_loader *l)
{
    const struct ytree_node *guard = ytree_find(l->file->root, "guard");
    struct guard_form *form = &l->settings->gateway.guard;
    if (guard == NULL || guard->kind != YTREE_MAP || !says_anything(guard)) {
        return; /* there is none, or that was said */
    }
    size_t before = l->problems_count;
    form->is_given = true;
    form->says_mode = ytree_find(guard, "mode") != NULL;
    form->says_restore = ytree_find(guard, "restore") != NULL;
    form->says_injection = true;
    if (!form->says_mode) {
        settings_problem(l, guard->key_place, "guard needs `mode: …`: enforce, dry-run or off");
    }
    bool is_read = check_rules(l, "patterns", form->patterns, form->patterns_count);
    is_read = check_rules(l, "wordlists", form->wordlists, form->wordlists_count) && is_read;
    is_read = check_rules(l, "dictionary", form->dictionary, form->dictionary_count) && is_read;
    check_external(l);
    bool is_whole = is_read && (l->problems_count == before || !form->says_mode);
    if (l->out_of_memory || !is_whole) {
        return; /* what would be said now, may come of that */
    }
    enum err e =
        guard_compile(form, GUARD_BUILTINS, on_problem, l, &l->settings->gateway.guard_policy);
    l->out_of_memory = l->out_of_memory || e == ERR_NO_MEMORY;
}
