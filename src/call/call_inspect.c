/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked: the body is indexed, its facts are read, its tokens are counted, and the edits are
 * made that it needs wherever it goes.
 *
 * A body of at most SMALL_BYTES takes less than a millisecond and is done at once, with the
 * worker's index, which is the body's until the call waits for something. A larger one is gone
 * through in slices, SLICE_US in a turn of the loop; from the first slice that was not the last the
 * index is the call's own, and counted. Either lives until the first try has made its edits; for a
 * later try the index is made anew, for the facts and edits speak of rows and bytes, which are the
 * same.
 */
#include <stdio.h>

#include "base/memory.h"
#include "call/call_body.h"
#include "call/call_internal.h"
#include "openai/openai_count.h"

#define SMALL_BYTES   ((size_t)64 * 1024)
#define GUARDED_BYTES ((size_t)16 * 1024) /* the same where the guard looks at it, too */
#define SLICE_US      300
#define COUNTED_BYTES ((size_t)32 * 1024) /* of text, between two looks at the clock */

enum phase { INDEX, READ, GUARD, EDIT, COUNT, FINISHED };

struct call_inspection {
    struct json_index index;
    struct openai_reading reading;
    struct openai_count count;
    struct guard_document guard;
    enum phase phase;
    bool is_reading;  /* openai_request_end() is due */
    bool is_guarding; /* and guard_document_end() */
    bool is_anew;     /* the index alone is wanted */
    bool is_kept;     /* the index is the call's own */
};

static enum openai_endpoint endpoint_of(const struct call *call)
{
    switch (call->route->handler) {
    case ROUTE_CHAT:
        return OPENAI_CHAT;
    case ROUTE_COMPLETIONS:
        return OPENAI_COMPLETIONS;
    case ROUTE_EMBEDDINGS:
        return OPENAI_EMBEDDINGS;
    case ROUTE_MODERATIONS:
    case ROUTE_MODELS:
    case ROUTE_MODEL:
    case ROUTE_BUDGET:
    case ROUTE_USAGE:
    case ROUTE_HEALTH:
    case ROUTE_READY:
        break;
    }
    NEVER("a call has an endpoint of OpenAI's");
}

/* Whether it takes less than a millisecond. */
static bool is_small(const struct call *call)
{
    size_t len = call_body_span(call->body).len;
    return len <= GUARDED_BYTES || (len <= SMALL_BYTES && call->guard == NULL);
}

/* ---- one step of a body ---- */

static void begin(struct call *call, struct call_inspection *in, bool is_anew)
{
    json_index_move(&call->shared->index, &in->index);
    json_index_begin_borrow(&in->index, call_body_span(call->body));
    in->phase = INDEX;
    in->is_anew = is_anew;
    in->is_reading = in->is_guarding = in->is_kept = false;
    call->is_indexed = false;
}

static void end_reading(struct call_inspection *in)
{
    if (in->is_reading) {
        openai_request_end(&in->reading);
        in->is_reading = false;
    }
    if (in->is_guarding) {
        guard_document_end(&in->guard);
        in->is_guarding = false;
    }
}

static enum err step_index(struct call *call, struct call_inspection *in)
{
    enum err e = json_index_step(&in->index, JSON_STEP_BYTES);
    if (e != ERR_OK || !json_index_is_done(&in->index)) {
        return e;
    }
    in->phase = FINISHED;
    if (!in->is_anew) {
        in->phase = READ;
        in->is_reading = true;
        openai_request_begin(&in->reading, &in->index, endpoint_of(call), &call->arena);
    }
    return ERR_OK;
}

/* How it begins, for whoever chooses among a model's servers. */
static enum err take_prefixes(struct call *call, const struct json_index *x)
{
    if (call->policy->prefixes == NULL || call->request.endpoint == OPENAI_EMBEDDINGS) {
        return ERR_OK;
    }
    call->prefixes = arena_alloc(&call->arena, sizeof(*call->prefixes));
    return call->prefixes == NULL
               ? ERR_NO_MEMORY
               : openai_prefix_read(x, &call->request, &call->arena, call->prefixes);
}

/* Whether something is to be known of it before a model is chosen. */
static bool wants_gist(const struct call *call)
{
    const struct policy *p = call->policy;
    return p->routing != NULL || p->is_choosy || decision_is_auto(call->request.model);
}

/* What rules may ask of it, for as long as the call. `count`: NULL of token numbers. */
static enum err take_gist(struct call *call, const struct json_index *x,
                          const struct openai_count *count)
{
    if (!wants_gist(call)) {
        return ERR_OK;
    }
    call->gist = arena_alloc(&call->arena, sizeof(*call->gist));
    if (call->gist == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = openai_gist_read(count, x, &call->request, &call->arena, call->gist);
    const struct routing *r = call->policy->routing;
    bool is_asked = r != NULL && (routing_uses(r) >> ROUTING_SESSION & 1) != 0;
    return e == ERR_OK && is_asked
               ? openai_session_read(count, x, &call->request, &call->arena, &call->gist->session)
               : e;
}

/* What its caller wishes of routing. */
static enum err take_wishes(struct call *call, const struct json_index *x)
{
    if (!openai_request_has_wishes(&call->request)) {
        return ERR_OK;
    }
    call->wishes = arena_alloc(&call->arena, sizeof(*call->wishes));
    return call->wishes == NULL ? ERR_NO_MEMORY
                                : openai_wishes_read(x, &call->request, &call->arena, call->wishes);
}

/* The facts are there: what is looked at next is what it says. */
static enum err take_facts(struct call *call, struct call_inspection *in)
{
    call->request = in->reading.request;
    end_reading(in);
    enum err e = take_wishes(call, &in->index);
    e = e == ERR_OK ? take_prefixes(call, &in->index) : e;
    if (e != ERR_OK) {
        return e;
    }
    call->edits = arena_alloc(&call->arena, sizeof(*call->edits));
    if (call->edits == NULL) {
        return ERR_NO_MEMORY;
    }
    json_edits_init(call->edits, &in->index, &call->arena);
    in->is_guarding = call_guard_begin_request(call, &in->guard);
    in->phase = in->is_guarding ? GUARD : EDIT;
    return ERR_OK;
}

static enum err step_guard(struct call *call, struct call_inspection *in)
{
    enum err e = call_guard_step_request(call, &in->guard);
    in->phase = in->guard.is_done ? EDIT : GUARD;
    return e;
}

/* The edits follow from the facts, upon those of the guard. Token numbers need no estimate. */
static enum err step_edit(struct call *call, struct call_inspection *in)
{
    enum err e = openai_request_edit_call(&in->index, &call->request, &call->arena, call->edits);
    in->phase = FINISHED;
    if (e == ERR_OK && call->request.input_tokens >= 0) {
        call->input_estimate = call->request.input_tokens;
        return take_gist(call, &in->index, NULL);
    }
    in->phase = COUNT;
    openai_count_begin(&in->count, &in->index);
    in->count.is_noting = wants_gist(call);
    return e;
}

static enum err step(struct call *call, struct call_inspection *in)
{
    enum err e = ERR_OK;
    size_t bytes;
    switch (in->phase) {
    case INDEX:
        return step_index(call, in);
    case READ:
        e = openai_request_step(&in->reading, JSON_STEP_BYTES);
        return e == ERR_OK && in->reading.is_done ? take_facts(call, in) : e;
    case GUARD:
        return step_guard(call, in);
    case EDIT:
        return step_edit(call, in);
    case COUNT:
        bytes = COUNTED_BYTES;
        if (openai_count_step(&in->count, &bytes)) {
            call->input_estimate = openai_count_read(&in->count);
            in->phase = FINISHED;
            return take_gist(call, &in->index, &in->count);
        }
        return ERR_OK;
    case FINISHED:
        break;
    }
    NEVER("what is finished takes no step");
}

static enum err slice(struct call *call, struct call_inspection *in)
{
    const struct call_ports *ports = call->shared->ports;
    mono_us begun = ports->mono();
    enum err e = ERR_OK;
    do {
        e = step(call, in);
    } while (e == ERR_OK && in->phase != FINISHED && clock_since(begun, ports->mono()) < SLICE_US);
    if (e == ERR_OK && in->phase != FINISHED && !in->is_kept) {
        e = json_index_keep(&in->index);
        in->is_kept = e == ERR_OK;
    }
    return e;
}

/* ---- what the call has of it ---- */

/* Gives the worker its index back, and says that it is the body's. */
static void give_back(struct call *call, struct call_inspection *in)
{
    end_reading(in);
    json_index_move(&in->index, &call->shared->index);
    call->is_indexed = true;
}

static enum err all_at_once(struct call *call, struct call_inspection *in)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && in->phase != FINISHED) {
        e = step(call, in);
    }
    return e;
}

/* Goes on with a large body; `*is_done`: nothing is left to do. The caller yields if it is not. */
static enum err go_on(struct call *call, bool is_anew, bool *is_done)
{
    struct call_inspection *in = call->inspection;
    if (in == NULL) {
        in = call->inspection = memory_new(sizeof(*in));
        if (in == NULL) {
            return ERR_NO_MEMORY;
        }
        begin(call, in, is_anew);
    }
    enum err e = in->phase == FINISHED ? ERR_OK : slice(call, in);
    *is_done = e == ERR_OK && in->phase == FINISHED;
    if (*is_done && !in->is_kept) {
        give_back(call, in);
        memory_free(in);
        call->inspection = NULL;
    }
    return e;
}

static void free_inspection(struct call *call)
{
    struct call_inspection *in = call->inspection;
    if (in != NULL) {
        end_reading(in);
        json_index_fini(&in->index);
        memory_free(in);
        call->inspection = NULL;
    }
}

void call_release_body(struct call *call)
{
    free_inspection(call);
    call_body_unref(&call->body);
}

bool call_release_index(struct call *call)
{
    struct call_inspection *in = call->inspection;
    call->is_indexed = false;
    if (in != NULL && in->index.cap > 0) {
        json_index_trim(&in->index, 0);
        if (in->index.cap > 0) {
            return false;
        }
    }
    free_inspection(call);
    return true;
}

enum err call_index_body(struct call *call, const struct json_index **out)
{
    bool is_done = true;
    enum err e = ERR_OK;
    if (call->inspection != NULL || !is_small(call)) {
        e = call->is_indexed ? ERR_OK : go_on(call, true, &is_done);
    } else if (!call->is_indexed) {
        e = json_index_parse_borrow(&call->shared->index, call_body_span(call->body));
        call->is_indexed = e == ERR_OK;
    }
    *out = NULL;
    if (e == ERR_OK && is_done) {
        *out = call->inspection != NULL ? &call->inspection->index : &call->shared->index;
        call->edits->index = *out; /* where they were made, there may be another's by now */
    }
    return e;
}

/* ---- the state ---- */

static enum call_state fail(struct call *call, const struct call_inspection *in, enum err e)
{
    if (in == NULL) {
        return call_fail(call, e);
    }
    if (e == ERR_BODY_NOT_JSON) {
        char where[96];
        (void)snprintf(where, sizeof(where),
                       "the request body is not valid JSON: see the byte at offset %zu",
                       in->index.error_at); /* fits */
        return call_fail_at(call, e, SPAN(""), span_of(where));
    }
    if (e == ERR_CONTENT_FILTER) {
        call_guard_tell(call);
    }
    if (call->wishes != NULL && e == ERR_VALUE_INVALID) {
        return call_fail_at(call, e, call->wishes->param, call->wishes->message);
    }
    return in->is_reading ? call_fail_at(call, e, in->reading.param, in->reading.message)
                          : call_fail(call, e);
}

static enum call_state inspect_small(struct call *call)
{
    struct call_inspection in;
    begin(call, &in, false);
    enum err e = all_at_once(call, &in);
    enum call_state next = e == ERR_OK ? CALL_ROUTE : fail(call, &in, e);
    give_back(call, &in);
    return next;
}

enum call_state call_step_inspect(struct call *call)
{
    if (call_is_scan(call)) { /* it is none of OpenAI's */
        call->request = (struct openai_request){
            .endpoint = OPENAI_EMBEDDINGS, .model = SPAN(""), .output_tokens_max = -1};
        return CALL_ROUTE;
    }
    enum err begun =
        call->guard == NULL && call->inspection == NULL ? call_guard_begin(call) : ERR_OK;
    if (begun != ERR_OK) {
        return call_fail(call, begun);
    }
    if (is_small(call)) {
        return inspect_small(call);
    }
    if (call_is_lost(call)) {
        return CALL_SETTLE;
    }
    bool is_done = false;
    enum err e = go_on(call, false, &is_done);
    if (e != ERR_OK) {
        return fail(call, call->inspection, e);
    }
    if (!is_done) {
        call_yield(call);
        return CALL_INSPECT;
    }
    return CALL_ROUTE;
}
