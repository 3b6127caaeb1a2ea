/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_replies.h — what becomes of a request: a call, or an answer that needs no model server.
 *
 * Threads  the worker's own.
 */
#ifndef GATEWAY_GATEWAY_REPLIES_H
#define GATEWAY_GATEWAY_REPLIES_H

#include "call/call.h"

/* Answers the request that came by this listener, or begins its call. `ready` is what /readyz says.
 * One more than its address or the listener may send is 429, whatever it is but a look at our
 * health.
 */
void gateway_reply(struct call_shared *shared, bool ready, unsigned listener, struct exchange *x);

#endif
