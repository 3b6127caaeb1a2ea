/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_try_large.h — a whole reply or an event that takes longer to look at than a step may. For
 * the call's own files.
 *
 * Ownership  the try's, until call_try_free_large().
 * Limits     one at a time; what it takes is counted (base/memory.h).
 * Threads    the worker's own.
 */
#ifndef CALL_CALL_TRY_LARGE_H
#define CALL_CALL_TRY_LARGE_H

#include "call/call_try.h"

/* Begins with a reply, or (of a stream) an event, that takes more than a step. Its text stays, if
 * it is not the worker's. ERR_OVERLOADED, ERR_NO_MEMORY. */
MUST_USE enum err call_try_begin_large(struct call_try *t, struct span text);

/* Goes on for a slice; when it is made it is in `made`, unless the event is not to be sent. Errors
 * as openai_reply_convert() and openai_event_step(). */
MUST_USE enum err call_try_step_large(struct call_try *t, bool *is_made);

const struct openai_reply *call_try_large_reply(const struct call_try *t);
enum openai_verdict call_try_large_verdict(const struct call_try *t);

/* Frees it; nothing if there is none. */
void call_try_free_large(struct call_try *t);

#endif
