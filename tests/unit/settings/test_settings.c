/* SPDX-License-Identifier: Apache-2.0 */
/* test_settings.c — from a file to struct settings: what is read, and what stands for the rest. */
#include "settings/settings_file.h"

static struct settings *open_valid(struct settings_file *f, const char *text)
{
    struct settings *s;
    char *problems = settings_file_open(f, text, &s);
    if (s == NULL) {
        fail_msg("%s", problems);
    }
    memory_free(problems);
    return s;
}

static void an_empty_file_gives_the_defaults(void **state)
{
    (void)state;
    struct settings_file f;
    settings_file_begin(&f);
    struct settings *s = open_valid(&f, "");
    assert_string_equal(s->path, f.path);
    assert_string_equal(s->data, "/var/lib/atlas");
    assert_string_equal(s->pid_file, "/var/lib/atlas/atlas.pid");
    assert_int_equal(s->log.level, LOG_INFO);
    assert_int_equal(s->log.format, SETTINGS_LOG_TEXT);
    assert_null(s->log.file);
    assert_string_equal(s->log.access, "/var/lib/atlas/access.log");
    assert_int_equal(s->server.listens_count, 1);
    assert_string_equal(s->server.listens[0].address, "127.0.0.1:8080");
    assert_null(s->server.listens[0].tls_certificate);
    assert_int_equal(s->server.head_bytes_max, 16 << 10);
    assert_int_equal(s->server.body_bytes_max, 32 << 20);
    assert_int_equal(s->server.head_timeout_ms, 10000);
    assert_string_equal(s->admin.listen.address, "127.0.0.1:8081");
    assert_string_equal(s->gateway.zone, "local");
    assert_null(s->gateway.region);
    assert_int_equal(s->gateway.buffered_bytes_max, 1 << 30);
    assert_int_equal(s->gateway.drain_notice_ms, 5000);
    assert_int_equal(s->gateway.drain_timeout_ms, 30000);
    assert_int_equal(s->gateway.models_count, 0);
    assert_int_equal(s->upstream.definitions_count, 0);
    assert_int_equal(s->journal.commit_interval_ms, 25);
    assert_int_equal(s->gateway.cors.origins.count, 0);
    assert_int_equal(s->gateway.cors.max_age_s, 600);
    settings_close(&s);
    assert_null(s);
    settings_close(&s);
    settings_file_end(&f);
}

static const char full[] = "zone: riyadh-dc1\n"
                           "region: sa\n"
                           "data: ./var\n"
                           "pid_file: /run/atlas.pid\n"
                           "listen:\n"
                           "  - address: 127.0.0.1:8080\n"
                           "  - address: \"[::]:8443\"\n"
                           "    tls: { certificate: tls.crt, key: /etc/atlas/tls.key }\n"
                           "client:\n"
                           "  body_rate_min: 0\n"
                           "  head_max: 24 KiB\n"
                           "cors: { origins: [\"https://a.example\", \"http://localhost:3000\"] }\n"
                           "upstreams:\n"
                           "  falcon-gpu:\n"
                           "    kind: llama.cpp\n"
                           "    url: http://10.0.0.5:8000/v1/\n"
                           "    api_key: sk-1\n"
                           "    region: sa\n"
                           "    timeouts: { connect: 250ms, total: 1h }\n"
                           "  other: { url: \"https://[::1]:8443\" }\n"
                           "models:\n"
                           "  arabic-large:\n"
                           "    upstream: other\n"
                           "    upstream_name: tiiuae/Falcon-H1-34B-Instruct\n"
                           "    aliases: [falcon-arabic, نموذج, c]\n"
                           "    endpoints: [completions, chat]\n"
                           "    context: 131072\n"
                           "    max_output: 4096\n"
                           "    price: { input: 0.20, output: 0.6, per: 1000, currency: SAR }\n"
                           "    token_arrays: false\n"
                           "  \"openai/*\": { upstream: falcon-gpu }\n"
                           "log: { level: error, format: json, file: a.log, access: \"off\" }\n";

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct settings_file f;
    char expect[128];
    settings_file_begin(&f);
    struct settings *s = open_valid(&f, full);
    snprintf(expect, sizeof(expect), "%s/var", f.folder);
    assert_string_equal(s->data, expect);
    snprintf(expect, sizeof(expect), "%s/var/a.log", f.folder);
    assert_string_equal(s->log.file, expect);
    assert_null(s->log.access);
    assert_int_equal(s->log.level, LOG_ERROR);
    assert_int_equal(s->log.format, SETTINGS_LOG_JSON);
    assert_string_equal(s->pid_file, "/run/atlas.pid");
    assert_int_equal(s->server.listens_count, 2);
    snprintf(expect, sizeof(expect), "%s/tls.crt", f.folder);
    assert_string_equal(s->server.listens[1].tls_certificate, expect);
    assert_string_equal(s->server.listens[1].tls_key, "/etc/atlas/tls.key");
    assert_int_equal(s->server.body_rate_min_bytes, 0);
    assert_int_equal(s->server.head_bytes_max, 24 << 10);
    assert_int_equal(s->gateway.cors.origins.count, 2);
    assert_string_equal(s->gateway.cors.origins.at[1], "http://localhost:3000");
    settings_close(&s);
    settings_file_end(&f);
}

static void upstreams_and_models_are_read(void **state)
{
    (void)state;
    struct settings_file f;
    settings_file_begin(&f);
    struct settings *s = open_valid(&f, full);
    const struct upstream_definition *up = s->upstream.definitions;
    assert_int_equal(s->upstream.definitions_count, 2);
    assert_string_equal(up[0].name, "falcon-gpu");
    assert_int_equal(up[0].kind, UPSTREAM_LLAMA_CPP);
    assert_string_equal(up[0].url, "http://10.0.0.5:8000/v1");
    assert_string_equal(up[0].api_key.text, "sk-1");
    assert_string_equal(value_secret_shown(up[0].api_key), "set");
    assert_int_equal(up[0].connect_timeout_ms, 250);
    assert_int_equal(up[0].first_byte_timeout_ms, 600000);
    assert_int_equal(up[0].total_timeout_ms, 3600000);
    assert_int_equal(up[1].kind, UPSTREAM_OPENAI);
    assert_string_equal(value_secret_shown(up[1].api_key), "not set");

    const struct model_settings *m = s->gateway.models;
    assert_int_equal(s->gateway.models_count, 2);
    assert_string_equal(m[0].name, "arabic-large");
    assert_int_equal(m[0].upstream_index, 1);
    assert_int_equal(m[0].aliases.count, 3);
    assert_string_equal(m[0].aliases.at[1], "نموذج");
    assert_string_equal(m[0].aliases.at[2], "c");
    assert_int_equal(m[0].endpoints, POLICY_CHAT | POLICY_COMPLETIONS);
    assert_int_equal(m[0].context_tokens, 131072);
    assert_int_equal(m[0].max_output, 4096);
    assert_int_equal(m[0].prices_count, 1);
    assert_int_equal(m[0].prices->input_nano, 200000000);
    assert_int_equal(m[0].prices->cached_nano, 200000000); /* nobody says otherwise */
    assert_int_equal(m[0].prices->output_nano, 600000000);
    assert_int_equal(m[0].prices->per_tokens, 1000);
    assert_string_equal(m[0].prices->currency, "SAR");
    assert_int_equal(m[0].prices->from.us, 0);
    assert_int_equal(m[1].prices_count, 0); /* which is not the same as one of 0 */
    assert_false(m[0].token_arrays);
    assert_false(m[0].is_pattern);
    assert_true(m[1].is_pattern);
    assert_true(m[1].token_arrays);
    assert_int_equal(m[1].endpoints, POLICY_CHAT | POLICY_COMPLETIONS | POLICY_EMBEDDINGS);
    assert_null(m[1].upstream_name);
    settings_close(&s);
    settings_file_end(&f);
}

/* A prompt of 125 s and a pause of 65 s are ordinary, and SDKs wait 600 s. */
static void the_default_times_fit_models_that_think_for_minutes(void **state)
{
    (void)state;
    struct settings_file f;
    settings_file_begin(&f);
    struct settings *s = open_valid(&f, "upstreams: { a: { url: \"http://127.0.0.1:1/v1\" } }\n");
    const struct upstream_definition *up = &s->upstream.definitions[0];
    assert_true(up->first_byte_timeout_ms >= 600000 && up->idle_timeout_ms >= 600000);
    assert_true(up->total_timeout_ms > up->first_byte_timeout_ms &&
                up->total_timeout_ms > up->idle_timeout_ms);
    assert_true(s->gateway.stream_head_hold_ms == 15000 && s->gateway.ping_interval_ms == 15000);
    settings_close(&s);
    settings_file_end(&f);
}

static void sections_without_settings_are_as_if_not_there(void **state)
{
    (void)state;
    struct settings_file f;
    settings_file_begin(&f);
    struct settings *s = open_valid(&f, "listen:\nupstreams: {}\nmodels:\nclient:\nlog: ~\n");
    assert_int_equal(s->server.listens_count, 1);
    settings_close(&s);
    settings_file_end(&f);
}

static void texts_come_from_the_environment_and_from_files(void **state)
{
    (void)state;
    struct settings_file f;
    settings_file_begin(&f);
    settings_file_put(f.other, SPAN("sk-from-file\r\n\n"));
    settings_file_setenv("ATLAS_TEST_KEY", "sk-from-env");
    settings_file_setenv("ATLAS_TEST_WORKERS", "3");
    settings_file_setenv("ATLAS_TEST_FOLDER", f.other);
    struct settings *s =
        open_valid(&f, "workers: ${ATLAS_TEST_WORKERS}\n"
                       "zone: a${ATLAS_TEST_WORKERS}b$${c}$d\n"
                       "upstreams:\n"
                       "  a: { url: \"http://h\", api_key: \"${ATLAS_TEST_KEY}\" }\n"
                       "  b: { url: \"http://h\", api_key: file:other }\n"
                       "  c: { url: \"http://h\", api_key: \"file:${ATLAS_TEST_FOLDER}\" }\n");
    assert_int_equal(s->gateway.workers, 3);
    assert_string_equal(s->gateway.zone, "a3b${c}$d");
    assert_string_equal(s->upstream.definitions[0].api_key.text, "sk-from-env");
    assert_string_equal(s->upstream.definitions[1].api_key.text, "sk-from-file");
    assert_string_equal(s->upstream.definitions[2].api_key.text, "sk-from-file");
    settings_close(&s);
    settings_file_end(&f);
}

static void a_file_that_is_not_there_or_no_file_is_named(void **state)
{
    (void)state;
    struct buf problems;
    struct settings *s = NULL;
    buf_init(&problems, 4096);
    assert_int_equal(settings_open("/nonexistent/a.yaml", &problems, &s), ERR_CONFIG);
    assert_true(span_is(buf_span(&problems),
                        "/nonexistent/a.yaml: there is no such file; `atlas init --config "
                        "/nonexistent/a.yaml` makes one\n"));
    buf_clear(&problems);
    assert_int_equal(settings_open("/tmp", &problems, &s), ERR_CONFIG);
    assert_true(span_is(buf_span(&problems), "/tmp: cannot be read: it is a folder, not a file\n"));
    assert_null(s);
    buf_fini(&problems);
}

static void prices_stand_in_the_order_of_their_times(void **state)
{
    (void)state;
    static const struct {
        int64_t from_us, input, cached, output, request, gpu_second, per;
        const char *currency;
    } rows[] = {
        {0, 3000000000, 3000000000, 4000000000, 0, 0, 1000000, "USD"},
        {INT64_C(1798750800000000), 0, 0, 0, 5000000, 0, 1000000, "SAR"},
        {INT64_C(1798761600000000), 1, 0, 0, 0, 0, 1, "USD"},
        {INT64_C(1830297600000000), 0, 0, 0, 0, 2000000, 1000000, "USD"},
    };
    struct settings_file f;
    settings_file_begin(&f);
    struct settings *s = open_valid(
        &f, "upstreams: {u: {url: 'http://h'}}\n"
            "models:\n"
            "  m:\n"
            "    upstream: u\n"
            "    prices:\n"
            "      - { gpu_second: 0.002, from: 2028-01-01 }\n"
            "      - { input: 0.000000001, cached_input: 0, per: 1, from: 2027-01-01T00:00:00Z }\n"
            "      - { request: 0.005, currency: SAR, from: '2027-01-01T00:00:00+03:00' }\n"
            "    price: { input: 3, output: 4 }\n"
            "  free: {upstream: u, price: {input: 0}}\n"
            "  none: {upstream: u, price: , prices: []}\n");
    const struct model_settings *m = s->gateway.models;
    assert_int_equal(m[0].prices_count, ROWS(rows));
    for (size_t i = 0; i < ROWS(rows); i++) {
        const struct policy_price *p = &m[0].prices[i];
        assert_int_equal(p->from.us, rows[i].from_us);
        assert_true(p->input_nano == rows[i].input && p->cached_nano == rows[i].cached &&
                    p->output_nano == rows[i].output && p->request_nano == rows[i].request &&
                    p->gpu_second_nano == rows[i].gpu_second && p->per_tokens == rows[i].per);
        assert_string_equal(p->currency, rows[i].currency);
    }
    assert_true(m[1].prices_count == 1 && m[1].prices->output_nano == 0);
    assert_int_equal(m[2].prices_count, 0);
    settings_close(&s);
    settings_file_end(&f);
}

static void a_thousand_models_are_read(void **state)
{
    (void)state;
    struct settings_file f;
    struct buf text;
    settings_file_begin(&f);
    buf_init(&text, 1u << 20);
    buf_put_text(&text, "upstreams: {u: {url: 'http://h'}}\nmodels:\n");
    for (int i = 0; i < 1000; i++) {
        buf_printf(&text, "  m%d: {upstream: u, aliases: [a%d, b%d]}\n", i, i, i);
    }
    buf_put_byte(&text, '\0');
    struct settings *s = open_valid(&f, (const char *)buf_span(&text).at);
    assert_int_equal(s->gateway.models_count, 1000);
    assert_string_equal(s->gateway.models[999].aliases.at[1], "b999");
    settings_close(&s);
    buf_fini(&text);
    settings_file_end(&f);
}

static void slots_are_as_many_as_the_calls_at_once_need(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t slots;
    } rows[] = {
        {"", 32768},
        {"calls: {max: 1}\n", 64},
        {"calls: {max: 1000}\n", 2000},
        {"calls: {max: 100001}\n", 116386},
        {"calls: {max: 62}\njournal: {slots: 64}\n", 64},
    };
    struct settings_file f;
    settings_file_begin(&f);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct settings *s = open_valid(&f, rows[i].text);
        assert_int_equal(s->journal.slots, rows[i].slots);
        settings_close(&s);
    }
    settings_file_end(&f);
}

static void what_needs_a_restart_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after, *named;
    } rows[] = {
        {"", "", ""},
        {"zone: a\nclient: {head_max: 2KiB}\n", "zone: b\nclient: {head_max: 3KiB}\n", ""},
        {"data: /a\n", "data: /b\n", "data, pid_file, log.access"},
        {"workers: 1\nlog: {file: a}\n", "workers: 2\n", "workers, log.file"},
        {"", "admin: {address: '127.0.0.1:9'}\njournal: {slots: 32770}\n",
         "admin.address, journal.slots"},
        {"listen: [{address: '127.0.0.1:1', tls: {certificate: a, key: b}}]\n",
         "listen: [{address: '127.0.0.1:1', tls: {certificate: c, key: d}}]\n", ""},
        {"listen: [{address: '127.0.0.1:1', tls: {certificate: a, key: b}}]\n",
         "listen: [{address: '127.0.0.1:1'}]\n", "listen"},
        {"listen: [{address: '127.0.0.1:1'}]\n",
         "listen: [{address: '127.0.0.1:1'}, {address: '127.0.0.1:2'}]\n", "listen"},
        {"", "listen: [{address: '127.0.0.1:8080'}]\n", ""},
        {"admin: {tls: {certificate: a, key: b}}\n", "admin: {tls: {certificate: c, key: d}}\n",
         ""},
        {"", "admin: {tls: {certificate: a, key: b}}\n", "admin.tls"},
    };
    struct settings_file f;
    settings_file_begin(&f);
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct settings *before = open_valid(&f, rows[r].before);
        struct settings *after = open_valid(&f, rows[r].after);
        struct buf named;
        buf_init(&named, 1024);
        settings_restart_needed(before, after, &named);
        if (!span_is(buf_span(&named), rows[r].named)) {
            fail_msg("\"%s\" to \"%s\": %.*s", rows[r].before, rows[r].after,
                     SPAN_ARGS(buf_span(&named)));
        }
        buf_fini(&named);
        settings_close(&before);
        settings_close(&after);
    }
    settings_file_end(&f);
}

/* What is kept of a configuration for later has no secret. */
static void secrets_are_no_part_of_the_text_that_is_kept(void **state)
{
    (void)state;
#define KEPT(value)  "# ü\nupstreams:\n  a: {url: \"http://a/v1\", api_key: " value ", zone: b}\n"
#define BLOCK(value) "upstreams:\n  a:\n    api_key: " value "    url: http://a/v1\n"
    static const struct {
        const char *text, *kept;
    } rows[] = {
        {KEPT("sk-1"), KEPT("***")},
        {KEPT("\"sk \\\" 1\""), NULL}, /* refused: a blank */
        {KEPT("\"sk\\\"1\""), KEPT("***")},
        {KEPT("'sk-1'"), KEPT("***")},
        {KEPT("\"${FALCON_KEY}\""), KEPT("\"${FALCON_KEY}\"")},
        {KEPT("\"sk-${FALCON_KEY}\""), KEPT("***")},
        {KEPT("\"${FALCON_KEY}${FALCON_KEY}\""), KEPT("***")},
        {BLOCK("|-\n      sk-1\n"), BLOCK("***\n")},
        {BLOCK(">-\n      sk-1\n"), BLOCK("***\n")},
        {BLOCK("sk-1 # api_key: sk-2\n"), BLOCK("*** # api_key: ***\n")},
        {"# api_key: sk-1\nzone: a # api_key: ${A}\n", "# api_key: ***\nzone: a # api_key: ${A}\n"},
        {"zone: a\n#api_key: sk-1", "zone: a\n#api_key: ***"},
        {"\xEF\xBB\xBF" KEPT("sk-1"), "\xEF\xBB\xBF" KEPT("***")},
        {"", ""},
    };
    struct settings_file f;
    settings_file_begin(&f);
    settings_file_setenv("FALCON_KEY", "sk-9");
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct settings *s;
        char *problems = settings_file_open(&f, rows[r].text, &s);
        struct span kept = s == NULL ? SPAN("") : s->gateway.texts.settings;
        if ((s == NULL) != (rows[r].kept == NULL) || (s != NULL && !span_is(kept, rows[r].kept))) {
            fail_msg("%s%s is kept as: %.*s", problems, rows[r].text, SPAN_ARGS(kept));
        }
        memory_free(problems);
        settings_close(&s);
    }
    settings_file_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_gives_the_defaults),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(upstreams_and_models_are_read),
        cmocka_unit_test(the_default_times_fit_models_that_think_for_minutes),
        cmocka_unit_test(sections_without_settings_are_as_if_not_there),
        cmocka_unit_test(texts_come_from_the_environment_and_from_files),
        cmocka_unit_test(a_file_that_is_not_there_or_no_file_is_named),
        cmocka_unit_test(prices_stand_in_the_order_of_their_times),
        cmocka_unit_test(a_thousand_models_are_read),
        cmocka_unit_test(slots_are_as_many_as_the_calls_at_once_need),
        cmocka_unit_test(what_needs_a_restart_is_named),
        cmocka_unit_test(secrets_are_no_part_of_the_text_that_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
