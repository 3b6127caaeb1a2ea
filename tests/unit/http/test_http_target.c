/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_target.c — names in paths and queries, decoded once. */
#include "unit.h"

#include "http/http_target.h"

static void a_name_is_the_same_with_its_slash_raw_or_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        const char *name; /* NULL: refused */
    } rows[] = {
        {"gpt-4", "gpt-4"},
        {"openai/gpt-4", "openai/gpt-4"},
        {"openai%2Fgpt-4", "openai/gpt-4"},
        {"openai%2fgpt-4", "openai/gpt-4"},
        {"a%252Fb", "a%2Fb"},
        {"a+b", "a+b"},
        {"a%20b", "a b"},
        {"%D8%A7", "\xd8\xa7"},
        {"..a/.b/c.", "..a/.b/c."},
        {"...", "..."},
        {"", NULL},
        {"%", NULL},
        {"a%2", NULL},
        {"a%zz", NULL},
        {"a%2g", NULL},
        {"a%00", NULL},
        {"a%0d%0a", NULL},
        {"a%7f", NULL},
        {".", NULL},
        {"..", NULL},
        {"a/..", NULL},
        {"../a", NULL},
        {"a/./b", NULL},
        {"%2e%2e/a", NULL},
        {"a%2F..%2fb", NULL},
        {"a//b", NULL},
        {"/a", NULL},
        {"a/", NULL},
        {"a%2F", NULL},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        uint8_t room[64];
        struct span name;
        enum err e = http_target_decode(span_of(rows[r].raw), room, &name);
        assert_int_equal(e, rows[r].name == NULL ? ERR_VALUE_INVALID : ERR_OK);
        if (e == ERR_OK && !span_is(name, rows[r].name)) {
            fail_msg("\"%s\" became \"%.*s\"", rows[r].raw, SPAN_ARGS(name));
        }
    }
}

static void only_what_is_below_a_prefix_is_found_there(void **state)
{
    (void)state;
    struct span prefix = SPAN("/v1/models/");
    assert_true(span_is(http_target_below(SPAN("/v1/models/a/b"), prefix), "a/b"));
    assert_null(http_target_below(SPAN("/v1/models/"), prefix).at);
    assert_null(http_target_below(SPAN("/v1/models"), prefix).at);
    assert_null(http_target_below(SPAN("/v1/modelx/a"), prefix).at);
}

static void the_first_parameter_of_a_name_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *value; /* of "limit"; NULL: there is none */
    } rows[] = {
        {"limit=5", "5"},
        {"a=b&limit=5&limit=6", "5"},
        {"limit", ""},
        {"limit=", ""},
        {"limit=a=b", "a=b"},
        {"&&limit=1&", "1"},
        {"xlimit=5&limitx=6", NULL},
        {"LIMIT=5", NULL},
        {"", NULL},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct span raw;
        bool found = http_target_param(span_of(rows[r].query), SPAN("limit"), &raw);
        assert_int_equal(found, rows[r].value != NULL);
        assert_true(!found || span_is(raw, rows[r].value));
    }
}

static void a_parameter_is_decoded_as_forms_are(void **state)
{
    (void)state;
    uint8_t room[64];
    struct span value;
    assert_int_equal(http_target_decode_param(SPAN("a+b%2B../%20"), room, &value), ERR_OK);
    assert_true(span_is(value, "a b+../ "));
    assert_int_equal(http_target_decode_param(SPAN(""), room, &value), ERR_OK);
    assert_int_equal(value.len, 0);
    assert_int_equal(http_target_decode_param(SPAN("%0a"), room, &value), ERR_VALUE_INVALID);
    assert_int_equal(http_target_decode_param(SPAN("%4"), room, &value), ERR_VALUE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_the_same_with_its_slash_raw_or_escaped),
        cmocka_unit_test(only_what_is_below_a_prefix_is_found_there),
        cmocka_unit_test(the_first_parameter_of_a_name_is_found),
        cmocka_unit_test(a_parameter_is_decoded_as_forms_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
