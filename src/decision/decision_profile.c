/* SPDX-License-Identifier: Apache-2.0 */
/* What a profile thinks of a model: its price, how soon its servers answer, and how good it is. */
#include "decision/decision_internal.h"

#include "policy/policy_price.h"

#define SECOND_US     INT64_C(1000000)
#define UNPRICED      (INT64_MAX / 2)  /* dearer than any price */
#define COST_MOST     (INT64_MAX / 64) /* so that a tier's weight fits */
#define SURE_PERMILLE 500              /* below it a language is a guess that counts for nothing */
#define FOREIGN_TIERS 2                /* lower for a call in a language that is not the model's */
#define DEAREST_INPUT 1000             /* tokens, where it is asked which model is the dearest */
#define OUTPUT_GUESS \
    256 /* tokens of an answer, where prices are compared and nobody says how long */

/* The price that held when the call began; of the book it is copied into `room`. */
static const struct policy_price *price_of(const struct decision_ask *ask,
                                           const struct policy_model *model,
                                           const struct policy_place *place,
                                           struct policy_price *room)
{
    if (place->price != NULL) {
        return place->price;
    }
    if (ask->book != NULL && policy_book_find(ask->book, model->name, ask->now, room)) {
        return room;
    }
    return policy_price_at(model->prices, model->price_count, ask->now);
}

/* What the call may cost at it, in billionths; a model without a price is the dearest. */
static int64_t cost_at(const struct decision_ask *ask, const struct policy_model *model,
                       const struct policy_place *place, int64_t input)
{
    struct policy_price room;
    const struct policy_price *price = price_of(ask, model, place, &room);
    int64_t output = ask->request->output_tokens_max;
    int64_t us = decision_latency_us(place);
    const struct policy_amounts amounts = {
        .input = input,
        .output = output >= 0 && output < OUTPUT_GUESS ? output : OUTPUT_GUESS,
        .requests = 1,
        .server_us = us > SECOND_US ? us : SECOND_US};
    return price == NULL ? INT64_MAX : policy_price_cost(price, &amounts);
}

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
    int64_t cost =
        profile == ROUTING_PERFORMANCE ? 0 : cost_at(w->ask, model, place, decision_tokens(w));
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

/* ---- the dearest ---- */

static bool may_use(const struct decision_ask *ask, const struct policy_model *model)
{
    static const uint32_t bits[] = {[OPENAI_CHAT] = POLICY_CHAT,
                                    [OPENAI_COMPLETIONS] = POLICY_COMPLETIONS,
                                    [OPENAI_EMBEDDINGS] = POLICY_EMBEDDINGS};
    return !model->is_pattern && (model->endpoints & bits[ask->request->endpoint]) != 0 &&
           (ask->rights == NULL ||
            ask->permits(ask->rights, ask->key, ask->who, model->name, model->name));
}

const struct policy_model *decision_dearest(const struct decision_ask *ask)
{
    const struct policy *p = ask->policy;
    const struct policy_model *dearest = NULL;
    int64_t most = -1;
    for (size_t i = 0; i < p->model_count && i < DECISION_MODELS_MAX; i++) {
        const struct policy_model *model = &p->models[i];
        for (size_t at = 0; at < model->place_count; at++) {
            int64_t cost = cost_at(ask, model, &model->places[at], DEAREST_INPUT);
            if (cost != INT64_MAX && cost > most && may_use(ask, model)) {
                dearest = model;
                most = cost;
            }
        }
    }
    return dearest;
}
