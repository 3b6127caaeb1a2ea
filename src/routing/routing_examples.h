/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing_examples.h — labelled prompts as vectors, and how well each model would answer a prompt
 * that lies near some of them: embedding kNN.
 *
 * A file has a line of JSON an example:
 *
 *   {"text": "…", "scores": {"small": 1, "large": 0.9}, "vector": "Base64 of floats, or numbers"}
 *
 * and may begin with one that says what made the vectors: {"embeddings": "e5-small",
 * "dimensions": 384}. The text is not kept. Scores are 0 to 1, of as many models as were tried.
 *
 * Vectors are made of length 1, and the mean of all examples is taken off each: models of
 * embeddings put all texts into a narrow cone, and what is alike in all would weigh as much as what
 * is not.
 *
 * Of the K nearest by cosine, w their cosines (0 where they are negative) and s a model's scores:
 *
 *   n        = (Σw)² / Σw²                          the effective number of neighbours
 *   quality  = (n · Σws/Σw + PRIOR · mean) / (n + PRIOR)      shrunk to the model's mean
 *   bound    = Wilson's lower bound of `quality` at n + PRIOR, one-sided 90 %
 *
 * Ownership  the caller's, by routing_examples_free(). It does not change once it is read.
 * Limits     ROUTING_EXAMPLES_MAX examples of ROUTING_DIMENSIONS_MAX numbers, 4 bytes each: 7.7 MB
 *            for 5,000 × 384, 328 MB at most; ROUTING_EXAMPLE_MODELS models, 4 bytes a score.
 *            A search is made in steps.
 * Threads    any that read; a search is its owner's.
 * Sources    docs/routing.md; E. B. Wilson, JASA 22 (1927); L. Kish (1965) for n; J. Mu and
 *            P. Viswanath, ICLR 2018, for the mean.
 */
#ifndef ROUTING_ROUTING_EXAMPLES_H
#define ROUTING_ROUTING_EXAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define ROUTING_EXAMPLES_MAX       20000
#define ROUTING_DIMENSIONS_MAX     4096
#define ROUTING_EXAMPLE_MODELS     64
#define ROUTING_EXAMPLE_LINE_BYTES (256u << 10)
#define ROUTING_NEIGHBOURS_MAX     100
#define ROUTING_EXAMPLES_FAULT     256 /* bytes of a sentence */

struct routing_examples;

/* Whether a model may stand in the examples, by its own name. */
struct routing_example_world {
    bool (*has_model)(const void *ctx, struct span name);
    const void *ctx;
    struct span embeddings; /* the model whose vectors they must be */
};

MUST_USE enum err routing_examples_new(struct routing_examples **out);
void routing_examples_free(struct routing_examples **e);

/*
 * Adds the next line; nothing if it is empty.
 *
 *   ERR_CONFIG     it is no example, or none that fits those before; `fault` says what is wrong
 *   ERR_NO_MEMORY
 */
MUST_USE enum err routing_examples_add(struct routing_examples *e,
                                       const struct routing_example_world *world, struct span line,
                                       char fault[ROUTING_EXAMPLES_FAULT]);

/* All are added. ERR_CONFIG: there are none; `fault` says so. */
MUST_USE enum err routing_examples_end(struct routing_examples *e,
                                       char fault[ROUTING_EXAMPLES_FAULT]);

size_t routing_examples_count(const struct routing_examples *e);
size_t routing_examples_dimensions(const struct routing_examples *e);

/* SHA-256 of the lines. */
const uint8_t *routing_examples_digest(const struct routing_examples *e);

/* ---- searching ---- */

struct routing_neighbour {
    float cosine;
    uint32_t example;
};

/* The nearest so far; `count` of them are there, in no order. */
struct routing_search {
    const struct routing_examples *examples;
    const float *vector;
    size_t most, next, count;
    struct routing_neighbour nearest[ROUTING_NEIGHBOURS_MAX];
};

/* Makes a vector, of the dimensions of the examples, one that can be searched with, as theirs were
 * made. False: it is none, for a number is not finite or all are 0. */
MUST_USE bool routing_examples_place(const struct routing_examples *e, float *vector);

/* Begins a search for the `most` nearest of a vector that was placed, which stays until the search
 * is over. */
void routing_search_begin(struct routing_search *s, const struct routing_examples *e,
                          const float *vector, size_t most);

/* Looks at so many numbers more, rounded up to an example; true: that were all. Some 60 µs for
 * 2^18, where they are in the cache. */
MUST_USE bool routing_search_step(struct routing_search *s, size_t numbers);

/* What is expected of a model. */
struct routing_prediction {
    double quality, bound;
    size_t neighbours; /* of the nearest, that have a score of it */
};

/* False: no example has a score of the model of that name. */
MUST_USE bool routing_search_predict(const struct routing_search *s, struct span model,
                                     struct routing_prediction *out);

#endif
