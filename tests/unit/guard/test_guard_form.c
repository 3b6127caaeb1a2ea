/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_form.c — a form of JSON becomes a policy, or it is told what is wrong; a team's is
 * compared with the gateway's. The same form in YAML: tests/e2e/test_guard_settings.py. */
#include "unit.h"

#include <stdio.h>

#include "guard/guard_form.h"

#define TOLD_BYTES 4096

/* All that was told: "member: sentence" a line, '!' before the member where its name is wrong. */
struct told {
    char text[TOLD_BYTES];
    size_t len;
};

static void tell(void *ctx, const char *member, bool is_name, const char *sentence)
{
    struct told *t = ctx;
    t->len += (size_t)snprintf(t->text + t->len, TOLD_BYTES - t->len, "%s%s: %s\n",
                               is_name ? "!" : "", member, sentence);
    assert_true(t->len < TOLD_BYTES);
}

/* Reads and compiles; NULL: that failed, and was told. */
static struct guard_policy *make(const char *json, unsigned first, struct told *told,
                                 struct arena *arena, struct guard_form *form)
{
    struct guard_policy *p = NULL;
    enum err e = guard_form_read(span_of(json), arena, tell, told, form);
    e = e == ERR_OK ? guard_compile(form, first, tell, told, &p) : e;
    assert_true(e == ERR_OK || e == ERR_CONFIG);
    assert_int_equal(e == ERR_OK, told->len == 0);
    assert_int_equal(e == ERR_OK, p != NULL);
    return p;
}

static struct guard_policy *compile(const char *json, struct told *told)
{
    struct arena arena;
    struct guard_form form;
    arena_init(&arena, 1u << 20);
    *told = (struct told){.len = 0};
    struct guard_policy *p = make(json, GUARD_TEAM_FIRST, told, &arena, &form);
    arena_fini(&arena);
    return p;
}

static struct guard_policy *compile_good(const char *json)
{
    struct told told;
    struct guard_policy *p = compile(json, &told);
    if (p == NULL) {
        fail_msg("%s: %s", json, told.text);
    }
    return p;
}

static void a_form_says_what_is_done(void **state)
{
    (void)state;
    struct guard_policy *p = compile_good(
        "{\"mode\":\"dry-run\",\"prompts\":{\"saudi_id\":\"redact\",\"default\":\"flag\",\"code\":"
        "\"hash\"},\"replies\":{\"iban\":\"mask\"},\"restore\":true,\"blocked_reply\":\"empty\","
        "\"min_confidence\":{\"phone\":0.85,\"iban\":1,\"email\":0,\"code\":\"0.5\"},"
        "\"classes\":{\"code\":\"secret\"},\"injection\":{\"action\":\"block\",\"threshold\":0.65},"
        "\"patterns\":[{\"name\":\"code\",\"regex\":\"C-[0-9]{4}\",\"action\":\"local_only\"}],"
        "\"wordlists\":[{\"name\":\"words\",\"words\":[\"falcon\"]}],\"dictionary\":null}");
    unsigned code = GUARD_TEAM_FIRST, words = code + 1;
    assert_int_equal(p->mode, GUARD_DRY_RUN);
    assert_int_equal(p->actions[GUARD_PROMPT][GUARD_SAUDI_ID], GUARD_REDACT);
    assert_int_equal(p->actions[GUARD_PROMPT][GUARD_EMAIL], GUARD_FLAG);
    assert_int_equal(p->actions[GUARD_PROMPT][GUARD_INJECTION], GUARD_BLOCK);
    assert_int_equal(p->actions[GUARD_REPLY][GUARD_INJECTION], GUARD_ALLOW);
    assert_int_equal(p->actions[GUARD_REPLY][GUARD_EMAIL], GUARD_ALLOW);
    assert_int_equal(p->actions[GUARD_REPLY][GUARD_IBAN], GUARD_MASK);
    assert_int_equal(p->actions[GUARD_PROMPT][code], GUARD_HASH);
    assert_int_equal(p->actions[GUARD_REPLY][code], GUARD_FLAG); /* a reply has come already */
    assert_int_equal(p->actions[GUARD_PROMPT][words], GUARD_BLOCK);
    assert_true(p->restores && p->says_restore && p->empties_blocked);
    assert_int_equal(p->percents[GUARD_PHONE], 85);
    assert_int_equal(p->percents[GUARD_IBAN], 100);
    assert_int_equal(p->percents[GUARD_EMAIL], 1); /* 0: not said */
    assert_int_equal(p->percents[code], 50);
    assert_int_equal(p->classes[code], DATA_SECRET);
    assert_int_equal(p->injection_percent, 65);
    guard_policy_unref(&p);
}

static void a_form_that_says_nothing_does_nothing(void **state)
{
    (void)state;
    struct guard_policy *p = compile_good("{}");
    assert_int_equal(p->mode, GUARD_OFF);
    assert_false(p->says_restore);
    assert_null(p->rules);
    for (unsigned type = 0; type < GUARD_TYPES_MAX; type++) {
        assert_int_equal(p->actions[GUARD_PROMPT][type] | p->actions[GUARD_REPLY][type], 0);
    }
    guard_policy_unref(&p);
}

static void all_that_is_wrong_is_told(void **state)
{
    (void)state;
    struct told told;
    assert_null(
        compile("{\"prompts\":{\"emial\":\"flag\",\"phone\":\"stop\"},"
                "\"min_confidence\":{\"iban\":\"much\"},\"classes\":{\"no_such\":\"secret\"},"
                "\"injection\":{\"action\":\"mask\"}}",
                &told));
    assert_string_equal(
        told.text,
        "!prompts.emial: there is no type 'emial' — did you mean 'email'?\n"
        "prompts.phone: takes one of allow, flag, mask, hash, redact, local_only, block, not "
        "'stop'\n"
        "min_confidence.iban: a confidence is a number from 0 to 1, not 'much'\n"
        "!classes.no_such: there is no type 'no_such'; docs/guard.md lists them, and rules have "
        "their own\n"
        "injection.action: an attempt at injection is no value that could be replaced: allow, "
        "flag, "
        "local_only or block\n");
}

static void shapes_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *json, *told;
    } wrong[] = {
        {"", ": takes an object of JSON of 65536 bytes at most\n"},
        {"{", ": takes an object of JSON of 65536 bytes at most\n"},
        {"[]", ": takes an object\n"},
        {"{\"mode\":true}", "mode: takes a text\n"},
        {"{\"mode\":\"on\"}", "mode: takes one of off|dry-run|enforce, not 'on'\n"},
        {"{\"restore\":1}", "restore: takes true or false\n"},
        {"{\"prompts\":{\"email\":{}}}", "prompts.email: takes a text\n"},
        {"{\"prompts\":{\"email\":\"flag\",\"email\":\"block\"}}",
         "!prompts: says 'email' twice\n"},
        {"{\"patterns\":{}}", "patterns: takes a list of objects\n"},
        {"{\"patterns\":[1]}", "patterns[0]: takes an object\n"},
        {"{\"wordlists\":[{\"name\":\"a\",\"words\":[1]}]}", "wordlists[0].words: takes a text\n"},
        {"{\"injection\":{\"threshold\":-1}}", "injection.threshold: takes a number from 0 to 1\n"},
        {"{\"injection\":{\"treshold\":1}}",
         "!injection.treshold: there is no such member — did you mean 'threshold'?\n"},
        {"{\"wordlists\":[{\"name\":\"a\",\"words\":[\"x\\u0000y\"]}]}",
         "wordlists[0].words: takes a text\n"},
        {"{\"prompts\":{\"email\":\"\\ud800\"}}", "prompts.email: takes a text\n"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct told told;
        assert_null(compile(wrong[i].json, &told));
        assert_string_equal(told.text, wrong[i].told);
    }
}

static void percents_are_read_as_they_are_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned percent; /* 0: it is none */
    } said[] = {{"0", 1},    {"1", 100}, {"1.0", 100}, {"0.5", 50}, {"0.05", 5}, {"0.509", 50},
                {"1.01", 0}, {"2", 0},   {"", 0},      {".5", 0},   {"0.", 0},   {"-0.5", 0},
                {"0.5x", 0}, {"0,5", 0}, {"50%", 0},   {"1e0", 0}};
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        char json[96];
        struct told told;
        (void)snprintf(json, sizeof(json), "{\"min_confidence\":{\"email\":\"%s\"}}",
                       said[i].text); /* fits */
        struct guard_policy *p = compile(json, &told);
        assert_int_equal(p == NULL ? 0 : p->percents[GUARD_EMAIL], said[i].percent);
        guard_policy_unref(&p);
    }
}

/* Whether a team of this form may be put beside a gateway of that one; what is milder is told. */
static bool is_stricter(const char *team_json, const char *gateway_json, struct told *told)
{
    struct arena arena;
    struct guard_form form, other;
    arena_init(&arena, 1u << 20);
    *told = (struct told){.len = 0};
    struct guard_policy *gateway = make(gateway_json, GUARD_BUILTINS, told, &arena, &other);
    struct guard_policy *team = make(team_json, GUARD_TEAM_FIRST, told, &arena, &form);
    assert_non_null(gateway);
    assert_non_null(team);
    bool is = guard_is_stricter(&form, team, gateway, tell, told);
    assert_int_equal(is, told->len == 0);
    guard_policy_unref(&team);
    guard_policy_unref(&gateway);
    arena_fini(&arena);
    return is;
}

static void each_action_is_compared(void **state)
{
    (void)state;
    static const char *const names[] = {"allow",  "flag",       "mask", "hash",
                                        "redact", "local_only", "block"};
    for (int g = 0; g < GUARD_ACTIONS; g++) {
        for (int t = 0; t < GUARD_ACTIONS; t++) {
            char team[96], gateway[96];
            struct told told;
            (void)snprintf(team, sizeof(team), "{\"prompts\":{\"iban\":\"%s\"}}", names[t]);
            (void)snprintf(gateway, sizeof(gateway), "{\"prompts\":{\"iban\":\"%s\"}}", names[g]);
            assert_int_equal(is_stricter(team, gateway, &told),
                             guard_strictness((enum guard_action)t) >=
                                 guard_strictness((enum guard_action)g));
        }
    }
}

static void what_a_team_does_not_say_is_not_milder(void **state)
{
    (void)state;
    struct told told;
    const char *gateway =
        "{\"mode\":\"enforce\",\"prompts\":{\"default\":\"block\"},\"restore\":false,"
        "\"blocked_reply\":\"empty\",\"injection\":{\"action\":\"block\",\"threshold\":0.2},"
        "\"min_confidence\":{\"email\":0.1},\"classes\":{\"iban\":\"secret\"}}";
    assert_true(is_stricter("{}", gateway, &told));
    assert_true(is_stricter("{\"patterns\":[{\"name\":\"a\",\"regex\":\"A{3}\",\"action\":"
                            "\"allow\"}],\"prompts\":{\"a\":\"flag\"}}",
                            gateway, &told)); /* a type of its own */
    assert_false(is_stricter("{\"prompts\":{\"default\":\"redact\"}}", gateway, &told));
    assert_string_equal(told.text,
                        "prompts.default: 'redact' is milder than what the gateway does: 'block'; "
                        "a team can only be stricter\n");
    assert_false(is_stricter("{\"min_confidence\":{\"email\":0.2}}", gateway, &told));
    assert_string_equal(told.text, "min_confidence.email: the gateway acts from 0.10 on, and a "
                                   "team can only be stricter\n");
    assert_true(guard_is_stricter(NULL, NULL, NULL, tell, &told)); /* there is no gateway's */
}

static void a_digest_is_of_all_that_is_said(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "{}",
        "{\"mode\":\"enforce\"}",
        "{\"prompts\":{\"email\":\"flag\"}}",
        "{\"replies\":{\"email\":\"flag\"}}",
        "{\"prompts\":{\"email\":\"mask\"}}",
        "{\"restore\":false}",
        "{\"restore\":true}",
        "{\"blocked_reply\":\"empty\"}",
        "{\"min_confidence\":{\"email\":0.6}}",
        "{\"classes\":{\"email\":\"secret\"}}",
        "{\"injection\":{\"action\":\"flag\"}}",
        "{\"injection\":{\"threshold\":0.3}}",
        "{\"patterns\":[{\"name\":\"a\",\"regex\":\"A{3}\"}]}",
        "{\"patterns\":[{\"name\":\"a\",\"regex\":\"A{4}\"}]}",
        "{\"wordlists\":[{\"name\":\"a\",\"words\":[\"x\"]}]}",
        "{\"wordlists\":[{\"name\":\"a\",\"words\":[\"y\"]}]}",
        "{\"dictionary\":[{\"name\":\"a\",\"words\":[\"x\"]}]}",
    };
    enum { COUNT = sizeof(forms) / sizeof(forms[0]) };
    uint8_t digests[COUNT][GUARD_DIGEST_BYTES];
    for (size_t i = 0; i < COUNT; i++) {
        struct guard_policy *p = compile_good(forms[i]);
        memcpy(digests[i], p->digest, GUARD_DIGEST_BYTES);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(digests[i], digests[j], GUARD_DIGEST_BYTES);
        }
        guard_policy_unref(&p);
    }
}

static void a_row_that_is_damaged_is_refused(void **state)
{
    (void)state;
    struct guard_policy *p = NULL;
    assert_int_equal(guard_policy_of_team(SPAN("{\"mode\":\"enforce\"}"), &p), ERR_OK);
    assert_int_equal(p->mode, GUARD_ENFORCE);
    guard_policy_unref(&p);
    assert_int_equal(guard_policy_of_team(SPAN("{\"mode\":\"enf"), &p), ERR_CONFIG);
    assert_null(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_says_what_is_done),
        cmocka_unit_test(a_form_that_says_nothing_does_nothing),
        cmocka_unit_test(all_that_is_wrong_is_told),
        cmocka_unit_test(shapes_are_checked),
        cmocka_unit_test(percents_are_read_as_they_are_written),
        cmocka_unit_test(each_action_is_compared),
        cmocka_unit_test(what_a_team_does_not_say_is_not_milder),
        cmocka_unit_test(a_digest_is_of_all_that_is_said),
        cmocka_unit_test(a_row_that_is_damaged_is_refused),
    };
    return cmocka_run_group_tests_name("guard_form", tests, NULL, NULL);
}
