/* SPDX-License-Identifier: Apache-2.0 */
/* Whether examples would decide, and of whom the vector of what is asked may be asked. */
#include "decision/decision_internal.h"

#include <string.h>

bool decision_wants_vector(const struct decision_ask *ask, const struct decision *d)
{
    const struct decision_candidate *first = NULL;
    if (!d->learns || ask->search != NULL || ask->gist == NULL || ask->gist->asked.len == 0) {
        return false;
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct decision_candidate *c = &d->candidates[i];
        bool is_ordered = strcmp(c->why, "canary") != 0 && strcmp(c->why, "fallback") != 0;
        if (is_ordered && first != NULL && first->match.model != c->match.model) {
            return strcmp(d->candidates[0].why, "canary") != 0;
        }
        first = is_ordered ? c : first;
    }
    return false;
}

/* Whether what the call asks may be told to `out`, which serves something else. */
static enum err filter_own(const struct decision_ask *ask, const struct decision *d,
                           struct decision_candidate *out)
{
    struct openai_request request = {.endpoint = OPENAI_EMBEDDINGS, .input_tokens = -1};
    struct decision_ask own = *ask;
    struct decision alone = *d;
    struct routing_rule bound;
    own.rights = NULL; /* nobody is answered by it: which models the key may use is of no account */
    own.request = &request;
    own.gist = NULL;
    own.prefixes = NULL;
    if (d->rule !=
        NULL) { /* where it may go holds for the question, how good a model is does not */
        bound = *d->rule;
        bound.min_tier = 0;
        bound.hedge_ms = 0;
        alone.rule = &bound;
    }
    alone.count = 1;
    alone.candidates[0] = *out;
    enum err e = decision_filter(&own, &alone);
    *out = alone.candidates[0];
    return e;
}

enum err decision_embedder(const struct decision_ask *ask, const struct decision *d,
                           struct decision_candidate *out)
{
    const struct routing_learned *learned = routing_learned_of(ask->policy->routing);
    *out = (struct decision_candidate){.why = "embeddings"};
    if (!policy_find(ask->policy, learned->embeddings, &out->match)) {
        return ERR_MODEL_UNKNOWN; /* a name that is gone since the rules were read */
    }
    enum err e = filter_own(ask, d, out);
    return e == ERR_OK && out->is_alone ? ERR_NO_UPSTREAM : e;
}

enum err decision_scanner(const struct decision_ask *ask, const struct decision *d, size_t which,
                          struct decision_candidate *out)
{
    const struct policy_model *model = &ask->policy->scanners[which];
    CHECK(which < ask->policy->scanner_count);
    *out = (struct decision_candidate){.why = "guard"};
    out->match.model = model;
    out->match.shown = model->name;
    out->match.upstream_name = model->name;
    policy_place_match(&out->match, &model->places[0]);
    return filter_own(ask, d, out);
}
