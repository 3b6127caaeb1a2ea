/* SPDX-License-Identifier: Apache-2.0 */
/* What a call may come to: tokens of its prompt, and their price. */
#include "decision/decision_internal.h"

#define SECOND_US     INT64_C(1000000)
#define DEAREST_INPUT 1000 /* tokens, where it is asked which model is the dearest */
#define OUTPUT_GUESS \
    256 /* tokens of an answer, where prices are compared and nobody says how long */

/* The price that held when the call began; of the book it is copied into `room`. */
static const struct policy_price *price_of(const struct decision_ask *ask,
                                           const struct policy_model *model,
                                           const struct policy_place *place,
                                           struct policy_price *room)
{
    if (place->price != NULL) {
        return place->price;
    }
    if (ask->book != NULL && policy_book_find(ask->book, model->name, ask->now, room)) {
        return room;
    }
    return policy_price_at(model->prices, model->price_count, ask->now);
}

/* What the call may cost at it, in billionths; a model without a price is the dearest. */
int64_t decision_cost(const struct decision_ask *ask, const struct policy_model *model,
                      const struct policy_place *place, int64_t input)
{
    struct policy_price room;
    const struct policy_price *price = price_of(ask, model, place, &room);
    int64_t output = ask->request->output_tokens_max;
    int64_t us = decision_latency_us(place);
    const struct policy_amounts amounts = {
        .input = input,
        .output = output >= 0 && output < OUTPUT_GUESS ? output : OUTPUT_GUESS,
        .requests = 1,
        .server_us = us > SECOND_US ? us : SECOND_US};
    return price == NULL ? INT64_MAX : policy_price_cost(price, &amounts);
}

/* ---- tokens ---- */

/* Whether the model serves the endpoint, and the key may use it. */
static bool may_use(const struct decision_ask *ask, const struct policy_model *model)
{
    static const uint32_t bits[] = {[OPENAI_CHAT] = POLICY_CHAT,
                                    [OPENAI_COMPLETIONS] = POLICY_COMPLETIONS,
                                    [OPENAI_EMBEDDINGS] = POLICY_EMBEDDINGS};
    return !model->is_pattern && (model->endpoints & bits[ask->request->endpoint]) != 0 &&
           (ask->rights == NULL ||
            ask->permits(ask->rights, ask->key, ask->who, model->name, model->name));
}

/* Of those, the dearest; NULL: none has a price. */
static const struct policy_model *dearest_of(const struct decision_ask *ask)
{
    const struct policy *p = ask->policy;
    const struct policy_model *dearest = NULL;
    int64_t most = -1;
    for (size_t i = 0; i < p->model_count && i < DECISION_MODELS_MAX; i++) {
        const struct policy_model *model = &p->models[i];
        for (size_t at = 0; at < model->place_count; at++) {
            int64_t cost = decision_cost(ask, model, &model->places[at], DEAREST_INPUT);
            if (cost != INT64_MAX && cost > most && may_use(ask, model)) {
                dearest = model;
                most = cost;
            }
        }
    }
    return dearest;
}

/* The model whose tokenizer counts; NULL: none is known. */
static const struct policy_model *model_of(const struct decision_ask *ask)
{
    struct policy_match named;
    if (decision_is_auto(ask->model)) {
        return dearest_of(ask);
    }
    return policy_find(ask->policy, ask->model, &named) ? named.model : NULL;
}

static void find_tokens(struct decision_work *w)
{
    const struct decision_ask *ask = w->ask;
    const struct openai_gist *gist = ask->gist;
    bool is_estimated =
        ask->recorded == NULL && ask->request->input_tokens < 0 && gist != NULL && gist->has_shape;
    w->has_tokens = true;
    w->prompt_tokens = ask->prompt_tokens;
    w->tokens_family = SPAN("");
    if (is_estimated) {
        const struct policy_model *model = model_of(ask);
        const struct text_tokenizer *t =
            model == NULL || model->tokenizer == NULL ? text_tokenizer_mean() : model->tokenizer;
        w->tokens_family = t == text_tokenizer_mean() ? SPAN("mean") : span_of(t->name);
        w->prompt_tokens = text_tokenizer_count(t, &gist->shape) + gist->beside +
                           gist->messages * t->message_tokens +
                           (gist->messages > 0 ? t->request_tokens : 0);
    }
}

int64_t decision_tokens(struct decision_work *work)
{
    if (!work->has_tokens) {
        find_tokens(work);
    }
    return work->prompt_tokens;
}

/* How they were counted. */
struct span decision_tokens_by(struct decision_work *w)
{
    if (w->ask->recorded != NULL) {
        return w->ask->recorded->tokens_by;
    }
    (void)decision_tokens(w);
    return w->ask->request->input_tokens >= 0 ? SPAN("counted")
           : w->tokens_family.len > 0         ? w->tokens_family
                                              : SPAN("high");
}
