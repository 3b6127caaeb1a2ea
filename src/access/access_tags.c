/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_tags.c — tags that are limited, whichever team's keys bear them.
 *
 * Keys that say the same share a grant, and the grant is marked with those of its tags that are
 * limited: a call finds them without a look at a name. A mark keeps its place while its tag is
 * limited, so a call that reads while others come and go misses none that stays.
 */
#include <string.h>

#include "access/access_fits.h"
#include "access/access_internal.h"
#include "base/memory.h"

_Static_assert(KEY_MARKS == LIMITS_TAGS_MAX, "a mark each");

void access_tags_init(struct access_tags *t)
{
    *t = (struct access_tags){.first = NULL};
    map_init(&t->by_name);
}

void access_tags_fini(struct access_tags *t)
{
    while (t->first != NULL) {
        struct access_tag *tag = t->first;
        t->first = tag->next;
        memory_free(tag);
    }
    map_fini(&t->by_name);
}

enum err access_tags_add(struct access *a, const struct directory_entry *entry)
{
    struct access_tags *t = &a->tags;
    if (map_find(&t->by_name, entry->name) != NULL) {
        return ERR_OK;
    }
    struct access_tag *tag = memory_new(sizeof(*tag) + entry->name.len);
    if (tag == NULL) {
        return ERR_NO_MEMORY;
    }
    tag->slot = entry->slot;
    tag->name_len = entry->name.len;
    memcpy(tag->name, entry->name.at, entry->name.len);
    if (map_put_borrow(&t->by_name, span_make(tag->name, tag->name_len), tag) != ERR_OK) {
        memory_free(tag);
        return ERR_NO_MEMORY;
    }
    tag->next = t->first;
    t->first = tag;
    return ERR_OK;
}

enum err access_tags_load(struct access *a)
{
    enum err e = ERR_OK;
    uint32_t count = directory_count(a->directory, DIRECTORY_TAG);
    for (uint32_t slot = 0; e == ERR_OK && slot < count; slot++) {
        e = access_tags_add(a, directory_find(a->directory, DIRECTORY_TAG, slot));
    }
    return e;
}

/* ---- marks ---- */

/* The first line of `rest`, which is cut off it. */
static struct span take_line(struct span *rest)
{
    struct span line = span_cut(*rest, 0, span_find(*rest, '\n', 0));
    *rest = span_cut(*rest, line.len + 1, rest->len);
    return line;
}

/* The next of these lines that is a limited tag; NULL: none is. */
static const struct access_tag *next_limited(const struct access *a, struct span *lines)
{
    const struct access_tag *tag = NULL;
    while (lines->len > 0 && (tag == NULL || !tag->is_limited)) {
        tag = map_find(&a->tags.by_name, take_line(lines));
    }
    return tag == NULL || !tag->is_limited ? NULL : tag;
}

/* Where a grant has a mark; KEY_MARKS: nowhere. */
static size_t find_mark(const struct key_grant *grant, uint32_t mark)
{
    size_t i = 0;
    while (i < KEY_MARKS && atomic_load(&grant->mark[i]) != mark) {
        i++;
    }
    return i;
}

static bool mark(struct key_grant *grant, uint32_t slot)
{
    size_t at = find_mark(grant, slot);
    at = at < KEY_MARKS ? at : find_mark(grant, SLOTS_NONE);
    if (at < KEY_MARKS) {
        atomic_store(&grant->mark[at], slot);
    }
    return at < KEY_MARKS;
}

enum err access_tags_mark(const struct access *a, struct key_grant *grant)
{
    if (grant == NULL || atomic_load(&a->tags.limited) == 0) {
        return ERR_OK;
    }
    struct span lines = grant->says.tags;
    bool has_room = true;
    for (const struct access_tag *tag = next_limited(a, &lines); has_room && tag != NULL;
         tag = next_limited(a, &lines)) {
        has_room = mark(grant, tag->slot);
    }
    return has_room ? ERR_OK : ERR_VALUE_INVALID;
}

bool access_has_tag(struct span lines, struct span name)
{
    bool has = false;
    while (!has && lines.len > 0) {
        has = span_equal(take_line(&lines), name);
    }
    return has;
}

struct marking {
    const struct access_tag *tag;
    bool has_room;
};

static void on_grant(void *context, struct key_grant *grant)
{
    struct marking *m = context;
    size_t at = find_mark(grant, m->tag->slot);
    if (!m->tag->is_limited && at < KEY_MARKS) {
        atomic_store(&grant->mark[at], SLOTS_NONE);
    } else if (m->tag->is_limited &&
               access_has_tag(grant->says.tags, span_make(m->tag->name, m->tag->name_len))) {
        m->has_room = mark(grant, m->tag->slot) && m->has_room;
    }
}

/* Whether anything is said of a subject. */
static bool says_any(const struct access_rows *rows)
{
    return rows != NULL && (rows->budgets != NULL || rows->numbers.requests_per_minute != 0 ||
                            rows->numbers.tokens_per_minute != 0 || rows->numbers.concurrent != 0 ||
                            rows->numbers.answer_tokens != 0 || rows->tokens_per_day != 0 ||
                            rows->numbers.priority != LIMITS_UNSAID);
}

void access_tags_refresh(struct access *a, uint32_t slot)
{
    const struct directory_entry *entry = directory_find(a->directory, DIRECTORY_TAG, slot);
    struct access_tag *tag = map_find(&a->tags.by_name, entry->name);
    bool is_limited = says_any(access_book_find(&a->book, span_of(entry->id)));
    if (tag == NULL || tag->is_limited == is_limited) {
        return;
    }
    struct marking m = {tag, true};
    tag->is_limited = is_limited;
    atomic_fetch_add(&a->tags.limited, is_limited ? 1U : UINT32_MAX); /* one more, or one less */
    if (a->keys != NULL) {
        key_grants_each(keys_grants(a->keys), on_grant,
                        &m); /* that there is room was asked before */
    }
}

/* ---- looking ---- */

void access_put_tags(const struct access *a, uint32_t key, struct limits_subjects *out)
{
    if (a->keys == NULL || atomic_load_explicit(&a->tags.limited, memory_order_acquire) == 0) {
        return;
    }
    const struct key_grant *grant = keys_grant(a->keys, key);
    for (size_t i = 0; grant != NULL && i < LIMITS_TAGS_MAX; i++) {
        out->slot[LIMITS_TAG + i] = atomic_load_explicit(&grant->mark[i], memory_order_acquire);
    }
}

size_t access_limited_tags(const struct access *a, struct span lines, bool once,
                           uint32_t out[ACCESS_TAGS_MAX])
{
    size_t count = 0;
    while (lines.len > 0 && count < ACCESS_TAGS_MAX) {
        const struct access_tag *tag = map_find(&a->tags.by_name, take_line(&lines));
        if (tag != NULL && (once || tag->is_limited)) {
            out[count++] = tag->slot;
        }
    }
    return count;
}

/* Whether a key works, and bears the tag. */
static bool bears(const struct access *a, uint32_t slot, struct span name)
{
    const struct key_slot *key = key_table_slot(keys_table(a->keys), slot);
    const struct key_grant *grant = atomic_load(&key->grant);
    return grant != NULL && atomic_load(&key->revoked_us) == KEY_NEVER_US &&
           access_has_tag(grant->says.tags, name);
}

static uint32_t count_keys(const struct access *a)
{
    return a->keys == NULL ? 0 : (uint32_t)key_table_count(keys_table(a->keys));
}

size_t access_count_bearers(const struct access *a, struct span name)
{
    size_t count = 0;
    for (uint32_t slot = 0; slot < count_keys(a); slot++) {
        count += bears(a, slot, name);
    }
    return count;
}

bool access_tag_fits(const struct access *a, struct span name, char of[KEY_ID_CHARS + 1])
{
    const struct access_tag *tag = map_find(&a->tags.by_name, name);
    bool fits = true;
    of[0] = '\0';
    for (uint32_t slot = 0; fits && (tag == NULL || !tag->is_limited) && slot < count_keys(a);
         slot++) {
        const struct key_slot *key = key_table_slot(keys_table(a->keys), slot);
        const struct key_grant *grant = atomic_load(&key->grant);
        bool has_place = grant == NULL || find_mark(grant, SLOTS_NONE) < KEY_MARKS;
        fits = has_place || !bears(a, slot, name);
        span_copy_text(span_make(key->id, fits ? 0 : KEY_ID_CHARS), of, KEY_ID_CHARS + 1);
    }
    return fits;
}

struct span access_tag_id(const struct access *a, struct span name)
{
    const struct access_tag *tag = map_find(&a->tags.by_name, name);
    return tag == NULL ? SPAN("")
                       : span_of(directory_find(a->directory, DIRECTORY_TAG, tag->slot)->id);
}
