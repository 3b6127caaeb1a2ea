/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_routes.h — what can be asked of the operator's side, as the rows of admin_routes.def say
 * it.
 *
 * Ownership  all of it is constant; values of parameters lie in the caller's struct.
 * Threads    any.
 * Sources    docs/formats/admin-api.md.
 */
#ifndef ADMIN_ADMIN_ROUTES_H
#define ADMIN_ADMIN_ROUTES_H

#include "admin/admin_objects.h"
#include "admin/admin_right.h"
#include "http/http_request.h"

#define ADMIN_KEYS_PATH          "/admin/v1/keys"
#define ADMIN_ORGANISATIONS_PATH "/admin/v1/organisations"
#define ADMIN_TEAMS_PATH         "/admin/v1/teams"
#define ADMIN_USERS_PATH         "/admin/v1/users"
#define ADMIN_PLANS_PATH         "/admin/v1/plans"
#define ADMIN_BUDGETS_PATH       "/admin/v1/budgets"
#define ADMIN_UPSTREAMS_PATH     "/admin/v1/upstreams"
#define ADMIN_PRICES_PATH        "/admin/v1/prices"
#define ADMIN_EVALUATIONS_PATH   "/admin/v1/evaluations"
#define ADMIN_LIMITS_PATH        "/admin/v1/limits"
#define ADMIN_USAGE_PATH         "/admin/v1/usage"
#define ADMIN_ROUTES_PATH        "/admin/v1/routes"
#define ADMIN_GUARD_PATH         "/admin/v1/guard"
#define ADMIN_POLICIES_PATH      "/admin/v1/policies"
#define ADMIN_STATUS_PATH        "/admin/v1/status"
#define ADMIN_PAGE_MAX           1000   /* objects of one answer */
#define ADMIN_USAGE_ROWS_MAX     250000 /* sums of one question */
#define ADMIN_PARAMS_MAX         16     /* of a route */
#define ADMIN_PARAM_BYTES        255    /* of a parameter's value */
#define ADMIN_METHODS_TEXT       64     /* for admin_methods() */

enum admin_queue { ADMIN_QUEUE_NONE, ADMIN_QUEUE_READ, ADMIN_QUEUE_PLAIN, ADMIN_QUEUE_URGENT };

enum admin_route_rule {
    ADMIN_LISTS = 1U << 0,   /* the reply is a list of what it gives */
    ADMIN_PAGES = 1U << 1,   /* a page of it, with has_more and next_cursor */
    ADMIN_ETAG = 1U << 2,    /* the reply has an ETag */
    ADMIN_MATCHES = 1U << 3, /* the request must have an If-Match */
    ADMIN_MISSES = 1U << 4,  /* 404: a parameter may name what is not there */
    ADMIN_CHANGE = 1U << 5,  /* the body says what changes, and leaves out the rest */
    ADMIN_CREATES = 1U << 6, /* it makes what it gives: 201 */
    ADMIN_SHEET = 1U << 7,   /* the list may be asked for as CSV, too */
    ADMIN_LARGE = 1U << 8    /* its body may be as long as what is explained */
};

/* The numbers of the routes. */
// NOLINTBEGIN(readability-identifier-naming): a name of the table as it is
enum admin_route_number {
#define PAGE(name, method, path, scope, gives, help) ADMIN_ROUTE_##name,
#define ROUTE(name, method, path, scope, queue, action, takes, gives, rules, help) \
    ADMIN_ROUTE_##name,
#define PARAM(route, name, kind, least, most, help)
#include "admin/admin_routes.def"
#undef PAGE
#undef ROUTE
#undef PARAM
    ADMIN_ROUTES
};
// NOLINTEND(readability-identifier-naming)

struct admin_route {
    enum admin_route_number number;
    const char *name; /* "key_list" */
    enum http_method method;
    const char *path; /* "/admin/v1/keys/{id}" */
    enum admin_scope scope;
    enum admin_queue queue; /* ADMIN_QUEUE_NONE: a page, answered from memory */
    const char *action;     /* "key.create"; NULL: it changes nothing */
    enum admin_object takes, gives;
    unsigned rules; /* a set of enum admin_route_rule */
    const char *help;
};

struct admin_param {
    enum admin_route_number route;
    const char *name;
    enum admin_kind kind;
    int64_t least, most;
    const char *help;
};

/* What a request says of one parameter. */
struct admin_value {
    bool is_given;
    int64_t number; /* of INT, BOOL and DAY */
    uint8_t room[ADMIN_PARAM_BYTES];
    struct span text; /* of TEXT: in `room` */
};

/* What a request's query says, in the order of the route's rows. */
struct admin_params {
    struct admin_value at[ADMIN_PARAMS_MAX];
};

/* The route of this number. */
const struct admin_route *admin_route(enum admin_route_number number);

/*
 * Finds the route of a request; a HEAD is a GET's. `*name` is what stands for {id} in `path`, not
 * decoded.
 *
 *   ERR_ROUTE_UNKNOWN, ERR_METHOD_NOT_ALLOWED
 */
MUST_USE enum err admin_route_find(enum http_method method, struct span path,
                                   const struct admin_route **out, struct span *name);

/* Writes the line "Allow: GET, POST\r\n" of the methods that `path` has. Returns its length. */
size_t admin_methods(struct span path, char out[ADMIN_METHODS_TEXT]);

/* The parameters of a route, `*count` of them. */
const struct admin_param *admin_route_params(const struct admin_route *route, size_t *count);

/*
 * Reads the query of a request.
 *
 *   ERR_VALUE_INVALID  a parameter is none of the route's, is given twice, or its value is not
 *                      valid; `fault` says which, and what to do
 */
MUST_USE enum err admin_params_read(const struct admin_route *route, struct span query,
                                    struct admin_params *out, struct admin_fault *fault);

#endif
