/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_edit_layers.c — a try's edits stand upon its call's; of two that meet, the later wins.
 */
#include "unit.h"

#include "base/buf.h"
#include "json/json_edit.h"
#include "json/json_value.h"

struct scene {
    struct json_index index;
    struct arena arena;
    struct json_edits call, try;
};

static void begin(struct scene *s, const char *text)
{
    json_index_init(&s->index, 1 << 20, 64);
    arena_init(&s->arena, 1 << 28);
    assert_int_equal(json_index_parse_borrow(&s->index, span_of(text)), ERR_OK);
    json_edits_init(&s->call, &s->index, &s->arena);
}

static void begin_try(struct scene *s)
{
    json_edits_init_upon(&s->try, &s->call, &s->index, &s->arena);
}

static void end(struct scene *s)
{
    arena_fini(&s->arena);
    json_index_fini(&s->index);
}

static void expect(struct scene *s, const struct json_edits *edits, const char *text)
{
    size_t total = json_edits_total(edits);
    uint8_t *flat = arena_alloc(&s->arena, total + 1);
    assert_non_null(flat);
    json_edits_copy(edits, flat);
    if (json_edits_failed(edits) || !span_is(span_make(flat, total), text)) {
        fail_msg("%.*s, not %s", (int)total, (const char *)flat, text);
    }
}

static void value_is(struct json_edits *edits, uint32_t row, const char *text)
{
    struct span value = json_edits_value(edits, row);
    if (text == NULL ? value.at != NULL : !span_is(value, text)) {
        fail_msg("row %u is %.*s, not %s", row, SPAN_ARGS(value), text == NULL ? "gone" : text);
    }
}

static uint32_t find(const struct scene *s, const char *name)
{
    return json_find(&s->index, 0, span_of(name));
}

static void remove_from(struct json_edits *edits, const char *name)
{
    json_edits_remove_member(edits, 0, json_find_key(edits->index, 0, span_of(name)));
}

static void a_trys_edits_leave_the_calls_alone(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, "{\"model\":\"m\",\"routing\":1,\"n\":2}");
    begin_try(&s);
    expect(&s, &s.try, "{\"model\":\"m\",\"routing\":1,\"n\":2}");
    remove_from(&s.call, "routing");
    begin_try(&s);
    remove_from(&s.try, "n");
    remove_from(&s.try, "model");
    json_edits_add_member_borrow(&s.try, 0, JSON_AT_END, SPAN("\"x\":0"));
    expect(&s, &s.try, "{\"x\":0}");
    expect(&s, &s.call, "{\"model\":\"m\",\"n\":2}");
    begin_try(&s); /* another one */
    json_edits_set_value_borrow(&s.try, find(&s, "model"), SPAN("\"real\""));
    expect(&s, &s.try, "{\"model\":\"real\",\"n\":2}");
    end(&s);
}

static void a_later_edit_of_a_row_stands(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, "{\"a\":[1,2],\"b\":3}");
    json_edits_set_value_borrow(&s.call, find(&s, "b"), SPAN("4"));
    json_edits_set_value_borrow(&s.call, find(&s, "b"), SPAN("55"));
    expect(&s, &s.call, "{\"a\":[1,2],\"b\":55}");
    begin_try(&s);
    value_is(&s.try, find(&s, "b"), "55");
    json_edits_set_value_borrow(&s.try, find(&s, "b"), SPAN("6"));
    json_edits_set_value_borrow(&s.try, find(&s, "b"), SPAN("7"));
    expect(&s, &s.try, "{\"a\":[1,2],\"b\":7}");
    value_is(&s.try, find(&s, "b"), "7");
    value_is(&s.call, find(&s, "b"), "55");
    end(&s);
}

static void what_is_around_covers_what_is_inside(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, "{\"a\":{\"x\":[1,2],\"y\":3},\"b\":4}");
    uint32_t a = find(&s, "a"), x = json_find(&s.index, a, SPAN("x"));
    json_edits_set_value_borrow(&s.call, x + 1, SPAN("10"));
    json_edits_add_member_borrow(&s.call, a, JSON_AT_END, SPAN("\"z\":0"));
    expect(&s, &s.call, "{\"a\":{\"x\":[10,2],\"y\":3,\"z\":0},\"b\":4}");
    value_is(&s.call, x, "[10,2]");
    value_is(&s.call, a, "{\"x\":[10,2],\"y\":3,\"z\":0}");
    begin_try(&s);
    json_edits_set_value_borrow(&s.try, x, SPAN("[]"));
    json_edits_set_value_borrow(&s.try, x + 2, SPAN("20")); /* gone */
    expect(&s, &s.try, "{\"a\":{\"x\":[],\"y\":3,\"z\":0},\"b\":4}");
    value_is(&s.try, x + 1, NULL);
    value_is(&s.try, a, "{\"x\":[],\"y\":3,\"z\":0}");
    remove_from(&s.try, "a");
    json_edits_set_value_borrow(&s.try, x, SPAN("0"));
    expect(&s, &s.try, "{\"b\":4}");
    value_is(&s.try, a, NULL);
    value_is(&s.try, x, NULL);
    json_edits_set_value_borrow(&s.call, a, SPAN("null")); /* in one layer it is the same */
    expect(&s, &s.call, "{\"a\":null,\"b\":4}");
    remove_from(&s.call, "a");
    json_edits_set_value_borrow(&s.call, a, SPAN("1"));
    expect(&s, &s.call, "{\"b\":4}");
    end(&s);
}

static void what_the_call_took_out_stays_out(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, "{\"text\":\"ring 0501234567 now\",\"copy\":null,\"hint\":{\"k\":1}}");
    uint32_t text = find(&s, "text"), hint = find(&s, "hint");
    json_edits_replace_borrow(&s.call, 14, 10, SPAN("***"));
    remove_from(&s.call, "hint");
    begin_try(&s);
    value_is(&s.try, text, "\"ring *** now\"");
    json_edits_set_value_borrow(&s.try, find(&s, "copy"), json_edits_value(&s.try, text));
    json_edits_set_value_borrow(&s.try, hint, SPAN("2"));
    json_edits_set_value_borrow(&s.try, hint + 2, SPAN("3"));
    json_edits_add_member_borrow(&s.try, hint, JSON_AT_BEGIN, SPAN("\"l\":4"));
    remove_from(&s.try, "hint");
    value_is(&s.try, hint, NULL);
    json_edits_replace_borrow(&s.try, 15, 2, SPAN("!")); /* within the stars */
    json_edits_replace_borrow(&s.try, 9, 4, SPAN("call"));
    expect(&s, &s.try, "{\"text\":\"call *** now\",\"copy\":\"ring *** now\"}");
    end(&s);
}

static void half_overlapping_edits_fail_the_list(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, "{\"text\":\"abcdef\"}");
    json_edits_replace_borrow(&s.call, 10, 3, SPAN("*"));
    begin_try(&s);
    json_edits_replace_borrow(&s.try, 9, 2, SPAN("*"));
    assert_int_equal(json_edits_error(&s.try), ERR_INTERNAL);
    assert_null(json_edits_value(&s.try, 2).at);
    begin_try(&s);
    json_edits_replace_borrow(&s.try, 12, 2, SPAN("*"));
    assert_int_equal(json_edits_error(&s.try), ERR_INTERNAL);
    begin_try(&s);
    json_edits_replace_borrow(&s.try, 9, 6, SPAN("*"));
    json_edits_replace_borrow(&s.try, 13, 2, SPAN("")); /* inside */
    expect(&s, &s.try, "{\"text\":\"*\"}");
    json_edits_replace_borrow(&s.call, 12, 2, SPAN("*"));
    json_edits_remove_member(&s.call, 0, 1);
    assert_int_equal(json_edits_error(&s.call), ERR_INTERNAL);
    end(&s);
}

/* Writes a list of `count` numbers. */
static void put_numbers(struct buf *out, int count)
{
    for (int i = 0; i < count; i++) {
        buf_put(out, i == 0 ? SPAN("[1") : SPAN(",1"));
    }
    buf_put(out, SPAN("]"));
    buf_put_byte(out, 0);
}

static void edits_may_come_in_any_order_of_the_text(void **state)
{
    (void)state;
    enum { MANY = 200000 }; /* were each a move of all behind it, it would take minutes */
    struct buf text;
    struct scene s;
    buf_init(&text, 1 << 20);
    put_numbers(&text, MANY);
    begin(&s, (const char *)buf_span(&text).at);
    for (uint32_t i = 0; i < MANY; i += 2) { /* backwards */
        json_edits_set_value_borrow(&s.call, MANY - i, SPAN("22"));
    }
    begin_try(&s);
    for (uint32_t i = 0; i < MANY; i += 2) { /* here and there */
        json_edits_set_value_borrow(&s.try, 1 + (i / 2 * 7919 % (MANY / 2)) * 2, SPAN("333"));
    }
    assert_int_equal(json_edits_total(&s.try), 2 * MANY + 1 + MANY / 2 * 3);
    struct json_edits_reader r;
    struct iovec pieces[64];
    size_t n, len = 0;
    uint8_t *out = arena_alloc(&s.arena, 4 * MANY);
    json_edits_read_begin(&r, &s.try);
    while ((n = json_edits_read(&r, pieces, ROWS(pieces))) > 0) {
        for (size_t i = 0; i < n; i++) {
            memcpy(out + len, pieces[i].iov_base, pieces[i].iov_len);
            len += pieces[i].iov_len;
        }
    }
    assert_int_equal(len, json_edits_total(&s.try));
    for (size_t i = 0; i < len - 1; i += 7) {
        assert_memory_equal(out + i + 1, "333,22", 6);
    }
    json_edits_set_value_borrow(&s.try, 0, SPAN("0")); /* covers all of both */
    expect(&s, &s.try, "0");
    json_edits_set_value_borrow(&s.call, 0, SPAN("1"));
    expect(&s, &s.call, "1");
    end(&s);
    buf_fini(&text);
}

static void a_wide_gap_of_white_space_hides_no_comma(void **state)
{
    (void)state;
    struct scene s;
    begin(&s,
          "{\"a\":1 \t\n\r                        ,                      \n \"b\":2             }");
    json_edits_add_member_borrow(&s.call, 0, JSON_AT_END, SPAN("\"c\":3"));
    remove_from(&s.call, "b");
    expect(&s, &s.call, "{\"a\":1,\"c\":3             }");
    begin_try(&s);
    remove_from(&s.try, "a");
    expect(&s, &s.try, "{\"c\":3             }");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trys_edits_leave_the_calls_alone),
        cmocka_unit_test(a_later_edit_of_a_row_stands),
        cmocka_unit_test(what_is_around_covers_what_is_inside),
        cmocka_unit_test(what_the_call_took_out_stays_out),
        cmocka_unit_test(half_overlapping_edits_fail_the_list),
        cmocka_unit_test(edits_may_come_in_any_order_of_the_text),
        cmocka_unit_test(a_wide_gap_of_white_space_hides_no_comma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
