/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deployment_load.h — the work that a model server said it has, as all workers see it.
 *
 * What it has of others is what it said less the calls of this process that were there then; to
 * that comes what this process has there now. So a server that says 0 is taken for no idler than
 * our own calls make it, and one that says much only loses calls. What was said is atomics of
 * their own: a call that reads of two reports does no harm. A report counts for three periods.
 *
 * Ownership  part of a deployment.
 * Threads    one notes (the housekeeping loop); any read.
 */
#ifndef UPSTREAM_DEPLOYMENT_LOAD_H
#define UPSTREAM_DEPLOYMENT_LOAD_H

#include <stdatomic.h>

#include "base/clock.h"
#include "upstream/upstream_load.h"

#define DEPLOYMENT_LOAD_PERIODS 3 /* in which a report counts */

struct deployment_load {
    int64_t counts_us;     /* how long a report counts; 0: none is asked for. Never changes */
    _Atomic int64_t at_us; /* when the last one came; 0: none did */
    _Atomic int64_t running, waiting, kv_permille, others;
};

/* It said this, while this process had `own` calls there. */
void deployment_load_note(struct deployment_load *l, const struct upstream_load *said, int64_t own,
                          mono_us now);

/* What it said last, and how long ago that was; false: nothing, or too long ago. */
bool deployment_load_said(const struct deployment_load *l, mono_us now, struct upstream_load *out,
                          int64_t *age_us);

/* How many calls of others it has, 0 where it does not say; how many of anybody wait there, -1
 * where it does not say. */
int64_t deployment_load_others(const struct deployment_load *l, mono_us now);
int64_t deployment_load_waiting(const struct deployment_load *l, mono_us now);

#endif
