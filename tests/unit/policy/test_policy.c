/* SPDX-License-Identifier: Apache-2.0 */
/* test_policy.c — which model a name leads to, and what is said of the models. */
#include "unit.h"

#include "policy/policy.h"
#include "policy/policy_digest.h"

#define SERVER(n, r)                                                                  \
    {                                                                                 \
        .name = n, .kind = UPSTREAM_VLLM, .url = "http://127.0.0.1:1/v1", .region = r \
    }

static const struct upstream_definition servers[] = {
    SERVER("home", "sa"),
    SERVER("abroad", "eu"),
    SERVER("nowhere", NULL),
};

static const char *const nicks[] = {"nick", "a/nick"};

static const struct policy_price price = {
    .input_nano = 1, .cached_nano = 1, .output_nano = 2, .per_tokens = 1000, .currency = "USD"};

static const struct model_settings models[] = {
    {.name = "plain",
     .upstream_index = 0,
     .endpoints = POLICY_CHAT,
     .prices = &price,
     .prices_count = 1},
    {.name = "named",
     .upstream_index = 1,
     .upstream_name = "org/real-name",
     .aliases = {nicks, 1},
     .endpoints = POLICY_CHAT,
     .context_tokens = 4096,
     .prices = &price,
     .prices_count = 1},
    {.name = "alias-of-own",
     .upstream_index = 2,
     .aliases = {nicks + 1, 1},
     .endpoints = POLICY_EMBEDDINGS,
     .prices = &price,
     .prices_count = 1},
    {.name = "org/*",
     .is_pattern = true,
     .upstream_index = 0,
     .endpoints = POLICY_CHAT,
     .prices = &price,
     .prices_count = 1},
    {.name = "org/team/*",
     .is_pattern = true,
     .upstream_index = 1,
     .upstream_name = "one",
     .endpoints = POLICY_CHAT,
     .prices = &price,
     .prices_count = 1},
    {.name = "org/exact",
     .upstream_index = 2,
     .endpoints = POLICY_CHAT,
     .prices = &price,
     .prices_count = 1},
};

static const struct policy_settings settings = {
    .zone = "riyadh", .region = "sa", .models = models, .models_count = ROWS(models)};

static struct policy *open_policy(const struct policy_settings *s, const struct policy *previous)
{
    static const struct upstream_settings upstreams = {servers, ROWS(servers)};
    char reason[DEPLOYMENT_REASON_BYTES];
    struct policy *p = NULL;
    enum err e = policy_open(s, &upstreams, previous, (wall_us){1700000000999999}, reason, &p);
    if (e != ERR_OK) {
        fail_msg("%s: %s", err_name(e), reason);
    }
    return p;
}

static const struct {
    const char *asked, *model, *shown, *upstream_name; /* model NULL: there is none */
} names[] = {
    {"plain", "plain", "plain", "plain"},
    {"named", "named", "named", "org/real-name"},
    {"nick", "named", "named", "org/real-name"},
    {"a/nick", "alias-of-own", "alias-of-own", "alias-of-own"},
    {"org/any", "org/*", "org/any", "org/any"},
    {"org/team", "org/*", "org/team", "org/team"},
    {"org/team/", "org/*", "org/team/", "org/team/"},
    {"org/team/x", "org/team/*", "org/team/x", "one"},
    {"org/team/x/y", "org/team/*", "org/team/x/y", "one"},
    {"org/exact", "org/exact", "org/exact", "org/exact"},
    {"org/exactly", "org/*", "org/exactly", "org/exactly"},
    {"org/*", "org/*", "org/*", "org/*"},
    {"org/", NULL, "", ""},
    {"org", NULL, "", ""},
    {"Plain", NULL, "", ""},
    {"plain ", NULL, "", ""},
    {"", NULL, "", ""},
    {"auto-router", NULL, "", ""},
};

static void a_name_leads_to_its_model_an_alias_or_the_longest_pattern(void **state)
{
    (void)state;
    struct policy *p = open_policy(&settings, NULL);
    for (size_t i = 0; i < ROWS(names); i++) {
        struct policy_match match;
        bool found = policy_find(p, span_of(names[i].asked), &match);
        if (found != (names[i].model != NULL)) {
            fail_msg("%s: found %d", names[i].asked, found);
        }
        if (found &&
            (!span_is(match.model->name, names[i].model) || !span_is(match.shown, names[i].shown) ||
             !span_is(match.upstream_name, names[i].upstream_name))) {
            fail_msg("%s: %.*s, shown %.*s, upstream %.*s", names[i].asked,
                     SPAN_ARGS(match.model->name), SPAN_ARGS(match.shown),
                     SPAN_ARGS(match.upstream_name));
        }
    }
    policy_unref(&p);
    assert_null(p);
    policy_unref(&p);
}

static void the_list_has_every_name_once_and_no_pattern(void **state)
{
    (void)state;
    static const char *const list =
        "{\"object\":\"list\",\"data\":["
        "{\"id\":\"a/nick\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"atlas\"},"
        "{\"id\":\"alias-of-own\",\"object\":\"model\",\"created\":1700000000,"
        "\"owned_by\":\"atlas\"},"
        "{\"id\":\"named\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"atlas\","
        "\"max_model_len\":4096},"
        "{\"id\":\"nick\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"atlas\","
        "\"max_model_len\":4096},"
        "{\"id\":\"org/exact\",\"object\":\"model\",\"created\":1700000000,"
        "\"owned_by\":\"atlas\"},"
        "{\"id\":\"plain\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"atlas\"}]}";
    struct policy *p = open_policy(&settings, NULL);
    if (!span_is(p->models_json, list)) {
        fail_msg("%.*s", SPAN_ARGS(p->models_json));
    }
    policy_unref(&p);
}

static void one_model_is_described_under_the_name_that_was_asked(void **state)
{
    (void)state;
    struct policy *p = open_policy(&settings, NULL);
    struct policy_match match;
    struct buf b;
    buf_init(&b, 1000);
    assert_true(policy_find(p, SPAN("org/\"x"), &match));
    policy_write_model(p, SPAN("org/\"x"), match.model, &b);
    assert_true(span_is(buf_span(&b), "{\"id\":\"org/\\\"x\",\"object\":\"model\","
                                      "\"created\":1700000000,\"owned_by\":\"atlas\"}"));
    buf_fini(&b);
    buf_init(&b, 10);
    policy_write_model(p, SPAN("org/x"), match.model, &b);
    assert_true(buf_failed(&b));
    buf_fini(&b);
    policy_unref(&p);
}

static void a_model_without_a_known_region_is_abroad_where_there_is_a_home(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_abroad;
        const char *residency;
    } rows[] = {
        {"plain", false, "X-Data-Residency: sa\r\n"},
        {"named", true, "X-Data-Residency: eu\r\n"},
        {"org/exact", true, "X-Data-Residency: unknown\r\n"},
    };
    struct policy_settings nowhere = settings;
    nowhere.region = NULL;
    struct policy *p = open_policy(&settings, NULL), *q = open_policy(&nowhere, NULL);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct policy_match match;
        assert_true(policy_find(p, span_of(rows[i].name), &match));
        assert_int_equal(match.place->is_abroad, rows[i].is_abroad);
        struct span lines = match.place->reply_lines;
        assert_non_null(memmem(lines.at, lines.len, rows[i].residency, strlen(rows[i].residency)));
        assert_true(span_starts(lines, SPAN("X-Sovereign-ID: riyadh\r\n")));
        assert_true(policy_find(q, span_of(rows[i].name), &match));
        assert_false(match.place->is_abroad); /* without a home no border is watched */
    }
    policy_unref(&p);
    policy_unref(&q);
}

static void a_policy_takes_over_the_deployments_that_did_not_change(void **state)
{
    (void)state;
    struct upstream_definition changed[ROWS(servers)];
    memcpy(changed, servers, sizeof(servers));
    changed[1].url = "http://127.0.0.1:2/v1";
    struct upstream_settings upstreams = {changed, ROWS(changed)};
    char reason[DEPLOYMENT_REASON_BYTES];
    struct policy *p = open_policy(&settings, NULL), *q = NULL;
    assert_int_equal(policy_open(&settings, &upstreams, p, (wall_us){1}, reason, &q), ERR_OK);
    assert_ptr_equal(p->deployments[0], q->deployments[0]);
    assert_ptr_not_equal(p->deployments[1], q->deployments[1]);
    assert_ptr_equal(p->deployments[2], q->deployments[2]);
    policy_unref(&p);
    struct policy_match match;
    assert_true(policy_find(q, SPAN("plain"), &match));
    assert_string_equal(match.place->deployment->definition.name, "home");
    policy_unref(&q);
}

static void a_bad_upstream_makes_no_policy(void **state)
{
    (void)state;
    struct upstream_definition bad[ROWS(servers)];
    memcpy(bad, servers, sizeof(servers));
    bad[1].ca_file = "/nowhere/ca.pem";
    bad[1].url = "https://127.0.0.1:2/v1";
    struct upstream_settings upstreams = {bad, ROWS(bad)};
    char reason[DEPLOYMENT_REASON_BYTES];
    struct policy *p = NULL;
    enum err e = policy_open(&settings, &upstreams, NULL, (wall_us){1}, reason, &p);
    assert_int_equal(e, ERR_NET_TLS);
    assert_null(p);
    assert_true(strlen(reason) > 0);
}

static void the_names_that_ask_for_routing_match_no_pattern(void **state)
{
    (void)state;
    static const struct model_settings all = {.name = "*",
                                              .is_pattern = true,
                                              .endpoints = POLICY_CHAT,
                                              .prices = &price,
                                              .prices_count = 1};
    static const struct {
        const char *name;
        bool found;
    } asked[] = {{"auto", false},     {"auto-router", false}, {"Auto-Router", false},
                 {"automatic", true}, {"auto-router2", true}, {"x/auto", true}};
    struct policy_settings every = settings;
    every.models = &all;
    every.models_count = 1;
    struct policy *p = open_policy(&every, NULL);
    for (size_t i = 0; i < ROWS(asked); i++) {
        struct policy_match match;
        if (policy_find(p, span_of(asked[i].name), &match) != asked[i].found) {
            fail_msg("%s", asked[i].name);
        }
    }
    policy_unref(&p);
}

/* The prices outlive the settings, each has its id, and whatever differs in one tells two policies
 * apart. */
static void a_model_has_its_prices_and_another_price_is_another_policy(void **state)
{
    (void)state;
    static const struct upstream_settings upstreams = {servers, ROWS(servers)};
    struct policy_price other[] = {price, price};
    const struct model_settings one = {.name = "m", .prices = other, .prices_count = 2};
    struct policy_settings priced = settings;
    uint8_t digests[10][CRYPTO_SHA256_BYTES];
    int64_t *const fields[] = {&other[1].input_nano,   &other[1].cached_nano,
                               &other[1].output_nano,  &other[1].per_tokens,
                               &other[1].request_nano, &other[1].gpu_second_nano,
                               &other[1].from.us};
    priced.models = &one;
    priced.models_count = 1;
    struct policy *p = open_policy(&priced, NULL);
    memset(other, 0, sizeof(other)); /* the policy has its own */
    assert_int_equal(p->models[0].price_count, 2);
    assert_string_equal(p->models[0].prices[1].id, "1/2/1000");
    assert_string_equal(p->models[0].prices[1].currency, "USD");
    policy_unref(&p);

    size_t count = 0;
    for (size_t i = 0; i <= ROWS(fields) + 1; i++) {
        other[0] = other[1] = price;
        if (i < ROWS(fields)) {
            *fields[i] += 1;
        } else if (i == ROWS(fields)) {
            memcpy(other[1].currency, "SAR", sizeof("SAR"));
        }
        assert_int_equal(policy_digest(&priced, &upstreams, digests[count]), ERR_OK);
        for (size_t before = 0; before < count; before++) {
            assert_memory_not_equal(digests[before], digests[count], CRYPTO_SHA256_BYTES);
        }
        count++;
    }
}

static void no_models_are_an_empty_list(void **state)
{
    (void)state;
    struct policy_settings none = settings;
    none.models_count = 0;
    none.zone = NULL;
    struct policy *p = open_policy(&none, NULL);
    struct policy_match match;
    assert_false(policy_find(p, SPAN("plain"), &match));
    assert_true(span_is(p->models_json, "{\"object\":\"list\",\"data\":[]}"));
    assert_int_equal(p->common_lines.len, 0);
    policy_unref(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_leads_to_its_model_an_alias_or_the_longest_pattern),
        cmocka_unit_test(the_list_has_every_name_once_and_no_pattern),
        cmocka_unit_test(one_model_is_described_under_the_name_that_was_asked),
        cmocka_unit_test(a_model_without_a_known_region_is_abroad_where_there_is_a_home),
        cmocka_unit_test(a_policy_takes_over_the_deployments_that_did_not_change),
        cmocka_unit_test(a_bad_upstream_makes_no_policy),
        cmocka_unit_test(the_names_that_ask_for_routing_match_no_pattern),
        cmocka_unit_test(a_model_has_its_prices_and_another_price_is_another_policy),
        cmocka_unit_test(no_models_are_an_empty_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
