/* SPDX-License-Identifier: Apache-2.0 */
/* The description of the API, written from the tables of routes and objects: OpenAPI 3.1. */
#include <stdio.h>

#include "admin/admin_operations.h"
#include "admin/admin_schemas.h"

static const struct {
    int status;
    const char *name, *text;
} errors[] = {
    {400, "bad_request",
     "A parameter or the body is not valid; `param` names it, `message` says what to do"},
    {401, "unauthorized", "No admin key was given, or it is not valid"},
    {403, "forbidden", "The role of the admin key may not do this"},
    {404, "not_found", "There is nothing of this id"},
    {409, "conflict",
     "There is one already, or it was ended, or the Idempotency-Key is another request's, or that "
     "of one which is "
     "being done, or the configuration is not valid"},
    {412, "revision_mismatch", "It was changed since: it is not what If-Match says"},
    {413, "too_large", "The body is larger than 64 KiB, or 4 MiB of what is to be explained"},
    {428, "revision_missing", "The request needs If-Match, with the ETag of what it changes"},
    {429, "too_many_guesses",
     "Too many requests with a key that is not valid came from this address; see Retry-After"},
    {503, "unavailable",
     "The gateway is starting, stopping or overloaded, or its store cannot do it now"},
};

#define ERRORS (sizeof(errors) / sizeof(errors[0]))

static void write_content(struct json_writer *w, const char *type)
{
    admin_schema_open(w, "content");
    admin_schema_open(w, type);
    json_write_key(w, "schema");
}

static void write_errors(struct json_writer *w)
{
    admin_schema_open(w, "responses");
    for (size_t i = 0; i < ERRORS; i++) {
        admin_schema_open(w, errors[i].name);
        json_write_member_text(w, "description", errors[i].text);
        write_content(w, "application/json");
        admin_schema_reference(w, "schemas", "error", "");
        json_write_end(w);
        json_write_end(w);
        json_write_end(w);
    }
    json_write_end(w);
}

/* ---- paths ---- */

static void write_parameter(struct json_writer *w, const char *name, const char *in,
                            const char *help, bool is_needed)
{
    json_write_object(w);
    json_write_member_text(w, "name", name);
    json_write_member_text(w, "in", in);
    json_write_member_text(w, "description", help);
    json_write_key(w, "required");
    json_write_bool(w, is_needed);
    admin_schema_open(w, "schema");
}

static void end_parameter(struct json_writer *w)
{
    json_write_end(w);
    json_write_end(w);
}

static void write_parameters(struct json_writer *w, const struct admin_route *route)
{
    size_t count;
    const struct admin_param *params = admin_route_params(route, &count);
    json_write_key(w, "parameters");
    json_write_array(w);
    if (strchr(route->path, '{') != NULL) {
        write_parameter(w, "id", "path", "Which one", true);
        admin_schema_type(w, "string", false);
        end_parameter(w);
    }
    if (route->action != NULL && strchr(route->path, '{') != NULL) {
        write_parameter(w, "If-Match", "header", "The ETag of what is to change, or *",
                        (route->rules & ADMIN_MATCHES) != 0);
        admin_schema_type(w, "string", false);
        end_parameter(w);
    }
    if (route->method == HTTP_POST) {
        write_parameter(w, "Idempotency-Key", "header",
                        "Sent again with the same body, the request is done once", false);
        admin_schema_type(w, "string", false);
        json_write_member_int(w, "minLength", 1);
        json_write_member_int(w, "maxLength", ADMIN_ONCE_KEY_MAX);
        end_parameter(w);
    }
    for (size_t i = 0; i < count; i++) {
        const struct admin_field as = {
            .kind = params[i].kind, .least = params[i].least, .most = params[i].most, .words = ""};
        write_parameter(w, params[i].name, "query", params[i].help, false);
        admin_schema_kind(w, &as, ADMIN_SHAPE_REPLY);
        end_parameter(w);
    }
    json_write_end(w);
}

static void write_body(struct json_writer *w, const struct admin_route *route)
{
    if (route->takes == ADMIN_OBJECT_none) {
        return;
    }
    admin_schema_open(w, "requestBody");
    json_write_key(w, "required");
    json_write_bool(w, true);
    write_content(w, "application/json");
    if (route->takes == ADMIN_OBJECT_document) {
        json_write_raw(w, SPAN("{\"type\":\"object\"}"));
    } else {
        admin_schema_of(w, route->takes,
                        (route->rules & ADMIN_CHANGE) != 0 ? ADMIN_SHAPE_CHANGE
                                                           : ADMIN_SHAPE_CREATE);
    }
    json_write_end(w);
    json_write_end(w);
    json_write_end(w);
}

static void write_list_schema(struct json_writer *w, const struct admin_route *route)
{
    bool has_pages = (route->rules & ADMIN_PAGES) != 0;
    json_write_object(w);
    admin_schema_type(w, "object", false);
    admin_schema_open(w, "properties");
    json_write_key(w, "object");
    json_write_raw(w, SPAN("{\"const\":\"list\"}"));
    admin_schema_open(w, "data");
    admin_schema_type(w, "array", false);
    json_write_key(w, "items");
    admin_schema_of(w, route->gives, ADMIN_SHAPE_REPLY);
    json_write_end(w);
    if (has_pages) {
        json_write_key(w, "has_more");
        json_write_raw(w, SPAN("{\"type\":\"boolean\"}"));
        json_write_key(w, "next_cursor");
        json_write_raw(w, SPAN("{\"type\":[\"string\",\"null\"],\"description\":\"`after` of the "
                               "next page; null on the last\"}"));
    }
    json_write_end(w);
    json_write_key(w, "required");
    json_write_raw(w, has_pages ? SPAN("[\"object\",\"data\",\"has_more\",\"next_cursor\"]")
                                : SPAN("[\"object\",\"data\"]"));
    json_write_end(w);
}

/* Beside the list in JSON. */
static void write_sheet(struct json_writer *w, const struct admin_route *route)
{
    if ((route->rules & ADMIN_SHEET) != 0) {
        json_write_end(w);
        admin_schema_open(w, "text/csv");
        json_write_key(w, "schema");
        json_write_raw(w, SPAN("{\"type\":\"string\"}"));
    }
}

static void write_given(struct json_writer *w, const struct admin_route *route)
{
    if (route->gives == ADMIN_OBJECT_text) {
        write_content(w, "text/plain");
        json_write_raw(w, SPAN("{\"type\":\"string\"}"));
    } else if (route->gives == ADMIN_OBJECT_document) {
        write_content(w, "application/json");
        json_write_raw(w, SPAN("{\"type\":\"object\"}"));
    } else if ((route->rules & ADMIN_LISTS) != 0) {
        write_content(w, "application/json");
        write_list_schema(w, route);
        write_sheet(w, route);
    } else {
        write_content(w, "application/json");
        admin_schema_of(w, route->gives, ADMIN_SHAPE_REPLY);
    }
    json_write_end(w);
    json_write_end(w);
}

static void write_success(struct json_writer *w, const struct admin_route *route)
{
    admin_schema_open(w, (route->rules & ADMIN_CREATES) != 0 ? "201" : "200");
    json_write_member_text(w, "description", route->help);
    if ((route->rules & (ADMIN_ETAG | ADMIN_MATCHES)) != 0) {
        json_write_key(w, "headers");
        json_write_raw(w, SPAN("{\"ETag\":{\"description\":\"For If-Match\",\"schema\":{\"type\":"
                               "\"string\"}}}"));
    }
    write_given(w, route);
    json_write_end(w);
}

/* Whether the route may answer with the error of this status. */
static bool may_fail(const struct admin_route *route, int status)
{
    switch (status) {
    case 400:
        return route->queue != ADMIN_QUEUE_NONE;
    case 401:
    case 403:
    case 429:
        return route->scope != ADMIN_SCOPE_NONE;
    case 404:
        return strchr(route->path, '{') != NULL || (route->rules & ADMIN_MISSES) != 0;
    case 409:
        return route->method == HTTP_POST || route->method == HTTP_PATCH;
    case 412:
        return route->action != NULL;
    case 428:
        return (route->rules & ADMIN_MATCHES) != 0;
    case 413:
        return route->takes != ADMIN_OBJECT_none;
    default:
        return true;
    }
}

static void write_responses(struct json_writer *w, const struct admin_route *route)
{
    admin_schema_open(w, "responses");
    write_success(w, route);
    for (size_t i = 0; i < ERRORS; i++) {
        char status[12];
        (void)snprintf(status, sizeof(status), "%d", errors[i].status); /* three digits */
        if (errors[i].status == 503 && route->gives == ADMIN_OBJECT_readiness) {
            admin_schema_open(w, status);
            json_write_member_text(w, "description", "It takes none");
            write_given(w, route);
            json_write_end(w);
        } else if (may_fail(route, errors[i].status)) {
            json_write_key(w, status);
            admin_schema_reference(w, "responses", errors[i].name, "");
        }
    }
    json_write_end(w);
}

/* In OpenAPI 3.1 any scheme may name what it asks of its bearer. */
static void write_security(struct json_writer *w, const struct admin_route *route)
{
    json_write_key(w, "security");
    json_write_array(w);
    if (route->scope != ADMIN_SCOPE_NONE) {
        json_write_object(w);
        json_write_key(w, "admin_key");
        json_write_array(w);
        json_write_text(w, admin_scope_word(route->scope));
        json_write_end(w);
        json_write_end(w);
    }
    json_write_end(w);
}

/* Which roles may, the mightiest first. */
static void write_roles(struct json_writer *w, enum admin_scope scope)
{
    if (scope == ADMIN_SCOPE_NONE) {
        return;
    }
    json_write_key(w, "x-atlas-roles");
    json_write_array(w);
    for (int role = KEY_ROLES - 1; role >= 0; role--) {
        const struct admin_right right = {.is_key = true, .role = (enum key_role)role};
        if (admin_right_has(&right, scope)) {
            json_write_string(w, admin_word(ADMIN_ROLES, (size_t)role));
        }
    }
    json_write_end(w);
}

/* All scopes, with who has them. */
static void write_scopes(struct json_writer *w)
{
    json_write_key(w, "x-atlas-scopes");
    json_write_array(w);
    for (int i = ADMIN_SCOPE_NONE + 1; i < ADMIN_SCOPES; i++) {
        enum admin_scope scope = (enum admin_scope)i;
        const struct admin_right bound = {.is_key = true, .has_team = true, .role = KEY_ROLE_OWNER};
        json_write_object(w);
        json_write_member_text(w, "scope", admin_scope_word(scope));
        json_write_member_text(w, "description", admin_scope_help(scope));
        write_roles(w, scope);
        json_write_key(w, "of_a_team");
        json_write_bool(w, admin_right_has(&bound, scope));
        json_write_end(w);
    }
    json_write_end(w);
}

static void write_operation(struct json_writer *w, const struct admin_route *route)
{
    static const char *const methods[HTTP_METHOD_COUNT] = {[HTTP_GET] = "get",
                                                           [HTTP_POST] = "post",
                                                           [HTTP_PUT] = "put",
                                                           [HTTP_DELETE] = "delete",
                                                           [HTTP_PATCH] = "patch"};
    admin_schema_open(w, methods[route->method]);
    json_write_member_text(w, "operationId", route->name);
    json_write_member_text(w, "summary", route->help);
    if (route->action != NULL) {
        json_write_member_text(w, "x-atlas-action", route->action);
    }
    write_security(w, route);
    write_roles(w, route->scope);
    write_parameters(w, route);
    write_body(w, route);
    write_responses(w, route);
    json_write_end(w);
}

/* Whether a row before `number` has its path. */
static bool is_again(int number)
{
    const char *path = admin_route((enum admin_route_number)number)->path;
    for (int i = 0; i < number; i++) {
        if (strcmp(admin_route((enum admin_route_number)i)->path, path) == 0) {
            return true;
        }
    }
    return false;
}

static void write_paths(struct json_writer *w)
{
    admin_schema_open(w, "paths");
    for (int i = 0; i < ADMIN_ROUTES; i++) {
        const char *path = admin_route((enum admin_route_number)i)->path;
        if (is_again(i)) {
            continue;
        }
        admin_schema_open(w, path);
        for (int j = i; j < ADMIN_ROUTES; j++) {
            const struct admin_route *route = admin_route((enum admin_route_number)j);
            if (strcmp(route->path, path) == 0) {
                write_operation(w, route);
            }
        }
        json_write_end(w);
    }
    json_write_end(w);
}

enum err admin_openapi_write(struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    json_write_member_text(&w, "openapi", "3.1.0");
    admin_schema_open(&w, "info");
    json_write_member_text(&w, "title", "Atlas admin API");
    json_write_member_text(&w, "version", ATLAS_VERSION);
    json_write_member_text(&w, "description",
                           "Keys, usage and health of one gateway. On the admin listener an admin "
                           "key is asked for, on admin.sock none. An admin key may do what its "
                           "role may, and if it is bound to a team, that for its team");
    json_write_end(&w);
    write_scopes(&w);
    write_paths(&w);
    admin_schema_open(&w, "components");
    json_write_key(&w, "securitySchemes");
    json_write_raw(&w,
                   SPAN("{\"admin_key\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":"
                        "\"An admin key, mx4_ak_…: `atlas key create --admin`\"}}"));
    admin_schemas_write(&w);
    write_errors(&w);
    json_write_end(&w);
    json_write_end(&w);
    return json_write_finish(&w);
}
