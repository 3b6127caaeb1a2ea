/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_json_edit.c — members removed from and added to objects of any text leave JSON with exactly
 * the keys that were kept and added.
 *
 * An input is a text behind a NUL; each byte before the NUL removes or adds something.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "base/buf.h"
#include "json/json_edit.h"
#include "json/json_value.h"

#define MAX_ORDERS 64

/* What the object should hold in the end. */
struct wanted {
    const struct json_index *index;
    uint32_t object;
    bool removed[256]; /* by the position of the key */
    unsigned first, last;
};

static void obey(uint8_t order, struct json_edits *edits, struct wanted *w)
{
    const struct json_index *x = w->index;
    if (order % 4 == 0) {
        json_edits_add_member_borrow(edits, w->object, JSON_AT_BEGIN, SPAN("\"+first\":0"));
        w->first++;
    } else if (order % 4 == 1) {
        json_edits_add_member_borrow(edits, w->object, JSON_AT_END, SPAN("\"+last\":[]"));
        w->last++;
    } else {
        unsigned position = order / 4;
        uint32_t key = json_first(x, w->object);
        for (unsigned i = 0; i < position && key != JSON_NONE; i++) {
            key = json_next(x, key);
        }
        if (key != JSON_NONE) {
            json_edits_remove_member(edits, w->object, key);
            w->removed[position] = true;
        }
    }
}

static void put_wanted(struct buf *out, const struct wanted *w)
{
    for (unsigned i = 0; i < w->first; i++) {
        buf_put(out, SPAN("\"+first\"0"));
    }
    unsigned position = 0;
    for (uint32_t key = json_first(w->index, w->object); key != JSON_NONE;
         key = json_next(w->index, key)) {
        if (position >= sizeof(w->removed) || !w->removed[position]) {
            buf_put(out, json_source(w->index, key));
            buf_put(out, json_source(w->index, json_value(w->index, key)));
        }
        position++;
    }
    for (unsigned i = 0; i < w->last; i++) {
        buf_put(out, SPAN("\"+last\"[]"));
    }
}

/* The edited text must be JSON again, whose object holds what is wanted. */
static void compare(struct span edited, const struct wanted *w)
{
    struct json_index x;
    struct buf wanted, found;
    json_index_init(&x, UINT32_MAX, 256);
    buf_init(&wanted, SIZE_MAX / 2);
    buf_init(&found, SIZE_MAX / 2);
    CHECK(json_index_parse_borrow(&x, edited) == ERR_OK);
    put_wanted(&wanted, w);
    for (uint32_t key = json_first(&x, w->object); key != JSON_NONE; key = json_next(&x, key)) {
        buf_put(&found, json_source(&x, key));
        buf_put(&found, json_source(&x, json_value(&x, key)));
    }
    CHECK(span_equal(buf_span(&wanted), buf_span(&found)));
    buf_fini(&found);
    buf_fini(&wanted);
    json_index_fini(&x);
}

static void edit(const struct json_index *x, struct span orders)
{
    struct arena arena;
    struct json_edits edits;
    struct wanted w = {.index = x};
    /* The first object: its row does not move when members of it go. */
    while (w.object < x->count && json_kind(x, w.object) != JSON_OBJECT) {
        w.object++;
    }
    if (w.object == x->count) {
        return;
    }
    arena_init(&arena, SIZE_MAX / 2);
    json_edits_init(&edits, x, &arena);
    for (size_t i = 0; i < orders.len; i++) {
        obey(orders.at[i], &edits, &w);
    }
    CHECK(!json_edits_failed(&edits));
    size_t total = json_edits_total(&edits);
    uint8_t *flat = arena_alloc(&arena, total + 1);
    CHECK(flat != NULL);
    json_edits_copy(&edits, flat);
    compare(span_make(flat, total), &w);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = span_make(data, size);
    size_t nul = span_find(input, 0, 0);
    struct json_index x;
    json_index_init(&x, UINT32_MAX, 256);
    if (nul < size && nul <= MAX_ORDERS &&
        json_index_parse_borrow(&x, span_cut(input, nul + 1, size)) == ERR_OK) {
        edit(&x, span_cut(input, 0, nul));
    }
    json_index_fini(&x);
    return 0;
}
