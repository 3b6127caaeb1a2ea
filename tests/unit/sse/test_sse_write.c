/* SPDX-License-Identifier: Apache-2.0 */
/* test_sse_write.c — events as they are sent. */
#include "unit.h"

#include "sse/sse_parser.h"
#include "sse/sse_write.h"

static void an_event_is_written_line_by_line(void **state)
{
    (void)state;
    static const struct {
        const char *name, *data, *written;
    } rows[] = {
        {"", "{}", "data: {}\n\n"},
        {"error", "a", "event: error\ndata: a\n\n"},
        {"", "a\nb\r\nc\rd", "data: a\ndata: b\ndata: c\ndata: d\n\n"},
        {"", "", "data: \n\n"},
        {"", "a\n", "data: a\ndata: \n\n"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct buf b;
        buf_init(&b, 4096);
        sse_write_event(&b, span_of(rows[r].name), span_of(rows[r].data));
        assert_false(buf_failed(&b));
        assert_true(span_is(buf_span(&b), rows[r].written));
        buf_fini(&b);
    }
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    sse_write_comment(&b, SPAN("ping"));
    sse_write_event(&b, SPAN("e"), SPAN(" a\n\nb"));
    buf_put(&b, SPAN(SSE_DONE));
    struct span in = buf_span(&b);
    struct sse_parser p;
    struct sse_event event;
    sse_parser_init(&p, 4096);
    assert_int_equal(sse_parser_next(&p, &in, &event), ERR_OK);
    assert_true(event.is_comment);
    assert_int_equal(sse_parser_next(&p, &in, &event), ERR_OK);
    assert_true(span_is(event.name, "e"));
    assert_true(span_is(event.data, " a\n\nb"));
    assert_int_equal(sse_parser_next(&p, &in, &event), ERR_OK);
    assert_true(span_is(event.data, "[DONE]"));
    assert_int_equal(in.len, 0);
    sse_parser_fini(&p);
    buf_fini(&b);
}

static void a_name_or_comment_of_two_lines_fails_the_buffer(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    sse_write_comment(&b, SPAN("a\ndata: b"));
    assert_true(buf_failed(&b));
    buf_clear(&b);
    sse_write_event(&b, SPAN("a\rb"), SPAN("c"));
    assert_true(buf_failed(&b));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_written_line_by_line),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(a_name_or_comment_of_two_lines_fails_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
