/* SPDX-License-Identifier: Apache-2.0 */
/* Two policies are asked, and the stricter word counts: a team's can add to the gateway's, and
 * take nothing away. */
#include "guard/guard_policy.h"

#include <string.h>

#include "base/memory.h"

enum err guard_policy_new(struct guard_policy **out)
{
    struct guard_policy *p = memory_new(sizeof(*p));
    if (p == NULL) {
        return ERR_NO_MEMORY;
    }
    atomic_init(&p->refs, 1);
    *out = p;
    return ERR_OK;
}

enum err guard_policy_closed(struct guard_policy **out)
{
    enum err e = guard_policy_new(out);
    if (e == ERR_OK) {
        (*out)->mode = GUARD_ENFORCE;
        memset((*out)->actions[GUARD_PROMPT], GUARD_BLOCK, GUARD_BUILTINS);
        memset((*out)->actions[GUARD_REPLY], GUARD_BLOCK, GUARD_BUILTINS);
    }
    return e;
}

struct guard_policy *guard_policy_ref(struct guard_policy *p)
{
    if (p != NULL) {
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    }
    return p;
}

void guard_policy_unref(struct guard_policy **p)
{
    if (*p != NULL && atomic_fetch_sub_explicit(&(*p)->refs, 1, memory_order_acq_rel) == 1) {
        guard_rules_unref(&(*p)->rules);
        memory_free((*p)->named);
        memory_free(*p);
    }
    *p = NULL;
}

enum guard_mode guard_mode_of(const struct guard_rule_of *of)
{
    enum guard_mode gateway = of->gateway == NULL ? GUARD_OFF : of->gateway->mode;
    enum guard_mode team = of->team == NULL ? GUARD_OFF : of->team->mode;
    return gateway > team ? gateway : team;
}

/* From which confidence on a type acts by a policy's own word; 0: it says none. */
static unsigned said_percent(const struct guard_policy *p, unsigned type)
{
    return p == NULL ? 0 : type == GUARD_INJECTION ? p->injection_percent : p->percents[type];
}

/* The lower of what both say. */
static unsigned percent_of(const struct guard_rule_of *of, const struct guard_policy *acts,
                           unsigned type)
{
    const struct guard_policy *other = acts == of->gateway ? of->team : of->gateway;
    unsigned usual = type == GUARD_INJECTION ? GUARD_INJECTION_PERCENT : GUARD_PERCENT_MIN;
    unsigned own = said_percent(acts, type);
    unsigned others = said_percent(other, type);
    own = own == 0 && (acts == of->gateway || others == 0) ? usual : own;
    return own == 0 || (others != 0 && others < own) ? others : own;
}

static enum guard_action action_by(const struct guard_rule_of *of, const struct guard_policy *p,
                                   enum guard_direction direction, const struct guard_finding *f)
{
    bool acts = p != NULL && f->percent >= percent_of(of, p, f->type);
    return acts ? (enum guard_action)p->actions[direction][f->type] : GUARD_ALLOW;
}

enum guard_action guard_action_of(const struct guard_rule_of *of, enum guard_direction direction,
                                  const struct guard_finding *f)
{
    enum guard_action gateway = action_by(of, of->gateway, direction, f);
    enum guard_action team = action_by(of, of->team, direction, f);
    return guard_strictness(team) > guard_strictness(gateway) ? team : gateway;
}

static enum data_class class_by(const struct guard_rule_of *of, const struct guard_policy *p,
                                const struct guard_finding *f)
{
    bool acts = p != NULL && f->percent >= percent_of(of, p, f->type);
    return acts ? (enum data_class)p->classes[f->type] : DATA_UNSAID;
}

enum data_class guard_class_of(const struct guard_rule_of *of, const struct guard_finding *f)
{
    enum data_class gateway = class_by(of, of->gateway, f);
    enum data_class team = class_by(of, of->team, f);
    return gateway > team ? gateway : team;
}

bool guard_restores(const struct guard_rule_of *of)
{
    const struct guard_policy *g = of->gateway;
    const struct guard_policy *t = of->team;
    bool gateway_says = g != NULL && g->says_restore;
    bool team_says = t != NULL && t->says_restore;
    bool gateway = gateway_says && g->restores;
    return team_says ? t->restores && (gateway || !gateway_says) : gateway;
}

bool guard_empties_blocked(const struct guard_rule_of *of)
{
    return (of->gateway != NULL && of->gateway->empties_blocked) ||
           (of->team != NULL && of->team->empties_blocked);
}

/* Whether a policy does anything about a type. */
static bool asks(const struct guard_policy *p, enum guard_direction direction, unsigned type)
{
    return p != NULL && (p->actions[direction][type] != GUARD_ALLOW ||
                         (direction == GUARD_PROMPT && p->classes[type] != DATA_UNSAID));
}

static bool changes(const struct guard_policy *p, enum guard_direction direction)
{
    for (unsigned type = 0; p != NULL && type < GUARD_TYPES_MAX; type++) {
        if (p->actions[direction][type] > GUARD_FLAG) {
            return true;
        }
    }
    return false;
}

bool guard_may_change(const struct guard_rule_of *of, enum guard_direction direction)
{
    return changes(of->gateway, direction) || changes(of->team, direction);
}

static bool hashes(const struct guard_policy *p)
{
    return p != NULL && memchr(p->actions, GUARD_HASH, sizeof(p->actions)) != NULL;
}

bool guard_hashes(const struct guard_rule_of *of)
{
    return hashes(of->gateway) || hashes(of->team);
}

void guard_wanted_of(const struct guard_rule_of *of, enum guard_direction direction, bool all,
                     struct guard_wanted *out)
{
    *out = (struct guard_wanted){.direction = direction};
    out->rules[0] = of->gateway == NULL ? NULL : of->gateway->rules;
    out->rules[1] = of->team == NULL ? NULL : of->team->rules;
    for (unsigned type = 0; type < GUARD_BUILTINS; type++) {
        bool is_wanted =
            all || asks(of->gateway, direction, type) || asks(of->team, direction, type);
        out->types |= is_wanted ? UINT32_C(1) << type : 0;
    }
}

/* ---- scanners ---- */

size_t guard_scanners_of(const struct guard_rule_of *of, const struct guard_scanner **out)
{
    size_t count = of->gateway == NULL ? 0 : of->gateway->scanner_count;
    if (out != NULL) {
        *out = count == 0 ? NULL : of->gateway->scanners;
    }
    return count;
}

unsigned guard_named_find(const struct guard_policy *p, struct span name)
{
    for (size_t i = 0; i < p->named_count; i++) {
        if (span_is(name, p->named[i])) {
            return p->named_first + (unsigned)i;
        }
    }
    return GUARD_TYPES_MAX;
}

/* The name of a type that only scanners find; empty: it is none. */
static struct span named(const struct guard_rule_of *of, unsigned type)
{
    const struct guard_policy *p = of->gateway;
    bool is_named = p != NULL && type >= p->named_first && type - p->named_first < p->named_count;
    return is_named ? span_of(p->named[type - p->named_first]) : SPAN("");
}

/* ---- what a type is called ---- */

/* The rules that a type is of; NULL: it is built in, or nobody's. */
static const struct guard_rules *owner(const struct guard_rule_of *of, unsigned type)
{
    const struct guard_policy *p = type >= GUARD_TEAM_FIRST ? of->team : of->gateway;
    return type < GUARD_BUILTINS || p == NULL ? NULL : p->rules;
}

struct span guard_name_of(const struct guard_rule_of *of, unsigned type)
{
    struct span own = named(of, type);
    const struct guard_rules *rules = own.len > 0 ? NULL : owner(of, type);
    return own.len > 0     ? own
           : rules == NULL ? guard_type_name(type)
                           : guard_rules_name(rules, type);
}

struct span guard_placeholder_of(const struct guard_rule_of *of, unsigned type,
                                 char room[GUARD_NAME_BYTES])
{
    if (type < GUARD_BUILTINS) {
        return guard_type_placeholder(type);
    }
    struct span name = span_cut(guard_name_of(of, type), 0, GUARD_NAME_BYTES);
    for (size_t i = 0; i < name.len; i++) {
        bool is_small = name.at[i] >= 'a' && name.at[i] <= 'z';
        room[i] = (char)(is_small ? name.at[i] - 'a' + 'A' : name.at[i]);
    }
    return span_make(room, name.len);
}

enum guard_violation guard_violation_of(const struct guard_rule_of *of, unsigned type)
{
    const struct guard_rules *rules = named(of, type).len > 0 ? NULL : owner(of, type);
    if (rules == NULL) {
        return type < GUARD_BUILTINS ? guard_type_violation(type) : GUARD_VIOLATION_PII;
    }
    return guard_rules_kind(rules, type) == GUARD_RULE_PATTERN ? GUARD_VIOLATION_PATTERN
                                                               : GUARD_VIOLATION_WORD;
}
