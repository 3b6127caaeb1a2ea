/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_right.h — what a caller of the admin API may do: the table of admin_scopes.def.
 *
 * Who is on the machine with the data folder's rights may do everything: it could read and write
 * the folder by itself. An admin key may do what its role may; one that is bound to a team, that
 * for its team alone. A right that nobody has filled in is none.
 *
 * Threads  any; all of it is constant.
 * Sources  docs/formats/admin-api.md.
 */
#ifndef ADMIN_ADMIN_RIGHT_H
#define ADMIN_ADMIN_RIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "keys/key_scope.h"

/* The words of roles, in the order of enum key_role. */
#define ADMIN_ROLES "developer|auditor|operator|admin|owner"

enum admin_scope {
    ADMIN_SCOPE_NONE, /* anyone may, without a key */
#define SCOPE(name, word, owner, admin, operator, auditor, developer, team, help) \
    ADMIN_SCOPE_##name,
#include "admin/admin_scopes.def"
#undef SCOPE
    ADMIN_SCOPES
};

struct admin_right {
    bool is_local; /* over admin.sock, or on the data folder: everything */
    bool is_key;   /* of an admin key, whose role and team these are */
    bool has_team; /* bound to a team */
    enum key_role role;
};

/* The right of an admin key with these bits in memory (key_scope.h). */
struct admin_right admin_right_of_key(uint32_t bits);

/* Whether the right holds the scope. */
bool admin_right_has(const struct admin_right *right, enum admin_scope scope);

/* Whether it sees what is whose ever; who is asked for by a team's key does not. */
bool admin_right_sees_all(const struct admin_right *right);

/* Whether it may give a key this role, or take it away; local callers and owners may any, others
 * those below admin. */
bool admin_right_gives(const struct admin_right *right, enum key_role role);

/* "keys.read", and what it lets. */
const char *admin_scope_word(enum admin_scope scope);
const char *admin_scope_help(enum admin_scope scope);

#endif
