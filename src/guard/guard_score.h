/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_score.h — of which types there is something in some texts, and how sure that is: what
 * POST /v1/moderations answers of an input.
 *
 *   {"flagged":true,"categories":{"email":true,…},"category_scores":{"email":0.98,…},
 *    "category_applied_input_types":{"email":["text"],…}}
 *
 * Categories are the types, the operator's too; true are those about which the policy of prompts
 * does anything but allow. Where the guard is off these are all that are found with the confidence
 * at which a finding acts if nobody says another.
 *
 * Ownership  policies are borrowed.
 * Threads    one at a time.
 * Sources    OpenAI's API reference (moderation object).
 */
#ifndef GUARD_GUARD_SCORE_H
#define GUARD_GUARD_SCORE_H

#include "guard/guard_policy.h"
#include "json/json_write.h"

struct guard_score {
    struct guard_rule_of of;
    bool is_flagged;
    uint8_t percents[GUARD_TYPES_MAX]; /* the highest; 0: nothing was found */
    bool acts[GUARD_TYPES_MAX];
};

/* Nothing was found so far. */
void guard_score_begin(struct guard_score *s, const struct guard_rule_of *of);

/* Notes what was found in a text. */
void guard_score_note(struct guard_score *s, const struct guard_finding *f);

/* Writes the object. */
void guard_score_write(const struct guard_score *s, struct json_writer *w);

#endif
