/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors lie one behind the other, normalised, each padded with zeros to whole blocks, so that a
 * cosine is a product of as many blocks as the vector has.
 */
#include "routing/routing_examples.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/arena.h"
#include "base/memory.h"
#include "crypto/base64.h"
#include "crypto/hmac.h"
#include "json/json_index.h"
#include "json/json_value.h"

#define BLOCK       8 /* floats */
#define PRIOR       4.0
#define ROUNDING    1e-10              /* the square of what floats leave of nothing */
#define Z           1.2815515655446004 /* 90 % one-sided */
#define ROWS_MAX    (ROUTING_DIMENSIONS_MAX + 4 * ROUTING_EXAMPLE_MODELS + 64)
#define DEPTH_MAX   4
#define ARENA_BYTES ((size_t)ROUTING_EXAMPLE_LINE_BYTES + 4096)
#define FIRST_ROOM  256

struct routing_examples {
    struct json_index x;
    struct arena arena; /* of one line */
    struct arena names;
    size_t count, room, dimensions, stride, lines;
    float *vectors; /* `stride` floats each */
    float *scores;  /* ROUTING_EXAMPLE_MODELS each; NAN: it was not tried */
    struct span models[ROUTING_EXAMPLE_MODELS];
    double sums[ROUTING_EXAMPLE_MODELS];
    size_t scored[ROUTING_EXAMPLE_MODELS], model_count;
    float *mean; /* of all vectors, once all are read */
    uint8_t digest[CRYPTO_SHA256_BYTES];
};

/* ---- reading ---- */

enum err routing_examples_new(struct routing_examples **out)
{
    struct routing_examples *e = memory_new(sizeof(*e));
    if (e == NULL) {
        return ERR_NO_MEMORY;
    }
    json_index_init(&e->x, ROWS_MAX, DEPTH_MAX);
    arena_init(&e->arena, ARENA_BYTES);
    arena_init(&e->names, ARENA_BYTES);
    *out = e;
    return ERR_OK;
}

void routing_examples_free(struct routing_examples **examples)
{
    struct routing_examples *e = *examples;
    *examples = NULL;
    if (e != NULL) {
        json_index_fini(&e->x);
        arena_fini(&e->arena);
        arena_fini(&e->names);
        memory_free(e->vectors);
        memory_free(e->scores);
        memory_free(e->mean);
        memory_free(e);
    }
}

static enum err wrong(char fault[ROUTING_EXAMPLES_FAULT], const char *sentence)
{
    (void)snprintf(fault, ROUTING_EXAMPLES_FAULT, "%s", sentence); /* fits */
    return ERR_CONFIG;
}

/* The first line may say of which model the vectors are. */
static enum err read_header(const struct routing_examples *e,
                            const struct routing_example_world *world, uint32_t row,
                            char fault[ROUTING_EXAMPLES_FAULT])
{
    if (e->count > 0) {
        return wrong(fault, "`embeddings` stands in the first line, before all examples");
    }
    if (json_kind(&e->x, row) != JSON_STRING || !json_text_is(&e->x, row, world->embeddings)) {
        (void)snprintf(fault, ROUTING_EXAMPLES_FAULT,
                       "the vectors are not of '%.*s', which `embeddings:` names: make them anew "
                       "with `atlas route learn`",
                       SPAN_ARGS(span_cut_text(world->embeddings, 64))); /* fits */
        return ERR_CONFIG;
    }
    return ERR_OK;
}

/* Room for one more example, whose vector has so many numbers. */
static enum err make_room(struct routing_examples *e, size_t dimensions)
{
    if (e->dimensions == 0) {
        e->dimensions = dimensions;
        e->stride = (dimensions + BLOCK - 1) / BLOCK * BLOCK;
    }
    if (e->count < e->room) {
        return ERR_OK;
    }
    size_t room = e->room == 0 ? FIRST_ROOM : 2 * e->room;
    room = room < ROUTING_EXAMPLES_MAX ? room : ROUTING_EXAMPLES_MAX;
    float *vectors = memory_resize(e->vectors, room * e->stride * sizeof(float));
    e->vectors = vectors != NULL ? vectors : e->vectors;
    float *scores = memory_resize(e->scores, room * ROUTING_EXAMPLE_MODELS * sizeof(float));
    e->scores = scores != NULL ? scores : e->scores;
    if (vectors == NULL || scores == NULL) {
        return ERR_NO_MEMORY;
    }
    e->room = room;
    return ERR_OK;
}

static enum err say_dimensions(const struct routing_examples *e, size_t here,
                               char fault[ROUTING_EXAMPLES_FAULT])
{
    if (here == 0 || here > ROUTING_DIMENSIONS_MAX) {
        (void)snprintf(fault, ROUTING_EXAMPLES_FAULT, "a vector has 1 to %d numbers",
                       ROUTING_DIMENSIONS_MAX); /* fits */
        return ERR_CONFIG;
    }
    if (e->dimensions != 0 && here != e->dimensions) {
        (void)snprintf(fault, ROUTING_EXAMPLES_FAULT,
                       "the vector has %zu numbers, and those before it have %zu", here,
                       e->dimensions); /* fits */
        return ERR_CONFIG;
    }
    return ERR_OK;
}

/* Makes it one of length 1. False: it is none, for a number is not finite or all are 0. */
static bool normalise(float *vector, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)vector[i] * (double)vector[i];
    }
    if (!isfinite(sum) || sum <= 0) {
        return false;
    }
    double by = 1 / sqrt(sum);
    for (size_t i = 0; i < count; i++) {
        vector[i] = (float)((double)vector[i] * by);
    }
    return true;
}

static enum err read_numbers(struct routing_examples *e, uint32_t row, float *out,
                             char fault[ROUTING_EXAMPLES_FAULT])
{
    for (uint32_t at = json_first(&e->x, row); at != JSON_NONE; at = json_next(&e->x, at)) {
        double number;
        if (json_double(&e->x, at, &number) != ERR_OK) {
            return wrong(fault, "a vector's numbers are finite");
        }
        *out++ = (float)number;
    }
    return ERR_OK;
}

/* How many numbers the vector has; 0: it is none. */
static size_t count_numbers(const struct json_index *x, uint32_t row)
{
    if (json_kind(x, row) == JSON_ARRAY) {
        return json_count(x, row);
    }
    struct span text = json_kind(x, row) == JSON_STRING ? json_inside(x, row) : SPAN("");
    size_t padding = span_ends(text, SPAN("==")) ? 2 : span_ends(text, SPAN("=")) ? 1 : 0;
    return text.len % 4 != 0 || text.len < 4 ? 0 : (text.len / 4 * 3 - padding) / sizeof(float);
}

static enum err read_vector(struct routing_examples *e, uint32_t row,
                            char fault[ROUTING_EXAMPLES_FAULT])
{
    size_t here = row == JSON_NONE ? 0 : count_numbers(&e->x, row);
    if (row == JSON_NONE) {
        return wrong(fault, "there is no `vector`: `atlas route learn` adds them");
    }
    enum err r = say_dimensions(e, here, fault);
    r = r == ERR_OK ? make_room(e, here) : r;
    if (r != ERR_OK) {
        return r;
    }
    float *vector = e->vectors + e->count * e->stride;
    memset(vector, 0, e->stride * sizeof(float));
    if (json_kind(&e->x, row) == JSON_ARRAY) {
        r = read_numbers(e, row, vector, fault);
    } else {
        size_t len;
        r = crypto_base64_parse(json_inside(&e->x, row), (uint8_t *)vector, here * sizeof(float),
                                &len);
        r = r == ERR_OK && len == here * sizeof(float)
                ? ERR_OK
                : wrong(fault, "`vector` is an array of numbers, or Base64 of floats");
    }
    if (r == ERR_OK && !normalise(vector, here)) {
        r = wrong(fault, "a vector's numbers are finite, and not all 0");
    }
    return r;
}

/* The model's column; ROUTING_EXAMPLE_MODELS: there is none. */
static size_t find_model(const struct routing_examples *e, struct span name)
{
    for (size_t i = 0; i < e->model_count; i++) {
        if (span_equal(e->models[i], name)) {
            return i;
        }
    }
    return ROUTING_EXAMPLE_MODELS;
}

static enum err add_model(struct routing_examples *e, const struct routing_example_world *world,
                          struct span name, char fault[ROUTING_EXAMPLES_FAULT])
{
    if (!world->has_model(world->ctx, name)) {
        (void)snprintf(fault, ROUTING_EXAMPLES_FAULT,
                       "there is no model '%.*s' below `models:` (an alias is none)",
                       SPAN_ARGS(span_cut_text(name, 64))); /* fits */
        return ERR_CONFIG;
    }
    if (e->model_count == ROUTING_EXAMPLE_MODELS) {
        (void)snprintf(fault, ROUTING_EXAMPLES_FAULT, "there are scores of more than %d models",
                       ROUTING_EXAMPLE_MODELS); /* fits */
        return ERR_CONFIG;
    }
    struct span kept = arena_copy(&e->names, name);
    if (kept.at == NULL) {
        return ERR_NO_MEMORY;
    }
    e->models[e->model_count++] = kept;
    return ERR_OK;
}

static enum err read_score(struct routing_examples *e, const struct routing_example_world *world,
                           uint32_t key, float *scores, char fault[ROUTING_EXAMPLES_FAULT])
{
    struct span name;
    double score = -1;
    enum err r = json_text(&e->x, key, &e->arena, &name);
    if (r != ERR_OK) {
        return r == ERR_NO_MEMORY ? r : wrong(fault, "`scores` are by models' names");
    }
    if (json_double(&e->x, json_value(&e->x, key), &score) != ERR_OK || score < 0 || score > 1) {
        return wrong(fault, "a score is a number from 0 to 1");
    }
    size_t column = find_model(e, name);
    if (column == ROUTING_EXAMPLE_MODELS) {
        column = e->model_count;
        r = add_model(e, world, name, fault);
    }
    if (r == ERR_OK && !isnan(scores[column])) {
        return wrong(fault, "a model has two scores");
    }
    if (r == ERR_OK) {
        scores[column] = (float)score;
    }
    return r;
}

static enum err read_scores(struct routing_examples *e, const struct routing_example_world *world,
                            uint32_t row, char fault[ROUTING_EXAMPLES_FAULT])
{
    float *scores = e->scores + e->count * ROUTING_EXAMPLE_MODELS;
    if (row == JSON_NONE || json_kind(&e->x, row) != JSON_OBJECT ||
        json_first(&e->x, row) == JSON_NONE) {
        return wrong(fault, "`scores` is an object: {\"MODEL\": 0 to 1, …}");
    }
    for (size_t i = 0; i < ROUTING_EXAMPLE_MODELS; i++) {
        scores[i] = NAN;
    }
    enum err r = ERR_OK;
    for (uint32_t key = json_first(&e->x, row); r == ERR_OK && key != JSON_NONE;
         key = json_next(&e->x, key)) {
        r = read_score(e, world, key, scores, fault);
    }
    return r;
}

static void add_sums(struct routing_examples *e)
{
    const float *scores = e->scores + e->count * ROUTING_EXAMPLE_MODELS;
    for (size_t i = 0; i < e->model_count; i++) {
        e->scored[i] += !isnan(scores[i]);
        e->sums[i] += isnan(scores[i]) ? 0 : (double)scores[i];
    }
}

static enum err read_line(struct routing_examples *e, const struct routing_example_world *world,
                          char fault[ROUTING_EXAMPLES_FAULT])
{
    uint32_t header = json_find(&e->x, 0, SPAN("embeddings"));
    if (json_kind(&e->x, 0) != JSON_OBJECT) {
        return wrong(fault, "a line is an object: {\"scores\": {…}, \"vector\": …}");
    }
    if (header != JSON_NONE) {
        return read_header(e, world, header, fault);
    }
    if (e->count == ROUTING_EXAMPLES_MAX) {
        (void)snprintf(fault, ROUTING_EXAMPLES_FAULT, "there are more than %d examples",
                       ROUTING_EXAMPLES_MAX); /* fits */
        return ERR_CONFIG;
    }
    size_t models = e->model_count;
    enum err r = read_vector(e, json_find(&e->x, 0, SPAN("vector")), fault);
    r = r == ERR_OK ? read_scores(e, world, json_find(&e->x, 0, SPAN("scores")), fault) : r;
    if (r == ERR_OK) {
        add_sums(e);
        e->count++;
    } else {
        e->model_count = models; /* without a score it would have no mean */
    }
    return r;
}

enum err routing_examples_add(struct routing_examples *e, const struct routing_example_world *world,
                              struct span line, char fault[ROUTING_EXAMPLES_FAULT])
{
    line = span_trim(span_ends(line, SPAN("\r")) ? span_cut(line, 0, line.len - 1) : line);
    crypto_sha256_two(span_make(e->digest, sizeof(e->digest)), line, e->digest);
    if (line.len == 0) {
        return ERR_OK;
    }
    if (line.len > ROUTING_EXAMPLE_LINE_BYTES) {
        (void)snprintf(fault, ROUTING_EXAMPLES_FAULT, "the line has more than %u bytes",
                       ROUTING_EXAMPLE_LINE_BYTES); /* fits */
        return ERR_CONFIG;
    }
    enum err r = json_index_parse_borrow(&e->x, line);
    if (r == ERR_NO_MEMORY) {
        return r;
    }
    r = r != ERR_OK ? wrong(fault, "it is no JSON") : read_line(e, world, fault);
    arena_fini(&e->arena);
    return r;
}

/* What was the mean itself is 0 then, and near nothing. */
static void centre(const struct routing_examples *e, float *vector)
{
    double left = 0;
    for (size_t i = 0; i < e->dimensions; i++) {
        vector[i] -= e->mean[i];
        left += (double)vector[i] * (double)vector[i];
    }
    if (left < ROUNDING || !normalise(vector, e->dimensions)) {
        memset(vector, 0, e->dimensions * sizeof(float));
    }
}

static void centre_all(struct routing_examples *e, double *sums)
{
    for (size_t i = 0; i < e->count; i++) {
        for (size_t k = 0; k < e->dimensions; k++) {
            sums[k] += (double)e->vectors[i * e->stride + k];
        }
    }
    for (size_t k = 0; k < e->dimensions; k++) {
        e->mean[k] = (float)(sums[k] / (double)e->count);
    }
    for (size_t i = 0; i < e->count; i++) {
        centre(e, e->vectors + i * e->stride);
    }
}

enum err routing_examples_end(struct routing_examples *e, char fault[ROUTING_EXAMPLES_FAULT])
{
    json_index_fini(&e->x);
    if (e->count == 0) {
        return wrong(fault, "there are no examples in it");
    }
    e->mean = memory_new(e->stride * sizeof(float));
    double *sums = memory_new(e->dimensions * sizeof(double));
    if (e->mean != NULL && sums != NULL) {
        centre_all(e, sums);
    }
    enum err r = e->mean == NULL || sums == NULL ? ERR_NO_MEMORY : ERR_OK;
    memory_free(sums);
    return r;
}

size_t routing_examples_count(const struct routing_examples *e)
{
    return e->count;
}

size_t routing_examples_dimensions(const struct routing_examples *e)
{
    return e->dimensions;
}

const uint8_t *routing_examples_digest(const struct routing_examples *e)
{
    return e->digest;
}

/* ---- searching ---- */

bool routing_examples_place(const struct routing_examples *e, float *vector)
{
    bool is_one = normalise(vector, e->dimensions);
    if (is_one) {
        centre(e, vector);
    }
    return is_one;
}

/* The product of two vectors; `a` is padded to whole blocks, `b` need not be. */
static float product_portable(const float *a, const float *b, size_t count)
{
    float lanes[BLOCK] = {0};
    size_t i = 0;
    for (; i + BLOCK <= count; i += BLOCK) {
        for (size_t k = 0; k < BLOCK; k++) {
            lanes[k] += a[i + k] * b[i + k];
        }
    }
    float sum = 0;
    for (; i < count; i++) {
        sum += a[i] * b[i];
    }
    for (size_t k = 0; k < BLOCK; k++) {
        sum += lanes[k];
    }
    return sum;
}

#if defined(__x86_64__)

#define WIDE __attribute__((target("avx2,fma")))
#define STEP (4 * BLOCK)

/* Four sums at once: a product waits for the one before it otherwise. */
WIDE static float product_wide(const float *a, const float *b, size_t count)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + STEP <= count; i += STEP) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
        s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
        s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
    }
    float lanes[BLOCK], sum = product_portable(a + i, b + i, count - i);
    _mm256_storeu_ps(lanes, _mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
    for (size_t k = 0; k < BLOCK; k++) {
        sum += lanes[k];
    }
    return sum;
}

static float product(const float *a, const float *b, size_t count)
{
    bool is_wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return is_wide ? product_wide(a, b, count) : product_portable(a, b, count);
}

#else

static float product(const float *a, const float *b, size_t count)
{
    return product_portable(a, b, count);
}

#endif

void routing_search_begin(struct routing_search *s, const struct routing_examples *e,
                          const float *vector, size_t most)
{
    s->examples = e;
    s->vector = vector;
    s->most = most < ROUTING_NEIGHBOURS_MAX ? most : ROUTING_NEIGHBOURS_MAX;
    s->next = s->count = 0;
}

/* Of two the farther one; of those that are as near, the later in the file. */
static bool is_farther(const struct routing_neighbour *a, const struct routing_neighbour *b)
{
    return a->cosine != b->cosine ? a->cosine < b->cosine : a->example > b->example;
}

/* A heap with the farthest in front: puts `n` at place `at`, or below it. */
static void sink(struct routing_search *s, size_t at, struct routing_neighbour n)
{
    for (size_t child = 2 * at + 1; child < s->count; child = 2 * at + 1) {
        child += child + 1 < s->count && is_farther(&s->nearest[child + 1], &s->nearest[child]);
        if (!is_farther(&s->nearest[child], &n)) {
            break;
        }
        s->nearest[at] = s->nearest[child];
        at = child;
    }
    s->nearest[at] = n;
}

static void rise(struct routing_search *s, struct routing_neighbour n)
{
    size_t at = s->count++;
    while (at > 0 && is_farther(&n, &s->nearest[(at - 1) / 2])) {
        s->nearest[at] = s->nearest[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    s->nearest[at] = n;
}

bool routing_search_step(struct routing_search *s, size_t numbers)
{
    const struct routing_examples *e = s->examples;
    size_t end = s->next + numbers / e->stride + 1;
    end = end < e->count ? end : e->count;
    for (; s->next < end; s->next++) {
        const float *row = e->vectors + s->next * e->stride;
        const struct routing_neighbour n = {product(row, s->vector, e->dimensions),
                                            (uint32_t)s->next};
        if (s->count < s->most) {
            rise(s, n);
        } else if (is_farther(&s->nearest[0], &n)) {
            sink(s, 0, n);
        }
    }
    return s->next == e->count;
}

/* The lower end of Wilson's interval for a share `p` of `n`. */
static double lower_bound(double p, double n)
{
    double z2 = Z * Z;
    double middle = p + z2 / (2 * n);
    double half = Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    return (middle - half) / (1 + z2 / n);
}

bool routing_search_predict(const struct routing_search *s, struct span model,
                            struct routing_prediction *out)
{
    const struct routing_examples *e = s->examples;
    size_t column = find_model(e, model);
    double weights = 0, squares = 0, sum = 0;
    *out = (struct routing_prediction){0};
    if (column == ROUTING_EXAMPLE_MODELS) {
        return false;
    }
    for (size_t i = 0; i < s->count; i++) {
        float score = e->scores[s->nearest[i].example * ROUTING_EXAMPLE_MODELS + column];
        double w = s->nearest[i].cosine > 0 ? (double)s->nearest[i].cosine : 0;
        if (!isnan(score)) {
            weights += w;
            squares += w * w;
            sum += w * (double)score;
            out->neighbours++;
        }
    }
    double mean = e->sums[column] / (double)e->scored[column];
    double n = squares > 0 ? weights * weights / squares : 0;
    double near = weights > 0 ? sum / weights : mean;
    out->quality = (n * near + PRIOR * mean) / (n + PRIOR);
    out->bound = lower_bound(out->quality, n + PRIOR);
    return true;
}
