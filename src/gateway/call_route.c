/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked, and where it goes. The index of the body lies in the worker's rows and is good
 * only until these steps return to the loop, so they run one after the other and leave facts and
 * edits.
 */
#include <stdio.h>

#include "gateway/call_internal.h"
#include "upstream/upstream_kind.h"

#define KEPT_ROWS              65536 /* of the worker's index, between bodies */
#define RESERVED_BYTES_A_TOKEN 3     /* few enough that Arabic is not undercounted */

static enum openai_endpoint endpoint_of(const struct call *call)
{
    switch (call->route->handler) {
    case ROUTE_CHAT:
        return OPENAI_CHAT;
    case ROUTE_COMPLETIONS:
        return OPENAI_COMPLETIONS;
    case ROUTE_EMBEDDINGS:
        return OPENAI_EMBEDDINGS;
    case ROUTE_MODELS:
    case ROUTE_MODEL:
    case ROUTE_HEALTH:
    case ROUTE_READY:
        break;
    }
    NEVER("a call has an endpoint of OpenAI's");
}

enum call_state call_step_inspect(struct call *call)
{
    struct json_index *index = &call->shared->index;
    enum err e = json_index_parse_borrow(index, span_make(call->body, call->body_len));
    if (e == ERR_BODY_NOT_JSON) {
        char where[96];
        (void)snprintf(where, sizeof(where),
                       "the request body is not valid JSON: see the byte at offset %zu",
                       index->error_at); /* fits */
        return call_fail_at(call, e, SPAN(""), span_of(where));
    }
    if (e != ERR_OK) {
        return call_fail(call, e);
    }
    struct span param = SPAN(""), message = SPAN("");
    e = openai_request_read(index, endpoint_of(call), &call->arena, &call->request, &param,
                            &message);
    if (e != ERR_OK) {
        return call_fail_at(call, e, param, message);
    }
    return CALL_ROUTE;
}

static uint32_t endpoint_bit(enum openai_endpoint endpoint)
{
    switch (endpoint) {
    case OPENAI_CHAT:
        return GATEWAY_CHAT;
    case OPENAI_COMPLETIONS:
        return GATEWAY_COMPLETIONS;
    case OPENAI_EMBEDDINGS:
        return GATEWAY_EMBEDDINGS;
    }
    NEVER("every endpoint has its bit");
}

static enum call_state fail_unknown_model(struct call *call)
{
    char text[256];
    struct span name = span_cut(call->request.model, 0, 128);
    (void)snprintf(text, sizeof(text),
                   "the model '%.*s' does not exist; GET /v1/models lists those that do",
                   SPAN_ARGS(name)); /* the name is cut to fit */
    return call_fail_at(call, ERR_MODEL_UNKNOWN, SPAN("model"), span_of(text));
}

/* The body for the one candidate: pieces of what was received and of the arena. */
static enum err make_edits(struct call *call)
{
    const struct upstream_definition *to = &call->match.model->deployment->definition;
    const struct upstream_kind_row *kind = upstream_kind_row(to->kind);
    struct openai_target target = {
        .model = call->match.upstream_name,
        .lacks_max_completion_tokens = kind->renames_max_completion_tokens,
        .refuses_both_max_tokens = kind->refuses_both_max_tokens,
        .lacks_developer_role = to->kind != UPSTREAM_OPENAI,
        .lacks_stop_text = kind->lacks_stop_text,
        .lacks_base64 = !kind->makes_base64,
        .keeps_extra_body = !kind->lifts_extra_body,
    };
    struct json_edits edits;
    enum err e =
        openai_request_edit(&call->shared->index, &call->request, &target, &call->arena, &edits);
    if (e != ERR_OK) {
        return e;
    }
    call->pieces =
        arena_alloc(&call->arena, json_edits_most_pieces(&edits) * sizeof(*call->pieces));
    if (call->pieces == NULL) {
        return ERR_NO_MEMORY;
    }
    call->piece_count = (int)json_edits_pieces(&edits, call->pieces);
    return ERR_OK;
}

/* Context the caller can know is too small: only token arrays are counted exactly. */
static bool is_too_long(const struct call *call)
{
    return call->match.model->context_tokens > 0 &&
           call->request.input_tokens > call->match.model->context_tokens &&
           call->request.endpoint != OPENAI_EMBEDDINGS;
}

static bool takes_token_arrays(const struct policy_model *model)
{
    enum upstream_kind kind = model->deployment->definition.kind;
    return model->token_arrays && upstream_kind_row(kind)->takes_token_arrays;
}

static enum call_state fail_token_arrays(struct call *call)
{
    bool embeds = call->request.endpoint == OPENAI_EMBEDDINGS;
    return call_fail_at(call, ERR_VALUE_INVALID, embeds ? SPAN("input") : SPAN("prompt"),
                        embeds
                            ? SPAN("this model takes text, not token numbers; with LangChain set "
                                   "check_embedding_ctx_length=False")
                            : SPAN("this model takes text, not token numbers"));
}

enum call_state call_step_route(struct call *call)
{
    /* A pattern's match shows the caller's name, and the completion is written without the body. */
    struct span name = arena_copy(&call->arena, call->request.model);
    if (name.at == NULL) {
        return call_fail(call, ERR_NO_MEMORY);
    }
    if (!policy_find(call->policy, name, &call->match)) {
        return fail_unknown_model(call);
    }
    const struct policy_model *model = call->match.model;
    if ((model->endpoints & endpoint_bit(call->request.endpoint)) == 0) {
        return call_fail_at(call, ERR_MODEL_ENDPOINT, SPAN("model"), SPAN(""));
    }
    if (call->request.has_token_arrays && !takes_token_arrays(model)) {
        return fail_token_arrays(call);
    }
    if (is_too_long(call)) {
        return call_fail(call, ERR_CONTEXT_LENGTH);
    }
    enum err e = make_edits(call);
    if (e != ERR_OK) {
        return call_fail(call, e);
    }
    call->plan = (struct openai_plan){
        .endpoint = call->request.endpoint,
        .quoted_model = openai_quote(&call->arena, call->match.shown),
        .call_id = span_of(call->id.text),
        .wants_usage = call->request.wants_usage,
        .wants_continuous_usage = call->request.wants_continuous_usage,
        .wants_base64 = call->request.wants_base64,
        .inputs = call->request.inputs,
        .choices = call->request.choices,
    };
    return call->plan.quoted_model.at == NULL ? call_fail(call, ERR_NO_MEMORY) : CALL_RESERVE;
}

/* Nothing is held yet; what would be is noted, for a call that is interrupted settles at it. It is
 * taken from the length alone: a look at the text costs more than the rest of the call, and only
 * calls whose model server counts nothing need it (call_settle.c). */
enum call_state call_step_reserve(struct call *call)
{
    call->input_estimate = call->request.input_tokens >= 0
                               ? call->request.input_tokens
                               : (int64_t)(call->body_len / RESERVED_BYTES_A_TOKEN) + 1;
    json_index_trim(&call->shared->index, KEPT_ROWS);
    return CALL_RECORD;
}
