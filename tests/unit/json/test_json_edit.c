/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_edit.c — an edited text is what one would have written, commas and all. */
#include "unit.h"

#include "base/buf.h"
#include "base/memory.h"
#include "json/json_edit.h"
#include "json/json_value.h"

struct scene {
    struct json_index index;
    struct arena arena;
    struct json_edits edits;
};

static void begin(struct scene *s, struct span text)
{
    json_index_init(&s->index, 1000, 64);
    arena_init(&s->arena, 1 << 20);
    assert_int_equal(json_index_parse_borrow(&s->index, text), ERR_OK);
    json_edits_init(&s->edits, &s->index, &s->arena);
}

static void end(struct scene *s)
{
    arena_fini(&s->arena);
    json_index_fini(&s->index);
}

/* The edited text, which copy and pieces must agree on. */
static struct span result_of(struct scene *s, const struct json_edits *edits)
{
    struct iovec pieces[64];
    size_t total = json_edits_total(edits);
    uint8_t *flat = arena_alloc(&s->arena, total + 1);
    uint8_t *joined = arena_alloc(&s->arena, total + 1);
    assert_true(flat != NULL && joined != NULL && json_edits_most_pieces(edits) <= ROWS(pieces));
    json_edits_copy(edits, flat);
    size_t count = json_edits_pieces(edits, pieces);
    assert_true(count <= json_edits_most_pieces(edits));
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(pieces[i].iov_len > 0);
        memcpy(joined + len, pieces[i].iov_base, pieces[i].iov_len);
        len += pieces[i].iov_len;
    }
    assert_int_equal(len, total);
    assert_true(span_equal(span_make(flat, total), span_make(joined, len)));
    return span_make(flat, total);
}

static void expect(struct scene *s, const char *text)
{
    struct span result = result_of(s, &s->edits);
    if (!span_is(result, text)) {
        fail_msg("%.*s, not %s", SPAN_ARGS(result), text);
    }
}

static void replacements_stand_in_the_order_of_the_text(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, SPAN("{\"model\":\"m\",\"n\":[1,22,3]}"));
    expect(&s, "{\"model\":\"m\",\"n\":[1,22,3]}");
    json_edits_set_value_borrow(&s.edits, 6, SPAN("\"two\""));
    json_edits_set_value_borrow(&s.edits, json_find(&s.index, 0, SPAN("model")), SPAN("\"real\""));
    expect(&s, "{\"model\":\"real\",\"n\":[1,\"two\",3]}");
    json_edits_replace_borrow(&s.edits, 0, 0, SPAN("<"));
    json_edits_replace_borrow(&s.edits, 26, 0, SPAN(">"));
    json_edits_replace_borrow(&s.edits, 26, 0, SPAN("!"));
    json_edits_replace_borrow(&s.edits, 18, 2, SPAN(""));
    expect(&s, "<{\"model\":\"real\",\"n\":[\"two\",3]}>!");
    end(&s);
}

static void objects_in_one_another_keep_their_commas_apart(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, SPAN("{\"a\":{\"b\":1,\"c\":{}},\"d\":2}"));
    uint32_t inner = json_find(&s.index, 0, SPAN("a"));
    uint32_t empty = json_find(&s.index, inner, SPAN("c"));
    json_edits_add_member_borrow(&s.edits, 0, JSON_AT_END, SPAN("\"z\":0"));
    json_edits_add_member_borrow(&s.edits, empty, JSON_AT_END, SPAN("\"y\":0"));
    json_edits_add_member_borrow(&s.edits, empty, JSON_AT_BEGIN, SPAN("\"x\":0"));
    json_edits_remove_member(&s.edits, inner, json_find_key(&s.index, inner, SPAN("b")));
    json_edits_add_member_borrow(&s.edits, inner, JSON_AT_BEGIN, SPAN("\"w\":0"));
    json_edits_remove_member(&s.edits, 0, json_find_key(&s.index, 0, SPAN("d")));
    expect(&s, "{\"a\":{\"w\":0,\"c\":{\"x\":0,\"y\":0}},\"z\":0}");
    end(&s);
}

static void without_memory_the_list_says_so_at_the_end(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, SPAN("{\"a\":1}"));
    arena_fini(&s.arena);
    arena_init(&s.arena, 16);
    json_edits_remove_member(&s.edits, 0, 1);
    json_edits_set_value_borrow(&s.edits, 2, SPAN("2"));
    assert_true(json_edits_failed(&s.edits));
    assert_int_equal(json_edits_error(&s.edits), ERR_NO_MEMORY);
    struct json_edits upon;
    json_edits_init_upon(&upon, &s.edits, &s.index, &s.arena);
    assert_true(json_edits_failed(&upon));
    end(&s);
}

static void a_hundred_thousand_edits_take_no_time(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    struct buf text;
    struct scene s;
    buf_init(&text, 1 << 24);
    buf_put_text(&text, "{\"a\":{");
    for (int i = 0; i < MANY; i++) {
        buf_printf(&text, "%s\"%d\":[0]", i == 0 ? "" : ",", i);
    }
    buf_put_text(&text, "},\"b\":1}");
    begin(&s, SPAN("[]"));
    json_index_fini(&s.index);
    arena_fini(&s.arena);
    json_index_init(&s.index, MANY * 4, 8);
    arena_init(&s.arena, 1 << 27);
    assert_int_equal(json_index_parse_borrow(&s.index, buf_span(&text)), ERR_OK);
    json_edits_init(&s.edits, &s.index, &s.arena);
    uint32_t object = json_find(&s.index, 0, SPAN("a"));
    for (uint32_t key = json_first(&s.index, object); key != JSON_NONE;
         key = json_next(&s.index, key)) { /* were this quadratic, it would take minutes */
        json_edits_set_value_borrow(&s.edits, json_value(&s.index, key) + 1, SPAN("12"));
    }
    for (int i = 0; i < MANY; i++) {
        json_edits_add_member_borrow(&s.edits, 0, JSON_AT_END, SPAN("\"z\":0"));
    }
    json_edits_remove_member(&s.edits, 0, json_find_key(&s.index, 0, SPAN("b")));
    assert_false(json_edits_failed(&s.edits));
    assert_int_equal(json_edits_total(&s.edits), buf_span(&text).len + MANY * 7 - 6);
    end(&s);
    buf_fini(&text);
}

/* One way of editing an object of up to four members m0 … m3. */
struct plan {
    unsigned members, removed; /* how many; bit n: the n-th goes */
    unsigned first, last;      /* how many are added at either end */
    bool backwards, adds_last; /* in which order it is asked for */
    bool spaces;
    unsigned upper; /* bit 0: a try removes the odd members, bit 1: the even; bit 2: it adds */
};

static void put_object(struct buf *out, const struct plan *p)
{
    const char *space = p->spaces ? " \n" : "";
    buf_printf(out, "[%s{%s", space, space);
    for (unsigned m = 0; m < p->members; m++) {
        buf_printf(out, "%s%s\"m%u\"%s:%s[%u]%s", m == 0 ? "" : ",", space, m, space, space, m,
                   space);
    }
    buf_printf(out, "%s}%s,{}]", space, space);
}

/* What one layer removes. */
static void remove_members(struct json_edits *edits, const struct plan *p, bool upper)
{
    for (unsigned i = 0; i < p->members; i++) {
        unsigned m = p->backwards ? p->members - 1 - i : i;
        bool is_upper = (p->upper >> (m % 2 == 0 ? 1 : 0) & 1) != 0;
        if ((p->removed >> m & 1) != 0 && is_upper == upper) {
            uint32_t key = 2 + m * 3; /* a key, an array and a number each */
            json_edits_set_value_borrow(edits, key + 1, SPAN("0")); /* goes with the member */
            json_edits_remove_member(edits, 1, key);
            json_edits_remove_member(edits, 1, key);
            json_edits_set_value_borrow(edits, key + 2, SPAN("0"));
        }
    }
}

static void add_members(struct json_edits *edits, const struct plan *p, bool upper)
{
    if (((p->upper & 4) != 0) != upper) {
        return;
    }
    const struct span first[] = {SPAN("\"f0\":0"), SPAN("\"f1\":1")};
    const struct span last[] = {SPAN("\"l0\":0"), SPAN("\"l1\":1")};
    for (unsigned i = 0; i < p->first; i++) {
        json_edits_add_member_borrow(edits, 1, JSON_AT_BEGIN, first[i]);
    }
    for (unsigned i = 0; i < p->last; i++) {
        json_edits_add_member_borrow(edits, 1, JSON_AT_END, last[i]);
    }
}

/* The keys that should be there, in order. */
static void put_expected(struct buf *out, const struct plan *p)
{
    for (unsigned i = 0; i < p->first; i++) {
        buf_printf(out, "f%u ", i);
    }
    for (unsigned m = 0; m < p->members; m++) {
        if ((p->removed >> m & 1) == 0) {
            buf_printf(out, "m%u ", m);
        }
    }
    for (unsigned i = 0; i < p->last; i++) {
        buf_printf(out, "l%u ", i);
    }
}

static void put_keys(struct buf *out, struct span text)
{
    struct json_index index;
    json_index_init(&index, 1000, 64);
    if (json_index_parse_borrow(&index, text) != ERR_OK) {
        fail_msg("no JSON at %zu: %.*s", index.error_at, SPAN_ARGS(text));
    }
    for (uint32_t key = json_first(&index, 1); key != JSON_NONE; key = json_next(&index, key)) {
        buf_put(out, json_inside(&index, key));
        buf_put_byte(out, ' ');
    }
    json_index_fini(&index);
}

static void edit_layer(struct json_edits *edits, const struct plan *p, bool upper)
{
    if (p->adds_last) {
        remove_members(edits, p, upper);
        add_members(edits, p, upper);
    } else {
        add_members(edits, p, upper);
        remove_members(edits, p, upper);
    }
}

static void try_plan(const struct plan *p)
{
    struct buf text, expected, found;
    struct scene s;
    buf_init(&text, 4096);
    buf_init(&expected, 4096);
    buf_init(&found, 4096);
    put_object(&text, p);
    begin(&s, buf_span(&text));
    edit_layer(&s.edits, p, false);
    struct json_edits upon;
    json_edits_init_upon(&upon, &s.edits, &s.index, &s.arena);
    edit_layer(&upon, p, true);
    struct span result = result_of(&s, &upon);
    put_expected(&expected, p);
    put_keys(&found, result);
    if (!span_equal(buf_span(&expected), buf_span(&found))) {
        fail_msg("%.*s became %.*s", SPAN_ARGS(buf_span(&text)), SPAN_ARGS(result));
    }
    end(&s);
    buf_fini(&found);
    buf_fini(&expected);
    buf_fini(&text);
}

static void any_members_removed_and_added_in_any_order_leave_an_object(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 5 * 16 * 9 * 64; way++) {
        unsigned ends = way / (5 * 16) % 9;
        unsigned flags = way / (5 * 16 * 9);
        struct plan p = {way % 5,          way / 5 % 16,     ends % 3,         ends / 3,
                         (flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0, flags / 8};
        if (p.removed >> p.members == 0) {
            try_plan(&p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replacements_stand_in_the_order_of_the_text),
        cmocka_unit_test(objects_in_one_another_keep_their_commas_apart),
        cmocka_unit_test(without_memory_the_list_says_so_at_the_end),
        cmocka_unit_test(a_hundred_thousand_edits_take_no_time),
        cmocka_unit_test(any_members_removed_and_added_in_any_order_leave_an_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
