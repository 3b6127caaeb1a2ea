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

static uint32_t scope_of(const struct admin_route *route)
{
    return route->scope == ADMIN_SCOPE_WRITE ? KEY_SCOPE_WRITE : KEY_SCOPE_READ;
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
    if ((out->key.scopes & scope_of(route)) == 0) {
        return admin_fault_say(fault, ERR_SCOPE_DENIED, SPAN(""),
                               "the admin key may not do this: it lacks the scope '%s'",
                               key_scope_name(scope_of(route)));
    }
    return ERR_OK;
}

enum err admin_caller_recheck(const struct keys *keys, struct admin_caller *caller,
                              const struct admin_route *route, wall_us now)
{
    if (!caller->has_key) {
        return ERR_OK;
    }
    enum err e = keys_recheck(keys, &caller->key, now);
    return e == ERR_OK && (caller->key.scopes & scope_of(route)) == 0 ? ERR_SCOPE_DENIED : e;
}
