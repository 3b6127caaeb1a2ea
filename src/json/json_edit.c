/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list holds what was asked for: of a removed member the member alone. Which comma goes with it,
 * and which members that were added need one, depends on what else happens to their object, in both
 * layers; so that is seen when the text is read (json_edit_read.c). Here an edit is only put in its
 * place, or found to have none.
 */
#include "json/json_edit.h"

#include "json/json_scan.h"

void json_edits_init(struct json_edits *e, const struct json_index *x, struct arena *arena)
{
    *e = (struct json_edits){.index = x, .arena = arena};
}

void json_edits_init_upon(struct json_edits *e, const struct json_edits *call,
                          const struct json_index *x, struct arena *arena)
{
    CHECK(call->below == NULL && x->text.len == call->index->text.len);
    json_edits_init(e, x, arena);
    e->below = call;
    e->error = call->error;
}

void json_edits_fail(struct json_edits *e, enum err error)
{
    e->error = e->error == ERR_OK ? error : e->error;
}

/* How an edit stands to those of a list. */
enum fit {
    FIT_FREE,   /* it touches none */
    FIT_COVERS, /* it covers some */
    FIT_SAME,   /* there is one of the same bytes */
    FIT_GONE,   /* it is inside one */
    FIT_HALF    /* it is half inside one */
};

/* How `edit` stands to those that begin where it does or behind, the first of which is at `place`.
 */
static enum fit fit_behind(const struct json_edit_list *list, struct json_edit_place place,
                           const struct json_edit *edit)
{
    const struct json_edit *first = json_edit_list_get(list, &place);
    uint32_t end = json_edit_end(edit);
    if (first == NULL || first->offset >= end) {
        return FIT_FREE;
    }
    if (first->offset == edit->offset && json_edit_end(first) >= end) {
        return json_edit_end(first) == end ? FIT_SAME : FIT_GONE;
    }
    struct json_edit behind = {.offset = end, .role = JSON_EDIT_FIND};
    const struct json_edit *last = json_edit_list_before(list, json_edit_list_find(list, &behind));
    return json_edit_end(last) <= end ? FIT_COVERS : FIT_HALF;
}

static enum fit fit_of(const struct json_edit_list *list, const struct json_edit *edit)
{
    struct json_edit_place place = json_edit_list_find(list, edit);
    const struct json_edit *before = json_edit_list_before(list, place);
    if (before != NULL && json_edit_end(before) > edit->offset) {
        return json_edit_end(before) >= json_edit_end(edit) ? FIT_GONE : FIT_HALF;
    }
    return edit->len == 0 ? FIT_FREE : fit_behind(list, place, edit);
}

/* How many pieces of text an edit makes at most: the stretch before it, commas, itself. */
static size_t most_pieces(const struct json_edit *edit)
{
    switch (edit->role) {
    case JSON_EDIT_ADDED_FIRST:
        return 5; /* the comma behind it may stand further on */
    case JSON_EDIT_ADDED_LAST:
        return 3;
    case JSON_EDIT_PLAIN:
        return 2;
    case JSON_EDIT_REMOVED:
    case JSON_EDIT_FIND:
        break;
    }
    return 1;
}

static void put(struct json_edits *e, const struct json_edit *edit)
{
    struct json_edit_place place = json_edit_list_find(&e->list, edit);
    if (!json_edit_list_insert(&e->list, e->arena, place, edit)) {
        json_edits_fail(e, arena_error(e->arena));
    }
    e->list.most_pieces += most_pieces(edit);
}

/* Puts `edit` in place of the one of the same bytes; a member that was removed stays so. */
static void put_anew(struct json_edits *e, const struct json_edit *edit)
{
    struct json_edit_place place = json_edit_list_find(&e->list, edit);
    struct json_edit *old = json_edit_list_get(&e->list, &place);
    if (old->role != JSON_EDIT_REMOVED) {
        *old = *edit;
    }
}

/* The removed member or set value of the call that is of the same bytes. */
static bool is_removed_below(const struct json_edits *e, const struct json_edit *edit)
{
    struct json_edit_place place = json_edit_list_find(&e->below->list, edit);
    return json_edit_list_get(&e->below->list, &place)->role == JSON_EDIT_REMOVED;
}

static void add(struct json_edits *e, const struct json_edit *edit)
{
    enum fit below = e->below == NULL ? FIT_FREE : fit_of(&e->below->list, edit);
    if (below == FIT_GONE || (below == FIT_SAME && is_removed_below(e, edit))) {
        return;
    }
    enum fit own = fit_of(&e->list, edit);
    if (below == FIT_HALF || own == FIT_HALF) {
        json_edits_fail(e, ERR_INTERNAL);
    } else if (own == FIT_SAME) {
        put_anew(e, edit);
    } else if (own != FIT_GONE) {
        if (own == FIT_COVERS) {
            json_edit_list_remove(&e->list, json_edit_list_find(&e->list, edit),
                                  json_edit_end(edit));
        }
        put(e, edit);
    }
}

void json_edits_replace_borrow(struct json_edits *e, uint32_t offset, uint32_t len,
                               struct span text)
{
    if (json_edits_failed(e)) {
        return;
    }
    CHECK(offset <= e->index->text.len && len <= e->index->text.len - offset);
    struct json_edit edit = {.offset = offset,
                             .len = len,
                             .text = text.at == NULL ? SPAN("") : text,
                             .object = JSON_NONE,
                             .key = JSON_NONE,
                             .role = JSON_EDIT_PLAIN};
    add(e, &edit);
}

void json_edits_set_value_borrow(struct json_edits *e, uint32_t row, struct span text)
{
    const struct json_row *r = json_row(e->index, row);
    CHECK(r->kind != JSON_KEY);
    json_edits_replace_borrow(e, r->offset, r->len, text);
}

void json_edits_remove_member(struct json_edits *e, uint32_t object, uint32_t key)
{
    const struct json_index *x = e->index;
    if (json_edits_failed(e)) {
        return;
    }
    CHECK(json_kind(x, object) == JSON_OBJECT && json_kind(x, key) == JSON_KEY);
    CHECK(key > object && key < json_row(x, object)->next);
    CHECK(json_row(x, key)->depth == json_row(x, object)->depth + 1);
    uint32_t begin = json_row(x, key)->offset;
    struct json_edit edit = {.offset = begin,
                             .len = json_end(x, json_value(x, key)) - begin,
                             .object = object,
                             .key = key,
                             .role = JSON_EDIT_REMOVED};
    add(e, &edit);
}

void json_edits_add_member_borrow(struct json_edits *e, uint32_t object, enum json_place place,
                                  struct span text)
{
    const struct json_index *x = e->index;
    if (json_edits_failed(e)) {
        return;
    }
    CHECK(json_kind(x, object) == JSON_OBJECT && text.len > 0);
    bool first = place == JSON_AT_BEGIN;
    size_t offset = first ? json_row(x, object)->offset + 1
                          : json_scan_blanks_before(x->text, json_end(x, object) - 1);
    struct json_edit edit = {.offset = (uint32_t)offset,
                             .text = text,
                             .object = object,
                             .key = JSON_NONE,
                             .role = first ? JSON_EDIT_ADDED_FIRST : JSON_EDIT_ADDED_LAST};
    add(e, &edit);
}
