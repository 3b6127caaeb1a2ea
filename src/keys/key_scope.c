/* SPDX-License-Identifier: Apache-2.0 */
#include "keys/key_scope.h"

const char *key_scope_name(uint32_t scope)
{
    switch (scope) {
    case KEY_SCOPE_CHAT:
        return "chat";
    case KEY_SCOPE_COMPLETIONS:
        return "completions";
    case KEY_SCOPE_EMBEDDINGS:
        return "embeddings";
    case KEY_SCOPE_MODERATIONS:
        return "moderations";
    default:
        return "models";
    }
}

uint32_t key_scope_of_role(unsigned role, bool has_team)
{
    return role >= KEY_ROLES
               ? 0
               : (uint32_t)KEY_SCOPE_ROLE << role | (has_team ? (uint32_t)KEY_SCOPE_TEAM : 0);
}

bool key_scope_role(uint32_t scopes, enum key_role *role)
{
    uint32_t said = scopes & KEY_SCOPES_ADMIN & ~(uint32_t)KEY_SCOPE_TEAM;
    for (unsigned i = 0; i < KEY_ROLES; i++) {
        if (said == (uint32_t)KEY_SCOPE_ROLE << i) {
            *role = (enum key_role)i;
            return true;
        }
    }
    return false;
}
