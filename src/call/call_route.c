/* SPDX-License-Identifier: Apache-2.0 */
/* Where a call may go, and what it may cost. */
#include "call/call_internal.h"
#include "policy/policy_book.h"
#include "upstream/upstream_kind.h"

static uint32_t endpoint_bit(enum openai_endpoint endpoint)
{
    switch (endpoint) {
    case OPENAI_CHAT:
        return POLICY_CHAT;
    case OPENAI_COMPLETIONS:
        return POLICY_COMPLETIONS;
    case OPENAI_EMBEDDINGS:
        return POLICY_EMBEDDINGS;
    }
    NEVER("every endpoint has its bit");
}

static enum call_state fail_unknown_model(struct call *call)
{
    char text[POLICY_UNKNOWN_BYTES];
    size_t len = policy_say_unknown(call->policy, call->request.model, text);
    return call_fail_at(call, ERR_MODEL_UNKNOWN, SPAN("model"), span_make(text, len));
}

/* ---- what a candidate must be, or it is not asked ---- */

static bool has_endpoint(const struct call *call, const struct policy_model *model)
{
    return (model->endpoints & endpoint_bit(call->request.endpoint)) != 0;
}

static enum call_state fail_endpoint(struct call *call)
{
    return call_fail_at(call, ERR_MODEL_ENDPOINT, SPAN("model"), SPAN(""));
}

static bool takes_inputs(const struct call *call, const struct policy_model *model)
{
    enum upstream_kind kind = model->deployment->definition.kind;
    return !call->request.has_token_arrays ||
           (model->token_arrays && upstream_kind_row(kind)->takes_token_arrays);
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

/* Context the caller can know is too small: only token arrays are counted exactly. */
static bool has_context(const struct call *call, const struct policy_model *model)
{
    return model->context_tokens == 0 || call->request.input_tokens <= model->context_tokens ||
           call->request.endpoint == OPENAI_EMBEDDINGS;
}

static enum call_state fail_context(struct call *call)
{
    return call_fail(call, ERR_CONTEXT_LENGTH);
}

static bool may_use(const struct call *call, const struct policy_model *model)
{
    const struct call_shared *shared = call->shared;
    return shared->rights == NULL ||
           shared->ports->access.permits(shared->rights, &call->key, &call->who,
                                         call->request.model, model->name);
}

static enum call_state fail_permission(struct call *call)
{
    return call_fail_at(call, ERR_MODEL_NOT_ALLOWED, SPAN("model"), SPAN(""));
}

/* One behind the other: the first that leaves none decides what the caller is told. */
static const struct {
    bool (*permits)(const struct call *call, const struct policy_model *model);
    enum call_state (*fail)(struct call *call);
} filters[] = {
    {may_use, fail_permission},
    {has_endpoint, fail_endpoint},
    {takes_inputs, fail_token_arrays},
    {has_context, fail_context},
};

/* Takes out the candidates that it does not permit. False: that is all of them, and they stay, for
 * the record of the refusal names the first. */
static bool filter(struct call *call,
                   bool (*permits)(const struct call *call, const struct policy_model *model))
{
    size_t kept = 0;
    for (size_t i = 0; i < call->candidate_count; i++) {
        if (permits(call, call->candidates[i].match.model)) {
            call->candidates[kept++] = call->candidates[i];
        }
    }
    call->candidate_count = kept > 0 ? kept : call->candidate_count;
    return kept > 0;
}

/* What each would cost: by the prices that held when the call began. Those of the book stay as they
 * were while it runs. False: there is no memory for that. */
static bool find_prices(struct call *call)
{
    const struct policy_book *book = call->shared->book;
    for (size_t i = 0; i < call->candidate_count; i++) {
        struct call_candidate *c = &call->candidates[i];
        const struct policy_model *model = c->match.model;
        struct policy_price found;
        c->price = policy_price_at(model->prices, model->price_count, call->started_wall);
        if (book != NULL && policy_book_find(book, model->name, call->started_wall, &found)) {
            struct policy_price *kept = arena_alloc(&call->arena, sizeof(*kept));
            if (kept == NULL) {
                return false;
            }
            *kept = found;
            c->price = kept;
        }
    }
    return true;
}

enum call_state call_step_route(struct call *call)
{
    /* A pattern's match shows the caller's name, and the completion is written without the body. */
    struct span name = arena_copy(&call->arena, call->request.model);
    if (name.at == NULL) {
        return call_fail(call, ERR_NO_MEMORY);
    }
    call->candidate_count = call->shared->ports->route(call->policy, name, call->candidates);
    if (call->candidate_count == 0) {
        return fail_unknown_model(call);
    }
    if (!find_prices(call)) {
        return call_fail(call, ERR_NO_MEMORY);
    }
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        if (!filter(call, filters[i].permits)) {
            return filters[i].fail(call);
        }
    }
    return CALL_RESERVE;
}
