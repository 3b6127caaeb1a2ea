/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_json_edit.c — edits of any text, in both layers, leave the JSON that one gets by doing the
 * same to a tree, one after the other; and so does each value as edited.
 *
 * An input is a text behind a NUL; each two bytes before the NUL are an order: what, and where.
 */
#include "fuzz.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"
#include "json/json_edit.h"
#include "json/json_value.h"

#define MAX_ORDERS 64
#define MAX_ROWS   512
#define MAX_DEPTH  64

enum order { ADD_FIRST, ADD_LAST, REMOVE, SET, SET_OBJECT, INSERT, NEXT_LAYER, ORDERS };

/* What was done to a row of the text. */
struct node {
    uint32_t around; /* the row around it: a value's key, a key's object, an element's array */
    bool removed;
    const char *set;      /* its new value, or NULL */
    unsigned first, last; /* members added to it */
    unsigned inserted;    /* letters at the beginning of a string */
};

struct tree {
    const struct json_index *x;
    struct node nodes[MAX_ROWS];
};

static void grow_tree(struct tree *t, const struct json_index *x)
{
    uint32_t around[MAX_DEPTH + 1] = {JSON_NONE};
    memset(t, 0, sizeof(*t));
    t->x = x;
    for (uint32_t row = 0; row < x->count; row++) {
        const struct json_row *r = json_row(x, row);
        bool is_value = row > 0 && json_kind(x, row - 1) == JSON_KEY;
        t->nodes[row].around = is_value ? row - 1 : around[r->depth];
        if (r->kind >= JSON_ARRAY) {
            around[r->depth + 1] = row;
        }
    }
}

/* Whether something around a row, or the row's own member, is not there any more. */
static bool is_gone(const struct tree *t, uint32_t row)
{
    bool gone = t->nodes[row].removed;
    for (row = t->nodes[row].around; row != JSON_NONE; row = t->nodes[row].around) {
        gone = gone || t->nodes[row].removed || t->nodes[row].set != NULL;
    }
    return gone;
}

static void put_members(struct buf *out, const char *text, unsigned count, bool *comma)
{
    for (unsigned i = 0; i < count; i++) {
        buf_put(out, *comma ? SPAN(",") : SPAN(""));
        buf_put_text(out, text);
        *comma = true;
    }
}

/* Writes a row without white space, as it is now. */
static void put_row(struct buf *out, const struct tree *t, uint32_t row)
{
    const struct json_index *x = t->x;
    const struct node *node = &t->nodes[row];
    enum json_kind kind = json_kind(x, row);
    if (node->set != NULL) {
        buf_put_text(out, node->set);
    } else if (kind < JSON_ARRAY) {
        struct span source = json_source(x, row);
        buf_put(out, span_cut(source, 0, 1));
        for (unsigned i = 0; i < node->inserted; i++) {
            buf_put(out, SPAN("x"));
        }
        buf_put(out, span_cut(source, 1, source.len));
    } else {
        bool comma = false;
        buf_put(out, kind == JSON_ARRAY ? SPAN("[") : SPAN("{"));
        put_members(out, "\"+first\":0", node->first, &comma);
        for (uint32_t i = json_first(x, row); i != JSON_NONE; i = json_next(x, i)) {
            if (t->nodes[i].removed) {
                continue;
            }
            buf_put(out, comma ? SPAN(",") : SPAN(""));
            put_row(out, t, i);
            comma = true;
            if (kind == JSON_OBJECT) {
                buf_put(out, SPAN(":"));
                put_row(out, t, json_value(x, i));
            }
        }
        put_members(out, "\"+last\":[]", node->last, &comma);
        buf_put(out, kind == JSON_ARRAY ? SPAN("]") : SPAN("}"));
    }
}

/* `edited` must be JSON that says what `row` is now. */
static void compare(struct span edited, const struct tree *t, uint32_t row)
{
    struct json_index x;
    struct buf wanted, found;
    static struct tree plain;
    json_index_init(&x, UINT32_MAX, MAX_DEPTH + 1);
    buf_init(&wanted, SIZE_MAX / 2);
    buf_init(&found, SIZE_MAX / 2);
    CHECK(json_index_parse_borrow(&x, edited) == ERR_OK);
    memset(&plain, 0, sizeof(plain));
    plain.x = &x;
    CHECK(x.count < MAX_ROWS);
    put_row(&wanted, t, row);
    put_row(&found, &plain, 0);
    CHECK(span_equal(buf_span(&wanted), buf_span(&found)));
    buf_fini(&found);
    buf_fini(&wanted);
    json_index_fini(&x);
}

static void add_member(enum order order, uint32_t row, struct json_edits *edits, struct tree *t)
{
    bool first = order == ADD_FIRST;
    bool stays = !is_gone(t, row) && t->nodes[row].set == NULL;
    json_edits_add_member_borrow(edits, row, first ? JSON_AT_BEGIN : JSON_AT_END,
                                 first ? SPAN("\"+first\":0") : SPAN("\"+last\":[]"));
    t->nodes[row].first += stays && first;
    t->nodes[row].last += stays && !first;
}

static void change_value(enum order order, uint32_t row, struct json_edits *edits, struct tree *t)
{
    struct node *node = &t->nodes[row];
    bool gone = is_gone(t, row);
    if (order == INSERT && json_kind(t->x, row) == JSON_STRING) {
        json_edits_replace_borrow(edits, json_row(t->x, row)->offset + 1, 0, SPAN("x"));
        node->inserted += !gone && node->set == NULL;
    } else if (order != INSERT) {
        const char *text = order == SET ? "\"set\"" : "{\"s\":[1]}";
        json_edits_set_value_borrow(edits, row, span_of(text));
        node->set = gone ? node->set : text;
    }
}

static void obey(enum order order, uint32_t row, struct json_edits *edits, struct tree *t)
{
    enum json_kind kind = json_kind(t->x, row);
    if (order == ADD_FIRST || order == ADD_LAST) {
        if (kind == JSON_OBJECT) {
            add_member(order, row, edits, t);
        }
    } else if (order == REMOVE) {
        if (kind == JSON_KEY) {
            json_edits_remove_member(edits, t->nodes[row].around, row);
            t->nodes[row].removed = true; /* within what is gone it makes no difference */
        }
    } else if (kind != JSON_KEY) {
        change_value(order, row, edits, t);
    }
}

/* The text in as small steps as may be; it must be what json_edits_copy() says. */
static struct span read_text(const struct json_edits *edits, struct arena *arena)
{
    size_t total = (size_t)json_edits_total(edits), len = 0, count = 0, n;
    uint8_t *flat = arena_alloc(arena, total + 1);
    uint8_t *stepped = arena_alloc(arena, total + 1);
    struct json_edits_reader r;
    struct iovec pieces[JSON_EDITS_PIECES_MIN];
    CHECK(flat != NULL && stepped != NULL);
    json_edits_copy(edits, flat);
    json_edits_read_begin(&r, edits);
    while ((n = json_edits_read(&r, pieces, JSON_EDITS_PIECES_MIN)) > 0) {
        for (size_t i = 0; i < n; i++) {
            CHECK(pieces[i].iov_len > 0 && pieces[i].iov_len <= total - len);
            memcpy(stepped + len, pieces[i].iov_base, pieces[i].iov_len);
            len += pieces[i].iov_len;
        }
        count += n;
    }
    CHECK(len == total && memcmp(flat, stepped, len) == 0);
    CHECK(count <= json_edits_most_pieces(edits));
    return span_make(flat, total);
}

static void check(struct json_edits *edits, struct arena *arena, const struct tree *t)
{
    CHECK(!json_edits_failed(edits));
    compare(read_text(edits, arena), t, 0);
    for (uint32_t row = 0; row < t->x->count; row++) {
        struct span value = json_edits_value(edits, row);
        CHECK((value.at == NULL) == is_gone(t, row));
        if (value.at != NULL) {
            compare(value, t, row);
        }
    }
}

static void edit(const struct json_index *x, struct span orders)
{
    static struct tree tree;
    struct arena arena;
    struct json_edits call, try;
    arena_init(&arena, SIZE_MAX / 2);
    grow_tree(&tree, x);
    json_edits_init(&call, x, &arena);
    struct json_edits *edits = &call;
    for (size_t i = 0; i + 1 < orders.len; i += 2) {
        if (orders.at[i] % ORDERS != NEXT_LAYER) {
            obey(orders.at[i] % ORDERS, orders.at[i + 1] % x->count, edits, &tree);
        } else if (edits == &call) {
            check(&call, &arena, &tree);
            json_edits_init_upon(&try, &call, x, &arena);
            edits = &try;
        }
    }
    check(edits, &arena, &tree);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = span_make(data, size);
    size_t nul = span_find(input, 0, 0);
    struct json_index x;
    json_index_init(&x, MAX_ROWS / 2, MAX_DEPTH);
    if (nul < size && nul <= 2 * MAX_ORDERS &&
        json_index_parse_borrow(&x, span_cut(input, nul + 1, size)) == ERR_OK) {
        edit(&x, span_cut(input, 0, nul));
    }
    json_index_fini(&x);
    return 0;
}
