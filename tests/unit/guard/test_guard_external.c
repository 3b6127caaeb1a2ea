/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard_external.c — texts as scanners see them, their answers, and places back to the bytes
 * of the document. */
#include "unit.h"

#include "guard/guard_external.h"
#include "guard/guard_form.h"

struct world {
    struct guard_policy *policy;
    struct guard_rule_of of;
    struct arena arena;
    struct guard_case c;
    struct json_index x;
    struct json_edits edits;
    struct guard_part parts[8];
    size_t count;
    struct guard_gathered g;
    struct buf found;
};

static void no_problem(void *ctx, const char *member, bool is_name, const char *sentence)
{
    (void)ctx;
    (void)is_name;
    fail_msg("%s: %s", member, sentence);
}

/* A policy that redacts persons and flags places; texts are all strings of the document. */
static void begin(struct world *w, enum guard_external_kind kind, const char *json)
{
    static const char *const types[] = {"person", "location"};
    static const struct pair prompts[] = {{"person", "redact"}, {"email", "mask"}};
    const struct guard_external_form external = {
        .name = "ner", .url = "x", .kind = kind, .language = "ar", .types = {types, 2}};
    const struct guard_form form = {.is_given = true,
                                    .mode = GUARD_ENFORCE,
                                    .actions = {{prompts, 2}},
                                    .external = &external,
                                    .external_count = 1};
    memset(w, 0, sizeof(*w));
    assert_int_equal(guard_compile(&form, GUARD_BUILTINS, no_problem, NULL, &w->policy), ERR_OK);
    w->of = (struct guard_rule_of){.gateway = w->policy};
    arena_init(&w->arena, 64 << 20);
    guard_case_init(&w->c, &w->of, &w->arena);
    json_index_init(&w->x, 1000, 16);
    assert_int_equal(json_index_parse_borrow(&w->x, span_of(json)), ERR_OK);
    json_edits_init(&w->edits, &w->x, &w->arena);
    buf_init(&w->found, 1 << 20);
    for (uint32_t row = 0; row < w->x.count; row++) {
        if (json_kind(&w->x, row) == JSON_STRING) {
            w->parts[w->count++] = (struct guard_part){.row = row, .channel = OPENAI_TEXT_USER};
        }
    }
}

static void gather(struct world *w, const char *says)
{
    bool is_done = false;
    guard_gather_begin(&w->g, w->parts, w->count);
    while (!is_done) {
        assert_int_equal(guard_gather(&w->g, &w->edits, 1, &is_done), ERR_OK);
    }
    assert_int_equal(buf_span(&w->g.text).len, strlen(says));
    assert_memory_equal(buf_span(&w->g.text).at, says, strlen(says));
}

static enum err answer(struct world *w, const char *text)
{
    buf_clear(&w->found);
    return guard_external_read(w->policy, &w->policy->scanners[0], &w->g, span_of(text), &w->found);
}

static void becomes(struct world *w, const char *json)
{
    bool changes;
    char out[1000];
    assert_int_equal(guard_apply(&w->c, &w->g, (struct guard_finding *)(void *)w->found.at,
                                 buf_span(&w->found).len / sizeof(struct guard_finding), &w->edits,
                                 &changes),
                     ERR_OK);
    size_t len = (size_t)json_edits_total(&w->edits);
    assert_true(len < sizeof(out));
    json_edits_copy(&w->edits, (uint8_t *)out);
    out[len] = '\0';
    assert_string_equal(out, json);
}

static void end(struct world *w)
{
    guard_gather_end(&w->g);
    buf_fini(&w->found);
    json_index_fini(&w->x);
    guard_case_fini(&w->c);
    arena_fini(&w->arena);
    guard_policy_unref(&w->policy);
}

static void test_places_are_followed_back_through_escapes_and_scripts(void **state)
{
    struct world w;
    (void)state;
    begin(&w, GUARD_EXTERNAL_ATLAS,
          "[\"\\u0633\\u0627\\u0631\\u0629 \\ud83d\\ude42 \\\"B\\u006fb\\\"\",\"\",\"سارة\"]");
    gather(&w, "سارة 🙂 \"Bob\"\n\n\n\nسارة");
    assert_int_equal(
        answer(&w, "{\"findings\":[{\"text\":2,\"type\":\"person\",\"start\":0,\"end\":8},"
                   "{\"text\":0,\"type\":\"PERSON\",\"start\":15,\"end\":18,\"score\":0.9},"
                   "{\"text\":0,\"type\":\"person\",\"start\":0,\"end\":8}]}"),
        ERR_OK);
    becomes(&w, "[\"[PERSON_1] \\ud83d\\ude42 \\\"[PERSON_2]\\\"\",\"\",\"[PERSON_1]\"]");
    end(&w);
}

static void test_characters_are_no_bytes(void **state)
{
    struct world w;
    (void)state;
    begin(&w, GUARD_EXTERNAL_PRESIDIO, "[\"🙂 سارة\",\"🇸🇦 Bob\"]");
    gather(&w, "🙂 سارة\n\n🇸🇦 Bob");
    assert_int_equal(answer(&w,
                            "[{\"entity_type\":\"PERSON\",\"start\":2,\"end\":6,\"score\":0.85},"
                            "{\"entity_type\":\"PERSON\",\"start\":11,\"end\":14,\"score\":1}]"),
                     ERR_OK);
    becomes(&w, "[\"🙂 [PERSON_1]\",\"🇸🇦 [PERSON_2]\"]");
    end(&w);
}

static void test_what_was_edited_before_is_shown_so_and_stays(void **state)
{
    struct world w;
    (void)state;
    begin(&w, GUARD_EXTERNAL_ATLAS, "[\"Bob a@b.sa Eve\"]");
    json_edits_replace_borrow(&w.edits, 6, 6, SPAN("[EMAIL_1]"));
    gather(&w, "Bob [EMAIL_1] Eve");
    assert_int_equal(
        answer(&w, "{\"findings\":[{\"text\":0,\"type\":\"person\",\"start\":0,\"end\":17}]}"),
        ERR_OK);
    becomes(&w, "[\"[PERSON_1][EMAIL_1][PERSON_2]\"]");
    end(&w);
}

static void test_overlaps_are_one_and_others_are_only_noted(void **state)
{
    struct world w;
    (void)state;
    begin(&w, GUARD_EXTERNAL_ATLAS, "[\"Bob at mail in Riyadh\"]");
    gather(&w, "Bob at mail in Riyadh");
    assert_int_equal(
        answer(&w, "{\"findings\":[{\"text\":0,\"type\":\"EMAIL_ADDRESS\",\"start\":4,\"end\":11},"
                   "{\"text\":0,\"type\":\"person\",\"start\":0,\"end\":6},"
                   "{\"text\":0,\"type\":\"location\",\"start\":0,\"end\":21},"
                   "{\"text\":0,\"type\":\"shoe\",\"start\":0,\"end\":3}]}"),
        ERR_OK);
    becomes(&w, "[\"[PERSON_1] in Riyadh\"]");
    char told[200];
    told[guard_case_write_found(&w.c, told, sizeof(told))] = '\0';
    assert_string_equal(told,
                        "location:prompt:flag:1@0 ner:prompt:flag:1@0 person:prompt:redact:1@0");
    end(&w);
}

static void test_liars_are_not_believed(void **state)
{
    static const char *const lies[] = {
        "",
        "{}",
        "[]",
        "{\"findings\":7}",
        "{\"findings\":[7]}",
        "{\"findings\":[{\"text\":1,\"type\":\"person\",\"start\":0,\"end\":1}]}",
        "{\"findings\":[{\"text\":0,\"type\":\"person\",\"start\":0,\"end\":1}]}", /* in a character
                                                                                    */
        "{\"findings\":[{\"text\":0,\"type\":\"person\",\"start\":2,\"end\":2}]}",
        "{\"findings\":[{\"text\":0,\"type\":\"person\",\"start\":0,\"end\":99}]}",
        "{\"findings\":[{\"text\":0,\"type\":\"person\",\"start\":-2,\"end\":2}]}",
        "{\"findings\":[{\"text\":0,\"type\":\"person\",\"start\":0,\"end\":2,\"score\":1.5}]}",
        "{\"findings\":[{\"text\":0,\"type\":null,\"start\":0,\"end\":2}]}",
        "{\"findings\":[{\"text\":0,\"type\":\"person\",\"end\":2}]}",
        ("{\"findings\":[{\"text\":0,\"type\":\"person\",\"start\":18446744073709551615,\"end\":2}]"
         "}")};
    struct world w;
    (void)state;
    begin(&w, GUARD_EXTERNAL_ATLAS, "[\"سارة\"]");
    gather(&w, "سارة");
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        assert_int_equal(answer(&w, lies[i]), ERR_VALUE_INVALID);
    }
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places_are_followed_back_through_escapes_and_scripts),
        cmocka_unit_test(test_characters_are_no_bytes),
        cmocka_unit_test(test_what_was_edited_before_is_shown_so_and_stays),
        cmocka_unit_test(test_overlaps_are_one_and_others_are_only_noted),
        cmocka_unit_test(test_liars_are_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
