/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_caller.h — who asks the operator's side, and whether it may.
 *
 * On admin.sock it is the socket's owner, who needs no key; on the admin listener it is whoever has
 * an admin key whose role holds the route's scope (admin_right.h). A credential counts as
 * Authorization: Bearer alone.
 *
 * Threads  the housekeeping loop's, but for admin_caller_recheck(): any.
 * Sources  docs/formats/admin-api.md.
 */
#ifndef ADMIN_ADMIN_CALLER_H
#define ADMIN_ADMIN_CALLER_H

#include "admin/admin_routes.h"
#include "keys/keys.h"

#define ADMIN_CALLER_BYTES 65

struct admin_caller {
    char name[ADMIN_CALLER_BYTES]; /* an admin key's id; "uid:1000"; "" for anyone */
    bool has_key;
    struct key_handle key; /* if has_key */
    struct admin_right right;
};

/*
 * Finds who sent the request of the admin listener whose head is `head`, and whether the route is
 * for it.
 *
 *   ERR_KEY_MISSING, ERR_KEY_INVALID, ERR_KEY_WRONG_KIND, ERR_KEY_REVOKED, ERR_KEY_EXPIRED
 *   ERR_SCOPE_DENIED
 * `fault` says what to do, where the error's own sentence does not.
 */
MUST_USE enum err admin_caller_of_key(const struct keys *keys, const struct http_request *head,
                                      const struct admin_route *route, wall_us now,
                                      struct admin_caller *out, struct admin_fault *fault);

/* Whether the caller's key is good still, and for this, where it has one: what waited may be done.
 * Its right is then what it is now. */
MUST_USE enum err admin_caller_recheck(const struct keys *keys, struct admin_caller *caller,
                                       const struct admin_route *route, wall_us now,
                                       struct admin_fault *fault);

#endif
