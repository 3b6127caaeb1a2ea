/* SPDX-License-Identifier: Apache-2.0 */
/* How much a call may come to, and who it is of: what its steps and its tries both ask. */
#include "call/call_internal.h"
#include "policy/policy_price.h"

static int64_t least_set(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

int64_t call_answer_bound(const struct call *call, const struct policy_model *model)
{
    int64_t said = least_set(model->max_output, call->answer_most);
    int64_t bound = said != 0 ? said : call->answer_else;
    int64_t room = model->context_tokens - call->input_held;
    bool is_ours = bound != model->max_output && model->context_tokens > 0;
    return is_ours && bound > room ? (room > 0 ? room : 1) : bound;
}

int64_t call_answer_most(const struct call *call, const struct policy_model *model, int64_t told)
{
    return told > 0                    ? told
           : model->context_tokens > 0 ? model->context_tokens
                                       : call_answer_bound(call, model);
}

struct call_most call_most_of(const struct call *call, const struct decision_candidate *candidate,
                              int64_t told)
{
    const struct policy_model *model = candidate->match.model;
    int64_t output = openai_request_output(&call->request, call_answer_most(call, model, told),
                                           model->context_tokens);
    int64_t input =
        call->input_held > call->input_estimate ? call->input_held : call->input_estimate;
    output = output < 0 ? 0 : output;
    return (struct call_most){
        input + output,
        candidate->price == NULL
            ? 0
            : policy_price_most(candidate->price, input, output,
                                candidate->match.place->deployment->definition.total_timeout_ms)};
}

/* Whether the key may be used from where the client is. One that is gone is nowhere. */
static bool is_admitted(const struct call *call)
{
    const struct call_shared *shared = call->shared;
    struct net_ip from;
    if (call->by->is_own) {
        return true;
    }
    (void)call->by->address(call->client, &from); /* a proxy's word, or the peer: both will do */
    return shared->ports->access.admits(shared->rights, &call->key, &from);
}

enum err call_look_at_who(struct call *call, wall_us now)
{
    const struct call_shared *shared = call->shared;
    if (shared->rights == NULL) {
        return ERR_OK;
    }
    enum err e = shared->ports->access.look(shared->rights, &call->key, now, &call->who);
    return e == ERR_OK && !is_admitted(call) ? ERR_ADDRESS_NOT_ALLOWED : e;
}
