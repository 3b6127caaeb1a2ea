/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_refusal.h — which of the things that Atlas adds to a request a server does not take.
 *
 * What a caller did not send may not fail its call: a server that refuses such a thing is asked
 * again without it, which is no second run, for a refused request did not run. The servers have
 * no common form for this ("Extra inputs are not permitted", "unknown field", "Unrecognized request
 * argument supplied: …"), so it is the name that counts, wherever it stands. A name that only
 * stands there because the server repeats the request costs one more asking, and is not learnt: see
 * deployment_learn().
 *
 * Limits   the first 64 KiB of a body are looked at.
 * Limits   the first 16 KiB of a body are looked at: they name what was refused.
 * Threads  any; pure.
 * Sources  RFC 9110 section 15.5.7 (406); the error bodies of FastAPI servers, vLLM, TGI, Azure and
 *          gateways of other make.
 */
#ifndef UPSTREAM_UPSTREAM_REFUSAL_H
#define UPSTREAM_UPSTREAM_REFUSAL_H

#include "base/span.h"
#include "upstream/upstream_settings.h"

/* The bits (enum upstream_addition) of what an answer with this status and body names; 0 for a
 * status that does not say that the request is wrong. */
uint32_t upstream_refusal_read(int status, struct span body);

/* Whether the number stands in the body by itself: then max_tokens may only have been too many for
 * this request, which says nothing of the next. */
bool upstream_refusal_names_number(struct span body, int64_t number);

#endif
