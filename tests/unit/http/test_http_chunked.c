/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_chunked.c — a chunked body is the same wherever its bytes were cut. */
#include "unit.h"

#include <stdio.h>

#include "http/http_chunked.h"

struct body {
    enum err e;
    bool done;
    size_t used; /* of all bytes given */
    char text[256];
    size_t len;
};

/* Feeds one piece until it is empty, or the body has ended. */
static void feed(struct http_chunked *c, struct span in, struct body *body)
{
    while (in.len > 0 && body->e == ERR_OK && !http_chunked_is_done(c)) {
        size_t used = 0;
        struct span data;
        body->e = http_chunked_feed(c, in, &used, &data);
        if (body->e != ERR_OK) {
            return;
        }
        assert_true(used > 0);
        assert_true(data.len == 0 || (data.at >= in.at && data.at + data.len == in.at + used));
        memcpy(body->text + body->len, data.at == NULL ? (const uint8_t *)"" : data.at, data.len);
        body->len += data.len;
        body->used += used;
        in = span_cut(in, used, in.len);
    }
}

static struct body decode(struct span in, size_t first, size_t step)
{
    struct body body = {.e = ERR_OK};
    struct http_chunked c;
    http_chunked_init(&c);
    feed(&c, span_cut(in, 0, first), &body);
    for (size_t at = first; at < in.len; at += step) {
        feed(&c, span_cut(in, at, step), &body);
    }
    body.done = http_chunked_is_done(&c);
    return body;
}

static void a_body_is_the_same_at_every_cut(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *body;
        const char *rest; /* not read: NULL when the body has not ended */
    } rows[] = {
        {"0\r\n\r\n", "", ""},
        {"5\r\nhello\r\n0\r\n\r\n", "hello", ""},
        {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET / ", "hello world", "GET / "},
        {"0000000000000003\r\nabc\r\n000\r\n\r\n", "abc", ""},
        {"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""},
        {"3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\n\r\n", "abc", ""},
        {"3\r\n\r\n0\r\n0\r\n\r\n", "\r\n0", ""},
        {"0\r\nA: b\r\nX-Y:\r\n\r\nrest", "", "rest"},
        {"5\r\nab", "ab", NULL},
        {"5\r\nhello\r\n0\r\n", "hello", NULL},
        {"", "", NULL},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct span in = span_of(rows[r].in);
        for (size_t cut = 0; cut <= in.len; cut++) {
            for (size_t step = 1; step <= in.len + 1; step += in.len + 1) {
                struct body body = decode(in, cut, step);
                assert_int_equal(body.e, ERR_OK);
                assert_int_equal(body.done, rows[r].rest != NULL);
                assert_true(span_is(span_make(body.text, body.len), rows[r].body));
                assert_string_equal(rows[r].in + body.used,
                                    rows[r].rest == NULL ? "" : rows[r].rest);
            }
        }
    }
}

static void anything_odd_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "\r\n",
        "\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        "1_0\r\n",
        " 1\r\n",
        "1 \r\n",
        "1 ;a\r\n",
        "1\t\r\n",
        ";a\r\n",
        "1\n",
        "1\r1",
        "1;a\n",
        "1;\x01\r\n",
        "1;\x7f\r\n",
        "1;a\rb",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\rb",
        "1\r\n\r\n0\r\n\r\n",
        "10000000000000000\r\n",
        "1000000000000000\r\n",
        "FFFFFFFFFFFFFFFF\r\n",
        "00000000000000001\r\n",
        "0\r\n\n",
        "0\r\n\rx",
        "0\r\n: b\r\n",
        "0\r\n a: b\r\n",
        "0\r\na\r\n",
        "0\r\na b: c\r\n",
        "0\r\na: b\n",
        "0\r\na: b\rc",
        "0\r\na: \x01\r\n",
    };
    for (size_t r = 0; r < ROWS(bodies); r++) {
        struct span in = span_of(bodies[r]);
        bool refused = true;
        for (size_t cut = 0; cut <= in.len; cut++) {
            refused = refused && decode(in, cut, 1).e == ERR_HTTP_CHUNK;
        }
        if (!refused) {
            fail_msg("\"%s\" is taken for a body", bodies[r]);
        }
    }
}

static void a_refused_body_stays_refused(void **state)
{
    (void)state;
    struct http_chunked c;
    struct span data;
    size_t used;
    http_chunked_init(&c);
    assert_int_equal(http_chunked_feed(&c, SPAN("x"), &used, &data), ERR_HTTP_CHUNK);
    assert_int_equal(http_chunked_feed(&c, SPAN("0\r\n\r\n"), &used, &data), ERR_HTTP_CHUNK);
    assert_false(http_chunked_is_done(&c));
}

/* Feeds `text` over and over; how many bytes were taken before it was refused, at most `most`. */
static size_t taken_of(const char *start, const char *text, size_t most)
{
    struct http_chunked c;
    struct body body = {.e = ERR_OK};
    http_chunked_init(&c);
    feed(&c, span_of(start), &body);
    size_t taken = 0;
    while (taken < most && body.e == ERR_OK) {
        body.len = 0;
        feed(&c, span_of(text), &body);
        taken += strlen(text);
    }
    return taken;
}

static void extensions_and_trailers_have_a_limit(void **state)
{
    (void)state;
    assert_int_equal(taken_of("1;", "a", 100000), HTTP_CHUNK_LINE_MAX - 2 + 1);
    /* each line is short enough: the sum is not */
    assert_in_range(taken_of("", "1;0123456789abcdef\r\nx\r\n", 1000000), HTTP_CHUNK_EXTENSIONS_MAX,
                    HTTP_CHUNK_EXTENSIONS_MAX * 2);
    assert_int_equal(taken_of("0\r\n", "a", 100000), HTTP_CHUNK_TRAILERS_MAX + 1);
    assert_in_range(taken_of("0\r\n", "a: b\r\n", 100000), HTTP_CHUNK_TRAILERS_MAX,
                    HTTP_CHUNK_TRAILERS_MAX * 2);
    /* a body without them has none */
    assert_int_equal(taken_of("", "1\r\nx\r\n", 600000), 600000);
}

static void the_size_line_is_hexadecimal(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        const char *line;
    } rows[] = {
        {1, "1\r\n"},
        {15, "f\r\n"},
        {16, "10\r\n"},
        {0x1a3, "1a3\r\n"},
        {UINT64_MAX, "ffffffffffffffff\r\n"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char line[HTTP_CHUNK_SIZE_BYTES];
        assert_int_equal(http_chunk_write(rows[r].size, line), strlen(rows[r].line));
        assert_string_equal(line, rows[r].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_the_same_at_every_cut),
        cmocka_unit_test(anything_odd_is_refused),
        cmocka_unit_test(a_refused_body_stays_refused),
        cmocka_unit_test(extensions_and_trailers_have_a_limit),
        cmocka_unit_test(the_size_line_is_hexadecimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
