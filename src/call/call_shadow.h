/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_shadow.h — a copy of a call for another model, whose answer is read and thrown away.
 *
 * It is a call of the gateway's own (call_local.h), with the body of the call that it copies. Where
 * it may go that call's decision has said; it is kept in as that one is, and recorded, but it takes
 * of no limit, counts in no sum, and its servers are not judged by it. Nobody waits for it, and it
 * ends by itself: its caller may go, a drain ends it.
 *
 * Ownership  its own; it frees itself when its call has ended.
 * Limits     of the whole process: CALL_SHADOWS_MOST at once, and no more than an eighth of the
 *            calls that there may be; CALL_SHADOW_BYTES_MOST of their bodies. What is more is
 *            dropped, and counted. An answer that is read whole: CALL_SHADOW_REPLY_MOST.
 * Threads    the worker's own.
 * Sources    docs/routing.md; decision 0077.
 */
#ifndef CALL_CALL_SHADOW_H
#define CALL_CALL_SHADOW_H

#include "call/call_body.h"
#include "call/call_local.h"
#include "decision/decision.h"

#define CALL_SHADOWS_MOST      64
#define CALL_SHADOW_BYTES_MOST (INT64_C(64) << 20)
#define CALL_SHADOW_REPLY_MOST (INT64_C(1) << 20)

struct call;

struct call_shadow {
    struct call_local local;
    struct list link;         /* shared->shadows */
    struct policy *policy;    /* the one that decided */
    struct decision decision; /* its one candidate, and what holds it in */
    enum data_class data_class;
    int64_t input_held, answer_most, answer_else; /* so that its server is told the same bound */
    int64_t bytes;
    bool is_question; /* it is no copy, but asks: for a vector (call_question.h), or `scanner` */
    const struct guard_scanner *scanner; /* what it thinks of texts (call_scan.h); NULL: nobody */
    bool is_clean;                       /* its body is as the guard has made it */
};

/* Notes where a copy of the call will go, if its rule wants one. */
void call_shadow_plan(struct call *call, const struct decision_ask *ask);

/* The call's first try has started, and this is its body: the copy, if one was planned, begins in
 * the loop's next turn. */
void call_shadow_begin(struct call *call, struct call_body *body);

/* What ADMIT and ROUTE are to a copy. */
MUST_USE enum err call_shadow_admit(struct call *call);
void call_shadow_route(struct call *call);

/* Counts how the copy ended. */
void call_shadow_count(const struct call *call);

#endif
