/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_guard_call.c — what the guard costs a call: a request, and an event of its answer, with all
 * built-in types looked for.
 *
 * usage: bench_guard_call
 *
 * Nanoseconds are the processor's, of the fastest of many rounds. Each is what the guard adds: the
 * walk over an index that is there, the scan, and the edits; of an event its second index too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guard/guard_flow.h"

#define ROUNDS  31
#define TIMES   2000 /* a round */
#define MUST(e) must((e), #e)

static struct guard_scratch *scratch;
static struct guard_policy *policy;
static struct guard_rule_of of;

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
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* it is there */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void look(const struct json_index *x)
{
    struct arena arena;
    struct guard_case c;
    struct guard_document d;
    struct json_edits edits;
    arena_init(&arena, 1 << 20);
    guard_case_init(&c, &of, &arena);
    json_edits_init(&edits, x, &arena);
    struct guard_look look = {.c = &c, .scratch = scratch, .edits = &edits, .arena = &arena};
    (void)guard_case_wants(&c, GUARD_PROMPT, &look.wanted); /* it does */
    guard_document_begin(&d, &look, OPENAI_TEXTS_REQUEST);
    MUST(guard_document_step(&d, SIZE_MAX));
    guard_document_end(&d);
    guard_case_fini(&c);
    arena_fini(&arena);
}

static void bench_request(const char *name, const char *sentence)
{
    static char body[4096];
    struct json_index x;
    double best = 1e18;
    size_t len = (size_t)snprintf(body, sizeof(body),
                                  "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":"
                                  "\"You are a helpful assistant.\"},{\"role\":\"user\","
                                  "\"content\":\"");
    while (len + strlen(sentence) < 1690) {
        memcpy(body + len, sentence, strlen(sentence));
        len += strlen(sentence);
    }
    (void)snprintf(body + len, sizeof(body) - len, "\"}]}"); /* fits */
    json_index_init(&x, 1 << 16, 64);
    MUST(json_index_parse_borrow(&x, span_of(body)));
    for (int round = 0; round < ROUNDS; round++) {
        double began = now_ns();
        for (int i = 0; i < TIMES; i++) {
            look(&x);
        }
        double took = (now_ns() - began) / TIMES;
        best = took < best ? took : best;
    }
    (void)printf("request, 1.7 kB, %-22s %7.0f ns\n", name, best);
    json_index_fini(&x);
}

static void bench_events(const char *name, const char *const *words, size_t count)
{
    struct arena arena, turn;
    struct guard_case c;
    struct guard_flow f;
    struct guard_wanted wanted;
    struct json_index x;
    double best = 1e18;
    char event[400];
    arena_init(&arena, 64 << 20);
    arena_init(&turn, 1 << 20);
    guard_case_init(&c, &of, &arena);
    (void)guard_case_wants(&c, GUARD_REPLY, &wanted); /* it does */
    guard_flow_init(&f, &c, &wanted, true);
    json_index_init(&x, 1 << 16, 64);
    for (int round = 0; round < ROUNDS; round++) {
        double began = now_ns();
        for (size_t i = 0; i < TIMES; i++) {
            struct json_edits edits;
            struct buf before;
            bool is_silent;
            size_t len = (size_t)snprintf(
                event, sizeof(event),
                "{\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion.chunk\","
                "\"created\":1796139565,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{"
                "\"content\":\"%s\"},\"finish_reason\":null}]}",
                words[i % count]);
            buf_init(&before, 1 << 20);
            MUST(json_index_parse_borrow(&x, span_make(event, len)));
            json_edits_init(&edits, &x, &turn);
            MUST(guard_flow_event(&f, scratch, &edits, &turn, &before, &is_silent));
            buf_fini(&before);
            arena_fini(&turn);
        }
        double took = (now_ns() - began) / TIMES;
        best = took < best ? took : best;
    }
    (void)printf("event, %-31s %7.0f ns, with its writing here\n", name, best);
    json_index_fini(&x);
    guard_flow_fini(&f);
    guard_case_fini(&c);
    arena_fini(&arena);
}

int main(void)
{
    static const char *const english[] = {"The",    " committee", " will",   " meet",
                                          " again", " in",        " spring", ",",
                                          " with",  " 12",        " people", "."};
    static const char *const arabic[] = {"ستجتمع", " اللجنة", " مرة", " أخرى",
                                         " في",    " الربيع", "،"};
    static const char *const digits[] = {"4", "1", "1", "1", " ", "1", "1", "1", "1", " "};
    MUST(guard_scratch_new(&scratch));
    MUST(guard_policy_new(&policy));
    policy->mode = GUARD_ENFORCE;
    memset(policy->actions, GUARD_FLAG, sizeof(policy->actions));
    of = (struct guard_rule_of){.gateway = policy};
    bench_request("English",
                  "The committee will meet again in spring to discuss how the library is run. ");
    bench_request("Arabic",
                  "ستجتمع اللجنة مرة أخرى في الربيع لمناقشة كيفية إدارة المكتبة الجديدة. ");
    bench_request("with values", "Write to ahmed.ali@corp.sa or call +966 50 123 4567 on 12 May. ");
    bench_events("English words", english, sizeof(english) / sizeof(english[0]));
    bench_events("Arabic words", arabic, sizeof(arabic) / sizeof(arabic[0]));
    bench_events("digits, one by one", digits, sizeof(digits) / sizeof(digits[0]));
    guard_policy_unref(&policy);
    guard_scratch_free(&scratch);
    return 0;
}
