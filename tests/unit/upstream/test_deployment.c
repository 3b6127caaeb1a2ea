/* SPDX-License-Identifier: Apache-2.0 */
/* test_deployment.c — what is made of an upstream's settings, and when it is made anew. */
#include "unit.h"

#include "upstream/deployment.h"

static const struct upstream_definition plain = {.name = "falcon",
                                                 .kind = UPSTREAM_VLLM,
                                                 .url = "http://[::1]:8000/v1",
                                                 .api_key = {"secret"},
                                                 .region = "sa",
                                                 .connect_timeout_ms = 1,
                                                 .first_byte_timeout_ms = 2,
                                                 .idle_timeout_ms = 3,
                                                 .total_timeout_ms = 4,
                                                 .idle_connections_max = 5,
                                                 .idle_keep_ms = 6,
                                                 .reply_bytes_max = 7};

static void the_url_says_where_it_is(void **state)
{
    (void)state;
    char reason[DEPLOYMENT_REASON_BYTES];
    struct deployment *d;
    assert_int_equal(deployment_open(&plain, NULL, reason, &d), ERR_OK);
    assert_string_equal(d->host, "::1");
    assert_int_equal(d->port, 8000);
    assert_false(d->https);
    assert_true(span_is(d->path_prefix, "/v1"));
    assert_true(span_starts(d->fixed_fields, SPAN("Host: [::1]:8000\r\n")));
    assert_non_null(memmem(d->fixed_fields.at, d->fixed_fields.len,
                           "\r\nAuthorization: Bearer secret\r\n", 32));
    deployment_unref(&d);
    assert_null(d);
}

static void settings_that_cannot_be_used_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *url, *key;
        enum err error;
    } rows[] = {
        {"ftp://x", NULL, ERR_CONFIG},    {"http://", NULL, ERR_CONFIG},
        {"http://x:0", NULL, ERR_CONFIG}, {"http://x", "two\r\nlines", ERR_CONFIG},
        {"http://x", NULL, ERR_OK},
    };
    for (size_t r = 0; r < ROWS(rows); r++) {
        struct upstream_definition definition = plain;
        definition.url = rows[r].url;
        definition.api_key.text = rows[r].key;
        char reason[DEPLOYMENT_REASON_BYTES] = "";
        struct deployment *d = NULL;
        enum err e = deployment_open(&definition, NULL, reason, &d);
        if (e != rows[r].error || (e != ERR_OK && (reason[0] == '\0' || d != NULL))) {
            fail_msg("%s: %s, \"%s\"", rows[r].url, err_name(e), reason);
        }
        assert_null(strstr(reason, "lines")); /* a key is never shown */
        deployment_unref(&d);
    }
}

static void only_equal_settings_keep_a_deployment(void **state)
{
    (void)state;
    char reason[DEPLOYMENT_REASON_BYTES];
    struct deployment *d;
    assert_int_equal(deployment_open(&plain, NULL, reason, &d), ERR_OK);
    char key[] = "secret";
    struct upstream_definition same = plain;
    same.api_key.text = key;
    assert_true(deployment_is_made_from(d, &same, NULL));

    struct upstream_definition others[19];
    for (size_t i = 0; i < ROWS(others); i++) {
        others[i] = plain;
    }
    others[0].name = "other";
    others[1].kind = UPSTREAM_TGI;
    others[2].url = "http://[::1]:8001/v1";
    others[3].api_key.text = NULL;
    others[4].api_key.text = "Secret";
    others[5].region = NULL;
    others[6].zone = "z";
    others[7].ca_file = "/x";
    others[8].connect_timeout_ms++;
    others[9].first_byte_timeout_ms++;
    others[10].idle_timeout_ms++;
    others[11].total_timeout_ms++;
    others[12].connections_max++;
    others[13].idle_connections_max++;
    others[14].idle_keep_ms++;
    others[15].reply_bytes_max++;
    others[16].load_ms++;
    others[17].load_path = "/m";
    others[18].load_model = "falcon";
    for (size_t i = 0; i < ROWS(others); i++) {
        if (deployment_is_made_from(d, &others[i], NULL)) {
            fail_msg("change %zu goes unseen", i);
        }
    }
    struct deployment *second = deployment_ref(d);
    deployment_unref(&d);
    assert_true(deployment_is_made_from(second, &plain, NULL));
    deployment_unref(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_url_says_where_it_is),
        cmocka_unit_test(settings_that_cannot_be_used_are_refused),
        cmocka_unit_test(only_equal_settings_keep_a_deployment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
