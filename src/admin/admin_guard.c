/* SPDX-License-Identifier: Apache-2.0 */
/* A team's guard is looked at before it is put: that it is one, and nowhere milder than the
 * gateway's. */
#include <stdio.h>

#include "admin/admin_internal.h"
#include "guard/guard_form.h"
#include "policy/policy.h"

#define ARENA_BYTES (1u << 20)

/* The first thing that is wrong is told. */
struct judging {
    const struct admin_operation *op;
    enum err e; /* that it is */
    bool is_told;
};

static void on_problem(void *ctx, const char *member, bool is_name, const char *sentence)
{
    struct judging *j = ctx;
    char param[GUARD_MEMBER_BYTES + sizeof("guard.")];
    (void)is_name;
    (void)snprintf(param, sizeof(param), "guard%s%s", member[0] == '\0' ? "" : ".",
                   member); /* fits */
    if (!j->is_told) {
        j->is_told = true;
        (void)admin_fault_say(&j->op->answer->fault, j->e, span_of(param), "'%s': %s", param,
                              sentence); /* it returns what it was given */
    }
}

enum err admin_guard_judge(const struct admin_operation *op, struct span guard)
{
    struct judging j = {.op = op, .e = ERR_VALUE_INVALID};
    struct arena arena;
    struct guard_form form;
    struct guard_policy *team = NULL;
    if (guard.len == 0) {
        return ERR_OK;
    }
    arena_init(&arena, ARENA_BYTES);
    enum err e = guard_form_read(guard, &arena, on_problem, &j, &form);
    e = e == ERR_OK ? guard_compile(&form, GUARD_TEAM_FIRST, on_problem, &j, &team) : e;
    e = e == ERR_CONFIG ? ERR_VALUE_INVALID : e;
    j.e = ERR_SOVEREIGNTY;
    if (e == ERR_OK && op->policy != NULL &&
        !guard_is_stricter(&form, team, op->policy->guard, on_problem, &j)) {
        e = ERR_SOVEREIGNTY;
    }
    guard_policy_unref(&team);
    arena_fini(&arena);
    return e;
}
