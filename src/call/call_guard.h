/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_guard.h — the guard in a call: its prompt before a model is chosen, its answer before the
 * client has it.
 *
 * A request is looked at in INSPECT, behind its facts and before anything else is made of it. What
 * is redacted is an edit of the call's: all that is sent anywhere has it. An answer is looked at as
 * it would go out, mended and named: events as they are gathered, what is read whole before its
 * head is put. Nothing of it is put that was not looked at.
 *
 * Where the policy does nothing the call has no guard, and none of it costs anything.
 *
 * Ownership  the call's: it lies in its arena, and call_guard_end() frees what it holds besides.
 * Limits     slices as those of the steps that it is part of. An answer that is read whole is there
 *            a second time while it is looked at, counted.
 * Threads    the worker's own.
 * Sources    docs/guard.md.
 */
#ifndef CALL_CALL_GUARD_H
#define CALL_CALL_GUARD_H

#include "call/call_try.h"
#include "guard/guard_document.h"

struct call;
struct call_guard;

/* Gives the call its guard, if it is to have one. ERR_NO_MEMORY. */
MUST_USE enum err call_guard_begin(struct call *call);

/* The same also where the policy does nothing. */
MUST_USE enum err call_guard_begin_anyhow(struct call *call);

/* Frees what it holds; nothing if there is none. */
void call_guard_end(struct call *call);

/* ---- the request ---- */

/* Whether the request is to be looked at; if so, begins with it: what is done about it are edits of
 * the call's. `d` is to be ended with guard_document_end(), whatever comes. */
bool call_guard_begin_request(struct call *call, struct guard_document *d);

/* Goes on for a slice. ERR_CONTENT_FILTER: it is done, and blocked. */
MUST_USE enum err call_guard_step_request(struct call *call, struct guard_document *d);

/* Notes the words of that. */
void call_guard_tell(struct call *call);

/* What routing is to honour: the class that the prompt has at least, and whether it stays at home.
 */
enum data_class call_guard_class(const struct call *call);
bool call_guard_is_local(const struct call *call);

/* The types that the prompt has, for rules; they lie in the call's arena. False: nobody has looked,
 * or there is no memory. */
bool call_guard_types(struct call *call, const struct span **types, size_t *count);

/* Writes the words of a model server, which are in `*words`, as they may be told. */
MUST_USE enum err call_guard_words(struct call *call, struct server_words *words);

/* ---- the answer ---- */

/* Whether what is answered is looked at. */
bool call_guard_looks(const struct call *call);

/*
 * Puts an event that is about to go out, or all that it is to become, into the worker's `out`.
 * `*is_cut`: something in it was blocked, and the stream is to end.
 *   ERR_UPSTREAM_STREAM  a stream of more texts than are looked at
 *   ERR_OVERLOADED, ERR_NO_MEMORY
 */
MUST_USE enum err call_guard_put_event(struct call_try *t, struct span event, bool *is_cut);

/* The same of several, with what is around them: the last ones of a stream. */
MUST_USE enum err call_guard_put_events(struct call_try *t, struct span events);

/* Puts what is held back, for a stream that ends here. */
MUST_USE enum err call_guard_flush(struct call_try *t);

/* Looks at what was made of a whole reply, or of a large event, for a slice; when it is done it is
 * `made` again. Errors as above. */
MUST_USE enum err call_guard_step_made(struct call_try *t, bool *is_done, bool *is_cut);

/* All of that was put; nothing, if there is none. */
void call_guard_end_made(struct call *call);

/* ---- what is written down ---- */

/* What was found, as records keep it; empty: nothing. In the call's arena, or `.at` NULL. */
struct span call_guard_found(struct call *call);

/* Counts what was found, and tells the log. */
void call_guard_count(const struct call *call);

#endif
