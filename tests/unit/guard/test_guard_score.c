/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_score.c — what moderations tell of findings, by the policy and where there is none. */
#include "unit.h"

#include "guard/guard_score.h"

static struct guard_finding found(unsigned type, unsigned percent)
{
    return (struct guard_finding){.end = 1, .type = (uint16_t)type, .percent = (uint8_t)percent};
}

static void note(struct guard_score *s, unsigned type, unsigned percent)
{
    struct guard_finding f = found(type, percent);
    guard_score_note(s, &f);
}

static void where_the_guard_is_off_what_is_sure_enough_is_flagged(void **state)
{
    (void)state;
    struct guard_score s;
    guard_score_begin(&s, &(struct guard_rule_of){.gateway = NULL});
    note(&s, GUARD_EMAIL, GUARD_PERCENT_MIN - 1);
    note(&s, GUARD_INJECTION, GUARD_INJECTION_PERCENT - 1);
    assert_false(s.is_flagged);
    assert_int_equal(s.percents[GUARD_EMAIL], GUARD_PERCENT_MIN - 1);
    note(&s, GUARD_PHONE, GUARD_PERCENT_MIN);
    note(&s, GUARD_PHONE, 1);
    assert_true(s.is_flagged && s.acts[GUARD_PHONE] && !s.acts[GUARD_EMAIL]);
    assert_int_equal(s.percents[GUARD_PHONE], GUARD_PERCENT_MIN);
}

static void a_policy_decides_what_is_flagged_in_a_dry_run_too(void **state)
{
    (void)state;
    struct guard_policy *p;
    struct guard_score s;
    assert_int_equal(guard_policy_new(&p), ERR_OK);
    p->mode = GUARD_DRY_RUN;
    p->actions[GUARD_PROMPT][GUARD_EMAIL] = GUARD_FLAG;
    guard_score_begin(&s, &(struct guard_rule_of){.gateway = p});
    note(&s, GUARD_PHONE, 100);
    assert_false(s.is_flagged);
    note(&s, GUARD_EMAIL, 100);
    assert_true(s.is_flagged && s.acts[GUARD_EMAIL] && !s.acts[GUARD_PHONE]);
    guard_policy_unref(&p);
}

static struct guard_policy *with_rule(unsigned first, enum guard_action action)
{
    static const struct guard_rule_source source = {
        GUARD_RULE_PATTERN, {(const uint8_t *)"project", 7}, {(const uint8_t *)"PRJ-[0-9]{6}", 12}};
    char fault[GUARD_RULES_FAULT];
    struct guard_policy *p;
    size_t which;
    assert_int_equal(guard_policy_new(&p), ERR_OK);
    assert_int_equal(guard_rules_new(&source, 1, first, fault, &which, &p->rules), ERR_OK);
    p->mode = GUARD_ENFORCE;
    p->actions[GUARD_PROMPT][first] = (uint8_t)action;
    return p;
}

static size_t count_of(struct span text, const char *word)
{
    size_t count = 0;
    for (size_t at = 0; at < text.len; at++) {
        count += span_starts(span_cut(text, at, text.len), span_of(word));
    }
    return count;
}

static void a_team_s_rule_that_is_called_as_the_gateway_s_is_one_category(void **state)
{
    (void)state;
    struct guard_policy *gateway = with_rule(GUARD_BUILTINS, GUARD_ALLOW);
    struct guard_policy *team = with_rule(GUARD_TEAM_FIRST, GUARD_BLOCK);
    struct guard_score s;
    struct json_writer w;
    struct buf out;
    buf_init(&out, 1 << 16);
    json_write_init(&w, &out);
    guard_score_begin(&s, &(struct guard_rule_of){.gateway = gateway, .team = team});
    note(&s, GUARD_TEAM_FIRST, 100);
    guard_score_write(&s, &w);
    assert_int_equal(json_write_finish(&w), ERR_OK);
    assert_int_equal(count_of(buf_span(&out), "\"project\":"), 3);
    assert_int_equal(count_of(buf_span(&out), "\"project\":true"), 1);
    assert_int_equal(count_of(buf_span(&out), "\"project\":1"), 1);
    assert_int_equal(count_of(buf_span(&out), "\"email\":[\"text\"]"), 1);
    buf_fini(&out);
    guard_policy_unref(&gateway);
    guard_policy_unref(&team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_the_guard_is_off_what_is_sure_enough_is_flagged),
        cmocka_unit_test(a_policy_decides_what_is_flagged_in_a_dry_run_too),
        cmocka_unit_test(a_team_s_rule_that_is_called_as_the_gateway_s_is_one_category),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
