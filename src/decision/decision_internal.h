/* SPDX-License-Identifier: Apache-2.0 */
/* decision_internal.h — facts, filters and places. For the part's own files. */
#ifndef DECISION_DECISION_INTERNAL_H
#define DECISION_DECISION_INTERNAL_H

#include "decision/decision.h"

/* What was asked: its language, and of an Arabic text its dialect; empty: it has none. */
struct text_language decision_language(struct decision_work *work);
struct span decision_dialect(struct decision_work *work);

/* Tokens of the prompt, as rules and profiles see them: as counted or recorded, else estimated by
 * the tokenizer's family of the model that is named, or of the dearest that the call may come to.
 */
int64_t decision_tokens(struct decision_work *work);

/* How: "counted", the family's name, "mean" of none, or "high" where no text was looked at. */
struct span decision_tokens_by(struct decision_work *work);

/* What the call may cost at a model's place with so many tokens of a prompt, in billionths; a model
 * without a price is the dearest, INT64_MAX. */
int64_t decision_cost(const struct decision_ask *ask, const struct policy_model *model,
                      const struct policy_place *place, int64_t input);

/* Prepares to find facts of what is asked. */
void decision_begin_facts(struct decision_work *work, const struct decision_ask *ask);

/* Which profile decides: what rule and caller say, and another in place of the learned one where
 * nobody has looked for examples. `has_targets`: of the rule. */
void decision_choose_profile(const struct decision_ask *ask, bool has_targets, struct decision *d);

/* How good a candidate is by a profile, the best of its places: of `cost` the price decides alone;
 * of `performance` latency, and quality beside it; of `balanced` all three. */
int64_t decision_score(struct decision_work *work, enum routing_profile profile,
                       const struct decision_candidate *c);

/* The same by examples, and what they say of it: of those whose bound reaches the target the
 * cheapest, then by the bound, those that no example knows last. */
int64_t decision_score_learned(struct decision_work *work, struct decision_candidate *c);

/* All places of a model, a bit each. */
uint32_t decision_all_places(const struct policy_model *model);

/* Writes the places that are left of a candidate, at most `most`, whom to ask first in front; how
 * many there are. */
size_t decision_places(const struct decision_ask *ask, const struct decision_candidate *c,
                       size_t most, struct decision_candidate *out);

/* The one of a model's places `left` (a bit each) that has read the longest known beginning of what
 * is asked, and may have one more call before others have it; NULL: none. */
const struct policy_place *decision_known_place(const struct decision_ask *ask,
                                                const struct policy_match *match, uint32_t left);

/* How long the server of a place takes to begin an answer; 0: not known. */
static inline int64_t decision_latency_us(const struct policy_place *place)
{
    return atomic_load_explicit(&place->deployment->health.latency_us, memory_order_relaxed);
}

/* The calls that it has, ours and those of others. */
static inline int64_t decision_calls_of(const struct decision_ask *ask,
                                        const struct policy_place *place)
{
    return deployment_calls(place->deployment, ask->mono);
}

/* The same, times the calls that it has. What is not known yet is asked once, to be known; who
 * fails again and again comes last. One call in many asks anew whoever has none, for what was slow
 * or down need not be so still. */
int64_t decision_latency_of(const struct decision_ask *ask, const struct policy_place *place);

/* What was asked for: by whichever alias, a model has one name. */
struct span decision_model_name(const struct decision_ask *ask);

#endif
