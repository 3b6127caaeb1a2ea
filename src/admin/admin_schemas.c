/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_schemas.h"

#include <stdio.h>

#include "admin/admin_routes.h"

#define NAME_BYTES    64
#define LAST_SECOND   INT64_C(253402300799) /* of the year 9999 */
#define MONEY_PATTERN "^-?(0|[1-9][0-9]*)([.][0-9]{1,9})?$"

static const char *const shape_ends[] = {"", "_create", "_change"};

void admin_schema_open(struct json_writer *w, const char *key)
{
    json_write_key(w, key);
    json_write_object(w);
}

void admin_schema_reference(struct json_writer *w, const char *below, const char *name,
                            const char *end)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "#/components/%s/%s%s", below, name, end); /* ours: short */
    json_write_object(w);
    json_write_member_text(w, "$ref", text);
    json_write_end(w);
}

void admin_schema_of(struct json_writer *w, enum admin_object object, enum admin_shape shape)
{
    admin_schema_reference(w, "schemas", admin_object_name(object), shape_ends[shape]);
}

void admin_schema_type(struct json_writer *w, const char *type, bool may_be_null)
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
static void write_moment(struct json_writer *w, bool may_be_null, enum admin_shape shape)
{
    if (shape == ADMIN_SHAPE_REPLY) {
        admin_schema_type(w, "integer", may_be_null);
    } else {
        json_write_key(w, "type");
        json_write_raw(w, may_be_null ? SPAN("[\"integer\",\"string\",\"null\"]")
                                      : SPAN("[\"integer\",\"string\"]"));
    }
    json_write_member_text(w, "format",
                           shape == ADMIN_SHAPE_REPLY ? "unix-time" : "unix-time or date-time");
    json_write_member_int(w, "minimum", 1);
    json_write_member_int(w, "maximum", LAST_SECOND);
}

static void write_text_bounds(struct json_writer *w, int64_t least, int64_t most)
{
    admin_schema_type(w, "string", false);
    json_write_member_int(w, "minLength", least);
    json_write_member_int(w, "maxLength", most);
}

static void write_names(struct json_writer *w, const struct admin_field *f, bool may_be_null)
{
    admin_schema_type(w, "array", may_be_null);
    json_write_member_int(w, "maxItems", f->least);
    json_write_key(w, "uniqueItems");
    json_write_bool(w, true);
    admin_schema_open(w, "items");
    write_text_bounds(w, 1, f->most);
    json_write_end(w);
}

static void write_numbers(struct json_writer *w, bool may_be_null)
{
    admin_schema_type(w, "array", may_be_null);
    admin_schema_open(w, "items");
    admin_schema_type(w, "integer", false);
    json_write_member_int(w, "minimum", 0);
    json_write_member_int(w, "maximum", 100);
    json_write_end(w);
}

static void write_tags(struct json_writer *w, const struct admin_field *f, bool may_be_null,
                       enum admin_shape shape)
{
    admin_schema_type(w, "object", may_be_null);
    json_write_member_int(w, "maxProperties", f->least);
    admin_schema_open(w, "propertyNames");
    json_write_member_text(w, "pattern", "^[A-Za-z0-9_.-]{1,63}$");
    json_write_end(w);
    admin_schema_open(w, "additionalProperties");
    admin_schema_type(w, "string", shape == ADMIN_SHAPE_CHANGE); /* null takes one away */
    json_write_member_int(w, "minLength", 0);
    json_write_member_int(w, "maxLength", f->most);
    json_write_end(w);
}

static void write_decimal(struct json_writer *w, bool may_be_null)
{
    admin_schema_type(w, "string", may_be_null);
    json_write_member_text(w, "format", "decimal");
    json_write_member_text(w, "pattern", MONEY_PATTERN);
}

static void write_text(struct json_writer *w, const struct admin_field *f, bool may_be_null,
                       enum admin_shape shape)
{
    admin_schema_type(w, "string", may_be_null);
    json_write_member_int(w, "minLength", f->least);
    json_write_member_int(w, "maxLength", f->most);
    if ((f->rules & ADMIN_PRINTABLE) != 0 && shape != ADMIN_SHAPE_REPLY) {
        json_write_member_text(w, "pattern", "^[^\\u0000-\\u001f\\u007f-\\u009f]*$");
    }
}

#define ACTION                                                                             \
    "{\"enum\":[\"allow\",\"flag\",\"mask\",\"hash\",\"redact\",\"local_only\",\"block\"," \
    "null]}"
#define ACTIONS "{\"type\":[\"object\",\"null\"],\"additionalProperties\":" ACTION "}"
#define NAME    "\"name\":{\"type\":\"string\",\"pattern\":\"^[a-z][a-z0-9_]{0,30}$\"}"
#define LIST                                                                       \
    "{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"object\",\"required\":[" \
    "\"name\","
#define WORDS                                                                            \
    LIST "\"words\"],\"properties\":{" NAME ",\"words\":{\"type\":\"array\",\"items\":{" \
         "\"type\":\"string\"}},\"action\":" ACTION "},\"additionalProperties\":false}}"

/* The one kind of JSON that another part judges: a team's guard. */
static void write_guard(struct json_writer *w, bool may_be_null)
{
    admin_schema_type(w, "object", may_be_null);
    json_write_key(w, "properties");
    json_write_raw(
        w,
        SPAN(
            "{\"mode\":{\"enum\":[\"off\",\"dry-run\",\"enforce\",null]},\"prompts\":" ACTIONS
            ",\"replies\":" ACTIONS ",\"restore\":{\"type\":[\"boolean\",\"null\"]},"
            "\"blocked_reply\":{\"enum\":[\"partial\",\"empty\",null]},"
            "\"min_confidence\":{\"type\":[\"object\",\"null\"],\"additionalProperties\":{\"type\":"
            "[\"number\",\"string\"]}},\"classes\":{\"type\":[\"object\",\"null\"],"
            "\"additionalProperties\":{\"type\":\"string\"}},\"patterns\":" LIST
            "\"regex\"],\"properties\":{" NAME
            ",\"regex\":{\"type\":\"string\",\"maxLength\":1024},\"action\":" ACTION
            "},\"additionalProperties\":false}},\"wordlists\":" WORDS ",\"dictionary\":" WORDS
            ",\"injection\":{\"type\":[\"object\",\"null\"],\"properties\":{\"action\":" ACTION
            ",\"threshold\":{\"type\":[\"number\",\"null\"],\"minimum\":0,\"maximum\":1}},"
            "\"additionalProperties\":false}}"));
    json_write_key(w, "additionalProperties");
    json_write_bool(w, false);
}

void admin_schema_kind(struct json_writer *w, const struct admin_field *f, enum admin_shape shape)
{
    bool is_list = f->kind == ADMIN_NAMES || f->kind == ADMIN_TAGS;
    bool may_be_null = (f->rules & ADMIN_MAYBE) != 0 || (is_list && shape != ADMIN_SHAPE_REPLY);
    switch (f->kind) {
    case ADMIN_TEXT:
        write_text(w, f, may_be_null, shape);
        break;
    case ADMIN_INT:
        admin_schema_type(w, "integer", may_be_null);
        json_write_member_int(w, "minimum", f->least);
        json_write_member_int(w, "maximum", f->most);
        break;
    case ADMIN_BOOL:
        admin_schema_type(w, "boolean", may_be_null);
        break;
    case ADMIN_TIME:
        admin_schema_type(w, "string", may_be_null);
        json_write_member_text(w, "format", "date-time");
        break;
    case ADMIN_MOMENT:
        write_moment(w, may_be_null, shape);
        break;
    case ADMIN_NAMES:
        write_names(w, f, may_be_null);
        break;
    case ADMIN_TAGS:
        write_tags(w, f, may_be_null, shape);
        break;
    case ADMIN_JSON:
        write_guard(w, may_be_null);
        break;
    case ADMIN_MONEY:
    case ADMIN_AMOUNT:
        write_decimal(w, may_be_null);
        break;
    case ADMIN_DAY:
        admin_schema_type(w, "string", may_be_null);
        json_write_member_text(w, "format", "date");
        break;
    case ADMIN_HOUR:
        admin_schema_type(w, "string", may_be_null);
        json_write_member_text(w, "pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:00(:00)?Z)?$");
        break;
    case ADMIN_CHOICE:
        admin_schema_type(w, "string", may_be_null);
        write_words(w, f->words, may_be_null);
        break;
    case ADMIN_CHOICES:
        admin_schema_type(w, "array", may_be_null);
        json_write_member_int(w, "minItems", shape == ADMIN_SHAPE_REPLY ? 0 : 1);
        admin_schema_open(w, "items");
        admin_schema_type(w, "string", false);
        write_words(w, f->words, false);
        json_write_end(w);
        break;
    case ADMIN_NUMBERS:
        write_numbers(w, may_be_null);
        break;
    case ADMIN_PARTS:
        admin_schema_type(w, "array", may_be_null);
        json_write_key(w, "items");
        admin_schema_of(w, admin_part_of(f), shape);
        break;
    case ADMIN_PART:
        break; /* a reference stands for all of it */
    }
}

/* A reference, which stands for all of a part but that it may be null. */
static void write_part(struct json_writer *w, const struct admin_field *f, enum admin_shape shape)
{
    if ((f->rules & ADMIN_MAYBE) == 0) {
        admin_schema_of(w, admin_part_of(f), shape);
        return;
    }
    json_write_object(w);
    json_write_key(w, "anyOf");
    json_write_array(w);
    admin_schema_of(w, admin_part_of(f), shape);
    json_write_raw(w, SPAN("{\"type\":\"null\"}"));
    json_write_end(w);
    json_write_end(w);
}

static void write_field(struct json_writer *w, const struct admin_field *f, enum admin_shape shape)
{
    json_write_key(w, f->name);
    if (f->kind == ADMIN_PART) {
        write_part(w, f, shape);
        return;
    }
    json_write_object(w);
    admin_schema_kind(w, f, shape);
    json_write_member_text(w, "description", f->help);
    if (f->example[0] != '\0') {
        json_write_key(w, "examples");
        json_write_array(w);
        json_write_raw(w, span_of(f->example));
        json_write_end(w);
    }
    json_write_end(w);
}

static bool is_in(const struct admin_field *f, enum admin_shape shape)
{
    return shape == ADMIN_SHAPE_REPLY ||
           admin_field_is_taken(f, shape == ADMIN_SHAPE_CREATE ? ADMIN_MAKES : ADMIN_CHANGES);
}

static bool is_required(const struct admin_field *f, enum admin_shape shape)
{
    return shape == ADMIN_SHAPE_REPLY    ? (f->rules & (ADMIN_ONCE | ADMIN_ASKED)) == 0
           : shape == ADMIN_SHAPE_CREATE ? (f->rules & ADMIN_NEEDED) != 0
                                         : false;
}

/* Whether a route takes the object in this shape. */
static bool is_body(enum admin_object object, enum admin_shape shape)
{
    for (int i = 0; i < ADMIN_ROUTES; i++) {
        const struct admin_route *route = admin_route((enum admin_route_number)i);
        bool changes = (route->rules & ADMIN_CHANGE) != 0;
        if (route->takes == object && changes == (shape == ADMIN_SHAPE_CHANGE)) {
            return true;
        }
    }
    return false;
}

/* The same, or one that has the object as a part. */
static bool is_taken(enum admin_object object, enum admin_shape shape)
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

static void write_schema(struct json_writer *w, enum admin_object object, enum admin_shape shape)
{
    char name[NAME_BYTES];
    size_t count;
    const struct admin_field *f = admin_fields(object, &count);
    (void)snprintf(name, sizeof(name), "%s%s", admin_object_name(object), shape_ends[shape]);
    admin_schema_open(w, name);
    admin_schema_type(w, "object", false);
    json_write_member_text(w, "description", admin_object_help(object));
    admin_schema_open(w, "properties");
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
    if (shape == ADMIN_SHAPE_CHANGE && is_body(object, shape)) {
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

void admin_schemas_write(struct json_writer *w)
{
    admin_schema_open(w, "schemas");
    write_error_schema(w);
    for (int i = ADMIN_OBJECT_document + 1; i < ADMIN_OBJECTS; i++) {
        enum admin_object object = (enum admin_object)i;
        write_schema(w, object, ADMIN_SHAPE_REPLY);
        for (enum admin_shape shape = ADMIN_SHAPE_CREATE; shape <= ADMIN_SHAPE_CHANGE; shape++) {
            if (is_taken(object, shape)) {
                write_schema(w, object, shape);
            }
        }
    }
    json_write_end(w);
}
