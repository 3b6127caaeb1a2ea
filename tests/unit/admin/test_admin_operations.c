/* SPDX-License-Identifier: Apache-2.0 */
/* test_admin_operations.c — what an operator asks for is done or refused, and said in JSON. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin/admin_operations.h"
#include "keys/key_pepper.h"
#include "keys/keys.h"
#include "store/store_keys.h"
#include "store/store_usage.h"

#define NOW ((wall_us){INT64_C(1795489200000000)}) /* 2026-11-24T03:00:00Z */

struct fixture {
    char folder[32], pepper[48];
    struct store *store;
    struct keys *keys;
    struct buf reply;
};

static int start(void **state)
{
    static struct fixture f;
    const struct store_settings settings = {.driver = "memory"};
    memset(&f, 0, sizeof(f));
    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/atlas-admin-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    (void)snprintf(f.pepper, sizeof(f.pepper), "%s/pepper", f.folder);
    assert_int_equal(key_pepper_make(f.pepper), ERR_OK);
    assert_int_equal(store_open(&settings, &f.store), ERR_OK);
    assert_int_equal(keys_open(f.pepper, &f.keys), ERR_OK);
    buf_init(&f.reply, 65536);
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    buf_fini(&f->reply);
    keys_close(&f->keys);
    store_close(&f->store);
    (void)unlink(f->pepper);
    return rmdir(f->folder);
}

static struct span fault;

/* Runs a request; the answer as a C string is left in f->reply. */
static enum err ask(struct fixture *f, enum http_method method, const char *path, const char *query,
                    const char *body)
{
    const struct admin_request request = {method, span_of(path), span_of(query), span_of(body)};
    buf_clear(&f->reply);
    enum err e = admin_operate(f->keys, f->store, &request, NOW, &f->reply, &fault);
    buf_put_byte(&f->reply, '\0');
    return e;
}

static const char *said(const struct fixture *f)
{
    return (const char *)buf_span(&f->reply).at;
}

static bool says(const struct fixture *f, const char *text)
{
    return strstr(said(f), text) != NULL;
}

static void other_routes_and_methods_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum http_method method;
        const char *path;
        enum err expect;
    } rows[] = {
        {HTTP_GET, "/admin/v1/keys", ERR_OK},
        {HTTP_GET, "/admin/v1/usage", ERR_OK},
        {HTTP_DELETE, "/admin/v1/keys", ERR_METHOD_NOT_ALLOWED},
        {HTTP_GET, "/admin/v1/keys/x", ERR_METHOD_NOT_ALLOWED},
        {HTTP_POST, "/admin/v1/usage", ERR_METHOD_NOT_ALLOWED},
        {HTTP_DELETE, "/admin/v1/keys/", ERR_ROUTE_UNKNOWN},
        {HTTP_GET, "/admin/v1/key", ERR_ROUTE_UNKNOWN},
        {HTTP_GET, "/admin/v1/keys2", ERR_ROUTE_UNKNOWN},
        {HTTP_GET, "/", ERR_ROUTE_UNKNOWN},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        enum err e = ask(f, rows[r].method, rows[r].path, "", "");
        if (e != rows[r].expect) {
            fail_msg("%s: %s", rows[r].path, err_name(e));
        }
    }
}

static void a_new_key_is_said_once_and_works(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        ask(f, HTTP_POST, "/admin/v1/keys", "",
            "{\"name\":\"team \\\"a\\\"\",\"kind\":\"test\",\"expires_ms\":1795492800000,"
            "\"scopes\":[\"chat\",\"models\"]}"),
        ERR_OK);
    assert_true(says(f, ",\"name\":\"team \\\"a\\\"\",\"kind\":\"test\",\"status\":\"active\","
                        "\"scopes\":[\"chat\",\"models\"],\"created\":\"2026-11-24T03:00:00.000Z\","
                        "\"expires\":\"2026-11-24T04:00:00.000Z\",\"revoked\":null}"));
    const char *text = strstr(said(f), "mx4_sk_test_");
    assert_non_null(text);
    struct key_handle handle;
    assert_int_equal(keys_check(f->keys, span_make(text, 62), KEY_USE_INFERENCE, NOW, &handle),
                     ERR_OK);
    assert_int_equal(handle.scopes, KEY_SCOPE_CHAT | KEY_SCOPE_MODELS);
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/keys", "", ""), ERR_OK);
    assert_true(says(f, handle.id));
    assert_false(says(f, "mx4_"));
    assert_false(says(f, "\"key\":"));
}

static void requests_for_keys_are_read_strictly(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *body;
        enum err expect;
    } rows[] = {
        {"{\"name\":\"n\"}", ERR_OK},
        {"{\"name\":\"n\",\"expires_ms\":null}", ERR_OK},
        {"{\"name\":\"n\",\"kind\":\"admin\"}", ERR_OK},
        {"", ERR_BODY_NOT_JSON},
        {"{\"name\":\"n\"", ERR_BODY_NOT_JSON},
        {"[]", ERR_BODY_NOT_OBJECT},
        {"{}", ERR_VALUE_MISSING},
        {"{\"kind\":\"live\"}", ERR_VALUE_MISSING},
        {"{\"name\":\"\"}", ERR_VALUE_INVALID},
        {"{\"name\":7}", ERR_VALUE_INVALID},
        {"{\"name\":\"a\\nb\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"\\ud800\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"name\":\"m\"}", ERR_JSON_DUPLICATE},
        {"{\"name\":\"n\",\"n\\u0061me\":\"m\"}", ERR_JSON_DUPLICATE},
        {"{\"name\":\"n\",\"budget\":1}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"kind\":\"root\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_ms\":1795489200001}", ERR_OK},
        {"{\"name\":\"n\",\"expires_ms\":1795489200000}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_ms\":253402300800000}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_ms\":1.5}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_ms\":9223372036854775807}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_ms\":\"30d\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"scopes\":[]}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"scopes\":\"chat\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"scopes\":[\"root\"]}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"scopes\":[\"admin\"]}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"kind\":\"admin\",\"scopes\":[\"chat\"]}", ERR_VALUE_INVALID},
        {"{\"name\":[[[]]]}", ERR_JSON_TOO_DEEP},
    };
    size_t made = 0;
    for (size_t r = 0; r < ROWS(rows); r++) {
        enum err e = ask(f, HTTP_POST, "/admin/v1/keys", "", rows[r].body);
        if (e != rows[r].expect) {
            fail_msg("%s: %s", rows[r].body, err_name(e));
        }
        assert_int_equal(fault.len > 0, e == ERR_VALUE_INVALID || e == ERR_VALUE_MISSING);
        made += e == ERR_OK;
    }
    assert_int_equal(key_table_count(keys_table(f->keys)), made);
}

static void a_revoked_key_is_listed_as_such(void **state)
{
    struct fixture *f = *state;
    const struct key_wish wish = {.kind = KEY_ADMIN, .name = SPAN("n")};
    struct key_text text;
    char id[KEY_ID_CHARS + 1], path[64];
    assert_int_equal(keys_create(f->keys, f->store, &wish, NOW, &text, id), ERR_OK);
    (void)snprintf(path, sizeof(path), "/admin/v1/keys/%s", id);
    assert_int_equal(ask(f, HTTP_DELETE, path, "", ""), ERR_OK);
    assert_true(says(f, "\"status\":\"revoked\",\"scopes\":[\"admin\"]"));
    assert_true(says(f, "\"revoked\":\"2026-11-24T03:00:00.000Z\"}"));
    struct key_handle handle;
    assert_int_equal(keys_check(f->keys, span_of(text.text), KEY_USE_ADMIN, NOW, &handle),
                     ERR_KEY_REVOKED);
    assert_int_equal(ask(f, HTTP_DELETE, path, "", ""), ERR_OK);
    static const char *const unknown[] = {
        "/admin/v1/keys/AAAAAAAAAAAA", "/admin/v1/keys/x", "/admin/v1/keys/%00",
        "/admin/v1/keys/..",
        "/admin/v1/keys/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t r = 0; r < ROWS(unknown); r++) {
        assert_int_equal(ask(f, HTTP_DELETE, unknown[r], "", ""), ERR_NOT_FOUND_ROW);
    }
}

static void add_usage(struct fixture *f, int32_t day, const char *key, const char *model,
                      const char *upstream)
{
    const struct store_usage row = {.day = day,
                                    .key_id = span_of(key),
                                    .model = span_of(model),
                                    .upstream = span_of(upstream),
                                    .calls = 1,
                                    .interrupted = 2,
                                    .failed = 3,
                                    .estimated = 4,
                                    .tokens_in = 5,
                                    .tokens_out = 6,
                                    .bytes_in = 7,
                                    .bytes_out = 8,
                                    .cost_microusd = 9};
    assert_int_equal(store_begin(f->store, STORE_SYNC_LATER), ERR_OK);
    assert_int_equal(store_usage_add(f->store, &row), ERR_OK);
    assert_int_equal(store_commit(f->store), ERR_OK);
}

#define SUMS(day, key, model, times)                                                               \
    "{\"day\":\"" day "\",\"key_id\":\"" key "\",\"key_name\":\"\",\"model\":\"" model "\"," times \
    "}"
#define ONCE                                                                                       \
    "\"calls\":1,\"interrupted\":2,\"failed\":3,\"estimated\":4,\"tokens_in\":5,\"tokens_out\":6," \
    "\"bytes_in\":7,\"bytes_out\":8,\"cost_micro\":9"
#define TWICE                                                                      \
    "\"calls\":2,\"interrupted\":4,\"failed\":6,\"estimated\":8,\"tokens_in\":10," \
    "\"tokens_out\":12,\"bytes_in\":14,\"bytes_out\":16,\"cost_micro\":18"

static void usage_is_summed_over_upstreams_and_filtered(void **state)
{
    struct fixture *f = *state;
    add_usage(f, 20781, "k1", "a/b c", "u1");
    add_usage(f, 20781, "k1", "a/b c", "u2");
    add_usage(f, 20782, "k1", "m", "u1");
    add_usage(f, 20782, "k2", "m", "u1");
    static const char first[] = SUMS("2026-11-24", "k1", "a/b c", TWICE);
    static const char second[] = SUMS("2026-11-25", "k1", "m", ONCE);
    static const char third[] = SUMS("2026-11-25", "k2", "m", ONCE);
    const struct {
        const char *query;
        const char *data[4];
    } rows[] = {
        {"", {first, second, third}}, {"from=2026-11-25", {second, third}},
        {"to=2026-11-24", {first}},   {"from=2026-11-25&to=2026-11-25&key=k2", {third}},
        {"model=a/b+c", {first}},     {"model=a%2Fb%20c&key=k1", {first}},
        {"key=none", {NULL}},         {"from=1970-01-01&to=9999-12-31&key=k1&model=m", {second}},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        char expect[2048] = "{\"object\":\"list\",\"data\":[";
        for (size_t i = 0; rows[r].data[i] != NULL; i++) {
            size_t len = strlen(expect);
            (void)snprintf(expect + len, sizeof(expect) - len, "%s%s", i == 0 ? "" : ",",
                           rows[r].data[i]);
        }
        size_t len = strlen(expect);
        (void)snprintf(expect + len, sizeof(expect) - len, "]}");
        assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", rows[r].query, ""), ERR_OK);
        assert_string_equal(said(f), expect);
    }
}

static void days_that_are_none_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *query;
        enum err expect;
    } rows[] = {
        {"from=2024-02-29", ERR_OK},
        {"from=2100-02-28&to=2100-03-01", ERR_OK},
        {"from=2023-02-29", ERR_VALUE_INVALID},
        {"from=2100-02-29", ERR_VALUE_INVALID},
        {"from=2026-13-01", ERR_VALUE_INVALID},
        {"from=2026-00-01", ERR_VALUE_INVALID},
        {"from=2026-04-31", ERR_VALUE_INVALID},
        {"to=1969-12-31", ERR_VALUE_INVALID},
        {"to=2026-1-01", ERR_VALUE_INVALID},
        {"to=today", ERR_VALUE_INVALID},
        {"to=%zz", ERR_VALUE_INVALID},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        if (ask(f, HTTP_GET, "/admin/v1/usage", rows[r].query, "") != rows[r].expect) {
            fail_msg("%s", rows[r].query);
        }
    }
}

static void a_reply_longer_than_its_buffer_is_an_error(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        add_usage(f, i, "k", "m", "u");
    }
    buf_fini(&f->reply);
    buf_init(&f->reply, 1000);
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", "", ""), ERR_NO_MEMORY);
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/usage", "to=1970-01-02", ""), ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(other_routes_and_methods_are_refused),        TEST(a_new_key_is_said_once_and_works),
        TEST(requests_for_keys_are_read_strictly),         TEST(a_revoked_key_is_listed_as_such),
        TEST(usage_is_summed_over_upstreams_and_filtered), TEST(days_that_are_none_are_refused),
        TEST(a_reply_longer_than_its_buffer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
