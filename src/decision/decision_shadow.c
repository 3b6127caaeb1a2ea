/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a call's rule mirrors it, and where that copy may go: nowhere the call itself may not. */
#include "decision/decision.h"

/* 2^32 by the golden mean, and odd: whatever bits a canary has looked at, all draws are left. */
#define MIX 0x9e3779b1u

bool decision_draws_shadow(const struct decision_ask *ask, const struct decision *d)
{
    const struct routing_rule *rule = d->rule;
    if (rule == NULL || rule->shadow.weight == 0) {
        return false;
    }
    uint32_t chance = (uint32_t)((uint64_t)(ask->chance * MIX) * 1000 >> 32);
    return chance < rule->shadow.weight;
}

enum err decision_shadow(const struct decision_ask *ask, const struct decision *d,
                         struct decision_candidate *out)
{
    struct decision_ask copy = *ask;
    struct decision alone = *d;
    copy.rights =
        NULL; /* nobody is answered by it: which models the key may use is of no account */
    *out = (struct decision_candidate){.why = "shadow"};
    alone.count = 1;
    if (!policy_find(ask->policy, d->rule->shadow.model, &out->match)) {
        return ERR_MODEL_UNKNOWN; /* a name that is gone since the rules were read */
    }
    alone.candidates[0] = *out;
    enum err e = decision_filter(&copy, &alone);
    *out = alone.candidates[0];
    return e;
}
