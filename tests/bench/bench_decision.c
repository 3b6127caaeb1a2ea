/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_decision.c — what it costs to decide where a call goes, by how many rules there are.
 *
 * usage: bench_decision
 *
 * Nanoseconds are the processor's, of the fastest of many rounds: what the code costs when nothing
 * else disturbs it. A decision is what the core path does for `auto-router`: the facts that rules
 * ask for (the language and the session of the prompt among them), the rules until one holds, the
 * filters, the choice of a place, and the facts that the call's record gets.
 *
 *   rules   none; else a quarter each of four kinds that operators write, of which none holds, and
 *           a last one without a condition
 *   prompt  what was asked last
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "decision/decision_record.h"

#define ROUNDS       31
#define DECISIONS    2000 /* a round */
#define RULES_MOST   1000
#define PROMPT_BYTES 1000
#define MUST(e)      must((e), #e)
#define NOW          ((wall_us){INT64_C(1795489200000000)})

static const size_t counts[] = {0, 10, 100, RULES_MOST};

struct prompt {
    const char *name, *sentence;
    size_t bytes; /* of sentences, whole ones; 0: one */
};

static const struct prompt prompts[] = {
    {"English, 80 bytes",
     "Summarise what the ministry announced about the new desalination plants, please.", 0},
    {"English, 1 kB",
     "Summarise what the ministry announced about the new desalination plants, please. ",
     PROMPT_BYTES},
    {"Arabic, 1 kB",
     "لخّص ما أعلنته الوزارة "
     "عن محطات تحلية المياه الجديدة من فضلك. ",
     PROMPT_BYTES},
};

static uint64_t sink; /* what was computed is used, or the compiler would not compute it */

static void must(enum err e, const char *what)
{
    if (e != ERR_OK) {
        (void)fprintf(stderr, "%s: %s\n", what, err_name(e));
        exit(1);
    }
}

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* this clock exists */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- the policy: two models at a server each ---- */

static bool knows(const void *ctx, struct span name)
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

/* A condition of one of the four kinds, that holds for no call of this bench. */
static void write_condition(size_t number, struct buf *out)
{
    switch (number % 4) {
    case 0:
        buf_printf(out, "language == 'fa' && prompt_tokens > %zu", number);
        break;
    case 1:
        buf_printf(out, "prompt_tokens > 100%zu && stream", number);
        break;
    case 2:
        buf_printf(out, "team in ['treasury', 'audit-%zu']", number);
        break;
    default:
        buf_printf(out, "headers['x-app'] == 'app-%zu'", number);
        break;
    }
}

static void write_rules(size_t count, struct buf *out)
{
    buf_put_text(out, "routes:\n");
    for (size_t i = 0; i + 1 < count; i++) {
        buf_printf(out, "  - name: rule-%zu\n    model: large\n    condition: \"", i);
        write_condition(i, out);
        buf_put_text(out, "\"\n");
    }
    buf_put_text(out, "  - name: rest\n    model: small\n");
    must(buf_failed(out) ? ERR_NO_MEMORY : ERR_OK, "the rules");
}

static struct policy *open_policy(size_t rules)
{
    static const struct upstream_definition servers[] = {
        {.name = "near", .url = "http://127.0.0.1:1/v1", .region = "sa", .breaker = true},
        {.name = "far", .url = "http://127.0.0.1:2/v1", .region = "sa", .breaker = true}};
    static const struct model_settings models[] = {
        {.name = "small", .upstream_index = 0, .endpoints = POLICY_CHAT},
        {.name = "large", .upstream_index = 1, .endpoints = POLICY_CHAT}};
    static const struct upstream_settings upstreams = {servers, 2};
    static const struct routing_world world = {knows, knows_none, knows, NULL, NULL};
    char reason[DEPLOYMENT_REASON_BYTES];
    struct policy_settings settings = {.region = "sa", .models = models, .models_count = 2};
    struct policy *policy = NULL;
    struct buf text, problems;
    buf_init(&text, 1 << 20);
    buf_init(&problems, 4096);
    if (rules > 0) {
        write_rules(rules, &text);
        MUST(routing_read(buf_span(&text), "rules", &world, &problems, &settings.routing));
    }
    MUST(policy_open(&settings, &upstreams, NULL, NOW, reason, &policy));
    routing_unref(&settings.routing);
    buf_fini(&problems);
    buf_fini(&text);
    return policy;
}

/* ---- the decisions ---- */

static bool permits(const struct access *a, const struct key_handle *key,
                    const struct limits_subjects *who, struct span asked, struct span name)
{
    (void)a;
    (void)key;
    (void)who;
    (void)asked;
    (void)name;
    return true;
}

static const struct key_handle nobody; /* a key of no name, user and team */

static double decide(const struct decision_ask *ask)
{
    static struct decision_work work;
    static struct decision decision;
    char facts[DECISION_FACTS_BYTES];
    double began = now_ns();
    for (size_t i = 0; i < DECISIONS; i++) {
        decision_find(ask, &work, NULL, &decision);
        sink += decision_facts_write(ask, &work, facts);
        MUST(decision_choose(ask, &work, &decision));
        sink += decision.count;
    }
    return (now_ns() - began) / DECISIONS;
}

static double detect(struct span prompt)
{
    double began = now_ns();
    for (size_t i = 0; i < DECISIONS; i++) {
        sink += (uint64_t)text_language_of(prompt).permille;
    }
    return (now_ns() - began) / DECISIONS;
}

static double fastest(double best, double took)
{
    return best == 0 || took < best ? took : best;
}

/* One row: the language alone, then each number of rules. */
static void measure(const struct prompt *prompt, struct policy *const *policies)
{
    struct buf text;
    buf_init(&text, 2 * PROMPT_BYTES);
    do {
        buf_put_text(&text, prompt->sentence);
    } while (buf_span(&text).len + strlen(prompt->sentence) <= prompt->bytes);
    const struct openai_request request = {
        .endpoint = OPENAI_CHAT, .input_tokens = -1, .output_tokens_max = -1};
    const struct openai_gist gist = {.asked = buf_span(&text), .turns = 1};
    const struct limits_subjects who = LIMITS_SUBJECTS_NONE;
    struct decision_ask ask = {.key = &nobody,
                               .who = &who,
                               .permits = permits,
                               .request = &request,
                               .model = SPAN("auto-router"),
                               .prompt_tokens = 20,
                               .gist = &gist,
                               .now = NOW,
                               .scratch = condition_scratch_new()};
    double language = 0, best[sizeof(counts) / sizeof(counts[0])] = {0};
    for (size_t round = 0; round < ROUNDS; round++) {
        language = fastest(language, detect(gist.asked));
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            ask.policy = policies[i];
            best[i] = fastest(best[i], decide(&ask));
        }
    }
    (void)printf("%-18s%8zu%11.0f", prompt->name, gist.asked.len, language);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        (void)printf("%11.0f", best[i]);
    }
    (void)printf("\n");
    condition_scratch_free(&ask.scratch);
    buf_fini(&text);
}

int main(void)
{
    struct policy *policies[sizeof(counts) / sizeof(counts[0])];
    (void)printf("nanoseconds a decision; fastest of %d rounds\n%-18s%8s%11s", ROUNDS, "prompt",
                 "bytes", "language");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        policies[i] = open_policy(counts[i]);
        (void)printf("%5zu rules", counts[i]);
    }
    (void)printf("\n");
    for (size_t i = 0; i < sizeof(prompts) / sizeof(prompts[0]); i++) {
        measure(&prompts[i], policies);
    }
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        policy_unref(&policies[i]);
    }
    return sink == 0;
}
