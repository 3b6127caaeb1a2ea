/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deployment_health.h — whether a model server should be asked now, and how quick it is.
 *
 *            5 failures in a row,            a call finds out:
 *            or 10 of the last 20            failed ┐
 *   CLOSED ───────────────────────→ OPEN ──5 s──→ HALF-OPEN ──answered──→ CLOSED, slowly at first
 *                                    ↑──────────────┘ (5, 10, 20, 40, 60 s)
 *
 * Beside the breaker there are those whom the operator drains, whom probes do not reach, and those
 * that said themselves when to come again (Retry-After). All of it is atomics that many change: a
 * call more or less at an edge does no harm.
 *
 * Failures are connections that were not made or broke, times that passed, and answers with a 5xx.
 *
 * Ownership  part of a deployment.
 * Threads    any.
 * Sources    design.md 4 (routing); M. Nygard, Release It! (circuit breaker); Finagle's peak EWMA.
 */
#ifndef UPSTREAM_DEPLOYMENT_HEALTH_H
#define UPSTREAM_DEPLOYMENT_HEALTH_H

#include <stdatomic.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"

#define DEPLOYMENT_DOWN          5  /* failures in a row */
#define DEPLOYMENT_WINDOW        20 /* outcomes that are remembered, of which half must be good */
#define DEPLOYMENT_OPEN_US       INT64_C(5000000)
#define DEPLOYMENT_OPEN_MAX_US   INT64_C(60000000)
#define DEPLOYMENT_SLOW_START_US INT64_C(30000000)

struct deployment_health {
    bool is_never_left;             /* neither breaker nor pause: never changes */
    _Atomic uint32_t failed_in_row; /* failures, and answers with a 5xx, ... */
    _Atomic uint32_t last_error;    /* enum err: ... and the last one's */
    _Atomic int64_t failed_us;      /* when that was */
    _Atomic uint64_t outcomes; /* the last ones, a bit each, 1: failed; above 20 ones: how many */
    _Atomic int64_t open_until_us;  /* 0: it is closed; then when it is tried again */
    _Atomic int64_t tried_us;       /* since when a call finds out whether it works; 0: none does */
    _Atomic uint32_t opened;        /* how often, without an answer since */
    _Atomic int64_t closed_by;      /* the trial that was answered last */
    _Atomic int64_t pause_until_us; /* it said so itself */
    _Atomic int64_t busy_until_us;  /* it refused a call as it had too many, and said no time */
    _Atomic int64_t back_us;        /* since when it is asked again; 0: it always was */
    _Atomic bool is_drained, is_unreachable;
    _Atomic int64_t latency_us; /* until an answer begins, as of late; 0: not known */
    _Atomic int64_t peak_us;    /* the same, that rises at once and falls slowly */
    _Atomic int64_t peak_at_us; /* when that was noted */
    _Atomic int64_t slow_us;    /* nineteen of twenty answers begin sooner */
};

enum deployment_state {
    DEPLOYMENT_UP,
    DEPLOYMENT_HALF_OPEN, /* one call may find out */
    DEPLOYMENT_OPEN,
    DEPLOYMENT_PAUSED, /* it asked for that */
    DEPLOYMENT_UNREACHABLE,
    DEPLOYMENT_DRAINING,
    DEPLOYMENT_STATES
};

/* "half-open". */
const char *deployment_state_name(enum deployment_state state);

enum deployment_state deployment_health_state(const struct deployment_health *h, mono_us now);

/* Whether a call may go there. */
bool deployment_health_admits(const struct deployment_health *h, mono_us now);

/* When it may be asked again at the soonest; `now` where nobody can say. */
mono_us deployment_health_again(const struct deployment_health *h, mono_us now);

/* A call goes there. `*trial` is not 0 where it finds out if the server works again, and goes with
 * what comes of it. False: it may not, or another finds out already. */
MUST_USE bool deployment_health_begin(struct deployment_health *h, mono_us now, int64_t *trial);

/* The same where nobody else is left who could answer: a call that nobody makes beside it finds out
 * at once, and is no worse off than by a refusal. */
MUST_USE bool deployment_health_begin_alone(struct deployment_health *h, mono_us now,
                                            int64_t *trial);

/* Whether it may be asked so: nobody has taken it out, and no call finds out already. */
bool deployment_health_admits_alone(const struct deployment_health *h, mono_us now);

/* What came of a call: it failed, it was answered; a trial ended and says nothing of the server. A
 * trial that took so long that another followed it decides nothing any more. One whose answer began
 * well and broke off may fail after it was answered: nobody is sent there again. */
void deployment_health_failed(struct deployment_health *h, enum err e, int64_t trial, mono_us now);
void deployment_health_answered(struct deployment_health *h, int64_t trial, mono_us now);
void deployment_health_untried(struct deployment_health *h, int64_t trial);

/* Nobody waits any longer for its answer, after so long; `us` 0: it was not asked. It is so slow at
 * least, and after five seconds, and four times what its slow answers take, it has failed. */
void deployment_health_outwaited(struct deployment_health *h, int64_t us, int64_t trial,
                                 mono_us now);

/* It had too many calls, and asked to be left in peace for so long, a minute at most; 0: it did not
 * say, and others are asked first for a while. */
void deployment_health_pause(struct deployment_health *h, int64_t seconds, mono_us now);

/* Whether it failed so often in a row that it counts as down. */
bool deployment_health_is_down(const struct deployment_health *h);

/* Whether nothing speaks against more calls there than elsewhere: it does not fail, has not said
 * that it has too many, and is not just back, when it may have forgotten what it knew. */
bool deployment_health_is_at_ease(const struct deployment_health *h, mono_us now);

/* The operator takes it out, or back in; a probe reached it, or did not. */
void deployment_health_drain(struct deployment_health *h, bool is_drained, mono_us now);
void deployment_health_probed(struct deployment_health *h, bool is_reached, mono_us now);

/* How long an answer took to begin. */
void deployment_health_note_latency(struct deployment_health *h, int64_t us, mono_us now);

/* How long an answer takes to begin, by a peak of late; 0: nobody knows, or knows any more. */
int64_t deployment_health_wait_us(const struct deployment_health *h, mono_us now);

/* What one more call would wait for, in any unit: how slow it is, times the calls that are there;
 * more while it starts slowly, fails or has too many. */
double deployment_health_cost(const struct deployment_health *h, int64_t calls, mono_us now);

#endif
