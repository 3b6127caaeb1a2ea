/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which comma goes with a removed member depends on what else is removed from its object. So an
 * edit of members remembers its object, and when one is added those of that object are arranged
 * anew. With members m0 … mn, a removal takes:
 *
 *   a member is kept before it      from the end of the member before it to its own end
 *   none is, but one stands behind  from its beginning to the beginning of the member behind it
 *   neither                         itself
 *
 * These ranges touch but never overlap, so arranging changes no order. Added members take a comma
 * on the side where something is left or added.
 *
 * A caller may lift thousands of members or change thousands of values, as many as a client likes
 * to send: edits that come in the order of the text, and members added one after another, take
 * the same short time each. Only a removal walks over its object.
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
    *e = (struct json_edits){.index = x, .arena = arena, .end_object = JSON_NONE};
}

void json_edits_init_from(struct json_edits *e, const struct json_edits *from, struct arena *arena)
{
    json_edits_init(e, from->index, arena);
    e->failed = from->failed;
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

/* Puts `edit` where it belongs, for which there is room, and returns its place. */
static size_t insert(struct json_edits *e, const struct json_edit *edit)
{
    size_t low = 0;
    size_t high = e->count;
    while (low < high) {
        /* The usual one goes last: look there first. */
        size_t middle = high == e->count ? high - 1 : low + (high - low) / 2;
        if (is_before(edit, &e->list[middle])) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    CHECK(low == 0 || end_of(&e->list[low - 1]) <= edit->offset);
    CHECK(low == e->count || end_of(edit) <= e->list[low].offset);
    memmove(&e->list[low + 1], &e->list[low], (e->count - low) * sizeof(*edit));
    e->list[low] = *edit;
    e->count++;
    return low;
}

void json_edits_replace_borrow(struct json_edits *e, uint32_t offset, uint32_t len,
                               struct span text)
{
    CHECK(offset <= e->index->text.len && len <= e->index->text.len - offset);
    if (make_room(e)) {
        struct json_edit edit = {.offset = offset,
                                 .len = len,
                                 .text = text,
                                 .object = JSON_NONE,
                                 .key = JSON_NONE,
                                 .role = PLAIN};
        (void)insert(e, &edit); /* nobody asks for its place */
    }
}

void json_edits_set_value_borrow(struct json_edits *e, uint32_t row, struct span text)
{
    const struct json_row *r = json_row(e->index, row);
    CHECK(r->kind != JSON_KEY);
    json_edits_replace_borrow(e, r->offset, r->len, text);
}

/* The edits that stand inside an object: there may be thousands of objects with a few edits each.
 */
struct range {
    size_t at, end;
};

/* The first edit whose offset is not below `offset`. */
static size_t place_of(const struct json_edits *e, uint32_t offset)
{
    size_t low = 0, high = e->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (e->list[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct range range_of(const struct json_edits *e, uint32_t object)
{
    return (struct range){place_of(e, json_row(e->index, object)->offset + 1),
                          place_of(e, json_end(e->index, object))};
}

/* The next removal from `object` in `r`, or its end. */
static size_t next_removal(const struct json_edits *e, uint32_t object, struct range r)
{
    while (r.at < r.end && (e->list[r.at].role != REMOVED || e->list[r.at].object != object)) {
        r.at++;
    }
    return r.at;
}

static bool is_removed(const struct json_edits *e, uint32_t object, uint32_t key)
{
    struct range r = range_of(e, object);
    while ((r.at = next_removal(e, object, r)) < r.end && e->list[r.at].key != key) {
        r.at++;
    }
    return r.at < r.end;
}

/* Gives the removals from `object` their bytes. Returns whether a member is kept. */
static bool arrange_removals(struct json_edits *e, uint32_t object)
{
    bool kept = false;
    uint32_t end_before = 0;
    struct range r = range_of(e, object);
    size_t next = next_removal(e, object, r);
    for (uint32_t key = json_first(e->index, object); key != JSON_NONE;) {
        uint32_t behind = json_next(e->index, key);
        uint32_t begin = json_row(e->index, key)->offset;
        uint32_t end = json_end(e->index, json_value(e->index, key));
        if (next == r.end || e->list[next].key != key) {
            kept = true;
        } else {
            uint32_t to = kept || behind == JSON_NONE ? end : json_row(e->index, behind)->offset;
            e->list[next].offset = kept ? end_before : begin;
            e->list[next].len = to - e->list[next].offset;
            next = next_removal(e, object, (struct range){next + 1, r.end});
        }
        end_before = end;
        key = behind;
    }
    return kept;
}

/* Gives the additions to `object` their commas. Those at its beginning come first in the list. */
static void arrange_commas(struct json_edits *e, uint32_t object, bool kept)
{
    struct json_edit *last_first = NULL; /* the last of those at the beginning */
    bool before = kept;                  /* something stands before the next one at the end */
    struct range r = range_of(e, object);
    for (; r.at < r.end; r.at++) {
        struct json_edit *edit = &e->list[r.at];
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
    arrange_commas(e, object, arrange_removals(e, object));
}

void json_edits_remove_member(struct json_edits *e, uint32_t object, uint32_t key)
{
    CHECK(json_kind(e->index, object) == JSON_OBJECT && json_kind(e->index, key) == JSON_KEY);
    CHECK(key > object && key < json_row(e->index, object)->next);
    CHECK(json_row(e->index, key)->depth == json_row(e->index, object)->depth + 1);
    if (is_removed(e, object, key) || !make_room(e)) {
        return;
    }
    uint32_t begin = json_row(e->index, key)->offset;
    struct json_edit edit = {.offset = begin,
                             .len = json_end(e->index, json_value(e->index, key)) - begin,
                             .object = object,
                             .key = key,
                             .role = REMOVED};
    (void)insert(e, &edit); /* its place is found anew */
    arrange(e, object);
    struct range r = range_of(e, object);
    for (size_t i = r.at + 1; i < r.end; i++) {
        CHECK(end_of(&e->list[i - 1]) <= e->list[i].offset);
    }
}

/* Where the last member of `object` ends, or its opening bracket does if it has none. */
static uint32_t end_of_members(struct json_edits *e, uint32_t object)
{
    if (e->end_object != object) {
        uint32_t end = json_row(e->index, object)->offset + 1;
        for (uint32_t key = json_first(e->index, object); key != JSON_NONE;
             key = json_next(e->index, key)) {
            end = json_end(e->index, json_value(e->index, key));
        }
        e->end_object = object;
        e->end_offset = end;
    }
    return e->end_offset;
}

void json_edits_add_member_borrow(struct json_edits *e, uint32_t object, enum json_place place,
                                  struct span text)
{
    CHECK(json_kind(e->index, object) == JSON_OBJECT && text.len > 0);
    if (!make_room(e)) {
        return;
    }
    bool first = place == JSON_AT_BEGIN;
    struct json_edit edit = {.offset = first ? json_row(e->index, object)->offset + 1
                                             : end_of_members(e, object),
                             .text = text,
                             .object = object,
                             .key = JSON_NONE,
                             .role = first ? ADDED_FIRST : ADDED_LAST};
    size_t at = insert(e, &edit);
    if (!first && at > 0 && e->list[at - 1].object == object &&
        e->list[at - 1].role == ADDED_LAST) {
        e->list[at].comma_before = true; /* and nothing else changes */
    } else {
        arrange(e, object);
    }
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
