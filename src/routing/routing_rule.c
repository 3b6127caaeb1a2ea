/* SPDX-License-Identifier: Apache-2.0 */
/* One rule of the file. What is wrong is noted, and reading goes on: all of it is told at once. */
#include <stdio.h>
#include <stdlib.h>

#include <glib.h>

#include "routing/routing_internal.h"
#include "text/text_near.h"

#define HEDGE_MAX_MS 60000

static struct span keep(struct routing_reader *in, struct span text)
{
    struct span kept = arena_copy(&in->r->arena, text);
    in->out_of_memory = in->out_of_memory || kept.at == NULL;
    return kept.at == NULL ? SPAN("") : kept;
}

static bool want(struct routing_reader *in, const struct ytree_node *node, enum ytree_kind kind,
                 const char *sentence)
{
    if (node->kind != kind) {
        routing_problem(in, node->place, "%s", sentence);
    }
    return node->kind == kind;
}

/* ---- conditions ---- */

/* Where line `line` of the text begins; its end where there is none. */
static size_t find_line(struct span text, uint32_t line)
{
    size_t at = 0;
    while (line > 1 && at < text.len) {
        at = span_find(text, '\n', at) + 1;
        line--;
    }
    return at < text.len ? at : text.len;
}

/* Where byte `at` of a scalar stands in the file; false: it is folded, or has escapes, and nobody
 * can say. */
static bool find_place(const struct routing_reader *in, const struct ytree_node *node, size_t at,
                       struct ytree_place *out)
{
    size_t begin = find_line(in->text, node->place.line);
    for (uint32_t column = 1; column < node->place.column && begin < in->text.len; column++) {
        begin++;
        while (begin < in->text.len && (in->text.at[begin] & 0xC0) == 0x80) {
            begin++;
        }
    }
    begin += !node->plain;
    if (!span_equal(span_cut(in->text, begin, at), span_cut(node->text, 0, at))) {
        return false;
    }
    *out = node->place;
    out->column += !node->plain;
    for (size_t i = 0; i < at; i++) {
        out->column += (node->text.at[i] & 0xC0) != 0x80;
        if (node->text.at[i] == '\n') {
            return false;
        }
    }
    return true;
}

static void tell(struct routing_reader *in, const struct ytree_node *node,
                 const struct condition_problem *p)
{
    struct ytree_place place = node->place;
    struct span there = span_cut_text(span_cut(node->text, p->at, p->len), 60);
    bool is_found = find_place(in, node, p->at, &place);
    bool is_shown = there.len == 0 || memmem(p->sentence, strlen(p->sentence), there.at, there.len);
    char which[96] = "";
    if (!is_found) {
        (void)snprintf(which, sizeof(which), " (byte %zu of the condition)", p->at + 1); /* fits */
    }
    routing_problem(in, place, "%s%s%.*s%s%s", p->sentence, is_shown ? "" : ": `",
                    is_shown ? 0 : (int)there.len, (const char *)there.at, is_shown ? "" : "`",
                    which);
}

static const struct condition *compile(struct routing_reader *in, const struct ytree_node *node)
{
    struct condition_problem problem;
    struct condition *c = NULL;
    if (!want(in, node, YTREE_SCALAR, "a condition is a text: condition: \"language == 'ar'\"")) {
        return NULL;
    }
    enum err e = condition_compile(node->text, routing_facts, ROUTING_FACTS, &problem, &c);
    if (e == ERR_CONFIG) {
        tell(in, node, &problem);
    }
    in->out_of_memory = in->out_of_memory || e == ERR_NO_MEMORY;
    return c;
}

/* ---- names ---- */

static struct span read_model(struct routing_reader *in, const struct ytree_node *node)
{
    if (!want(in, node, YTREE_SCALAR, "a model is named here")) {
        return SPAN("");
    }
    struct span shown = span_cut_text(node->text, 64);
    if (span_ends(node->text, SPAN("*"))) {
        routing_problem(in, node->place, "'%.*s' is a pattern; name a model that it matches",
                        SPAN_ARGS(shown));
        return SPAN("");
    }
    if (!in->world->has_model(in->world->ctx, node->text)) {
        const char *meant = in->world->near_model(in->world->ctx, node->text);
        routing_problem(in, node->place, "there is no model '%.*s'%s%s%s", SPAN_ARGS(shown),
                        meant == NULL ? "; add it below `models:`" : " — did you mean '",
                        meant == NULL ? "" : meant, meant == NULL ? "" : "'?");
    }
    return keep(in, node->text);
}

static void read_name(struct routing_reader *in, const struct ytree_node *rule_node,
                      struct routing_rule *rule)
{
    static const char *const taken[] = {"direct",      "local-only", "cost",
                                        "performance", "balanced",   "learned"};
    const struct ytree_node *node = ytree_find(rule_node, "name");
    bool is_good = node != NULL && node->kind == YTREE_SCALAR && node->text.len > 0 &&
                   node->text.len <= ROUTING_NAME_MAX;
    for (size_t i = 0; is_good && i < node->text.len; i++) {
        is_good = g_ascii_isalnum(node->text.at[i]) ||
                  (node->text.at[i] != 0 && strchr("._-", node->text.at[i]) != NULL);
    }
    if (!is_good) {
        routing_problem(in, node == NULL ? rule_node->place : node->place,
                        "a rule has a name of 1 to %d letters, digits, '.', '_' and '-': callers "
                        "read it in X-Route-Policy",
                        ROUTING_NAME_MAX);
        return;
    }
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (span_is(node->text, taken[i])) {
            routing_problem(in, node->place,
                            "X-Route-Policy says '%s' of calls without a rule: choose another name",
                            taken[i]);
        }
    }
    rule->name = keep(in, node->text);
}

/* Reads a list of names, or one name; `*count` of them. */
static const struct span *read_names(struct routing_reader *in, const struct ytree_node *node,
                                     const char *what, size_t most, uint16_t *count)
{
    bool is_list = node->kind == YTREE_LIST;
    const struct ytree_node *item = is_list ? node->first : node;
    size_t there = is_list ? node->count : 1;
    if (there == 0 || there > most || node->kind == YTREE_MAP) {
        routing_problem(in, node->place, "%s is a list of 1 to %zu names", what, most);
        return NULL;
    }
    struct span *names = arena_new(&in->r->arena, there * sizeof(*names));
    for (; names != NULL && item != NULL && *count < there; item = item->next) {
        if (want(in, item, YTREE_SCALAR, "a name is wanted here") && item->text.len == 0) {
            routing_problem(in, item->place, "a name of %s is missing here", what);
        } else if (item->kind == YTREE_SCALAR) {
            names[(*count)++] = keep(in, item->text);
        }
    }
    in->out_of_memory = in->out_of_memory || names == NULL;
    return names;
}

static void read_fallbacks(struct routing_reader *in, const struct ytree_node *node,
                           struct routing_rule *rule)
{
    const struct ytree_node *item = node->kind == YTREE_LIST ? node->first : node;
    rule->fallbacks = read_names(in, node, "fallbacks", ROUTING_TARGETS_MAX, &rule->fallback_count);
    for (; rule->fallbacks != NULL && item != NULL;
         item = node->kind == YTREE_LIST ? item->next : NULL) {
        if (item->kind == YTREE_SCALAR) {
            (void)read_model(in, item); /* for what is said of one that is none */
        }
    }
}

static void read_regions(struct routing_reader *in, const struct ytree_node *node,
                         struct routing_rule *rule)
{
    rule->regions = read_names(in, node, "regions", ROUTING_LIST_MAX, &rule->region_count);
    for (size_t i = 0; rule->regions != NULL && i < rule->region_count; i++) {
        if (!in->world->has_region(in->world->ctx, rule->regions[i])) {
            routing_problem(in, node->place, "no upstream stands in the region '%.*s'",
                            SPAN_ARGS(span_cut_text(rule->regions[i], 64)));
        }
    }
}

/* ---- targets ---- */

static bool read_number(struct span text, uint64_t most, uint64_t *out)
{
    return span_to_u64(text, most, out) && *out > 0;
}

static void read_target(struct routing_reader *in, const struct ytree_node *node,
                        struct routing_target *target)
{
    static const char *const names[] = {"model", "weight", NULL};
    *target = (struct routing_target){SPAN(""), 1};
    if (node->kind == YTREE_SCALAR) {
        target->model = read_model(in, node);
        return;
    }
    const struct ytree_node *model = ytree_find(node, "model"),
                            *weight = ytree_find(node, "weight");
    uint64_t number = 1;
    if (node->kind != YTREE_MAP || model == NULL) {
        routing_problem(in, node->place, "a target is a model, or {model: NAME, weight: NUMBER}");
        return;
    }
    routing_check_keys(in, node, "a target", names);
    target->model = read_model(in, model);
    if (weight != NULL && !read_number(weight->text, ROUTING_WEIGHT_MAX, &number)) {
        routing_problem(in, weight->place, "a weight is a whole number from 1 to %d",
                        ROUTING_WEIGHT_MAX);
        number = 1;
    }
    target->weight = (uint32_t)number;
}

static void read_targets(struct routing_reader *in, const struct ytree_node *list,
                         struct routing_rule *rule)
{
    if (list->kind != YTREE_LIST || list->count == 0 || list->count > ROUTING_TARGETS_MAX) {
        routing_problem(in, list->place, "targets is a list of 1 to %d models",
                        ROUTING_TARGETS_MAX);
        return;
    }
    struct routing_target *targets = arena_new(&in->r->arena, list->count * sizeof(*targets));
    const struct ytree_node *node = list->first;
    in->out_of_memory = in->out_of_memory || targets == NULL;
    rule->target_count = 0;
    rule->weights = 0;
    for (; targets != NULL && node != NULL; node = node->next) {
        struct routing_target *target = &targets[rule->target_count++];
        read_target(in, node, target);
        rule->weights += target->weight;
    }
    rule->targets = targets;
}

static void read_one_target(struct routing_reader *in, const struct ytree_node *node,
                            struct routing_rule *rule)
{
    struct routing_target *target = arena_new(&in->r->arena, sizeof(*target));
    in->out_of_memory = in->out_of_memory || target == NULL;
    if (target != NULL) {
        *target = (struct routing_target){read_model(in, node), 1};
        rule->targets = target;
        rule->target_count = 1;
        rule->weights = 1;
    }
}

/* "5" or "0.5" of a hundred calls, in thousandths; 0: it is none. */
static uint32_t read_percent(struct span text)
{
    char number[16];
    if (text.len == 0 || text.len >= sizeof(number) || !g_ascii_isdigit(text.at[0])) {
        return 0;
    }
    span_copy_text(text, number, sizeof(number));
    char *end;
    double thousandths = g_ascii_strtod(number, &end) * 10 + 0.5;
    return *end == '\0' && thousandths >= 1 && thousandths <= 1000.5 ? (uint32_t)thousandths : 0;
}

/* A model, and the part of the rule's calls that it gets. */
static struct routing_target read_part(struct routing_reader *in, const struct ytree_node *node,
                                       const char *what)
{
    static const char *const names[] = {"model", "percent", NULL};
    const struct ytree_node *model = ytree_find(node, "model"),
                            *percent = ytree_find(node, "percent");
    if (node->kind != YTREE_MAP || model == NULL || percent == NULL) {
        routing_problem(in, node->place, "%s is {model: NAME, percent: 5}", what);
        return (struct routing_target){.model = SPAN("")};
    }
    routing_check_keys(in, node, what, names);
    struct routing_target part = {read_model(in, model), read_percent(percent->text)};
    if (part.weight == 0) {
        routing_problem(in, percent->place, "percent is a number from 0.1 to 100");
    }
    return part;
}

static void read_canary(struct routing_reader *in, const struct ytree_node *node,
                        struct routing_rule *rule)
{
    rule->canary = read_part(in, node, "a canary");
}

static void read_shadow(struct routing_reader *in, const struct ytree_node *node,
                        struct routing_rule *rule)
{
    rule->shadow = read_part(in, node, "a shadow");
}

/* ---- when ---- */

/* "08:30" in minutes; -1: it is none. */
static int16_t read_time(struct span text)
{
    uint64_t hour, minute;
    if (text.len != 5 || text.at[2] != ':' || !span_to_u64(span_cut(text, 0, 2), 24, &hour) ||
        !span_to_u64(span_cut(text, 3, 2), 59, &minute) || hour * 60 + minute > 1440) {
        return -1;
    }
    return (int16_t)(hour * 60 + minute);
}

static void read_hours(struct routing_reader *in, const struct ytree_node *node,
                       struct routing_rule *rule)
{
    rule->from = read_time(span_cut(node->text, 0, 5));
    rule->until = read_time(span_cut(node->text, 6, node->text.len));
    bool is_good = node->kind == YTREE_SCALAR && node->text.len == 11 && node->text.at[5] == '-' &&
                   rule->from >= 0 && rule->until >= 0 && rule->from != rule->until;
    if (!is_good) {
        routing_problem(in, node->place,
                        "hours are written \"08:00-18:30\"; over midnight, "
                        "\"22:00-06:00\"");
    }
}

static void read_weekdays(struct routing_reader *in, const struct ytree_node *node,
                          struct routing_rule *rule)
{
    static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    uint16_t count = 0;
    const struct span *names = read_names(in, node, "weekdays", 7, &count);
    for (size_t i = 0; names != NULL && i < count; i++) {
        size_t day = 0;
        while (day < 7 && !span_is(names[i], days[day])) {
            day++;
        }
        if (day == 7) {
            routing_problem(in, node->place,
                            "'%.*s' is no weekday; they are mon, tue, wed, thu, fri, sat, sun",
                            SPAN_ARGS(span_cut_text(names[i], 32)));
        } else {
            rule->weekdays |= (uint8_t)(1u << (day + 1));
        }
    }
}

/* ---- the rest ---- */

enum routing_profile routing_read_profile(struct routing_reader *in, const struct ytree_node *node)
{
    enum routing_profile profile = ROUTING_NO_PROFILE;
    if (node->kind == YTREE_SCALAR && span_is(node->text, "learned")) {
        if (!in->r->has_learned) {
            routing_problem(in, node->place,
                            "the profile learned takes `learned:` of this file: the model of "
                            "vectors, and the examples");
        }
        return ROUTING_LEARNED;
    }
    if (node->kind != YTREE_SCALAR || !routing_profile_find(node->text, &profile)) {
        routing_problem(in, node->place, "a profile is cost, performance, balanced or learned");
    }
    return profile;
}

static void read_profile(struct routing_reader *in, const struct ytree_node *node,
                         struct routing_rule *rule)
{
    rule->profile = routing_read_profile(in, node);
}

static void read_condition(struct routing_reader *in, const struct ytree_node *node,
                           struct routing_rule *rule)
{
    rule->condition = compile(in, node);
}

static void read_teams(struct routing_reader *in, const struct ytree_node *node,
                       struct routing_rule *rule)
{
    rule->teams = read_names(in, node, "teams", ROUTING_LIST_MAX, &rule->team_count);
}

static void read_policy(struct routing_reader *in, const struct ytree_node *node,
                        struct routing_rule *rule)
{
    rule->is_local = span_is(node->text, "local-only");
    if (!rule->is_local) {
        routing_problem(in, node->place, "the one policy of a rule is local-only: the home zone");
    }
}

int64_t routing_read_duration(struct span text)
{
    bool is_ms = span_ends(text, SPAN("ms"));
    uint64_t number;
    if (!span_ends(text, SPAN("s")) ||
        !span_to_u64(span_cut(text, 0, text.len - (is_ms ? 2 : 1)), HEDGE_MAX_MS, &number)) {
        return 0;
    }
    int64_t ms = (int64_t)number * (is_ms ? 1 : 1000);
    return ms <= HEDGE_MAX_MS ? ms : 0;
}

static void read_hedge(struct routing_reader *in, const struct ytree_node *node,
                       struct routing_rule *rule)
{
    static const char *const names[] = {"after", NULL};
    const struct ytree_node *after = ytree_find(node, "after");
    if (node->kind != YTREE_MAP || after == NULL) {
        routing_problem(in, node->place, "a hedge is {after: p95} or {after: 200ms}");
        return;
    }
    routing_check_keys(in, node, "a hedge", names);
    rule->hedge_ms =
        span_is(after->text, "p95") ? ROUTING_HEDGE_SLOW : routing_read_duration(after->text);
    if (rule->hedge_ms == 0) {
        routing_problem(in, after->place, "after is p95, or a time from 1ms to 60s");
    }
}

static void read_max_class(struct routing_reader *in, const struct ytree_node *node,
                           struct routing_rule *rule)
{
    if (!data_class_find(node->text, &rule->max_class)) {
        routing_problem(in, node->place,
                        "max_class is public, internal, restricted, secret or top-secret");
    }
}

static void read_min_tier(struct routing_reader *in, const struct ytree_node *node,
                          struct routing_rule *rule)
{
    uint64_t tier = 0;
    if (node->kind != YTREE_SCALAR || !read_number(node->text, ROUTING_TIER_MAX, &tier)) {
        routing_problem(in, node->place, "min_tier is a whole number from 1 to %d",
                        ROUTING_TIER_MAX);
    }
    rule->min_tier = (uint8_t)tier;
}

static void read_applies_to(struct routing_reader *in, const struct ytree_node *node,
                            struct routing_rule *rule)
{
    rule->binds_named = span_is(node->text, "all");
    if (!rule->binds_named && !span_is(node->text, "auto")) {
        routing_problem(in, node->place,
                        "applies_to is auto (calls that leave the model open) or all");
    }
}

void routing_read_rule(struct routing_reader *in, const struct ytree_node *node,
                       struct routing_rule *rule)
{
    static const struct {
        const char *key;
        void (*read)(struct routing_reader *in, const struct ytree_node *node,
                     struct routing_rule *rule);
    } rows[] = {{"condition", read_condition}, {"model", read_one_target},
                {"targets", read_targets},     {"fallbacks", read_fallbacks},
                {"canary", read_canary},       {"profile", read_profile},
                {"regions", read_regions},     {"policy", read_policy},
                {"max_class", read_max_class}, {"hedge", read_hedge},
                {"teams", read_teams},         {"hours", read_hours},
                {"weekdays", read_weekdays},   {"applies_to", read_applies_to},
                {"shadow", read_shadow},       {"min_tier", read_min_tier}};
    static const char *const names[] = {"name",   "condition", "model",   "targets",  "fallbacks",
                                        "canary", "profile",   "regions", "policy",   "max_class",
                                        "hedge",  "teams",     "hours",   "weekdays", "applies_to",
                                        "shadow", "min_tier",  NULL};
    *rule = (struct routing_rule){
        .name = SPAN(""), .canary = {.model = SPAN("")}, .shadow = {.model = SPAN("")}};
    if (!want(in, node, YTREE_MAP, "a rule is a mapping that begins with `name:`")) {
        return;
    }
    routing_check_keys(in, node, "a rule", names);
    read_name(in, node, rule);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct ytree_node *child = ytree_find(node, rows[i].key);
        if (child != NULL) {
            rows[i].read(in, child, rule);
        }
    }
    const struct ytree_node *model = ytree_find(node, "model"),
                            *targets = ytree_find(node, "targets"),
                            *canary = ytree_find(node, "canary");
    if (canary != NULL && model == NULL && targets == NULL) {
        routing_problem(in, canary->key_place, "a canary stands before a `model:` or `targets:`");
    }
    if (model != NULL && targets != NULL) {
        routing_problem(in, targets->key_place, "a rule has a model or targets, not both");
    } else if (model == NULL && targets == NULL && ytree_find(node, "profile") == NULL) {
        routing_problem(in, node->place,
                        "the rule says no model: give it `model:`, `targets:` or `profile:`");
    }
}
