/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_policy.c — of a gateway's policy and a team's the stricter word counts. */
#include "unit.h"

#include "guard/guard_policy.h"

static struct guard_policy *new_policy(enum guard_mode mode)
{
    struct guard_policy *p = NULL;
    assert_int_equal(guard_policy_new(&p), ERR_OK);
    p->mode = mode;
    return p;
}

static struct guard_finding found(unsigned type, unsigned percent)
{
    return (struct guard_finding){
        .start = 1, .end = 9, .type = (uint16_t)type, .percent = (uint8_t)percent};
}

static enum guard_action action(const struct guard_rule_of *of, unsigned type, unsigned percent)
{
    const struct guard_finding f = found(type, percent);
    return guard_action_of(of, GUARD_PROMPT, &f);
}

static void the_higher_mode_holds(void **state)
{
    (void)state;
    for (int g = GUARD_OFF; g <= GUARD_ENFORCE; g++) {
        for (int t = GUARD_OFF; t <= GUARD_ENFORCE; t++) {
            struct guard_policy *gateway = new_policy((enum guard_mode)g);
            struct guard_policy *team = new_policy((enum guard_mode)t);
            const struct guard_rule_of of = {gateway, team};
            assert_int_equal(guard_mode_of(&of), g > t ? g : t);
            guard_policy_unref(&gateway);
            guard_policy_unref(&team);
        }
    }
    const struct guard_rule_of none = {NULL, NULL};
    assert_int_equal(guard_mode_of(&none), GUARD_OFF);
    assert_int_equal(action(&none, GUARD_EMAIL, 100), GUARD_ALLOW);
}

static void the_stricter_action_holds(void **state)
{
    (void)state;
    struct guard_policy *gateway = new_policy(GUARD_ENFORCE);
    struct guard_policy *team = new_policy(GUARD_OFF);
    const struct guard_rule_of of = {gateway, team};
    for (int g = GUARD_ALLOW; g < GUARD_ACTIONS; g++) {
        for (int t = GUARD_ALLOW; t < GUARD_ACTIONS; t++) {
            gateway->actions[GUARD_PROMPT][GUARD_EMAIL] = (uint8_t)g;
            team->actions[GUARD_PROMPT][GUARD_EMAIL] = (uint8_t)t;
            enum guard_action got = action(&of, GUARD_EMAIL, GUARD_PERCENT_MIN);
            assert_true(guard_strictness(got) >= guard_strictness((enum guard_action)g));
            assert_true(guard_strictness(got) >= guard_strictness((enum guard_action)t));
            assert_true(got == (enum guard_action)g || got == (enum guard_action)t);
        }
    }
    gateway->actions[GUARD_PROMPT][GUARD_EMAIL] = GUARD_MASK;
    team->actions[GUARD_PROMPT][GUARD_EMAIL] = GUARD_HASH;
    assert_int_equal(action(&of, GUARD_EMAIL, 100), GUARD_MASK); /* alike: the gateway's */
    guard_policy_unref(&gateway);
    guard_policy_unref(&team);
}

static void what_is_not_sure_enough_is_allowed(void **state)
{
    (void)state;
    struct guard_policy *gateway = new_policy(GUARD_ENFORCE);
    struct guard_policy *team = new_policy(GUARD_ENFORCE);
    const struct guard_rule_of both = {gateway, team};
    gateway->actions[GUARD_PROMPT][GUARD_PHONE] = GUARD_REDACT;
    assert_int_equal(action(&both, GUARD_PHONE, 49), GUARD_ALLOW);
    assert_int_equal(action(&both, GUARD_PHONE, 50), GUARD_REDACT);
    team->percents[GUARD_PHONE] = 90; /* a team raises nothing of the gateway's */
    assert_int_equal(action(&both, GUARD_PHONE, 50), GUARD_REDACT);
    team->percents[GUARD_PHONE] = 20; /* and lowers it */
    assert_int_equal(action(&both, GUARD_PHONE, 20), GUARD_REDACT);
    gateway->percents[GUARD_PHONE] = 80;
    assert_int_equal(action(&both, GUARD_PHONE, 19), GUARD_ALLOW);
    gateway->percents[GUARD_PHONE] = 0;
    gateway->actions[GUARD_PROMPT][GUARD_PHONE] = GUARD_ALLOW;
    team->actions[GUARD_PROMPT][GUARD_PHONE] = GUARD_FLAG;
    team->percents[GUARD_PHONE] = 90; /* of its own it may */
    assert_int_equal(action(&both, GUARD_PHONE, 89), GUARD_ALLOW);
    assert_int_equal(action(&both, GUARD_PHONE, 90), GUARD_FLAG);
    guard_policy_unref(&gateway);
    guard_policy_unref(&team);
}

static void injection_has_a_threshold_of_its_own(void **state)
{
    (void)state;
    struct guard_policy *gateway = new_policy(GUARD_ENFORCE);
    struct guard_policy *team = new_policy(GUARD_OFF);
    const struct guard_rule_of of = {gateway, team};
    gateway->actions[GUARD_PROMPT][GUARD_INJECTION] = GUARD_BLOCK;
    assert_int_equal(action(&of, GUARD_INJECTION, 79), GUARD_ALLOW);
    assert_int_equal(action(&of, GUARD_INJECTION, 80), GUARD_BLOCK);
    gateway->injection_percent = 60;
    assert_int_equal(action(&of, GUARD_INJECTION, 60), GUARD_BLOCK);
    team->injection_percent = 40;
    assert_int_equal(action(&of, GUARD_INJECTION, 40), GUARD_BLOCK);
    guard_policy_unref(&gateway);
    guard_policy_unref(&team);
}

static void the_higher_class_holds(void **state)
{
    (void)state;
    struct guard_policy *gateway = new_policy(GUARD_ENFORCE);
    struct guard_policy *team = new_policy(GUARD_OFF);
    const struct guard_rule_of of = {gateway, team};
    const struct guard_finding sure = found(GUARD_IQAMA, 99), unsure = found(GUARD_IQAMA, 30);
    gateway->classes[GUARD_IQAMA] = DATA_SECRET;
    team->classes[GUARD_IQAMA] = DATA_INTERNAL;
    assert_int_equal(guard_class_of(&of, &sure), DATA_SECRET);
    assert_int_equal(guard_class_of(&of, &unsure), DATA_UNSAID);
    team->classes[GUARD_IQAMA] = DATA_TOP_SECRET;
    assert_int_equal(guard_class_of(&of, &sure), DATA_TOP_SECRET);
    guard_policy_unref(&gateway);
    guard_policy_unref(&team);
}

static void a_false_of_the_gateways_is_not_undone(void **state)
{
    (void)state;
    enum { UNSAID, NO, YES };
    for (int g = UNSAID; g <= YES; g++) {
        for (int t = UNSAID; t <= YES; t++) {
            struct guard_policy *gateway = new_policy(GUARD_ENFORCE);
            struct guard_policy *team = new_policy(GUARD_ENFORCE);
            const struct guard_rule_of of = {gateway, team};
            gateway->says_restore = g != UNSAID;
            gateway->restores = g == YES;
            team->says_restore = t != UNSAID;
            team->restores = t == YES;
            bool is_put_back = g != NO && t != NO && (g == YES || t == YES);
            assert_int_equal(guard_restores(&of), is_put_back);
            guard_policy_unref(&gateway);
            guard_policy_unref(&team);
        }
    }
}

static void only_what_is_asked_for_is_looked_for(void **state)
{
    (void)state;
    struct guard_policy *gateway = new_policy(GUARD_ENFORCE);
    struct guard_policy *team = new_policy(GUARD_ENFORCE);
    const struct guard_rule_of of = {gateway, team};
    struct guard_wanted wanted;
    gateway->actions[GUARD_PROMPT][GUARD_EMAIL] = GUARD_FLAG;
    team->classes[GUARD_IBAN] = DATA_INTERNAL;
    guard_wanted_of(&of, GUARD_PROMPT, false, &wanted);
    assert_int_equal(wanted.types, 1U << GUARD_EMAIL | 1U << GUARD_IBAN);
    guard_wanted_of(&of, GUARD_REPLY, false, &wanted);
    assert_int_equal(wanted.types, 0);
    guard_wanted_of(&of, GUARD_REPLY, true, &wanted);
    assert_int_equal(wanted.types, (UINT32_C(1) << GUARD_BUILTINS) - 1);
    guard_policy_unref(&gateway);
    guard_policy_unref(&team);
}

static void a_closed_one_blocks_all(void **state)
{
    (void)state;
    struct guard_policy *team = NULL;
    assert_int_equal(guard_policy_closed(&team), ERR_OK);
    const struct guard_rule_of of = {NULL, team};
    assert_int_equal(guard_mode_of(&of), GUARD_ENFORCE);
    for (unsigned type = 0; type < GUARD_BUILTINS; type++) {
        assert_int_equal(action(&of, type, 100), GUARD_BLOCK);
    }
    guard_policy_unref(&team);
    assert_null(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_higher_mode_holds),
        cmocka_unit_test(the_stricter_action_holds),
        cmocka_unit_test(what_is_not_sure_enough_is_allowed),
        cmocka_unit_test(injection_has_a_threshold_of_its_own),
        cmocka_unit_test(the_higher_class_holds),
        cmocka_unit_test(a_false_of_the_gateways_is_not_undone),
        cmocka_unit_test(only_what_is_asked_for_is_looked_for),
        cmocka_unit_test(a_closed_one_blocks_all),
    };
    return cmocka_run_group_tests_name("guard_policy", tests, NULL, NULL);
}
