/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the workers' loops turn, and what the parent hears of it. An idle worker turns several
 * times a second, too.
 *
 * A worker has stood still for as long as this thread, which looked again and again, saw it do so,
 * and not for as long as a clock says: a process that was stopped, or whose machine slept, has not
 * looked meanwhile, and nobody is blamed.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/health.h"
#include "gateway/gateway_worker.h"
#include "serve/serve_internal.h"

#define A_LOOK_MOST_US 500000  /* what one look may add */
#define STILL_TOLD_US  5000000 /* at the latest: half of what ends it */

void serve_say(struct serve_gateway *g, enum serve_word word)
{
    char byte = (char)word;
    (void)!write(g->in.says_fd, &byte, 1); /* a parent that is stopped will hear another one */
    g->said = clock_mono();
}

/* How long it has stood still. */
static int64_t look(struct serve_worker *w, int64_t step_us)
{
    mono_us turned = gateway_worker_turned(w->worker);
    w->still_us = turned.us == w->turned.us ? w->still_us + step_us : 0;
    w->turned = turned;
    return w->still_us;
}

void serve_beat(struct serve_gateway *g, mono_us now)
{
    int64_t most_us = g->started->gateway.worker_still_max_ms * 1000;
    int64_t told_us = most_us > 0 && most_us / 2 < STILL_TOLD_US ? most_us / 2 : STILL_TOLD_US;
    int64_t step_us = clock_since(g->looked_at_workers, now);
    int64_t longest_us = 0;
    step_us = step_us < A_LOOK_MOST_US ? step_us : A_LOOK_MOST_US;
    g->looked_at_workers = now;
    for (int i = 0; i < g->workers_running && !g->stopping; i++) {
        char name[16];
        int64_t still_us = look(&g->workers[i], step_us);
        (void)snprintf(name, sizeof(name), "%d", i); /* fits */
        if (still_us >= told_us) {
            health_set(HEALTH_WORKER_STILL, name, "worker %d of %d has stood still for %.1f s", i,
                       g->workers_running, (double)still_us / 1e6);
        } else {
            health_clear(HEALTH_WORKER_STILL, name);
        }
        longest_us = still_us > longest_us ? still_us : longest_us;
    }
    if (most_us > 0 && longest_us >= most_us) {
        serve_say(g, SERVE_STILL);
    } else if (clock_since(g->said, now) >= (int64_t)SERVE_BEAT_MS * 1000) {
        serve_say(g, SERVE_TURNS);
    }
}
