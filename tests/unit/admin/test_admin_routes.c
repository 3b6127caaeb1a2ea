/* SPDX-License-Identifier: Apache-2.0 */
/* test_admin_routes.c — the table of routes finds what is asked for, and holds together. */
#include "unit.h"

#include "admin/admin_operations.h"
#include "json/json_value.h"

static void a_path_finds_its_row_and_what_it_names(void **state)
{
    (void)state;
    static const struct {
        enum http_method method;
        const char *path;
        enum err expect;
        enum admin_route_number number;
        const char *name;
    } rows[] = {
        {HTTP_GET, "/healthz", ERR_OK, ADMIN_ROUTE_healthz, ""},
        {HTTP_HEAD, "/healthz", ERR_OK, ADMIN_ROUTE_healthz, ""},
        {HTTP_GET, "/admin/v1/keys", ERR_OK, ADMIN_ROUTE_key_list, ""},
        {HTTP_POST, "/admin/v1/keys", ERR_OK, ADMIN_ROUTE_key_create, ""},
        {HTTP_GET, "/admin/v1/keys/a%2Fb", ERR_OK, ADMIN_ROUTE_key_show, "a%2Fb"},
        {HTTP_PATCH, "/admin/v1/keys/x", ERR_OK, ADMIN_ROUTE_key_change, "x"},
        {HTTP_DELETE, "/admin/v1/keys/x", ERR_OK, ADMIN_ROUTE_key_end, "x"},
        {HTTP_POST, "/healthz", ERR_METHOD_NOT_ALLOWED, 0, ""},
        {HTTP_PUT, "/admin/v1/keys/x", ERR_METHOD_NOT_ALLOWED, 0, ""},
        {HTTP_GET, "/admin/v1/keys/", ERR_ROUTE_UNKNOWN, 0, ""},
        {HTTP_GET, "/admin/v1/keys/x/", ERR_ROUTE_UNKNOWN, 0, ""},
        {HTTP_GET, "/admin/v1/key", ERR_ROUTE_UNKNOWN, 0, ""},
        {HTTP_GET, "/", ERR_ROUTE_UNKNOWN, 0, ""},
        {HTTP_GET, "", ERR_ROUTE_UNKNOWN, 0, ""},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        const struct admin_route *route = NULL;
        struct span name = {NULL, 0};
        enum err e = admin_route_find(rows[r].method, span_of(rows[r].path), &route, &name);
        if (e != rows[r].expect) {
            fail_msg("%s: %s", rows[r].path, err_name(e));
        }
        if (e == ERR_OK) {
            assert_int_equal(route->number, rows[r].number);
            assert_true(span_is(name, rows[r].name));
        }
    }
}

static void what_a_path_has_is_allowed(void **state)
{
    (void)state;
    char line[ADMIN_METHODS_TEXT];
    size_t len = admin_methods(SPAN("/admin/v1/keys/x"), line);
    assert_string_equal(line, "Allow: GET, PATCH, DELETE\r\n");
    assert_int_equal(len, strlen(line));
}

/* Who may, and what is written down of it, is right for every row that there will be. */
static void every_row_holds_together(void **state)
{
    (void)state;
    for (int i = 0; i < ADMIN_ROUTES; i++) {
        const struct admin_route *route = admin_route((enum admin_route_number)i);
        bool reads = route->method == HTTP_GET || i == ADMIN_ROUTE_route_explain ||
                     i == ADMIN_ROUTE_guard_test;
        assert_int_equal(route->number, i);
        assert_int_equal(strncmp(route->path, "/admin/", 7) == 0, route->scope != ADMIN_SCOPE_NONE);
        assert_int_equal(reads, route->action == NULL);
        const struct admin_right auditor = {.is_key = true, .role = KEY_ROLE_AUDITOR};
        const struct admin_right nobody = {.is_key = false};
        assert_int_equal(admin_right_has(&auditor, route->scope), reads);
        assert_int_equal(admin_right_has(&nobody, route->scope), route->scope == ADMIN_SCOPE_NONE);
        assert_true(reads ||
                    (route->queue != ADMIN_QUEUE_READ && route->queue != ADMIN_QUEUE_NONE));
        assert_int_equal(route->method == HTTP_PATCH, (route->rules & ADMIN_CHANGE) != 0);
        assert_true((route->rules & ADMIN_MATCHES) == 0 || (route->rules & ADMIN_ETAG) != 0);
    }
}

static void a_parameter_of_each_kind_is_read(void **state)
{
    (void)state;
    struct admin_params params;
    struct admin_fault fault;
    const struct admin_route *usage = admin_route(ADMIN_ROUTE_usage_list);
    assert_int_equal(
        admin_params_read(usage, SPAN("model=a%2Fb+c&&from=1970-01-02&by="), &params, &fault),
        ERR_OK);
    assert_int_equal(params.at[1].number, 24);
    assert_false(params.at[2].is_given);
    assert_true(params.at[0].is_given);
    assert_int_equal(params.at[0].text.len, 0);
    assert_true(span_is(params.at[7].text, "a/b c"));
    const struct admin_route *end = admin_route(ADMIN_ROUTE_key_end);
    assert_int_equal(admin_params_read(end, SPAN("forget=true"), &params, &fault), ERR_OK);
    assert_int_equal(params.at[0].number, 1);
    static const char *const wrong[] = {
        "forget",      "forget=1",       "forget=TRUE", "forget=true&forget=true",
        "Forget=true", "forget=true&x=", "=",           "forget=%zz"};
    for (size_t r = 0; r < ROWS(wrong); r++) {
        if (admin_params_read(end, span_of(wrong[r]), &params, &fault) != ERR_VALUE_INVALID) {
            fail_msg("%s", wrong[r]);
        }
        assert_int_not_equal(fault.message[0], '\0');
    }
}

static void times_are_those_of_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us; /* -1: it is none */
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01T00:00:01.5Z", 1500000},
        {"1970-01-01T00:00:01.0000019Z", 1000001},
        {"1970-01-01T03:00:00+03:00", 0},
        {"1970-01-01T00:00:00-00:30", INT64_C(1800000000)},
        {"1970-01-01T00:00:00+00:01", -1}, /* before 1970 */
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000000)},
        {"2023-02-29T00:00:00Z", -1},
        {"2023-02-28T24:00:00Z", -1},
        {"2023-02-28T23:60:00Z", -1},
        {"2023-02-28 23:00:00Z", -1},
        {"2023-02-28T23:00Z", -1},
        {"2023-02-28T23:00:00", -1},
        {"2023-02-28T23:00:00.Z", -1},
        {"2023-02-28T23:00:00+3:00", -1},
        {"2023-02-28T23:00:00+0300", -1},
        {"2023-02-28T23:00:00Zx", -1},
        {"", -1},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        wall_us at = {0};
        bool is_time = admin_time_read(span_of(rows[r].text), &at);
        if (is_time != (rows[r].us >= 0) || (is_time && at.us != rows[r].us)) {
            fail_msg("%s: %d, %lld", rows[r].text, is_time, (long long)at.us);
        }
    }
}

/* The validator of tests/e2e looks at what it says; here, that it is JSON and has every route. */
static void the_description_names_every_route_and_object(void **state)
{
    (void)state;
    struct buf out;
    struct json_index x;
    buf_init(&out, 1u << 20);
    json_index_init(&x, 40000, 32);
    assert_int_equal(admin_openapi_write(&out), ERR_OK);
    assert_int_equal(json_index_parse_borrow(&x, buf_span(&out)), ERR_OK);
    uint32_t paths = json_find(&x, 0, SPAN("paths"));
    uint32_t schemas = json_find(&x, json_find(&x, 0, SPAN("components")), SPAN("schemas"));
    for (int i = 0; i < ADMIN_ROUTES; i++) {
        const struct admin_route *route = admin_route((enum admin_route_number)i);
        assert_int_not_equal(json_find(&x, paths, span_of(route->path)), JSON_NONE);
    }
    for (int i = ADMIN_OBJECT_document + 1; i < ADMIN_OBJECTS; i++) {
        const char *name = admin_object_name((enum admin_object)i);
        assert_int_not_equal(json_find(&x, schemas, span_of(name)), JSON_NONE);
    }
    json_index_fini(&x);
    buf_fini(&out);
    buf_init(&out, 1000);
    assert_int_equal(admin_openapi_write(&out), ERR_NO_MEMORY);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_finds_its_row_and_what_it_names),
        cmocka_unit_test(what_a_path_has_is_allowed),
        cmocka_unit_test(every_row_holds_together),
        cmocka_unit_test(a_parameter_of_each_kind_is_read),
        cmocka_unit_test(times_are_those_of_rfc_3339),
        cmocka_unit_test(the_description_names_every_route_and_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
