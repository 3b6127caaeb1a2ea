/* SPDX-License-Identifier: Apache-2.0 */
/* test_upstream_refusal.c — in which words servers refuse what Atlas added. */
#include "unit.h"

#include "upstream/deployment.h"
#include "upstream/upstream_refusal.h"

#define NOTHING 0
#define OPTIONS UPSTREAM_ADDS_STREAM_OPTIONS
#define HEADERS UPSTREAM_ADDS_HEADERS
#define BOUND   UPSTREAM_ADDS_MAX_TOKENS

static void a_refusal_names_what_it_refuses_in_any_words(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        uint32_t names;
    } answers[] = {
        {422,
         "{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"stream_options\"],\"msg\":"
         "\"Extra inputs are not permitted\",\"input\":{\"include_usage\":true}}]}",
         OPTIONS},
        {400,
         "{\"error\":{\"message\":\"Unrecognized request argument supplied: stream_options\"}}",
         OPTIONS},
        {400, "unknown field `stream_options`, expected one of `model`", OPTIONS},
        {400, "{\"error\":{\"message\":\"Stream options are not supported\"}}", OPTIONS},
        {422, "{\"message\":\"StreamOptions: unknown\"}", OPTIONS},
        {400, "{\"error\":{\"param\":\"stream_options.include_usage\"}}", OPTIONS},
        {400, "header 'X-Request-Id' is not allowed", HEADERS},
        {400, "{\"error\":\"bad header: via\"}", HEADERS},
        {400, "The Accept header asks for text/event-stream", HEADERS},
        {406, "", HEADERS},
        {400, "{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens'\"}}", BOUND},
        {422, "{\"detail\":[{\"loc\":[\"body\",\"max_completion_tokens\"]}]}", BOUND},
        {400, "unknown fields: stream_options, max_tokens", OPTIONS | BOUND},
        {500, "max_tokens", NOTHING},
        {406, "<html>Not Acceptable</html>", HEADERS},
        {400, "requests via this key are not acceptable", NOTHING},
        {400, "the header Authorization is not acceptable", NOTHING},
        {400, "{\"error\":{\"message\":\"stream must be false\"}}", NOTHING},
        {400, "", NOTHING},
        {401, "stream_options", NOTHING},
        {404, "stream_options", NOTHING},
        {429, "stream_options", NOTHING},
        {500, "stream_options", NOTHING},
        {200, "stream_options", NOTHING},
    };
    for (size_t r = 0; r < ROWS(answers); r++) {
        uint32_t names = upstream_refusal_read(answers[r].status, span_of(answers[r].body));
        if (names != answers[r].names) {
            fail_msg("%d %s: %u", answers[r].status, answers[r].body, names);
        }
    }
}

static void a_number_is_named_by_itself_and_not_as_part_of_another(void **state)
{
    (void)state;
    assert_true(upstream_refusal_names_number(SPAN("max_tokens is too large: 100."), 100));
    assert_false(upstream_refusal_names_number(SPAN("max_tokens: at most 1000, see v100"), 100));
    assert_false(upstream_refusal_names_number(SPAN("max_tokens is not supported"), 100));
}

static struct deployment *deployment_of(const struct upstream_definition *definition)
{
    char reason[DEPLOYMENT_REASON_BYTES];
    struct deployment *d = NULL;
    assert_int_equal(deployment_open(definition, NULL, reason, &d), ERR_OK);
    return d;
}

static void what_was_learnt_is_known_once_and_stays_for_the_same_server(void **state)
{
    (void)state;
    struct upstream_definition definition = {.name = "a", .url = "http://127.0.0.1:1/v1"};
    struct deployment *d = deployment_of(&definition);
    assert_int_equal(deployment_omits(d), NOTHING);
    assert_true(deployment_learn(d, OPTIONS));
    assert_false(deployment_learn(d, OPTIONS));
    assert_int_equal(deployment_omits(d), OPTIONS);

    definition.total_timeout_ms = 7; /* a reload that changes it otherwise */
    struct deployment *same = deployment_of(&definition);
    deployment_inherit(same, d);
    assert_int_equal(deployment_omits(same), OPTIONS);
    definition.url = "http://127.0.0.1:2/v1";
    struct deployment *other = deployment_of(&definition);
    deployment_inherit(other, d);
    assert_int_equal(deployment_omits(other), NOTHING);

    definition.omit = HEADERS;
    assert_false(deployment_is_made_from(other, &definition, NULL));
    deployment_unref(&other);
    other = deployment_of(&definition);
    assert_int_equal(deployment_omits(other), HEADERS);
    assert_false(deployment_learn(other, HEADERS));
    deployment_unref(&d);
    deployment_unref(&same);
    deployment_unref(&other);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_names_what_it_refuses_in_any_words),
        cmocka_unit_test(a_number_is_named_by_itself_and_not_as_part_of_another),
        cmocka_unit_test(what_was_learnt_is_known_once_and_stays_for_the_same_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
