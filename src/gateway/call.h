/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h — one call from its head to its journal entry.
 *
 *   HEAD → AUTHENTICATE → ADMIT → BODY → INSPECT → ROUTE → RESERVE → RECORD → ATTEMPT → STREAM
 *        → SETTLE → DONE; and from ATTEMPT to RECORD once more, after a stale connection
 *
 * From every state a failure leads to SETTLE and nowhere else: the one place where what was taken
 * is given back, the completion is written and the calls are counted.
 *
 * Ownership  call_start() takes the exchange. The call frees itself at DONE.
 * Limits     one arena a call; body, reply and what is made of it count as buffered memory
 *            (base/memory.h).
 * Threads    the worker's own.
 */
#ifndef GATEWAY_CALL_H
#define GATEWAY_CALL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "gateway/call_ports.h"
#include "gateway/policy.h"
#include "gateway/route_table.h"
#include "net/net_loop.h"
#include "json/json_index.h"

#define CALL_PULL_BYTES    (64 * 1024)
#define CALL_FAILURES_TOLD 20 /* to the log, a second and worker; the rest as a number */

struct call;

/* What all calls of one worker share. */
struct call_shared {
    const struct call_ports *ports;
    struct net_loop *loop;
    const struct keys *keys;
    struct journal_lane *lane;
    struct upstream_pool *pool;
    struct policy *policy;       /* the one that new calls begin with */
    _Atomic int64_t *calls_open; /* of the whole process */
    int64_t body_bytes_max;
    int64_t
        output_bytes_max;  /* waiting for one client before its model server is read no further */
    struct list open;      /* every call that is not DONE */
    struct list undurable; /* those that wait for the journal: for slots, or the disk */
    struct list yielding;  /* those that go on in the next turn of the loop: see next_turn */
    struct net_task next_turn;
    struct json_index index; /* reused by every step that looks into JSON */
    struct arena turn;       /* what lives only until a step returns; counted */
    uint8_t *pulled;         /* CALL_PULL_BYTES */
    struct buf out;          /* events on their way, until a step returns */
    int64_t failed_second;   /* the second, on the monotonic clock, of the two below */
    uint32_t failed_told;    /* failures that the log was told of */
    uint32_t failed_untold;  /* and those beyond CALL_FAILURES_TOLD */
    bool draining;
};

/* Prepares `shared`; the members above `open` are the caller's to fill. ERR_NO_MEMORY. */
MUST_USE enum err call_shared_init(struct call_shared *shared);
void call_shared_fini(struct call_shared *shared);

/* Begins a call for a request whose head is read and whose route was found. */
void call_start(struct call_shared *shared, struct exchange *client, const struct route *route);

/* Tells the log how many calls failed untold in seconds that are over. */
void call_tell_failures(struct call_shared *shared, mono_us now);

/* Runs the calls that wait for the journal; to be called when it has moved on, and now and then,
 * for none waits for ever. */
void call_wake_durable(struct call_shared *shared);

/* Ends the calls whose key is no longer good. */
void call_recheck_keys(struct call_shared *shared);

/* Ends every call that is open, with ERR_DRAINING. */
void call_stop_all(struct call_shared *shared);

/* The bearer token of an Authorization header's value; ERR_KEY_MISSING if it is none. */
MUST_USE enum err call_bearer(struct span authorization, struct span *token);

#endif
