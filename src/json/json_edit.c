/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which comma goes with a removed member depends on what else is removed from its object. So an
 * edit of members remembers its object, and when one is added all of that object's edits are
 * arranged anew. With members m0 … mn:
 *
 *   a member is kept before it      from the end of the member before it to its own end
 *   none is, but one stands behind  from its beginning to the beginning of the member behind it
 *   neither                         itself
 *
 * These ranges touch but never overlap. Added members take a comma on the side where something is
 * left or added.
 */
#include "json/json_edit.h"

#define FIRST_EDITS 8

/* What an edit is, in the order in which edits of one offset stand. */
enum role { ADDED_FIRST, ADDED_LAST, PLAIN, REMOVED };

struct json_edit {
    uint32_t offset, len; /* the bytes that go */
    struct span text;     /* what stands there instead */
    uint32_t object, key; /* rows; the key of REMOVED only; JSON_NONE for PLAIN */
    enum role role;
    bool comma_before, comma_behind; /* around the text */
};

void json_edits_init(struct json_edits *e, const struct json_index *x, struct arena *arena)
{
    *e = (struct json_edits){.index = x, .arena = arena};
}

void json_edits_init_from(struct json_edits *e, const struct json_edits *from, struct arena *arena)
{
    *e = (struct json_edits){.index = from->index, .arena = arena, .failed = from->failed};
    if (from->count == 0 || from->failed) {
        return;
    }
    e->list = arena_alloc(arena, (from->count + FIRST_EDITS) * sizeof(*e->list));
    if (e->list == NULL) {
        e->failed = true;
        return;
    }
    memcpy(e->list, from->list, from->count * sizeof(*e->list));
    e->count = from->count;
    e->cap = from->count + FIRST_EDITS;
}

/* Makes room for one more edit. */
static bool make_room(struct json_edits *e)
{
    if (e->failed || e->count < e->cap) {
        return !e->failed;
    }
    size_t cap = e->cap == 0 ? FIRST_EDITS : e->cap * 2;
    struct json_edit *list = arena_alloc(e->arena, cap * sizeof(*list));
    if (list == NULL) {
        e->failed = true;
        return false;
    }
    if (e->count > 0) {
        memcpy(list, e->list, e->count * sizeof(*list));
    }
    e->list = list;
    e->cap = cap;
    return true;
}

/* Whether `a` stands before `b`; where neither does, the older one goes first. */
static bool is_before(const struct json_edit *a, const struct json_edit *b)
{
    if (a->offset != b->offset) {
        return a->offset < b->offset;
    }
    if ((a->len == 0) != (b->len == 0)) {
        return a->len == 0;
    }
    return a->role < b->role;
}

static uint32_t end_of(const struct json_edit *edit)
{
    return edit->offset + edit->len;
}

/* Puts the list in order; stable, and quick for a list that nearly is in order. */
static void sort(struct json_edits *e)
{
    for (size_t i = 1; i < e->count; i++) {
        struct json_edit moving = e->list[i];
        size_t to = i;
        while (to > 0 && is_before(&moving, &e->list[to - 1])) {
            e->list[to] = e->list[to - 1];
            to--;
        }
        e->list[to] = moving;
    }
    for (size_t i = 1; i < e->count; i++) {
        CHECK(end_of(&e->list[i - 1]) <= e->list[i].offset);
    }
}

void json_edits_replace_borrow(struct json_edits *e, uint32_t offset, uint32_t len,
                               struct span text)
{
    CHECK(offset <= e->index->text.len && len <= e->index->text.len - offset);
    if (!make_room(e)) {
        return;
    }
    e->list[e->count++] = (struct json_edit){.offset = offset,
                                             .len = len,
                                             .text = text,
                                             .object = JSON_NONE,
                                             .key = JSON_NONE,
                                             .role = PLAIN};
    sort(e);
}

void json_edits_set_value_borrow(struct json_edits *e, uint32_t row, struct span text)
{
    const struct json_row *r = json_row(e->index, row);
    CHECK(r->kind != JSON_KEY);
    json_edits_replace_borrow(e, r->offset, r->len, text);
}

/* The edit that removes the member with row `key`, or NULL. */
static struct json_edit *find_removal(struct json_edits *e, uint32_t key)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->list[i].role == REMOVED && e->list[i].key == key) {
            return &e->list[i];
        }
    }
    return NULL;
}

/* Gives the removals of `object` their bytes. Returns whether a member is kept. */
static bool arrange_removals(struct json_edits *e, uint32_t object)
{
    bool kept = false;
    uint32_t end_before = 0;
    for (uint32_t key = json_first(e->index, object); key != JSON_NONE;) {
        uint32_t behind = json_next(e->index, key);
        uint32_t begin = json_row(e->index, key)->offset;
        uint32_t end = json_end(e->index, json_value(e->index, key));
        struct json_edit *removal = find_removal(e, key);
        if (removal == NULL) {
            kept = true;
        } else if (kept) {
            removal->offset = end_before;
            removal->len = end - end_before;
        } else {
            removal->offset = begin;
            removal->len = (behind == JSON_NONE ? end : json_row(e->index, behind)->offset) - begin;
        }
        end_before = end;
        key = behind;
    }
    return kept;
}

/* Gives the additions to `object` their commas. They are still in the order of the list, those at
 * the beginning before those at the end. */
static void arrange_commas(struct json_edits *e, uint32_t object, bool kept)
{
    struct json_edit *last_first = NULL; /* the last of those at the beginning */
    bool before = kept;                  /* something stands before the next one at the end */
    for (size_t i = 0; i < e->count; i++) {
        struct json_edit *edit = &e->list[i];
        if (edit->object != object || edit->role == REMOVED) {
            continue;
        }
        if (edit->role == ADDED_FIRST) {
            edit->comma_behind = true;
            last_first = edit;
        } else {
            edit->comma_before = before || last_first != NULL;
            before = true;
        }
    }
    if (last_first != NULL) {
        last_first->comma_behind = kept;
    }
}

static void arrange(struct json_edits *e, uint32_t object)
{
    bool kept = arrange_removals(e, object);
    sort(e);
    arrange_commas(e, object, kept);
}

void json_edits_remove_member(struct json_edits *e, uint32_t object, uint32_t key)
{
    CHECK(json_kind(e->index, object) == JSON_OBJECT && json_kind(e->index, key) == JSON_KEY);
    CHECK(key > object && key < json_row(e->index, object)->next);
    CHECK(json_row(e->index, key)->depth == json_row(e->index, object)->depth + 1);
    if (find_removal(e, key) != NULL || !make_room(e)) {
        return;
    }
    e->list[e->count++] = (struct json_edit){.object = object, .key = key, .role = REMOVED};
    arrange(e, object);
}

/* Where the last member of `object` ends, or its opening bracket does if it has none. */
static uint32_t end_of_members(const struct json_index *x, uint32_t object)
{
    uint32_t end = json_row(x, object)->offset + 1;
    for (uint32_t key = json_first(x, object); key != JSON_NONE; key = json_next(x, key)) {
        end = json_end(x, json_value(x, key));
    }
    return end;
}

void json_edits_add_member_borrow(struct json_edits *e, uint32_t object, enum json_place place,
                                  struct span text)
{
    CHECK(json_kind(e->index, object) == JSON_OBJECT && text.len > 0);
    if (!make_room(e)) {
        return;
    }
    bool first = place == JSON_AT_BEGIN;
    e->list[e->count++] = (struct json_edit){
        .offset = first ? json_row(e->index, object)->offset + 1 : end_of_members(e->index, object),
        .text = text,
        .object = object,
        .key = JSON_NONE,
        .role = first ? ADDED_FIRST : ADDED_LAST};
    arrange(e, object);
}

uint64_t json_edits_total(const struct json_edits *e)
{
    uint64_t total = e->index->text.len;
    for (size_t i = 0; i < e->count; i++) {
        const struct json_edit *edit = &e->list[i];
        total += edit->text.len + edit->comma_before + edit->comma_behind;
        total -= edit->len;
    }
    return total;
}

size_t json_edits_most_pieces(const struct json_edits *e)
{
    size_t most = 1;
    for (size_t i = 0; i < e->count; i++) {
        most += 2u + e->list[i].comma_before + e->list[i].comma_behind;
    }
    return most;
}

/* Adds a piece unless it is empty; returns where the next one goes. */
static struct iovec *put_piece(struct iovec *at, struct span s)
{
    if (s.len > 0) {
        *at++ = (struct iovec){.iov_base = (void *)(uintptr_t)s.at, .iov_len = s.len};
    }
    return at;
}

size_t json_edits_pieces(const struct json_edits *e, struct iovec *pieces)
{
    const struct span comma = SPAN(",");
    const struct span none = {NULL, 0};
    struct span text = e->index->text;
    struct iovec *at = pieces;
    size_t done = 0;
    for (size_t i = 0; i < e->count; i++) {
        const struct json_edit *edit = &e->list[i];
        at = put_piece(at, span_cut(text, done, edit->offset - done));
        at = put_piece(at, edit->comma_before ? comma : none);
        at = put_piece(at, edit->text);
        at = put_piece(at, edit->comma_behind ? comma : none);
        done = end_of(edit);
    }
    at = put_piece(at, span_cut(text, done, text.len));
    return (size_t)(at - pieces);
}

/* Appends bytes; returns where the next ones go. */
static uint8_t *put_bytes(uint8_t *at, struct span s)
{
    if (s.at == NULL) {
        return at;
    }
    memcpy(at, s.at, s.len);
    return at + s.len;
}

void json_edits_copy(const struct json_edits *e, uint8_t *out)
{
    const struct span comma = SPAN(",");
    const struct span none = {NULL, 0};
    struct span text = e->index->text;
    size_t done = 0;
    for (size_t i = 0; i < e->count; i++) {
        const struct json_edit *edit = &e->list[i];
        out = put_bytes(out, span_cut(text, done, edit->offset - done));
        out = put_bytes(out, edit->comma_before ? comma : none);
        out = put_bytes(out, edit->text);
        out = put_bytes(out, edit->comma_behind ? comma : none);
        done = end_of(edit);
    }
    (void)put_bytes(out, span_cut(text, done, text.len)); /* nothing goes behind it */
}
