/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edited text, read in one pass over the edits of both layers, merged. An edit of the call that
 * one of the try's covers is passed over.
 *
 * Commas. With members m0 … mn of an object, a removed one takes
 *
 *   if all before it are removed     from its beginning to the beginning of the member behind it,
 * or to its own end if there is none else                             from the end of the member
 * before it to its own end
 *
 * These never overlap. What stands between two removed members that follow one another are only
 * insertions, so the first case is a *run*: r->run is the key that would go on with it. Members
 * added at the beginning of an object need a comma behind them where a member is kept: it is put
 * before the first that is (r->comma_key, which moves along the run). Members added at the end need
 * one before them where anything stands before.
 */
#include "json/json_edit.h"
#include "json/json_scan.h"

static struct json_edit_place place_at(const struct json_edit_list *list, uint32_t offset,
                                       uint32_t len)
{
    struct json_edit edit = {.offset = offset, .len = len, .role = JSON_EDIT_FIND};
    return json_edit_list_find(list, &edit);
}

/* Begins to read from `offset` to `end`; if `inside`, without the insertions at either place. */
static void begin(struct json_edits_reader *r, const struct json_edits *e, uint32_t offset,
                  uint32_t end, bool inside)
{
    *r = (struct json_edits_reader){.edits = e,
                                    .own = place_at(&e->list, offset, inside),
                                    .done = offset,
                                    .end = end,
                                    .last = end - inside,
                                    .run = JSON_NONE,
                                    .emptied = JSON_NONE,
                                    .begun = JSON_NONE,
                                    .comma_key = JSON_NONE,
                                    .ended = JSON_NONE};
    if (e->below != NULL) {
        r->below = place_at(&e->below->list, offset, inside);
    }
}

void json_edits_read_begin(struct json_edits_reader *r, const struct json_edits *e)
{
    begin(r, e, 0, (uint32_t)e->index->text.len, false);
}

/* Takes the next edit of both layers; NULL behind the last. */
static const struct json_edit *take_edit(struct json_edits_reader *r)
{
    const struct json_edits *below = r->edits->below;
    const struct json_edit *own = json_edit_list_get(&r->edits->list, &r->own);
    const struct json_edit *other =
        below == NULL ? NULL : json_edit_list_get(&below->list, &r->below);
    if (own != NULL && (other == NULL || json_edit_goes_before(own, other))) {
        r->own.at++;
        if (other != NULL && other->offset < json_edit_end(own)) {
            r->below = place_at(&below->list, json_edit_end(own), 0);
        }
        return own;
    }
    r->below.at += other != NULL ? 1 : 0;
    return other;
}

/* Adds a piece unless it is empty; returns where the next one goes. */
static struct iovec *put_piece(struct iovec *at, struct span s)
{
    if (s.len > 0) {
        *at++ = (struct iovec){.iov_base = (void *)(uintptr_t)s.at, .iov_len = s.len};
    }
    return at;
}

/* The source up to `offset`, which may have been passed. */
static struct iovec *put_source(struct json_edits_reader *r, uint32_t offset, struct iovec *at)
{
    if (offset > r->done) {
        at = put_piece(at, span_cut(r->edits->index->text, r->done, offset - r->done));
        r->done = offset;
    }
    return at;
}

/* Puts the comma that waits, if the edit, which begins at `offset`, is not before it. */
static struct iovec *put_comma(struct json_edits_reader *r, uint32_t offset, struct iovec *at)
{
    if (r->comma_key != JSON_NONE && json_row(r->edits->index, r->comma_key)->offset <= offset) {
        at = put_source(r, json_row(r->edits->index, r->comma_key)->offset, at);
        at = put_piece(at, SPAN(","));
        r->comma_key = JSON_NONE;
    }
    return at;
}

/* Where the member before `key`, which is not its object's first, ends: there stands nothing
 * between them but a comma and blanks. */
static uint32_t end_before(const struct json_index *x, uint32_t key)
{
    size_t comma = json_scan_blanks_before(x->text, json_row(x, key)->offset) - 1;
    return (uint32_t)json_scan_blanks_before(x->text, comma);
}

static struct iovec *put_removed(struct json_edits_reader *r, const struct json_edit *edit,
                                 struct iovec *at)
{
    const struct json_index *x = r->edits->index;
    uint32_t behind = json_next(x, edit->key), to = json_edit_end(edit);
    if (r->comma_key == edit->key) {
        r->comma_key = behind;
    }
    at = put_comma(r, edit->offset, at);
    if (edit->key != edit->object + 1 && edit->key != r->run) {
        at = put_source(r, end_before(x, edit->key), at);
    } else {
        at = put_source(r, edit->offset, at);
        r->run = behind;
        to = behind == JSON_NONE ? to : json_row(x, behind)->offset;
        r->emptied = behind == JSON_NONE ? edit->object : r->emptied;
    }
    r->done = to > r->done ? to : r->done;
    return at;
}

static struct iovec *put_added(struct json_edits_reader *r, const struct json_edit *edit,
                               struct iovec *at)
{
    const struct json_index *x = r->edits->index;
    uint32_t object = edit->object;
    bool comma = r->begun == object;
    if (edit->role == JSON_EDIT_ADDED_FIRST) {
        if (!comma) { /* what waits is of an object around this one */
            at = put_comma(r, edit->offset, at);
            r->begun = object;
            r->comma_key = json_first(x, object);
        }
    } else {
        at = put_comma(r, edit->offset, at);
        comma = comma || r->ended == object ||
                (json_first(x, object) != JSON_NONE && r->emptied != object);
        r->ended = object;
    }
    at = put_source(r, edit->offset, at);
    at = put_piece(at, comma ? SPAN(",") : SPAN(""));
    return put_piece(at, edit->text);
}

/* Puts what comes up to the next edit and what it is: JSON_EDITS_PIECES_MIN pieces at most. */
static struct iovec *put_next(struct json_edits_reader *r, struct iovec *at)
{
    const struct json_edit *edit = take_edit(r);
    if (edit == NULL || edit->offset > r->last) {
        r->is_done = true;
        at = put_comma(r, r->end, at);
        return put_source(r, r->end, at);
    }
    if (edit->role == JSON_EDIT_REMOVED) {
        return put_removed(r, edit, at);
    }
    if (edit->role != JSON_EDIT_PLAIN) {
        return put_added(r, edit, at);
    }
    at = put_comma(r, edit->offset, at);
    at = put_source(r, edit->offset, at);
    r->done = json_edit_end(edit) > r->done ? json_edit_end(edit) : r->done;
    return put_piece(at, edit->text);
}

size_t json_edits_read(struct json_edits_reader *r, struct iovec *pieces, size_t room)
{
    struct iovec *at = pieces;
    CHECK(room >= JSON_EDITS_PIECES_MIN);
    while (!r->is_done && (size_t)(at - pieces) <= room - JSON_EDITS_PIECES_MIN) {
        at = put_next(r, at);
    }
    return (size_t)(at - pieces);
}

size_t json_edits_most_pieces(const struct json_edits *e)
{
    return e->list.most_pieces + (e->below == NULL ? 0 : e->below->list.most_pieces) + 1;
}

size_t json_edits_pieces(const struct json_edits *e, struct iovec *pieces)
{
    struct json_edits_reader r;
    struct iovec *at = pieces;
    json_edits_read_begin(&r, e);
    while (!r.is_done) {
        at = put_next(&r, at);
    }
    return (size_t)(at - pieces);
}

/* Reads on to the end. Returns how many bytes that is; writes them to `out`, unless it is NULL. */
static uint64_t read_all(struct json_edits_reader *r, uint8_t *out)
{
    struct iovec pieces[JSON_EDITS_PIECES_MIN];
    uint64_t total = 0;
    while (!r->is_done) {
        const struct iovec *end = put_next(r, pieces);
        for (const struct iovec *piece = pieces; piece < end; piece++) {
            if (out != NULL) {
                memcpy(out + total, piece->iov_base, piece->iov_len);
            }
            total += piece->iov_len;
        }
    }
    return total;
}

uint64_t json_edits_total(const struct json_edits *e)
{
    struct json_edits_reader r;
    json_edits_read_begin(&r, e);
    return read_all(&r, NULL);
}

void json_edits_copy(const struct json_edits *e, uint8_t *out)
{
    struct json_edits_reader r;
    json_edits_read_begin(&r, e);
    (void)read_all(&r, out); /* json_edits_total() said how much it is */
}

/* ---- one value ---- */

/* The edit that covers all bytes of a row, or NULL. */
static const struct json_edit *find_cover(const struct json_edit_list *list,
                                          const struct json_row *row)
{
    struct json_edit_place place = place_at(list, row->offset, row->len);
    const struct json_edit *before = json_edit_list_before(list, place);
    if (before != NULL && json_edit_end(before) > row->offset) {
        return before;
    }
    const struct json_edit *at = json_edit_list_get(list, &place);
    bool covers =
        at != NULL && at->offset == row->offset && json_edit_end(at) >= row->offset + row->len;
    return covers ? at : NULL;
}

/* The row with the edits inside it. */
static struct span edited_inside(struct json_edits *e, const struct json_row *row)
{
    struct json_edits_reader r;
    begin(&r, e, row->offset, row->offset + row->len, true);
    struct json_edits_reader again = r;
    size_t len = (size_t)read_all(&again, NULL);
    uint8_t *out = arena_alloc(e->arena, len);
    if (out == NULL) {
        json_edits_fail(e, arena_error(e->arena));
        return (struct span){NULL, 0};
    }
    (void)read_all(&r, out); /* as much as before */
    return span_make(out, len);
}

static bool has_inside(const struct json_edit_list *list, const struct json_row *row)
{
    struct json_edit_place place = place_at(list, row->offset, row->len);
    const struct json_edit *edit = json_edit_list_get(list, &place);
    return edit != NULL && edit->offset < row->offset + row->len;
}

struct span json_edits_value(struct json_edits *e, uint32_t row)
{
    const struct json_row *r = json_row(e->index, row);
    const struct json_edits *below = e->below;
    if (json_edits_failed(e)) {
        return (struct span){NULL, 0};
    }
    const struct json_edit *cover = find_cover(&e->list, r);
    if (cover == NULL && below != NULL) {
        cover = find_cover(&below->list, r);
    }
    if (cover != NULL) {
        bool is_it =
            cover->role == JSON_EDIT_PLAIN && cover->offset == r->offset && cover->len == r->len;
        return is_it ? cover->text : (struct span){NULL, 0};
    }
    bool is_edited = has_inside(&e->list, r) || (below != NULL && has_inside(&below->list, r));
    return is_edited ? edited_inside(e, r) : json_source(e->index, row);
}
