/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_scope.h — what a key may be used for: a set of bits.
 *
 * Threads  any; all of it is constant.
 * Sources  docs/formats/schema.md, `api_key`.
 */
#ifndef KEYS_KEY_SCOPE_H
#define KEYS_KEY_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

/* What a key may be used for; the numbers are kept in the store and never change. */
enum key_scope {
    KEY_SCOPE_CHAT = 1U << 0,
    KEY_SCOPE_COMPLETIONS = 1U << 1,
    KEY_SCOPE_EMBEDDINGS = 1U << 2,
    KEY_SCOPE_MODELS = 1U << 3,
    KEY_SCOPE_MODERATIONS = 1U << 4, /* only where it is said */
    KEY_SCOPE_ROLE = 1U << 24, /* in memory alone, of an admin key: bit 24 + n for role n, */
    KEY_SCOPE_TEAM = 1U << 29, /* and that it is bound to a team */
};

/* What an admin key may do; the numbers are kept in the store and never change. */
enum key_role {
    KEY_ROLE_DEVELOPER,
    KEY_ROLE_AUDITOR,
    KEY_ROLE_OPERATOR,
    KEY_ROLE_ADMIN,
    KEY_ROLE_OWNER,
    KEY_ROLES
};

/* What an inference key has whose maker names none, */
#define KEY_SCOPES_INFERENCE \
    ((uint32_t)(KEY_SCOPE_CHAT | KEY_SCOPE_COMPLETIONS | KEY_SCOPE_EMBEDDINGS | KEY_SCOPE_MODELS))

/* and what it may have. */
#define KEY_SCOPES_ALL (KEY_SCOPES_INFERENCE | (uint32_t)KEY_SCOPE_MODERATIONS)

#define KEY_SCOPES_ADMIN ((uint32_t)(KEY_SCOPE_ROLE * ((1U << KEY_ROLES) - 1) | KEY_SCOPE_TEAM))

/* The word of one scope of an inference key: "chat". */
const char *key_scope_name(uint32_t scope);

/* The bits in memory of an admin key of this role; 0: there is no such role. */
uint32_t key_scope_of_role(unsigned role, bool has_team);

/* The role that such bits say; false: they say none. */
bool key_scope_role(uint32_t scopes, enum key_role *role);

#endif
