/* SPDX-License-Identifier: Apache-2.0 */
/* test_routing.c — rules as a file says them, and which of them holds. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "routing/routing.h"

static bool has_model(const void *ctx, struct span name)
{
    (void)ctx;
    return span_is(name, "arabic-large") || span_is(name, "general-small") || span_is(name, "big");
}

static const char *near_model(const void *ctx, struct span name)
{
    (void)ctx;
    return span_starts(name, SPAN("arabic")) ? "arabic-large" : NULL;
}

static bool has_region(const void *ctx, struct span region)
{
    (void)ctx;
    return span_is(region, "sa") || span_is(region, "ae");
}

static const struct routing_world world = {has_model, near_model, has_region, NULL, NULL};

static struct routing *read_good(const char *text)
{
    struct buf problems;
    struct routing *r = NULL;
    buf_init(&problems, 65536);
    if (routing_read(span_of(text), "r.yaml", &world, &problems, &r) != ERR_OK) {
        fail_msg("%s: %.*s", text, SPAN_ARGS(buf_span(&problems)));
    }
    assert_int_equal(buf_span(&problems).len, 0);
    buf_fini(&problems);
    return r;
}

static const char whole[] = "version: \"3\"\n"
                            "time_zone: Asia/Riyadh\n"
                            "default_profile: cost\n"
                            "routes:\n"
                            "  - name: \"arabic-native\"\n"
                            "    condition: \"language == 'ar'\"\n"
                            "    model: \"arabic-large\"\n"
                            "    fallbacks: [general-small]\n"
                            "    regions: [sa, ae]\n"
                            "    policy: local-only\n"
                            "    max_class: restricted\n"
                            "  - name: split\n"
                            "    condition: prompt_tokens < 100\n"
                            "    targets:\n"
                            "      - {model: general-small, weight: 3}\n"
                            "      - big\n"
                            "    canary: {model: arabic-large, percent: 2.5}\n"
                            "    shadow: {model: general-small, percent: 0.1}\n"
                            "    teams: [ministry, team_abc]\n"
                            "    hours: 08:00-16:30\n"
                            "    weekdays: [sun, mon]\n"
                            "    applies_to: all\n"
                            "  - name: rest\n"
                            "    profile: performance-optimized\n";

static void a_file_says_its_rules(void **state)
{
    (void)state;
    struct routing *r = read_good(whole);
    assert_int_equal(routing_count(r), 3);
    assert_true(span_is(routing_version(r), "3"));
    assert_int_equal(routing_default_profile(r), ROUTING_COST);
    assert_int_equal(routing_uses(r), 1u << ROUTING_LANGUAGE | 1u << ROUTING_PROMPT_TOKENS);
    const struct routing_rule *rule = routing_rule(r, 0);
    assert_true(span_is(rule->name, "arabic-native"));
    assert_true(span_is(rule->targets[0].model, "arabic-large"));
    assert_int_equal(rule->weights, 1);
    assert_int_equal(rule->fallback_count, 1);
    assert_true(span_is(rule->fallbacks[0], "general-small"));
    assert_int_equal(rule->region_count, 2);
    assert_true(rule->is_local && !rule->binds_named);
    rule = routing_rule(r, 1);
    assert_int_equal(rule->target_count, 2);
    assert_int_equal(rule->weights, 4);
    assert_int_equal(rule->canary.weight, 25);
    assert_true(span_is(rule->shadow.model, "general-small") && rule->shadow.weight == 1);
    assert_int_equal(rule->team_count, 2);
    assert_int_equal(rule->from, 480);
    assert_int_equal(rule->until, 990);
    assert_int_equal(rule->weekdays, 1u << 7 | 1u << 1);
    assert_true(rule->binds_named);
    rule = routing_rule(r, 2);
    assert_null(rule->condition);
    assert_int_equal(rule->profile, ROUTING_PERFORMANCE);
    struct routing *other = routing_ref(r);
    routing_unref(&r);
    assert_null(r);
    assert_int_equal(routing_count(other), 3);
    routing_unref(&other);
    routing_unref(&other);
}

static void a_file_without_rules_is_a_file(void **state)
{
    (void)state;
    static const char *const files[] = {"routes: []\n",
                                        "default_profile: performance\nroutes: []\n"};
    for (size_t i = 0; i < ROWS(files); i++) {
        struct routing *r = read_good(files[i]);
        assert_int_equal(routing_count(r), 0);
        routing_unref(&r);
    }
}

#define RULE "routes:\n  - name: a\n    model: big\n"

static void what_is_wrong_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"routes:\n  - name: a\n    condition: \"langage == 'ar'\"\n    model: big\n",
         "r.yaml:3:17: there is no fact 'langage' — did you mean 'language'?\n"},
        {"routes:\n  - name: a\n    condition: stream && langage\n    model: big\n",
         "r.yaml:3:26: there is no fact 'langage'"},
        {"routes:\n  - name: a\n    condition: >\n      stream &&\n      langage\n    model: big\n",
         "(byte 11 of the condition)\n"},
        {"routes:\n  - name: a\n    condition: \"'م' == team &&\"\n    model: big\n",
         "r.yaml:3:31: a value is missing at the end\n"},
        {"routes:\n  - name: a\n    condition: \"stream stream\"\n    model: big\n",
         "r.yaml:3:24: an operator is missing before this: &&, ||, == …: `stream`\n"},
        {"routes:\n  - name: a\n    condition: \"pii == 'x'\"\n    model: big\n",
         "'pii' is a list of texts and ''x'' is a text: they cannot be compared"},
        {"routes:\n  - name: a\n    condition: [a]\n    model: big\n",
         "3:16: a condition is a text"},
        {"routes:\n  - name: a\n    model: arabic-lage\n",
         "r.yaml:3:12: there is no model 'arabic-lage' — did you mean 'arabic-large'?\n"},
        {"routes:\n  - name: a\n    model: x\n", "add it below `models:`"},
        {"routes:\n  - name: a\n    modle: big\n",
         "3:5: a rule has no 'modle' — did you mean 'model'?"},
        {"routes:\n  - name: a\n    mirror: big\n    model: big\n", "a rule has no 'mirror'"},
        {"routes:\n  - name: a\n", "2:5: the rule says no model"},
        {"routes:\n  - model: big\n", "2:5: a rule has a name"},
        {"routes:\n  - name: \"a b\"\n    model: big\n", "2:11: a rule has a name"},
        {"routes:\n  - name: direct\n    model: big\n", "choose another name"},
        {RULE "  - name: a\n    model: big\n", "4:5: a rule of line 2 is called 'a' already"},
        {RULE "    targets: [big]\n", "not both"},
        {"routes:\n  - name: a\n    targets: []\n", "3:14: targets is a list"},
        {"routes:\n  - name: a\n    targets: [{model: big, weight: 0}]\n", "a weight is"},
        {"routes:\n  - name: a\n    targets: [{weight: 1}]\n", "a target is a model"},
        {"routes:\n  - name: a\n    targets: [{model: big, weigth: 1}]\n",
         "did you mean 'weight'?"},
        {RULE "    canary: {model: big, percent: 0}\n", "percent is a number"},
        {RULE "    canary: {model: big, percent: 101}\n", "percent is a number"},
        {RULE "    canary: {model: big, percent: x}\n", "percent is a number"},
        {RULE "    shadow: {model: big, percent: 0.01}\n", "percent is a number"},
        {RULE "    shadow: {model: nothing, percent: 5}\n", "there is no model 'nothing'"},
        {RULE "    shadow: {model: big}\n", "a shadow is {model: NAME, percent: 5}"},
        {RULE "    shadow: {model: big, percent: 5, weight: 1}\n", "a shadow has no 'weight'"},
        {RULE "    canary: big\n", "a canary is {model: NAME, percent: 5}"},
        {RULE "    fallbacks: [nothing]\n", "4:17: there is no model 'nothing'"},
        {RULE "    regions: [us]\n", "no upstream stands in the region 'us'"},
        {RULE "    hours: 8-16\n", "hours are written"},
        {RULE "    hours: 08:00-08:00\n", "hours are written"},
        {RULE "    hours: 08:00-25:00\n", "hours are written"},
        {RULE "    weekdays: [monday]\n", "'monday' is no weekday"},
        {RULE "    max_class: geheim\n", "max_class is public"},
        {RULE "    policy: yes\n", "local-only"},
        {RULE "    applies_to: named\n", "applies_to is auto"},
        {RULE "    min_tier: 0\n", "min_tier is a whole number from 1 to 5"},
        {RULE "    min_tier: 6\n", "min_tier is a whole number from 1 to 5"},
        {RULE "    min_tier: [3]\n", "min_tier is a whole number from 1 to 5"},
        {RULE "    profile: cheap\n", "cost, performance, balanced or learned"},
        {RULE "    teams: []\n", "teams is a list"},
        {"routes: {a: b}\n", "1:9: routes is a list"},
        {"routes:\n  - a\n", "2:5: a rule is a mapping"},
        {"- a\n", "begins with `routes:`"},
        {"rutes: []\n", "did you mean 'routes'?"},
        {"", "1:1: there are no `routes:`"},
        {"routes:\n", "say `routes: []`"},
        {"# nothing\n", "say `routes: []`"},
        {"routes: []\ntime_zone: localtime\n", "time_zone is a name"},
        {"routes: []\ntime_zone: zone.tab\n", "time_zone is a name"},
        {"routes: []\ntime_zone: leapseconds\n", "time_zone is a name"},
        {RULE "    teams: [\"\"]\n", "a name of teams is missing"},
        {RULE "    teams:\n", "a name of teams is missing"},
        {"routes:\n  - name: a\n    model: b*\n", "is a pattern"},
        {"routes:\n  - name: a\n    profile: cost\n    canary: {model: big, percent: 5}\n",
         "a canary stands before"},
        {"routes:\n  - name: a\n    condition: \"language == 'arabic'\"\n    model: big\n",
         "language is never 'arabic'"},
        {"routes: []\ntime_zone: Mars/Base\n", "2:12: time_zone is a name"},
        {"routes: []\ntime_zone: ../x\n", "time_zone is a name"},
        {"routes: []\nversion: [1]\n", "version is a text"},
        {"routes: [\n", "r.yaml:"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct buf problems;
        struct routing *r = NULL;
        buf_init(&problems, 65536);
        enum err e = routing_read(span_of(rows[i].text), "r.yaml", &world, &problems, &r);
        buf_put_byte(&problems, 0);
        const char *said = (const char *)buf_span(&problems).at;
        if (e != ERR_CONFIG || r != NULL || strstr(said, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].text, said);
        }
        buf_fini(&problems);
    }
}

/* ---- which holds ---- */

struct call {
    int hour, minute, weekday;
    const char *team, *language;
};

static bool find(void *ctx, unsigned fact, struct condition_value *out)
{
    const struct call *call = ctx;
    switch (fact) {
    case ROUTING_HOUR:
        out->number = call->hour;
        return true;
    case ROUTING_MINUTE:
        out->number = call->minute;
        return true;
    case ROUTING_WEEKDAY:
        out->number = call->weekday;
        return true;
    case ROUTING_TEAM:
        out->text = span_of(call->team);
        return true;
    case ROUTING_TEAM_ID:
        out->text = SPAN("team_abc");
        return true;
    case ROUTING_LANGUAGE:
        out->text = span_of(call->language);
        return true;
    default:
        return false;
    }
}

static bool holds(const char *more, struct call call)
{
    char text[512];
    (void)snprintf(text, sizeof(text), RULE "%s", more);
    struct routing *r = read_good(text);
    struct condition_facts facts = {.find = find, .ctx = &call};
    enum condition_outcome said = routing_decide(r, 0, &facts, NULL);
    assert_int_not_equal(said, CONDITION_FAILED);
    routing_unref(&r);
    return said == CONDITION_YES;
}

static void a_rule_holds_for_its_teams_and_in_its_time(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        struct call call;
        bool expect;
    } rows[] = {
        {"", {12, 0, 3, "bank", "en"}, true},
        {"    condition: language == 'ar'\n", {12, 0, 3, "bank", "ar"}, true},
        {"    condition: language == 'ar'\n", {12, 0, 3, "bank", "en"}, false},
        {"    teams: [bank]\n", {12, 0, 3, "bank", "en"}, true},
        {"    teams: [ministry]\n", {12, 0, 3, "bank", "en"}, false},
        {"    teams: [ministry, team_abc]\n", {12, 0, 3, "bank", "en"}, true},
        {"    hours: 08:00-16:30\n", {8, 0, 3, "", "en"}, true},
        {"    hours: 08:00-16:30\n", {16, 29, 3, "", "en"}, true},
        {"    hours: 08:00-16:30\n", {16, 30, 3, "", "en"}, false},
        {"    hours: 08:00-16:30\n", {7, 59, 3, "", "en"}, false},
        {"    hours: 00:00-24:00\n", {23, 59, 3, "", "en"}, true},
        {"    hours: 22:00-06:00\n", {23, 0, 3, "", "en"}, true},
        {"    hours: 22:00-06:00\n", {5, 59, 3, "", "en"}, true},
        {"    hours: 22:00-06:00\n", {6, 0, 3, "", "en"}, false},
        {"    weekdays: [wed]\n", {6, 0, 3, "", "en"}, true},
        {"    weekdays: [thu, fri]\n", {6, 0, 3, "", "en"}, false},
        {"    weekdays: [sun]\n    hours: 22:00-06:00\n", {5, 0, 1, "", "en"}, true},
        {"    weekdays: [sun]\n    hours: 22:00-06:00\n", {23, 0, 7, "", "en"}, true},
        {"    weekdays: [mon]\n    hours: 22:00-06:00\n", {5, 0, 1, "", "en"}, false},
        {"    weekdays: [sun]\n    hours: 22:00-06:00\n", {23, 0, 1, "", "en"}, false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        if (holds(rows[i].more, rows[i].call) != rows[i].expect) {
            fail_msg("row %zu: %s", i, rows[i].more);
        }
    }
}

static void the_time_is_that_of_the_files_zone(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct routing_moment expect;
    } rows[] = {
        {"", {21, 30, 4}}, /* Thursday, 31 December 2026, 21:30 UTC */
        {"time_zone: UTC\n", {21, 30, 4}},
        {"time_zone: Asia/Riyadh\n", {0, 30, 5}},
        {"time_zone: America/New_York\n", {16, 30, 4}},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "routes: []\n%s", rows[i].text);
        struct routing *r = read_good(text);
        struct routing_moment m = routing_moment_of(r, (wall_us){INT64_C(1798752600000000)});
        assert_int_equal(m.hour, rows[i].expect.hour);
        assert_int_equal(m.minute, rows[i].expect.minute);
        assert_int_equal(m.weekday, rows[i].expect.weekday);
        routing_unref(&r);
    }
}

static void profiles_have_the_names_that_callers_use(void **state)
{
    (void)state;
    enum routing_profile profile;
    assert_true(routing_profile_find(SPAN("latency-optimized"), &profile));
    assert_int_equal(profile, ROUTING_PERFORMANCE);
    assert_true(routing_profile_find(SPAN("balanced"), &profile));
    assert_string_equal(routing_profile_name(profile), "balanced");
    assert_false(routing_profile_find(SPAN(""), &profile));
    assert_false(routing_profile_find(SPAN("fast"), &profile));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_says_its_rules),
        cmocka_unit_test(a_file_without_rules_is_a_file),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(a_rule_holds_for_its_teams_and_in_its_time),
        cmocka_unit_test(the_time_is_that_of_the_files_zone),
        cmocka_unit_test(profiles_have_the_names_that_callers_use),
    };
    return cmocka_run_group_tests_name("routing", tests, NULL, NULL);
}
