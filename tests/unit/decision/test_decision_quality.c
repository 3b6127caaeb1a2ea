/* SPDX-License-Identifier: Apache-2.0 */
/* test_decision_quality.c — what models can do, and how good they are, decides where calls go. */
#include "decision/decision_scene.h"

static const char *const english[] = {"en"};

/* Models of which more is known. */
static const struct model_settings graded[] = {
    MODEL("big", 0, .prices = &prices[0], .prices_count = 1, .tier = 4, .languages = {english, 1}),
    MODEL("small", 1, .prices = &prices[2], .prices_count = 1, .tier = 2),
    MODEL("eyes", 2, .prices = &prices[1], .prices_count = 1, .tier = 3,
          .inputs = POLICY_TEXT | POLICY_IMAGE, .tools = POLICY_CANNOT, .has_guessed_tools = true),
    MODEL("plain", 3, .prices = &prices[1], .prices_count = 1, .inputs = POLICY_TEXT,
          .tools = POLICY_CANNOT),
};

static void begin_graded(struct scene *s, const char *rules, const char *model)
{
    begin_with(s, open_policy(rules, graded, ROWS(graded)), model);
}

static void images_and_tools_go_where_they_may_be_taken(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *model;
        bool has_pictures, has_tools;
        const char *policy, *candidates;
    } rows[] = {
        {NULL, "auto", false, false, "cost", "small eyes plain"},
        {NULL, "auto", true, false, "cost", "small eyes big"},
        {NULL, "auto", false, true, "cost", "small big"},
        {NULL, "auto", true, true, "cost", "small big"},
        {NULL, "plain", true, false, "direct", "CAPABILITY"},
        {NULL, "eyes", true, false, "direct", "eyes"},
        {NULL, "small", true, true, "direct", "small"}, /* nothing is known of it */
        {NULL, "plain", false, true, "direct", "CAPABILITY"},
        {NULL, "eyes", false, true, "direct", "eyes"}, /* the catalogue may be wrong */
        {ONE "model: plain\n", "auto", true, false, "one", "CAPABILITY"},
        {ONE "model: plain\n    fallbacks: [eyes]\n", "auto", true, false, "one", "eyes"},
        {ONE "model: eyes\n    fallbacks: [big]\n", "auto", false, true, "one", "big"},
        {ONE "profile: cost\n    fallbacks: [plain]\n    applies_to: all\n", "eyes", false, true,
         "one", "eyes"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct scene s;
        begin_graded(&s, rows[i].rules, rows[i].model);
        s.ask.hints.profile = decision_is_auto(s.ask.model) ? ROUTING_COST : ROUTING_NO_PROFILE;
        s.gist.has_pictures = rows[i].has_pictures;
        s.gist.has_tools = rows[i].has_tools;
        assert_true(s.policy->is_choosy);
        expect(&s, rows[i].policy, rows[i].candidates);
        s.ask.gist = NULL; /* who does not know what comes takes nothing away */
        decision_find(&s.ask, &s.work, NULL, &s.decision);
        assert_int_equal(decision_choose(&s.ask, &s.work, &s.decision), ERR_OK);
        end(&s);
    }
}

static void quality_counts_beside_latency_and_price(void **state)
{
    (void)state;
    static const int64_t latencies_us[] = {300000, 100000, 200000, 200000};
    struct scene s;
    begin_graded(&s, NULL, "auto");
    for (size_t i = 0; i < ROWS(latencies_us); i++) {
        deployment_health_note_latency(&s.policy->deployments[i]->health, latencies_us[i],
                                       s.ask.mono);
    }
    s.ask.hints.profile = ROUTING_PERFORMANCE; /* a tier is worth half of the time */
    expect(&s, "performance", "big eyes plain");
    s.gist.asked = SPAN("ما هي عاصمة المملكة العربية السعودية؟"); /* which big does not speak */
    s.work.has_language = false;
    expect(&s, "performance", "eyes plain small");
    s.gist.asked = SPAN("xyzzy plugh"); /* nobody is passed over for a guess */
    expect(&s, "performance", "big eyes plain");
    s.gist.asked = SPAN("What is the capital of the kingdom, please?");
    atomic_store(&s.policy->deployments[0]->in_flight, 1);
    expect(&s, "performance", "eyes plain small");
    atomic_store(&s.policy->deployments[0]->in_flight, 0);
    s.ask.hints.profile = ROUTING_BALANCED;
    expect(&s, "balanced", "small eyes plain");
    for (int i = 0; i < 200; i++) {
        deployment_health_note_latency(&s.policy->deployments[1]->health, 1000000, s.ask.mono);
    }
    expect(&s, "balanced", "eyes plain big");
    s.ask.hints.profile = ROUTING_COST; /* which looks at nothing else */
    expect(&s, "cost", "small eyes plain");
    end(&s);
}

static void a_rule_may_ask_for_a_tier(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *model, *policy, *candidates;
    } rows[] = {
        {ONE "profile: cost\n    min_tier: 3\n", "auto", "one; profile=cost", "eyes plain big"},
        {ONE "profile: cost\n    min_tier: 4\n", "auto", "one; profile=cost", "big"},
        {ONE "profile: cost\n    min_tier: 5\n", "auto", "one; profile=cost", "CAPABILITY"},
        {ONE "model: small\n    min_tier: 3\n    fallbacks: [big]\n", "auto", "one", "big"},
        {ONE "profile: cost\n    applies_to: all\n    min_tier: 3\n", "small", "one", "CAPABILITY"},
        {ONE "profile: cost\n    applies_to: all\n    min_tier: 2\n", "small", "one", "small"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct scene s;
        begin_graded(&s, rows[i].rules, rows[i].model);
        expect(&s, rows[i].policy, rows[i].candidates);
        end(&s);
    }
}

static void models_without_prices_are_told_apart_by_the_rest(void **state)
{
    (void)state;
    static const struct model_settings unpriced[] = {
        MODEL("slow", 0, .tier = 3), MODEL("quick", 1, .tier = 3), MODEL("good", 2, .tier = 5),
        MODEL("priced", 3, .tier = 1, .prices = &prices[0], .prices_count = 1)};
    struct scene s;
    begin_with(&s, open_policy(NULL, unpriced, ROWS(unpriced)), "auto");
    deployment_health_note_latency(&s.policy->deployments[0]->health, 300000, s.ask.mono);
    deployment_health_note_latency(&s.policy->deployments[1]->health, 200000, s.ask.mono);
    deployment_health_note_latency(&s.policy->deployments[2]->health, 700000, s.ask.mono);
    expect(&s, "balanced", "priced good quick");
    s.ask.hints.profile = ROUTING_COST;
    expect(&s, "cost", "priced good slow");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_and_tools_go_where_they_may_be_taken),
        cmocka_unit_test(quality_counts_beside_latency_and_price),
        cmocka_unit_test(a_rule_may_ask_for_a_tier),
        cmocka_unit_test(models_without_prices_are_told_apart_by_the_rest),
    };
    return cmocka_run_group_tests_name("decision_quality", tests, NULL, NULL);
}
