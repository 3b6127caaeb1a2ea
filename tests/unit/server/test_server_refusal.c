/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_refusal.c — every error has OpenAI's form, and the lines that belong to its status.
 */
#include "server/served.h"

static const struct span none = {NULL, 0};

static bool has(const struct buf *b, const char *text)
{
    struct span s = buf_span(b);
    return memmem(s.at, s.len, text, strlen(text)) != NULL;
}

static void the_body_is_openais_error_object(void **state)
{
    (void)state;
    static const struct {
        enum err e;
        const char *message, *param;
        int status;
        const char *body;
    } rows[] = {
        {ERR_ROUTE_UNKNOWN, "", "", 404,
         "{\"error\":{\"message\":\"there is no such endpoint on this gateway\","
         "\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"not_found\"}}"},
        {ERR_VALUE_INVALID, "it says \"no\"\n", "messages[0].role", 400,
         "{\"error\":{\"message\":\"it says \\\"no\\\"\\n\",\"type\":\"invalid_request_error\","
         "\"param\":\"messages[0].role\",\"code\":\"invalid_value\"}}"},
        {ERR_CLIENT_GONE, "", "", 500,
         "{\"error\":{\"message\":\"the gateway failed; its log says more under this request id\","
         "\"type\":\"server_error\",\"param\":null,\"code\":\"internal_error\"}}"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct server_refusal refusal;
        assert_int_equal(server_refusal_write(&refusal, rows[r].e, span_of(rows[r].message),
                                              span_of(rows[r].param), none),
                         ERR_OK);
        assert_int_equal(refusal.status, rows[r].status);
        assert_true(span_is(buf_span(&refusal.body), rows[r].body));
        server_refusal_fini(&refusal);
    }
}

static void each_status_has_its_lines_and_none_is_there_twice(void **state)
{
    (void)state;
    static const struct {
        enum err e;
        const char *more;
        const char *line;    /* that is there */
        const char *missing; /* that is not */
    } rows[] = {
        {ERR_KEY_MISSING, "", "WWW-Authenticate: Bearer\r\n", "Retry-After"},
        {ERR_OVERLOADED, "", "Retry-After: 1\r\n", "WWW-Authenticate"},
        {ERR_OVERLOADED, "Retry-After: 30\r\n", "Retry-After: 30\r\n", "Retry-After: 1\r\n"},
        {ERR_ROUTE_UNKNOWN, "", "Content-Type: application/json\r\n", "Retry-After"},
        {ERR_METHOD_NOT_ALLOWED, "Allow: GET\r\n", "Allow: GET\r\n", "Retry-After"},
        {ERR_OVERLOADED, "", "x-request-id: ", "x-should-retry"},
        {ERR_UPSTREAM_UNREACHED, "", "x-request-id: ", "x-should-retry"},
        {ERR_UPSTREAM_TIMEOUT, "", "x-should-retry: false\r\n", "Retry-After"},
        {ERR_UPSTREAM_REFUSED, "", "x-should-retry: false\r\n", "Retry-After"},
        {ERR_HTTP_VERSION, "", "x-should-retry: false\r\n", "Retry-After"},
        {ERR_EXISTS, "", "x-should-retry: false\r\n", "Retry-After"},
        {ERR_VALUE_INVALID, "", "x-request-id: ", "x-should-retry"},
        {ERR_HTTP_BODY_TIMEOUT, "", "x-request-id: ", "x-should-retry"},
        {ERR_INTERNAL, "", "x-request-id: ", "x-request-id: 7"},
        {ERR_INTERNAL, "A: b\r\nX-Request-ID: 7\r\n", "X-Request-ID: 7\r\n", "x-request-id: "},
        {ERR_INTERNAL, "A: x-request-id: 7\r\n", "\r\nx-request-id: ", "Allow"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct server_refusal refusal;
        assert_int_equal(
            server_refusal_write(&refusal, rows[r].e, none, none, span_of(rows[r].more)), ERR_OK);
        if (!has(&refusal.fields, rows[r].line) || has(&refusal.fields, rows[r].missing)) {
            fail_msg("row %zu: %.*s", r, SPAN_ARGS(buf_span(&refusal.fields)));
        }
        server_refusal_fini(&refusal);
    }
}

static void a_long_message_is_written_whole(void **state)
{
    (void)state;
    static char message[20000];
    memset(message, 1, sizeof(message)); /* each byte becomes six */
    struct server_refusal refusal;
    assert_int_equal(server_refusal_write(&refusal, ERR_VALUE_INVALID,
                                          span_make(message, sizeof(message)), none, none),
                     ERR_OK);
    assert_true(buf_span(&refusal.body).len > 6 * sizeof(message));
    server_refusal_fini(&refusal);
}

static void two_refusals_have_two_ids(void **state)
{
    (void)state;
    struct server_refusal one, two;
    assert_int_equal(server_refusal_write(&one, ERR_INTERNAL, none, none, none), ERR_OK);
    assert_int_equal(server_refusal_write(&two, ERR_INTERNAL, none, none, none), ERR_OK);
    assert_false(span_equal(buf_span(&one.fields), buf_span(&two.fields)));
    server_refusal_fini(&one);
    server_refusal_fini(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_is_openais_error_object),
        cmocka_unit_test(each_status_has_its_lines_and_none_is_there_twice),
        cmocka_unit_test(a_long_message_is_written_whole),
        cmocka_unit_test(two_refusals_have_two_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
