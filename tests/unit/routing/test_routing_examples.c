/* SPDX-License-Identifier: Apache-2.0 */
/* test_routing_examples.c — the nearest examples, and what they say of a model. The numbers of a
 * prediction have an oracle of their own in tests/e2e/test_learned.py. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "routing/routing_examples.h"

#define MANY       1500
#define DIMENSIONS 37

static bool has_model(const void *ctx, struct span name)
{
    (void)ctx;
    return span_is(name, "small") || span_is(name, "large");
}

static struct routing_examples *open_examples(void)
{
    struct routing_examples *e = NULL;
    assert_int_equal(routing_examples_new(&e), ERR_OK);
    return e;
}

static void add(struct routing_examples *e, const char *line)
{
    const struct routing_example_world world = {has_model, NULL, SPAN("e5")};
    char fault[ROUTING_EXAMPLES_FAULT] = "";
    if (routing_examples_add(e, &world, span_of(line), fault) != ERR_OK) {
        fail_msg("%s: %s", line, fault);
    }
}

/* The same numbers on every machine: -1 to 1. */
static double draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / (double)(1u << 23) - 1;
}

static void add_random(struct routing_examples *e, uint32_t *state, double *kept)
{
    char line[DIMENSIONS * 24 + 128];
    size_t len = (size_t)snprintf(line, sizeof(line), "{\"scores\":{\"small\":0.5},\"vector\":[");
    for (size_t i = 0; i < DIMENSIONS; i++) {
        kept[i] = draw(state);
        len +=
            (size_t)snprintf(line + len, sizeof(line) - len, "%s%.17g", i == 0 ? "" : ",", kept[i]);
    }
    (void)snprintf(line + len, sizeof(line) - len, "]}"); /* fits */
    add(e, line);
}

static double cosine(const double *a, const double *b)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < DIMENSIONS; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

static void make_unit(double *v)
{
    double sum = 0;
    for (size_t i = 0; i < DIMENSIONS; i++) {
        sum += v[i] * v[i];
    }
    for (size_t i = 0; i < DIMENSIONS; i++) {
        v[i] /= sqrt(sum);
    }
}

/* The mean of all that are of length 1, off each and off what is asked. */
static void centre_all(double (*all)[DIMENSIONS], double *asked)
{
    double mean[DIMENSIONS] = {0};
    make_unit(asked);
    for (size_t i = 0; i < MANY; i++) {
        make_unit(all[i]);
        for (size_t k = 0; k < DIMENSIONS; k++) {
            mean[k] += all[i][k] / MANY;
        }
    }
    for (size_t k = 0; k < DIMENSIONS; k++) {
        for (size_t i = 0; i < MANY; i++) {
            all[i][k] -= mean[k];
        }
        asked[k] -= mean[k];
    }
}

static int by_cosine(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static int by_nearness(const void *a, const void *b)
{
    const struct routing_neighbour *x = a, *y = b;
    return (x->cosine < y->cosine) - (x->cosine > y->cosine);
}

/* In steps of any size, and against a sort of all cosines in double precision. */
static void the_nearest_are_found(void **state)
{
    (void)state;
    static double all[MANY][DIMENSIONS], cosines[MANY], asked[DIMENSIONS];
    static const size_t steps[] = {1, 1000, SIZE_MAX / 2};
    float vector[DIMENSIONS];
    uint32_t chance = 7;
    char fault[ROUTING_EXAMPLES_FAULT];
    struct routing_examples *e = open_examples();
    for (size_t i = 0; i < MANY; i++) {
        add_random(e, &chance, all[i]);
    }
    assert_int_equal(routing_examples_end(e, fault), ERR_OK);
    assert_int_equal(routing_examples_count(e), MANY);
    assert_int_equal(routing_examples_dimensions(e), DIMENSIONS);
    for (size_t i = 0; i < DIMENSIONS; i++) {
        asked[i] = draw(&chance);
        vector[i] = (float)asked[i];
    }
    centre_all(all, asked);
    for (size_t i = 0; i < MANY; i++) {
        cosines[i] = cosine(all[i], asked);
    }
    qsort(cosines, MANY, sizeof(cosines[0]), by_cosine);
    assert_true(routing_examples_place(e, vector));
    for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
        struct routing_search search;
        size_t rounds = 1;
        routing_search_begin(&search, e, vector, 20);
        while (!routing_search_step(&search, steps[s])) {
            rounds++;
        }
        assert_true(steps[s] > MANY * DIMENSIONS ? rounds == 1 : rounds > 10);
        assert_int_equal(search.count, 20);
        qsort(search.nearest, search.count, sizeof(search.nearest[0]), by_nearness);
        for (size_t i = 0; i < search.count; i++) {
            assert_true(fabs((double)search.nearest[i].cosine - cosines[i]) < 1e-5);
            double own = cosine(all[search.nearest[i].example], asked);
            assert_true(fabs(own - cosines[i]) < 1e-5);
        }
    }
    routing_examples_free(&e);
}

static void a_prediction_is_shrunk_to_the_mean(void **state)
{
    (void)state;
    struct routing_search search;
    struct routing_prediction p;
    float vector[] = {1, 0};
    char fault[ROUTING_EXAMPLES_FAULT];
    struct routing_examples *e = open_examples();
    add(e, "{\"embeddings\":\"e5\",\"dimensions\":2}");
    add(e, "");
    add(e, "{\"text\":\"a\",\"scores\":{\"small\":1,\"large\":1},\"vector\":[1,0]}");
    add(e, "{\"text\":\"b\",\"scores\":{\"small\":0},\"vector\":[-1,0]}\r");
    add(e, "{\"text\":\"c\",\"scores\":{\"small\":0},\"vector\":\"AAAAAAAAgD8=\"}"); /* 0, 1 */
    assert_int_equal(routing_examples_end(e, fault), ERR_OK);
    assert_true(routing_examples_place(e, vector));
    routing_search_begin(&search, e, vector, 1);
    assert_true(routing_search_step(&search, 1000));
    assert_true(routing_search_predict(&search, SPAN("small"), &p));
    assert_int_equal(p.neighbours, 1);
    assert_true(fabs(p.quality - (1 + 4 / 3.0) / 5) < 1e-6); /* one of n 1, PRIOR 4 of mean 1/3 */
    assert_true(p.bound > 0.2 && p.bound < p.quality);
    assert_false(routing_search_predict(&search, SPAN("other"), &p));
    routing_search_begin(&search, e, vector, 3); /* those behind have a cosine below 0 */
    assert_true(routing_search_step(&search, 1000));
    assert_true(routing_search_predict(&search, SPAN("small"), &p));
    assert_int_equal(p.neighbours, 3);
    assert_true(fabs(p.quality - (1 + 4 / 3.0) / 5) < 1e-6);
    assert_true(routing_search_predict(&search, SPAN("large"), &p));
    assert_true(p.quality > 0.999999 && p.bound < 0.8); /* one example proves little */
    routing_examples_free(&e);
}

static void what_is_no_example_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "[]",
        "{",
        "{\"scores\":{\"small\":1}}",
        "{\"vector\":[1,2]}",
        "{\"scores\":{\"small\":2},\"vector\":[1,2]}",
        "{\"scores\":{\"small\":-1},\"vector\":[1,2]}",
        "{\"scores\":{\"small\":null},\"vector\":[1,2]}",
        "{\"scores\":{\"tiny\":1},\"vector\":[1,2]}",
        "{\"scores\":{\"small\":1},\"vector\":[1]}",
        "{\"scores\":{\"small\":1},\"vector\":[0,0]}",
        "{\"scores\":{\"small\":1},\"vector\":[1,\"2\"]}",
        "{\"scores\":{\"small\":1},\"vector\":{}}",
        "{\"scores\":{\"small\":1},\"vector\":[]}",
        "{\"scores\":{\"small\":1},\"vector\":\"\"}",
        "{\"scores\":{\"small\":1},\"vector\":\"AAAA\"}",
        "{\"scores\":{\"small\":1},\"vector\":\"AAAAAAAAwH8=\"}", /* 0, NaN */
        "{\"scores\":{\"small\":1},\"vector\":\"AAAAAAAA!!8=\"}",
        "{\"embeddings\":\"e5\"}"};
    const struct routing_example_world world = {has_model, NULL, SPAN("e5")};
    struct routing_examples *e = open_examples();
    char fault[ROUTING_EXAMPLES_FAULT] = "";
    assert_int_equal(routing_examples_end(e, fault), ERR_CONFIG);
    assert_string_equal(fault, "there are no examples in it");
    routing_examples_free(&e);
    e = open_examples();
    add(e, "{\"scores\":{\"small\":1},\"vector\":[1,2]}");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        fault[0] = '\0';
        if (routing_examples_add(e, &world, span_of(wrong[i]), fault) != ERR_CONFIG) {
            fail_msg("%s was taken", wrong[i]);
        }
        assert_true(fault[0] != '\0');
    }
    assert_int_equal(routing_examples_count(e), 1);
    routing_examples_free(&e);
}

static void the_digest_is_of_all_lines(void **state)
{
    (void)state;
    uint8_t first[32];
    struct routing_examples *e = open_examples();
    add(e, "{\"scores\":{\"small\":1},\"vector\":[1,2]}");
    memcpy(first, routing_examples_digest(e), sizeof(first));
    routing_examples_free(&e);
    e = open_examples();
    add(e, "{\"scores\":{\"small\":0},\"vector\":[1,2]}");
    assert_memory_not_equal(first, routing_examples_digest(e), sizeof(first));
    routing_examples_free(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_are_found),
        cmocka_unit_test(a_prediction_is_shrunk_to_the_mean),
        cmocka_unit_test(what_is_no_example_is_refused),
        cmocka_unit_test(the_digest_is_of_all_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
