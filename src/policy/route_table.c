/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/route_table.h"

#include "keys/keys.h"

static const struct route routes[] = {
#define ROUTE(method, path, handler, body, scope) \
    {HTTP_##method, SPAN_INIT(path), ROUTE_##handler, ROUTE_BODY_##body, scope},
#define SPAN_INIT(text)                           \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#include "policy/routes.def"
#undef SPAN_INIT
#undef ROUTE
};

static bool path_matches(const struct route *route, struct span path)
{
    struct span fixed = route->path;
    if (fixed.at[fixed.len - 1] != '*') {
        return span_equal(fixed, path);
    }
    fixed.len--;
    return path.len > fixed.len && span_starts(path, fixed);
}

static bool method_matches(const struct route *route, enum http_method method)
{
    return route->method == method || (method == HTTP_HEAD && route->method == HTTP_GET);
}

enum err route_find(enum http_method method, struct span path, const struct route **out,
                    struct span *rest, struct span *allow)
{
    const struct route *other = NULL;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const struct route *route = &routes[i];
        if (!path_matches(route, path)) {
            continue;
        }
        if (method_matches(route, method)) {
            *out = route;
            *rest = route->path.at[route->path.len - 1] == '*'
                        ? span_cut(path, route->path.len - 1, path.len)
                        : SPAN("");
            return ERR_OK;
        }
        other = route;
    }
    if (other == NULL && span_is(path, "*")) { /* RFC 9110 9.3.7: all of the server */
        *allow = SPAN("Allow: GET, HEAD, POST, OPTIONS\r\n");
        return ERR_METHOD_NOT_ALLOWED;
    }
    if (other == NULL) {
        return ERR_ROUTE_UNKNOWN;
    }
    *allow = other->method == HTTP_GET ? SPAN("Allow: GET, HEAD, OPTIONS\r\n")
                                       : SPAN("Allow: POST, OPTIONS\r\n");
    return ERR_METHOD_NOT_ALLOWED;
}
