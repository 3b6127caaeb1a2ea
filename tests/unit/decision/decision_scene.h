/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decision_scene.h — a policy of some models at four servers, and a call that asks where it may go.
 */
#ifndef TESTS_DECISION_DECISION_SCENE_H
#define TESTS_DECISION_DECISION_SCENE_H

#include "unit.h"

#include <stdio.h>

#include "decision/decision.h"

#define SERVER(n, r, z)                                                                  \
    {                                                                                    \
        .name = n, .kind = UPSTREAM_OLLAMA, .url = "http://127.0.0.1:1/v1", .region = r, \
        .zone = z, .breaker = true                                                       \
    }

static const struct upstream_definition servers[] = {
    {.name = "home",
     .url = "http://127.0.0.1:1/v1",
     .region = "sa",
     .zone = "riyadh",
     .breaker = true,
     .clearance = DATA_SECRET - DATA_PUBLIC},
    SERVER("near", "sa", "jeddah"),
    SERVER("far", "eu", NULL),
    SERVER("nowhere", NULL, NULL),
};

static const struct policy_price prices[] = {
    {.input_nano = 100, .output_nano = 900, .per_tokens = 1, .currency = "USD"},
    {.input_nano = 100, .output_nano = 100, .per_tokens = 1, .currency = "USD"},
    {.input_nano = 1, .output_nano = 1, .per_tokens = 1, .currency = "USD"},
};

#define MODEL(n, u, ...)                                                      \
    {                                                                         \
        .name = n, .upstream_index = u, .endpoints = POLICY_CHAT, __VA_ARGS__ \
    }

static inline bool knows(const void *ctx, struct span name)
{
    (void)ctx;
    (void)name;
    return true;
}

static const char *knows_none(const void *ctx, struct span name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

static inline struct policy *open_policy(const char *rules, const struct model_settings *of,
                                         size_t count)
{
    static const struct upstream_settings upstreams = {servers, ROWS(servers)};
    static const struct routing_world world = {knows, knows_none, knows, NULL, NULL};
    char reason[DEPLOYMENT_REASON_BYTES];
    struct policy_settings settings = {
        .zone = "riyadh", .region = "sa", .models = of, .models_count = count};
    struct policy *p = NULL;
    struct buf problems;
    buf_init(&problems, 4096);
    if (rules != NULL &&
        routing_read(span_of(rules), "r", &world, &problems, &settings.routing) != ERR_OK) {
        fail_msg("%.*s", SPAN_ARGS(buf_span(&problems)));
    }
    assert_int_equal(policy_open(&settings, &upstreams, NULL, (wall_us){1}, reason, &p), ERR_OK);
    routing_unref(&settings.routing);
    buf_fini(&problems);
    return p;
}

static inline bool permits(const struct access *a, const struct key_handle *key,
                           const struct limits_subjects *who, struct span asked, struct span name)
{
    (void)a;
    (void)key;
    (void)who;
    return span_is(name, "org/*")
               ? span_is(asked, "org/mini")
               : !span_is(name, "cheap") && (span_is(asked, "dear") || !span_is(name, "dear"));
}

struct scene {
    struct policy *policy;
    struct openai_request request;
    struct key_handle key;
    struct limits_subjects who;
    struct openai_gist gist;
    struct decision_ask ask;
    struct decision_work work;
    struct decision decision;
};

static inline void begin_with(struct scene *s, struct policy *policy, const char *model)
{
    *s = (struct scene){.policy = policy,
                        .request = {.input_tokens = -1, .output_tokens_max = -1},
                        .who = LIMITS_SUBJECTS_NONE,
                        .gist = {.asked = SPAN("hello")}};
    s->ask = (struct decision_ask){.policy = s->policy,
                                   .key = &s->key,
                                   .who = &s->who,
                                   .permits = permits,
                                   .request = &s->request,
                                   .model = span_of(model),
                                   .prompt_tokens = 10,
                                   .gist = &s->gist};
}

/* "dear middle", or the error's name and what the last filter left behind. */
static inline void expect(struct scene *s, const char *policy, const char *candidates)
{
    char said[256] = "";
    size_t len = 0;
    decision_find(&s->ask, &s->work, NULL, &s->decision);
    enum err e = decision_choose(&s->ask, &s->work, &s->decision);
    if (e != ERR_OK) {
        len = (size_t)snprintf(said, sizeof(said), "%s", err_name(e));
    }
    for (size_t i = 0; e == ERR_OK && i < s->decision.count; i++) {
        len += (size_t)snprintf(said + len, sizeof(said) - len, "%s%.*s", i == 0 ? "" : " ",
                                SPAN_ARGS(s->decision.candidates[i].match.shown));
    }
    assert_string_equal(said, candidates);
    assert_string_equal(s->decision.policy, policy);
}

static inline void end(struct scene *s)
{
    policy_unref(&s->policy);
}

#define ONE "routes:\n  - name: one\n    "

#endif
