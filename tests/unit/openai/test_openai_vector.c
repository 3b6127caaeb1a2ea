/* SPDX-License-Identifier: Apache-2.0 */
/* test_openai_vector.c — floats survive both directions bit by bit. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "crypto/base64.h"
#include "openai/openai_vector.h"
#include "quotes.h"

struct scene {
    struct json_index index;
    struct arena arena;
};

static void begin(struct scene *s, struct span text)
{
    json_index_init(&s->index, 1 << 20, 8);
    arena_init(&s->arena, 64 << 20);
    assert_int_equal(json_index_parse_borrow(&s->index, text), ERR_OK);
}

/* Converts what the index holds, a few floats at a time. */
static enum err convert(const struct json_index *x, struct arena *arena, struct span *out)
{
    struct openai_vector v;
    enum err e = openai_vector_begin(&v, x, 0, arena);
    while (e == ERR_OK && !openai_vector_is_done(&v)) {
        int64_t floats = 100;
        e = openai_vector_convert(&v, &floats);
        assert_true(floats > -4000); /* about so many it was */
    }
    *out = e == ERR_OK ? openai_vector_text(&v) : SPAN("");
    return e;
}

static void end(struct scene *s)
{
    arena_fini(&s->arena);
    json_index_fini(&s->index);
}

/* The floats that a quoted Base64 text holds. */
static size_t floats_of(struct span quoted_text, float *out, size_t room)
{
    size_t bytes = 0;
    assert_true(quoted_text.len >= 2 && quoted_text.at[0] == '"' &&
                quoted_text.at[quoted_text.len - 1] == '"');
    assert_int_equal(crypto_base64_parse(span_cut(quoted_text, 1, quoted_text.len - 2),
                                         (uint8_t *)out, room * sizeof(*out), &bytes),
                     ERR_OK);
    assert_int_equal(bytes % sizeof(*out), 0);
    return bytes / sizeof(*out);
}

static bool is_same(float a, float b)
{
    uint32_t left, right;
    memcpy(&left, &a, sizeof(left));
    memcpy(&right, &b, sizeof(right));
    return left == right;
}

static const struct {
    const char *numbers, *base64;
} exact[] = {
    {"[]", "''"},
    {"[0]", "'AAAAAA=='"},
    {"[-0.0]", "'AAAAgA=='"},
    {"[1]", "'AACAPw=='"},
    {"[ 1.5 , -2 ]", "'AADAPwAAAMA='"},
    {"[0.1,0.2,0.3]", "'zczMPc3MTD6amZk+'"},
    {"[1e0,10e-1,0.1E+1]", "'AACAPwAAgD8AAIA/'"},
    {"[3.4028235e38,1.17549435e-38,1e-45]", "'//9/fwAAgAABAAAA'"},
    {"[1e-400]", "'AAAAAA=='"},
};

static void numbers_become_little_endian_floats_in_base64(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(exact); i++) {
        struct scene s;
        struct span out;
        begin(&s, span_of(exact[i].numbers));
        assert_int_equal(convert(&s.index, &s.arena, &out), ERR_OK);
        expect_text(exact[i].numbers, out, exact[i].base64);
        end(&s);
    }
}

/* Texts that are hard to round: halves between two floats and their neighbours. */
static const char *const hard[] = {
    "1.00000005960464477539",
    "1.000000059604644775390625",
    "1.000000059604644775390626",
    "1.00000005960464477539062",
    "1.00000017881393432617187",
    "1.00000017881393432617188",
    "0.012345678359270096",
    "-0.012345678359270096",
    "12345678901234567890123",
    "0.00000000000000000000000001",
    "16777217",
    "16777217.0000000001",
    "33554435",
    "9007199791611905",
    "9007199791611904",
    "9007199791611906",
    "4503599627370497.5",
    "18446744073709551615",
    "18446744073709551616",
    "0.3333333432674407958984375",
    "7.006492321624085354618e-46",
    "2.3509886e-38",
    "1e22",
    "1e-22",
    "1e23",
    "123456789e-30",
};

static void a_number_is_the_float_nearest_to_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(hard); i++) {
        struct scene s;
        struct span out;
        struct buf text;
        float found, wanted = strtof(hard[i], NULL);
        buf_init(&text, 100);
        buf_printf(&text, "[%s]", hard[i]);
        begin(&s, buf_span(&text));
        assert_int_equal(convert(&s.index, &s.arena, &out), ERR_OK);
        assert_int_equal(floats_of(out, &found, 1), 1);
        if (!is_same(found, wanted)) {
            fail_msg("%s: %.9g, not %.9g", hard[i], (double)found, (double)wanted);
        }
        buf_fini(&text);
        end(&s);
    }
}

/* The same number each time the tests run. */
static uint32_t next_bits(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*seed >> 32);
}

/* Writes the float as servers do: short, as the double it was cast to, with a fixed number of
 * places. Returns what the text says. */
static float put_float(struct buf *out, float value, unsigned form)
{
    size_t from = buf_span(out).len;
    if (form == 0) {
        buf_printf(out, "%.9g", (double)value);
    } else if (form == 1) {
        buf_printf(out, "%.17g", (double)value);
    } else if (form == 2) {
        buf_printf(out, "%.16e", (double)value);
    } else {
        buf_printf(out, "%.19f", (double)value);
    }
    char text[80];
    span_copy_text(span_cut(buf_span(out), from, sizeof(text) - 1), text, sizeof(text));
    return strtof(text, NULL);
}

static void what_servers_write_is_read_back_bit_by_bit(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static float values[COUNT], found[COUNT];
    for (unsigned form = 0; form < 4; form++) {
        uint64_t seed = form + 1;
        struct buf text;
        struct scene s;
        struct span out;
        buf_init(&text, 4 << 20);
        for (size_t i = 0; i < COUNT; i++) {
            uint32_t bits = next_bits(&seed);
            memcpy(&values[i], &bits, sizeof(bits));
            /* Embeddings are small; every other value may be of any size. */
            if (form == 3 || i % 2 == 0 || !isfinite(values[i])) {
                values[i] = (float)((int32_t)bits / 2147483648.0);
            }
            buf_put_text(&text, i == 0 ? "[" : ",");
            values[i] = put_float(&text, values[i], form);
        }
        buf_put_text(&text, "]");
        assert_false(buf_failed(&text));
        begin(&s, buf_span(&text));
        assert_int_equal(convert(&s.index, &s.arena, &out), ERR_OK);
        assert_int_equal(floats_of(out, found, COUNT), COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            if (!is_same(found[i], values[i])) {
                fail_msg("form %u: %.17g, not %.17g", form, (double)found[i], (double)values[i]);
            }
        }
        end(&s);
        buf_fini(&text);
    }
}

static void base64_becomes_numbers_that_read_back_as_the_same_floats(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static float values[COUNT];
    static char chars[COUNT * 6 + 8];
    uint64_t seed = 7;
    struct scene s;
    struct span out;
    for (size_t i = 0; i < COUNT; i++) {
        uint32_t bits = next_bits(&seed);
        memcpy(&values[i], &bits, sizeof(bits));
        values[i] = isfinite(values[i]) ? values[i] : 1;
    }
    chars[0] = '"';
    size_t len = crypto_base64_write(span_make(values, sizeof(values)), chars + 1);
    chars[1 + len] = '"';
    begin(&s, span_make(chars, len + 2));
    assert_int_equal(convert(&s.index, &s.arena, &out), ERR_OK);
    struct json_index numbers;
    json_index_init(&numbers, COUNT + 1, 2);
    assert_int_equal(json_index_parse_borrow(&numbers, out), ERR_OK);
    assert_int_equal(numbers.count, COUNT + 1);
    struct span again;
    assert_int_equal(convert(&numbers, &s.arena, &again), ERR_OK);
    assert_true(span_equal(again, span_make(chars, len + 2)));
    json_index_fini(&numbers);
    end(&s);
}

static void an_array_of_anything_else_is_no_vector(void **state)
{
    (void)state;
    static const char *const bad[] = {"[1,'2']", "[null]", "[[1]]",     "[1,{}]",
                                      "[true]",  "[1e39]", "[-3.5e38]", "[1e400]"};
    for (size_t i = 0; i < ROWS(bad); i++) {
        struct scene s;
        struct arena arena;
        struct span out;
        arena_init(&arena, 1000);
        begin(&s, quoted(&arena, bad[i]));
        enum err e = convert(&s.index, &s.arena, &out);
        if (e != ERR_UPSTREAM_JSON) {
            fail_msg("%s: %s", bad[i], err_name(e));
        }
        end(&s);
        arena_fini(&arena);
    }
}

static void a_string_of_anything_else_is_no_vector(void **state)
{
    (void)state;
    static const struct {
        const char *why, *text;
    } bad[] = {
        {"no Base64", "'=AAA'"},
        {"half a group", "'AAAAA'"},
        {"half a float", "'AAAA'"},
        {"not a number", "'AADAfw=='"},
        {"infinite", "'AACAfw=='"},
        {"infinite, below", "'AACA/w=='"},
        {"half a surrogate pair", "'\\ud800AA='"},
        {"bits behind the end", "'AACAPx=='"},
    };
    for (size_t i = 0; i < ROWS(bad); i++) {
        struct scene s;
        struct arena arena;
        struct span out;
        arena_init(&arena, 1000);
        begin(&s, quoted(&arena, bad[i].text));
        enum err e = convert(&s.index, &s.arena, &out);
        if (e != ERR_UPSTREAM_JSON) {
            fail_msg("%s: %s", bad[i].why, err_name(e));
        }
        end(&s);
        arena_fini(&arena);
    }
}

static void an_escaped_string_is_read_unescaped(void **state)
{
    (void)state;
    struct scene s;
    struct span out;
    begin(&s, SPAN("\"AACAP\\u0077\\u003d=\""));
    assert_int_equal(convert(&s.index, &s.arena, &out), ERR_OK);
    expect_text("escaped", out, "[1]");
    end(&s);
}

/* Escapes are undone at once, and that takes its time. */
static void a_long_string_is_read_if_nothing_in_it_is_escaped(void **state)
{
    (void)state;
    enum { CHARS = 16 * 20000 };
    for (int has_escape = 0; has_escape < 2; has_escape++) {
        struct scene s;
        struct span out;
        struct buf b;
        buf_init(&b, 1 << 20);
        buf_put_text(&b, has_escape == 1 ? "\"\\u0041" : "\"A");
        for (size_t i = 1; i < CHARS; i++) {
            buf_put_byte(&b, 'A');
        }
        buf_put_byte(&b, '"');
        begin(&s, buf_span(&b));
        assert_int_equal(convert(&s.index, &s.arena, &out),
                         has_escape == 1 ? ERR_UPSTREAM_JSON : ERR_OK);
        end(&s);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_become_little_endian_floats_in_base64),
        cmocka_unit_test(a_number_is_the_float_nearest_to_it),
        cmocka_unit_test(what_servers_write_is_read_back_bit_by_bit),
        cmocka_unit_test(base64_becomes_numbers_that_read_back_as_the_same_floats),
        cmocka_unit_test(an_array_of_anything_else_is_no_vector),
        cmocka_unit_test(a_string_of_anything_else_is_no_vector),
        cmocka_unit_test(an_escaped_string_is_read_unescaped),
        cmocka_unit_test(a_long_string_is_read_if_nothing_in_it_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
