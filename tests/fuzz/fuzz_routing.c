/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_routing.c — any bytes are a file of rules, each of which can be asked, or problems with a
 * line each that say where.
 */
#include "fuzz.h"

#include "routing/routing.h"

static bool has(const void *ctx, struct span name)
{
    (void)ctx;
    return name.len > 0 && name.at[0] != 'x';
}

static const char *near(const void *ctx, struct span name)
{
    (void)ctx;
    return name.len > 3 ? "near" : NULL;
}

static bool find(void *ctx, unsigned fact, struct condition_value *out)
{
    enum condition_type type = fact < ROUTING_FACTS      ? routing_facts[fact].type
                               : fact == ROUTING_TEAM_ID ? CONDITION_TEXT
                                                         : CONDITION_INT;
    (void)ctx;
    switch ((unsigned)type) {
    case CONDITION_BOOL:
        out->truth = true;
        return true;
    case CONDITION_INT:
        out->number = 3;
        return true;
    case CONDITION_REAL:
        out->real = 0.5;
        return true;
    case CONDITION_TEXT:
        out->text = SPAN("ar");
        return true;
    default:
        return false;
    }
}

static bool find_member(void *ctx, unsigned fact, struct span key, struct span *out)
{
    (void)ctx;
    (void)fact; /* every map has every key */
    *out = key;
    return key.len > 2;
}

/* What the index rules out does not hold, whichever rules were asked before. */
static void check_index(const struct routing *r, struct condition_scratch *scratch)
{
    struct condition_facts facts = {.find = find, .find_member = find_member};
    struct routing_sieve sieve;
    routing_sieve_begin(r, false, &sieve);
    size_t next = routing_next(r, 0, &facts, &sieve);
    for (size_t i = 0; i < routing_count(r); i++) {
        struct condition_facts own = {.find = find, .find_member = find_member};
        CHECK(i >= next || routing_decide(r, i, &own, scratch) == CONDITION_NO);
        next = i < next ? next : routing_next(r, i + 1, &facts, &sieve);
    }
}

static void check(const struct routing *r)
{
    struct condition_scratch *scratch = condition_scratch_new();
    struct condition_facts facts = {.find = find, .find_member = find_member};
    for (size_t i = 0; i < routing_count(r); i++) {
        const struct routing_rule *rule = routing_rule(r, i);
        CHECK(rule->name.len > 0 && rule->name.len <= ROUTING_NAME_MAX);
        CHECK(rule->target_count > 0 || rule->profile != ROUTING_NO_PROFILE);
        uint32_t weights = 0;
        for (size_t t = 0; t < rule->target_count; t++) {
            CHECK(rule->targets[t].weight > 0 && rule->targets[t].model.len > 0);
            weights += rule->targets[t].weight;
        }
        CHECK(weights == rule->weights && rule->canary.weight <= 1000 &&
              rule->shadow.weight <= 1000);
        (void)routing_decide(r, i, &facts, scratch); /* whatever it says */
    }
    check_index(r, scratch);
    condition_scratch_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct routing_world world = {has, near, has, NULL, NULL};
    struct routing *r = NULL;
    struct buf problems;
    buf_init(&problems, 1u << 20);
    enum err e = routing_read(span_make(data, size), "r", &world, &problems, &r);
    if (e == ERR_OK) {
        CHECK(buf_span(&problems).len == 0);
        check(r);
    } else {
        struct span said = buf_span(&problems);
        CHECK(e == ERR_CONFIG && r == NULL && said.len > 0 && said.at[said.len - 1] == '\n');
        CHECK(span_starts(said, SPAN("r:")));
    }
    routing_unref(&r);
    buf_fini(&problems);
    return 0;
}
