/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets, and what is counted as one, are refused when they are set where calls could not count in
 * them. */
#include <stdio.h>

#include "access/access_fits.h"
#include "admin/admin_internal.h"

enum err admin_budget_judge(const struct admin_operation *op, struct span subject, struct span tag,
                            struct span id, struct span model)
{
    char key[KEY_ID_CHARS + 1];
    struct span known = admin_tag_name(op, subject);
    const struct access_wish wish = {subject, known.len > 0 ? known : tag, id, model};
    return access_budget_fits(op->rights, &wish, key)
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN(""),
                                 "calls of the key %s would count in more budgets than one can "
                                 "(%d at most, fewer where each key or user has its own): end one "
                                 "of the key's, its user's, team's, organisation's or tags' first",
                                 key, LIMITS_NAMED_MAX);
}

/* The day's tokens are counted as a budget is. */
enum err admin_day_judge(const struct admin_operation *op, struct span subject, struct span tag)
{
    char id[LIMITS_ID_BYTES] = "day";
    if (span_find(subject, '/', 0) == subject.len) { /* of a template, each child's comes there */
        (void)snprintf(id, sizeof(id), "day/%.*s", SPAN_ARGS(subject)); /* fits */
    }
    return admin_budget_judge(op, subject, tag, span_of(id), SPAN(""));
}

enum err admin_plan_judge(const struct admin_operation *op, struct span subject, struct span plan)
{
    bool counts = plan.len > 0 && admin_limits_of(op, plan).tokens_per_day != 0 &&
                  admin_limits_of(op, subject).tokens_per_day == 0;
    return counts ? admin_day_judge(op, subject, SPAN("")) : ERR_OK;
}
