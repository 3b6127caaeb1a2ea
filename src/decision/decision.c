/* SPDX-License-Identifier: Apache-2.0 */
#include "decision/decision.h"

#include <stdio.h>
#include <stdlib.h>

#include "decision/decision_internal.h"
#include "policy/policy_price.h"
#include "upstream/upstream_kind.h"

#define LATENCY_UNKNOWN_US INT64_C(10000000)      /* of a server that has calls and no answer yet */
#define LATENCY_DOWN_US    INT64_C(1000000000000) /* of one that is down */
#define PROBED_IN          64                     /* calls */
#define SECOND_US          INT64_C(1000000)
#define OUTPUT_GUESS \
    256 /* tokens of an answer, where prices are compared and nobody says how long */

bool decision_is_auto(struct span model)
{
    return span_equal_nocase(model, SPAN("auto-router")) || span_equal_nocase(model, SPAN("auto"));
}

bool decision_is_open(const struct decision_ask *ask)
{
    const struct routing *r = ask->policy->routing;
    return decision_is_auto(ask->model) || ask->hints.is_local ||
           (r != NULL && routing_binds_named(r));
}

/* ---- what a candidate must be, or it is not asked: all take the same, what each needs or not ----
 */

static enum err judge_permission(const struct decision_ask *ask, const struct decision *d,
                                 const struct decision_candidate *c)
{
    const struct policy_model *model = c->match.model;
    (void)d;
    /* Who may use a model by an alias only asks for it by that; of a pattern each name is a model
     * of its own. */
    struct policy_match named;
    bool is_named =
        ask->is_direct ||
        (!decision_is_auto(ask->model) && policy_find(ask->policy, ask->model, &named) &&
         named.model == model && (!model->is_pattern || span_equal(named.shown, c->match.shown)));
    struct span asked = is_named ? ask->model : c->match.shown;
    return ask->rights == NULL || ask->permits(ask->rights, ask->key, ask->who, asked, model->name)
               ? ERR_OK
               : ERR_MODEL_NOT_ALLOWED;
}

static enum err judge_endpoint(const struct decision_ask *ask, const struct decision *d,
                               const struct decision_candidate *c)
{
    const struct policy_model *model = c->match.model;
    static const uint32_t bits[] = {[OPENAI_CHAT] = POLICY_CHAT,
                                    [OPENAI_COMPLETIONS] = POLICY_COMPLETIONS,
                                    [OPENAI_EMBEDDINGS] = POLICY_EMBEDDINGS};
    (void)d;
    return (model->endpoints & bits[ask->request->endpoint]) != 0 ? ERR_OK : ERR_MODEL_ENDPOINT;
}

static enum err judge_inputs(const struct decision_ask *ask, const struct decision *d,
                             const struct decision_candidate *c)
{
    const struct policy_model *model = c->match.model;
    (void)d;
    enum upstream_kind kind = model->deployment->definition.kind;
    bool takes = !ask->request->has_token_arrays ||
                 (model->token_arrays && upstream_kind_row(kind)->takes_token_arrays);
    return takes ? ERR_OK : ERR_VALUE_INVALID;
}

/* Context the caller can know is too small: only token arrays are counted exactly. */
static enum err judge_context(const struct decision_ask *ask, const struct decision *d,
                              const struct decision_candidate *c)
{
    const struct policy_model *model = c->match.model;
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

/* Those of the team; where it says none, those of the gateway. */
static bool is_in_team_regions(const struct decision_ask *ask, const char *region)
{
    struct span regions = ask->place.regions.len > 0 ? ask->place.regions : ask->policy->regions;
    return regions.len == 0 || (region != NULL && directory_may_use(regions, span_of(region)));
}

/* Where it stands is as the rule and the hints want it. What is not known is no. */
static enum err judge_residency(const struct decision_ask *ask, const struct decision *d,
                                const struct decision_candidate *c)
{
    const struct policy_model *model = c->match.model;
    const struct upstream_definition *to = &model->deployment->definition;
    bool is_home = to->zone != NULL && ask->policy->zone.len > 0 &&
                   span_equal(span_of(to->zone), ask->policy->zone);
    bool may = is_in_regions(d->rule, to->region) && is_in_team_regions(ask, to->region) &&
               (is_home || !d->is_local);
    return may ? ERR_OK : ERR_RESIDENCY;
}

/* Data of this class may go there, and by this rule. */
static enum err judge_class(const struct decision_ask *ask, const struct decision *d,
                            const struct decision_candidate *c)
{
    bool may =
        ask->class <= deployment_clearance(c->match.model->deployment) &&
        (d->rule == NULL || d->rule->max_class == DATA_UNSAID || ask->class <= d->rule->max_class);
    return may ? ERR_OK : ERR_CLASSIFICATION;
}

/* One behind the other. */
static enum err (*const filters[])(const struct decision_ask *ask, const struct decision *d,
                                   const struct decision_candidate *c) = {
    judge_permission, judge_endpoint, judge_inputs, judge_context, judge_residency, judge_class};

enum err decision_judge(const struct decision_ask *ask, const struct decision *d,
                        const struct decision_candidate *c)
{
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < sizeof(filters) / sizeof(filters[0]); i++) {
        e = filters[i](ask, d, c);
    }
    return e;
}

/* Takes out of a list what may not be asked. */
static enum err filter(const struct decision_ask *ask, const struct decision *d,
                       struct decision_candidate *list, size_t *count)
{
    if (*count == 0) {
        return ERR_MODEL_UNKNOWN;
    }
    for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
        size_t kept = 0;
        enum err e = ERR_OK;
        for (size_t i = 0; i < *count; i++) {
            enum err judged = filters[f](ask, d, &list[i]);
            e = judged != ERR_OK ? judged : e;
            if (judged == ERR_OK) {
                list[kept++] = list[i];
            }
        }
        if (kept == 0) {
            return e; /* the record of the refusal names the first */
        }
        *count = kept;
    }
    return ERR_OK;
}

enum err decision_filter(const struct decision_ask *ask, struct decision *d)
{
    return filter(ask, d, d->candidates, &d->count);
}

enum err decision_choose(const struct decision_ask *ask, struct decision_work *work,
                         struct decision *d)
{
    enum err e = filter(ask, d, work->gathered, &work->count);
    d->count = work->count < DECISION_CANDIDATES ? work->count : DECISION_CANDIDATES;
    memcpy(d->candidates, work->gathered, d->count * sizeof(d->candidates[0]));
    return e;
}

/* ---- candidates ---- */

static bool has_candidate(const struct decision_work *w, const struct policy_match *match)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->gathered[i].match.model == match->model &&
            span_equal(w->gathered[i].match.shown, match->shown)) {
            return true;
        }
    }
    return false;
}

/* Adds the model of a name at the end, if there is room and it is not there yet. A name that is
 * gone since the rules were read is passed over. */
static void add(struct decision_work *w, struct span name, const char *why)
{
    struct policy_match match;
    if (w->count < DECISION_GATHERED_MAX && policy_find(w->ask->policy, name, &match) &&
        !has_candidate(w, &match)) {
        w->gathered[w->count++] = (struct decision_candidate){.match = match, .why = why};
    }
}

/* A number below `most`, the same of the same call. */
static uint32_t draw(const struct decision_ask *ask, uint32_t most)
{
    return (uint32_t)((uint64_t)ask->chance * most >> 32);
}

/* The targets, beginning with one by chance, each other behind it in the order of the file. */
static void add_targets(struct decision_work *w, const struct decision *d)
{
    const struct routing_rule *rule = d->rule;
    uint32_t at = rule->weights > 1 ? draw(w->ask, rule->weights) : 0;
    size_t first = 0;
    while (first + 1 < rule->target_count && at >= rule->targets[first].weight) {
        at -= rule->targets[first++].weight;
    }
    for (size_t i = 0; i < rule->target_count; i++) {
        add(w, rule->targets[(first + i) % rule->target_count].model, "target");
    }
}

static bool draws_canary(const struct decision_ask *ask, const struct routing_rule *rule)
{
    /* The bits that weights hardly look at: a canary is drawn beside them. */
    uint32_t chance = (ask->chance & 0xFFFF) * 1000u >> 16;
    return rule->canary.weight > 0 && chance < rule->canary.weight;
}

static void add_rule(struct decision_work *w, const struct decision *d)
{
    const struct routing_rule *rule = d->rule;
    if (draws_canary(w->ask, rule)) {
        add(w, rule->canary.model, "canary");
    }
    if (rule->target_count > 0) {
        add_targets(w, d);
    }
    for (size_t i = 0; i < rule->fallback_count; i++) {
        add(w, rule->fallbacks[i], "fallback");
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
    int64_t seconds = deployment_latency_us(model->deployment);
    const struct policy_amounts amounts = {
        .input = ask->prompt_tokens,
        .output = output >= 0 && output < OUTPUT_GUESS ? output : OUTPUT_GUESS,
        .requests = 1,
        .server_us = seconds > SECOND_US ? seconds : SECOND_US};
    return price == NULL ? INT64_MAX : policy_price_cost(price, &amounts);
}

/* How long its server takes to begin an answer, times the calls that it has. What is not known yet
 * is asked once, to be known; who fails again and again comes last. One call in many asks anew
 * whoever has none, for what was slow or down need not be so still. */
static int64_t latency_of(const struct decision_ask *ask, const struct policy_model *model)
{
    const struct deployment *d = model->deployment;
    int64_t calls = atomic_load_explicit(&d->in_flight, memory_order_relaxed);
    int64_t latency = deployment_latency_us(d);
    calls = calls > 0 ? calls : 0;
    if (calls == 0 && (ask->chance >> 8) % PROBED_IN == PROBED_IN - 1) {
        return 0;
    }
    if (deployment_is_down(d)) {
        return LATENCY_DOWN_US;
    }
    return latency == 0 ? calls * LATENCY_UNKNOWN_US : latency * (1 + calls);
}

static int64_t score_of(const struct decision_ask *ask, enum routing_profile profile,
                        const struct policy_model *model)
{
    int64_t cost = profile == ROUTING_PERFORMANCE ? 0 : cost_at(ask, model);
    int64_t latency = profile == ROUTING_COST ? 0 : latency_of(ask, model);
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
static void add_scored(struct decision_work *w, const struct decision_candidate *c)
{
    size_t at = w->count;
    while (at > 0 && by_score(c, &w->gathered[at - 1]) < 0) {
        at--;
    }
    if (at == DECISION_CANDIDATES) {
        return;
    }
    size_t last = w->count < DECISION_CANDIDATES ? w->count++ : DECISION_CANDIDATES - 1;
    memmove(&w->gathered[at + 1], &w->gathered[at], (last - at) * sizeof(*c));
    w->gathered[at] = *c;
}

/* How many filters let a model pass. */
static size_t passes_of(const struct decision_ask *ask, const struct decision *d,
                        const struct decision_candidate *c)
{
    size_t passed = 0;
    while (passed < sizeof(filters) / sizeof(filters[0]) && filters[passed](ask, d, c) == ERR_OK) {
        passed++;
    }
    return passed;
}

/* All models that may be asked, by the profile. Where none may, one that got furthest stands for
 * what the caller is told. */
static void add_all(struct decision_work *w, const struct decision *d)
{
    static const size_t all = sizeof(filters) / sizeof(filters[0]);
    const struct policy *p = w->ask->policy;
    const struct policy_model *furthest = NULL;
    size_t most = 0;
    for (size_t i = 0; i < p->model_count && i < DECISION_MODELS_MAX; i++) {
        const struct policy_model *model = &p->models[i];
        struct span sent = model->upstream_name.len > 0 ? model->upstream_name : model->name;
        struct decision_candidate c = {.match = {model, model->name, sent},
                                       .why = routing_profile_name(d->profile)};
        if (model->is_pattern || judge_endpoint(w->ask, d, &c) != ERR_OK) {
            continue;
        }
        size_t passed = 1 + passes_of(w->ask, d, &c);
        if (passed > all) {
            c.score = score_of(w->ask, d->profile, model);
            add_scored(w, &c);
        }
        furthest = passed > most ? model : furthest;
        most = passed > most ? passed : most;
    }
    if (w->count == 0 && furthest != NULL) {
        add(w, furthest->name, routing_profile_name(d->profile));
    }
}

/* ---- the whole ---- */

/* Whether it keeps calls in. */
static bool holds_in(const struct routing_rule *rule)
{
    return rule->is_local || rule->region_count > 0 || rule->max_class != DATA_UNSAID;
}

/* What a rule says. One that keeps calls in holds where nobody can decide: not to hold would let
 * out who makes its condition fail. */
static enum condition_outcome ask_rule(struct decision_work *work, size_t i, bool is_auto,
                                       struct decision *d)
{
    const struct routing *r = work->ask->policy->routing;
    const struct routing_rule *rule = routing_rule(r, i);
    if (!is_auto && !rule->binds_named) {
        return CONDITION_NO;
    }
    enum condition_outcome said = routing_decide(r, i, &work->facts, work->ask->scratch);
    d->failed += said == CONDITION_FAILED;
    bool holds = said == CONDITION_YES || (said == CONDITION_FAILED && holds_in(rule));
    d->rule = holds ? rule : NULL;
    return said;
}

static void find_rule(struct decision_work *work, struct decision_trace *trace, struct decision *d)
{
    const struct routing *r = work->ask->policy->routing;
    bool is_auto = decision_is_auto(work->ask->model);
    size_t count = r == NULL || (!is_auto && !routing_binds_named(r)) ? 0 : routing_count(r);
    for (size_t i = 0; i < count && d->rule == NULL; i++) {
        enum condition_outcome said = ask_rule(work, i, is_auto, d);
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
    bool has_profile = d->profile != ROUTING_NO_PROFILE;
    struct span who = d->rule != NULL ? d->rule->name
                      : d->is_local   ? SPAN("local-only")
                      : is_auto       ? span_of(routing_profile_name(d->profile))
                                      : SPAN("direct");
    bool says_profile = has_profile && (d->rule != NULL || d->is_local);
    bool says_local = d->rule != NULL && d->is_local;
    (void)snprintf(d->policy, sizeof(d->policy), "%.*s%s%s%s", SPAN_ARGS(who),
                   says_profile ? "; profile=" : "",
                   says_profile ? routing_profile_name(d->profile) : "",
                   says_local ? "; local-only" : ""); /* names are short: it fits */
}

/* The rule's own order is by chance; a profile puts it in another. A canary stays before it. */
static void order(struct decision_work *w, enum routing_profile profile)
{
    size_t first = w->count > 0 && strcmp(w->gathered[0].why, "canary") == 0 ? 1 : 0, end = first;
    while (end < w->count && strcmp(w->gathered[end].why, "target") == 0) {
        w->gathered[end].score = score_of(w->ask, profile, w->gathered[end].match.model);
        end++;
    }
    qsort(w->gathered + first, end - first, sizeof(w->gathered[0]), by_score);
}

static void gather(struct decision_work *w, const struct decision *d, bool has_targets)
{
    if (has_targets) {
        add_rule(w, d);
        if (d->profile != ROUTING_NO_PROFILE) {
            order(w, d->profile);
        }
        return;
    }
    if (decision_is_auto(w->ask->model)) {
        add_all(w, d);
    } else {
        add(w, w->ask->model, "direct");
    }
    for (size_t i = 0; d->rule != NULL && i < d->rule->fallback_count; i++) {
        add(w, d->rule->fallbacks[i], "fallback");
    }
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

void decision_find(const struct decision_ask *ask, struct decision_work *work,
                   struct decision_trace *trace, struct decision *out)
{
    bool is_auto = decision_is_auto(ask->model);
    struct policy_match named;
    out->count = work->count = 0;
    out->rule = NULL;
    out->failed = 0;
    decision_begin_facts(work, ask);
    if (!is_auto && !policy_find(ask->policy, ask->model, &named)) {
        out->is_local = ask->hints.is_local;
        out->profile = ROUTING_NO_PROFILE;
        name_policy(ask, out);
        return; /* what is not there no rule makes */
    }
    find_rule(work, trace, out);
    out->is_local = ask->hints.is_local || (out->rule != NULL && out->rule->is_local);
    bool has_targets = out->rule != NULL && out->rule->target_count > 0;
    out->profile = is_ordered(ask, out, has_targets) ? profile_of(ask, out) : ROUTING_NO_PROFILE;
    gather(work, out, has_targets);
    name_policy(ask, out);
}
