/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_index.c — what is JSON and what is not, and where everything in it is. */
#include "unit.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/memory.h"
#include "json/json_index.h"

#define MAX_ROWS  100000
#define MAX_DEPTH 64

/* Parses a copy that ends where its memory ends, so that a sanitizer sees any read beyond. */
static enum err parse(struct json_index *x, struct span text, uint8_t **copy)
{
    *copy = memory_raw(text.len + 1); /* at its end: no byte of room behind the text */
    assert_non_null(*copy);
    uint8_t *at = *copy + 1;
    if (text.len > 0) {
        memcpy(at, text.at, text.len);
    }
    return json_index_parse_borrow(x, span_make(at, text.len));
}

/* One letter a row and its depth, then the bytes of scalars. */
static void draw(const struct json_index *x, struct buf *out)
{
    for (uint32_t row = 0; row < x->count; row++) {
        const struct json_row *r = json_row(x, row);
        buf_printf(out, "%c%u", "nftNSKAO"[r->kind], r -> depth);
        if (r->kind != JSON_ARRAY && r->kind != JSON_OBJECT) {
            buf_put(out, json_source(x, row));
        }
        buf_printf(out, ">%u ", r->next);
    }
}

static void each_value_has_its_row(void **state)
{
    (void)state;
    static const struct {
        const char *text, *rows;
    } rows[] = {
        {"null", "n0null>1 "},
        {" true\n", "t0true>1 "},
        {"\"a\"", "S0\"a\">1 "},
        {"-0.5e+10", "N0-0.5e+10>1 "},
        {"[]", "A0>1 "},
        {"{}", "O0>1 "},
        {"[ ]", "A0>1 "},
        {"[1,[2,[]],3]", "A0>6 N11>2 A1>5 N22>4 A2>5 N13>6 "},
        {"{\"a\":{\"b\":[false]},\"c\":\"d\"}",
         "O0>8 K1\"a\">2 O1>6 K2\"b\">4 A2>6 f3false>6 K1\"c\">7 S1\"d\">8 "},
        {"{ \"a\" : 1 , \"a\" : 2 }", "O0>5 K1\"a\">2 N11>3 K1\"a\">4 N12>5 "},
    };
    struct json_index x;
    json_index_init(&x, MAX_ROWS, MAX_DEPTH);
    struct buf drawn;
    buf_init(&drawn, 4096);
    for (size_t r = 0; r < ROWS(rows); r++) {
        uint8_t *copy;
        assert_int_equal(parse(&x, span_of(rows[r].text), &copy), ERR_OK);
        buf_clear(&drawn);
        draw(&x, &drawn);
        if (!span_is(buf_span(&drawn), rows[r].rows)) {
            fail_msg("%s: %.*s", rows[r].text, SPAN_ARGS(buf_span(&drawn)));
        }
        memory_free(copy);
    }
    buf_fini(&drawn);
    json_index_fini(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_has_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
