/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decision_explain.h — why a request would go where it would go, without sending it anywhere.
 *
 * It is decided as a call is, by the same functions: facts, rules one by one, candidates with the
 * reason why one may not be asked, and what the caller would be told.
 *
 * Ownership  nothing is kept.
 * Limits     DECISION_EXPLAIN_BYTES of text.
 * Threads    any.
 */
#ifndef DECISION_DECISION_EXPLAIN_H
#define DECISION_DECISION_EXPLAIN_H

#include "base/buf.h"
#include "decision/decision.h"

#define DECISION_EXPLAIN_BYTES (4u << 20)
#define DECISION_FAULT_BYTES   256
#define DECISION_NO_CHANCE     0xFFFF /* draws no canary, and of targets the first */

/* Who stands for the caller that a text names: fills in the members of `ask` that say who calls. An
 * error: `why` says what is wrong with it, a sentence of the finder's. */
struct decision_callers {
    enum err (*find)(void *ctx, struct span key, struct decision_ask *ask, const char **why);
    void *ctx;
};

/* Who makes the vector of what is asked, where examples decide: `count` floats into `out`, asked of
 * `to`. False: there is none. It may wait. */
struct decision_vectors {
    bool (*make)(void *ctx, const struct decision_candidate *to, struct span asked, float *out,
                 size_t count);
    void *ctx;
};

/*
 * Writes the explanation, as JSON, of `text`: the body of a request, or
 * {"request":BODY,"headers":{…},"endpoint":"chat","at":UNIX_SECONDS,"key":ID,
 * "vector":[…]}, the last of what is asked, for where examples decide. Of `ask` the members that
 * say who calls and what is in force are the caller's to fill; the rest is found here. `callers`
 * knows keys by their ids; NULL: nobody does, and a text that names one is refused.
 *
 *   ERR_BODY_NOT_JSON, ERR_VALUE_INVALID, ERR_VALUE_MISSING, …  as a call would be told; `fault`
 *                                                               says what is wrong
 *   ERR_NO_MEMORY
 */
MUST_USE enum err decision_explain(struct decision_ask *ask, const struct decision_callers *callers,
                                   struct span text, struct buf *out,
                                   char fault[DECISION_FAULT_BYTES]);

#endif
