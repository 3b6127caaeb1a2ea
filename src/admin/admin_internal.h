/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_internal.h — the functions behind the rows of admin_routes.def, one file a noun.
 *
 * An operation has its parameters read and checked; it reads its body, asks keys or store, and
 * writes its answer; errors as admin_operate(). A page writes its answer from memory.
 */
#ifndef ADMIN_ADMIN_INTERNAL_H
#define ADMIN_ADMIN_INTERNAL_H

#include "admin/admin_operations.h"
#include "admin/admin_status.h"
#include "base/health.h"

/* One request to the store under way. */
struct admin_operation {
    struct keys *keys; /* NULL: there is no pepper, and nothing is asked that needs one */
    struct store *store;
    const struct admin_request *request;
    const struct admin_route *route;
    struct span id; /* what stands for {id} in the path */
    struct admin_params params;
    wall_us now;
    struct buf *out;
    struct admin_answer *answer;
};

/* One request for a page. */
struct admin_page {
    const struct admin_source *source;
    bool is_serving; /* the gateway has started and does not stop */
    struct buf *out;
    int status; /* of the reply: 200, unless the page says another */
};

/* The value of a parameter of the route; NULL: it was not given. */
const struct admin_value *admin_param(const struct admin_operation *op, const char *name);

/* Says why, and returns `e`. */
static inline enum err admin_refuse(const struct admin_operation *op, enum err e, const char *why)
{
    return admin_fault_say(&op->answer->fault, e, SPAN(""), "%s", why);
}

/*
 * Judges If-Match: whether what the request changes, `now`, is what its sender saw. Every operation
 * that changes what a path names asks this before it does.
 *
 *   ERR_REVISION   it is not
 *   ERR_NO_MEMORY
 */
MUST_USE enum err admin_judge(const struct admin_operation *op, enum admin_object object,
                              const void *now);

/* Notes what an operation changes. */
void admin_note(const struct admin_operation *op, const char *action, struct span id);

/* Starts an answer that is a list, and ends it unless listing failed with `e`. */
void admin_list_begin(struct json_writer *w, struct buf *out);
MUST_USE enum err admin_list_end(struct json_writer *w, enum err e);

/* What is wrong, for a reply. */
struct admin_problems {
    struct health_entry entries[HEALTH_ENTRIES_MAX];
    struct admin_problem rows[HEALTH_ENTRIES_MAX]; /* their texts lie in `entries` */
    size_t count;
};

void admin_problems_read(struct admin_problems *out);

/* The gateway's state, as /readyz says it. */
enum admin_state admin_state_of(bool is_serving);

#define PAGE(name, method, path, role, scope, gives, help) \
    enum err admin_page_##name(struct admin_page *page);
#define ROUTE(name, method, path, role, scope, queue, action, takes, gives, rules, help) \
    enum err admin_##name(const struct admin_operation *op);
#define PARAM(route, name, kind, least, most, help)
#include "admin/admin_routes.def"
#undef PAGE
#undef ROUTE
#undef PARAM

#endif
