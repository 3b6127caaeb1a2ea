/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quick walk (json_walk_wide.c) does nearly all texts. What it does not like is begun anew:
 * first the whole text is checked for UTF-8, many bytes at a time; then one walk over it
 * (json_walk.c) needs to know only ASCII. All go on where they stopped.
 */
#include "json/json_index.h"

#include "base/memory.h"
#include "json/json_scan.h"
#include "json/json_walk.h"

#define FIRST_ROWS 64
#define UTF8_FASTER \
    8 /* so many bytes are checked for UTF-8 in the time in which one is walked over */

void json_index_init(struct json_index *x, uint32_t max_rows, uint16_t max_depth)
{
    json_index_init_counted(x, max_rows, max_depth, max_rows);
}

void json_index_init_counted(struct json_index *x, uint32_t max_rows, uint16_t max_depth,
                             uint32_t uncounted)
{
    *x = (struct json_index){.max_rows = max_rows, .max_depth = max_depth, .uncounted = uncounted};
}

void json_index_fini(struct json_index *x)
{
    memory_free(x->rows);
    if (x->taken > 0) {
        memory_give(x->taken);
    }
    json_index_init_counted(x, x->max_rows, x->max_depth, x->uncounted);
}

void json_index_trim(struct json_index *x, uint32_t rows)
{
    if (x->cap > rows) {
        json_index_fini(x);
    }
    x->count = 0;
    x->text = (struct span){NULL, 0};
    x->walk = (struct json_walk){.phase = JSON_WALK_DONE};
}

void json_index_move(struct json_index *x, struct json_index *out)
{
    *out = *x;
    json_index_init_counted(x, out->max_rows, out->max_depth, out->uncounted);
}

enum err json_index_keep(struct json_index *x)
{
    struct json_row *less = x->count == 0 ? NULL : memory_resize(x->rows, x->count * sizeof(*less));
    if (less != NULL) {
        x->rows = less;
        x->cap = x->count;
    }
    size_t bytes = x->cap * sizeof(*x->rows);
    if (bytes > x->taken && !memory_take(bytes - x->taken)) {
        return ERR_OVERLOADED;
    }
    if (bytes < x->taken) {
        memory_give(x->taken - bytes);
    }
    x->taken = bytes;
    x->uncounted = 0;
    return ERR_OK;
}

/* Doubles the room for rows, up to the maximum. */
enum err json_index_grow(struct json_index *x)
{
    if (x->cap >= x->max_rows) {
        return ERR_JSON_TOO_MANY;
    }
    uint64_t cap = x->cap < FIRST_ROWS ? FIRST_ROWS : (uint64_t)x->cap * 2;
    cap = cap < x->max_rows ? cap : x->max_rows;
    uint64_t counted = (cap > x->uncounted ? cap - x->uncounted : 0) * sizeof(*x->rows);
    uint64_t more = counted > x->taken ? counted - x->taken : 0;
    if (more > 0 && !memory_take(more)) {
        return ERR_OVERLOADED;
    }
    struct json_row *rows = memory_resize(x->rows, cap * sizeof(*rows));
    if (rows == NULL) {
        memory_give(more);
        return ERR_NO_MEMORY;
    }
    x->taken += more;
    x->rows = rows;
    x->cap = (uint32_t)cap;
    return ERR_OK;
}

/* Whether the rows inside `row` are in order, in its bytes, and end where it says. */
static bool is_sound_inside(const struct json_index *x, uint32_t row)
{
    const struct json_row *outer = &x->rows[row];
    uint32_t at = outer->offset + 1;
    uint32_t inside = row + 1;
    while (inside < outer->next) {
        const struct json_row *r = &x->rows[inside];
        if (r->offset < at || r->depth != outer->depth + 1 || r->len > x->text.len - r->offset) {
            return false;
        }
        at = r->offset + r->len;
        inside = r->next;
    }
    return inside == outer->next && at < outer->offset + outer->len;
}

#define SOUND_ROWS 65536 /* of more the check would take longer than a step may */

/* Asserts what json_index.h says is always true. */
static bool is_sound(const struct json_index *x)
{
    for (uint32_t row = 0; row < x->count; row++) {
        const struct json_row *r = &x->rows[row];
        bool container = r->kind >= JSON_ARRAY;
        if (r->len == 0 || r->next <= row || r->next > x->count ||
            (!container && r->next != row + 1) || (container && !is_sound_inside(x, row))) {
            return false;
        }
    }
    return x->count > 0 && x->rows[0].depth == 0 && x->rows[0].next == x->count;
}

void json_index_begin_borrow(struct json_index *x, struct span text)
{
    x->count = 0;
    x->text = text.at == NULL ? SPAN("") : text;
    x->error_at = 0;
    x->walk = (struct json_walk){.phase = JSON_WALK_UTF8, .open = JSON_NONE};
    if (x->text.len <= UINT32_MAX && json_walk_may_be_quick(x)) {
        x->walk.phase = JSON_WALK_QUICK;
    }
}

static enum err fail(struct json_index *x, enum err error, size_t at)
{
    x->walk.phase = JSON_WALK_DONE;
    x->error_at = at;
    return error;
}

/* Checks about so many bytes more for UTF-8, and takes what that cost of `*bytes`. */
static enum err check_utf8(struct json_index *x, size_t *bytes)
{
    struct span text = x->text;
    size_t most = *bytes <= SIZE_MAX / UTF8_FASTER ? *bytes * UTF8_FASTER : SIZE_MAX;
    struct span piece = json_scan_piece(text, x->walk.at, most);
    size_t good = json_scan_utf8(piece);
    x->walk.at += (uint32_t)good;
    if (good < piece.len) {
        return fail(x, ERR_BODY_NOT_JSON, x->walk.at);
    }
    size_t cost = piece.len / UTF8_FASTER;
    *bytes -= cost < *bytes ? cost : *bytes;
    if (x->walk.at == text.len) {
        x->walk.at = 0;
        x->walk.phase = JSON_WALK_VALUES;
    }
    return ERR_OK;
}

enum err json_index_step(struct json_index *x, size_t bytes)
{
    enum err e = ERR_OK;
    CHECK(bytes > 0);
    if (x->text.len > UINT32_MAX) {
        return fail(x, ERR_BODY_TOO_LARGE, 0);
    }
    if (x->walk.phase == JSON_WALK_QUICK) {
        json_walk_quickly(x, bytes);
        CHECK_SLOW(x->walk.phase != JSON_WALK_DONE || x->count > SOUND_ROWS || is_sound(x));
        return ERR_OK;
    }
    if (x->walk.phase == JSON_WALK_UTF8) {
        e = check_utf8(x, &bytes);
    }
    if (e == ERR_OK && x->walk.phase == JSON_WALK_VALUES && bytes > 0) {
        e = json_walk_on(x, bytes);
        if (e != ERR_OK) {
            return fail(x, e, x->walk.at);
        }
        CHECK_SLOW(x->walk.phase != JSON_WALK_DONE || x->count > SOUND_ROWS || is_sound(x));
    }
    return e;
}

enum err json_index_parse_borrow(struct json_index *x, struct span text)
{
    enum err e = ERR_OK;
    json_index_begin_borrow(x, text);
    while (e == ERR_OK && !json_index_is_done(x)) {
        e = json_index_step(x, SIZE_MAX);
    }
    return e;
}
