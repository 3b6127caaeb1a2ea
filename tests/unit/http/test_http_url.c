/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_url.c — the URLs of upstreams. */
#include "unit.h"

#include "http/http_url.h"

static void a_good_url_is_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_https, is_ipv6;
        const char *host;
        int port;
        const char *authority, *path;
    } rows[] = {
        {"http://10.0.0.5:8000/v1", false, false, "10.0.0.5", 8000, "10.0.0.5:8000", "/v1"},
        {"https://api.example", true, false, "api.example", 443, "api.example", ""},
        {"HTTP://a/", false, false, "a", 80, "a", ""},
        {"http://a//", false, false, "a", 80, "a", ""},
        {"https://a:1/b/c/", true, false, "a", 1, "a:1", "/b/c"},
        {"http://[::1]:8000/v1", false, true, "::1", 8000, "[::1]:8000", "/v1"},
        {"http://[::1]", false, true, "::1", 80, "[::1]", ""},
        {"http://model_server/x%20y", false, false, "model_server", 80, "model_server", "/x%20y"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct http_url url;
        const char *why = "";
        if (http_url_parse(span_of(rows[r].text), &url, &why) != ERR_OK) {
            fail_msg("%s: %s", rows[r].text, why);
        }
        assert_int_equal(url.is_https, rows[r].is_https);
        assert_int_equal(url.is_ipv6, rows[r].is_ipv6);
        assert_true(span_is(url.host, rows[r].host));
        assert_int_equal(url.port, rows[r].port);
        assert_true(span_is(url.authority, rows[r].authority));
        assert_true(span_is(url.path, rows[r].path));
    }
}

static void a_bad_url_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why; /* a part of the sentence */
    } rows[] = {
        {"", "http://"},
        {"a:8000", "http://"},
        {"ftp://a", "http://"},
        {"http:/a", "http://"},
        {"http://", "no host"},
        {"http:///v1", "no host"},
        {"http://u:p@a/", "password"},
        {"http://a/?x", "query"},
        {"http://a/#x", "fragment"},
        {"http://a:0", "1 to 65535"},
        {"http://a:65536", "not valid"},
        {"http://a:", "not valid"},
        {"http://a b", "not valid"},
        {"http://[::1", "not valid"},
        {"http://a/b c", "escaped"},
        {"http://a/\xc3\xa9", "escaped"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct http_url url;
        const char *why = "";
        assert_int_equal(http_url_parse(span_of(rows[r].text), &url, &why), ERR_CONFIG);
        if (strstr(why, rows[r].why) == NULL) {
            fail_msg("%s: %s", rows[r].text, why);
        }
    }
    char text[400];
    memset(text, 'a', sizeof(text));
    memcpy(text, "http://", 7);
    struct http_url url;
    const char *why = "";
    assert_int_equal(http_url_parse(span_make(text, 7 + 253), &url, &why), ERR_OK);
    assert_int_equal(http_url_parse(span_make(text, 7 + 254), &url, &why), ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_url_is_taken_apart),
        cmocka_unit_test(a_bad_url_is_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
