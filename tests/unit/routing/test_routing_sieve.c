/* SPDX-License-Identifier: Apache-2.0 */
/* test_routing_sieve.c — what the index rules out would not have held, and only what is asked for
 * is found. */
#include "unit.h"

#include "routing/routing.h"

static bool has(const void *ctx, struct span name)
{
    (void)ctx;
    (void)name;
    return true;
}

static const char *near(const void *ctx, struct span name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

static const struct routing_world world = {has, near, has, NULL, NULL};

/* Of a call. */
struct call {
    uint64_t missing; /* facts that nobody finds */
    uint64_t found;   /* that were asked for */
    const char *language, *team, *app;
    int64_t tokens, turns;
    bool stream, has_tools;
};

static bool find(void *ctx, unsigned fact, struct condition_value *out)
{
    struct call *c = ctx;
    c->found |= UINT64_C(1) << fact;
    if ((c->missing >> fact & 1) != 0) {
        return false;
    }
    switch (fact) {
    case ROUTING_LANGUAGE:
        out->text = span_of(c->language);
        return true;
    case ROUTING_TEAM:
        out->text = span_of(c->team);
        return true;
    case ROUTING_TEAM_ID:
        out->text = SPAN("team_1");
        return true;
    case ROUTING_PROMPT_TOKENS:
        out->number = c->tokens;
        return true;
    case ROUTING_TURNS:
        out->number = c->turns;
        return true;
    case ROUTING_STREAM:
        out->truth = c->stream;
        return true;
    case ROUTING_HAS_TOOLS:
        out->truth = c->has_tools;
        return true;
    case ROUTING_HOUR:
    case ROUTING_MINUTE:
        out->number = 12;
        return true;
    case ROUTING_WEEKDAY:
        out->number = 3;
        return true;
    default:
        return false;
    }
}

static bool find_member(void *ctx, unsigned fact, struct span key, struct span *out)
{
    const struct call *c = ctx;
    assert_int_equal(fact, ROUTING_HEADERS);
    *out = span_of(c->app);
    return c->app[0] != 0 && span_is(key, "x-app");
}

static struct condition_facts facts_of(struct call *c)
{
    return (struct condition_facts){.find = find,
                                    .find_member = find_member,
                                    .ctx = c,
                                    .missing = c->missing & UINT64_C(1) << ROUTING_HEADERS};
}

static struct routing *read_rules(struct span text)
{
    struct buf problems;
    struct routing *r = NULL;
    buf_init(&problems, 65536);
    if (routing_read(text, "r.yaml", &world, &problems, &r) != ERR_OK) {
        fail_msg("%.*s\n%.*s", SPAN_ARGS(text), SPAN_ARGS(buf_span(&problems)));
    }
    buf_fini(&problems);
    return r;
}

/* ---- conditions and calls by chance ---- */

/* xorshift: the same in each run. */
static unsigned pick(unsigned most)
{
    static uint64_t state = 20261201;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % most;
}

static const char *const languages[] = {"ar", "en", "fa"}, *const teams[] = {"a", "b", "team_1"},
                         *const apps[] = {"", "chat", "mail"};

static void put_condition(struct buf *to, unsigned depth)
{
    static const char *const compares[] = {"==", "!=", "<", "<=", ">", ">="};
    if (depth > 0 && pick(2) == 0) {
        static const char *const shapes[][4] = {{"(", " && ", ")", NULL},
                                                {"", " && ", "", NULL},
                                                {"(", " || ", ")", NULL},
                                                {"(", " ? ", " : ", ")"}};
        const char *const *shape = shapes[pick(4)];
        buf_printf(to, "%s", shape[0]);
        put_condition(to, depth - 1);
        buf_printf(to, "%s", shape[1]);
        put_condition(to, depth - 1);
        buf_printf(to, "%s", shape[2]);
        if (shape[3] != NULL) {
            put_condition(to, depth - 1);
            buf_printf(to, "%s", shape[3]);
        }
        return;
    }
    switch (pick(8)) {
    case 0:
        buf_printf(to, "language %s '%s'", compares[pick(2)], languages[pick(3)]);
        break;
    case 1:
        buf_printf(to, "language in ['%s', '%s']", languages[pick(3)], languages[pick(3)]);
        break;
    case 2:
        buf_printf(to, "headers['x-app'] == '%s'", apps[pick(3)]);
        break;
    case 3:
        buf_printf(to, "prompt_tokens %s %u", compares[pick(6)], pick(5));
        break;
    case 4:
        buf_printf(to, "turns %s %u", compares[pick(6)], pick(3));
        break;
    case 5:
        buf_printf(to, "%sstream", pick(2) == 0 ? "!" : "");
        break;
    case 6:
        buf_printf(to, "headers['x-none'] in ['', '%s']", apps[pick(3)]);
        break;
    default:
        buf_printf(to, "%shas_tools", pick(2) == 0 ? "!" : "");
    }
}

static struct routing *make_rules(size_t count)
{
    struct buf text;
    buf_init(&text, 1u << 20);
    buf_printf(&text, "routes:\n");
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "  - name: r%zu\n    model: m\n", i);
        if (pick(8) > 0) {
            buf_printf(&text, "    condition: \"");
            put_condition(&text, 3);
            buf_printf(&text, "\"\n");
        }
        if (pick(4) == 0) {
            buf_printf(&text, "    teams: [%s, x]\n", teams[pick(3)]);
        }
        buf_printf(&text, "%s", pick(3) == 0 ? "    applies_to: all\n" : "");
        buf_printf(&text, "%s", pick(8) == 0 ? "    hours: 08:00-11:00\n" : "");
    }
    struct routing *r = read_rules(buf_span(&text));
    buf_fini(&text);
    return r;
}

static struct call make_call(void)
{
    static const unsigned may_be_missing[] = {ROUTING_LANGUAGE,      ROUTING_TEAM,
                                              ROUTING_PROMPT_TOKENS, ROUTING_TURNS,
                                              ROUTING_STREAM,        ROUTING_HEADERS};
    struct call c = {.language = languages[pick(3)],
                     .team = teams[pick(3)],
                     .app = apps[pick(3)],
                     .tokens = (int64_t)pick(6) - 1,
                     .turns = pick(4),
                     .stream = pick(2) == 0,
                     .has_tools = pick(2) == 0};
    if (pick(3) == 0) {
        c.missing = UINT64_C(1) << may_be_missing[pick(ROWS(may_be_missing))];
    }
    return c;
}

static void check(const struct routing *r, struct call c, bool only_named)
{
    struct condition_facts facts = facts_of(&c);
    struct routing_sieve sieve;
    routing_sieve_begin(r, only_named, &sieve);
    size_t next = routing_next(r, 0, &facts, &sieve);
    for (size_t i = 0; i < routing_count(r); i++) {
        struct call again = c;
        struct condition_facts own = facts_of(&again);
        enum condition_outcome said = routing_decide(r, i, &own, NULL);
        bool is_left_out = only_named && !routing_rule(r, i)->binds_named;
        if (i < next && said != CONDITION_NO && !is_left_out) {
            fail_msg("rule %zu holds, and is ruled out: %.*s", i,
                     SPAN_ARGS(condition_text(routing_rule(r, i)->condition)));
        }
        assert_true(i < next || !is_left_out);
        if (i == next) { /* decided with what was found on the way, it is the same */
            assert_int_equal(routing_decide(r, i, &facts, NULL), said);
            next = routing_next(r, i + 1, &facts, &sieve);
        }
    }
    assert_int_equal(next, routing_count(r));
}

static void only_rules_that_do_not_hold_are_ruled_out(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 10, 63, 64, 65, 300};
    for (size_t i = 0; i < 60; i++) {
        struct routing *r = make_rules(counts[i % ROWS(counts)]);
        for (size_t j = 0; j < 40; j++) {
            check(r, make_call(), j % 2 == 0);
        }
        routing_unref(&r);
    }
}

/* ---- what it is for ---- */

/* How many rules are asked for a call, which none of them holds for. */
static size_t count_asked(const struct routing *r, struct call c)
{
    struct condition_facts facts = facts_of(&c);
    struct routing_sieve sieve;
    size_t asked = 0;
    routing_sieve_begin(r, false, &sieve);
    for (size_t i = routing_next(r, 0, &facts, &sieve); i < routing_count(r);
         i = routing_next(r, i + 1, &facts, &sieve)) {
        assert_int_equal(routing_decide(r, i, &facts, NULL), CONDITION_NO);
        asked++;
    }
    return asked;
}

static void a_thousand_rules_of_other_calls_are_not_asked(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1u << 20);
    buf_printf(&text, "routes:\n");
    for (unsigned i = 0; i < ROUTING_RULES_MAX; i++) {
        static const char *const shapes[] = {"language == 'fr' && prompt_tokens > %u",
                                             "prompt_tokens == %u && stream", "team in ['t%u']",
                                             "headers['x-app'] == 'app%u'"};
        buf_printf(&text, "  - name: r%u\n    model: m\n    condition: \"", i);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        buf_printf(&text, shapes[i % 4], i);
#pragma GCC diagnostic pop
        buf_printf(&text, "\"\n");
    }
    struct routing *r = read_rules(buf_span(&text));
    buf_fini(&text);
    struct call c = {.language = "en", .team = "a", .app = "chat", .tokens = 1};
    assert_int_equal(count_asked(r, c), 0);
    routing_unref(&r);
}

static void a_fact_is_found_when_a_rule_asks_for_it(void **state)
{
    (void)state;
    struct routing *r =
        read_rules(SPAN("routes:\n"
                        "  - {name: a, model: m, condition: \"has_tools && language == 'ar'\"}\n"
                        "  - {name: b, model: m, condition: stream}\n"
                        "  - {name: c, model: m, condition: \"language == 'en'\"}\n"));
    struct call c = {.language = "en", .team = "a", .app = "", .stream = true};
    struct condition_facts facts = facts_of(&c);
    struct routing_sieve sieve;
    routing_sieve_begin(r, false, &sieve);
    assert_int_equal(routing_next(r, 0, &facts, &sieve), 1);
    assert_int_equal(c.found, UINT64_C(1) << ROUTING_HAS_TOOLS | UINT64_C(1) << ROUTING_STREAM);
    assert_int_equal(routing_next(r, 2, &facts, &sieve), 2);
    assert_true((c.found >> ROUTING_LANGUAGE & 1) != 0);
    routing_unref(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_rules_that_do_not_hold_are_ruled_out),
        cmocka_unit_test(a_thousand_rules_of_other_calls_are_not_asked),
        cmocka_unit_test(a_fact_is_found_when_a_rule_asks_for_it),
    };
    return cmocka_run_group_tests_name("routing sieve", tests, NULL, NULL);
}
