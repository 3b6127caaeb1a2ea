/* SPDX-License-Identifier: Apache-2.0 */
/* test_condition.c — what a condition says of facts, and what is said of one that is none. */
#include "unit.h"

#include <stdio.h>

#include "condition/condition.h"

enum { LANGUAGE, TOKENS, STREAM, MODEL, ENDPOINT, TAGS, PII, CONFIDENCE, LATER, BROKEN, FACTS };

static const struct condition_fact facts[FACTS] = {
    [LANGUAGE] = {"language", CONDITION_TEXT, NULL, NULL},
    [TOKENS] = {"prompt_tokens", CONDITION_INT, NULL, NULL},
    [STREAM] = {"stream", CONDITION_BOOL, NULL, NULL},
    [MODEL] = {"model", CONDITION_TEXT, NULL, NULL},
    [ENDPOINT] = {"endpoint", CONDITION_TEXT, "chat|completions|embeddings", NULL},
    [TAGS] = {"tags", CONDITION_MAP, NULL, NULL},
    [PII] = {"pii", CONDITION_TEXTS, NULL, NULL},
    [CONFIDENCE] = {"confidence", CONDITION_REAL, NULL, NULL},
    [LATER] = {"later", CONDITION_BOOL, NULL, "nobody looks for it"},
    [BROKEN] = {"broken", CONDITION_BOOL, NULL, NULL},
};

struct asked {
    unsigned times[FACTS];
};

static bool find(void *ctx, unsigned fact, struct condition_value *out)
{
    static const struct span pii[] = {{(const uint8_t *)"email", 5}, {(const uint8_t *)"iban", 4}};
    struct asked *asked = ctx;
    asked->times[fact]++;
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
    case MODEL:
        out->text = SPAN("نموذج-large");
        return true;
    case ENDPOINT:
        out->text = SPAN("chat");
        return true;
    case PII:
        out->texts.at = pii;
        out->texts.count = 2;
        return true;
    case CONFIDENCE:
        out->real = 0.75;
        return true;
    default:
        return false;
    }
}

static bool find_member(void *ctx, unsigned fact, struct span key, struct span *out)
{
    (void)ctx;
    assert_int_equal(fact, TAGS);
    *out = SPAN("prod");
    return span_is(key, "env") || span_is(key, "a-b");
}

static enum condition_outcome decide(const char *text, struct asked *asked)
{
    struct condition_problem problem;
    struct condition *c = NULL;
    struct condition_facts f = {.find = find, .find_member = find_member, .ctx = asked};
    struct condition_scratch *scratch = condition_scratch_new();
    assert_non_null(scratch);
    if (condition_compile(span_of(text), facts, FACTS, &problem, &c) != ERR_OK) {
        fail_msg("%s: %s (at %zu, %zu)", text, problem.sentence, problem.at, problem.len);
    }
    assert_true(span_is(condition_text(c), text));
    enum condition_outcome first = condition_decide(c, &f, scratch);
    assert_int_equal(condition_decide(c, &f, scratch), first);
    condition_free(&c);
    assert_null(c);
    condition_free(&c);
    condition_scratch_free(&scratch);
    return first;
}

static void a_condition_says_what_it_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum condition_outcome expect;
    } rows[] = {
        {"true", CONDITION_YES},
        {"false", CONDITION_NO},
        {"!false", CONDITION_YES},
        {"!!stream", CONDITION_YES},
        {"language == 'ar'", CONDITION_YES},
        {"language != 'ar'", CONDITION_NO},
        {"'ar' == language", CONDITION_YES},
        {"(language) == ('ar')", CONDITION_YES},
        {"language < 'as' && language > 'aq'", CONDITION_YES},
        {"'a' < 'ab' && 'ab' > 'a' && 'b' > 'ab'", CONDITION_YES},
        {"prompt_tokens < 100", CONDITION_YES},
        {"prompt_tokens <= 42 && prompt_tokens >= 42", CONDITION_YES},
        {"prompt_tokens > 42 || prompt_tokens != 42", CONDITION_NO},
        {"prompt_tokens < 42.5", CONDITION_YES},
        {"0.5 < confidence && confidence < 1", CONDITION_YES},
        {"-prompt_tokens == -42", CONDITION_YES},
        {"-confidence < -0.7", CONDITION_YES},
        {"prompt_tokens > -9223372036854775807", CONDITION_YES},
        {"stream == true", CONDITION_YES},
        {"stream != (language == 'ar')", CONDITION_NO},
        {"!stream == false", CONDITION_YES},
        {"false && true || true", CONDITION_YES},
        {"true || false && false", CONDITION_YES},
        {"(true || false) && false", CONDITION_NO},
        {"stream ? language == 'en' : true", CONDITION_NO},
        {"false ? false : stream ? true : false", CONDITION_YES},
        {"(stream ? 'x' : 'y') == 'x'", CONDITION_YES},
        {"true ? false : true ? true : true", CONDITION_NO},
        {"language in ['en', 'ar']", CONDITION_YES},
        {"language in ['en', 'fr',]", CONDITION_NO},
        {"!(language in [\"en\"])", CONDITION_YES},
        {"prompt_tokens in [1, -2, 42]", CONDITION_YES},
        {"'iban' in pii && !('phone' in pii)", CONDITION_YES},
        {"size(pii) == 2", CONDITION_YES},
        {"'env' in tags && !('x' in tags)", CONDITION_YES},
        {"tags.env == 'prod'", CONDITION_YES},
        {"tags['a-b'] == 'prod'", CONDITION_YES},
        {"tags.other == ''", CONDITION_YES},
        {"tags['env'].startsWith('pr')", CONDITION_YES},
        {"model.endsWith('-large')", CONDITION_YES},
        {"model.contains('ذج')", CONDITION_YES},
        {"model.contains('')", CONDITION_YES},
        {"model.contains('x')", CONDITION_NO},
        {"size(model) == 11", CONDITION_YES},
        {"model.size() > 10", CONDITION_YES},
        {"model.matches('^\\\\p{Arabic}+-l')", CONDITION_YES},
        {"model.matches(r'^\\p{Arabic}+-l')", CONDITION_YES},
        {"model.matches('large$') && !model.matches('^large')", CONDITION_YES},
        {"tags.other.matches('^$')", CONDITION_YES},
        {"'a\\x62\\u0063\\n' == \"abc\\n\"", CONDITION_YES},
        {"'\\u0627' == 'ا'", CONDITION_YES},
        {"r'\\d' == '\\\\d'", CONDITION_YES},
        {"endpoint in ['chat', 'embeddings']", CONDITION_YES},
        {" \n\t stream \r\n", CONDITION_YES},
        {"broken", CONDITION_FAILED},
        {"broken || true", CONDITION_YES},
        {"broken && false", CONDITION_NO},
        {"broken && true", CONDITION_FAILED},
        {"broken || false", CONDITION_FAILED},
        {"(broken || false) && false", CONDITION_NO},
        {"!broken || stream", CONDITION_YES},
        {"broken == true || broken != false", CONDITION_FAILED},
        {"(broken ? true : true) || true", CONDITION_YES},
        {"(broken ? 1 : 2) == 1 || stream", CONDITION_YES},
        {"(broken ? true : true) && false", CONDITION_NO},
        {"broken ? true : true", CONDITION_FAILED},
        {"(stream ? broken ? 1 : 2 : 3) == 3 || false", CONDITION_FAILED},
        {"true || broken", CONDITION_YES},
        {"false && broken", CONDITION_NO},
        {"stream ? true : broken", CONDITION_YES},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct asked asked = {0};
        enum condition_outcome said = decide(rows[r].text, &asked);
        if (said != rows[r].expect) {
            fail_msg("%s: %d", rows[r].text, said);
        }
    }
}

static void what_is_no_condition_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at, len;
        const char *says;
    } rows[] = {
        {"", 0, 0, "empty"},
        {"language = 'ar'", 9, 1, "written =="},
        {"language == 'ar' and stream", 17, 3, "written &&"},
        {"langage == 'ar'", 0, 7, "did you mean 'language'"},
        {"language == ar", 12, 2, "in quotes: 'ar'"},
        {"language == \"ar", 12, 3, "a \" is missing"},
        {"prompt_tokens < '100'", 0, 21, "leave the quotes out"},
        {"language == 3", 0, 13, "is a text and '3' is a whole number"},
        {"prompt_tokens", 0, 13, "compare it with something"},
        {"stream &&", 9, 0, "missing at the end"},
        {"&& stream", 0, 2, "a value is missing"},
        {"stream stream", 7, 6, "an operator is missing"},
        {"(stream", 0, 1, "no `)`"},
        {"stream)", 6, 1, "no `(`"},
        {"stream ? true", 7, 1, "no `:`"},
        {"(stream ? true)", 8, 1, "no `:`"},
        {"stream : true", 7, 1, "no `?`"},
        {"stream ? 1 : 'a'", 9, 7, "both have to be alike"},
        {"prompt_tokens ? true : false", 0, 13, "`?` wants true or false"},
        {"1 < 2 < 3", 0, 9, "cannot be compared"},
        {"true < false", 0, 12, "cannot be compared"},
        {"model.startWith('a')", 6, 9, "did you mean 'startsWith()'"},
        {"prompt_tokens.contains('1')", 0, 13, "asked of a text"},
        {"pii.contains('a')", 0, 3, "`'x' in list`"},
        {"model.contains(1)", 15, 1, "in quotes belongs here"},
        {"model.size(3) == 1", 11, 1, "takes nothing"},
        {"lower(model) == 'a'", 0, 5, "there is no function 'lower'"},
        {"model.matches('a(')", 14, 4, "no regular expression"},
        {"model.matches(language)", 14, 8, "written out"},
        {"model.matches('\\d')", 15, 2, "no escape"},
        {"language in 'ar'", 12, 4, "use contains()"},
        {"language in []", 13, 1, "the list is empty"},
        {"language in [1]", 0, 8, "holds whole numbers"},
        {"language in ['a', 1]", 18, 1, "not both"},
        {"language in ['a' 'b']", 17, 3, "a `,` or a `]`"},
        {"language in [model]", 13, 5, "texts in quotes"},
        {"tags", 0, 4, "a map of texts"},
        {"tags[model] == 'a'", 5, 5, "a name in quotes"},
        {"model.x == 'a'", 0, 5, "has no members"},
        {"tags.a-b == 'x'", 6, 1, "headers['x-a']"},
        {"-stream", 1, 6, "wants a number"},
        {"!language", 1, 8, "`!` wants true or false"},
        {"endpoint == 'chats'", 12, 7, "one of chat|completions|embeddings"},
        {"endpoint in ['chat', 'x']", 12, 13, "never 'x'"},
        {"prompt_tokens < 99999999999999999999", 16, 20, "too large"},
        {"prompt_tokens < 100k", 16, 4, "without a unit"},
        {"later", 0, 5, "nobody looks for it"},
        {"stream & true", 7, 1, "'and' is written &&"},
        {"stream # x", 7, 1, "no meaning"},
        {"stream == true ؟", 15, 2, "no meaning"},
        {"size(tags) == 1", 5, 4, "size() is of"},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct condition_problem problem = {0};
        struct condition *c = NULL;
        enum err e = condition_compile(span_of(rows[r].text), facts, FACTS, &problem, &c);
        if (e != ERR_CONFIG || c != NULL) {
            fail_msg("%s: was taken", rows[r].text);
        }
        if (problem.at != rows[r].at || problem.len != rows[r].len ||
            strstr(problem.sentence, rows[r].says) == NULL) {
            fail_msg("%s: at %zu, %zu: %s", rows[r].text, problem.at, problem.len,
                     problem.sentence);
        }
    }
}

static void a_fact_is_looked_for_once_and_only_when_it_is_asked_for(void **state)
{
    (void)state;
    struct asked asked = {0};
    assert_int_equal(decide("language == 'en' && stream || language == 'ar'", &asked),
                     CONDITION_YES);
    assert_int_equal(asked.times[LANGUAGE], 1);
    assert_int_equal(asked.times[STREAM], 0);
    struct condition_problem problem;
    struct condition *c = NULL;
    assert_int_equal(condition_compile(SPAN("stream || 'a' in pii"), facts, FACTS, &problem, &c),
                     ERR_OK);
    assert_int_equal(condition_uses(c), 1u << STREAM | 1u << PII);
    condition_free(&c);
}

static void a_pattern_that_takes_too_long_fails(void **state)
{
    (void)state;
    struct asked asked = {0};
    assert_int_equal(
        decide("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'.matches('^(a+)+$')", &asked),
        CONDITION_FAILED);
}

static void what_has_a_pattern_fails_without_scratch(void **state)
{
    (void)state;
    struct asked asked = {0};
    struct condition_facts f = {.find = find, .find_member = find_member, .ctx = &asked};
    struct condition_problem problem;
    struct condition *c = NULL;
    assert_int_equal(condition_compile(SPAN("model.matches('a')"), facts, FACTS, &problem, &c),
                     ERR_OK);
    assert_int_equal(condition_decide(c, &f, NULL), CONDITION_FAILED);
    condition_free(&c);
}

/* Puts `count` times `part`, then `end`. */
static void repeat(char *out, size_t count, const char *part, const char *end)
{
    size_t len = strlen(part);
    for (size_t i = 0; i < count; i++) {
        memcpy(out + i * len, part, len);
    }
    memcpy(out + count * len, end, strlen(end) + 1);
}

static void what_is_too_long_or_too_deep_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *part, *end;
        size_t count;
        bool fits;
    } rows[] = {
        {"stream && ", "true", 100, true},
        {"stream && ", "true", 400, false},
        {"!", "stream", 60, true},
        {"!", "stream", 70, false},
        {"(", "stream", 70, false},
        {"(stream || ", "true", 40, false},
        {"stream ? 1 == 1 : ", "true", 30, true},
        {"stream ? 1 == 1 : ", "true", 60, false},
    };
    char text[8192];
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct condition_problem problem = {0};
        struct condition *c = NULL;
        repeat(text, rows[r].count, rows[r].part, rows[r].end);
        enum err e = condition_compile(span_of(text), facts, FACTS, &problem, &c);
        if ((e == ERR_OK) != rows[r].fits) {
            fail_msg("%zu times %s: %s", rows[r].count, rows[r].part, problem.sentence);
        }
        condition_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_condition_says_what_it_says),
        cmocka_unit_test(what_is_no_condition_is_told_with_its_place),
        cmocka_unit_test(a_fact_is_looked_for_once_and_only_when_it_is_asked_for),
        cmocka_unit_test(a_pattern_that_takes_too_long_fails),
        cmocka_unit_test(what_has_a_pattern_fails_without_scratch),
        cmocka_unit_test(what_is_too_long_or_too_deep_is_refused),
    };
    return cmocka_run_group_tests_name("condition", tests, NULL, NULL);
}
