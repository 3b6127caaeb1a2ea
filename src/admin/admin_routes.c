/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_routes.h"

#include <stdio.h>

#include "http/http_target.h"

static const struct admin_route routes[] = {
#define PAGE(name, method, path, scope, gives, help) \
    {ADMIN_ROUTE_##name,                             \
     #name,                                          \
     HTTP_##method,                                  \
     path,                                           \
     ADMIN_SCOPE_##scope,                            \
     ADMIN_QUEUE_NONE,                               \
     NULL,                                           \
     ADMIN_OBJECT_none,                              \
     ADMIN_OBJECT_##gives,                           \
     0,                                              \
     help},
#define ROUTE(name, method, path, scope, queue, action, takes, gives, rules, help) \
    {ADMIN_ROUTE_##name,                                                           \
     #name,                                                                        \
     HTTP_##method,                                                                \
     path,                                                                         \
     ADMIN_SCOPE_##scope,                                                          \
     ADMIN_QUEUE_##queue,                                                          \
     action,                                                                       \
     ADMIN_OBJECT_##takes,                                                         \
     ADMIN_OBJECT_##gives,                                                         \
     rules,                                                                        \
     help},
#define PARAM(route, name, kind, least, most, help)
#include "admin/admin_routes.def"
#undef PAGE
#undef ROUTE
#undef PARAM
};

static const struct admin_param params[] = {
#define PAGE(name, method, path, scope, gives, help)
#define ROUTE(name, method, path, scope, queue, action, takes, gives, rules, help)
#define PARAM(route, name, kind, least, most, help) \
    {ADMIN_ROUTE_##route, #name, ADMIN_##kind, least, most, help},
#include "admin/admin_routes.def"
#undef PAGE
#undef ROUTE
#undef PARAM
};

#define PARAMS (sizeof(params) / sizeof(params[0]))

const struct admin_route *admin_route(enum admin_route_number number)
{
    return &routes[number];
}

/* Whether `path` is the template's; `*name` is then what stands for the template's {…}. */
static bool is_path(const char *template, struct span path, struct span *name)
{
    struct span whole = span_of(template);
    size_t brace = span_find(whole, '{', 0);
    *name = (struct span){NULL, 0};
    if (brace == whole.len) {
        return span_equal(path, whole);
    }
    size_t end = span_find(whole, '}', brace) + 1;
    struct span before = span_cut(whole, 0, brace), behind = span_cut(whole, end, whole.len);
    if (!span_starts(path, before)) {
        return false;
    }
    struct span rest = span_cut(path, brace, path.len);
    size_t slash = span_find(rest, '/', 0);
    *name = span_cut(rest, 0, slash);
    return slash > 0 && span_equal(span_cut(rest, slash, rest.len), behind);
}

enum err admin_route_find(enum http_method method, struct span path, const struct admin_route **out,
                          struct span *name)
{
    enum err e = ERR_ROUTE_UNKNOWN;
    method = method == HTTP_HEAD ? HTTP_GET : method;
    for (size_t i = 0; i < ADMIN_ROUTES; i++) {
        if (!is_path(routes[i].path, path, name)) {
            continue;
        }
        if (routes[i].method == method) {
            *out = &routes[i];
            return ERR_OK;
        }
        e = ERR_METHOD_NOT_ALLOWED;
    }
    return e;
}

size_t admin_methods(struct span path, char out[ADMIN_METHODS_TEXT])
{
    struct span name;
    size_t len = (size_t)snprintf(out, ADMIN_METHODS_TEXT, "Allow: ");
    const char *comma = "";
    for (size_t i = 0; i < ADMIN_ROUTES; i++) {
        if (is_path(routes[i].path, path, &name)) {
            struct span method = http_method_text(routes[i].method);
            len += (size_t)snprintf(out + len, ADMIN_METHODS_TEXT - len, "%s%.*s", comma,
                                    SPAN_ARGS(method));
            comma = ", ";
        }
    }
    return len + (size_t)snprintf(out + len, ADMIN_METHODS_TEXT - len, "\r\n"); /* all fit */
}

const struct admin_param *admin_route_params(const struct admin_route *route, size_t *count)
{
    size_t first = 0;
    while (first < PARAMS && params[first].route != route->number) {
        first++;
    }
    size_t end = first;
    while (end < PARAMS && params[end].route == route->number) {
        end++;
    }
    *count = end - first;
    CHECK(*count <= ADMIN_PARAMS_MAX);
    return &params[first < PARAMS ? first : 0];
}

static enum err refuse(struct admin_fault *fault, const struct admin_param *p)
{
    char what[96];
    if (p->kind == ADMIN_DAY) {
        (void)snprintf(what, sizeof(what), "a day, such as 2026-11-24");
    } else if (p->kind == ADMIN_HOUR) {
        (void)snprintf(what, sizeof(what),
                       "a day or an hour of UTC, such as 2026-11-24 or 2026-11-24T14:00Z");
    } else if (p->kind == ADMIN_BOOL) {
        (void)snprintf(what, sizeof(what), "true or false");
    } else if (p->kind == ADMIN_INT) {
        (void)snprintf(what, sizeof(what), "a whole number from %lld to %lld", (long long)p->least,
                       (long long)p->most);
    } else {
        (void)snprintf(what, sizeof(what), "a text of %lld to %lld bytes, percent-encoded",
                       (long long)p->least, (long long)p->most);
    }
    return admin_fault_say(fault, ERR_VALUE_INVALID, span_of(p->name), "'%s' must be %s", p->name,
                           what);
}

/* Reads a number, a truth, a day or an hour into `*out`; false if it is none. */
static bool read_number(const struct admin_param *p, struct span text, int64_t *out)
{
    uint64_t number;
    int32_t day;
    if (p->kind == ADMIN_BOOL) {
        *out = span_is(text, "true");
        return *out != 0 || span_is(text, "false");
    }
    if (p->kind == ADMIN_HOUR) {
        bool is_hour = admin_hour_read(text, &day);
        *out = is_hour ? day : 0;
        return is_hour;
    }
    if (p->kind == ADMIN_DAY) {
        bool is_day = admin_day_read(text, &day);
        *out = is_day ? day : 0;
        return is_day;
    }
    *out = 0;
    if (!span_to_u64(text, (uint64_t)p->most, &number)) {
        return false;
    }
    *out = (int64_t)number;
    return *out >= p->least;
}

static enum err read_param(const struct admin_param *p, struct span raw, struct admin_params *out,
                           size_t i, struct admin_fault *fault)
{
    uint8_t decoded[3 * ADMIN_PARAM_BYTES];
    struct span value;
    if (out->at[i].is_given) {
        return admin_fault_say(fault, ERR_VALUE_INVALID, span_of(p->name), "'%s' is given twice",
                               p->name);
    }
    if (raw.len > sizeof(decoded) || http_target_decode_param(raw, decoded, &value) != ERR_OK ||
        value.len > ADMIN_PARAM_BYTES) {
        return refuse(fault, p);
    }
    out->at[i].is_given = true;
    if (p->kind != ADMIN_TEXT) {
        return read_number(p, value, &out->at[i].number) ? ERR_OK : refuse(fault, p);
    }
    if (value.len < (size_t)p->least || value.len > (size_t)p->most) {
        return refuse(fault, p);
    }
    if (value.len > 0) {
        memcpy(out->at[i].room, value.at, value.len);
    }
    out->at[i].text = span_make(out->at[i].room, value.len);
    return ERR_OK;
}

static enum err refuse_unknown(const struct admin_param *rows, size_t count, struct span name,
                               struct admin_fault *fault)
{
    char names[192] = "no parameter";
    size_t len = 0;
    for (size_t i = 0; i < count && len < sizeof(names); i++) {
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i == 0 ? "" : ", ",
                                rows[i].name);
    }
    name = span_cut_text(name, sizeof(fault->param) - 1);
    return admin_fault_say(fault, ERR_VALUE_INVALID, name,
                           "'%.*s' is no parameter of this endpoint, which takes %s",
                           SPAN_ARGS(name), names);
}

enum err admin_params_read(const struct admin_route *route, struct span query,
                           struct admin_params *out, struct admin_fault *fault)
{
    size_t count;
    const struct admin_param *rows = admin_route_params(route, &count);
    memset(out, 0, sizeof(*out));
    for (size_t at = 0; at < query.len;) {
        size_t end = span_find(query, '&', at);
        struct span pair = span_cut(query, at, end - at);
        size_t equals = span_find(pair, '=', 0);
        struct span name = span_cut(pair, 0, equals);
        size_t i = 0;
        at = end + 1;
        while (i < count && !span_is(name, rows[i].name)) {
            i++;
        }
        if (pair.len == 0) {
            continue;
        }
        enum err e =
            i == count ? refuse_unknown(rows, count, name, fault)
                       : read_param(&rows[i], span_cut(pair, equals + 1, pair.len), out, i, fault);
        if (e != ERR_OK) {
            return e;
        }
    }
    return ERR_OK;
}
