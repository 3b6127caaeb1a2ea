/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_key_jobs.h — what the store's threads do for keys by and by: they write when keys were used
 * last, and tell which end or should be rotated soon.
 *
 * Ownership  part of the gateway. A job's memory is this until its `done` was called.
 * Threads    the housekeeping loop's; jobs run on the store's threads.
 */
#ifndef SERVE_SERVE_KEY_JOBS_H
#define SERVE_SERVE_KEY_JOBS_H

#include <stdatomic.h>

#include "keys/key_round.h"

struct keys;
struct store_thread;

struct serve_key_jobs {
    struct keys *keys;
    _Atomic bool saves, looks; /* a job of this kind waits or runs; what follows is its own then */
    mono_us save_at, round_at; /* the next ones */
    struct key_round round;
    bool is_round;                  /* one is under way */
    size_t told, untold;            /* warnings of the round */
    size_t said_expiring, said_due; /* by the gauges */
};

/* Posts what is due. Never waits. */
void serve_key_jobs_step(struct serve_key_jobs *j, struct keys *keys, struct store_thread *store);

/* Posts what is left to be written. */
void serve_key_jobs_end(struct serve_key_jobs *j, struct keys *keys, struct store_thread *store);

#endif
