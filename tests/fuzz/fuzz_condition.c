/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_condition.c — any bytes are a condition that can be decided, twice alike, or a problem at a
 * place of the text. What is wrapped in brackets, or said twice, says the same.
 */
#include "fuzz.h"

#include "condition/condition.h"

#include <stdio.h>

enum { LANGUAGE, TOKENS, STREAM, TAGS, PII, CONFIDENCE, LATER, BROKEN, FACTS };

static const struct condition_fact facts[FACTS] = {
    [LANGUAGE] = {"language", CONDITION_TEXT, "ar|en", NULL},
    [TOKENS] = {"prompt_tokens", CONDITION_INT, NULL, NULL},
    [STREAM] = {"stream", CONDITION_BOOL, NULL, NULL},
    [TAGS] = {"tags", CONDITION_MAP, NULL, NULL},
    [PII] = {"pii", CONDITION_TEXTS, NULL, NULL},
    [CONFIDENCE] = {"confidence", CONDITION_REAL, NULL, NULL},
    [LATER] = {"later", CONDITION_BOOL, NULL, "nobody looks for it"},
    [BROKEN] = {"broken", CONDITION_TEXT, NULL, NULL},
};

static bool find(void *ctx, unsigned fact, struct condition_value *out)
{
    static const struct span pii[] = {{(const uint8_t *)"email", 5}};
    (void)ctx;
    switch (fact) {
    case LANGUAGE:
        out->text = SPAN("ar");
        return true;
    case TOKENS:
        out->number = 42;
        return true;
    case STREAM:
        out->truth = true;
        return true;
    case PII:
        out->texts.at = pii;
        out->texts.count = 1;
        return true;
    case CONFIDENCE:
        out->real = 0.5;
        return true;
    default:
        CHECK(fact == BROKEN);
        return false;
    }
}

static bool find_member(void *ctx, unsigned fact, struct span key, struct span *out)
{
    (void)ctx;
    CHECK(fact == TAGS);
    *out = SPAN("prod");
    return key.len == 3;
}

static enum condition_outcome decide(const struct condition *c, struct condition_scratch *scratch)
{
    struct condition_facts f = {.find = find, .find_member = find_member};
    enum condition_outcome first = condition_decide(c, &f, scratch);
    CHECK(condition_decide(c, &f, scratch) == first);
    return first;
}

/* What another text says, if it is one: `text` twice in brackets with `between` them. */
static void expect(struct span text, const char *between, enum condition_outcome said,
                   struct condition_scratch *scratch)
{
    char other[3 * CONDITION_BYTES_MAX];
    struct condition_problem problem;
    struct condition *c = NULL;
    int len = snprintf(other, sizeof(other), "(%.*s) %s (%.*s)", SPAN_ARGS(text), between,
                       SPAN_ARGS(text));
    if (condition_compile(span_make(other, (size_t)len), facts, FACTS, &problem, &c) == ERR_OK) {
        CHECK(decide(c, scratch) == said);
    }
    condition_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct condition_problem problem = {0};
    struct condition_scratch *scratch = condition_scratch_new();
    struct condition *c = NULL;
    struct span text = span_make(data, size);
    enum err e = condition_compile(text, facts, FACTS, &problem, &c);
    if (e == ERR_OK) {
        enum condition_outcome said = decide(c, scratch);
        if (memchr(data, '\0', size) == NULL) {
            expect(text, "||", said, scratch);
            expect(text, "&&", said, scratch);
            expect(text, "&& true ? true :", said, scratch);
        }
    } else {
        CHECK(e == ERR_CONFIG && c == NULL && problem.sentence[0] != '\0');
        CHECK(problem.at <= size);
    }
    condition_free(&c);
    condition_scratch_free(&scratch);
    return 0;
}
