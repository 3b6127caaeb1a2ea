/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_write.c — heads as they are sent. */
#include "unit.h"

#include "http/http_response.h"
#include "http/http_write.h"

static void a_response_head_is_written_and_reads_back(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    http_write_status(&b, 200);
    http_write_field(&b, SPAN("content-type"), SPAN("application/json"));
    http_write_field(&b, SPAN("x-empty"), (struct span){NULL, 0});
    http_write_number(&b, SPAN("content-length"), 18446744073709551615u);
    http_write_number(&b, SPAN("x-zero"), 0);
    http_write_end(&b);
    assert_false(buf_failed(&b));
    assert_true(span_is(buf_span(&b), "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                                      "x-empty: \r\ncontent-length: 18446744073709551615\r\n"
                                      "x-zero: 0\r\n\r\n"));
    buf_fini(&b);
}

static void every_status_has_a_line_that_reads_back(void **state)
{
    (void)state;
    for (int status = 100; status <= 599; status++) {
        struct buf b;
        buf_init(&b, 4096);
        http_write_status(&b, status);
        http_write_end(&b);
        struct http_response r;
        size_t used = 0;
        http_response_init(&r, 4096, false, NULL, 0);
        assert_int_equal(http_response_parse(&r, buf_span(&b), &used), ERR_OK);
        assert_int_equal(used, buf_span(&b).len);
        assert_int_equal(r.status, status);
        assert_true(span_is(http_piece_span(&r.fields, r.reason), http_reason(status)));
        buf_fini(&b);
    }
    assert_string_equal(http_reason(451), "Unavailable For Legal Reasons");
    assert_string_equal(http_reason(599), "Unknown");
}

static void a_request_line_is_written(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    http_write_request(&b, HTTP_POST, SPAN("/v1/chat/completions?a=b"));
    assert_true(span_is(buf_span(&b), "POST /v1/chat/completions?a=b HTTP/1.1\r\n"));
    buf_fini(&b);
}

static void what_would_break_the_head_fails_the_buffer(void **state)
{
    (void)state;
    static const struct {
        struct span name, value;
    } rows[] = {
        {{(const uint8_t *)"", 0}, {(const uint8_t *)"a", 1}},
        {{(const uint8_t *)"a b", 3}, {(const uint8_t *)"a", 1}},
        {{(const uint8_t *)"a:", 2}, {(const uint8_t *)"a", 1}},
        {{(const uint8_t *)"a\r\n", 3}, {(const uint8_t *)"a", 1}},
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b\r\nc: d", 7}},
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b\nc", 3}},
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b\rc", 3}},
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b\0c", 3}},
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b\x7f", 2}},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct buf b;
        buf_init(&b, 4096);
        http_write_field(&b, rows[r].name, rows[r].value);
        assert_true(buf_failed(&b));
        assert_int_equal(buf_span(&b).len, 0);
        buf_fini(&b);
    }
    static const char *const targets[] = {"", "/a b", "/a\r\nb", "/a#b", "/\xc3\xa9"};
    for (size_t r = 0; r < ROWS(targets); r++) {
        struct buf b;
        buf_init(&b, 4096);
        http_write_request(&b, HTTP_GET, span_of(targets[r]));
        assert_true(buf_failed(&b));
        buf_fini(&b);
    }
}

static void a_head_past_the_buffers_maximum_fails_it(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 20);
    http_write_status(&b, 200);
    http_write_field(&b, SPAN("a"), SPAN("b"));
    http_write_end(&b);
    assert_true(buf_failed(&b));
    buf_fini(&b);
}

static void a_date_is_in_the_form_of_rfc_9110(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {1795489200, "Tue, 24 Nov 2026 03:00:00 GMT"},
        {1709164799, "Wed, 28 Feb 2024 23:59:59 GMT"},
        {1709164800, "Thu, 29 Feb 2024 00:00:00 GMT"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char text[HTTP_DATE_BYTES];
        http_date((wall_us){rows[r].seconds * 1000000 + 999999}, text);
        assert_string_equal(text, rows[r].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_head_is_written_and_reads_back),
        cmocka_unit_test(every_status_has_a_line_that_reads_back),
        cmocka_unit_test(a_request_line_is_written),
        cmocka_unit_test(what_would_break_the_head_fails_the_buffer),
        cmocka_unit_test(a_head_past_the_buffers_maximum_fails_it),
        cmocka_unit_test(a_date_is_in_the_form_of_rfc_9110),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
