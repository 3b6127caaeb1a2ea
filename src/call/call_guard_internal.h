/* SPDX-License-Identifier: Apache-2.0 */
/* call_guard_internal.h — what a call has of its guard. For call_guard*.c. */
#ifndef CALL_CALL_GUARD_INTERNAL_H
#define CALL_CALL_GUARD_INTERNAL_H

#include "call/call_guard.h"
#include "call/call_internal.h"
#include "guard/guard_flow.h"

/* What is looked at whole: a reply, or a large event. */
struct call_vetted;

struct call_guard {
    struct guard_case found;
    struct guard_policy *gateway, *team; /* counted; NULL: none */
    struct crypto_hmac_key key;
    struct buf parts; /* its texts, a struct guard_part each, for scanners: call_scan.h */
    struct guard_flow flow;
    bool has_flow;
    struct call_vetted *vetted;
};

/* The texts of its stream. The answer is looked at: call_guard_looks(). */
struct guard_flow *call_guard_flow(struct call *call);

/* Frees it; nothing if there is none. */
void call_guard_free_vetted(struct call_guard *g);

#endif
