/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_caller.h"

#include "http/http_bearer.h"

#define HOW \
    "send an admin key as Authorization: Bearer mx4_ak_…; `atlas key create --admin` makes one"

static enum err explain(enum err e, struct admin_fault *fault)
{
    if (e == ERR_KEY_MISSING) {
        return admin_fault_say(fault, e, SPAN(""), "no API key was given; " HOW);
    }
    if (e == ERR_KEY_WRONG_KIND) {
        return admin_fault_say(fault, e, SPAN(""), "an inference key cannot be used here; " HOW);
    }
    return e;
}

/* Whether the caller's role lets it do what the route does. */
static enum err judge(const struct admin_caller *caller, const struct admin_route *route,
                      struct admin_fault *fault)
{
    const struct admin_right *right = &caller->right;
    struct admin_right unbound = *right;
    unbound.has_team = false;
    if (admin_right_has(right, route->scope)) {
        return ERR_OK;
    }
    if (admin_right_has(&unbound, route->scope)) {
        return admin_fault_say(fault, ERR_SCOPE_DENIED, SPAN(""),
                               "the admin key may not do this: it is bound to a team, and the "
                               "scope '%s' is for all",
                               admin_scope_word(route->scope));
    }
    return admin_fault_say(fault, ERR_SCOPE_DENIED, SPAN(""),
                           "the admin key may not do this: its role (%.*s) lacks the scope '%s'",
                           SPAN_ARGS(admin_word(ADMIN_ROLES, right->role)),
                           admin_scope_word(route->scope));
}

enum err admin_caller_of_key(const struct keys *keys, const struct http_request *head,
                             const struct admin_route *route, wall_us now, struct admin_caller *out,
                             struct admin_fault *fault)
{
    struct span token;
    enum err e = http_bearer(http_fields_find(&head->fields, HTTP_NAME_AUTHORIZATION), &token);
    if (e == ERR_OK) {
        e = keys_check(keys, token, KEY_USE_ADMIN, now, &out->key);
    }
    if (e != ERR_OK) {
        return explain(e, fault);
    }
    out->has_key = true;
    span_copy_text(span_of(out->key.id), out->name, sizeof(out->name));
    out->right = admin_right_of_key(out->key.scopes);
    return judge(out, route, fault);
}

enum err admin_caller_recheck(const struct keys *keys, struct admin_caller *caller,
                              const struct admin_route *route, wall_us now,
                              struct admin_fault *fault)
{
    if (!caller->has_key) {
        return ERR_OK;
    }
    enum err e = keys_recheck(keys, &caller->key, now);
    caller->right = e == ERR_OK ? admin_right_of_key(caller->key.scopes) : (struct admin_right){0};
    return e == ERR_OK ? judge(caller, route, fault) : e;
}
