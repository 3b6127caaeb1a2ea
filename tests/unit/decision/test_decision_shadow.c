/* SPDX-License-Identifier: Apache-2.0 */
/* test_decision_shadow.c — which calls are copied, and where a copy may go. */
#include "unit.h"

#include <stdio.h>

#include "decision/decision.h"

#define RULE "routes:\n  - name: one\n    "
#define SERVER(at, in, zoned, class)                                                   \
    {                                                                                  \
        .name = (at), .url = "http://127.0.0.1:1/v1", .region = (in), .zone = (zoned), \
        .clearance = (class)                                                           \
    }

static bool has(const void *ctx, struct span name)
{
    (void)ctx;
    return name.len > 0;
}

struct scene {
    struct policy *policy;
    struct openai_request request;
    struct key_handle key;
    struct limits_subjects who;
    struct decision_ask ask;
    struct decision_work work;
    struct decision decision;
};

/* The key may use no model at all. */
static bool permits_none(const struct access *a, const struct key_handle *key,
                         const struct limits_subjects *who, struct span asked, struct span name)
{
    (void)a;
    return key == NULL && who == NULL && asked.len + name.len == 0;
}

static void begin(struct scene *s, const char *rules)
{
    static const struct upstream_definition servers[] = {
        SERVER("home", "sa", "riyadh", DATA_SECRET - DATA_PUBLIC),
        SERVER("near", "sa", "jeddah", 0), SERVER("far", "eu", NULL, 0)};
    static const struct model_settings models[] = {
        {.name = "home", .upstream_index = 0, .endpoints = POLICY_CHAT},
        {.name = "near", .upstream_index = 1, .endpoints = POLICY_CHAT},
        {.name = "far", .upstream_index = 2, .endpoints = POLICY_CHAT},
        {.name = "vectors", .upstream_index = 0, .endpoints = POLICY_EMBEDDINGS}};
    static const struct upstream_settings upstreams = {servers, ROWS(servers)};
    static const struct routing_world world = {.has_model = has, .has_region = has};
    struct policy_settings settings = {
        .region = "sa", .zone = "riyadh", .models_count = ROWS(models), .models = models};
    char reason[DEPLOYMENT_REASON_BYTES];
    struct buf problems;
    buf_init(&problems, 4096);
    assert_int_equal(routing_read(span_of(rules), "r", &world, &problems, &settings.routing),
                     ERR_OK);
    *s = (struct scene){.request = {.input_tokens = -1, .output_tokens_max = -1},
                        .who = LIMITS_SUBJECTS_NONE};
    assert_int_equal(policy_open(&settings, &upstreams, NULL, (wall_us){1}, reason, &s->policy),
                     ERR_OK);
    s->ask = (struct decision_ask){.policy = s->policy,
                                   .model = SPAN("auto"),
                                   .request = &s->request,
                                   .who = &s->who,
                                   .key = &s->key,
                                   .permits = permits_none};
    routing_unref(&settings.routing);
    buf_fini(&problems);
}

static void end(struct scene *s)
{
    policy_unref(&s->policy);
}

static void a_copy_goes_where_the_call_may_but_for_the_models_of_its_key(void **state)
{
    (void)state;
    static const struct {
        const char *rules;
        bool is_local;
        enum data_class class;
        enum err expect;
    } rows[] = {
        {"far, percent: 5}\n", false, DATA_PUBLIC, ERR_OK},
        {"far, percent: 5}\n", true, DATA_PUBLIC, ERR_RESIDENCY},
        {"far, percent: 5}\n    policy: local-only\n", false, DATA_PUBLIC, ERR_RESIDENCY},
        {"far, percent: 5}\n    regions: [sa]\n", false, DATA_PUBLIC, ERR_RESIDENCY},
        {"near, percent: 5}\n    regions: [sa]\n", false, DATA_PUBLIC, ERR_OK},
        {"near, percent: 5}\n", false, DATA_SECRET, ERR_CLASSIFICATION},
        {"home, percent: 5}\n", false, DATA_SECRET, ERR_OK},
        {"home, percent: 5}\n    max_class: internal\n", false, DATA_SECRET, ERR_CLASSIFICATION},
        {"vectors, percent: 5}\n", false, DATA_PUBLIC, ERR_MODEL_ENDPOINT},
        {"gone, percent: 5}\n", false, DATA_PUBLIC, ERR_MODEL_UNKNOWN},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct scene s;
        struct decision_candidate c;
        char rules[256];
        (void)snprintf(rules, sizeof(rules), RULE "model: home\n    shadow: {model: %s",
                       rows[i].rules);
        begin(&s, rules);
        s.ask.rights = (const struct access *)(const void *)&s; /* so it is asked */
        s.ask.hints.is_local = rows[i].is_local;
        s.ask.class = rows[i].class;
        decision_find(&s.ask, &s.work, NULL, &s.decision);
        assert_int_equal(decision_shadow(&s.ask, &s.decision, &c), rows[i].expect);
        end(&s);
    }
}

/* Whatever a canary draws, and whatever weights do, a copy is drawn beside them. */
static void a_copy_is_drawn_beside_the_canary(void **state)
{
    (void)state;
    struct scene s;
    unsigned copies = 0, canaries = 0, both = 0;
    uint32_t seed = 1;
    begin(&s, RULE "model: home\n    canary: {model: near, percent: 10}\n"
                   "    shadow: {model: far, percent: 20}\n");
    for (int i = 0; i < 100000; i++) {
        s.ask.chance = seed = seed * 1664525 + 1013904223;
        s.ask.chance ^= s.ask.chance >> 15;
        decision_find(&s.ask, &s.work, NULL, &s.decision);
        bool is_canary = strcmp(s.work.gathered[0].why, "canary") == 0;
        bool is_copied = decision_draws_shadow(&s.ask, &s.decision);
        copies += is_copied;
        canaries += is_canary;
        both += is_canary && is_copied;
    }
    assert_in_range(canaries, 9500, 10500);
    assert_in_range(copies, 19500, 20500);
    assert_in_range(both, 1800, 2200);
    end(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_goes_where_the_call_may_but_for_the_models_of_its_key),
        cmocka_unit_test(a_copy_is_drawn_beside_the_canary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
