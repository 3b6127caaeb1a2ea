/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The description of the API, written from the tables of routes and objects: OpenAPI 3.1.
 *
 * An object has up to three schemas: what replies hold ("key"), what a request that makes one may
 * hold ("key_create"), and what one that changes it may hold ("key_change").
 */
#include "admin/admin_operations.h"

#include <stdio.h>

#define NAME_BYTES    64
#define LAST_SECOND   INT64_C(253402300799) /* of the year 9999 */
#define MONEY_PATTERN "^-?(0|[1-9][0-9]*)([.][0-9]{1,9})?$"

/* Which of an object's schemas. */
enum shape { SHAPE_REPLY, SHAPE_CREATE, SHAPE_CHANGE };

static const char *const shape_ends[] = {"", "_create", "_change"};

static const struct {
    int status;
    const char *name, *text;
} errors[] = {
    {400, "bad_request",
     "A parameter or the body is not valid; `param` names it, `message` says what to do"},
    {401, "unauthorized", "No admin key was given, or it is not valid"},
    {403, "forbidden", "The role of the admin key may not do this"},
    {404, "not_found", "There is nothing of this id"},
    {412, "revision_mismatch", "It was changed since: it is not what If-Match says"},
    {413, "too_large", "The body is larger than 64 KiB"},
    {428, "revision_missing", "The request needs If-Match, with the ETag of what it changes"},
    {503, "unavailable",
     "The gateway is starting, stopping or overloaded, or its store cannot do it now"},
};

#define ERRORS (sizeof(errors) / sizeof(errors[0]))

static void open_key(struct json_writer *w, const char *key)
{
    json_write_key(w, key);
    json_write_object(w);
}

static void write_reference(struct json_writer *w, const char *below, const char *name,
                            const char *end)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "#/components/%s/%s%s", below, name, end); /* ours: short */
    json_write_object(w);
    json_write_member_text(w, "$ref", text);
    json_write_end(w);
}

static void write_schema_reference(struct json_writer *w, enum admin_object object,
                                   enum shape shape)
{
    write_reference(w, "schemas", admin_object_name(object), shape_ends[shape]);
}

/* "type": "string", or ["string", "null"]. */
static void write_type(struct json_writer *w, const char *type, bool may_be_null)
{
    json_write_key(w, "type");
    if (!may_be_null) {
        json_write_text(w, type);
        return;
    }
    json_write_array(w);
    json_write_text(w, type);
    json_write_text(w, "null");
    json_write_end(w);
}

static void write_words(struct json_writer *w, const char *words, bool may_be_null)
{
    struct span word;
    json_write_key(w, "enum");
    json_write_array(w);
    for (size_t i = 0; (word = admin_word(words, i)).len > 0; i++) {
        json_write_string(w, word);
    }
    if (may_be_null) {
        json_write_null(w);
    }
    json_write_end(w);
}

/* Seconds since 1970; a request may say RFC 3339. */
static void write_moment(struct json_writer *w, bool may_be_null, enum shape shape)
{
    if (shape == SHAPE_REPLY) {
        write_type(w, "integer", may_be_null);
    } else {
        json_write_key(w, "type");
        json_write_raw(w, may_be_null ? SPAN("[\"integer\",\"string\",\"null\"]")
                                      : SPAN("[\"integer\",\"string\"]"));
    }
    json_write_member_text(w, "format",
                           shape == SHAPE_REPLY ? "unix-time" : "unix-time or date-time");
    json_write_member_int(w, "minimum", 1);
    json_write_member_int(w, "maximum", LAST_SECOND);
}

static void write_text_bounds(struct json_writer *w, int64_t least, int64_t most)
{
    write_type(w, "string", false);
    json_write_member_int(w, "minLength", least);
    json_write_member_int(w, "maxLength", most);
}

static void write_names(struct json_writer *w, const struct admin_field *f, bool may_be_null)
{
    write_type(w, "array", may_be_null);
    json_write_member_int(w, "maxItems", f->least);
    json_write_key(w, "uniqueItems");
    json_write_bool(w, true);
    open_key(w, "items");
    write_text_bounds(w, 1, f->most);
    json_write_end(w);
}

static void write_tags(struct json_writer *w, const struct admin_field *f, bool may_be_null)
{
    write_type(w, "object", may_be_null);
    json_write_member_int(w, "maxProperties", f->least);
    open_key(w, "propertyNames");
    json_write_member_text(w, "pattern", "^[A-Za-z0-9_.-]{1,63}$");
    json_write_end(w);
    open_key(w, "additionalProperties");
    write_text_bounds(w, 0, f->most);
    json_write_end(w);
}

/* The members of a schema for a value of this kind; an empty `words` where it has none. */
static void write_kind(struct json_writer *w, const struct admin_field *f, enum shape shape)
{
    bool may_be_null = (f->rules & ADMIN_MAYBE) != 0;
    switch (f->kind) {
    case ADMIN_TEXT:
        write_type(w, "string", may_be_null);
        json_write_member_int(w, "minLength", f->least);
        json_write_member_int(w, "maxLength", f->most);
        if ((f->rules & ADMIN_PRINTABLE) != 0 && shape != SHAPE_REPLY) {
            json_write_member_text(w, "pattern", "^[^\\u0000-\\u001f\\u007f-\\u009f]*$");
        }
        break;
    case ADMIN_INT:
        write_type(w, "integer", may_be_null);
        json_write_member_int(w, "minimum", f->least);
        json_write_member_int(w, "maximum", f->most);
        break;
    case ADMIN_BOOL:
        write_type(w, "boolean", may_be_null);
        break;
    case ADMIN_TIME:
        write_type(w, "string", may_be_null);
        json_write_member_text(w, "format", "date-time");
        break;
    case ADMIN_MOMENT:
        write_moment(w, may_be_null, shape);
        break;
    case ADMIN_NAMES:
        write_names(w, f, may_be_null);
        break;
    case ADMIN_TAGS:
        write_tags(w, f, may_be_null);
        break;
    case ADMIN_MONEY:
        write_type(w, "string", may_be_null);
        json_write_member_text(w, "format", "decimal");
        json_write_member_text(w, "pattern", MONEY_PATTERN);
        break;
    case ADMIN_DAY:
        write_type(w, "string", may_be_null);
        json_write_member_text(w, "format", "date");
        break;
    case ADMIN_CHOICE:
        write_type(w, "string", may_be_null);
        write_words(w, f->words, may_be_null);
        break;
    case ADMIN_CHOICES:
        write_type(w, "array", may_be_null);
        json_write_member_int(w, "minItems", shape == SHAPE_REPLY ? 0 : 1);
        open_key(w, "items");
        write_type(w, "string", false);
        write_words(w, f->words, false);
        json_write_end(w);
        break;
    case ADMIN_NUMBERS:
        write_type(w, "array", may_be_null);
        open_key(w, "items");
        write_type(w, "integer", false);
        json_write_end(w);
        break;
    case ADMIN_PARTS:
        write_type(w, "array", may_be_null);
        json_write_key(w, "items");
        write_schema_reference(w, admin_part_of(f), shape);
        break;
    case ADMIN_PART:
        break; /* a reference stands for all of it */
    }
}

/* A reference, which stands for all of a part but that it may be null. */
static void write_part(struct json_writer *w, const struct admin_field *f, enum shape shape)
{
    if ((f->rules & ADMIN_MAYBE) == 0) {
        write_schema_reference(w, admin_part_of(f), shape);
        return;
    }
    json_write_object(w);
    json_write_key(w, "anyOf");
    json_write_array(w);
    write_schema_reference(w, admin_part_of(f), shape);
    json_write_raw(w, SPAN("{\"type\":\"null\"}"));
    json_write_end(w);
    json_write_end(w);
}

static void write_field(struct json_writer *w, const struct admin_field *f, enum shape shape)
{
    json_write_key(w, f->name);
    if (f->kind == ADMIN_PART) {
        write_part(w, f, shape);
        return;
    }
    json_write_object(w);
    write_kind(w, f, shape);
    json_write_member_text(w, "description", f->help);
    if (f->example[0] != '\0') {
        json_write_key(w, "examples");
        json_write_array(w);
        json_write_raw(w, span_of(f->example));
        json_write_end(w);
    }
    json_write_end(w);
}

static bool is_in(const struct admin_field *f, enum shape shape)
{
    return shape == SHAPE_REPLY ||
           admin_field_is_taken(f, shape == SHAPE_CREATE ? ADMIN_MAKES : ADMIN_CHANGES);
}

static bool is_required(const struct admin_field *f, enum shape shape)
{
    return shape == SHAPE_REPLY    ? (f->rules & ADMIN_ONCE) == 0
           : shape == SHAPE_CREATE ? (f->rules & ADMIN_NEEDED) != 0
                                   : false;
}

/* Whether a route takes the object in this shape. */
static bool is_body(enum admin_object object, enum shape shape)
{
    for (int i = 0; i < ADMIN_ROUTES; i++) {
        const struct admin_route *route = admin_route((enum admin_route_number)i);
        bool changes = (route->rules & ADMIN_CHANGE) != 0;
        if (route->takes == object && changes == (shape == SHAPE_CHANGE)) {
            return true;
        }
    }
    return false;
}

/* The same, or one that has the object as a part. */
static bool is_taken(enum admin_object object, enum shape shape)
{
    for (int whole = ADMIN_OBJECT_document + 1; whole < ADMIN_OBJECTS; whole++) {
        size_t count;
        const struct admin_field *f = admin_fields((enum admin_object)whole, &count);
        for (size_t i = 0; is_body((enum admin_object)whole, shape) && i < count; i++) {
            if (f[i].kind == ADMIN_PART && is_in(&f[i], shape) && admin_part_of(&f[i]) == object) {
                return true;
            }
        }
    }
    return is_body(object, shape);
}

static void write_schema(struct json_writer *w, enum admin_object object, enum shape shape)
{
    char name[NAME_BYTES];
    size_t count;
    const struct admin_field *f = admin_fields(object, &count);
    (void)snprintf(name, sizeof(name), "%s%s", admin_object_name(object), shape_ends[shape]);
    open_key(w, name);
    write_type(w, "object", false);
    json_write_member_text(w, "description", admin_object_help(object));
    open_key(w, "properties");
    for (size_t i = 0; i < count; i++) {
        if (is_in(&f[i], shape)) {
            write_field(w, &f[i], shape);
        }
    }
    json_write_end(w);
    json_write_key(w, "required");
    json_write_array(w);
    for (size_t i = 0; i < count; i++) {
        if (is_in(&f[i], shape) && is_required(&f[i], shape)) {
            json_write_text(w, f[i].name);
        }
    }
    json_write_end(w);
    if (shape == SHAPE_CHANGE && is_body(object, shape)) {
        json_write_member_int(w, "minProperties", 1);
    }
    json_write_key(w, "additionalProperties");
    json_write_bool(w, false);
    json_write_end(w);
}

static void write_error_schema(struct json_writer *w)
{
    json_write_key(w, "error");
    json_write_raw(
        w,
        SPAN("{\"type\":\"object\",\"description\":\"What every refusal holds\",\"properties\":{"
             "\"error\":{\"type\":\"object\",\"properties\":{"
             "\"message\":{\"type\":\"string\",\"description\":\"What is wrong, and what to do\"},"
             "\"type\":{\"type\":\"string\"},"
             "\"param\":{\"type\":[\"string\",\"null\"],\"description\":\"The member or parameter "
             "at fault\"},"
             "\"code\":{\"type\":[\"string\",\"null\"],\"description\":\"docs/reference/"
             "errors.md\"}},"
             "\"required\":[\"message\",\"type\",\"param\",\"code\"]}},\"required\":[\"error\"]}"));
}

static void write_schemas(struct json_writer *w)
{
    open_key(w, "schemas");
    write_error_schema(w);
    for (int i = ADMIN_OBJECT_document + 1; i < ADMIN_OBJECTS; i++) {
        enum admin_object object = (enum admin_object)i;
        write_schema(w, object, SHAPE_REPLY);
        for (enum shape shape = SHAPE_CREATE; shape <= SHAPE_CHANGE; shape++) {
            if (is_taken(object, shape)) {
                write_schema(w, object, shape);
            }
        }
    }
    json_write_end(w);
}

static void write_content(struct json_writer *w, const char *type)
{
    open_key(w, "content");
    open_key(w, type);
    json_write_key(w, "schema");
}

static void write_errors(struct json_writer *w)
{
    open_key(w, "responses");
    for (size_t i = 0; i < ERRORS; i++) {
        open_key(w, errors[i].name);
        json_write_member_text(w, "description", errors[i].text);
        write_content(w, "application/json");
        write_reference(w, "schemas", "error", "");
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
    open_key(w, "schema");
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
        write_type(w, "string", false);
        end_parameter(w);
    }
    if (route->action != NULL && strchr(route->path, '{') != NULL) {
        write_parameter(w, "If-Match", "header", "The ETag of what is to change, or *",
                        (route->rules & ADMIN_MATCHES) != 0);
        write_type(w, "string", false);
        end_parameter(w);
    }
    for (size_t i = 0; i < count; i++) {
        const struct admin_field as = {
            .kind = params[i].kind, .least = params[i].least, .most = params[i].most, .words = ""};
        write_parameter(w, params[i].name, "query", params[i].help, false);
        write_kind(w, &as, SHAPE_REPLY);
        end_parameter(w);
    }
    json_write_end(w);
}

static void write_body(struct json_writer *w, const struct admin_route *route)
{
    if (route->takes == ADMIN_OBJECT_none) {
        return;
    }
    open_key(w, "requestBody");
    json_write_key(w, "required");
    json_write_bool(w, true);
    write_content(w, "application/json");
    write_schema_reference(w, route->takes,
                           (route->rules & ADMIN_CHANGE) != 0 ? SHAPE_CHANGE : SHAPE_CREATE);
    json_write_end(w);
    json_write_end(w);
    json_write_end(w);
}

static void write_list_schema(struct json_writer *w, const struct admin_route *route)
{
    bool has_pages = (route->rules & ADMIN_PAGES) != 0;
    json_write_object(w);
    write_type(w, "object", false);
    open_key(w, "properties");
    json_write_key(w, "object");
    json_write_raw(w, SPAN("{\"const\":\"list\"}"));
    open_key(w, "data");
    write_type(w, "array", false);
    json_write_key(w, "items");
    write_schema_reference(w, route->gives, SHAPE_REPLY);
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
    } else {
        write_content(w, "application/json");
        write_schema_reference(w, route->gives, SHAPE_REPLY);
    }
    json_write_end(w);
    json_write_end(w);
}

static void write_success(struct json_writer *w, const struct admin_route *route)
{
    open_key(w, "200");
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
        return route->scope != ADMIN_SCOPE_NONE;
    case 404:
        return strchr(route->path, '{') != NULL || (route->rules & ADMIN_MISSES) != 0;
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
    open_key(w, "responses");
    write_success(w, route);
    for (size_t i = 0; i < ERRORS; i++) {
        char status[12];
        (void)snprintf(status, sizeof(status), "%d", errors[i].status); /* three digits */
        if (errors[i].status == 503 && route->gives == ADMIN_OBJECT_readiness) {
            open_key(w, status);
            json_write_member_text(w, "description", "It takes none");
            write_given(w, route);
            json_write_end(w);
        } else if (may_fail(route, errors[i].status)) {
            json_write_key(w, status);
            write_reference(w, "responses", errors[i].name, "");
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

static void write_operation(struct json_writer *w, const struct admin_route *route)
{
    static const char *const methods[HTTP_METHOD_COUNT] = {[HTTP_GET] = "get",
                                                           [HTTP_POST] = "post",
                                                           [HTTP_PUT] = "put",
                                                           [HTTP_DELETE] = "delete",
                                                           [HTTP_PATCH] = "patch"};
    open_key(w, methods[route->method]);
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
    open_key(w, "paths");
    for (int i = 0; i < ADMIN_ROUTES; i++) {
        const char *path = admin_route((enum admin_route_number)i)->path;
        if (is_again(i)) {
            continue;
        }
        open_key(w, path);
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
    open_key(&w, "info");
    json_write_member_text(&w, "title", "Atlas admin API");
    json_write_member_text(&w, "version", ATLAS_VERSION);
    json_write_member_text(&w, "description",
                           "Keys, usage and health of one gateway. On the admin listener an admin "
                           "key is asked for, on admin.sock none. An admin key may do what its "
                           "role may, and if it is bound to a team, that for its team");
    json_write_end(&w);
    write_paths(&w);
    open_key(&w, "components");
    json_write_key(&w, "securitySchemes");
    json_write_raw(&w,
                   SPAN("{\"admin_key\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":"
                        "\"An admin key, mx4_ak_…: `atlas key create --admin`\"}}"));
    write_schemas(&w);
    write_errors(&w);
    json_write_end(&w);
    json_write_end(&w);
    return json_write_finish(&w);
}
