/* SPDX-License-Identifier: Apache-2.0 */
/* sim_internal.h — the simulator and one of its calls. For sim's own files. */
#ifndef SIM_SIM_INTERNAL_H
#define SIM_SIM_INTERNAL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "net/net_timer.h"
#include "server/exchange.h"
#include "server/server.h"
#include "sim/sim.h"
#include "sim/sim_cache.h"
#include "sim/sim_reply.h"

#define SIM_BODY_BYTES_MAX (64u << 20)
#define SIM_IDS_MAX        1000000

/* What was seen of one call id. */
struct sim_seen {
    uint32_t attempts, finished, aborted;
};

struct sim {
    struct net_loop *loop;
    struct server *server;
    struct sim_plan plan;
    struct json_index index;
    struct buf out;   /* reused by every step that renders */
    struct arena ids; /* the keys and values of `seen` */
    struct map seen;
    struct buf last_head, last_body;
    _Atomic int64_t connections;
    uint64_t calls, running, finished, aborted, prompt_tokens, generated_tokens;
    enum sim_metrics metrics;
    struct list queue;                 /* calls that wait for their turn, the first first; */
    int64_t queued, taken;             /* how many, and how many have it */
    int64_t held_tokens;               /* of prompts of the latter */
    struct sim_cache *cache;           /* NULL: it remembers nothing */
    mono_us read_until;                /* when all prompts that came will have been read */
    uint64_t cache_asked, cache_found; /* tokens */
};

struct sim_call {
    struct sim *sim;
    struct exchange *x;
    struct sim_seen *seen; /* NULL: it has no id, or there are too many */
    struct sim_question question;
    struct sim_plan plan;
    struct buf body;
    struct net_timer timer;
    mono_us next_at;
    uint64_t event;   /* the next one of a stream */
    struct list link; /* in sim->queue */
    bool has_body, is_queued, has_turn, is_begun, head_put, is_raw;
};

/* Appends the page of metrics. */
void sim_metrics_write(const struct sim *s, struct buf *out);

/* Begins a call; it frees itself. */
void sim_call_start(struct sim *s, struct exchange *x, enum sim_endpoint endpoint);

#endif
