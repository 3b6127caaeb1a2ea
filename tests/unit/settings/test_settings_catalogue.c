/* SPDX-License-Identifier: Apache-2.0 */
/* test_settings_catalogue.c — the catalogue of models: its names, its text, what is taken of it. */
#include "settings/settings_file.h"

#include <ctype.h>

#include "settings/settings_table.h"

#define UPSTREAM "upstreams: {u: {url: \"http://127.0.0.1:1/v1\"}}\n"

static void a_name_is_plain_without_who_packed_it_and_how(void **state)
{
    (void)state;
    static const struct {
        const char *name, *plain;
    } rows[] = {
        {"meta-llama/Llama-3.1-8B-Instruct", "llama3.1-8binstruct"},
        {"llama3.1:8b-instruct-q4_K_M", "llama3.1-8binstruct"},
        {"hf.co/x/Llama-3.1-8B-Instruct-GGUF:Q4_K_M", "llama3.1-8binstruct"},
        {"/models/llama-3.1-8b-instruct.Q8_0.gguf", "llama3.1-8binstruct"},
        {"C:\\m\\Llama_3.1_8B_Instruct-IQ3_XXS.gguf", "llama3.1-8binstruct"},
        {"Llama-3.1-8B-Instruct-00001-of-00004.gguf", "llama3.1-8binstruct"},
        {"neuralmagic/Llama-3.1-8B-Instruct-quantized.w4a16", "llama3.1-8binstruct"},
        {"x/Llama-3.1-8B-Instruct-FP8-dynamic", "llama3.1-8binstruct"},
        {"x/Llama-3.1-8B-Instruct-GPTQ-Int4", "llama3.1-8binstruct"},
        {"unsloth/Llama-3.1-8B-Instruct-unsloth-bnb-4bit", "llama3.1-8binstruct"},
        {"llama3.2:latest", "llama3.2"},
        {"gemma3:1b", "gemma3-1b"},
        {"google/gemma-3-1b", "gemma3-1b"},
        {"gemma-31b", "gemma31b"},
        {"Qwen3-4B-Instruct-2507", "qwen3-4binstruct2507"},
        {"bge-m3", "bgem3"},
        {"q4_0", "q4-0"}, /* nothing but a packing is a name, too */
        {"", ""},
        {"org/", ""},
        {"-", ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        char plain[CATALOGUE_NAME_BYTES];
        settings_catalogue_plain(span_of(rows[i].name), plain);
        assert_string_equal(plain, rows[i].plain);
    }
}

static void a_long_name_is_cut(void **state)
{
    (void)state;
    char name[1000];
    char plain[CATALOGUE_NAME_BYTES];
    memset(name, 'a', sizeof(name));
    settings_catalogue_plain(span_make(name, sizeof(name)), plain);
    assert_int_equal(strlen(plain), CATALOGUE_NAME_BYTES - 1);
}

static struct settings *open_built_in(void)
{
    struct buf problems;
    struct settings *s = NULL;
    buf_init(&problems, 65536);
    if (settings_open_catalogue(&problems, &s) != ERR_OK) {
        fail_msg("%.*s", SPAN_ARGS(buf_span(&problems)));
    }
    buf_fini(&problems);
    return s;
}

static void an_entry_is_found_by_many_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *name, *entry;
    } rows[] = {
        {"tiiuae/Falcon-H1-34B-Instruct", "Falcon-H1-34B"},
        {"falcon-h1-34b-instruct-Q4_K_M.gguf", "Falcon-H1-34B"},
        {"hf.co/tiiuae/Falcon-H1-1.5B-Deep-Instruct-GGUF:Q4_K_M", "Falcon-H1-1.5B-Deep"},
        {"falcon3:10b", "Falcon3-10B"},
        {"inceptionai/Jais-2-70B-Chat", "Jais-2-70B"},
        {"inception42/Jais-2-70B-Chat-GGUF", "Jais-2-70B"},
        {"humain-ai/ALLaM-7B-Instruct-preview", "ALLaM-7B"},
        {"hf.co/mradermacher/Fanar-2-27B-Instruct-i1-GGUF:i1-Q4_K_M", "Fanar-2-27B"},
        {"llama3.2:3b", "Llama-3.2-3B"},
        {"meta-llama/Llama-3.3-70B-Instruct", "Llama-3.3-70B"},
        {"llama4:scout", "Llama-4-Scout"},
        {"qwen2.5:7b", "Qwen2.5-7B"},
        {"qwen2.5-7b-instruct-q4_k_m.gguf", "Qwen2.5-7B"},
        {"Qwen/Qwen2.5-VL-7B-Instruct-AWQ", "Qwen2.5-VL-7B"},
        {"qwen2.5vl:7b", "Qwen2.5-VL-7B"},
        {"Qwen/Qwen3-30B-A3B-FP8", "Qwen3-30B-A3B"},
        {"qwen3:30b-a3b", "Qwen3-30B-A3B"},
        {"Qwen/Qwen3.5-397B-A17B-FP8", "Qwen3.5-397B-A17B"},
        {"google/gemma-3-27b-it", "gemma-3-27b"},
        {"gemma3:27b-it-qat", "gemma-3-27b"},
        {"mistralai/Mixtral-8x7B-Instruct-v0.1", "Mixtral-8x7B"},
        {"mistral-nemo", "Mistral-Nemo"},
        {"deepseek-r1:14b", "DeepSeek-R1-Distill-Qwen-14B"},
        {"deepseek-ai/DeepSeek-R1-0528", "DeepSeek-R1-0528"},
        {"openai/gpt-oss-120b", "gpt-oss-120b"},
        {"zai-org/GLM-4.5-Air-FP8", "GLM-4.5-Air"},
        {"CohereLabs/c4ai-command-r7b-arabic-02-2025", "command-r7b-arabic"},
        {"BAAI/bge-m3", "bge-m3"},
        {"multilingual-e5-large-q8_0.gguf", "multilingual-e5-large"},
        {"snowflake-arctic-embed2", "snowflake-arctic-embed-l-v2.0"},
        {"Falcon-H1-34", NULL},
        {"falcon", NULL},
        {"gpt-4o", NULL},
        {"my-finetune-of-Qwen3-8B", NULL},
        {"", NULL},
    };
    struct settings *s = open_built_in();
    for (size_t i = 0; i < ROWS(rows); i++) {
        const struct catalogue_entry *e =
            settings_catalogue_find(&s->catalogue, span_of(rows[i].name));
        const char *found = e == NULL ? "nothing" : e->name;
        const char *expect = rows[i].entry == NULL ? "nothing" : rows[i].entry;
        if (strcmp(found, expect) != 0) {
            fail_msg("%s is %s, not %s", rows[i].name, found, expect);
        }
    }
    settings_close(&s);
}

static void check_languages(const struct catalogue_entry *e)
{
    for (size_t i = 0; i < e->languages.count; i++) {
        const char *code = e->languages.at[i];
        assert_int_equal(strlen(code), 2);
        assert_true(islower((unsigned char)code[0]) && islower((unsigned char)code[1]));
        assert_true(i == 0 || strcmp(e->languages.at[i - 1], code) < 0); /* sorted: none twice */
    }
}

static void check_entry(const struct settings_catalogue *c, const struct catalogue_entry *e)
{
    bool is_vectors = e->endpoints == POLICY_EMBEDDINGS;
    assert_non_null(e->family);
    assert_non_null(e->parameters);
    assert_non_null(strpbrk(e->parameters, "BM"));
    assert_non_null(e->licence);
    assert_int_not_equal(e->commercial, CATALOGUE_TRADE_UNKNOWN);
    assert_in_range(e->tier, 1, POLICY_TIER_MOST);
    assert_true((e->inputs & POLICY_TEXT) != 0);
    assert_true(is_vectors || e->endpoints == (POLICY_CHAT | POLICY_COMPLETIONS));
    assert_true(e->context_tokens == 0 || e->context_tokens >= 512);
    assert_int_equal(e->max_output, 0);                     /* none has a bound of its own, */
    assert_int_equal(e->reasoning, POLICY_REASONING_AS_IS); /* and clients read what they do */
    assert_int_equal(is_vectors, e->dimensions > 0);
    assert_true(!is_vectors || (e->tools == POLICY_MAY && e->thinks == CATALOGUE_THINKS_UNKNOWN));
    assert_false(e->is_own);
    check_languages(e);
    assert_true(e->names.count > 0);
    assert_ptr_equal(settings_catalogue_find(c, span_of(e->name)), e);
    for (size_t i = 0; i < e->names.count; i++) {
        assert_ptr_equal(settings_catalogue_find(c, span_of(e->names.at[i])), e);
    }
}

static void every_entry_that_is_built_in_is_whole(void **state)
{
    (void)state;
    struct settings *s = open_built_in();
    const struct settings_catalogue *c = &s->catalogue;
    static const char *const wanted[] = {"falcon-h1", "jais-2",  "llama-3.1", "qwen2.5", "qwen3",
                                         "qwen3.5",   "gemma-3", "gpt-oss",   "allam",   "fanar"};
    size_t unknown_contexts = 0;
    assert_true(c->models_count > 150);
    for (size_t i = 0; i < c->models_count; i++) {
        check_entry(c, &c->models[i]);
        unknown_contexts += c->models[i].context_tokens == 0;
    }
    assert_in_range(unknown_contexts, 0, 3);
    for (size_t i = 0; i < ROWS(wanted); i++) {
        size_t members = 0;
        for (size_t k = 0; k < c->models_count; k++) {
            members += strcmp(c->models[k].family, wanted[i]) == 0;
        }
        assert_true(members > 0);
    }
    settings_close(&s);
}

static struct settings *open_models(struct settings_file *f, const char *models)
{
    char text[4096];
    struct settings *s;
    snprintf(text, sizeof(text), UPSTREAM "models:\n%s", models);
    char *problems = settings_file_open(f, text, &s);
    if (s == NULL) {
        fail_msg("%s", problems);
    }
    memory_free(problems);
    return s;
}

static void a_model_takes_what_it_does_not_say(void **state)
{
    (void)state;
    struct settings_file f;
    settings_file_begin(&f);
    struct settings *s =
        open_models(&f, "  qwen2.5:7b: {upstream: u}\n"
                        "  a: {upstream: u, upstream_name: BAAI/bge-m3}\n"
                        "  b: {upstream: u, catalogue: gemma3, upstream_name: x}\n");
    const struct model_settings *m = s->gateway.models;
    assert_string_equal(m[0].known_as, "Qwen2.5-7B");
    assert_int_equal(m[0].context_tokens, 32768);
    assert_int_equal(m[0].endpoints, POLICY_CHAT | POLICY_COMPLETIONS);
    assert_int_equal(m[0].inputs, POLICY_TEXT);
    assert_int_equal(m[0].tools, POLICY_CAN);
    assert_int_equal(m[0].tier, 3);
    assert_string_equal(m[0].languages.at[0], "ar");
    assert_string_equal(m[0].tokenizer, "qwen2");
    assert_int_equal(m[1].endpoints, POLICY_EMBEDDINGS);
    assert_int_equal(m[1].context_tokens, 8192);
    assert_int_equal(m[2].inputs, POLICY_TEXT | POLICY_IMAGE);
    struct buf taken;
    buf_init(&taken, 4096);
    settings_catalogue_put_taken(&m[1], &taken);
    buf_put_byte(&taken, '\0');
    assert_string_equal((const char *)buf_span(&taken).at,
                        "context 8192, endpoints [embeddings], inputs [text], tier 4");
    buf_fini(&taken);
    settings_close(&s);
    settings_file_end(&f);
}

static void what_several_servers_call_a_model_must_mean_one_entry(void **state)
{
    (void)state;
    struct settings_file f;
    settings_file_begin(&f);
    struct settings *s =
        open_models(&f, "  a: {deployments: [{upstream: u, upstream_name: \"llama3.1:8b\"},\n"
                        "    {upstream: u, upstream_name: meta-llama/Llama-3.1-8B-Instruct}]}\n"
                        "  b: {deployments: [{upstream: u, upstream_name: llama3.1},\n"
                        "    {upstream: u, upstream_name: llama3.2}]}\n"
                        "  llama3.3: {deployments: [{upstream: u}]}\n");
    const struct model_settings *m = s->gateway.models;
    assert_string_equal(m[0].known_as, "Llama-3.1-8B");
    assert_null(m[1].known_as);
    assert_string_equal(m[2].known_as, "Llama-3.3-70B");
    settings_close(&s);
    settings_file_end(&f);
}

static void what_the_operator_says_holds(void **state)
{
    (void)state;
    struct settings_file f;
    settings_file_begin(&f);
    struct settings *s = open_models(
        &f, "  qwen2.5:7b: {upstream: u, context: 0, tier: 1, endpoints: [chat], tools: unknown,\n"
            "    inputs: [text, image], languages: [], max_output: 7}\n"
            "  llama3.1: {upstream: u, catalogue: none}\n"
            "  llama3.2: {upstream: u, upstream_name: another-thing}\n"
            "  \"qwen3*\": {upstream: u}\n"
            "  \"q/*\": {upstream: u, catalogue: qwen3}\n"
            "  gemma2: {upstream: u, tools: false}\n"
            "  gemma-2-9b: {upstream: u}\n");
    const struct model_settings *m = s->gateway.models;
    assert_int_equal(m[0].context_tokens, 0);
    assert_int_equal(m[0].tier, 1);
    assert_int_equal(m[0].endpoints, POLICY_CHAT);
    assert_int_equal(m[0].tools, POLICY_MAY);
    assert_int_equal(m[0].inputs, POLICY_TEXT | POLICY_IMAGE);
    assert_int_equal(m[0].languages.count, 0);
    assert_int_equal(m[0].taken, 0);
    for (size_t i = 1; i < 4; i++) {
        assert_null(m[i].known_as);
        assert_int_equal(m[i].taken, 0);
        assert_int_equal(m[i].endpoints, POLICY_CHAT | POLICY_COMPLETIONS | POLICY_EMBEDDINGS);
    }
    assert_string_equal(m[4].known_as, "Qwen3-8B");
    assert_int_equal(m[5].tools, POLICY_CANNOT);
    assert_false(m[5].has_guessed_tools);
    assert_int_equal(m[6].tools, POLICY_CANNOT);
    assert_true(m[6].has_guessed_tools);
    settings_close(&s);
    settings_file_end(&f);
}

static void the_operators_entries_add_and_replace(void **state)
{
    (void)state;
    struct settings_file f;
    settings_file_begin(&f);
    settings_file_put(f.other, SPAN("families:\n"
                                    "  ours: {licence: Ours, tier: 5, inputs: [text, audio]}\n"
                                    "models:\n"
                                    "  Bank-7B: {family: ours, names: [bank*], context: 999}\n"
                                    "  qwen2.5-7b: {family: qwen2.5, tier: 1}\n"
                                    "  Small: {names: [\"llama3.1:8b\"], max_output: 5}\n"));
    char text[1024];
    struct settings *s;
    snprintf(text, sizeof(text),
             UPSTREAM "catalogue: other\nmodels:\n"
                      "  x: {upstream: u, upstream_name: bank-13b-chat}\n"
                      "  qwen2.5: {upstream: u}\n"
                      "  qwen2.5:7b: {upstream: u}\n"
                      "  llama3.1:8b: {upstream: u}\n"
                      "  llama3.1: {upstream: u}\n");
    char *problems = settings_file_open(&f, text, &s);
    assert_string_equal(problems, "");
    memory_free(problems);
    const struct model_settings *m = s->gateway.models;
    assert_string_equal(m[0].known_as, "Bank-7B");
    assert_int_equal(m[0].context_tokens, 999);
    assert_int_equal(m[0].tier, 5);
    assert_int_equal(m[0].inputs, POLICY_TEXT | POLICY_AUDIO);
    assert_null(m[1].known_as); /* the entry that has this name is replaced whole */
    assert_int_equal(m[2].tier, 1);
    assert_int_equal(m[2].context_tokens, 32768); /* of the family that is built in */
    assert_int_equal(m[3].max_output, 5);
    assert_int_equal(m[3].context_tokens, 0);
    assert_string_equal(m[4].known_as, "Llama-3.1-8B"); /* by its other names it is there still */
    assert_true(s->catalogue.models[0].is_own);
    settings_close(&s);
    settings_file_end(&f);
}

static void a_wrong_entry_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *problem;
    } rows[] = {
        {"models:\n  a: {contxt: 1}\n",
         "2:7: unknown setting 'models.a.contxt' — did you mean 'context'?\n"},
        {"models:\n  a: {tier: 6}\n",
         "2:13: models.a.tier takes a whole number from 0 to 5, not '6'\n"},
        {"models:\n  a:\n    inputs: [text, smell]\n",
         "3:20: models.a.inputs takes a list of some of text, image, audio, not 'smell'\n"},
        {"models:\n  a: {family: nobody}\n", "2:15: there is no family 'nobody'\n"},
        {"models:\n  a-1b: {tier: 1}\n  b: {names: [x/A_1B-GGUF]}\n",
         "3:15: 'x/A_1B-GGUF' means the same as a name of 'a-1b' (line 2)\n"},
        {"models:\n  none: {tier: 1}\n", "2:3: 'none' cannot name a model\n"},
        {"models:\n  a: {names: [org/]}\n", "2:15: 'org/' cannot name a model\n"},
        {"models: [a]\n", "1:9: models takes a mapping: lines of `name: value` below it\n"},
        {"upstreams: {}\n",
         "1:1: unknown setting 'upstreams'; `atlas config reference` lists them all\n"},
    };
    struct settings_file f;
    settings_file_begin(&f);
    settings_file_put(f.path, SPAN("catalogue: other\n"));
    for (size_t i = 0; i < ROWS(rows); i++) {
        char expect[512];
        struct buf problems;
        struct settings *s = NULL;
        buf_init(&problems, 65536);
        settings_file_put(f.other, span_of(rows[i].text));
        snprintf(expect, sizeof(expect), "%s:%s", f.other, rows[i].problem);
        assert_int_equal(settings_open(f.path, &problems, &s), ERR_CONFIG);
        buf_put_byte(&problems, '\0');
        assert_string_equal((const char *)buf_span(&problems).at, expect);
        buf_fini(&problems);
    }
    settings_file_end(&f);
}

static void a_model_cannot_name_an_entry_that_is_not_there(void **state)
{
    (void)state;
    struct settings_file f;
    struct settings *s;
    settings_file_begin(&f);
    char *problems = settings_file_open(
        &f, UPSTREAM "models:\n  a: {upstream: u, catalogue: Falcon-H2-34B}\n", &s);
    assert_string_equal(problems, "3:31: the catalogue has no model 'Falcon-H2-34B' — did you mean "
                                  "'Falcon-H1-34B'?\n");
    memory_free(problems);
    problems = settings_file_open(&f, UPSTREAM "models:\n  a: {upstream: u, catalogue: xyz}\n", &s);
    assert_string_equal(problems,
                        "3:31: the catalogue has no model 'xyz'; `atlas models list` shows them\n");
    memory_free(problems);
    settings_file_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_plain_without_who_packed_it_and_how),
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(an_entry_is_found_by_many_spellings),
        cmocka_unit_test(every_entry_that_is_built_in_is_whole),
        cmocka_unit_test(a_model_takes_what_it_does_not_say),
        cmocka_unit_test(what_several_servers_call_a_model_must_mean_one_entry),
        cmocka_unit_test(what_the_operator_says_holds),
        cmocka_unit_test(the_operators_entries_add_and_replace),
        cmocka_unit_test(a_wrong_entry_is_told_with_its_place),
        cmocka_unit_test(a_model_cannot_name_an_entry_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
