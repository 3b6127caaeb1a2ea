/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_answer.h — an answer in the making that needs no model server: who asks, the header lines
 * that every reply has, its end.
 *
 * Ownership  the exchange is ended by gateway_answer_put() or gateway_answer_refuse(), once. What
 *            the answer points at is the caller's until then.
 * Threads    the worker's own.
 */
#ifndef GATEWAY_GATEWAY_ANSWER_H
#define GATEWAY_GATEWAY_ANSWER_H

#include "base/arena.h"
#include "call/call.h"

#define GATEWAY_FIELDS_MAX 8192
#define GATEWAY_JSON       SPAN("Content-Type: application/json\r\n")
#define GATEWAY_JSON_NOW   SPAN("Content-Type: application/json\r\nCache-Control: no-store\r\n")

#define GATEWAY_RETRY_BYTES 40

struct gateway_answer {
    struct call_shared *shared;
    struct exchange *x;
    const struct http_request *head;
    struct crypto_call_id id;
    struct arena arena;
    struct key_handle key;      /* whose it is, */
    struct limits_subjects who; /* and of whom, */
    bool is_known;              /* once that is so: replies say how their limits stand */
};

void gateway_answer_begin(struct gateway_answer *a, struct call_shared *shared, struct exchange *x);

/* What is left of an answer whose exchange has ended. */
void gateway_answer_end(struct gateway_answer *a);

/* Answers; `more` are header lines of this answer alone. */
void gateway_answer_put(struct gateway_answer *a, int status, struct span more, struct span body);

/* Refuses; an empty message is the error's own. */
void gateway_answer_refuse(struct gateway_answer *a, enum err e, struct span message,
                           struct span param, struct span more);

/* Writes a line that says after how many seconds to try again. */
struct span gateway_retry_line(int64_t seconds, char out[GATEWAY_RETRY_BYTES]);

/* Sees who asks for what is not there: a known key is told how its limits stand all the same.
 * Nobody is refused for his key, but one that is none is noted and counted as everywhere. */
void gateway_answer_recognise(struct gateway_answer *a);

/* Sees who asks, as a call does, but takes nothing of what he may ask: whether he may ask this. If
 * not he was refused. `scope` 0: every inference key may. */
MUST_USE bool gateway_answer_authenticate(struct gateway_answer *a, uint32_t scope);

#endif
