/* SPDX-License-Identifier: Apache-2.0 */
/* What a profile thinks of a model: its price, how soon its servers answer, and how good it is. */
#include "decision/decision_internal.h"

#include "policy/policy_price.h"

#define UNPRICED      (INT64_MAX / 2)  /* dearer than any price */
#define COST_MOST     (INT64_MAX / 64) /* so that a tier's weight fits */
#define SURE_PERMILLE 500              /* below it a language is a guess that counts for nothing */
#define FOREIGN_TIERS 2                /* lower for a call in a language that is not the model's */

/* Whether the model is made for the language of what was asked, as far as both are known. */
static bool speaks(struct decision_work *w, const struct policy_model *model)
{
    bool does = model->language_count == 0;
    if (!does) {
        const struct text_language l = decision_language(w);
        does = strcmp(l.language, "und") == 0 || l.permille < SURE_PERMILLE;
        for (size_t i = 0; i < model->language_count && !does; i++) {
            does = span_is(model->languages[i], l.language);
        }
    }
    return does;
}

/* How often a model's cost and latency are doubled: a tier less is worth half of either. */
static unsigned doublings_of(struct decision_work *w, const struct policy_model *model)
{
    int tier = model->tier - (speaks(w, model) ? 0 : FOREIGN_TIERS);
    return (unsigned)(POLICY_TIER_MOST - (tier < 1 ? 1 : tier));
}

static int64_t score_at(struct decision_work *w, enum routing_profile profile,
                        const struct policy_model *model, const struct policy_place *place,
                        unsigned doublings)
{
    int64_t cost = profile == ROUTING_PERFORMANCE
                       ? 0
                       : decision_cost(w->ask, model, place, decision_tokens(w));
    int64_t latency = profile == ROUTING_COST ? 0 : decision_latency_of(w->ask, place);
    if (profile == ROUTING_COST) {
        return -cost;
    }
    /* A tenth of a cent and a second weigh alike: neither decides alone. */
    int64_t unpriced = cost == INT64_MAX ? UNPRICED : 0;
    cost = unpriced > 0 ? 0 : cost < COST_MOST ? cost : COST_MOST;
    return -(((cost + latency) << doublings) + unpriced);
}

int64_t decision_score(struct decision_work *work, enum routing_profile profile,
                       const struct decision_candidate *c)
{
    const struct policy_model *model = c->match.model;
    unsigned doublings = profile == ROUTING_COST ? 0 : doublings_of(work, model);
    int64_t best = INT64_MIN;
    for (uint32_t rest = c->places; rest != 0; rest &= rest - 1) {
        int64_t score =
            score_at(work, profile, model, &model->places[__builtin_ctz(rest)], doublings);
        best = score > best ? score : best;
    }
    return best;
}

/* ---- by examples ---- */

#define LEARNED_COST_MOST (INT64_MAX / 4)
#define PASSES            (INT64_MAX / 2) /* before every bound */
#define BOUND_UNIT        1e9
#define UNKNOWN           (-1)

int64_t decision_score_learned(struct decision_work *work, struct decision_candidate *c)
{
    const struct routing_search *search = work->ask->search;
    const struct routing_learned *learned = routing_learned_of(work->ask->policy->routing);
    if (search == NULL || learned == NULL) {
        return 0; /* a call that was: nobody has its vector */
    }
    const struct policy_model *model = c->match.model;
    struct span name = model->is_pattern ? c->match.shown : model->name;
    c->is_predicted = routing_search_predict(search, name, &c->prediction);
    if (!c->is_predicted) {
        return UNKNOWN;
    }
    if (c->prediction.bound < learned->target) {
        return (int64_t)(c->prediction.bound * BOUND_UNIT);
    }
    int64_t cheap = decision_score(work, ROUTING_COST, c);
    return PASSES + (cheap > -LEARNED_COST_MOST ? cheap : -LEARNED_COST_MOST);
}

/* ---- which one decides ---- */

static enum routing_profile profile_of(const struct decision_ask *ask, const struct decision *d)
{
    const struct routing *r = ask->policy->routing;
    if (d->rule != NULL && d->rule->profile != ROUTING_NO_PROFILE) {
        return d->rule->profile;
    }
    if (ask->hints.profile != ROUTING_NO_PROFILE) {
        return ask->hints.profile;
    }
    return r == NULL ? ROUTING_BALANCED : routing_default_profile(r);
}

/* Whether a profile orders what the rule names, or finds what no rule does. */
static bool is_ordered(const struct decision_ask *ask, const struct decision *d, bool has_targets)
{
    if (has_targets && d->rule->profile != ROUTING_NO_PROFILE) {
        return true;
    }
    bool has_choice =
        !has_targets || (d->rule->target_count > 1 && ask->hints.profile != ROUTING_NO_PROFILE);
    return decision_is_auto(ask->model) && has_choice;
}

/* The one that decides where examples should and nobody can ask them. */
static enum routing_profile stand_in_of(const struct decision_ask *ask)
{
    enum routing_profile usual = routing_default_profile(ask->policy->routing);
    if (ask->hints.profile != ROUTING_NO_PROFILE) {
        return ask->hints.profile;
    }
    return usual == ROUTING_LEARNED ? ROUTING_BALANCED : usual;
}

void decision_choose_profile(const struct decision_ask *ask, bool has_targets, struct decision *d)
{
    /* Of a call that was, the profile is the one that decided then. */
    bool was_learned = ask->recorded != NULL && ask->recorded->was_learned;
    d->profile = is_ordered(ask, d, has_targets) ? profile_of(ask, d) : ROUTING_NO_PROFILE;
    d->learns = d->profile == ROUTING_LEARNED;
    if (d->learns && ask->search == NULL && !was_learned) {
        d->profile = stand_in_of(ask);
    }
}
