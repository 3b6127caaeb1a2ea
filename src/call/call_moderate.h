/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_moderate.h — POST /v1/moderations: a call that the guard answers, and no model server.
 *
 *   {"input": "text"} or ["text", …] or [{"type": "text", "text": …}, …]
 *
 * It is admitted, read, recorded and counted as any call. Behind its body it is gone through in
 * slices: the body is indexed, each text is scanned for all types, and a result is written for each
 * text, or one for a list of parts. SETTLE puts the last bytes of the answer, as of every call.
 *
 * Ownership  the call's; call_moderation_end() frees it.
 * Limits     MODERATION_INPUTS_MAX texts; the body's size as of any call; an answer is counted.
 * Threads    the worker's own.
 * Sources    docs/guard.md; OpenAI's API reference (moderations).
 */
#ifndef CALL_CALL_MODERATE_H
#define CALL_CALL_MODERATE_H

#include "base/span.h"

#define MODERATION_INPUTS_MAX 256
#define MODERATION_MODEL      "atlas-guard" /* who answers, as replies and records have it */

struct call;

/* What of a complete answer was not put yet. */
struct span call_moderation_rest(const struct call *call);

/* Frees it; nothing if there is none. */
void call_moderation_end(struct call *call);

#endif
