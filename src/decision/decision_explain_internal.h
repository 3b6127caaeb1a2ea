/* SPDX-License-Identifier: Apache-2.0 */
/* decision_explain_internal.h — a decision that is explained: read, made, told. For the two files
 * that do it. */
#ifndef DECISION_DECISION_EXPLAIN_INTERNAL_H
#define DECISION_DECISION_EXPLAIN_INTERNAL_H

#include "decision/decision_explain.h"
#include "http/http_request.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define EXPLAIN_FIELDS_MAX 128

/* Whatever is read. */
struct explaining {
    struct decision_ask *ask;
    const struct decision_callers *callers;
    struct arena arena;
    struct json_index outer, inner;
    struct openai_request request;
    struct openai_gist gist;
    struct openai_wishes wishes;
    struct buf head_text;
    struct http_request head;
    struct http_field rows[EXPLAIN_FIELDS_MAX];
    struct decision_work work;
    struct decision decision;
    struct decision_trace trace;
    struct routing_search search;
    const char *learned; /* what came of the vector; NULL: nobody wants one */
    float *vector;       /* of what is asked; NULL: there is none */
    size_t vector_count;
    enum err refused; /* before any candidate is looked at */
    char *fault;
};

/* Writes the whole as JSON. */
MUST_USE enum err decision_explain_write(struct explaining *x, struct buf *out);

#endif
