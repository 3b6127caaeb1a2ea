/* SPDX-License-Identifier: Apache-2.0 */
/* test_cors.c — which pages may read replies, and what preflights are told. */
#include "unit.h"

#include <stdio.h>

#include "policy/cors.h"

static const char *const two[] = {"https://a.example", "http://localhost:3000"};
static const char *const any[] = {"*"};

struct request {
    struct http_request head;
    struct http_field rows[16];
    char text[512];
};

static void read_head(struct request *r, const char *method, const char *lines)
{
    static const struct http_limits limits = {4096, 1024};
    size_t used;
    int len = snprintf(r->text, sizeof(r->text), "%s /v1/models HTTP/1.1\r\nHost: x\r\n%s\r\n",
                       method, lines);
    http_request_init(&r->head, &limits, r->rows, ROWS(r->rows));
    assert_int_equal(http_request_parse(&r->head, span_make(r->text, (size_t)len), &used), ERR_OK);
    assert_int_equal(used, len);
    http_request_moved(&r->head, (const uint8_t *)r->text);
}

static struct policy policy_of(const char *const *origins, size_t count)
{
    return (struct policy){
        .cors_origins = origins, .cors_origin_count = count, .cors_max_age_s = 600};
}

static const struct {
    const char *why, *lines;
    const char *none, *named, *all; /* the reply's first lines, by what is configured */
} rows[] = {
    {"no page", "", "", "Vary: Origin\r\n", ""},
    {"a page that may", "Origin: https://a.example\r\n", "",
     "Access-Control-Allow-Origin: https://a.example\r\nVary: Origin\r\nAccess-Control-Expose",
     "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose"},
    {"another port", "Origin: http://localhost:3000\r\n", "",
     "Access-Control-Allow-Origin: http://localhost:3000\r\nVary: Origin\r\n",
     "Access-Control-Allow-Origin: *\r\n"},
    {"a page that may not", "Origin: https://b.example\r\n", "", "Vary: Origin\r\n",
     "Access-Control-Allow-Origin: *\r\n"},
    {"a longer name", "Origin: https://a.example.evil.example\r\n", "", "Vary: Origin\r\n",
     "Access-Control-Allow-Origin: *\r\n"},
    {"no name", "Origin: null\r\n", "", "Vary: Origin\r\n", "Access-Control-Allow-Origin: *\r\n"},
    {"an empty name", "Origin: \r\n", "", "Vary: Origin\r\n", ""},
};

static void expect_start(const char *why, struct span found, const char *wanted)
{
    size_t len = strlen(wanted);
    bool is_short = len == 0 || span_is(span_of(wanted), "Vary: Origin\r\n");
    if (!span_starts(found, span_of(wanted)) || (is_short && found.len != len)) {
        fail_msg("%s: %.*s", why, SPAN_ARGS(found));
    }
}

static void only_pages_that_are_configured_may_read_replies(void **state)
{
    (void)state;
    struct policy none = policy_of(NULL, 0), named = policy_of(two, 2), all = policy_of(any, 1);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct request r;
        struct arena arena;
        arena_init(&arena, 1 << 16);
        read_head(&r, "GET", rows[i].lines);
        expect_start(rows[i].why, cors_fields(&none, &r.head, &arena), rows[i].none);
        expect_start(rows[i].why, cors_fields(&named, &r.head, &arena), rows[i].named);
        expect_start(rows[i].why, cors_fields(&all, &r.head, &arena), rows[i].all);
        arena_fini(&arena);
    }
}

#define ASKS "Access-Control-Request-Method: POST\r\n"

static const struct {
    const char *why, *method, *lines;
    bool named, all;
} preflights[] = {
    {"a preflight", "OPTIONS", ASKS "Origin: https://a.example\r\n", true, true},
    {"of another page", "OPTIONS", ASKS "Origin: https://b.example\r\n", false, true},
    {"of no page", "OPTIONS", ASKS, false, false},
    {"plain OPTIONS", "OPTIONS", "Origin: https://a.example\r\n", false, false},
    {"another method", "GET", ASKS "Origin: https://a.example\r\n", false, false},
};

static void a_preflight_is_answered_where_its_page_is_configured(void **state)
{
    (void)state;
    struct policy none = policy_of(NULL, 0), named = policy_of(two, 2), all = policy_of(any, 1);
    for (size_t i = 0; i < ROWS(preflights); i++) {
        struct request r;
        read_head(&r, preflights[i].method, preflights[i].lines);
        if (cors_is_preflight(&none, &r.head) ||
            cors_is_preflight(&named, &r.head) != preflights[i].named ||
            cors_is_preflight(&all, &r.head) != preflights[i].all) {
            fail_msg("%s", preflights[i].why);
        }
    }
}

static void a_preflight_names_what_sdks_send(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "Access-Control-Allow-Methods: GET, POST, DELETE, OPTIONS\r\n",
        " authorization,",
        " content-type,",
        " x-stainless-retry-count,",
        " x-stainless-timeout",
        " openai-organization,",
        "Access-Control-Max-Age: 600\r\n"};
    struct policy named = policy_of(two, 2);
    struct request r;
    struct arena arena;
    arena_init(&arena, 1 << 16);
    read_head(&r, "OPTIONS", ASKS "Origin: https://a.example\r\n");
    struct span lines = cors_preflight_fields(&named, &r.head, &arena);
    for (size_t i = 0; i < ROWS(wanted); i++) {
        if (memmem(lines.at, lines.len, wanted[i], strlen(wanted[i])) == NULL) {
            fail_msg("%s is not in %.*s", wanted[i], SPAN_ARGS(lines));
        }
    }
    arena_fini(&arena);
}

static void a_page_that_may_call_may_send_any_header_that_it_asks_for(void **state)
{
    (void)state;
    static const struct {
        const char *asked, *allowed; /* NULL: all that SDKs send */
    } lists[] = {
        {"x-title, http-referer, x-own", "x-title, http-referer, x-own"},
        {"X-Title,x-own", "X-Title, x-own"},
        {" a ,, b ", "a, b"},
        {"ok, no good, x:y, \"q\", fine", "ok, fine"},
        {"*", "*"},
        {"", NULL},
        {"(), <>", NULL},
    };
    struct policy named = policy_of(two, 2);
    for (size_t i = 0; i < ROWS(lists); i++) {
        struct request r;
        struct arena arena;
        char asks[256], allows[256];
        arena_init(&arena, 1 << 16);
        (void)snprintf(asks, sizeof(asks),
                       ASKS "Origin: https://a.example\r\nAccess-Control-Request-Headers: %s\r\n",
                       lists[i].asked);
        read_head(&r, "OPTIONS", asks);
        (void)snprintf(allows, sizeof(allows), "\r\nAccess-Control-Allow-Headers: %s%s",
                       lists[i].allowed == NULL ? "authorization, content-type," : lists[i].allowed,
                       lists[i].allowed == NULL ? "" : "\r\n");
        struct span lines = cors_preflight_fields(&named, &r.head, &arena);
        if (memmem(lines.at, lines.len, allows, strlen(allows)) == NULL) {
            fail_msg("%s: %.*s", lists[i].asked, SPAN_ARGS(lines));
        }
        assert_non_null(
            memmem(lines.at, lines.len, "Vary: Access-Control-Request-Headers\r\n", 38));
        arena_fini(&arena);
    }
}

static void the_names_that_come_back_have_a_bound(void **state)
{
    (void)state;
    static char asks[60000];
    static struct request r;
    size_t len = (size_t)snprintf(asks, sizeof(asks),
                                  "OPTIONS / HTTP/1.1\r\nHost: x\r\n" ASKS
                                  "Access-Control-Request-Headers: x");
    while (len < 50000) {
        len += (size_t)snprintf(asks + len, sizeof(asks) - len, ", x-%zu", len);
    }
    len += (size_t)snprintf(asks + len, sizeof(asks) - len, "\r\n\r\n");
    static const struct http_limits limits = {60000, 1024};
    size_t used;
    http_request_init(&r.head, &limits, r.rows, ROWS(r.rows));
    assert_int_equal(http_request_parse(&r.head, span_make(asks, len), &used), ERR_OK);
    http_request_moved(&r.head, (const uint8_t *)asks);
    struct policy named = policy_of(two, 2);
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct span lines = cors_preflight_fields(&named, &r.head, &arena);
    assert_true(lines.len > 2000 && lines.len < 6000);
    arena_fini(&arena);
}

static void without_memory_there_are_no_lines(void **state)
{
    (void)state;
    struct policy named = policy_of(two, 2);
    struct request r;
    struct arena arena;
    arena_init(&arena, 10);
    read_head(&r, "GET", "Origin: https://a.example\r\n");
    assert_int_equal(cors_fields(&named, &r.head, &arena).len, 0);
    assert_int_equal(cors_preflight_fields(&named, &r.head, &arena).len, 0);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_pages_that_are_configured_may_read_replies),
        cmocka_unit_test(a_preflight_is_answered_where_its_page_is_configured),
        cmocka_unit_test(a_preflight_names_what_sdks_send),
        cmocka_unit_test(without_memory_there_are_no_lines),
        cmocka_unit_test(a_page_that_may_call_may_send_any_header_that_it_asks_for),
        cmocka_unit_test(the_names_that_come_back_have_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
