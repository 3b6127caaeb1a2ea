/* SPDX-License-Identifier: Apache-2.0 */
/* test_admin_operations.c — what an operator asks for is done or refused, and said in JSON. */
#include "admin_scene.h"
#include "keys/keys_change.h"

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
        {HTTP_GET, "/admin/v1/keys/x", ERR_NOT_FOUND_ROW},
        {HTTP_PUT, "/admin/v1/keys/x", ERR_METHOD_NOT_ALLOWED},
        {HTTP_GET, "/admin/v1/keys/x/y", ERR_ROUTE_UNKNOWN},
        {HTTP_HEAD, "/admin/v1/keys", ERR_OK},
        {HTTP_GET, "/admin/v1/status", ERR_ROUTE_UNKNOWN}, /* no operation: a page */
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
    assert_int_equal(ask(f, HTTP_POST, "/admin/v1/keys", "",
                         "{\"name\":\"team "
                         "\\\"a\\\"\",\"kind\":\"test\",\"expires_at\":\"2026-11-24T04:00:00Z\","
                         "\"scopes\":[\"chat\",\"models\"]}"),
                     ERR_OK);
    assert_true(
        says(f, ",\"name\":\"team \\\"a\\\"\",\"kind\":\"test\",\"status\":\"active\","
                "\"scopes\":[\"chat\",\"models\"],\"role\":null,\"team\":null,\"user\":null,"
                "\"plan\":null,\"models\":[],\"ip_allowlist\":[],\"tags\":{},\"local_only\":false,"
                "\"limits\":null,\"imported\":false,\"rotate_every_s\":null,\"rotated_at\":null,"
                "\"rotation_due_at\":null,\"previous_expires_at\":null,\"last_used_at\":null,"
                "\"last_used_ip\":null,\"last_used_secret\":null,\"created_at\":1795489200,"
                "\"expires_at\":1795492800,\"revoked_at\":null}"));
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
        {"{\"name\":\"n\",\"expires_at\":null}", ERR_OK},
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
        {"{\"name\":\"n\",\"expires_at\":\"2026-11-24T03:00:00.001Z\"}", ERR_OK},
        {"{\"name\":\"n\",\"expires_at\":\"2026-11-24T06:00:00.001+03:00\"}", ERR_OK},
        {"{\"name\":\"n\",\"expires_at\":\"2026-11-24T03:00:00Z\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_at\":\"2026-11-24T06:00:00+03:00\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_at\":\"9999-12-31T23:59:59Z\"}", ERR_OK},
        {"{\"name\":\"n\",\"expires_at\":\"2030-02-30T00:00:00Z\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_at\":\"2030-01-01T24:00:00Z\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_at\":\"2030-01-01T00:00:00\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_at\":\"2030-02-30\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_at\":\"30d\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_at\":1795492800000}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_at\":1795489201}", ERR_OK},
        {"{\"name\":\"n\",\"expires_at\":1795489200}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_at\":1795489201.5}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_at\":0}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"expires_at\":\"1795489201\"}", ERR_VALUE_INVALID},
        {"{\"name\":null}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"id\":\"AAAAAAAAAAAA\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"scopes\":[]}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"scopes\":\"chat\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"scopes\":[\"root\"]}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"scopes\":[\"write\"]}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"kind\":\"admin\",\"role\":\"auditor\"}", ERR_OK},
        {"{\"name\":\"n\",\"kind\":\"admin\",\"role\":null}", ERR_OK},
        {"{\"name\":\"n\",\"kind\":\"admin\",\"role\":\"root\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"kind\":\"admin\",\"role\":\"developer\"}", ERR_VALUE_MISSING},
        {"{\"name\":\"n\",\"role\":\"auditor\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"role\":null,\"team\":null}", ERR_OK},
        {"{\"name\":\"n\",\"team\":\"team_AAAAAAAAAAAA\"}", ERR_VALUE_INVALID},
        {"{\"name\":\"n\",\"kind\":\"admin\",\"scopes\":[\"chat\"]}", ERR_VALUE_INVALID},
        {"{\"name\":[[[]]]}", ERR_JSON_TOO_DEEP},
    };
    size_t made = 0;
    for (size_t r = 0; r < ROWS(rows); r++) {
        enum err e = ask(f, HTTP_POST, "/admin/v1/keys", "", rows[r].body);
        if (e != rows[r].expect) {
            fail_msg("%s: %s", rows[r].body, err_name(e));
        }
        assert_int_equal(answer.fault.message[0] != '\0', e == ERR_VALUE_INVALID ||
                                                              e == ERR_VALUE_MISSING ||
                                                              e == ERR_JSON_DUPLICATE);
        made += e == ERR_OK;
    }
    assert_int_equal(key_table_count(keys_table(f->keys)), made);
}

static void a_refusal_names_what_is_at_fault_and_says_what_to_do(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum http_method method;
        const char *query, *body, *param, *message;
    } rows[] = {
        {HTTP_POST, "", "{\"name\":\"\"}", "name",
         "'name' must be a text of 1 to 255 bytes without control characters"},
        {HTTP_POST, "", "{\"name\":\"n\",\"kind\":7}", "kind",
         "'kind' must be live, test or admin"},
        {HTTP_POST, "", "{\"name\":\"n\",\"expires_at\":\"soon\"}", "expires_at",
         "'expires_at' must be a time to come, in seconds since 1970 or such as "
         "\"2030-01-31T12:00:00Z\", or null for never"},
        {HTTP_POST, "", "{\"name\":\"n\",\"scopes\":[\"x\"]}", "scopes",
         "'scopes' must be a list of some of chat, completions, embeddings, models, moderations"},
        {HTTP_POST, "", "{\"name\":\"n\",\"budget\":1}", "budget",
         "'budget' is no member of this request, which may hold name, kind, scopes, role, team, "
         "user, plan, models, ip_allowlist, tags, local_only, limits, sha256, rotate_every_s, "
         "expires_at"},
        {HTTP_POST, "", "{\"name\":\"n\",\"id\":1}", "id",
         "'id' cannot be given: leave it out; this request may hold name, kind, scopes, role, "
         "team, user, plan, models, ip_allowlist, tags, local_only, limits, sha256, "
         "rotate_every_s, "
         "expires_at"},
        {HTTP_POST, "", "{\"name\":\"n\",\"name\":\"m\"}", "name", "'name' is given twice"},
        {HTTP_POST, "", "{}", "name", "'name' is missing"},
        {HTTP_POST, "x=1", "{\"name\":\"n\"}", "x",
         "'x' is no parameter of this endpoint, which takes no parameter"},
        {HTTP_GET, "limit=0", "", "limit", "'limit' must be a whole number from 1 to 1000"},
        {HTTP_GET, "limit=1&limit=2", "", "limit", "'limit' is given twice"},
        {HTTP_GET, "first=1", "", "first",
         "'first' is no parameter of this endpoint, which takes include, limit, after"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        enum err e = ask(f, rows[r].method, "/admin/v1/keys", rows[r].query, rows[r].body);
        assert_int_not_equal(e, ERR_OK);
        assert_string_equal(answer.fault.param, rows[r].param);
        assert_string_equal(answer.fault.message, rows[r].message);
    }
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
    assert_true(says(f, "\",\"status\":\"revoked\",\"revoked_at\":1795489200}"));
    assert_int_equal(ask(f, HTTP_GET, path, "", ""), ERR_OK);
    assert_true(says(f, "\"status\":\"revoked\",\"scopes\":[],\"role\":\"developer\""));
    assert_true(says(f, "\"revoked_at\":1795489200}"));
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

/* PATCHes the key at `path` with `if_match` (NULL: without). */
static enum err patch(struct fixture *f, const char *path, const char *if_match, const char *body)
{
    const struct admin_request request = {.method = HTTP_PATCH,
                                          .path = span_of(path),
                                          .body = span_of(body),
                                          .if_match = span_of(if_match),
                                          .right = {.is_local = true}};
    buf_clear(&f->reply);
    enum err e = admin_operate(&f->means, f->store, &request, NOW, &f->reply, &answer);
    buf_put_byte(&f->reply, '\0');
    return e;
}

static void a_key_is_changed_only_as_it_was_read(void **state)
{
    struct fixture *f = *state;
    const struct key_wish wish = {.kind = KEY_LIVE, .name = SPAN("before")};
    struct key_text text;
    struct key_handle handle;
    char id[KEY_ID_CHARS + 1], path[64], first[ADMIN_TAG_BYTES], second[ADMIN_TAG_BYTES];
    assert_int_equal(keys_create(f->keys, f->store, &wish, NOW, &text, id), ERR_OK);
    (void)snprintf(path, sizeof(path), "/admin/v1/keys/%s", id);
    assert_int_equal(ask(f, HTTP_GET, path, "", ""), ERR_OK);
    (void)snprintf(first, sizeof(first), "%s", answer.tag);
    assert_int_not_equal(first[0], '\0');

    assert_int_equal(patch(f, path, NULL, "{\"name\":\"x\"}"), ERR_REVISION_MISSING);
    assert_int_equal(patch(f, path, first, "{\"name\":\"after\",\"scopes\":[\"models\"]}"), ERR_OK);
    assert_true(says(f, "\"name\":\"after\""));
    assert_true(says(f, "\"scopes\":[\"models\"]"));
    (void)snprintf(second, sizeof(second), "%s", answer.tag);
    assert_string_not_equal(first, second);
    assert_string_equal(answer.action, "key.change");
    assert_string_equal(answer.object, id);
    assert_int_equal(keys_check(f->keys, span_of(text.text), KEY_USE_INFERENCE, NOW, &handle),
                     ERR_OK);
    assert_int_equal(handle.scopes, KEY_SCOPE_MODELS);

    static const char *const stale[] = {"\"0\"", "\"x\"", "7", "\"\"", "W/\"1\"", ""};
    assert_int_equal(patch(f, path, first, "{\"name\":\"lost\"}"), ERR_REVISION);
    for (size_t r = 0; r < ROWS(stale); r++) {
        assert_int_equal(patch(f, path, stale[r], "{\"name\":\"lost\"}"), ERR_REVISION);
    }
    assert_int_equal(patch(f, path, "*", "{\"expires_at\":\"2026-11-24T03:00:01Z\"}"), ERR_OK);
    assert_true(says(f, "\"name\":\"after\""));
    assert_int_equal(keys_recheck(f->keys, &handle, NOW), ERR_OK);
    assert_int_equal(keys_recheck(f->keys, &handle, (wall_us){NOW.us + 1000000}), ERR_KEY_EXPIRED);
    assert_int_equal(patch(f, path, "*", "{\"expires_at\":null}"), ERR_OK);
    assert_int_equal(keys_recheck(f->keys, &handle, (wall_us){NOW.us + 1000000}), ERR_OK);
    assert_int_equal(patch(f, "/admin/v1/keys/AAAAAAAAAAAA", "*", "{\"name\":\"x\"}"),
                     ERR_NOT_FOUND_ROW);
}

/* Asks for a route of the table about the key `id`, with this If-Match. */
static enum err ask_route(struct fixture *f, const struct admin_route *route, const char *id,
                          const char *if_match)
{
    char path[96];
    const char *brace = strchr(route->path, '{');
    size_t len = brace == NULL ? strlen(route->path) : (size_t)(brace - route->path);
    (void)snprintf(path, sizeof(path), "%.*s%s%s", (int)len, route->path, brace == NULL ? "" : id,
                   brace == NULL ? "" : strchr(brace, '}') + 1);
    const struct admin_request request = {.method = route->method,
                                          .path = span_of(path),
                                          .body = route->takes == ADMIN_OBJECT_none ? SPAN("")
                                                  : route->takes == ADMIN_OBJECT_rotation
                                                      ? SPAN("{\"grace_s\":0}")
                                                      : SPAN("{\"name\":\"judged\"}"),
                                          .if_match = span_of(if_match),
                                          .right = {.is_local = true}};
    buf_clear(&f->reply);
    enum err e = admin_operate(&f->means, f->store, &request, NOW, &f->reply, &answer);
    buf_put_byte(&f->reply, '\0');
    return e;
}

static void every_route_that_changes_something_honours_if_match(void **state)
{
    struct fixture *f = *state;
    static const char *const others[] = {"\"nobodys\"", "W/%s", "\"a\", \"b,%s\"", "", ","};
    static const char *const right[] = {
        "*", "%s", " %s ", "\"other, one\" ,%s", "%s, \"other\"", "W/\"x\",,%s"};
    size_t changing = 0;
    for (int i = 0; i < ADMIN_ROUTES; i++) {
        const struct admin_route *route = admin_route((enum admin_route_number)i);
        bool is_list = strchr(route->path, '{') == NULL;
        if (strncmp(route->path, "/admin/v1/keys", 14) != 0) {
            continue; /* the_nouns_honour_if_match() */
        }
        for (size_t r = 0; route->action != NULL && r < ROWS(others) + ROWS(right); r++) {
            const struct key_wish wish = {.kind = KEY_LIVE, .name = SPAN("before")};
            char id[KEY_ID_CHARS + 1], path[64], match[ADMIN_TAG_BYTES * 2];
            struct key_text text;
            struct key_handle handle;
            bool is_right = r >= ROWS(others);
            const char *form = is_right ? right[r - ROWS(others)] : others[r];
            assert_int_equal(keys_create(f->keys, f->store, &wish, NOW, &text, id), ERR_OK);
            (void)snprintf(path, sizeof(path), "/admin/v1/keys/%s", id);
            assert_int_equal(ask(f, HTTP_GET, path, "", ""), ERR_OK);
            const char *hole = strchr(form, '%');
            (void)snprintf(match, sizeof(match), "%.*s%s%s",
                           (int)(hole == NULL ? (int)strlen(form) : (int)(hole - form)), form,
                           hole == NULL ? "" : answer.tag,
                           hole == NULL ? "" : strchr(hole, 's') + 1);
            enum err e = ask_route(f, route, id, match);
            enum err expect = is_right && (!is_list || r == ROWS(others)) ? ERR_OK : ERR_REVISION;
            if (e != expect) {
                fail_msg("%s with If-Match: %s: %d", route->name, match, e);
            }
            if (e == ERR_REVISION) {
                assert_null(answer.action);
                assert_int_equal(ask(f, HTTP_GET, path, "", ""), ERR_OK);
                assert_true(says(f, "\"name\":\"before\""));
                assert_int_equal(
                    keys_check(f->keys, span_of(text.text), KEY_USE_INFERENCE, NOW, &handle),
                    ERR_OK);
            }
            changing++;
        }
    }
    assert_true(changing > 0);
}

/* Makes one of each, whose ids are written there; returns the id that a route's path takes. */
static const char *make_noun(struct fixture *f, const char *path)
{
    static char id[64];
    static unsigned made;
    char body[256];
    static const struct {
        const char *path, *body; /* around a number */
        const char *end;
    } rows[] = {
        {"/admin/v1/organisations", "{\"name\":\"org ", "\"}"},
        {"/admin/v1/teams", "{\"name\":\"team ", "\",\"organisation\":\"o\"}"},
        {"/admin/v1/users", "{\"name\":\"user ", "\",\"team\":\"for users\"}"},
        {"/admin/v1/plans", "{\"name\":\"plan ", "\"}"},
        {"/admin/v1/budgets", "{\"team\":\"for users\",\"amount\":\"1", "\"}"},
        {"/admin/v1/limits", "{\"team\":\"for users\",\"concurrent\":1", "}"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        if (strncmp(path, rows[r].path, strlen(rows[r].path)) == 0) {
            (void)snprintf(body, sizeof(body), "%s%u%s", rows[r].body, made++, rows[r].end);
            assert_int_equal(ask(f, HTTP_POST, rows[r].path, "", body), ERR_OK);
            assert_int_equal(sscanf(said(f), "{\"id\":\"%63[^\"]", id), 1);
            return id;
        }
    }
    return NULL;
}

static void the_nouns_honour_if_match(void **state)
{
    struct fixture *f = *state;
    size_t changing = 0;
    assert_int_equal(ask(f, HTTP_POST, "/admin/v1/organisations", "", "{\"name\":\"o\"}"), ERR_OK);
    assert_int_equal(
        ask(f, HTTP_POST, "/admin/v1/teams", "", "{\"name\":\"for users\",\"organisation\":\"o\"}"),
        ERR_OK);
    for (int i = 0; i < ADMIN_ROUTES; i++) {
        const struct admin_route *route = admin_route((enum admin_route_number)i);
        const char *brace = strchr(route->path, '{');
        if (route->action == NULL || brace == NULL || brace[4] != '\0' ||
            strncmp(route->path, "/admin/v1/keys", 14) == 0) {
            continue;
        }
        const char *body = route->takes == ADMIN_OBJECT_none ? "" : "{}";
        const char *id = make_noun(f, route->path);
        char path[128], tag[ADMIN_TAG_BYTES];
        if (id == NULL) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%.*s%s", (int)(brace - route->path), route->path, id);
        assert_int_equal(ask(f, HTTP_GET, path, "", ""), ERR_OK);
        (void)snprintf(tag, sizeof(tag), "%s", answer.tag);
        assert_int_not_equal(tag[0], '\0');
        struct admin_request request = {.method = route->method,
                                        .path = span_of(path),
                                        .body = span_of(body),
                                        .if_match = SPAN("\"stale\""),
                                        .right = {.is_local = true}};
        buf_clear(&f->reply);
        assert_int_equal(admin_operate(&f->means, f->store, &request, NOW, &f->reply, &answer),
                         ERR_REVISION);
        request.if_match = span_of(tag);
        enum err e = admin_operate(&f->means, f->store, &request, NOW, &f->reply, &answer);
        assert_int_equal(e, ERR_OK); /* "{}" changes nothing */
        changing++;
    }
    assert_true(changing >= 10);
}

static void a_change_of_a_key_is_read_strictly(void **state)
{
    struct fixture *f = *state;
    const struct key_wish wish = {.kind = KEY_LIVE, .name = SPAN("before")};
    struct key_text text;
    char id[KEY_ID_CHARS + 1], path[64];
    static const struct {
        const char *body;
        enum err expect;
    } rows[] = {
        {"{}", ERR_OK},
        {"{\"kind\":\"test\"}", ERR_VALUE_INVALID},
        {"{\"id\":\"AAAAAAAAAAAA\"}", ERR_VALUE_INVALID},
        {"{\"revoked_at\":null}", ERR_VALUE_INVALID},
        {"{\"name\":null}", ERR_VALUE_INVALID},
        {"{\"name\":\"\"}", ERR_VALUE_INVALID},
        {"{\"scopes\":[]}", ERR_VALUE_INVALID},
        {"{\"scopes\":[\"read\"]}", ERR_VALUE_INVALID},
        {"{\"expires_at\":\"2026-11-24T03:00:00Z\"}", ERR_VALUE_INVALID},
        {"[]", ERR_BODY_NOT_OBJECT},
    };
    assert_int_equal(keys_create(f->keys, f->store, &wish, NOW, &text, id), ERR_OK);
    (void)snprintf(path, sizeof(path), "/admin/v1/keys/%s", id);
    for (size_t r = 0; r < ROWS(rows); r++) {
        enum err e = patch(f, path, "*", rows[r].body);
        if (e != rows[r].expect) {
            fail_msg("%s: %s", rows[r].body, err_name(e));
        }
    }
    assert_int_equal(ask(f, HTTP_GET, path, "", ""), ERR_OK);
    assert_true(says(f, "\"name\":\"before\",\"kind\":\"live\""));
}

/* Without a gateway there is no book, and no configuration to look a model up in. */
static void prices_are_set_and_ended_on_the_data_folder_too(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, HTTP_POST, "/admin/v1/prices", "",
                         "{\"model\":\"m\",\"input\":\"2.5\",\"from\":1795489201}"),
                     ERR_OK);
    assert_true(says(f, "\"model\":\"m\",\"from\":1795489201,\"input\":\"2.50\","
                        "\"cached_input\":\"2.50\",\"output\":\"0.00\",\"per\":1000000,"));
    assert_true(says(f, "\"source\":\"set\",\"status\":\"to come\",\"created_at\":1795489200,"));
    char path[64] = "/admin/v1/prices/";
    const char *id = strstr(said(f), "price_");
    assert_non_null(id);
    memcpy(path + strlen(path), id, strlen("price_") + 12);
    assert_int_equal(ask(f, HTTP_GET, path, "", ""), ERR_OK);
    assert_int_equal(ask(f, HTTP_DELETE, path, "", ""), ERR_OK);
    assert_true(says(f, "\"status\":\"ended\",\"created_at\":1795489200,\"ended_at\":1795489200}"));
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/prices", "", ""), ERR_OK);
    assert_true(says(f, "\"data\":[]"));
    assert_int_equal(ask(f, HTTP_GET, "/admin/v1/prices", "include=ended", ""), ERR_OK);
    assert_true(says(f, "price_"));
}

/* A book that is told keeps to what was set, from the reply on. */
static void a_price_is_in_the_book_when_it_is_answered(void **state)
{
    struct fixture *f = *state;
    struct policy_price price;
    assert_int_equal(policy_book_open(&f->means.book), ERR_OK);
    assert_int_equal(ask(f, HTTP_POST, "/admin/v1/prices", "",
                         "{\"model\":\"m\",\"request\":\"0.5\",\"currency\":\"SAR\"}"),
                     ERR_OK);
    assert_true(policy_book_find(f->means.book, SPAN("m"), NOW, &price));
    assert_int_equal(price.request_nano, 500000000);
    assert_string_equal(price.currency, "SAR");
    policy_book_close(&f->means.book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(other_routes_and_methods_are_refused),
        TEST(a_new_key_is_said_once_and_works),
        TEST(requests_for_keys_are_read_strictly),
        TEST(a_refusal_names_what_is_at_fault_and_says_what_to_do),
        TEST(a_revoked_key_is_listed_as_such),
        TEST(a_key_is_changed_only_as_it_was_read),
        TEST(every_route_that_changes_something_honours_if_match),
        TEST(the_nouns_honour_if_match),
        TEST(a_change_of_a_key_is_read_strictly),
        TEST(prices_are_set_and_ended_on_the_data_folder_too),
        TEST(a_price_is_in_the_book_when_it_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
