/* SPDX-License-Identifier: Apache-2.0 */
/* net_internal.h — what net's own files share about a loop. */
#ifndef NET_NET_INTERNAL_H
#define NET_NET_INTERNAL_H

#include <pthread.h>
#include <uv.h>

#include "net/net_loop.h"
#include "net/net_socket.h"
#include "net/net_timer.h"

struct net_timers {
    struct net_timer **heap; /* the earliest `armed` first */
    uint32_t count, cap;
    uv_timer_t clock; /* rings for the first of the heap */
    mono_us rings;    /* when `clock` rings, or NET_NEVER */
};

struct net_loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_check_t turn_end;
    uv_idle_t no_wait; /* runs while something is deferred, so that the loop does not wait */
    struct net_timers timers;
    struct list deferred;
    struct {
        pthread_mutex_t lock;
        struct list posted;
        bool stopping;
    } shared; /* what other threads touch */
    uint8_t *scratch;
    bool in_handler; /* of a socket */
    mono_us now;     /* when it was called; 0: nobody has asked yet */
};

/* Calls a socket's handler. */
void net_loop_handle(struct net_loop *loop, net_on_ready *on_ready, void *ctx, unsigned told);

void net_timers_start(struct net_loop *loop);
void net_timers_end(struct net_loop *loop);

#endif
