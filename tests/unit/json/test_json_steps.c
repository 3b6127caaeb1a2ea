/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_steps.c — an index made in steps is the one made at once, wherever the steps end; and
 * one made quickly is the one made exactly. */
#include "unit.h"

#include "base/buf.h"
#include "base/memory.h"
#include "json/json_duplicates.h"
#include "json/json_index.h"
#include "json/json_value.h"

#define MAX_ROWS  200000
#define MAX_DEPTH 8

static const char *const texts[] = {
    "",
    " ",
    "null",
    " true ",
    "fals",
    "\"\"",
    "\"a\\n\\u00e9\\\\\\\"\"",
    "\"a\\n\\u00e9\\x\"",
    "\"\\u12",
    "-0.5e+10",
    "-",
    "0",
    "01",
    "00.5",
    "[0,01]",
    "[10.25e-7,0e5,0.0E0,-1]",
    "1.",
    "1.e5",
    "1e+",
    "1e5.5",
    "[1.5.5]",
    "[]",
    "{}",
    "[ ]",
    "{ }",
    "[1,[2,[]],3]",
    "[1 2]",
    "[1,]",
    "[,]",
    "[}",
    "{\"a\":1]",
    "{\"a\"}",
    "{\"a\" 1}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{1:2}",
    "  {  \"a\"  :  {  \"b\"  :  [  false  ,  null  ]  }  ,  \"c\"  :  \"d\"  }  ",
    "{\"\xd9\x81\":\"\xf0\x9f\x98\x80 \xe2\x82\xac and a tail beyond thirty-two bytes\"}",
    "\"ab\xff\"",
    "[\"\xe2\x82\"]",
    "[1] x",
    "                              []",
    "                               [",
    "[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "{},[],[],[],[],[],[],[],[],[],[],[]",
    "[\"thirty-two bytes and some more\"],[1]",
    "1,[\"thirty-two bytes and some more\"]",
    "\"thirty-two bytes and some more\",[]",
    "[\"thirty-two bytes and some more\",[]",
    "[\"thirty-two bytes and some more\"]]",
    "{\"thirty-two bytes and some more\":{}",
    "{\"thirty-two bytes and some more\"}}",
    "[[[[[[[[[1]]]]]]]]]",
    "[\"looked at in blocks of thirty-two bytes, \\\" and \\u0041\\t more\", 12345678901234567890]",
};

/* Goes on in steps of `bytes` from where it is. */
static enum err go_on(struct json_index *x, size_t bytes)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && !json_index_is_done(x)) {
        assert_int_equal(x->count, 0);
        e = json_index_step(x, bytes);
    }
    assert_true(json_index_is_done(x));
    return e;
}

/* At once, by the walk that says what is JSON. */
static enum err judge(struct json_index *x, struct span text)
{
    json_index_init(x, MAX_ROWS, MAX_DEPTH);
    json_index_begin_borrow(x, text);
    x->walk = (struct json_walk){.phase = JSON_WALK_UTF8, .open = JSON_NONE};
    return go_on(x, SIZE_MAX);
}

static void expect_same(const struct json_index *a, enum err of_a, const struct json_index *b,
                        enum err of_b)
{
    if (of_a != of_b || a->error_at != b->error_at || a->count != b->count ||
        (a->count > 0 && memcmp(a->rows, b->rows, a->count * sizeof(*a->rows)) != 0)) {
        fail_msg("%.*s: %s at %zu, not %s at %zu", SPAN_ARGS(a->text), err_name(of_a), a->error_at,
                 err_name(of_b), b->error_at);
    }
}

static void steps_may_end_at_any_byte(void **state)
{
    (void)state;
    for (size_t t = 0; t < ROWS(texts); t++) {
        struct span text = span_of(texts[t]);
        struct json_index once, stepped;
        enum err e = judge(&once, text);
        json_index_init(&stepped, MAX_ROWS, MAX_DEPTH);
        expect_same(&stepped, json_index_parse_borrow(&stepped, text), &once, e);
        for (size_t bytes = 1; bytes <= text.len + 1; bytes++) {
            json_index_begin_borrow(&stepped, text);
            expect_same(&stepped, go_on(&stepped, bytes), &once, e);
            json_index_begin_borrow(&stepped, text); /* the first step of another length */
            enum err first = json_index_step(&stepped, bytes);
            expect_same(&stepped, first == ERR_OK ? go_on(&stepped, 1) : first, &once, e);
        }
        json_index_fini(&stepped);
        json_index_fini(&once);
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Writes a value of every kind, objects and arrays not too deep, strings of any length. */
static void put_value(struct buf *out, uint32_t *seed, unsigned depth)
{
    static const char *const scalars[] = {"null",
                                          "true",
                                          "-1.5e-3",
                                          "0",
                                          "123456",
                                          "\"\"",
                                          "\"\\u0645\\n\\\"\"",
                                          "\"\xd9\x85\xf0\x9f\x98\x80\""};
    uint32_t kind = next_random(seed) % (depth == 0 ? 10 : 14);
    if (kind < ROWS(scalars)) {
        buf_put_text(out, scalars[kind]);
    } else if (kind < 10) {
        uint32_t len = next_random(seed) % (kind == 8 ? 80 : 3000);
        buf_put_byte(out, '"');
        for (uint32_t i = 0; i < len; i++) {
            buf_put(out, next_random(seed) % 97 == 0 ? SPAN("\\t") : SPAN("x"));
        }
        buf_put_byte(out, '"');
    } else {
        bool object = kind % 2 == 0;
        buf_put(out, object ? SPAN("{ ") : SPAN("["));
        for (uint32_t i = 0, count = next_random(seed) % 9; i < count; i++) {
            buf_put(out, i > 0 ? SPAN(",\n  ") : SPAN(""));
            if (object) {
                buf_printf(out, "\"key%u\" : ", next_random(seed) % 1000);
            }
            put_value(out, seed, depth - 1);
        }
        buf_put(out, object ? SPAN("}") : SPAN("]"));
    }
}

static void steps_may_end_anywhere_in_a_large_text(void **state)
{
    (void)state;
    struct buf text;
    struct json_index once, stepped;
    uint32_t seed = 7;
    buf_init(&text, 1 << 24);
    json_index_init(&stepped, MAX_ROWS, MAX_DEPTH);
    for (int round = 0; round < 40; round++) {
        buf_clear(&text);
        buf_put(&text, SPAN("["));
        for (int i = 0; i < 300; i++) {
            buf_put(&text, i > 0 ? SPAN(",") : SPAN(""));
            put_value(&text, &seed, 3);
        }
        buf_put(&text, SPAN("]"));
        struct span all = buf_span(&text);
        if (round % 4 > 0) { /* something is wrong somewhere */
            uint8_t *at = (uint8_t *)(uintptr_t)all.at;
            at[next_random(&seed) % all.len] = (uint8_t) "\"\\\x80}"[next_random(&seed) % 4];
        }
        enum err e = judge(&once, all), of_steps = ERR_OK;
        json_index_begin_borrow(&stepped, all);
        while (of_steps == ERR_OK && !json_index_is_done(&stepped)) {
            of_steps = json_index_step(&stepped, 1 + next_random(&seed) % 5000);
        }
        expect_same(&stepped, of_steps, &once, e);
        json_index_fini(&once);
    }
    json_index_fini(&stepped);
    buf_fini(&text);
}

/* Puts text with escapes and Arabic of about `len` bytes. */
static void put_long(struct buf *out, uint32_t *seed, size_t len)
{
    static const char *const parts[] = {"plain text ",      "\xd9\x85\xd8\xb1", "\\n",  "\\u0645",
                                        "\xf0\x9f\x98\x80", "\xe2\x82\xac",     "\\\\", "\\\""};
    for (size_t end = buf_span(out).len + len; buf_span(out).len < end;) {
        buf_put_text(out, parts[next_random(seed) % ROWS(parts)]);
    }
}

static void long_strings_are_taken_in_pieces(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    "\x80",    "\xd9", "\xf0\x9f\x98",
                                        "\\x", "\\u00g0", "\x1f"};
    struct buf text;
    struct json_index once, stepped;
    uint32_t seed = 3;
    buf_init(&text, 1 << 16);
    json_index_init(&stepped, MAX_ROWS, MAX_DEPTH);
    for (unsigned round = 0; round < 400; round++) {
        buf_clear(&text);
        buf_put(&text, SPAN("{\""));
        put_long(&text, &seed, next_random(&seed) % 400);
        buf_put(&text, SPAN("\":[\""));
        put_long(&text, &seed, next_random(&seed) % 400);
        buf_put_text(&text, wrong[round % 2 == 0 ? 0 : next_random(&seed) % ROWS(wrong)]);
        put_long(&text, &seed, next_random(&seed) % 200);
        buf_put(&text, SPAN("\",1]}"));
        enum err e = judge(&once, buf_span(&text));
        for (size_t bytes = 1; bytes < 200; bytes += 1 + bytes / 8) {
            json_index_begin_borrow(&stepped, buf_span(&text));
            expect_same(&stepped, go_on(&stepped, bytes), &once, e);
        }
        json_index_fini(&once);
    }
    json_index_fini(&stepped);
    buf_fini(&text);
}

static void usual_texts_are_walked_over_quickly(void **state)
{
    (void)state;
    struct json_index x;
    struct buf text;
    uint32_t seed = 5;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi")) {
        skip();
    }
    buf_init(&text, 1 << 16);
    buf_put(&text,
            SPAN(" {\"a\" : [ -1.5e+3, 0, true ] ,\n\t\"b\":{\"c\":null},\"d\":[{},[]],\"e\":\""));
    put_long(&text, &seed, 1000);
    buf_put(&text, SPAN("\" }\r\n"));
    json_index_init(&x, MAX_ROWS, MAX_DEPTH);
    json_index_begin_borrow(&x, buf_span(&text));
    while (!json_index_is_done(&x)) {
        assert_int_equal(x.walk.phase, JSON_WALK_QUICK);
        assert_int_equal(json_index_step(&x, 5), ERR_OK);
    }
    assert_true(x.count > 10);
    json_index_fini(&x);
    buf_fini(&text);
}

static void an_index_given_up_half_way_can_be_used_again(void **state)
{
    (void)state;
    struct json_index x;
    json_index_init(&x, MAX_ROWS, MAX_DEPTH);
    json_index_begin_borrow(&x, SPAN("[1,2,3,4,5,6,7,8]"));
    assert_int_equal(json_index_step(&x, 5), ERR_OK);
    assert_false(json_index_is_done(&x));
    assert_int_equal(json_index_parse_borrow(&x, SPAN("[1]")), ERR_OK);
    assert_int_equal(x.count, 2);
    json_index_begin_borrow(&x, SPAN("[1,2,3,4,5,6,7,8]"));
    assert_int_equal(json_index_step(&x, 5), ERR_OK);
    json_index_trim(&x, MAX_ROWS);
    assert_true(json_index_is_done(&x) && x.count == 0);
    json_index_begin_borrow(&x, span_make("", (size_t)UINT32_MAX + 1));
    assert_int_equal(json_index_step(&x, 5), ERR_BODY_TOO_LARGE);
    assert_true(json_index_is_done(&x));
    json_index_fini(&x);
}

/* Looks for a duplicate in steps; returns the key, and how many steps it took. */
static uint32_t in_steps(const struct json_index *x, size_t bytes, size_t *steps)
{
    struct json_duplicates d;
    json_duplicates_begin(&d, x, 0);
    for (*steps = 0; !d.is_done; ++*steps) {
        assert_int_equal(json_duplicates_step(&d, bytes), ERR_OK);
    }
    json_duplicates_fini(&d);
    json_duplicates_fini(&d);
    return d.key;
}

static void duplicates_are_found_in_steps_as_at_once(void **state)
{
    (void)state;
    static const char *const ends[] = {
        "\"z\":0}",
        "\"key77\":0}",
        "\"k\\u0065y77\":0}",
        "\"k\\u0065y77x\":0,\"key77\\u0078\":0}",
    };
    struct buf text;
    struct json_index x;
    buf_init(&text, 1 << 20);
    json_index_init(&x, MAX_ROWS, MAX_DEPTH);
    for (size_t i = 0; i < ROWS(ends); i++) {
        buf_clear(&text);
        buf_put(&text, SPAN("{"));
        for (int m = 0; m < 3000; m++) {
            buf_printf(&text, "\"key%d\":[],", m);
        }
        buf_put_text(&text, ends[i]);
        assert_int_equal(json_index_parse_borrow(&x, buf_span(&text)), ERR_OK);
        uint32_t last = x.count - 2, key;
        size_t steps, more;
        assert_int_equal(json_first_duplicate(&x, 0, &key), ERR_OK);
        assert_int_equal(key, i == 0 ? JSON_NONE : last);
        assert_int_equal(in_steps(&x, 1000, &steps), key);
        assert_true(steps > 200 && steps < 400);
        assert_int_equal(in_steps(&x, 1, &more), key);
        assert_true(more > 6000);
        assert_int_equal(in_steps(&x, SIZE_MAX, &steps), key);
        assert_int_equal(steps, 1);
    }
    json_index_fini(&x);
    buf_fini(&text);
}

static void keys_that_are_no_names_are_compared_as_they_stand(void **state)
{
    (void)state;
    enum { LONG = 20000 };
    struct buf text;
    struct json_index x;
    uint32_t key;
    buf_init(&text, 1 << 20);
    json_index_init(&x, MAX_ROWS, MAX_DEPTH);
    for (int same = 0; same < 2; same++) {
        buf_clear(&text);
        for (int k = 0; k < 3; k++) {
            buf_put(&text, k == 0 ? SPAN("{\"") : SPAN(",\""));
            for (int i = 0; i < LONG; i++) {
                buf_put(&text, SPAN("x"));
            }
            buf_put(&text, k == 2 || same == 1 ? SPAN("\\u0041") : k == 1 ? SPAN("A") : SPAN("B"));
            buf_put(&text, SPAN("\":0"));
        }
        buf_put(&text, SPAN("}"));
        assert_int_equal(json_index_parse_borrow(&x, buf_span(&text)), ERR_OK);
        assert_int_equal(json_first_duplicate(&x, 0, &key), ERR_OK);
        assert_int_equal(key, same == 1 ? 3 : JSON_NONE);
    }
    json_index_fini(&x);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_may_end_at_any_byte),
        cmocka_unit_test(steps_may_end_anywhere_in_a_large_text),
        cmocka_unit_test(long_strings_are_taken_in_pieces),
        cmocka_unit_test(usual_texts_are_walked_over_quickly),
        cmocka_unit_test(an_index_given_up_half_way_can_be_used_again),
        cmocka_unit_test(duplicates_are_found_in_steps_as_at_once),
        cmocka_unit_test(keys_that_are_no_names_are_compared_as_they_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
