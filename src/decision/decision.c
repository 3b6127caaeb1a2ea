/* SPDX-License-Identifier: Apache-2.0 */
#include "decision/decision.h"

#include <stdio.h>
#include <stdlib.h>

#include "decision/decision_internal.h"
#include "upstream/upstream_kind.h"

bool decision_is_open(const struct decision_ask *ask)
{
    const struct routing *r = ask->policy->routing;
    return decision_is_auto(ask->model) || ask->hints.is_local ||
           (r != NULL && routing_binds_named(r));
}

/* ---- what a candidate must be, or it is not asked: all take the same, what each needs or not.
 * `place` is one of its model's; NULL where that does not matter ---- */

#define JUDGE_TAKES                                                                               \
    const struct decision_ask *ask, const struct decision *d, const struct decision_candidate *c, \
        const struct policy_place *place

/* Whether the caller asked for it by name. Of a pattern each name is a model of its own. */
static bool is_named(const struct decision_ask *ask, const struct decision_candidate *c)
{
    const struct policy_model *model = c->match.model;
    struct policy_match named;
    return ask->is_direct ||
           (!decision_is_auto(ask->model) && policy_find(ask->policy, ask->model, &named) &&
            named.model == model &&
            (!model->is_pattern || span_equal(named.shown, c->match.shown)));
}

static enum err judge_permission(JUDGE_TAKES)
{
    const struct policy_model *model = c->match.model;
    (void)d;
    (void)place;
    /* Who may use a model by an alias only asks for it by that. */
    struct span asked = is_named(ask, c) ? ask->model : c->match.shown;
    return ask->rights == NULL || ask->permits(ask->rights, ask->key, ask->who, asked, model->name)
               ? ERR_OK
               : ERR_MODEL_NOT_ALLOWED;
}

static enum err judge_endpoint(JUDGE_TAKES)
{
    const struct policy_model *model = c->match.model;
    static const uint32_t bits[] = {[OPENAI_CHAT] = POLICY_CHAT,
                                    [OPENAI_COMPLETIONS] = POLICY_COMPLETIONS,
                                    [OPENAI_EMBEDDINGS] = POLICY_EMBEDDINGS};
    (void)d;
    (void)place;
    return (model->endpoints & bits[ask->request->endpoint]) != 0 ? ERR_OK : ERR_MODEL_ENDPOINT;
}

static enum err judge_inputs(JUDGE_TAKES)
{
    const struct policy_model *model = c->match.model;
    (void)d;
    enum upstream_kind kind = place->deployment->definition.kind;
    bool takes = !ask->request->has_token_arrays ||
                 (model->token_arrays && upstream_kind_row(kind)->takes_token_arrays);
    return takes ? ERR_OK : ERR_VALUE_INVALID;
}

/* What the request brings and the model is known not to take. That it calls no tools is the
 * operator's word, or a catalogue's: who names a model may know better than the latter. */
static enum err judge_ability(JUDGE_TAKES)
{
    const struct policy_model *model = c->match.model;
    const struct openai_gist *gist = ask->gist;
    (void)place;
    bool is_worse = d->rule != NULL && model->tier < d->rule->min_tier;
    if (is_worse || (gist != NULL && gist->has_pictures && model->lacks_images)) {
        return ERR_CAPABILITY;
    }
    bool may = gist == NULL || !gist->has_tools || !model->lacks_tools ||
               (!model->refuses_tools && is_named(ask, c));
    return may ? ERR_OK : ERR_CAPABILITY;
}

/* Context the caller can know is too small: only token arrays are counted exactly. */
static enum err judge_context(JUDGE_TAKES)
{
    const struct policy_model *model = c->match.model;
    (void)d;
    (void)place;
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

/* It stands in a region of the team; where that says none, of the gateway. */
static bool is_in_regions_of(const struct policy *p, const struct access_place *bound,
                             const char *region)
{
    struct span regions = bound->regions.len > 0 ? bound->regions : p->regions;
    return regions.len == 0 || (region != NULL && directory_may_use(regions, span_of(region)));
}

static bool is_at_home(const struct policy *p, const struct upstream_definition *to)
{
    return to->zone != NULL && p->zone.len > 0 && span_equal(span_of(to->zone), p->zone);
}

bool decision_may_stand(const struct policy *policy, const struct access_place *bound,
                        enum data_class class, const struct policy_place *place)
{
    const struct upstream_definition *to = &place->deployment->definition;
    return is_in_regions_of(policy, bound, to->region) &&
           (!bound->is_local || is_at_home(policy, to)) &&
           (bound->most == DATA_UNSAID || class <= bound->most) &&
           class <= deployment_clearance(place->deployment);
}

/* Where it stands is as the rule and the hints want it. What is not known is no. */
static enum err judge_residency(JUDGE_TAKES)
{
    const struct upstream_definition *to = &place->deployment->definition;
    (void)c;
    bool may = is_in_regions(d->rule, to->region) &&
               is_in_regions_of(ask->policy, &ask->place, to->region) &&
               (is_at_home(ask->policy, to) || !d->is_local);
    return may ? ERR_OK : ERR_RESIDENCY;
}

/* Data of this class may go there, and by this rule. */
static enum err judge_class(JUDGE_TAKES)
{
    (void)c;
    bool may =
        ask->class <= deployment_clearance(place->deployment) &&
        (d->rule == NULL || d->rule->max_class == DATA_UNSAID || ask->class <= d->rule->max_class);
    return may ? ERR_OK : ERR_CLASSIFICATION;
}

/* It is not known to fail, and nobody has taken it out. */
static enum err judge_health(JUDGE_TAKES)
{
    (void)d;
    (void)c;
    return deployment_health_admits(&place->deployment->health, ask->mono) ? ERR_OK
                                                                           : ERR_NO_UPSTREAM;
}

/* One behind the other. */
static const struct filter {
    enum err (*judge)(JUDGE_TAKES);
    bool is_of_places; /* each place of a model is judged by itself */
} filters[] = {{judge_permission, false}, {judge_endpoint, false}, {judge_inputs, true},
               {judge_ability, false},    {judge_context, false},  {judge_residency, true},
               {judge_class, true},       {judge_health, true}};

#define FILTERS (sizeof(filters) / sizeof(filters[0]))

/* Takes the places out that do not pass; the error, where none is left. */
static enum err pass(const struct filter *f, const struct decision_ask *ask,
                     const struct decision *d, struct decision_candidate *c)
{
    uint32_t left = 0;
    enum err e = ERR_OK;
    if (!f->is_of_places) {
        return f->judge(ask, d, c, NULL);
    }
    for (uint32_t rest = c->places; rest != 0; rest &= rest - 1) {
        const struct policy_place *place = &c->match.model->places[__builtin_ctz(rest)];
        enum err judged = f->judge(ask, d, c, place);
        e = judged != ERR_OK ? judged : e;
        left |= judged == ERR_OK ? rest & -rest : 0;
    }
    c->places = left != 0 ? left : c->places; /* what is refused is told of one that came so far */
    return left != 0 ? ERR_OK : e;
}

enum err decision_judge(const struct decision_ask *ask, const struct decision *d,
                        const struct decision_candidate *c)
{
    struct decision_candidate judged = *c;
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < FILTERS; i++) {
        e = pass(&filters[i], ask, d, &judged);
    }
    return e;
}

/* Those that fail, or asked for peace, and to whom one call at a time may go: where nobody else is
 * left, that is no worse than a refusal. How many there are. */
static size_t keep_alone(const struct decision_ask *ask, struct decision_candidate *list,
                         size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct decision_candidate c = list[i];
        c.places = 0;
        c.is_alone = true;
        for (uint32_t rest = list[i].places; rest != 0; rest &= rest - 1) {
            const struct policy_place *place = &c.match.model->places[__builtin_ctz(rest)];
            const struct deployment *d = place->deployment;
            bool is_idle = atomic_load_explicit(&d->in_flight, memory_order_relaxed) <= 0;
            bool is_open =
                atomic_load_explicit(&d->health.open_until_us, memory_order_relaxed) != 0;
            bool may =
                deployment_health_admits_alone(&d->health, ask->mono) && (is_open || is_idle);
            c.places |= may ? rest & -rest : 0;
        }
        if (c.places != 0) {
            list[kept++] = c;
        }
    }
    return kept;
}

/* Takes out of a list what may not be asked. */
static enum err filter(const struct decision_ask *ask, const struct decision *d,
                       struct decision_candidate *list, size_t *count)
{
    if (*count == 0) {
        return ERR_MODEL_UNKNOWN;
    }
    for (size_t f = 0; f < FILTERS; f++) {
        size_t kept = 0;
        enum err e = ERR_OK;
        for (size_t i = 0; i < *count; i++) {
            enum err judged = pass(&filters[f], ask, d, &list[i]);
            e = judged != ERR_OK ? judged : e;
            if (judged == ERR_OK) {
                list[kept++] = list[i];
            }
        }
        if (kept == 0 && filters[f].judge == judge_health) {
            kept = keep_alone(ask, list, *count);
        }
        if (kept == 0) {
            return e; /* the record of the refusal names the first */
        }
        *count = kept;
    }
    return ERR_OK;
}

/* How long the first has before another is asked beside it; 0: as long as it takes. */
static int64_t hedge_after(const struct decision *d)
{
    int64_t ms = d->rule->hedge_ms;
    const struct deployment_health *h = &d->candidates[0].match.place->deployment->health;
    int64_t slow_us = atomic_load_explicit(&h->slow_us, memory_order_relaxed);
    return ms != ROUTING_HEDGE_SLOW ? ms : slow_us == 0 ? 0 : slow_us / 1000 + 1;
}

/* The places that are left of the models, the best first, as many as are tried. */
static void choose_places(const struct decision_ask *ask, const struct decision_candidate *list,
                          size_t count, struct decision *d)
{
    d->count = 0;
    for (size_t i = 0; i < count && d->count < DECISION_CANDIDATES; i++) {
        size_t room = DECISION_CANDIDATES - d->count;
        bool is_last = i + 1 == count; /* else there is room for another model behind it */
        size_t most = is_last || room == 1 ? room : room - 1;
        d->count += decision_places(ask, &list[i], most, &d->candidates[d->count]);
    }
    for (size_t i = 1; i < d->count && d->rule != NULL && d->rule->hedge_ms != 0; i++) {
        d->candidates[i].hedge_after_ms = hedge_after(d);
    }
}

/* After an error, one of those that the last filter was asked of. */
static void take_over(const struct decision_ask *ask, const struct decision_candidate *list,
                      size_t count, enum err e, struct decision *d)
{
    if (e == ERR_OK) {
        choose_places(ask, list, count, d);
        return;
    }
    d->count = count < 1 ? 0 : 1;
    memcpy(d->candidates, list, d->count * sizeof(d->candidates[0]));
    if (d->count > 0 && d->candidates[0].places != 0) {
        struct policy_match *match = &d->candidates[0].match;
        policy_place_match(match, &match->model->places[__builtin_ctz(d->candidates[0].places)]);
    }
}

enum err decision_filter(const struct decision_ask *ask, struct decision *d)
{
    struct decision_candidate list[DECISION_CANDIDATES];
    for (size_t i = 0; i < d->count; i++) {
        list[i] = d->candidates[i];
        list[i].places = decision_all_places(list[i].match.model);
    }
    size_t count = d->count;
    enum err e = filter(ask, d, list, &count);
    take_over(ask, list, count, e, d);
    return e;
}

enum err decision_choose(const struct decision_ask *ask, struct decision_work *work,
                         struct decision *d)
{
    enum err e = filter(ask, d, work->gathered, &work->count);
    take_over(ask, work->gathered, work->count, e, d);
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
        w->gathered[w->count++] = (struct decision_candidate){
            .match = match, .places = decision_all_places(match.model), .why = why};
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

/* ---- profiles ---- */

/* The better first; of those alike, that of the higher tier, then the order of the file. */
static int by_score(const void *a, const void *b)
{
    const struct decision_candidate *x = a, *y = b;
    if (x->score != y->score) {
        return x->score > y->score ? -1 : 1;
    }
    if (x->match.model->tier != y->match.model->tier) {
        return x->match.model->tier > y->match.model->tier ? -1 : 1;
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
                        struct decision_candidate *c)
{
    size_t passed = 0;
    while (passed < FILTERS && pass(&filters[passed], ask, d, c) == ERR_OK) {
        passed++;
    }
    return passed;
}

/* All models that may be asked, by the profile. Where none may, one that got furthest stands for
 * what the caller is told. */
static void add_all(struct decision_work *w, const struct decision *d)
{
    const struct policy *p = w->ask->policy;
    const struct policy_model *furthest = NULL;
    size_t most = 0;
    for (size_t i = 0; i < p->model_count && i < DECISION_MODELS_MAX; i++) {
        const struct policy_model *model = &p->models[i];
        struct decision_candidate c = {.match = {.model = model, .shown = model->name},
                                       .places = decision_all_places(model),
                                       .why = routing_profile_name(d->profile)};
        if (model->is_pattern || judge_endpoint(w->ask, d, &c, NULL) != ERR_OK) {
            continue;
        }
        policy_place_match(&c.match, model->places);
        size_t passed = 1 + passes_of(w->ask, d, &c);
        if (passed > FILTERS) {
            c.score = decision_score(w, d->profile, &c);
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
        w->gathered[end].score = decision_score(w, profile, &w->gathered[end]);
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
