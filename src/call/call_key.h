/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_key.h — the key in a request's head, and what becomes of a client that has no good one.
 *
 * Threads  the worker's own.
 * Sources  trust.md 3.5.
 */
#ifndef CALL_CALL_KEY_H
#define CALL_CALL_KEY_H

#include "call/call.h"
#include "call/call_client.h"

/*
 * Checks the key that the client's head holds. Who has none is counted, and told to the log.
 *
 *   ERR_KEY_MISSING, as keys_check()
 *   ERR_KEYS_GUESSED  it is no key, and its address has had too many 401s for that: `*retry_s` is
 *                     after how many seconds it may have another
 */
MUST_USE enum err call_key_check(struct call_shared *shared, const struct call_client *by,
                                 void *client, wall_us now, struct key_handle *out,
                                 int64_t *retry_s);

/* Notes that a key is used by this client, who may: what it is refused from here on is no matter of
 * who it is. */
void call_key_note(const struct call_shared *shared, const struct call_client *by, void *client,
                   const struct key_handle *key, wall_us now);

#endif
