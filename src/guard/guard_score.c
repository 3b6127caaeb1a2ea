/* SPDX-License-Identifier: Apache-2.0 */
/* What was found in a text as OpenAI's moderations tell it. */
#include "guard/guard_score.h"

#define PERCENT 100.0

typedef void write_value(const struct guard_score *s, unsigned type, struct json_writer *w);

void guard_score_begin(struct guard_score *s, const struct guard_rule_of *of)
{
    *s = (struct guard_score){.of = *of};
}

/* Where it is told: a team's rule may be called as one of the gateway's. */
static unsigned category_of(const struct guard_score *s, unsigned type)
{
    const struct guard_rules *rules = s->of.gateway == NULL ? NULL : s->of.gateway->rules;
    if (type < GUARD_TEAM_FIRST || rules == NULL) {
        return type;
    }
    unsigned other = guard_rules_find(rules, guard_name_of(&s->of, type));
    return other == GUARD_TYPES_MAX ? type : other;
}

static bool is_acted_on(const struct guard_score *s, const struct guard_finding *f)
{
    unsigned usual = f->type == GUARD_INJECTION ? GUARD_INJECTION_PERCENT : GUARD_PERCENT_MIN;
    return guard_mode_of(&s->of) == GUARD_OFF
               ? f->percent >= usual
               : guard_action_of(&s->of, GUARD_PROMPT, f) != GUARD_ALLOW;
}

void guard_score_note(struct guard_score *s, const struct guard_finding *f)
{
    unsigned type = category_of(s, f->type);
    CHECK(type < GUARD_TYPES_MAX);
    if (f->percent > s->percents[type]) {
        s->percents[type] = f->percent;
    }
    if (is_acted_on(s, f)) {
        s->acts[type] = s->is_flagged = true;
    }
}

/* ---- writing ---- */

static void write_type(const struct guard_score *s, unsigned type, write_value *value,
                       struct json_writer *w)
{
    if (category_of(s, type) == type) {
        json_write_key_span(w, guard_name_of(&s->of, type));
        value(s, type, w);
    }
}

static void write_rules(const struct guard_score *s, const struct guard_policy *p,
                        write_value *value, struct json_writer *w)
{
    if (p == NULL || p->rules == NULL) {
        return;
    }
    unsigned first = guard_rules_first(p->rules);
    for (size_t i = 0; i < guard_rules_count(p->rules); i++) {
        write_type(s, first + (unsigned)i, value, w);
    }
}

/* A member with one of each type. */
static void write_types(const struct guard_score *s, const char *key, write_value *value,
                        struct json_writer *w)
{
    json_write_key(w, key);
    json_write_object(w);
    for (unsigned type = 0; type < GUARD_BUILTINS; type++) {
        write_type(s, type, value, w);
    }
    write_rules(s, s->of.gateway, value, w);
    write_rules(s, s->of.team, value, w);
    json_write_end(w);
}

static void write_category(const struct guard_score *s, unsigned type, struct json_writer *w)
{
    json_write_bool(w, s->acts[type]);
}

static void write_percent(const struct guard_score *s, unsigned type, struct json_writer *w)
{
    json_write_double(w, s->percents[type] / PERCENT);
}

static void write_inputs(const struct guard_score *s, unsigned type, struct json_writer *w)
{
    (void)s;
    (void)type;
    json_write_raw(w, SPAN("[\"text\"]"));
}

void guard_score_write(const struct guard_score *s, struct json_writer *w)
{
    json_write_object(w);
    json_write_key(w, "flagged");
    json_write_bool(w, s->is_flagged);
    write_types(s, "categories", write_category, w);
    write_types(s, "category_scores", write_percent, w);
    write_types(s, "category_applied_input_types", write_inputs, w);
    json_write_end(w);
}
