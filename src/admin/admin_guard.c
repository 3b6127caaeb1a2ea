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

/* Whether the team's is one, and as strict. */
static enum err judge(struct judging *j, struct span guard, struct arena *arena)
{
    const struct policy *policy = j->op->policy;
    struct guard_form form;
    struct guard_policy *team = NULL;
    enum err e = guard_form_read(guard, arena, on_problem, j, &form);
    e = e == ERR_OK ? guard_compile(&form, GUARD_TEAM_FIRST, on_problem, j, &team) : e;
    j->e = ERR_SOVEREIGNTY;
    if (e == ERR_OK && policy != NULL &&
        !guard_is_stricter(&form, team, policy->guard, on_problem, j)) {
        e = ERR_SOVEREIGNTY;
    }
    guard_policy_unref(&team);
    return e == ERR_CONFIG ? ERR_VALUE_INVALID : e;
}

enum err admin_guard_give(const struct admin_operation *op, struct span guard, struct span *own)
{
    struct judging j = {.op = op, .e = ERR_VALUE_INVALID};
    struct arena arena;
    enum err e = ERR_OK;
    if (guard.len > 0 && !span_equal(*own, guard)) {
        arena_init(&arena, ARENA_BYTES);
        e = judge(&j, guard, &arena);
        arena_fini(&arena);
    }
    *own = guard;
    return e;
}
