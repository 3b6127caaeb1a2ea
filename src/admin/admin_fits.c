/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets, and what is counted as one, are refused when they are set where calls could not count in
 * them: all that a request says together. So is what would let no call of a team go on. */
#include "access/access_fits.h"
#include "admin/admin_internal.h"

static enum err refuse(const struct admin_operation *op, const char *key)
{
    return admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN(""),
                           "calls of the key %s would count in more budgets than one can (%d at "
                           "most, a day's tokens among them, fewer where each key or user has its "
                           "own): end one of the key's, its user's, team's, organisation's or "
                           "tags' first",
                           key, LIMITS_NAMED_MAX);
}

enum err admin_budget_judge(const struct admin_operation *op, struct span subject, struct span tag,
                            struct span id, struct span model)
{
    char key[KEY_ID_CHARS + 1];
    struct span known = admin_tag_name(op, subject);
    const struct access_wish wish = {subject, known.len > 0 ? known : tag, id, model};
    return access_wishes_fit(op->rights, &wish, 1, key) ? ERR_OK : refuse(op, key);
}

enum err admin_days_judge(const struct admin_operation *op, const struct admin_day *days,
                          size_t count)
{
    char key[KEY_ID_CHARS + 1];
    struct access_wish wishes[ACCESS_WISHES_MAX];
    size_t wanted = 0;
    CHECK(count <= ACCESS_WISHES_MAX);
    for (size_t i = 0; i < count; i++) {
        bool has_plan =
            days[i].plan.len > 0 && admin_limits_of(op, days[i].plan).tokens_per_day != 0;
        if ((days[i].tokens_per_day != 0 || has_plan) && days[i].subject.len > 0 &&
            !access_counts_day(op->rights, days[i].subject)) {
            struct span known = admin_tag_name(op, days[i].subject);
            wishes[wanted++] = (struct access_wish){.subject = days[i].subject,
                                                    .tag = known.len > 0 ? known : days[i].tag};
        }
    }
    return wanted == 0 || access_wishes_fit(op->rights, wishes, wanted, key) ? ERR_OK
                                                                             : refuse(op, key);
}

enum err admin_key_judge_room(const struct admin_operation *op, const struct store_key *key,
                              int64_t tokens_per_day)
{
    const struct access_owners owners = {key->team, key->user, key->plan, key->tags,
                                         tokens_per_day != 0};
    return access_key_fits(op->rights, key->id, &owners)
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN(""),
                                 "more budgets would hold for the key, its user, team, "
                                 "organisation and tags together, a day's tokens among them, than "
                                 "a call can count in: end some first");
}

enum err admin_limits_judge(const struct admin_operation *op, struct span subject,
                            const struct admin_limits *limits)
{
    const struct admin_day day = {subject, SPAN(""), SPAN(""), limits->tokens_per_day};
    enum err e = admin_limits_check(op, subject, limits);
    return e == ERR_OK ? admin_days_judge(op, &day, 1) : e;
}

enum err admin_fits_classes(const struct admin_operation *op, const struct admin_team *a)
{
    return a->max_class == 0 || a->default_class <= a->max_class
               ? ERR_OK
               : admin_fault_say(&op->answer->fault, ERR_VALUE_INVALID, SPAN("default_class"),
                                 "'default_class' must not be above 'max_class', or no call that "
                                 "says no class goes on");
}
