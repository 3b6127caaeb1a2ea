/* SPDX-License-Identifier: Apache-2.0 */
/* test_decision.c — hints, candidates and filters: what a caller may come to, and why not. */
#include "decision/decision_scene.h"

#include "http/http_request.h"

static const char *const nicks[] = {"nick"};

static const struct model_settings models[] = {
    MODEL("dear", 0, .prices = &prices[0], .prices_count = 1, .aliases = {nicks, 1}),
    MODEL("middle", 1, .prices = &prices[1], .prices_count = 1, .context_tokens = 100),
    MODEL("cheap", 2, .prices = &prices[2], .prices_count = 1, .token_arrays = true),
    MODEL("unpriced", 3, .token_arrays = true),
    MODEL("org/*", 2, .is_pattern = true),
    {.name = "vectors", .upstream_index = 0, .endpoints = POLICY_EMBEDDINGS},
};

static void begin(struct scene *s, const char *rules, const char *model)
{
    begin_with(s, open_policy(rules, models, ROWS(models)), model);
}

static void a_call_has_the_candidates_that_its_rule_names(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *model;
        uint32_t chance;
        const char *policy, *candidates;
    } rows[] = {
        {NULL, "dear", 0, "direct", "dear"},
        {NULL, "org/x", 0, "direct", "org/x"},
        {NULL, "nothing", 0, "direct", "MODEL_UNKNOWN"},
        {ONE "model: middle\n", "dear", 0, "direct", "dear"},
        {ONE "model: middle\n", "auto", 0, "one", "middle"},
        {ONE "model: middle\n", "Auto-Router", 0, "one", "middle"},
        {ONE "model: middle\n    applies_to: all\n", "dear", 0, "one", "middle"},
        {ONE "model: middle\n    fallbacks: [middle, dear, org/y]\n", "auto", 0, "one",
         "middle dear org/y"},
        {ONE "targets: [dear, middle, unpriced]\n", "auto", 0, "one", "dear middle unpriced"},
        {ONE "targets: [dear, middle, unpriced]\n", "auto", UINT32_MAX, "one",
         "unpriced dear middle"},
        {ONE "targets: [{model: dear, weight: 3}, middle]\n", "auto", 0xBFFFFFFF, "one",
         "dear middle"},
        {ONE "targets: [{model: dear, weight: 3}, middle]\n", "auto", 0xC0000000, "one",
         "middle dear"},
        {ONE "model: dear\n    canary: {model: middle, percent: 10}\n", "auto", 0, "one",
         "middle dear"},
        {ONE "model: dear\n    canary: {model: middle, percent: 10}\n", "auto", 0xFFFF, "one",
         "dear"},
        {ONE "model: dear\n    condition: stream\n", "auto", 0, "balanced", "cheap middle dear"},
        {ONE "targets: [dear, unpriced, middle]\n    profile: cost\n", "auto", 0,
         "one; profile=cost", "middle dear unpriced"},
        {ONE "profile: cost\n", "auto", 0, "one; profile=cost", "cheap middle dear"},
        {ONE "profile: cost\n    regions: [sa]\n", "auto", 0, "one; profile=cost", "middle dear"},
        {ONE "profile: cost\n    policy: local-only\n", "auto", 0, "one; profile=cost; local-only",
         "dear"},
        {ONE "model: cheap\n    regions: [sa]\n    fallbacks: [unpriced]\n", "auto", 0, "one",
         "RESIDENCY"},
        {ONE "model: cheap\n    regions: [sa]\n    fallbacks: [unpriced, middle]\n", "auto", 0,
         "one", "middle"},
        {ONE "model: middle\n    policy: local-only\n", "auto", 0, "one; local-only", "RESIDENCY"},
        {ONE "targets: [cheap, unpriced, org/a, org/b, vectors]\n    regions: [sa]\n"
             "    fallbacks: [cheap, middle]\n",
         "auto", 0, "one", "middle"},
        {ONE "model: middle\n    applies_to: all\n", "nothing", 0, "direct", "MODEL_UNKNOWN"},
        {ONE "model: middle\n    applies_to: all\n    condition: model == 'dear'\n", "nick", 0,
         "one", "middle"},
        {ONE
         "model: middle\n    policy: local-only\n    condition: \"headers['x'].matches('a')\"\n",
         "auto", 0, "one; local-only", "RESIDENCY"}, /* nobody can decide without scratch */
        {ONE "model: middle\n    condition: \"headers['x'].matches('a')\"\n", "auto", 0, "balanced",
         "cheap middle dear"},
        {ONE "model: org/a\n    fallbacks: [org/a, org/b]\n", "auto", 0, "one", "org/a org/b"},
        {ONE "targets: [dear, middle]\n    profile: cost\n    applies_to: all\n", "dear", 0,
         "one; profile=cost", "middle dear"},
        {ONE "profile: cost\n    fallbacks: [middle]\n    applies_to: all\n", "dear", 0, "one",
         "dear middle"},
        {ONE "model: vectors\n", "auto", 0, "one", "MODEL_ENDPOINT"},
        {ONE "model: vectors\n    regions: [eu]\n", "auto", 0, "one", "MODEL_ENDPOINT"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct scene s;
        begin(&s, rows[i].rules, rows[i].model);
        s.ask.chance = rows[i].chance;
        expect(&s, rows[i].policy, rows[i].candidates);
        end(&s);
    }
}

static void hints_take_away_and_order(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *model;
        struct decision_hints hints;
        const char *policy, *candidates;
    } rows[] = {
        {NULL, "auto", {.profile = ROUTING_COST, .is_local = false}, "cost", "cheap middle dear"},
        {NULL,
         "auto",
         {.profile = ROUTING_NO_PROFILE, .is_local = true},
         "local-only; profile=balanced",
         "dear"},
        {NULL,
         "middle",
         {.profile = ROUTING_NO_PROFILE, .is_local = true},
         "local-only",
         "RESIDENCY"},
        {NULL, "dear", {.profile = ROUTING_COST, .is_local = true}, "local-only", "dear"},
        {ONE "targets: [dear, middle]\n",
         "auto",
         {.profile = ROUTING_COST, .is_local = false},
         "one; profile=cost",
         "middle dear"},
        {ONE "model: dear\n", "auto", {.profile = ROUTING_COST, .is_local = false}, "one", "dear"},
        {ONE "model: cheap\n",
         "auto",
         {.profile = ROUTING_NO_PROFILE, .is_local = true},
         "one; local-only",
         "RESIDENCY"},
        {ONE "targets: [dear, middle]\n    profile: cost\n",
         "auto",
         {.profile = ROUTING_PERFORMANCE, .is_local = false},
         "one; profile=cost",
         "middle dear"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct scene s;
        begin(&s, rows[i].rules, rows[i].model);
        s.ask.hints = rows[i].hints;
        expect(&s, rows[i].policy, rows[i].candidates);
        end(&s);
    }
}

static void the_first_filter_that_leaves_none_decides(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, ONE "targets: [cheap]\n    regions: [xx]\n", "auto");
    s.ask.rights = (const struct access *)(uintptr_t)1; /* permits() alone sees it */
    expect(&s, "one", "MODEL_NOT_ALLOWED");
    end(&s);

    /* Who may use one model gets no other by a rule that binds it. */
    begin(&s, ONE "model: cheap\n    applies_to: all\n", "dear");
    s.ask.rights = (const struct access *)(uintptr_t)1;
    expect(&s, "one", "MODEL_NOT_ALLOWED");
    end(&s);

    /* Each name of a pattern is a model of its own. */
    begin(&s, ONE "model: org/huge\n    applies_to: all\n", "org/mini");
    s.ask.rights = (const struct access *)(uintptr_t)1;
    expect(&s, "one", "MODEL_NOT_ALLOWED");
    end(&s);
    begin(&s, ONE "model: org/mini\n", "auto");
    s.ask.rights = (const struct access *)(uintptr_t)1;
    expect(&s, "one", "org/mini");
    end(&s);

    begin(&s, NULL, "middle");
    s.request.input_tokens = 101;
    expect(&s, "direct", "CONTEXT_LENGTH");
    s.request.has_token_arrays = true;
    expect(&s, "direct", "VALUE_INVALID");
    end(&s);
}

static void classes_and_teams_take_away(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *model;
        const char *regions;
        enum data_class usual, most;
        bool is_local;
        enum data_class said;
        const char *policy, *candidates; /* or the error of binding */
    } rows[] = {
        {NULL, "dear", "sa", DATA_UNSAID, DATA_UNSAID, false, DATA_UNSAID, "direct", "dear"},
        {NULL, "cheap", "sa\nus", DATA_UNSAID, DATA_UNSAID, false, DATA_UNSAID, "direct",
         "RESIDENCY"},
        {NULL, "unpriced", "eu", DATA_UNSAID, DATA_UNSAID, false, DATA_UNSAID, "direct",
         "RESIDENCY"},
        {NULL, "middle", "", DATA_UNSAID, DATA_UNSAID, true, DATA_UNSAID, "local-only",
         "RESIDENCY"},
        {NULL, "dear", "", DATA_UNSAID, DATA_SECRET, false, DATA_SECRET, "direct", "dear"},
        {NULL, "dear", "", DATA_TOP_SECRET, DATA_UNSAID, false, DATA_UNSAID, "direct",
         "CLASSIFICATION"},
        {NULL, "middle", "", DATA_UNSAID, DATA_UNSAID, false, DATA_INTERNAL, "direct",
         "CLASSIFICATION"},
        {NULL, "middle", "", DATA_UNSAID, DATA_UNSAID, false, DATA_PUBLIC, "direct", "middle"},
        {NULL, "middle", "", DATA_INTERNAL, DATA_UNSAID, false, DATA_PUBLIC, "", "SOVEREIGNTY"},
        {NULL, "middle", "", DATA_UNSAID, DATA_INTERNAL, false, DATA_RESTRICTED, "", "SOVEREIGNTY"},
        {ONE "model: dear\n    max_class: restricted\n", "auto", "", DATA_UNSAID, DATA_UNSAID,
         false, DATA_RESTRICTED, "one", "dear"},
        {ONE "model: dear\n    max_class: restricted\n", "auto", "", DATA_UNSAID, DATA_UNSAID,
         false, DATA_SECRET, "one", "CLASSIFICATION"},
        {ONE "model: dear\n    condition: \"classification == 'secret'\"\n", "auto", "",
         DATA_INTERNAL, DATA_UNSAID, false, DATA_SECRET, "one", "dear"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct scene s;
        char why[DECISION_WHY_BYTES] = "";
        begin(&s, rows[i].rules, rows[i].model);
        s.ask.place = (struct access_place){span_of(rows[i].regions), rows[i].most, rows[i].usual,
                                            rows[i].is_local};
        s.ask.hints.class = rows[i].said;
        enum err e = decision_bind(&s.ask, why);
        if (e == ERR_OK) {
            expect(&s, rows[i].policy, rows[i].candidates);
        } else {
            assert_string_equal(err_name(e), rows[i].candidates);
            assert_true(strlen(why) > 20);
        }
        end(&s);
    }
}

static void who_answers_sooner_comes_first_by_performance(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, NULL, "auto");
    s.ask.hints.profile = ROUTING_PERFORMANCE;
    struct deployment **at = s.policy->deployments;
    static const int64_t took[] = {100000, 300000, 200000, 900000};
    for (size_t i = 0; i < ROWS(took); i++) {
        deployment_health_note_latency(&at[i]->health, took[i], (mono_us){0});
    }
    expect(&s, "performance", "dear cheap middle");
    atomic_store(&at[0]->in_flight, 9);
    expect(&s, "performance", "cheap middle unpriced");
    for (int i = 0; i < DEPLOYMENT_DOWN; i++) {
        deployment_health_failed(&at[2]->health, ERR_UPSTREAM_CONNECT, 0, (mono_us){0});
    }
    expect(&s, "performance", "middle unpriced dear"); /* nobody asks it now; */
    s.ask.mono.us = DEPLOYMENT_OPEN_US;
    s.ask.chance = 63 << 8; /* later one call in many asks anew whoever has none */
    expect(&s, "performance", "middle cheap unpriced");
    s.ask.chance = 0;
    int64_t trial;
    assert_true(deployment_health_begin(&at[2]->health, s.ask.mono, &trial));
    deployment_health_answered(&at[2]->health, trial, s.ask.mono);
    for (int i = 0; i < 100; i++) {
        deployment_health_note_latency(&at[2]->health, 800000, s.ask.mono);
    }
    assert_in_range(atomic_load(&at[2]->health.latency_us), 790000, 800000);
    expect(&s, "performance", "middle cheap unpriced");
    atomic_store(&s.policy->deployments[0]->in_flight, 0);
    end(&s);
}

static void hints_are_read_in_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *wishes[2];
        enum err error;
        struct decision_hints hints;
    } rows[] = {
        {{NULL}, ERR_OK, {.profile = ROUTING_NO_PROFILE, .is_local = false}},
        {{"cost"}, ERR_OK, {.profile = ROUTING_COST, .is_local = false}},
        {{"cost-optimized", "cost"}, ERR_OK, {.profile = ROUTING_COST, .is_local = false}},
        {{"local-only", "balanced"}, ERR_OK, {.profile = ROUTING_BALANCED, .is_local = true}},
        {{"latency-optimized"}, ERR_OK, {.profile = ROUTING_PERFORMANCE, .is_local = false}},
        {{"cost", "performance"}, ERR_VALUE_INVALID, {0}},
        {{"COST"}, ERR_VALUE_INVALID, {0}},
        {{""}, ERR_VALUE_INVALID, {0}},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct openai_wishes wishes = {.count = 0};
        struct decision_hints hints;
        while (wishes.count < 2 && rows[i].wishes[wishes.count] != NULL) {
            wishes.at[wishes.count] =
                (struct openai_wish){span_of(rows[i].wishes[wishes.count]), SPAN("p"), false};
            wishes.count++;
        }
        enum err e = decision_read_hints(&wishes, NULL, &hints);
        if (e != rows[i].error) {
            fail_msg("row %zu: %s", i, err_name(e));
        }
        if (e == ERR_OK) {
            assert_int_equal(hints.profile, rows[i].hints.profile);
            assert_int_equal(hints.is_local, rows[i].hints.is_local);
        }
    }
}

/* ---- facts ---- */

/* The fields of a head, as it was sent. */
struct head {
    struct http_request request;
    struct http_field rows[16];
};

static const struct http_fields *read_head(struct head *h, const char *lines)
{
    static char text[1024];
    static const struct http_limits limits = {sizeof(text), sizeof(text)};
    size_t used = 0;
    (void)snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: h\r\n%s\r\n", lines);
    http_request_init(&h->request, &limits, h->rows, ROWS(h->rows));
    assert_int_equal(http_request_parse(&h->request, span_of(text), &used), ERR_OK);
    assert_true(used > 0);
    return &h->request.fields;
}

/* Whether the condition holds: then the rule's model comes first, else the profile's. */
static void expect_fact(struct scene *s, const char *condition, bool holds)
{
    char rules[512];
    (void)snprintf(rules, sizeof(rules), ONE "model: vectors\n    condition: \"%s\"\n", condition);
    policy_unref(&s->policy);
    s->ask.policy = s->policy = open_policy(rules, models, ROWS(models));
    decision_find(&s->ask, &s->work, NULL, &s->decision);
    if ((s->decision.rule != NULL) != holds) {
        fail_msg("%s: %s", condition, holds ? "does not hold" : "holds");
    }
}

static void the_share_of_code_is_a_fact(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, NULL, "auto");
    expect_fact(&s, "code_share == 0.0", true);
    s.gist.asked = SPAN("int f(int x)\n{\n    return x;\n}");
    expect_fact(&s, "code_share > 0.5", true);
    expect_fact(&s, "code_share == 1.0 && language != 'ar'", true);
    s.ask.gist = NULL; /* token numbers */
    expect_fact(&s, "code_share == 0.0", true);
    end(&s);
}

static void without_budgets_none_is_used(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, NULL, "auto");
    expect_fact(&s, "budget_used_pct == 0", true);
    expect_fact(&s, "budget_used_pct >= 1", false);
    end(&s);
}

static void a_session_is_a_fact(void **state)
{
    (void)state;
    struct scene s;
    struct head h;
    begin(&s, NULL, "auto");
    expect_fact(&s, "session == ''", true);
    s.gist.session.opening = SPAN("be|hi");
    expect_fact(&s, "session.matches('^[0-9a-f]{16}$')", false); /* nobody can decide: no scratch */
    expect_fact(&s, "size(session) == 16", true);
    s.gist.session.named = SPAN("mine");
    expect_fact(&s, "session == 'mine'", true);
    s.ask.headers = read_head(&h, "X-Session-ID: theirs\r\nX-OpenWebUI-Chat-Id: chat\r\n");
    expect_fact(&s, "session == 'chat'", true);
    s.ask.headers = read_head(&h, "X-OpenWebUI-Chat-Id: a b\r\nX-Session-ID: theirs\r\n");
    expect_fact(&s, "session.startsWith('their')", true); /* a name has no blanks */
    s.ask.headers = read_head(&h, "X-Request-Id: r\r\nUser: u\r\n");
    expect_fact(&s, "session == 'mine'", true);
    end(&s);
}

static uint64_t session_hash(struct scene *s, const char *key, const char *model)
{
    struct decision_session session;
    (void)snprintf(s->key.id, sizeof(s->key.id), "%s", key);
    s->ask.model = span_of(model);
    decision_session_find(&s->ask, &session);
    assert_true(session.hash != 0);
    return session.hash;
}

/* An id may be anybody's, and many begin with "hello": keys part them. Of openings models do. */
static void sessions_of_two_keys_are_two(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, NULL, "auto");
    s.gist.session.opening = SPAN("be|hi");
    uint64_t opened = session_hash(&s, "k1", "auto");
    assert_true(opened == session_hash(&s, "k1", "auto"));
    assert_true(opened != session_hash(&s, "k2", "auto"));
    assert_true(opened != session_hash(&s, "k1", "dear"));
    assert_true(session_hash(&s, "k1", "dear") == session_hash(&s, "k1", "nick"));
    s.gist.session.opening = SPAN("be|ho");
    assert_true(opened != session_hash(&s, "k1", "auto"));
    s.gist.session.named = SPAN("1");
    uint64_t named = session_hash(&s, "k1", "auto");
    assert_true(named == session_hash(&s, "k1", "dear"));
    assert_true(named != session_hash(&s, "k2", "auto"));
    struct decision_session none;
    s.ask.gist = NULL;
    decision_session_find(&s.ask, &none);
    assert_true(none.hash == 0 && none.len == 0 && !none.is_named);
    end(&s);
}

/* Whatever is drawn, nothing stands where it may not. */
static void nothing_is_ever_left_that_stands_elsewhere(void **state)
{
    (void)state;
    static const char *const rules[] = {
        ONE "targets: [dear, middle, cheap, unpriced]\n    regions: [sa]\n    fallbacks: [cheap]\n",
        ONE "targets: [cheap]\n    canary: {model: unpriced, percent: 50}\n    regions: [sa]\n"
            "    fallbacks: [middle, unpriced]\n",
        ONE "profile: performance\n    regions: [sa]\n",
    };
    uint32_t seed = 7;
    for (size_t i = 0; i < ROWS(rules); i++) {
        struct scene s;
        begin(&s, rules[i], "auto");
        for (int round = 0; round < 2000; round++) {
            seed = seed * 1664525 + 1013904223;
            s.ask.chance = seed;
            s.ask.hints.is_local = (seed >> 9 & 1) != 0;
            decision_find(&s.ask, &s.work, NULL, &s.decision);
            enum err e = decision_choose(&s.ask, &s.work, &s.decision);
            for (size_t c = 0; e == ERR_OK && c < s.decision.count; c++) {
                const struct upstream_definition *to =
                    &s.decision.candidates[c].match.place->deployment->definition;
                assert_true(to->region != NULL && strcmp(to->region, "sa") == 0);
                assert_true(!s.ask.hints.is_local || strcmp(to->zone, "riyadh") == 0);
            }
            assert_true(e == ERR_OK || e == ERR_RESIDENCY);
        }
        end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_has_the_candidates_that_its_rule_names),
        cmocka_unit_test(hints_take_away_and_order),
        cmocka_unit_test(the_first_filter_that_leaves_none_decides),
        cmocka_unit_test(classes_and_teams_take_away),
        cmocka_unit_test(who_answers_sooner_comes_first_by_performance),
        cmocka_unit_test(hints_are_read_in_every_form),
        cmocka_unit_test(the_share_of_code_is_a_fact),
        cmocka_unit_test(without_budgets_none_is_used),
        cmocka_unit_test(a_session_is_a_fact),
        cmocka_unit_test(sessions_of_two_keys_are_two),
        cmocka_unit_test(nothing_is_ever_left_that_stands_elsewhere),
    };
    return cmocka_run_group_tests_name("decision", tests, NULL, NULL);
}
