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

/*
 * Writes the explanation, as JSON, of `text`: the body of a request, or
 * {"request":BODY,"headers":{…},"endpoint":"chat","at":UNIX_SECONDS}. Of `ask` the members that say
 * who calls and what is in force are the caller's to fill; the rest is found here.
 *
 *   ERR_BODY_NOT_JSON, ERR_VALUE_INVALID, ERR_VALUE_MISSING, …  as a call would be told; `fault`
 *                                                               says what is wrong
 *   ERR_NO_MEMORY
 */
MUST_USE enum err decision_explain(struct decision_ask *ask, struct span text, struct buf *out,
                                   char fault[DECISION_FAULT_BYTES]);

#endif
