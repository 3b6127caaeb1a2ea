/* SPDX-License-Identifier: Apache-2.0 */
/* net_internal.h — what net's own files share about a loop. */
#ifndef NET_NET_INTERNAL_H
#define NET_NET_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "net/net_loop.h"
#include "net/net_socket.h"
#include "net/net_timer.h"

struct net_timers {
    struct net_timer **heap; /* the earliest `armed` first */
    uint32_t count, cap;
    uv_timer_t clock;     /* rings for the first of the heap */
    mono_us rings;        /* when `clock` rings, or NET_NEVER */
    struct net_task more; /* rings those for which there was no time, when sockets were looked at */
};

/* What the handler that runs now has used. */
struct net_budget {
    bool is_spent;
    mono_us begun;               /* not after it began: when the clock was read last before */
    uint32_t steps, bytes;       /* since the clock was looked at, since it began */
    uint32_t bytes_at_last_look; /* of the clock */
};

struct net_loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_check_t turn_end;
    uv_prepare_t turned;
    uv_idle_t no_wait; /* runs while something is deferred, so that the loop does not wait */
    struct net_timers timers;
    struct list deferred; /* to this turn's end */
    struct list yielded;  /* to the next one's */
    struct {
        pthread_mutex_t lock;
        struct list posted;
        bool stopping;
    } shared; /* what other threads touch */
    uint8_t *scratch;
    uint64_t turns;    /* that have ended, with all that was deferred in them */
    bool in_handler;   /* of a socket, a timer or a task */
    bool counts_turns; /* into the histogram */
    mono_us now;       /* when the handler was called; 0: nobody has asked yet */
    struct net_budget budget;
    mono_us stretch;           /* since when no socket was looked at; 0: one was, just now */
    mono_us seen;              /* the clock, when it was read last; not before `stretch` */
    uint32_t handled;          /* sockets, in all */
    _Atomic int64_t turned_us; /* when the last stretch ended */
    int64_t handshakes_us;     /* how long its TLS handshakes took so far */
    struct list crowd;         /* accepted sockets whose handshake waits, the first first */
    struct list dialled;       /* those that we made; they and the crowd take turns */
    bool is_crowds_turn;
    struct net_task crowd_task;
    struct list late;      /* sockets that are ready, and for which a turn had no time */
    struct list late_ours; /* those that we dialled; they and the others take turns */
    bool is_lates_turn;
    uint32_t late_count; /* of both */
    struct net_task late_task;
};

/* A handler is about to be called: it has a budget of its own. */
void net_loop_begin(struct net_loop *loop);

/* The handler has returned. */
static inline void net_loop_end(struct net_loop *loop)
{
    loop->in_handler = false;
}

/* What runs many handlers in a row asks before each further one. */
struct net_slice {
    unsigned count;
    mono_us begun;
};

/* Whether they have run for as long as a handler might: the sockets are looked at before the rest
 * runs. */
bool net_slice_is_over(struct net_loop *loop, struct net_slice *slice);

/* Whether sockets have had their part of this turn: those that are told of now are late. */
bool net_loop_is_full(struct net_loop *loop);

/* Calls a socket's handler. */
void net_loop_handle(struct net_loop *loop, net_on_ready *on_ready, void *ctx, unsigned told);

/* Lets the kernel ask a silent peer now and then whether it is still there, so that nothing on the
 * way forgets the connection, and one whose host has gone ends. A listener's connections have it
 * from the listener. Without effect on what is not TCP. */
void net_socket_keep_alive(int fd);

/* Goes on with handshakes that wait, as far as this turn has time for them. A task of the loop's.
 */
void net_crowd_run(struct net_task *task);

/* Calls the handlers of sockets that are late, as far as this turn has time for them. A task of the
 * loop's. */
void net_late_run(struct net_task *task);

void net_timers_start(struct net_loop *loop);
void net_timers_end(struct net_loop *loop);

#endif
