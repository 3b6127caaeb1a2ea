/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a decision that is explained. */
#include "decision/decision_explain_internal.h"

#include "json/json_write.h"

static void put_text(struct json_writer *w, const char *name, struct span text)
{
    json_write_key(w, name);
    json_write_string(w, text);
}

static void put_fact(struct explaining *x, struct json_writer *w, unsigned fact)
{
    struct condition_value value;
    const struct condition_fact *row = &routing_facts[fact];
    if (row->missing != NULL || row->type == CONDITION_MAP ||
        !x->work.facts.find(x->work.facts.ctx, fact, &value)) {
        return;
    }
    json_write_key(w, row->name);
    switch ((unsigned)row->type) {
    case CONDITION_BOOL:
        json_write_bool(w, value.truth);
        break;
    case CONDITION_INT:
        json_write_int(w, value.number);
        break;
    case CONDITION_REAL:
        json_write_double(w, value.real);
        break;
    default:
        json_write_string(w, value.text);
    }
}

static void put_facts(struct explaining *x, struct json_writer *w)
{
    json_write_key(w, "facts");
    json_write_object(w);
    for (unsigned fact = 0; fact < ROUTING_FACTS; fact++) {
        bool needs_rules = fact == ROUTING_HOUR || fact == ROUTING_WEEKDAY;
        if (!needs_rules || x->ask->policy->routing != NULL) {
            put_fact(x, w, fact);
        }
    }
    json_write_end(w);
}

/* Whether the rule is asked at all. */
static bool may_bind(const struct explaining *x, const struct routing_rule *rule)
{
    return rule->binds_named || decision_is_auto(x->ask->model);
}

static void put_rules(struct explaining *x, struct json_writer *w)
{
    const struct routing *r = x->ask->policy->routing;
    json_write_key(w, "rules");
    json_write_array(w);
    for (size_t i = 0; r != NULL && i < routing_count(r); i++) {
        const struct routing_rule *rule = routing_rule(r, i);
        json_write_object(w);
        put_text(w, "name", rule->name);
        put_text(w, "condition",
                 rule->condition == NULL ? SPAN("true") : condition_text(rule->condition));
        json_write_key(w, "matched");
        if (i < x->trace.asked && may_bind(x, rule)) {
            json_write_bool(w, x->decision.rule == rule);
        } else {
            json_write_null(w); /* it was not asked */
        }
        if (i < x->trace.asked && x->trace.outcomes[i] == CONDITION_FAILED) {
            json_write_key(w, "error");
            json_write_text(w, "the condition could not be decided");
        }
        json_write_end(w);
    }
    json_write_end(w);
}

/* The code by which a caller is told. */
static const char *code_of(enum err e)
{
    return e == ERR_RESIDENCY        ? "residency"
           : e == ERR_CLASSIFICATION ? "classification"
           : e == ERR_NO_UPSTREAM    ? "health"
                                     : err_row(e)->code;
}

/* The last member of who may be asked, or not. */
static void put_excluded(struct json_writer *w, enum err e)
{
    json_write_key(w, "excluded");
    if (e == ERR_OK) {
        json_write_null(w);
    } else {
        json_write_text(w, code_of(e));
    }
    json_write_end(w);
}

/* The calls that it has, and of what: ours, and by its report all that run and wait there. */
static void put_load(struct explaining *x, struct json_writer *w, const struct deployment *d)
{
    struct upstream_load said;
    int64_t age_us;
    json_write_key(w, "calls");
    json_write_int(w, deployment_calls(d, x->ask->mono));
    if (deployment_load_said(&d->load, x->ask->mono, &said, &age_us)) {
        json_write_key(w, "reported");
        json_write_object(w);
        json_write_key(w, "running");
        json_write_int(w, said.running);
        json_write_key(w, "waiting");
        json_write_int(w, said.waiting);
        json_write_key(w, "age_ms");
        json_write_int(w, age_us / 1000);
        json_write_end(w);
    }
}

static void put_candidate(struct json_writer *w, const struct decision_candidate *c)
{
    put_text(w, "model", c->match.shown);
    json_write_key(w, "deployment");
    json_write_text(w, c->match.place->deployment->definition.name);
    json_write_key(w, "score");
    json_write_int(w, c->score);
    json_write_key(w, "why");
    json_write_text(w, c->why);
    if (c->is_predicted) {
        json_write_key(w, "quality");
        json_write_double(w, c->prediction.quality);
        json_write_key(w, "bound");
        json_write_double(w, c->prediction.bound);
        json_write_key(w, "neighbours");
        json_write_int(w, (int64_t)c->prediction.neighbours);
    }
}

/* One place of a candidate. */
static void put_judged(struct explaining *x, struct json_writer *w, struct decision_candidate c,
                       size_t place)
{
    c.places = UINT32_C(1) << place;
    policy_place_match(&c.match, &c.match.model->places[place]);
    enum err e = decision_judge(x->ask, &x->decision, &c);
    json_write_object(w);
    put_candidate(w, &c);
    put_load(x, w, c.match.place->deployment);
    put_excluded(w, e);
}

static void put_candidates(struct explaining *x, struct json_writer *w)
{
    json_write_key(w, "candidates");
    json_write_array(w);
    for (size_t i = 0; i < x->work.count; i++) {
        const struct decision_candidate *c = &x->work.gathered[i];
        for (size_t p = 0; p < c->match.model->place_count; p++) {
            put_judged(x, w, *c, p);
        }
    }
    json_write_end(w);
}

/* Whom the rule sends copies, and whether this call's may go there. */
static void put_shadow(struct explaining *x, struct json_writer *w)
{
    struct decision_candidate c;
    const struct routing_rule *rule = x->decision.rule;
    if (rule == NULL || rule->shadow.weight == 0) {
        return;
    }
    enum err e = decision_shadow(x->ask, &x->decision, &c);
    json_write_key(w, "shadow");
    json_write_object(w);
    put_text(w, "model", rule->shadow.model);
    json_write_key(w, "percent");
    json_write_double(w, rule->shadow.weight / 10.0);
    put_excluded(w, e);
}

/* The first that is left, and what the caller would be told. */
static void put_end(struct explaining *x, struct json_writer *w)
{
    enum err e = x->refused;
    e = e == ERR_OK ? decision_choose(x->ask, &x->work, &x->decision) : e;
    const struct decision_candidate *c = &x->decision.candidates[0];
    json_write_key(w, "chosen");
    if (e == ERR_OK) {
        const char *region = c->match.place->deployment->definition.region;
        json_write_object(w);
        put_candidate(w, c);
        json_write_end(w);
        put_text(w, "policy", span_of(x->decision.policy));
        put_text(w, "residency", region == NULL ? SPAN("unknown") : span_of(region));
        json_write_key(w, "status");
        json_write_int(w, 200);
        put_shadow(x, w);
        return;
    }
    json_write_null(w);
    put_text(w, "policy", span_of(x->decision.policy));
    json_write_key(w, "residency");
    json_write_null(w);
    json_write_key(w, "status");
    json_write_int(w, err_row(e)->status);
    put_text(w, "code", span_of(err_row(e)->code));
}

/* What examples had to do with it. */
static void put_learned(struct explaining *x, struct json_writer *w)
{
    const struct routing_learned *l = routing_learned_of(x->ask->policy->routing);
    if (x->learned == NULL || l == NULL) {
        return;
    }
    json_write_key(w, "learned");
    json_write_object(w);
    put_text(w, "outcome", span_of(x->learned));
    put_text(w, "embeddings", l->embeddings);
    json_write_key(w, "neighbours");
    json_write_int(w, (int64_t)(x->ask->search == NULL ? 0 : x->search.count));
    json_write_key(w, "target");
    json_write_double(w, l->target);
    json_write_end(w);
}

enum err decision_explain_write(struct explaining *x, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out);
    json_write_object(&w);
    put_facts(x, &w);
    put_rules(x, &w);
    put_candidates(x, &w);
    put_end(x, &w);
    put_learned(x, &w);
    json_write_end(&w);
    return json_write_finish(&w);
}
