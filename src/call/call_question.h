/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_question.h — the vector of what a call asks, for rules that choose a model by examples.
 *
 * It is a call of the gateway's own to the model of embeddings that `learned:` names, begun as a
 * shadow copy is (call_shadow.h): recorded, kept in as the call is that asks, of no limit, in no
 * sum, and its server is not judged by it. The call waits for it in ROUTE, until `deadline`; then,
 * or when there is no vector, another profile decides. The search for examples near the vector is
 * made in slices.
 *
 * After five questions in a row that came to nothing, a worker asks none for five seconds.
 *
 * Ownership  a question is its own; it frees itself when its call has ended, whether or not the one
 *            that asked still waits. What a call has of it lies in the call's arena.
 * Limits     CALL_QUESTIONS_MOST at once in the whole process, CALL_QUESTION_BYTES_MOST of an
 *            answer, OPENAI_GIST_BYTES of text.
 * Threads    the worker's own.
 * Sources    docs/routing.md; decision 0077.
 */
#ifndef CALL_CALL_QUESTION_H
#define CALL_CALL_QUESTION_H

#include "base/err.h"
#include "decision/decision.h"

#define CALL_QUESTIONS_MOST      256
#define CALL_QUESTION_BYTES_MOST (64u << 10)

struct call;
struct call_learning;

/* Asks for the vector of what the call asks, or notes in `call->learning` why not. ERR_NO_MEMORY:
 * of the call itself. */
MUST_USE enum err call_learning_begin(struct call *call, const struct decision_ask *ask);

/* Goes on; true: it is over, and call_learning_tell() knows what came of it. Else something
 * follows. */
MUST_USE bool call_learning_step(struct call *call);

/* Nobody wants it any more; nothing if it is over, or was not begun. */
void call_learning_end(struct call *call);

/* Fills in what came of it. */
void call_learning_tell(const struct call *call, struct decision_ask *ask);

#endif
