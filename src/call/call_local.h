/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_local.h — the gateway as its own client: a call whose request is in memory and whose answer
 * comes by callbacks.
 *
 * It runs as any other: admitted, routed, kept inside borders, recorded, in the name of the key for
 * which the gateway asks. It begins in the loop's next turn, so it may be asked for from within
 * another call's step.
 *
 *     on_head (once, unless it failed before there was one) → on_bytes … → on_end (once, always)
 *
 * Ownership  the struct is the caller's, all zero, and must stay until on_end has returned; the
 *            body and the key's handle are copied. The spans that callbacks receive are loans.
 * Limits     the body: body_bytes_max, as any client's. What is answered is handed on as it comes:
 *            the callee bounds what it keeps.
 * Threads    the worker's own.
 */
#ifndef CALL_CALL_LOCAL_H
#define CALL_CALL_LOCAL_H

#include "call/call.h"

struct call_body;
struct call_local;
struct call_shadow;

struct call_local_events {
    void (*on_head)(struct call_local *local, int status); /* NULL: it is of no interest */
    void (*on_bytes)(struct call_local *local, struct span bytes);

    /* ERR_OK: the answer is complete. CLIENT_GONE: it was cancelled. UPSTREAM_CLOSED: it broke off
     * behind its head. Else it was refused, and `message` says why, or is empty. */
    void (*on_end)(struct call_local *local, enum err e, struct span message);
};

struct call_local {
    const struct call_local_events *events;
    void *ctx; /* the caller's own */

    /* The client's own. */
    struct call_shared *shared;
    const struct route *route;
    struct key_handle key;
    const struct call_shadow *shadow; /* whose call it is; NULL: nobody's copy */
    struct net_task turn;             /* begins the call; later tells it that it was cancelled */
    exchange_on_event *on_event;
    void *call;
    struct call_body *body; /* until it has begun */
    size_t len;
    uint64_t put;
    bool is_cancelled;
};

/*
 * Asks `route` with `body`, in the name of `key`. ERR_OVERLOADED, ERR_NO_MEMORY: nothing was begun
 * and no callback follows.
 */
MUST_USE enum err call_local_start(struct call_local *local, struct call_shared *shared,
                                   const struct route *route, const struct key_handle *key,
                                   struct span body);

/* The same with a body that is there already, whose reference it takes over. */
void call_local_start_body(struct call_local *local, struct call_shared *shared,
                           const struct route *route, const struct key_handle *key,
                           struct call_body *body);

/* Nobody wants the answer any more. on_end follows, in the loop's next turn at the latest; it may
 * say that the call had ended otherwise. */
void call_local_cancel(struct call_local *local);

/* Of one that has not begun: it does not, and no callback follows. */
void call_local_forget(struct call_local *local);

#endif
