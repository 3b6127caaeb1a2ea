/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a team is nowhere milder than the gateway. What it does not speak of is the gateway's. */
#include <stdio.h>
#include <string.h>

#include "guard/guard_form_internal.h"

static void put_pair(const char *mapping, const char *name, char out[GUARD_MEMBER_BYTES])
{
    (void)snprintf(out, GUARD_MEMBER_BYTES, "%s.%.100s", mapping, name); /* cut, it is no type's */
}

static void say_milder(struct guard_telling *t, const char *member, struct span own,
                       struct span gateways)
{
    guard_say(t, false, member,
              "'%.*s' is milder than what the gateway does: '%.*s'; a team can only be stricter",
              SPAN_ARGS(own), SPAN_ARGS(gateways));
}

static void compare_action(struct guard_telling *t, const struct guard_policy *team,
                           const struct guard_policy *gateway, enum guard_direction d,
                           const char *name)
{
    char member[GUARD_MEMBER_BYTES];
    bool is_default = strcmp(name, "default") == 0;
    unsigned type = guard_type_find(span_of(name));
    if (type == GUARD_BUILTINS && !is_default) {
        return; /* a rule of its own */
    }
    enum guard_action own = is_default ? team->defaults[d] : team->actions[d][type];
    enum guard_action others = is_default ? gateway->defaults[d] : gateway->actions[d][type];
    put_pair(d == GUARD_PROMPT ? "prompts" : "replies", name, member);
    if (guard_strictness(own) < guard_strictness(others)) {
        say_milder(t, member, guard_action_name(own), guard_action_name(others));
    }
}

static bool acts(const struct guard_policy *p, unsigned type)
{
    return p->actions[GUARD_PROMPT][type] != GUARD_ALLOW ||
           p->actions[GUARD_REPLY][type] != GUARD_ALLOW || p->classes[type] != DATA_UNSAID;
}

/* A gateway that acts on a type has a confidence for it, said or not. */
static unsigned bound_of(const struct guard_policy *p, unsigned type)
{
    unsigned said = type == GUARD_INJECTION ? p->injection_percent : p->percents[type];
    unsigned usual = type == GUARD_INJECTION ? GUARD_INJECTION_PERCENT : GUARD_PERCENT_MIN;
    return said != 0 ? said : acts(p, type) ? usual : 100;
}

static void compare_percent(struct guard_telling *t, unsigned own, unsigned bound,
                            const char *member)
{
    if (own > bound) {
        guard_say(t, false, member,
                  "the gateway acts from 0.%02u on, and a team can only be stricter", bound);
    }
}

static void compare_classes(struct guard_telling *t, const struct guard_form *form,
                            const struct guard_policy *team, const struct guard_policy *gateway)
{
    char member[GUARD_MEMBER_BYTES];
    for (size_t i = 0; i < form->classes.count; i++) {
        unsigned type = guard_type_find(span_of(form->classes.at[i].name));
        if (type < GUARD_BUILTINS && team->classes[type] < gateway->classes[type]) {
            put_pair("classes", form->classes.at[i].name, member);
            say_milder(t, member, span_of(data_class_name(team->classes[type])),
                       span_of(data_class_name(gateway->classes[type])));
        }
    }
}

static void compare_percents(struct guard_telling *t, const struct guard_form *form,
                             const struct guard_policy *team, const struct guard_policy *gateway)
{
    char member[GUARD_MEMBER_BYTES];
    for (size_t i = 0; i < form->min_confidence.count; i++) {
        unsigned type = guard_type_find(span_of(form->min_confidence.at[i].name));
        if (type < GUARD_BUILTINS) {
            put_pair("min_confidence", form->min_confidence.at[i].name, member);
            compare_percent(t, team->percents[type], bound_of(gateway, type), member);
        }
    }
    compare_percent(t, team->injection_percent, bound_of(gateway, GUARD_INJECTION),
                    "injection.threshold");
}

static void compare_rest(struct guard_telling *t, const struct guard_form *form,
                         const struct guard_policy *team, const struct guard_policy *gateway)
{
    enum guard_action own = team->actions[GUARD_PROMPT][GUARD_INJECTION];
    enum guard_action others = gateway->actions[GUARD_PROMPT][GUARD_INJECTION];
    if (form->says_mode && team->mode < gateway->mode) {
        say_milder(t, "mode", guard_mode_name(team->mode), guard_mode_name(gateway->mode));
    }
    if (form->says_injection && own < others) {
        say_milder(t, "injection.action", guard_action_name(own), guard_action_name(others));
    }
    if (form->restores && gateway->says_restore && !gateway->restores) {
        guard_say(t, false, "restore",
                  "the gateway puts no placeholder back, and a team can only be stricter");
    }
    if (form->says_blocked_reply && gateway->empties_blocked && !team->empties_blocked) {
        guard_say(t, false, "blocked_reply",
                  "a blocked reply of the gateway is empty, and a team can only be stricter");
    }
}

bool guard_is_stricter(const struct guard_form *form, const struct guard_policy *team,
                       const struct guard_policy *gateway, guard_problem *problem, void *ctx)
{
    struct guard_telling t = {.problem = problem, .ctx = ctx};
    if (gateway == NULL) {
        return true;
    }
    for (int d = GUARD_PROMPT; d < GUARD_DIRECTIONS; d++) {
        for (size_t i = 0; i < form->actions[d].count; i++) {
            compare_action(&t, team, gateway, (enum guard_direction)d, form->actions[d].at[i].name);
        }
    }
    compare_classes(&t, form, team, gateway);
    compare_percents(&t, form, team, gateway);
    compare_rest(&t, form, team, gateway);
    return !t.is_wrong;
}
