/* SPDX-License-Identifier: Apache-2.0 */
/* test_decision_prefix.c — a call goes where its beginning was read, if it may and there is room.
 */
#include "unit.h"

#include "decision/decision.h"

#define SERVER(n, r)                                                                   \
    {                                                                                  \
        .name = n, .kind = UPSTREAM_VLLM, .url = "http://127.0.0.1:1/v1", .region = r, \
        .clearance = DATA_SECRET - DATA_PUBLIC, .load_ms = 2000                        \
    }

static const struct upstream_definition servers[] = {SERVER("a", "sa"), SERVER("b", "sa"),
                                                     SERVER("c", "eu")};

enum { A, B, C, SERVERS };

static const struct deployment_settings everywhere[] = {
    {.upstream_index = A, .weight = 1},
    {.upstream_index = B, .weight = 1},
    {.upstream_index = C, .weight = 1},
};

static const struct model_settings models[] = {
    {.name = "m",
     .endpoints = POLICY_CHAT,
     .deployments = everywhere,
     .deployments_count = SERVERS},
    {.name = "n",
     .endpoints = POLICY_CHAT,
     .deployments = everywhere,
     .deployments_count = SERVERS},
    {.name = "alone", .endpoints = POLICY_CHAT, .upstream_index = A},
};

static struct policy *open_policy(const struct policy *previous, size_t model_count)
{
    static const struct upstream_settings upstreams = {servers, ROWS(servers)};
    char reason[DEPLOYMENT_REASON_BYTES];
    const struct policy_settings settings = {
        .region = "sa", .models = models + ROWS(models) - model_count, .models_count = model_count};
    struct policy *p = NULL;
    assert_int_equal(policy_open(&settings, &upstreams, previous, (wall_us){1}, reason, &p),
                     ERR_OK);
    return p;
}

struct scene {
    struct policy *policy;
    struct openai_request request;
    struct key_handle key;
    struct limits_subjects who;
    struct openai_prefixes prefixes;
    struct decision_ask ask;
};

static void begin(struct scene *s)
{
    *s = (struct scene){.policy = open_policy(NULL, ROWS(models)),
                        .request = {.input_tokens = -1, .output_tokens_max = -1},
                        .who = LIMITS_SUBJECTS_NONE,
                        .prefixes = {.count = 3, .at = {11, 22, 33}, .named = SPAN("")}};
    s->ask = (struct decision_ask){.policy = s->policy,
                                   .key = &s->key,
                                   .who = &s->who,
                                   .request = &s->request,
                                   .model = SPAN("m"),
                                   .is_direct = true,
                                   .prefixes = &s->prefixes,
                                   .mono = {1000000000}};
}

static void end(struct scene *s)
{
    policy_unref(&s->policy);
}

static struct decision decide(struct scene *s)
{
    struct decision d = {.count = 1};
    assert_true(policy_find(s->policy, s->ask.model, &d.candidates[0].match));
    assert_int_equal(decision_filter(&s->ask, &d), ERR_OK);
    return d;
}

static struct deployment *server(const struct scene *s, int n)
{
    return s->policy->deployments[n];
}

/* Whom the call is sent to first. */
static int first(struct scene *s)
{
    struct decision d = decide(s);
    for (int n = 0; n < SERVERS; n++) {
        if (d.candidates[0].match.place->deployment == server(s, n)) {
            return n;
        }
    }
    fail();
    return -1;
}

/* Which of them are first over many draws, a bit each. */
static unsigned all_first(struct scene *s)
{
    unsigned seen = 0;
    for (uint32_t i = 0; i < 200; i++) {
        s->ask.chance = i * 2654435761u;
        seen |= 1u << first(s);
    }
    return seen;
}

/* A server answers a call that begins with so many of these. */
static void answer(struct scene *s, int n, size_t beginnings, const char *model)
{
    struct openai_prefixes read = s->prefixes;
    struct decision_candidate c = {.why = "direct"};
    read.count = beginnings;
    assert_true(policy_find(s->policy, span_of(model), &c.match));
    policy_place_match(&c.match, &c.match.model->places[n]);
    decision_note_read(s->policy, &c, &read);
}

static void the_longest_known_beginning_decides(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    assert_int_equal(all_first(&s), 1 << A | 1 << B | 1 << C);
    answer(&s, B, 1, "m");
    assert_int_equal(all_first(&s), 1 << B);
    assert_true(decide(&s).candidates[0].is_known && !decide(&s).candidates[1].is_known);
    answer(&s, C, 3, "m");
    answer(&s, A, 2, "m");
    assert_int_equal(all_first(&s), 1 << C);
    s.prefixes.at[2] = 44; /* another chat, that begins as A's */
    assert_int_equal(all_first(&s), 1 << A);
    s.ask.model = SPAN("n"); /* which has read nothing */
    assert_int_equal(all_first(&s), 1 << A | 1 << B | 1 << C);
    end(&s);
}

static void the_others_stand_behind_it(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    answer(&s, B, 3, "m");
    for (uint32_t i = 0; i < 50; i++) {
        s.ask.chance = i * 2654435761u;
        struct decision d = decide(&s);
        assert_int_equal(d.count, SERVERS);
        for (size_t k = 0; k < d.count; k++) {
            for (size_t other = 0; other < k; other++) {
                assert_true(d.candidates[k].match.place != d.candidates[other].match.place);
            }
        }
    }
    end(&s);
}

/* What filters take out is never asked, whatever was read there. */
static void where_it_may_not_go_it_does_not_go(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    answer(&s, C, 3, "m");
    s.ask.place.regions = SPAN("sa");
    assert_int_equal(all_first(&s), 1 << A | 1 << B);
    answer(&s, B, 1, "m"); /* a shorter one that may be asked */
    assert_int_equal(all_first(&s), 1 << B);
    s.ask.place.regions = SPAN("");
    assert_int_equal(all_first(&s), 1 << C);
    deployment_health_drain(&server(&s, C)->health, true, s.ask.mono);
    assert_int_equal(all_first(&s), 1 << B);
    for (uint32_t i = 0; i < 50; i++) {
        s.ask.chance = i * 2654435761u;
        struct decision d = decide(&s);
        for (size_t k = 0; k < d.count; k++) {
            assert_true(d.candidates[k].match.place->deployment != server(&s, C));
        }
    }
    end(&s);
}

static void who_has_too_much_to_do_is_passed_over(void **state)
{
    (void)state;
    static const struct {
        int calls[SERVERS];
        bool goes; /* to B, that has read it */
    } rows[] = {
        {{0, 0, 0}, true},        {{0, 2, 0}, true},     {{0, 4, 0}, false},
        {{10, 15, 10}, true},     {{10, 30, 10}, false}, {{100, 150, 100}, true},
        {{100, 300, 100}, false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct scene s;
        begin(&s);
        answer(&s, B, 3, "m");
        for (int n = 0; n < SERVERS; n++) {
            atomic_store(&server(&s, n)->in_flight, rows[i].calls[n]);
        }
        assert_int_equal(all_first(&s) == 1 << B, rows[i].goes);
        end(&s);
    }
}

static void who_fails_or_is_slow_or_just_back_is_passed_over(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    answer(&s, B, 3, "m");
    for (int n = 0; n < SERVERS; n++) {
        deployment_health_note_latency(&server(&s, n)->health, 100000, s.ask.mono);
    }
    assert_int_equal(all_first(&s), 1 << B);

    deployment_health_failed(&server(&s, B)->health, ERR_UPSTREAM_CLOSED, 0, s.ask.mono);
    assert_int_equal(all_first(&s), 1 << A | 1 << C);
    deployment_health_answered(&server(&s, B)->health, 0, s.ask.mono);
    assert_int_equal(all_first(&s), 1 << B);

    deployment_health_pause(&server(&s, B)->health, 0, s.ask.mono); /* it said that it is busy */
    assert_int_equal(all_first(&s), 1 << A | 1 << C);
    s.ask.mono.us += 2000000;
    assert_int_equal(all_first(&s), 1 << B);

    deployment_health_drain(&server(&s, B)->health, true, s.ask.mono);
    deployment_health_drain(&server(&s, B)->health, 0, s.ask.mono);
    assert_int_equal(all_first(&s), 1 << A | 1 << C);
    s.ask.mono.us += DEPLOYMENT_SLOW_START_US;
    assert_int_equal(all_first(&s), 1 << B);

    for (int i = 0; i < 100; i++) { /* eight times as slow is well, more is not */
        deployment_health_note_latency(&server(&s, B)->health, 700000, s.ask.mono);
    }
    assert_int_equal(all_first(&s), 1 << B);
    for (int i = 0; i < 100; i++) {
        deployment_health_note_latency(&server(&s, B)->health, 900000, s.ask.mono);
    }
    assert_int_equal(all_first(&s), 1 << A | 1 << C);
    end(&s);
}

/* A server says that so many run and wait there, ours among them. */
static void say(struct scene *s, int n, int64_t running, int64_t waiting)
{
    const struct upstream_load said = {.running = running, .waiting = waiting, .kv_permille = -1};
    int64_t own = atomic_load(&server(s, n)->in_flight);
    deployment_load_note(&server(s, n)->load, &said, own, s->ask.mono);
}

static void whom_others_keep_busy_is_passed_over(void **state)
{
    (void)state;
    static const struct {
        int64_t running[SERVERS], waiting[SERVERS];
        bool goes; /* to B, that has read it */
    } rows[] = {
        {{0, 0, 0}, {0, 0, 0}, true},
        {{0, 4, 0}, {0, 0, 0}, false},
        {{10, 15, 10}, {0, 0, 0}, true},
        {{10, 30, 10}, {0, 0, 0}, false},
        {{10, 10, 10}, {0, 2, 0}, true},
        {{10, 7, 10}, {0, 3, 0}, false},    /* it has no more than others, but they wait there */
        {{10, 10, 10}, {20, 25, 20}, true}, /* they wait everywhere */
        {{10, 10, 10}, {20, 35, 20}, false},
        {{1000000, 10, 8}, {0, 0, 0}, true}, /* A lies */
        {{1000000, 0, 0}, {1000000, 0, 0}, true},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct scene s;
        begin(&s);
        answer(&s, B, 3, "m");
        for (int n = 0; n < SERVERS; n++) {
            say(&s, n, rows[i].running[n], rows[i].waiting[n]);
        }
        if ((all_first(&s) == 1 << B) != rows[i].goes) {
            fail_msg("row %zu", i);
        }
        s.ask.mono.us += 6000000; /* three periods: nobody knows any more */
        assert_int_equal(all_first(&s), 1 << B);
        end(&s);
    }
}

static void a_liar_has_nobody_else_take_too_much(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    answer(&s, B, 3, "m");
    atomic_store(&server(&s, B)->in_flight, 30);
    assert_true(all_first(&s) != 1 << B);
    say(&s, A, 1000000, 1000000);
    assert_true(all_first(&s) != 1 << B);
    end(&s);
}

/* How many of 200 draws go to a server. */
static int share_of(struct scene *s, int n)
{
    int share = 0;
    for (uint32_t i = 0; i < 200; i++) {
        s->ask.chance = i * 2654435761u;
        share += first(s) == n;
    }
    return share;
}

static void without_a_known_beginning_calls_go_where_fewer_are(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    s.prefixes.count = 0;
    for (int n = 0; n < SERVERS; n++) {
        deployment_health_note_latency(&server(&s, n)->health, 100000, s.ask.mono);
        say(&s, n, 0, 0);
    }
    int before = share_of(&s, B);
    assert_true(before > 30 && before < 110);
    say(&s, B, 8, 0);
    assert_int_equal(share_of(&s, B), 0); /* of two that are drawn it is never the idler */
    for (int n = 0; n < SERVERS; n++) {
        atomic_store(&server(&s, n)->in_flight, 4);
    }
    say(&s, A, 4, 0);
    say(&s, C, 4, 0);
    say(&s, B, 0, 0); /* a liar is believed to have what we have there */
    assert_int_equal(share_of(&s, B), before);
    atomic_store(&server(&s, B)->in_flight, 9);
    assert_int_equal(share_of(&s, B), 0);
    end(&s);
}

static void who_is_busy_is_not_asked_for_that_nobody_knows_how_slow_it_is(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    s.prefixes.count = 0;
    deployment_health_note_latency(&server(&s, A)->health, 4400000, s.ask.mono);
    deployment_health_note_latency(&server(&s, C)->health, 4400000, s.ask.mono);
    atomic_store(&server(&s, A)->in_flight, 2);
    atomic_store(&server(&s, C)->in_flight, 2);
    assert_true(share_of(&s, B) > 0); /* it is asked, to be known */
    say(&s, B, 4, 4);
    assert_int_equal(share_of(&s, B), 0);
    end(&s);
}

static void a_named_session_is_the_longest_beginning(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    s.prefixes.named = SPAN("chat-1");
    decision_add_session(&s.ask, &s.prefixes);
    assert_int_equal(s.prefixes.count, 4);
    answer(&s, C, 4, "m");
    answer(&s, A, 3, "m");
    assert_int_equal(all_first(&s), 1 << C);
    s.prefixes.count = 3;
    s.prefixes.named = SPAN("chat-2");
    decision_add_session(&s.ask, &s.prefixes);
    assert_int_equal(all_first(&s), 1 << A);
    s.prefixes.count = 3;
    s.prefixes.named = SPAN("chat-1");
    s.key.id[0] = 'k'; /* another key's chat of that name */
    decision_add_session(&s.ask, &s.prefixes);
    assert_int_equal(all_first(&s), 1 << A);
    s.prefixes.count = 3;
    s.prefixes.named = SPAN("");
    decision_add_session(&s.ask, &s.prefixes);
    assert_int_equal(s.prefixes.count, 3);
    end(&s);
}

static void a_reload_forgets_nothing(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    answer(&s, B, 3, "m");
    struct policy *next = open_policy(s.policy, ROWS(models));
    policy_unref(&s.policy);
    s.policy = next;
    s.ask.policy = next;
    assert_int_equal(all_first(&s), 1 << B);
    next = open_policy(s.policy, 1); /* where no model has a choice there is no table */
    assert_null(next->prefixes);
    policy_unref(&next);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_known_beginning_decides),
        cmocka_unit_test(the_others_stand_behind_it),
        cmocka_unit_test(where_it_may_not_go_it_does_not_go),
        cmocka_unit_test(who_has_too_much_to_do_is_passed_over),
        cmocka_unit_test(who_fails_or_is_slow_or_just_back_is_passed_over),
        cmocka_unit_test(whom_others_keep_busy_is_passed_over),
        cmocka_unit_test(a_liar_has_nobody_else_take_too_much),
        cmocka_unit_test(without_a_known_beginning_calls_go_where_fewer_are),
        cmocka_unit_test(who_is_busy_is_not_asked_for_that_nobody_knows_how_slow_it_is),
        cmocka_unit_test(a_named_session_is_the_longest_beginning),
        cmocka_unit_test(a_reload_forgets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
