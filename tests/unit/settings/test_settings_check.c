/* SPDX-License-Identifier: Apache-2.0 */
/* test_settings_check.c — what is wrong with a configuration, where it stands and how to mend it.
 */
#include "settings/settings_file.h"

#define UP "upstreams: {u: {url: 'http://h'}}\n"

struct problem_row {
    const char *text, *problems;
};

static void each_is_named(const struct problem_row *rows, size_t count)
{
    struct settings_file f;
    settings_file_begin(&f);
    settings_file_put(f.other, SPAN("a\0b"));
    settings_file_setenv("ATLAS_TEST_EMPTY", "");
    for (size_t r = 0; r < count; r++) {
        struct settings *s;
        char *problems = settings_file_open(&f, rows[r].text, &s);
        if (strcmp(problems, rows[r].problems) != 0) {
            fail_msg("%s\ngave\n%s\nfor\n%s", rows[r].text, problems, rows[r].problems);
        }
        memory_free(problems);
        settings_close(&s);
    }
    settings_file_end(&f);
}

static void an_unknown_setting_is_an_error_with_the_nearest_name(void **state)
{
    (void)state;
    static const struct problem_row rows[] = {
        {"upsteams:\n  a: 1\n", "1:1: unknown setting 'upsteams' — did you mean 'upstreams'?\n"},
        {"zone: a\nclient:\n  body_mx: 1\n",
         "3:3: unknown setting 'client.body_mx' — did you mean 'body_max'?\n"},
        {"body_max: 1MiB\n", "1:1: unknown setting 'body_max' — did you mean 'client.body_max'?\n"},
        {"client.body_max: 1MiB\n",
         "1:1: unknown setting 'client.body_max'; `atlas config reference` lists them all\n"},
        {"colour: red\n",
         "1:1: unknown setting 'colour'; `atlas config reference` lists them all\n"},
        {"'': red\n", "1:1: unknown setting ''; `atlas config reference` lists them all\n"},
        {"listen: [{address: '127.0.0.1:1', tls: {cert: a}}]\n",
         "1:41: unknown setting 'listen[0].tls.cert'; `atlas config reference` lists them all\n"},
        {"upstreams: {u: {url: 'http://h', timeouts: {conect: 1s}}}\n",
         "1:45: unknown setting 'upstreams.u.timeouts.conect' — did you mean 'connect'?\n"},
    };
    each_is_named(rows, ROWS(rows));
}

static void a_mistyped_value_is_an_error_that_says_what_fits(void **state)
{
    (void)state;
    static const struct problem_row rows[] = {
        {"workers: two\n", "1:10: workers takes a whole number from 0 to 256, not 'two'\n"},
        {"workers: 257\n", "1:10: workers takes a whole number from 0 to 256, not '257'\n"},
        {"workers: -1\n", "1:10: workers takes a whole number from 0 to 256, not '-1'\n"},
        {"workers: [1]\n", "1:10: workers takes a whole number from 0 to 256\n"},
        {"workers:\n", "1:1: workers is given no value; leave the line out, or give one\n"},
        {"drain_timeout: 30\n",
         "1:16: drain_timeout takes a duration (ms, s, m, h, d) from 0s to 1h, not '30'\n"},
        {"client: {body_max: 32MB}\n", "1:20: client.body_max takes a size (KiB, MiB, GiB, TiB) "
                                       "from 1KiB to 1GiB, not '32MB'\n"},
        {"client: 3\n", "1:9: client takes a mapping: lines of `name: value` below it\n"},
        {"- a\n", "1:1: the file takes a mapping: lines of `name: value` below it\n"},
        {"listen: 127.0.0.1:8080\n", "1:9: listen takes a list, each item after a dash\n"},
        {"listen: [127.0.0.1:8080]\n",
         "1:10: listen[0] takes a mapping: lines of `name: value` below it\n"},
        {"zone: a b\n",
         "1:7: zone takes a name of 1 to 128 visible ASCII characters without spaces, not "
         "'a b'\n"},
        {"zone: \"a\\nb\"\n",
         "1:7: zone takes a name of 1 to 128 visible ASCII characters without spaces, "
         "not 'a?b'\n"},
        {"log: {level: loud}\n",
         "1:14: log.level takes one of debug, info, warn, error, not 'loud'\n"},
        {"cors: {origins: https://a}\n",
         "1:17: cors.origins takes a list of texts, not 'https://a'\n"},
        {"admin: {address: 8081}\n", "1:18: admin.address takes an address with its port, such as "
                                     "127.0.0.1:8080 or [::1]:8080, not '8081'\n"},
        {UP "models: {m: {upstream: u, token_arrays: yes}}\n",
         "2:41: models.m.token_arrays takes true or false, not 'yes'\n"},
        {UP "models: {m: {upstream: u, endpoints: [chat, speech]}}\n",
         "2:45: models.m.endpoints takes a list of some of chat, completions, embeddings, not "
         "'speech'\n"},
        {UP "models: {m: {upstream: u, price: {input: 1e3}}}\n",
         "2:42: models.m.price.input takes a decimal number from 0 to 1000000, not '1e3'\n"},
    };
    each_is_named(rows, ROWS(rows));
}

static void what_cannot_be_expanded_is_an_error(void **state)
{
    (void)state;
    static const struct problem_row rows[] = {
        {"zone: ${ATLAS_TEST_EMPTY}\n", "1:7: zone: the environment variable ATLAS_TEST_EMPTY is "
                                        "empty; set it before starting Atlas\n"},
        {"zone: ${ATLAS_TEST_NONE}\n", "1:7: zone: the environment variable ATLAS_TEST_NONE is "
                                       "not set; set it before starting Atlas\n"},
        {"zone: ${ATLAS\n", "1:7: zone: ${ needs the name of a variable and a }; write $${ for the "
                            "characters themselves\n"},
        {"zone: file:/nonexistent/x\n",
         "1:7: zone: /nonexistent/x cannot be read: No such file or directory\n"},
        {"zone: file:/dev/null\n",
         "1:7: zone: /dev/null cannot be read: it is a device, not a file\n"},
    };
    each_is_named(rows, ROWS(rows));
}

static void a_secret_is_never_shown(void **state)
{
    (void)state;
    static const struct problem_row rows[] = {
        {"upstreams: {u: {url: 'http://h', api_key: 'pass word'}}\n",
         "1:43: upstreams.u.api_key takes a secret: ${NAME}, file:PATH or the text itself, visible "
         "ASCII\n"},
        {"upstreams: {u: {url: 'http://me:password@h'}}\n",
         "1:22: upstreams.u.url takes an http or https URL without query, such as "
         "http://127.0.0.1:8000/v1; a key stands in `api_key:`\n"},
        {"upstreams: {u: {url: 'http://h/v1?key=password'}}\n",
         "1:22: upstreams.u.url takes an http or https URL without query, such as "
         "http://127.0.0.1:8000/v1; a key stands in `api_key:`\n"},
    };
    each_is_named(rows, ROWS(rows));
}

static void listeners_are_checked_together(void **state)
{
    (void)state;
    static const struct problem_row rows[] = {
        {"listen: [{address: '127.0.0.1:1', tls: {key: a}}]\n",
         "1:40: listen[0].tls needs both `certificate` and `key`, or neither\n"},
        {"listen: [{address: '127.0.0.1:1'}, {address: '127.0.0.1:1'}]\n",
         "1:46: listen[1].address is the same as that of listen[0]\n"},
        {"listen: [{address: '127.0.0.1:0'}, {address: '127.0.0.1:0'}]\n", ""},
        {"listen: [{address: '127.0.0.1:8081'}]\n",
         "1:20: listen[0].address is the same as admin.address; give one of them another port\n"},
        {"admin: {address: '127.0.0.1:8080'}\n",
         "1:18: listen[0].address is the same as admin.address; give one of them another port\n"},
        {"listen: [{address: '127.0.0.1:1', tls: {certificate: a, key: a, sni: [{key: b}]}}]\n",
         "1:71: listen[0].tls.sni[0] needs `certificate: …`, such as /etc/atlas/other.crt\n"},
        {"listen: [{address: '127.0.0.1:1', tls: {sni: [{certificate: b, key: b}]}}]\n",
         "1:46: listen[0].tls.sni needs listen[0].tls.certificate, for who asks for no name\n"},
        {"listen:\n  - address: '127.0.0.1:1'\n    tls:\n      certificate: a\n      key: a\n"
         "      sni:\n        - certificat: b\n          key: b\n",
         "7:11: unknown setting 'listen[0].tls.sni[0].certificat' — did you mean 'certificate'?\n"
         "7:11: listen[0].tls.sni[0] needs `certificate: …`, such as /etc/atlas/other.crt\n"},
        {"admin: {tls: {certificate: a, key: a, sni: {certificate: b}}}\n",
         "1:44: admin.tls.sni takes a list, each item after a dash\n"},
        {"listen: [{}]\n", "1:10: listen[0] needs `address: …`, such as 127.0.0.1:8080\n"},
        {"journal: {slots: 64}\n",
         "1:18: 64 slots are too few for the 16384 calls of calls.max: leave it out, or lower "
         "calls.max to 62\n"},
        {"calls: {max: 63}\njournal: {slots: 64}\n",
         "2:18: 64 slots are too few for the 63 calls of calls.max: leave it out, or lower "
         "calls.max to 62\n"},
        {"dns: {servers: [10.0.0.2, dns.example]}\n",
         "1:27: a name server is given by its address, such as 10.0.0.2 or 10.0.0.2:5353\n"},
        {"cors: {origins: ['*', 'https://a']}\n",
         "1:18: \"*\" means any origin; it stands alone\n"},
        {"cors: {origins: ['https://a/']}\n", "1:18: an origin is a scheme and a host, such as "
                                              "https://app.example, or \"*\"\n"},
    };
    each_is_named(rows, ROWS(rows));
}

static void upstreams_and_models_are_checked_together(void **state)
{
    (void)state;
    static const struct problem_row rows[] = {
        {"upstreams: {u: {}}\n",
         "1:13: upstreams.u needs `url: …`, such as http://10.0.0.5:8000/v1\n"},
        {"upstreams: {'a b': {url: 'http://h'}}\n",
         "1:13: the name of an upstream is 1 to 128 visible ASCII characters without spaces\n"},
        {UP "models: {m: {upstream: v}}\n", "2:24: there is no upstream 'v' — did you mean 'u'?\n"},
        {UP "models: {m: {upstream: other}}\n",
         "2:24: there is no upstream 'other'; add it below `upstreams:`\n"},
        {UP "models: {m: {}}\n",
         "2:10: models.m needs `upstream: …`, such as falcon-gpu, or `deployments:`\n"},
        {UP "models: {m: {upstream: u, aliases: [n, m]}}\n",
         "2:40: 'm' names a model twice; line 2 has it already\n"},
        {UP "models:\n  m: {upstream: u, aliases: [n]}\n  n: {upstream: u}\n",
         "4:3: 'n' names a model twice; line 3 has it already\n"},
        {UP "models: {Auto: {upstream: u}}\n",
         "2:10: 'Auto' asks for routing and cannot be a model's name\n"},
        {UP "models: {m: {upstream: u, aliases: [auto-router]}}\n",
         "2:37: 'auto-router' asks for routing and cannot be a model's name\n"},
        {UP "models: {'a*b': {upstream: u}}\n",
         "2:10: a * may stand at the end of a name only, not as in 'a*b'\n"},
        {UP "models: {'*': {upstream: u}}\n", ""},
        {UP "models: {m: {upstream: u, aliases: ['n*']}}\n",
         "2:37: an alias cannot hold a *; make 'n*' a model of its own\n"},
        {UP "models: {'m*': {upstream: u, aliases: [n]}}\n",
         "2:39: a pattern has no aliases; it is every name that begins so\n"},
        {UP "models: {'m*': {upstream: u, upstream_name: n}}\n",
         "2:45: a pattern passes the caller's name on; leave upstream_name out\n"},
        {UP "models: {m: {upstream: u, endpoints: []}}\n",
         "2:38: models.m.endpoints needs at least one of chat, completions, embeddings\n"},
        {UP "models: {m: {upstream: u, endpoints: [embedding]}}\n",
         "2:39: models.m.endpoints takes a list of some of chat, completions, embeddings, not "
         "'embedding' \xe2\x80\x94 did you mean 'embeddings'?\n"},
        {UP "models: {m: {upstream: u, price: {input: 1, currency: usd}}}\n",
         "2:55: models.m.price.currency takes three capital letters of ISO 4217, such as USD, not "
         "'usd'\n"},
        {UP "models: {m: {upstream: u, price: {input: 1, currency: EURO}}}\n",
         "2:55: models.m.price.currency takes three capital letters of ISO 4217, such as USD, not "
         "'EURO'\n"},
        {UP "models: {m: {upstream: u, price: {per: 1000}}}\n",
         "2:27: models.m.price says no amount: give it `input` and `output`, `request` or "
         "`gpu_second`, were it 0\n"},
        {UP "models: {m: {upstream: u, price: {input: 1, from: 2027-02-29}}}\n",
         "2:51: models.m.price.from takes a day (in UTC) or a time, such as 2027-01-01 or "
         "2027-01-01T00:00:00+03:00, not '2027-02-29'\n"},
        {UP "models: {m: {upstream: u, price: {request: 1000001}}}\n",
         "2:44: models.m.price.request takes a decimal number from 0 to 1000000, not '1000001'\n"},
        {UP "models: {m: {upstream: u, prices: {input: 1}}}\n",
         "2:35: models.m.prices takes a list, each item after a dash\n"},
        {UP "models: {m: {upstream: u, prices: [{input: 1}, {currency: SAR}]}}\n",
         "2:48: models.m.prices[1] says no amount: give it `input` and `output`, `request` or "
         "`gpu_second`, were it 0\n"},
        {UP "models:\n"
            "  m:\n"
            "    upstream: u\n"
            "    price: {input: 1}\n"
            "    prices:\n"
            "      - {input: 2, from: 2027-01-01}\n"
            "      - {input: 3, from: 2027-01-01T03:00:00+03:00}\n",
         "8:9: models.m has two prices from the same moment; line 7 has the other one: give each "
         "its `from`\n"},
        {UP "models: {m: {upstream: u, price: {input: 1}, prices: [{input: 2}]}}\n",
         "2:55: models.m has two prices from the same moment; line 2 has the other one: give each "
         "its `from`\n"},
        {UP "models: {'': {upstream: u}}\n", "2:10: the name of a model has 1 to 255 bytes\n"},
    };
    each_is_named(rows, ROWS(rows));
}

static void urls_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool ok;
    } rows[] = {
        {"http://h", true},
        {"https://h.example:8443/v1/", true},
        {"http://[::1]:80/v1", true},
        {"http://[::1]", true},
        {"http://127.0.0.1:65535", true},
        {"h:80", false},
        {"ftp://h", false},
        {"http://", false},
        {"http:///v1", false},
        {"http://h:0", false},
        {"http://h:", false},
        {"http://h:65536", false},
        {"http://h:80x", false},
        {"http://[::1", false},
        {"http://[]", false},
        {"http://[::1]x", false},
        {"http://[::1]x:80", false},
        {"http://u@h", false},
        {"http://h/?a=b", false},
        {"http://h/#a", false},
        {"http://h/a b", false},
        {"http://h\\\\x", false},
    };
    struct settings_file f;
    settings_file_begin(&f);
    for (size_t r = 0; r < ROWS(rows); r++) {
        char text[256];
        struct settings *s;
        snprintf(text, sizeof(text), "upstreams: {u: {url: \"%s\"}}\n", rows[r].url);
        char *problems = settings_file_open(&f, text, &s);
        if ((s != NULL) != rows[r].ok) {
            fail_msg("%s: %s", rows[r].url, problems);
        }
        memory_free(problems);
        settings_close(&s);
    }
    settings_file_end(&f);
}

static void names_that_a_record_would_cut_are_refused(void **state)
{
    (void)state;
    struct settings_file f;
    settings_file_begin(&f);
    for (int more = 0; more < 2; more++) {
        char text[1024], name[300];
        struct settings *s;
        memset(name, 'n', sizeof(name));
        /* With the model's "m" and the upstream's "u" 448 bytes in all, or one more. */
        (void)snprintf(text, sizeof(text),
                       "upstreams: {u: {url: \"http://h\", region: %.100s, zone: %.100s}}\n"
                       "models: {m: {upstream: u, upstream_name: %.*s}}\n",
                       name, name, 246 + more, name);
        char *problems = settings_file_open(&f, text, &s);
        assert_int_equal(s != NULL, more == 0);
        if (more != 0) {
            assert_non_null(strstr(problems, "449 bytes together; a record holds 448"));
        }
        memory_free(problems);
        settings_close(&s);
    }
    settings_file_end(&f);
}

static void all_problems_are_named_in_the_order_of_the_file(void **state)
{
    (void)state;
    static const struct problem_row rows[] = {
        {"models: {m: {upstream: v}}\nworkers: x\nzzz: 1\n",
         "1:24: there is no upstream 'v'; add it below `upstreams:`\n"
         "2:10: workers takes a whole number from 0 to 256, not 'x'\n"
         "3:1: unknown setting 'zzz'; `atlas config reference` lists them all\n"},
        {"a: 1\na: 2\nworkers: x\n", "2:1: 'a' is given twice; line 1 has it already\n"},
    };
    each_is_named(rows, ROWS(rows));
}

static void past_fifty_problems_the_rest_is_counted(void **state)
{
    (void)state;
    struct settings_file f;
    struct settings *s;
    struct buf text;
    settings_file_begin(&f);
    buf_init(&text, 1u << 16);
    for (int i = 0; i < 53; i++) {
        buf_printf(&text, "x%d: 1\n", i);
    }
    buf_put_byte(&text, '\0');
    char *problems = settings_file_open(&f, (const char *)buf_span(&text).at, &s);
    const char *end = " and 3 more\n";
    assert_string_equal(problems + strlen(problems) - strlen(end), end);
    memory_free(problems);
    buf_fini(&text);
    settings_file_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_setting_is_an_error_with_the_nearest_name),
        cmocka_unit_test(a_mistyped_value_is_an_error_that_says_what_fits),
        cmocka_unit_test(what_cannot_be_expanded_is_an_error),
        cmocka_unit_test(a_secret_is_never_shown),
        cmocka_unit_test(listeners_are_checked_together),
        cmocka_unit_test(upstreams_and_models_are_checked_together),
        cmocka_unit_test(urls_are_checked),
        cmocka_unit_test(names_that_a_record_would_cut_are_refused),
        cmocka_unit_test(all_problems_are_named_in_the_order_of_the_file),
        cmocka_unit_test(past_fifty_problems_the_rest_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
