/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_revoke.h — ends a key before anything that could keep it waiting.
 *
 * In this order: memory, at once, on the loop that reads the request; the file of revoked keys, on
 * the thread of key_watch.h; the answer. The store hears of it later. Only where the file cannot be
 * written the answer waits for the store, as an urgent job, since one of the two must hold it.
 *
 * Ownership  what `revoker` points at outlives it.
 * Threads    the housekeeping loop's.
 * Sources    docs/formats/admin-api.md.
 */
#ifndef ADMIN_ADMIN_REVOKE_H
#define ADMIN_ADMIN_REVOKE_H

#include "base/list.h"
#include "base/span.h"

struct admin_caller;
struct exchange;
struct key_watch;
struct keys;
struct net_loop;
struct store_thread;

struct admin_revoker {
    struct net_loop *loop;
    struct keys *keys;
    struct key_watch *watch;
    struct store_thread *store;
    struct list open; /* revocations that are not answered yet */
};

/* Revokes the key that `name` (as it stands in the path) says, for `caller`, and answers `x`.
 * False, and `x` is as it was: memory knows no such key. */
bool admin_revoke(struct admin_revoker *r, struct exchange *x, struct span name,
                  const struct admin_caller *caller);

/* Cuts off who still waits for an answer. The threads that could give it have ended. */
void admin_revoke_end(struct admin_revoker *r);

#endif
