/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is explained is read by the functions that read a call, from an index of its own.
 */
#include "decision/decision_explain_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "http/http_request.h"
#include "json/json_value.h"
#include "json/json_write.h"

#define ROWS_MAX    (1u << 20)
#define DEPTH_MAX   128
#define HEAD_BYTES  65536
#define ARENA_BYTES (16u << 20)

static enum err fail(struct explaining *x, enum err e, struct span param, struct span message)
{
    struct span said = message.len > 0 ? message : span_of(err_sentence(e));
    (void)snprintf(x->fault, DECISION_FAULT_BYTES, "%.*s%s%.*s", SPAN_ARGS(span_cut(param, 0, 64)),
                   param.len > 0 ? ": " : "", SPAN_ARGS(span_cut_text(said, 180))); /* fits */
    return e;
}

/* ---- headers ---- */

/* Puts a line of a head; false: a header has no such name or value. What HTTP asks for stands there
 * already. */
static bool put_line(struct explaining *x, uint32_t key)
{
    struct span name, value;
    if (json_text_is(&x->outer, key, SPAN("host")) || json_text_is(&x->outer, key, SPAN("Host"))) {
        return true;
    }
    if (json_text(&x->outer, key, &x->arena, &name) != ERR_OK ||
        json_text(&x->outer, key + 1, &x->arena, &value) != ERR_OK ||
        memchr(value.at, '\n', value.len) != NULL || memchr(value.at, '\r', value.len) != NULL) {
        return false;
    }
    buf_put(&x->head_text, name);
    buf_put_text(&x->head_text, ": ");
    buf_put(&x->head_text, value);
    buf_put_text(&x->head_text, "\r\n");
    return true;
}

static enum err read_headers(struct explaining *x, uint32_t object)
{
    static const struct http_limits limits = {HEAD_BYTES, HEAD_BYTES};
    size_t used = 0;
    bool is_good = object == JSON_NONE || json_kind(&x->outer, object) == JSON_OBJECT;
    buf_put_text(&x->head_text, "POST / HTTP/1.1\r\nHost: explain\r\n");
    for (uint32_t key = object == JSON_NONE || !is_good ? JSON_NONE : json_first(&x->outer, object);
         is_good && key != JSON_NONE; key = json_next(&x->outer, key + 1)) {
        is_good = put_line(x, key);
    }
    buf_put_text(&x->head_text, "\r\n");
    if (buf_failed(&x->head_text)) {
        is_good = false;
    }
    http_request_init(&x->head, &limits, x->rows, EXPLAIN_FIELDS_MAX);
    is_good = is_good && http_request_parse(&x->head, buf_span(&x->head_text), &used) == ERR_OK &&
              used > 0;
    x->ask->headers = &x->head.fields;
    return is_good ? ERR_OK
                   : fail(x, ERR_VALUE_INVALID, SPAN("headers"),
                          SPAN("it must be an object of valid header fields, names to texts"));
}

/* ---- the request ---- */

static enum err read_endpoint(struct explaining *x, uint32_t row, enum openai_endpoint *out)
{
    static const char *const names[] = {[OPENAI_CHAT] = "chat",
                                        [OPENAI_COMPLETIONS] = "completions",
                                        [OPENAI_EMBEDDINGS] = "embeddings"};
    *out = json_find(&x->inner, 0, SPAN("input")) != JSON_NONE    ? OPENAI_EMBEDDINGS
           : json_find(&x->inner, 0, SPAN("prompt")) != JSON_NONE ? OPENAI_COMPLETIONS
                                                                  : OPENAI_CHAT;
    for (unsigned i = 0; row != JSON_NONE && i <= OPENAI_EMBEDDINGS; i++) {
        if (json_text_is(&x->outer, row, span_of(names[i]))) {
            *out = (enum openai_endpoint)i;
            return ERR_OK;
        }
    }
    return row == JSON_NONE ? ERR_OK
                            : fail(x, ERR_VALUE_INVALID, SPAN("endpoint"),
                                   SPAN("it must be chat, completions or embeddings"));
}

static enum err count_tokens(struct explaining *x)
{
    struct openai_count count;
    size_t bytes = SIZE_MAX;
    bool is_counted = x->request.input_tokens >= 0;
    if (!is_counted) {
        openai_count_begin(&count, &x->inner);
        count.is_noting = true;
        while (!openai_count_step(&count, &bytes)) {
            bytes = SIZE_MAX;
        }
    }
    x->ask->prompt_tokens = is_counted ? x->request.input_tokens : openai_count_read(&count);
    const struct openai_count *counted = is_counted ? NULL : &count;
    enum err e = openai_gist_read(counted, &x->inner, &x->request, &x->arena, &x->gist);
    return e == ERR_OK
               ? openai_session_read(counted, &x->inner, &x->request, &x->arena, &x->gist.session)
               : e;
}

static enum err read_request(struct explaining *x, enum openai_endpoint endpoint)
{
    struct openai_reading reading;
    enum err e = ERR_OK;
    openai_request_begin(&reading, &x->inner, endpoint, &x->arena);
    while (e == ERR_OK && !reading.is_done) {
        e = openai_request_step(&reading, SIZE_MAX);
    }
    x->request = reading.request;
    openai_request_end(&reading);
    if (e != ERR_OK) {
        return fail(x, e, reading.param, reading.message);
    }
    e = openai_wishes_read(&x->inner, &x->request, &x->arena, &x->wishes);
    e = e == ERR_OK ? decision_read_hints(&x->wishes, x->ask->headers, &x->ask->hints) : e;
    if (e != ERR_OK) {
        return fail(x, e, x->wishes.param, x->wishes.message);
    }
    x->ask->request = &x->request;
    x->ask->model = x->request.model;
    x->ask->gist = &x->gist;
    return count_tokens(x);
}

static enum err read_moment(struct explaining *x, uint32_t row)
{
    int64_t seconds;
    if (row == JSON_NONE) {
        return ERR_OK;
    }
    if (json_int64(&x->outer, row, &seconds) != ERR_OK || seconds < 0 ||
        seconds > INT64_C(1) << 40) {
        return fail(x, ERR_VALUE_INVALID, SPAN("at"), SPAN("it must be a time in unix seconds"));
    }
    x->ask->now = (wall_us){seconds * 1000000};
    return ERR_OK;
}

static enum err parse(struct explaining *x, struct json_index *index, struct span text)
{
    if (text.len > DECISION_EXPLAIN_BYTES) {
        return fail(x, ERR_BODY_TOO_LARGE, SPAN(""), SPAN(""));
    }
    enum err e = json_index_parse_borrow(index, text);
    if (e == ERR_OK && json_kind(index, 0) != JSON_OBJECT) {
        e = ERR_BODY_NOT_OBJECT;
    }
    return e == ERR_OK ? e : fail(x, e, SPAN(""), SPAN(""));
}

/* Refuses what the object beside a request does not know. */
static enum err check_members(struct explaining *x)
{
    static const char *const names[] = {"request", "headers", "endpoint", "at", "key", "vector"};
    for (uint32_t key = json_first(&x->outer, 0); key != JSON_NONE;
         key = json_next(&x->outer, key + 1)) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            is_known = is_known || json_text_is(&x->outer, key, span_of(names[i]));
        }
        if (!is_known) {
            return fail(x, ERR_VALUE_INVALID, json_inside(&x->outer, key),
                        SPAN("beside `request` there are headers, endpoint, at, key and vector"));
        }
    }
    return ERR_OK;
}

/* Who calls, if the text says it. */
static enum err read_caller(struct explaining *x, uint32_t row)
{
    struct span key;
    const char *why = "";
    if (row == JSON_NONE) {
        return ERR_OK;
    }
    if (x->callers == NULL) {
        return fail(x, ERR_VALUE_INVALID, SPAN("key"),
                    SPAN("only a running gateway knows keys: atlas route explain --key ID"));
    }
    enum err e = json_kind(&x->outer, row) == JSON_STRING
                     ? json_text(&x->outer, row, &x->arena, &key)
                     : fail(x, ERR_VALUE_INVALID, SPAN("key"), SPAN("it must be a key's id"));
    if (e == ERR_OK) {
        e = x->callers->find(x->callers->ctx, key, x->ask, &why);
        e = e == ERR_OK ? e : fail(x, e, SPAN("key"), span_of(why));
    }
    return e;
}

/* The vector of what is asked, if the text brings it. */
static enum err read_vector(struct explaining *x, uint32_t row)
{
    if (row == JSON_NONE) {
        return ERR_OK;
    }
    size_t count = json_kind(&x->outer, row) == JSON_ARRAY ? json_count(&x->outer, row) : 0;
    x->vector = count == 0 || count > ROUTING_DIMENSIONS_MAX
                    ? NULL
                    : arena_alloc(&x->arena, count * sizeof(float));
    bool is_good = x->vector != NULL, is_zero = true;
    for (uint32_t at = is_good ? json_first(&x->outer, row) : JSON_NONE; is_good && at != JSON_NONE;
         at = json_next(&x->outer, at)) {
        double number = 0;
        is_good = json_double(&x->outer, at, &number) == ERR_OK;
        x->vector[x->vector_count++] = (float)number;
        is_zero = is_zero && number == 0;
    }
    return is_good && !is_zero ? ERR_OK
                               : fail(x, ERR_VALUE_INVALID, SPAN("vector"),
                                      SPAN("it must be an array of 1 to 4096 numbers, not all 0"));
}

/* What comes along with a request. */
static enum err read_beside(struct explaining *x)
{
    enum err e = check_members(x);
    e = e == ERR_OK ? read_moment(x, json_find(&x->outer, 0, SPAN("at"))) : e;
    e = e == ERR_OK ? read_caller(x, json_find(&x->outer, 0, SPAN("key"))) : e;
    return e == ERR_OK ? read_vector(x, json_find(&x->outer, 0, SPAN("vector"))) : e;
}

static enum err read_all(struct explaining *x, struct span text)
{
    enum openai_endpoint endpoint;
    enum err e = parse(x, &x->outer, text);
    if (e != ERR_OK) {
        return e;
    }
    uint32_t body = json_find(&x->outer, 0, SPAN("request"));
    bool is_wrapped = body != JSON_NONE && json_kind(&x->outer, body) == JSON_OBJECT;
    uint32_t headers = is_wrapped ? json_find(&x->outer, 0, SPAN("headers")) : JSON_NONE;
    uint32_t named = is_wrapped ? json_find(&x->outer, 0, SPAN("endpoint")) : JSON_NONE;
    const struct json_row *row = is_wrapped ? json_row(&x->outer, body) : json_row(&x->outer, 0);
    e = is_wrapped ? read_beside(x) : ERR_OK;
    e = e == ERR_OK ? parse(x, &x->inner, span_cut(text, row->offset, row->len)) : e;
    e = e == ERR_OK ? read_headers(x, headers) : e;
    e = e == ERR_OK ? read_endpoint(x, named, &endpoint) : e;
    return e == ERR_OK ? read_request(x, endpoint) : e;
}

/* Has the vector made, if it may be; what came of it. */
static const char *make_vector(struct explaining *x, const struct decision *d, size_t dimensions)
{
    const struct decision_vectors *vectors = x->ask->vectors;
    struct decision_candidate to;
    if (!decision_wants_vector(x->ask, d)) {
        return NULL;
    }
    if (decision_embedder(x->ask, d, &to) != ERR_OK) {
        return "excluded";
    }
    if (vectors == NULL) {
        return "unasked"; /* who explains waits for nobody */
    }
    x->vector = arena_alloc(&x->arena, dimensions * sizeof(float));
    x->vector_count = dimensions;
    bool is_made =
        x->vector != NULL && vectors->make(vectors->ctx, &to, x->gist.asked, x->vector, dimensions);
    return is_made ? "ok" : "failed";
}

/* Looks for examples near what is asked, where a call would. */
static void learn(struct explaining *x)
{
    const struct routing_learned *l = routing_learned_of(x->ask->policy->routing);
    struct decision d;
    decision_find(x->ask, &x->work, NULL, &d);
    if (l == NULL || l->examples == NULL || !d.learns ||
        decision_choose(x->ask, &x->work, &d) != ERR_OK) {
        return;
    }
    size_t dimensions = routing_examples_dimensions(l->examples);
    x->learned = x->vector == NULL               ? make_vector(x, &d, dimensions)
                 : x->vector_count == dimensions ? "ok"
                                                 : "dimensions";
    bool is_there = x->learned != NULL && strcmp(x->learned, "ok") == 0;
    if (is_there && !routing_examples_place(l->examples, x->vector)) {
        x->learned = "failed";
    } else if (is_there) {
        routing_search_begin(&x->search, l->examples, x->vector, l->neighbours);
        while (!routing_search_step(&x->search, SIZE_MAX / 2)) {
        }
        x->ask->search = &x->search;
    }
}

static enum err decide(struct explaining *x)
{
    const struct routing *r = x->ask->policy->routing;
    size_t rules = r == NULL ? 0 : routing_count(r);
    x->trace.outcomes = arena_new(&x->arena, (rules + 1) * sizeof(enum condition_outcome));
    if (x->trace.outcomes == NULL) {
        return ERR_NO_MEMORY;
    }
    char why[DECISION_WHY_BYTES];
    x->refused = decision_bind(x->ask, why);
    learn(x);
    decision_find(x->ask, &x->work, &x->trace, &x->decision);
    return ERR_OK;
}

enum err decision_explain(struct decision_ask *ask, const struct decision_callers *callers,
                          struct span text, struct buf *out, char fault[DECISION_FAULT_BYTES])
{
    struct explaining *x = memory_new(sizeof(*x));
    fault[0] = '\0';
    if (x == NULL) {
        return ERR_NO_MEMORY;
    }
    x->ask = ask;
    x->callers = callers;
    x->fault = fault;
    arena_init(&x->arena, ARENA_BYTES);
    buf_init(&x->head_text, HEAD_BYTES);
    json_index_init(&x->outer, ROWS_MAX, DEPTH_MAX);
    json_index_init(&x->inner, ROWS_MAX, DEPTH_MAX);
    enum err e = read_all(x, text);
    e = e == ERR_OK ? decide(x) : e;
    e = e == ERR_OK ? decision_explain_write(x, out) : e;
    json_index_fini(&x->outer);
    json_index_fini(&x->inner);
    buf_fini(&x->head_text);
    arena_fini(&x->arena);
    memory_free(x);
    return e;
}
