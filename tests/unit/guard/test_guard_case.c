/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_case.c — what becomes of a value: placeholders and their way back, masks, hashes. */
#include "unit.h"

#include <stdio.h>

#include "guard/guard_case.h"

struct world {
    struct guard_policy *policy;
    struct guard_rule_of of;
    struct arena arena;
    struct guard_case c;
    struct crypto_hmac_key key;
};

static void begin(struct world *w)
{
    assert_int_equal(guard_policy_new(&w->policy), ERR_OK);
    w->policy->mode = GUARD_ENFORCE;
    w->policy->restores = w->policy->says_restore = true;
    w->policy->actions[GUARD_PROMPT][GUARD_EMAIL] = GUARD_REDACT;
    w->policy->actions[GUARD_PROMPT][GUARD_SAUDI_ID] = GUARD_REDACT;
    w->policy->actions[GUARD_PROMPT][GUARD_SECRET] = GUARD_BLOCK;
    w->of = (struct guard_rule_of){.gateway = w->policy};
    arena_init(&w->arena, 64 << 20);
    guard_case_init(&w->c, &w->of, &w->arena);
    crypto_hmac_key_init(&w->key, SPAN("of a team"));
    w->c.key = &w->key;
}

static void end(struct world *w)
{
    guard_case_fini(&w->c);
    arena_fini(&w->arena);
    guard_policy_unref(&w->policy);
}

static struct guard_finding finding(unsigned type, const char *value)
{
    return (struct guard_finding){
        .end = strlen(value), .type = (uint16_t)type, .percent = 99, .is_validated = true};
}

/* What `value` becomes by `action`. */
static struct span becomes(struct world *w, enum guard_action action, unsigned type,
                           const char *value, bool is_callers)
{
    struct guard_finding f = finding(type, value);
    const struct guard_value what = {.f = &f, .text = span_of(value), .is_callers = is_callers};
    struct span out;
    assert_int_equal(guard_case_replace(&w->c, action, &what, &w->arena, &out), ERR_OK);
    return out;
}

/* What a placeholder in a reply becomes; "" if it stays. */
static struct span comes_back(struct world *w, const char *placeholder)
{
    struct span out;
    assert_int_equal(guard_case_exchange(&w->c, GUARD_REPLY, span_of(placeholder), &w->arena, &out),
                     ERR_OK);
    return out.at == NULL ? SPAN("") : out;
}

#define EXPECT(span, text) assert_true(span_is((span), (text)))

static void values_that_mean_the_same_have_one_placeholder(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_EMAIL, "Bob@corp.sa", true), "[EMAIL_1]");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_EMAIL, "eve@corp.sa", true), "[EMAIL_2]");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_EMAIL, "bob@CORP.sa", true), "[EMAIL_1]");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_SAUDI_ID, "1000000008", true), "[SAUDI_ID_1]");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_SAUDI_ID, "١٠٠٠٠٠٠٠٠٨", true), "[SAUDI_ID_1]");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_CREDIT_CARD, "4111 1111 1111 1111", true),
           "[CREDIT_CARD_1]");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_CREDIT_CARD, "4111-1111-1111-1111", true),
           "[CREDIT_CARD_1]");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_SECRET, "aBc", true), "[SECRET_1]");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_SECRET, "abc", true), "[SECRET_2]");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_IP_ADDRESS, "10.0.0.1", true), "[IP_ADDRESS_1]");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_IP_ADDRESS, "100.0.1", true), "[IP_ADDRESS_2]");
    end(&w);
}

static void a_mask_keeps_the_last_four_of_eight_and_more(void **state)
{
    (void)state;
    static const struct {
        const char *value, *masked;
    } rows[] = {{"4111 1111 1111 1234", "**** **** **** 1234"},
                {"bob@corp.sa", "***@**rp.sa"},
                {"1234567", "*******"},
                {"12345678", "****5678"},
                {"SA03 8000 0000 6080 1016 7519", "**** **** **** **** **** 7519"},
                {"١٢٣٤٥٦٧٨", "****٥٦٧٨"},
                {"a\"b\\c", "*****"}};
    struct world w;
    begin(&w);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span masked = becomes(&w, GUARD_MASK, GUARD_IBAN, rows[i].value, true);
        if (!span_is(masked, rows[i].masked)) {
            print_error("%s: %.*s\n", rows[i].value, SPAN_ARGS(masked));
        }
        EXPECT(masked, rows[i].masked);
    }
    end(&w);
}

static void a_hash_is_the_same_for_what_means_the_same_under_one_key(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct span one = becomes(&w, GUARD_HASH, GUARD_EMAIL, "bob@corp.sa", true);
    assert_int_equal(one.len, GUARD_HASH_BYTES);
    assert_true(span_equal(one, becomes(&w, GUARD_HASH, GUARD_EMAIL, "BOB@corp.sa", true)));
    assert_false(span_equal(one, becomes(&w, GUARD_HASH, GUARD_EMAIL, "eve@corp.sa", true)));
    crypto_hmac_key_init(&w.key, SPAN("of another"));
    assert_false(span_equal(one, becomes(&w, GUARD_HASH, GUARD_EMAIL, "bob@corp.sa", true)));
    end(&w);
}

static void a_value_comes_back_to_who_wrote_it(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_EMAIL, "Bob@corp.sa", true), "[EMAIL_1]");
    EXPECT(comes_back(&w, "[EMAIL_1]"), "Bob@corp.sa");
    EXPECT(comes_back(&w, "[EMAIL_2]"), "");
    EXPECT(comes_back(&w, "[email_1]"), "");
    w.policy->restores = false;
    EXPECT(comes_back(&w, "[EMAIL_1]"), "");
    end(&w);
}

static void what_came_of_a_system_message_alone_stays(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_EMAIL, "boss@corp.sa", false), "[EMAIL_1]");
    EXPECT(comes_back(&w, "[EMAIL_1]"), "");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_EMAIL, "boss@corp.sa", true), "[EMAIL_1]");
    EXPECT(comes_back(&w, "[EMAIL_1]"), "boss@corp.sa");
    end(&w);
}

static void a_stricter_rule_of_replies_wins(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_SAUDI_ID, "1000000008", true), "[SAUDI_ID_1]");
    w.policy->actions[GUARD_REPLY][GUARD_SAUDI_ID] = GUARD_MASK;
    EXPECT(comes_back(&w, "[SAUDI_ID_1]"), "******0008");
    w.policy->actions[GUARD_REPLY][GUARD_SAUDI_ID] = GUARD_REDACT;
    EXPECT(comes_back(&w, "[SAUDI_ID_1]"), "");
    w.policy->actions[GUARD_REPLY][GUARD_SAUDI_ID] = GUARD_BLOCK;
    EXPECT(comes_back(&w, "[SAUDI_ID_1]"), "");
    w.policy->actions[GUARD_REPLY][GUARD_SAUDI_ID] = GUARD_FLAG;
    EXPECT(comes_back(&w, "[SAUDI_ID_1]"), "1000000008");
    end(&w);
}

static void what_the_caller_wrote_like_a_placeholder_comes_back_as_he_wrote_it(void **state)
{
    (void)state;
    struct world w;
    struct span out;
    begin(&w);
    assert_int_equal(guard_case_exchange(&w.c, GUARD_PROMPT, SPAN("[EMAIL_1]"), &w.arena, &out),
                     ERR_OK);
    EXPECT(out, "[LITERAL_1]");
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_EMAIL, "bob@corp.sa", true), "[EMAIL_1]");
    EXPECT(comes_back(&w, "[LITERAL_1]"), "[EMAIL_1]");
    w.policy->restores = false;
    EXPECT(comes_back(&w, "[LITERAL_1]"), "[EMAIL_1]");
    end(&w);
}

static void beyond_the_most_a_value_has_no_number(void **state)
{
    (void)state;
    struct world w;
    char value[32];
    begin(&w);
    for (int i = 0; i < GUARD_NAMES_MAX; i++) {
        (void)snprintf(value, sizeof(value), "u%d@corp.sa", i); /* fits */
        (void)becomes(&w, GUARD_REDACT, GUARD_EMAIL, value, true);
    }
    EXPECT(becomes(&w, GUARD_REDACT, GUARD_EMAIL, "last@corp.sa", true), "[EMAIL_0]");
    EXPECT(comes_back(&w, "[EMAIL_0]"), "");
    EXPECT(comes_back(&w, "[EMAIL_4096]"), "u4095@corp.sa");
    end(&w);
}

static void what_was_found_is_told_without_the_value(void **state)
{
    (void)state;
    struct world w;
    char text[200];
    struct buf details;
    begin(&w);
    struct guard_finding f = finding(GUARD_EMAIL, "bob@corp.sa");
    f.start = 3;
    assert_int_equal(guard_case_judge(&w.c, GUARD_PROMPT, &f), GUARD_REDACT);
    assert_int_equal(guard_case_judge(&w.c, GUARD_PROMPT, &f), GUARD_REDACT);
    f = finding(GUARD_SECRET, "x");
    assert_int_equal(guard_case_judge(&w.c, GUARD_PROMPT, &f), GUARD_BLOCK);
    f = finding(GUARD_SAUDI_ID, "1000000008");
    assert_int_equal(guard_case_judge_firm(&w.c, GUARD_PROMPT, &f), GUARD_BLOCK);
    f.percent = 40;
    assert_int_equal(guard_case_judge(&w.c, GUARD_PROMPT, &f), GUARD_ALLOW);
    size_t len = guard_case_write_found(&w.c, text, sizeof(text));
    EXPECT(span_make(text, len),
           "email:prompt:redact:2@3 secret:prompt:block:1@0 saudi_id:prompt:block:1@0");
    len = guard_case_write_found(&w.c, text, 40);
    EXPECT(span_make(text, len), "email:prompt:redact:2@3");
    buf_init(&details, 1000);
    guard_case_write_details(&w.c, GUARD_PROMPT, &details);
    EXPECT(buf_span(&details), "{\"violation_type\":\"secret_detected\",\"entities\":[\"secret\","
                               "\"saudi_id\"],\"action_taken\":\"request_blocked\"}");
    buf_fini(&details);
    end(&w);
}

static void a_dry_run_notes_and_does_nothing(void **state)
{
    (void)state;
    struct world w;
    struct guard_finding f = finding(GUARD_SECRET, "x");
    begin(&w);
    w.policy->mode = GUARD_DRY_RUN;
    guard_case_fini(&w.c);
    guard_case_init(&w.c, &w.of, &w.arena);
    assert_int_equal(guard_case_judge(&w.c, GUARD_PROMPT, &f), GUARD_ALLOW);
    assert_false(w.c.is_blocked[GUARD_PROMPT]);
    assert_int_equal(w.c.found_count, 1);
    assert_int_equal(w.c.found[0].action, GUARD_BLOCK);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_mean_the_same_have_one_placeholder),
        cmocka_unit_test(a_mask_keeps_the_last_four_of_eight_and_more),
        cmocka_unit_test(a_hash_is_the_same_for_what_means_the_same_under_one_key),
        cmocka_unit_test(a_value_comes_back_to_who_wrote_it),
        cmocka_unit_test(what_came_of_a_system_message_alone_stays),
        cmocka_unit_test(a_stricter_rule_of_replies_wins),
        cmocka_unit_test(what_the_caller_wrote_like_a_placeholder_comes_back_as_he_wrote_it),
        cmocka_unit_test(beyond_the_most_a_value_has_no_number),
        cmocka_unit_test(what_was_found_is_told_without_the_value),
        cmocka_unit_test(a_dry_run_notes_and_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
