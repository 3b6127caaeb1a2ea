/* SPDX-License-Identifier: Apache-2.0 */
#include "decision/decision.h"

#include <stdio.h>
#include <stdlib.h>

#include "decision/decision_internal.h"
#include "policy/policy_price.h"
#include "upstream/upstream_kind.h"

#define OUTPUT_GUESS \
    256 /* tokens of an answer, where prices are compared and nobody says how long */

bool decision_is_auto(struct span model)
{
    return span_equal_nocase(model, SPAN("auto-router")) || span_equal_nocase(model, SPAN("auto"));
}

bool decision_is_open(const struct decision_ask *ask)
{
    return ask->policy->routing != NULL || decision_is_auto(ask->model) || ask->hints.is_local;
}

/* ---- what a candidate must be, or it is not asked ---- */

static enum err judge_permission(const struct decision_ask *ask, const struct decision *d,
                                 const struct policy_model *model)
{
    (void)d;
    /* Who may use a model by an alias only asks for it by that. */
    struct span asked = decision_is_auto(ask->model) ? model->name : ask->model;
    return ask->rights == NULL || ask->permits(ask->rights, ask->key, ask->who, asked, model->name)
               ? ERR_OK
               : ERR_MODEL_NOT_ALLOWED;
}

static enum err judge_endpoint(const struct decision_ask *ask, const struct decision *d,
                               const struct policy_model *model)
{
    static const uint32_t bits[] = {[OPENAI_CHAT] = POLICY_CHAT,
                                    [OPENAI_COMPLETIONS] = POLICY_COMPLETIONS,
                                    [OPENAI_EMBEDDINGS] = POLICY_EMBEDDINGS};
    (void)d;
    return (model->endpoints & bits[ask->request->endpoint]) != 0 ? ERR_OK : ERR_MODEL_ENDPOINT;
}

static enum err judge_inputs(const struct decision_ask *ask, const struct decision *d,
                             const struct policy_model *model)
{
    (void)d;
    enum upstream_kind kind = model->deployment->definition.kind;
    bool takes = !ask->request->has_token_arrays ||
                 (model->token_arrays && upstream_kind_row(kind)->takes_token_arrays);
    return takes ? ERR_OK : ERR_VALUE_INVALID;
}

/* Context the caller can know is too small: only token arrays are counted exactly. */
static enum err judge_context(const struct decision_ask *ask, const struct decision *d,
                              const struct policy_model *model)
{
    (void)d;
    bool fits = model->context_tokens == 0 || ask->request->input_tokens <= model->context_tokens ||
                ask->request->endpoint == OPENAI_EMBEDDINGS;
    return fits ? ERR_OK : ERR_CONTEXT_LENGTH;
}

static bool is_in_regions(const struct routing_rule *rule, const char *region)
{
    for (size_t i = 0; rule != NULL && i < rule->region_count; i++) {
        if (region != NULL && span_is(rule->regions[i], region)) {
            return true;
        }
    }
    return rule == NULL || rule->region_count == 0;
}

/* Where it stands is as the rule and the hints want it. What is not known is no. */
static enum err judge_residency(const struct decision_ask *ask, const struct decision *d,
                                const struct policy_model *model)
{
    const struct upstream_definition *to = &model->deployment->definition;
    bool is_home = to->zone != NULL && ask->policy->zone.len > 0 &&
                   span_equal(span_of(to->zone), ask->policy->zone);
    bool may = is_in_regions(d->rule, to->region) && (is_home || !d->is_local);
    return may ? ERR_OK : ERR_RESIDENCY;
}

/* One behind the other. */
static enum err (*const filters[])(const struct decision_ask *ask, const struct decision *d,
                                   const struct policy_model *model) = {
    judge_permission, judge_endpoint, judge_inputs, judge_context, judge_residency};

enum err decision_judge(const struct decision_ask *ask, const struct decision *d,
                        const struct policy_model *model)
{
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < sizeof(filters) / sizeof(filters[0]); i++) {
        e = filters[i](ask, d, model);
    }
    return e;
}

enum err decision_filter(const struct decision_ask *ask, struct decision *d)
{
    if (d->count == 0) {
        return ERR_MODEL_UNKNOWN;
    }
    for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
        size_t kept = 0;
        enum err e = ERR_OK;
        for (size_t i = 0; i < d->count; i++) {
            enum err judged = filters[f](ask, d, d->candidates[i].match.model);
            e = judged != ERR_OK ? judged : e;
            if (judged == ERR_OK) {
                d->candidates[kept++] = d->candidates[i];
            }
        }
        if (kept == 0) {
            return e; /* the record of the refusal names the first */
        }
        d->count = kept;
    }
    return ERR_OK;
}

/* ---- candidates ---- */

static bool has_candidate(const struct decision *d, const struct policy_model *model)
{
    for (size_t i = 0; i < d->count; i++) {
        if (d->candidates[i].match.model == model && !model->is_pattern) {
            return true;
        }
    }
    return false;
}

/* Adds the model of a name at the end, if there is room and it is not there yet. A name that is
 * gone since the rules were read is passed over. */
static void add(const struct decision_ask *ask, struct decision *d, struct span name,
                const char *why)
{
    struct policy_match match;
    if (d->count < DECISION_CANDIDATES && policy_find(ask->policy, name, &match) &&
        !has_candidate(d, match.model)) {
        d->candidates[d->count++] = (struct decision_candidate){.match = match, .why = why};
    }
}

/* A number below `most`, the same of the same call. */
static uint32_t draw(const struct decision_ask *ask, uint32_t most)
{
    return (uint32_t)((uint64_t)ask->chance * most >> 32);
}

/* The targets, beginning with one by chance, each other behind it in the order of the file. */
static void add_targets(const struct decision_ask *ask, struct decision *d)
{
    const struct routing_rule *rule = d->rule;
    uint32_t at = rule->weights > 1 ? draw(ask, rule->weights) : 0;
    size_t first = 0;
    while (first + 1 < rule->target_count && at >= rule->targets[first].weight) {
        at -= rule->targets[first++].weight;
    }
    for (size_t i = 0; i < rule->target_count; i++) {
        add(ask, d, rule->targets[(first + i) % rule->target_count].model, "target");
    }
}

static bool draws_canary(const struct decision_ask *ask, const struct routing_rule *rule)
{
    /* The bits that weights hardly look at: a canary is drawn beside them. */
    uint32_t chance = (ask->chance & 0xFFFF) * 1000u >> 16;
    return rule->canary.weight > 0 && chance < rule->canary.weight;
}

static void add_rule(const struct decision_ask *ask, struct decision *d)
{
    const struct routing_rule *rule = d->rule;
    if (draws_canary(ask, rule)) {
        add(ask, d, rule->canary.model, "canary");
    }
    if (rule->target_count > 0) {
        add_targets(ask, d);
    }
    for (size_t i = 0; i < rule->fallback_count; i++) {
        add(ask, d, rule->fallbacks[i], "fallback");
    }
}

/* ---- prices and profiles ---- */

/* The price that held when the call began; of the book it is copied into `room`. */
static const struct policy_price *price_of(const struct decision_ask *ask,
                                           const struct policy_model *model,
                                           struct policy_price *room)
{
    if (ask->book != NULL && policy_book_find(ask->book, model->name, ask->now, room)) {
        return room;
    }
    return policy_price_at(model->prices, model->price_count, ask->now);
}

/* What the call may cost at it, in billionths; a model without a price is the dearest. */
static int64_t cost_at(const struct decision_ask *ask, const struct policy_model *model)
{
    struct policy_price room;
    const struct policy_price *price = price_of(ask, model, &room);
    int64_t output = ask->request->output_tokens_max;
    const struct policy_amounts amounts = {
        .input = ask->prompt_tokens,
        .output = output >= 0 && output < OUTPUT_GUESS ? output : OUTPUT_GUESS,
        .requests = 1};
    return price == NULL ? INT64_MAX : policy_price_cost(price, &amounts);
}

/* How long its server takes to begin an answer; what is not known yet is asked, to be known. */
static int64_t latency_of(const struct policy_model *model)
{
    return deployment_latency_us(model->deployment) *
           (1 + atomic_load_explicit(&model->deployment->in_flight, memory_order_relaxed));
}

static int64_t score_of(const struct decision_ask *ask, enum routing_profile profile,
                        const struct policy_model *model)
{
    int64_t cost = profile == ROUTING_PERFORMANCE ? 0 : cost_at(ask, model);
    int64_t latency = profile == ROUTING_COST ? 0 : latency_of(model);
    if (profile != ROUTING_BALANCED) {
        return -(cost + latency);
    }
    /* A tenth of a cent and a second weigh alike: neither decides alone. */
    int64_t weighed = cost > INT64_MAX / 2 ? INT64_MAX / 2 : cost;
    return -(weighed + latency);
}

/* The better first; of those alike, the order of the file. */
static int by_score(const void *a, const void *b)
{
    const struct decision_candidate *x = a, *y = b;
    if (x->score != y->score) {
        return x->score > y->score ? -1 : 1;
    }
    return (x->match.model > y->match.model) - (x->match.model < y->match.model);
}

/* Puts the better models first, keeping DECISION_CANDIDATES of all. */
static void add_scored(const struct decision_ask *ask, struct decision *d,
                       const struct policy_model *model)
{
    struct decision_candidate c = {.match = {model, model->name, model->upstream_name},
                                   .score = score_of(ask, d->profile, model),
                                   .why = routing_profile_name(d->profile)};
    c.match.upstream_name = c.match.upstream_name.len > 0 ? c.match.upstream_name : model->name;
    size_t at = d->count;
    while (at > 0 && by_score(&c, &d->candidates[at - 1]) < 0) {
        at--;
    }
    if (at == DECISION_CANDIDATES) {
        return;
    }
    size_t last = d->count < DECISION_CANDIDATES ? d->count++ : DECISION_CANDIDATES - 1;
    memmove(&d->candidates[at + 1], &d->candidates[at], (last - at) * sizeof(c));
    d->candidates[at] = c;
}

/* All models that may be asked, by the profile. Where none may, the first of them all stands for
 * what the caller is told. */
static void add_all(const struct decision_ask *ask, struct decision *d)
{
    const struct policy *p = ask->policy;
    for (size_t i = 0; i < p->model_count && i < DECISION_MODELS_MAX; i++) {
        if (!p->models[i].is_pattern && decision_judge(ask, d, &p->models[i]) == ERR_OK) {
            add_scored(ask, d, &p->models[i]);
        }
    }
    for (size_t i = 0; i < p->model_count && d->count == 0; i++) {
        if (!p->models[i].is_pattern && judge_endpoint(ask, d, &p->models[i]) == ERR_OK) {
            add(ask, d, p->models[i].name, routing_profile_name(d->profile));
        }
    }
}

/* ---- the whole ---- */

static void find_rule(struct decision_work *work, struct decision_trace *trace, struct decision *d)
{
    const struct decision_ask *ask = work->ask;
    const struct routing *r = ask->policy->routing;
    bool is_auto = decision_is_auto(ask->model);
    size_t count = r == NULL ? 0 : routing_count(r);
    for (size_t i = 0; i < count && d->rule == NULL; i++) {
        const struct routing_rule *rule = routing_rule(r, i);
        enum condition_outcome said = is_auto || rule->binds_named
                                          ? routing_decide(r, i, &work->facts, ask->scratch)
                                          : CONDITION_NO;
        d->failed += said == CONDITION_FAILED;
        d->rule = said == CONDITION_YES ? rule : NULL;
        if (trace != NULL) {
            trace->outcomes[i] = said;
            trace->asked = i + 1;
        }
    }
}

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

/* The value of X-Route-Policy: who decided, and what decided beside. */
static void name_policy(const struct decision_ask *ask, struct decision *d)
{
    bool is_auto = decision_is_auto(ask->model);
    bool is_ordered = d->profile != ROUTING_NO_PROFILE;
    struct span who = d->rule != NULL ? d->rule->name
                      : d->is_local   ? SPAN("local-only")
                      : is_auto       ? span_of(routing_profile_name(d->profile))
                                      : SPAN("direct");
    bool says_profile = is_ordered && (d->rule != NULL || d->is_local);
    bool says_local = d->rule != NULL && d->is_local;
    (void)snprintf(d->policy, sizeof(d->policy), "%.*s%s%s%s", SPAN_ARGS(who),
                   says_profile ? "; profile=" : "",
                   says_profile ? routing_profile_name(d->profile) : "",
                   says_local ? "; local-only" : ""); /* names are short: it fits */
}

/* The rule's own order is by chance; a profile puts it in another. */
static void order(const struct decision_ask *ask, struct decision *d)
{
    size_t targets = 0;
    while (targets < d->count && strcmp(d->candidates[targets].why, "target") == 0) {
        d->candidates[targets].score =
            score_of(ask, d->profile, d->candidates[targets].match.model);
        targets++;
    }
    qsort(d->candidates, targets, sizeof(d->candidates[0]), by_score);
}

void decision_find(const struct decision_ask *ask, struct decision_work *work,
                   struct decision_trace *trace, struct decision *out)
{
    bool is_auto = decision_is_auto(ask->model);
    out->count = 0;
    out->rule = NULL;
    out->failed = 0;
    decision_begin_facts(work, ask);
    find_rule(work, trace, out);
    out->is_local = ask->hints.is_local || (out->rule != NULL && out->rule->is_local);
    bool has_targets = out->rule != NULL && out->rule->target_count > 0;
    bool is_ordered =
        is_auto && (!has_targets || out->rule->profile != ROUTING_NO_PROFILE ||
                    (out->rule->target_count > 1 && ask->hints.profile != ROUTING_NO_PROFILE));
    out->profile = is_ordered ? profile_of(ask, out) : ROUTING_NO_PROFILE;
    if (has_targets) {
        add_rule(ask, out);
        if (is_ordered) {
            order(ask, out);
        }
    } else if (is_auto) {
        add_all(ask, out);
        for (size_t i = 0; out->rule != NULL && i < out->rule->fallback_count; i++) {
            add(ask, out, out->rule->fallbacks[i], "fallback");
        }
    } else {
        add(ask, out, ask->model, "direct");
    }
    name_policy(ask, out);
}
