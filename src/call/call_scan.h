/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_scan.h — scanners that are asked over HTTP about the texts of a call, before it goes on.
 *
 * They are asked in ROUTE, once it is known where the call may go: what holds the call in, by its
 * rule, its key, its class and its caller, holds for what a scanner is shown. A question is a call
 * of the gateway's own, begun as a shadow copy is (call_shadow.h): recorded, in no sum, of no
 * limit. Scanners are asked one behind the other, so that each sees what the one before left;
 * behind each the call is decided again, for what was found may hold it in further.
 *
 *     ROUTE decides → gathers the texts → asks, waits until the scanner's timeout → edits → ROUTE …
 *
 * What comes to nothing (no answer in time, an error, nonsense, a scanner that stands where the
 * call may not go) is for `on_failure` to say: the call fails with ERR_GUARD_UNAVAILABLE or
 * ERR_GUARD_CANNOT, or goes on, which is counted. In a dry run it goes on. After CALL_SCAN_FAILURES
 * in a row a worker leaves a scanner in peace for CALL_SCAN_REST_MS, and nobody waits for it.
 *
 * Shadow copies of a call have its edits, and nobody asks for them.
 *
 * Ownership  a question is its own; it frees itself when its call has ended, whether or not the one
 *            that asked still waits. What a call has of it lies in the call's arena.
 * Limits     CALL_SCANS_MOST questions at once in the whole process, GUARD_GATHERED_MAX of text, an
 *            answer of CALL_SCAN_BYTES_MOST.
 * Threads    the worker's own.
 * Sources    docs/guard-scanners.md; decision 0119.
 */
#ifndef CALL_CALL_SCAN_H
#define CALL_CALL_SCAN_H

#include "base/err.h"
#include "decision/decision.h"

#define CALL_SCANS_MOST      4096
#define CALL_SCAN_BYTES_MOST (1u << 20)
#define CALL_SCAN_FAILURES   5
#define CALL_SCAN_REST_MS    5000

struct call;
struct call_scan;

/* Whether one is to be asked before the call goes on. */
bool call_scan_is_due(const struct call *call);

/* Begins with the next scanner. ERR_GUARD_UNAVAILABLE, ERR_GUARD_CANNOT, ERR_NO_MEMORY. */
MUST_USE enum err call_scan_begin(struct call *call, const struct decision_ask *ask);

/* Whether one is asked now. */
bool call_scan_is_open(const struct call *call);

/*
 * Goes on; `*is_done`: the call can be decided again. Else something follows.
 *   ERR_CONTENT_FILTER  what was found is blocked
 *   ERR_GUARD_UNAVAILABLE, ERR_GUARD_CANNOT, ERR_OVERLOADED, ERR_NO_MEMORY
 */
MUST_USE enum err call_scan_step(struct call *call, bool *is_done);

/* Nobody wants it any more; nothing if it is over, or was not begun. */
void call_scan_end(struct call *call);

/* Whether a scanner's findings changed a text. */
bool call_scan_has_changed(const struct call *call);

#endif
