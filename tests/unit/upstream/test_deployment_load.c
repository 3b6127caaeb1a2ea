/* SPDX-License-Identifier: Apache-2.0 */
/* test_deployment_load.c — what a model server said of its work, and for how long it counts. */
#include "unit.h"

#include "upstream/deployment.h"

#define AT(seconds) ((mono_us){INT64_C(1000000000) + (int64_t)((seconds)*1e6)})

static const struct upstream_definition asked = {
    .name = "falcon", .kind = UPSTREAM_VLLM, .url = "http://127.0.0.1:1/v1", .load_ms = 2000};

static struct deployment *open_it(const struct upstream_definition *definition)
{
    char reason[DEPLOYMENT_REASON_BYTES] = "";
    struct deployment *d = NULL;
    if (deployment_open(definition, NULL, reason, &d) != ERR_OK) {
        fail_msg("%s", reason);
    }
    return d;
}

static void say(struct deployment *d, int64_t running, int64_t waiting, int64_t own, mono_us now)
{
    const struct upstream_load said = {.running = running, .waiting = waiting, .kv_permille = 400};
    deployment_load_note(&d->load, &said, own, now);
}

static void calls_are_ours_now_and_those_of_others_then(void **state)
{
    (void)state;
    static const struct {
        int64_t running, waiting, own_then, own_now, calls;
    } rows[] = {
        {0, 0, 0, 0, 0},
        {5, 0, 0, 0, 5},
        {5, 3, 2, 2, 8},
        {5, 3, 2, 10, 16},  /* ours that came since are added */
        {5, 3, 8, 0, 0},    /* all of them were ours, and ended */
        {0, 0, 50, 50, 50}, /* who says 0 has ours all the same */
        {2, 0, 50, 50, 50},
        {4, 0, -1, -1, 4}, /* a count at an edge */
        {1000000, 1000000, 1, 1, 2000000},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct deployment *d = open_it(&asked);
        say(d, rows[i].running, rows[i].waiting, rows[i].own_then, AT(0));
        atomic_store(&d->in_flight, rows[i].own_now);
        if (deployment_calls(d, AT(1)) != rows[i].calls) {
            fail_msg("row %zu: %lld", i, (long long)deployment_calls(d, AT(1)));
        }
        deployment_unref(&d);
    }
}

static void it_counts_for_three_periods(void **state)
{
    (void)state;
    struct deployment *d = open_it(&asked);
    struct upstream_load said;
    int64_t age_us;
    assert_false(deployment_load_said(&d->load, AT(0), &said, &age_us));
    assert_int_equal(deployment_calls(d, AT(0)), 0);
    say(d, 5, 3, 0, AT(0));
    assert_int_equal(deployment_load_waiting(&d->load, AT(-0.1)), 3); /* a loop that is behind */
    assert_int_equal(deployment_load_waiting(&d->load, AT(5.9)), 3);
    assert_true(deployment_load_said(&d->load, AT(5.9), &said, &age_us));
    assert_int_equal(said.running, 5);
    assert_int_equal(said.waiting, 3);
    assert_int_equal(said.kv_permille, 400);
    assert_int_equal(age_us, 5900000);
    assert_int_equal(deployment_load_waiting(&d->load, AT(6)), -1); /* nobody knows */
    assert_int_equal(deployment_calls(d, AT(6)), 0);
    assert_false(deployment_load_said(&d->load, AT(6), &said, &age_us));
    deployment_unref(&d);
}

static void one_that_is_not_asked_says_nothing(void **state)
{
    (void)state;
    struct upstream_definition definition = asked;
    definition.load_ms = 0;
    struct deployment *d = open_it(&definition);
    say(d, 5, 3, 0, AT(0));
    assert_int_equal(deployment_calls(d, AT(0)), 0);
    assert_int_equal(deployment_load_waiting(&d->load, AT(0)), -1);
    deployment_unref(&d);
}

static void its_page_is_beside_its_api(void **state)
{
    (void)state;
    static const struct {
        const char *url, *path, *target;
    } rows[] = {
        {"http://x:1/v1", NULL, "/metrics"},         {"http://x:1", NULL, "/metrics"},
        {"http://x:1/gpu/v1", NULL, "/gpu/metrics"}, {"http://x:1/v1/a", "/m", "/v1/a/m"},
        {"http://x:1/v1", "/e?a=b", "/e?a=b"},       {"http://x:1/v1", "metrics", "/metrics"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct upstream_definition definition = asked;
        definition.url = rows[i].url;
        definition.load_path = rows[i].path;
        struct deployment *d = open_it(&definition);
        assert_string_equal(d->load_target, rows[i].target);
        deployment_unref(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_ours_now_and_those_of_others_then),
        cmocka_unit_test(it_counts_for_three_periods),
        cmocka_unit_test(one_that_is_not_asked_says_nothing),
        cmocka_unit_test(its_page_is_beside_its_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
