/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_nearest.c — how long the search for the nearest examples takes, and what they take.
 *
 * usage: bench_nearest [EXAMPLES [DIMENSIONS]]    5,000 and 384 if not given
 *
 *   read    the lines, with vectors in Base64
 *   search  all of them for one prompt, 20 neighbours; the best and the middle of 201 times
 *   step    the longest of its steps of 2^18 numbers, in the middle of them
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "crypto/base64.h"
#include "routing/routing_examples.h"

#define TIMES 201
#define STEP  (1u << 18)

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* this clock exists */
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static bool has_model(const void *ctx, struct span name)
{
    (void)ctx;
    (void)name;
    return true;
}

static void must(bool is_good, const char *what)
{
    if (!is_good) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

static void fill(float *vector, size_t dimensions, uint32_t *state)
{
    for (size_t i = 0; i < dimensions; i++) {
        *state = *state * 1664525u + 1013904223u;
        vector[i] = (float)(*state >> 8) / (float)(1u << 23) - 1;
    }
}

static void read_all(struct routing_examples *e, size_t count, size_t dimensions, uint32_t *state)
{
    const struct routing_example_world world = {has_model, NULL, SPAN("e5")};
    char fault[ROUTING_EXAMPLES_FAULT];
    size_t bytes = dimensions * sizeof(float), chars = crypto_base64_chars(bytes);
    float *vector = memory_new(bytes);
    char *line = memory_new(chars + 128);
    must(vector != NULL && line != NULL, "memory");
    for (size_t i = 0; i < count; i++) {
        fill(vector, dimensions, state);
        int len = snprintf(line, 128, "{\"scores\":{\"small\":%zu},\"vector\":\"", i % 2);
        (void)crypto_base64_write(span_make((const uint8_t *)vector, bytes), line + len);
        memcpy(line + len + chars, "\"}", 3);
        must(routing_examples_add(e, &world, span_of(line), fault) == ERR_OK, "a line");
    }
    must(routing_examples_end(e, fault) == ERR_OK, "the end");
    memory_free(vector);
    memory_free(line);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 5000;
    size_t dimensions = argc > 2 ? strtoul(argv[2], NULL, 10) : 384;
    static double times[TIMES], steps[TIMES];
    uint32_t state = 1;
    struct routing_examples *e = NULL;
    struct routing_search search;
    float *vector = memory_new(dimensions * sizeof(float));
    must(vector != NULL && routing_examples_new(&e) == ERR_OK, "memory");
    double begun = now_us();
    read_all(e, count, dimensions, &state);
    printf("%zu examples of %zu numbers: read %.0f ms, %.1f MB\n", count, dimensions,
           (now_us() - begun) / 1e3, (double)(count * dimensions * sizeof(float)) / 1e6);
    for (size_t i = 0; i < TIMES; i++) {
        fill(vector, dimensions, &state);
        must(routing_examples_place(e, vector), "a vector");
        routing_search_begin(&search, e, vector, 20);
        bool is_done = false;
        begun = now_us();
        for (double from = begun, to; !is_done; from = to) {
            is_done = routing_search_step(&search, STEP);
            to = now_us();
            steps[i] = to - from > steps[i] ? to - from : steps[i];
        }
        times[i] = now_us() - begun;
    }
    qsort(times, TIMES, sizeof(times[0]), by_size);
    qsort(steps, TIMES, sizeof(steps[0]), by_size);
    printf("search %.0f us at best, %.0f us in the middle; a step %.0f us\n", times[0],
           times[TIMES / 2], steps[TIMES / 2]);
    memory_free(vector);
    routing_examples_free(&e);
    return 0;
}
