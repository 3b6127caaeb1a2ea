/* SPDX-License-Identifier: Apache-2.0 */
/* test_route_table.c — which endpoint a method and a path name. */
#include "unit.h"

#include "keys/keys.h"
#include "policy/route_table.h"

static const struct {
    enum http_method method;
    const char *path;
    enum err err;
    enum route_handler handler;
    uint32_t scope;
    const char *text; /* the rest, or the Allow line */
} rows[] = {
    {HTTP_POST, "/v1/chat/completions", ERR_OK, ROUTE_CHAT, KEY_SCOPE_CHAT, ""},
    {HTTP_POST, "/v1/completions", ERR_OK, ROUTE_COMPLETIONS, KEY_SCOPE_COMPLETIONS, ""},
    {HTTP_POST, "/v1/embeddings", ERR_OK, ROUTE_EMBEDDINGS, KEY_SCOPE_EMBEDDINGS, ""},
    {HTTP_POST, "/v1/moderations", ERR_OK, ROUTE_MODERATIONS, KEY_SCOPE_MODERATIONS, ""},
    {HTTP_GET, "/v1/models", ERR_OK, ROUTE_MODELS, KEY_SCOPE_MODELS, ""},
    {HTTP_HEAD, "/v1/models", ERR_OK, ROUTE_MODELS, KEY_SCOPE_MODELS, ""},
    {HTTP_GET, "/v1/models/a", ERR_OK, ROUTE_MODEL, KEY_SCOPE_MODELS, "a"},
    {HTTP_GET, "/v1/models/a/b%2Fc", ERR_OK, ROUTE_MODEL, KEY_SCOPE_MODELS, "a/b%2Fc"},
    {HTTP_GET, "/v1/budget", ERR_OK, ROUTE_BUDGET, 0, ""},
    {HTTP_GET, "/v1/usage", ERR_OK, ROUTE_USAGE, 0, ""},
    {HTTP_GET, "/healthz", ERR_OK, ROUTE_HEALTH, 0, ""},
    {HTTP_HEAD, "/readyz", ERR_OK, ROUTE_READY, 0, ""},

    {HTTP_GET, "/v1/chat/completions", ERR_METHOD_NOT_ALLOWED, 0, 0, "Allow: POST, OPTIONS\r\n"},
    {HTTP_HEAD, "/v1/embeddings", ERR_METHOD_NOT_ALLOWED, 0, 0, "Allow: POST, OPTIONS\r\n"},
    {HTTP_OPTIONS, "/v1/embeddings", ERR_METHOD_NOT_ALLOWED, 0, 0, "Allow: POST, OPTIONS\r\n"},
    {HTTP_POST, "/v1/models", ERR_METHOD_NOT_ALLOWED, 0, 0, "Allow: GET, HEAD, OPTIONS\r\n"},
    {HTTP_OPTIONS, "*", ERR_METHOD_NOT_ALLOWED, 0, 0, "Allow: GET, HEAD, POST, OPTIONS\r\n"},
    {HTTP_DELETE, "/v1/models/a", ERR_METHOD_NOT_ALLOWED, 0, 0, "Allow: GET, HEAD, OPTIONS\r\n"},

    {HTTP_GET, "/", ERR_ROUTE_UNKNOWN, 0, 0, ""},
    {HTTP_OPTIONS, "/v1/nothing", ERR_ROUTE_UNKNOWN, 0, 0, ""},
    {HTTP_GET, "/v1/models/", ERR_ROUTE_UNKNOWN, 0, 0, ""},
    {HTTP_POST, "/v1/chat/completions/", ERR_ROUTE_UNKNOWN, 0, 0, ""},
    {HTTP_POST, "/v1/Chat/completions", ERR_ROUTE_UNKNOWN, 0, 0, ""},
    {HTTP_POST, "/v1/chat%2Fcompletions", ERR_ROUTE_UNKNOWN, 0, 0, ""},
    {HTTP_POST, "//v1/chat/completions", ERR_ROUTE_UNKNOWN, 0, 0, ""},
    {HTTP_POST, "/chat/completions", ERR_ROUTE_UNKNOWN, 0, 0, ""},
    {HTTP_POST, "/v1/responses", ERR_ROUTE_UNKNOWN, 0, 0, ""},
    {HTTP_GET, "/metrics", ERR_ROUTE_UNKNOWN, 0, 0, ""},
};

static void a_method_and_a_path_name_one_endpoint(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        const struct route *route = NULL;
        struct span rest = SPAN(""), allow = SPAN("");
        enum err e = route_find(rows[i].method, span_of(rows[i].path), &route, &rest, &allow);
        if (e != rows[i].err || !span_is(e == ERR_OK ? rest : allow, rows[i].text)) {
            fail_msg("%d %s: %s, %.*s%.*s", rows[i].method, rows[i].path, err_name(e),
                     SPAN_ARGS(rest), SPAN_ARGS(allow));
        }
        if (e == ERR_OK && (route->handler != rows[i].handler || route->scope != rows[i].scope)) {
            fail_msg("%s: handler %d, scope %u", rows[i].path, route->handler, route->scope);
        }
    }
}

static void only_what_takes_json_reads_a_body(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        const struct route *route = NULL;
        struct span rest, allow;
        if (route_find(rows[i].method, span_of(rows[i].path), &route, &rest, &allow) == ERR_OK) {
            assert_int_equal(route->body == ROUTE_BODY_JSON, rows[i].method == HTTP_POST);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_method_and_a_path_name_one_endpoint),
        cmocka_unit_test(only_what_takes_json_reads_a_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
