/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a candidate is sent: the body with the edits that it needs, and the header lines. Made
 * before the intent is written, so that what we can refuse is refused before anybody writes down
 * that it is sent.
 */
#include <stdio.h>

#include "call/call_internal.h"
#include "http/http_request.h"
#include "upstream/upstream_kind.h"

#define PASSED_VALUE_MAX 512 /* of a client's header that is passed on */

/* The client's headers that a model server may see, unless Connection names them (RFC 9110 7.6.1);
 * all others stay here. */
static const enum http_name passed_on[] = {HTTP_NAME_TRACEPARENT, HTTP_NAME_TRACESTATE,
                                           HTTP_NAME_OPENAI_BETA};

#define PASSED_COUNT (sizeof(passed_on) / sizeof(passed_on[0]))

static struct span join(struct arena *arena, const struct span *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    uint8_t *to = arena_alloc(arena, len + 1);
    if (to == NULL) {
        return (struct span){NULL, 0};
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(to + at, parts[i].at, parts[i].len);
        }
        at += parts[i].len;
    }
    return span_make(to, len);
}

/* How long its caller still waits, for who stands behind us. */
static struct span write_deadline(const struct call *call, char *out, size_t size)
{
    int64_t ms = clock_since(call->shared->ports->mono(), call->deadline) / 1000;
    ms = ms > 0 ? ms : 1;
    int len = snprintf(out, size, "X-Request-Timeout: %lld.%03d\r\n", (long long)(ms / 1000),
                       (int)(ms % 1000));
    return span_make(out, (size_t)len);
}

static struct span request_fields(struct call_try *t)
{
    struct call *call = t->call;
    const struct http_request *head = call->by->head(call->client);
    struct span parts[3 + PASSED_COUNT * 4];
    char left[64];
    size_t count = 0;
    parts[count++] = SPAN("Content-Type: application/json\r\n");
    if ((t->added & UPSTREAM_ADDS_HEADERS) != 0) {
        parts[count++] = call->request.stream ? SPAN("Accept: text/event-stream\r\n")
                                              : SPAN("Accept: application/json\r\n");
    }
    if (call->deadline.us != 0 && (t->added & UPSTREAM_ADDS_HEADERS) != 0) {
        parts[count++] = write_deadline(call, left, sizeof(left));
    }
    for (size_t i = 0; i < PASSED_COUNT; i++) {
        if (!http_fields_has(&head->fields, passed_on[i]) ||
            http_fields_list_has(&head->fields, HTTP_NAME_CONNECTION,
                                 http_name_text(passed_on[i]))) {
            continue;
        }
        struct span value = http_fields_find(&head->fields, passed_on[i]);
        if (value.len <= PASSED_VALUE_MAX) {
            parts[count++] = http_name_text(passed_on[i]);
            parts[count++] = SPAN(": ");
            parts[count++] = value;
            parts[count++] = SPAN("\r\n");
        }
    }
    return join(&call->arena, parts, count);
}

static struct span endpoint_path(const struct call_try *t)
{
    const struct call *call = t->call;
    if (call_is_scan(call)) {
        bool is_presidio = call->shadow->scanner->kind == GUARD_EXTERNAL_PRESIDIO;
        bool has_path = t->candidate->match.place->deployment->path_prefix.len > 0;
        return is_presidio ? SPAN("/analyze") : has_path ? SPAN("") : SPAN("/");
    }
    switch (call->request.endpoint) {
    case OPENAI_CHAT:
        return SPAN("/chat/completions");
    case OPENAI_COMPLETIONS:
        return SPAN("/completions");
    case OPENAI_EMBEDDINGS:
        return SPAN("/embeddings");
    }
    NEVER("every endpoint has its path");
}

/* What the caller did not send and the model server gets, if it takes it. */
static uint32_t additions(const struct call_try *t)
{
    const struct openai_request *request = &t->call->request;
    bool asks_usage = request->stream && !request->wants_usage;
    bool bounds = call_answer_bound(t->call, t->candidate->match.model) > 0 &&
                  request->output_tokens_max < 0 && request->endpoint != OPENAI_EMBEDDINGS;
    return (asks_usage ? (uint32_t)UPSTREAM_ADDS_STREAM_OPTIONS : 0) |
           (bounds ? (uint32_t)UPSTREAM_ADDS_MAX_TOKENS : 0) | UPSTREAM_ADDS_HEADERS;
}

int64_t call_try_bound(const struct call_try *t)
{
    bool is_told = (t->added & UPSTREAM_ADDS_MAX_TOKENS) != 0;
    return is_told ? call_answer_bound(t->call, t->candidate->match.model) : 0;
}

/* The body for the candidate: pieces of what was received and of the arena. */
static enum err make_body(struct call_try *t, const struct json_index *x)
{
    struct call *call = t->call;
    struct deployment *deployment = t->candidate->match.place->deployment;
    const struct upstream_definition *to = &deployment->definition;
    uint32_t omits = deployment_omits(deployment) | t->omitted;
    t->added = additions(t) & ~omits;
    const struct upstream_kind_row *kind = upstream_kind_row(to->kind);
    struct openai_target target = {
        .model = t->candidate->match.upstream_name,
        .lacks_max_completion_tokens = kind->renames_max_completion_tokens,
        .refuses_both_max_tokens = kind->refuses_both_max_tokens,
        .lacks_developer_role = to->kind != UPSTREAM_OPENAI,
        .lacks_stop_text = kind->lacks_stop_text,
        .lacks_stream_options = (omits & UPSTREAM_ADDS_STREAM_OPTIONS) != 0,
        .lacks_base64 = !kind->makes_base64,
        .max_output = call_try_bound(t),
        .keeps_extra_body = !kind->lifts_extra_body,
    };
    struct json_edits edits;
    enum err e =
        openai_request_edit_target(x, &call->request, call->edits, &target, &call->arena, &edits);
    if (e != ERR_OK) {
        return e;
    }
    t->pieces = arena_alloc(&call->arena, json_edits_most_pieces(&edits) * sizeof(*t->pieces));
    if (t->pieces == NULL) {
        return ERR_NO_MEMORY;
    }
    t->piece_count = (int)json_edits_pieces(&edits, t->pieces);
    return ERR_OK;
}

static enum openai_reasoning reasoning_of(const struct policy_model *model)
{
    switch (model->reasoning) {
    case POLICY_REASONING_AS_IS:
        return OPENAI_REASONING_AS_IS;
    case POLICY_REASONING_NEWER:
        return OPENAI_REASONING;
    case POLICY_REASONING_OLDER:
        return OPENAI_REASONING_CONTENT;
    }
    NEVER("a model's setting is one of these");
}

/* How long an answer may be. Of a call that holds something never longer than that: a server that
 * was told no bound is held at it by us. */
static int64_t longest_answer(const struct call_try *t)
{
    const struct call *call = t->call;
    int64_t bound = call_try_bound(t);
    if (call->input_held > 0) {
        bound = call_answer_most(call, t->candidate->match.model, bound);
    }
    return openai_request_output(&call->request, bound, 0);
}

/* How its answer is to be read. */
static enum err make_plan(struct call_try *t)
{
    struct call *call = t->call;
    t->plan = (struct openai_plan){
        .endpoint = call->request.endpoint,
        .quoted_model = openai_quote(&call->arena, t->candidate->match.shown),
        .call_id = span_of(call->id.text),
        .created_s = call->started_wall.us / 1000000,
        .wants_usage = call->request.wants_usage,
        .wants_continuous_usage = call->request.wants_continuous_usage,
        .wants_base64 = call->request.wants_base64,
        .reasoning = reasoning_of(t->candidate->match.model),
        .inputs = call->request.inputs,
        .choices = call->request.choices,
        .asked = longest_answer(t),
    };
    return t->plan.quoted_model.at == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* One model server that hangs would come to hold all calls that there may be, and those for others
 * would be refused: it holds seven eighths at most, and of a high priority half of the rest. */
static bool is_crowded(const struct call_try *t)
{
    const struct policy *p = t->call->policy;
    const struct deployment *d = t->candidate->match.place->deployment;
    int64_t most = p->calls_max - p->calls_max / 8;
    int64_t has = atomic_load_explicit(&d->in_flight, memory_order_relaxed);
    if (p->deployment_count > 1 && has >= most && call_priority(t->call) == LIMITS_HIGH) {
        most += p->calls_max / 16;
    }
    return p->deployment_count > 1 && has >= most;
}

static void on_attempt(void *ctx)
{
    struct call_try *t = ctx;
    CHECK_OBJ(t, CALL_TRY_MAGIC);
    call_on_event(t->call);
}

static enum err prepare_attempt(struct call_try *t)
{
    const struct call *call = t->call;
    const struct call_shared *shared = call->shared;
    if (is_crowded(t)) {
        return ERR_UPSTREAM_BUSY;
    }
    struct span fields = request_fields(t);
    if (fields.at == NULL) {
        return ERR_NO_MEMORY;
    }
    bool lean = (t->added & UPSTREAM_ADDS_HEADERS) == 0;
    struct attempt_request request = {
        .path = endpoint_path(t),
        .fields = fields,
        .id = lean ? SPAN("") : span_of(call->id.text),
        .owner = span_of(call->key.id),
        .turns = call_turns(call),
        .until = call->deadline,
        .pieces = t->pieces,
        .piece_count = t->piece_count,
        .post = true,
        .lean = lean,
        .fresh = t->is_fresh,
        .alone = t->candidate->is_alone,
        .unjudged = call->shadow != NULL,
    };
    return shared->ports->attempt.prepare(shared->pool, t->candidate->match.place->deployment,
                                          &request, on_attempt, t, &t->attempt);
}

/* The body as it is. */
static enum err take_body(struct call_try *t)
{
    struct span body = call_body_span(t->body);
    t->pieces = arena_alloc(&t->call->arena, sizeof(*t->pieces));
    if (t->pieces == NULL) {
        return ERR_NO_MEMORY;
    }
    t->pieces[0] = (struct iovec){(void *)(uintptr_t)body.at, body.len};
    t->piece_count = 1;
    t->added = UPSTREAM_ADDS_HEADERS;
    return ERR_OK;
}

/* The body, of an index that may have to be made anew first. False: there is more to do. */
static enum err prepare_body(struct call_try *t, bool *is_done)
{
    const struct json_index *x = NULL;
    bool is_scan = call_is_scan(t->call);
    enum err e = t->pieces != NULL ? ERR_OK : is_scan ? take_body(t) : call_index_body(t->call, &x);
    if (e == ERR_OK && x != NULL) {
        e = make_body(t, x);
    }
    *is_done = e == ERR_OK && t->pieces != NULL && call_release_index(t->call);
    return e;
}

enum call_try_state call_try_step_prepare(struct call_try *t)
{
    const struct call *call = t->call;
    bool is_done = false;
    if (call->deadline.us != 0 && call->shared->ports->mono().us >= call->deadline.us) {
        return call_try_fail(t, ERR_DEADLINE); /* nobody waits for what it would answer */
    }
    if (t->body == NULL) {
        t->body = call_body_ref(t->call->body);
    }
    enum err e = prepare_body(t, &is_done);
    if (e == ERR_OK && !is_done) {
        call_yield(t->call);
        return CALL_TRY_PREPARE;
    }
    if (e == ERR_OK) {
        e = make_plan(t);
    }
    if (e == ERR_OK) {
        e = call_extend_limits(t, call_try_bound(t));
    }
    if (e == ERR_OK) {
        e = prepare_attempt(t);
    }
    return e == ERR_OK ? CALL_TRY_SLOTS : call_try_fail(t, e);
}
