/* SPDX-License-Identifier: Apache-2.0 */
/* test_decision_record.c — what rules could ask of a call is read back as it was written. */
#include "unit.h"

#include "decision/decision_internal.h"
#include "decision/decision_record.h"

static size_t write_facts(const struct decision_ask *ask, char out[DECISION_FACTS_BYTES])
{
    static struct decision_work work;
    decision_begin_facts(&work, ask);
    return decision_facts_write(ask, &work, out);
}

static void facts_are_read_as_they_were_written(void **state)
{
    (void)state;
    struct decision_facts f;
    char text[DECISION_FACTS_BYTES];
    const struct openai_gist gist = {
        .asked = SPAN("عايز أعرف ازاي أعمل كده"), .turns = 3, .has_tools = true};
    const struct openai_request request = {.output_tokens_max = 64, .input_tokens = -1};
    const struct decision_ask ask = {
        .request = &request,
        .gist = &gist,
        .model = SPAN("auto"),
        .prompt_tokens = 17,
        .hints = {
            .profile = ROUTING_COST, .is_local = true, .says_local = true, .class = DATA_SECRET}};
    struct span facts = span_make(text, write_facts(&ask, text));
    assert_true(decision_facts_read(facts, &f));
    assert_string_equal(f.recorded.language.language, "ar");
    assert_string_equal(f.recorded.language.script, "Arab");
    assert_int_equal(f.recorded.language.permille, 1000);
    assert_true(span_is(f.recorded.dialect, "egy"));
    assert_true(f.recorded.has_language && f.recorded.has_gist);
    assert_true(f.gist.has_tools && !f.gist.has_pictures);
    assert_int_equal(f.gist.turns, 3);
    assert_int_equal(f.prompt_tokens, 17);
    assert_true(span_is(f.recorded.tokens_by, "high")); /* no text was looked at */
    assert_int_equal(f.request.output_tokens_max, 64);
    assert_int_equal(f.request.input_tokens, -1);
    assert_int_equal(f.hints.profile, ROUTING_COST);
    assert_true(f.hints.is_local && f.hints.says_local);
    assert_int_equal(f.hints.class, DATA_SECRET);
    assert_true(span_is(f.model, "auto-router"));
    for (size_t cut = 0; cut < facts.len; cut++) { /* whatever it is, it is read without harm */
        bool is_whole = decision_facts_read(span_cut(facts, 0, cut), &f);
        assert_true(!is_whole || cut == 0 || text[cut - 1] != '=');
    }
}

static void a_call_without_a_gist_says_so(void **state)
{
    (void)state;
    struct decision_facts f;
    char text[DECISION_FACTS_BYTES], name[400];
    memset(name, 'n', sizeof(name));
    name[5] = ' ';
    const struct openai_request request = {
        .has_token_arrays = true, .input_tokens = 9, .output_tokens_max = INT64_MAX};
    const struct decision_ask ask = {
        .request = &request, .model = {(const uint8_t *)name, sizeof(name)}, .prompt_tokens = 9};
    assert_true(decision_facts_read(span_make(text, write_facts(&ask, text)), &f));
    assert_false(f.recorded.has_language || f.recorded.has_gist);
    assert_int_equal(f.request.input_tokens, 9);
    assert_int_equal(f.request.output_tokens_max, INT64_MAX);
    assert_true(span_equal(f.model, span_make(name, 128)));
}

static void what_nobody_writes_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {"language",
                                       "language=",
                                       "language=arabicarabic",
                                       "turns=x",
                                       "turns=-1",
                                       "tools=2",
                                       "confidence=1001",
                                       "profile=dear",
                                       "mood=good",
                                       "prompt_tokens=9223372036854775808",
                                       "turns=1  tools=1"};
    struct decision_facts f;
    for (size_t r = 0; r < ROWS(rows); r++) {
        if (decision_facts_read(span_of(rows[r]), &f)) {
            fail_msg("\"%s\" is taken", rows[r]);
        }
    }
    assert_true(decision_facts_read(SPAN(""), &f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_read_as_they_were_written),
        cmocka_unit_test(a_call_without_a_gist_says_so),
        cmocka_unit_test(what_nobody_writes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
