/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_examples.c — any bytes are lines of examples or not; of those that are taken, the nearest
 * are found in steps as they are at once, and what is expected of a model is a share.
 */
#include "fuzz.h"

#include "base/memory.h"
#include "routing/routing_examples.h"

static bool has(const void *ctx, struct span name)
{
    (void)ctx;
    return name.len > 0 && name.at[0] != 'x';
}

static void check(const struct routing_examples *e)
{
    struct routing_search once, steps;
    struct routing_prediction p;
    size_t dimensions = routing_examples_dimensions(e);
    float *vector = memory_new_array(dimensions, sizeof(float));
    CHECK(dimensions > 0 && dimensions <= ROUTING_DIMENSIONS_MAX && vector != NULL);
    for (size_t i = 0; i < dimensions; i++) {
        vector[i] = (float)((double)(i % 7) - 2.5);
    }
    CHECK(routing_examples_place(e, vector));
    routing_search_begin(&once, e, vector, 5);
    routing_search_begin(&steps, e, vector, 5);
    CHECK(routing_search_step(&once, SIZE_MAX / 2));
    while (!routing_search_step(&steps, 1)) {
    }
    CHECK(once.count == steps.count && once.count > 0 && once.count <= 5);
    for (size_t i = 0; i < once.count; i++) {
        CHECK(once.nearest[i].example == steps.nearest[i].example);
        CHECK(once.nearest[i].cosine > -1.01f && once.nearest[i].cosine < 1.01f);
    }
    if (routing_search_predict(&once, SPAN("small"), &p)) {
        CHECK(p.quality > -1e-6 && p.quality < 1 + 1e-6 && p.bound <= p.quality + 1e-6 &&
              p.bound > -1e-6 && p.neighbours <= once.count);
    }
    memory_free(vector);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct routing_example_world world = {has, NULL, SPAN("e5")};
    char fault[ROUTING_EXAMPLES_FAULT];
    struct routing_examples *e;
    struct span text = span_make(data, size);
    CHECK(routing_examples_new(&e) == ERR_OK);
    while (text.len > 0) {
        size_t end = span_find(text, '\n', 0), before = routing_examples_count(e);
        fault[0] = '\0';
        enum err r = routing_examples_add(e, &world, span_cut(text, 0, end), fault);
        CHECK(r == ERR_OK || (fault[0] != '\0' && routing_examples_count(e) == before));
        text = span_cut(text, end + 1, text.len);
    }
    if (routing_examples_end(e, fault) == ERR_OK) {
        check(e);
    }
    routing_examples_free(&e);
    return 0;
}
