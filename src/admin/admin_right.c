/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_right.h"

#include "base/check.h"

#define ROLE(has, role) ((has) != 0 ? 1U << KEY_ROLE_##role : 0U)

static const struct {
    const char *word, *help;
    unsigned roles; /* bit n: the role of number n */
    bool is_teams;  /* also of those that are bound to a team */
} scopes[] = {
    [ADMIN_SCOPE_NONE] = {"", "", 0, false},
#define SCOPE(name, word, owner, admin, operator, auditor, developer, team, help)                \
    [ADMIN_SCOPE_##name] = {word, help,                                                          \
                            ROLE(owner, OWNER) | ROLE(admin, ADMIN) | ROLE(operator, OPERATOR) | \
                                ROLE(auditor, AUDITOR) | ROLE(developer, DEVELOPER),             \
                            (team) != 0},
#include "admin/admin_scopes.def"
#undef SCOPE
};

struct admin_right admin_right_of_key(uint32_t bits)
{
    struct admin_right right = {.has_team = (bits & KEY_SCOPE_TEAM) != 0};
    right.is_key = key_scope_role(bits, &right.role);
    return right;
}

bool admin_right_has(const struct admin_right *right, enum admin_scope scope)
{
    CHECK(scope < ADMIN_SCOPES);
    return scope == ADMIN_SCOPE_NONE || right->is_local ||
           (right->is_key && (scopes[scope].roles >> right->role & 1) != 0 &&
            (!right->has_team || scopes[scope].is_teams));
}

bool admin_right_sees_all(const struct admin_right *right)
{
    return right->is_local ||
           (right->is_key && !right->has_team && right->role != KEY_ROLE_DEVELOPER);
}

bool admin_right_gives(const struct admin_right *right, enum key_role role)
{
    return right->is_local ||
           (right->is_key && (role < KEY_ROLE_ADMIN || right->role == KEY_ROLE_OWNER));
}

const char *admin_scope_word(enum admin_scope scope)
{
    return scopes[scope].word;
}

const char *admin_scope_help(enum admin_scope scope)
{
    return scopes[scope].help;
}
