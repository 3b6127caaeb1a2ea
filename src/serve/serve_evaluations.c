/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluations that are over are marked as ended, and their keys revoked, while the gateway runs: a
 * job of the store's thread looks for them every few seconds, and ends one at a time. Their calls
 * are refused from the moment on that they are over, whenever that is.
 */
#include <stdatomic.h>

#include "access/access_evaluation.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/serve_internal.h"
#include "store/store_thread.h"

#define REST_MS 2000 /* after a look at all, or one that failed */

struct serve_evaluations {
    struct access *rights;
    uint32_t from;          /* the store thread's: where it looks next */
    enum err told;          /* likewise: what the log was told of last */
    _Atomic bool is_posted; /* a job waits or runs, and has all of this */
    _Atomic bool rests;     /* the last one has looked at all, or failed */
    mono_us next;           /* the housekeeping loop's */
};

static enum err run_step(struct store *s, void *context)
{
    struct serve_evaluations *v = context;
    return access_end_over(v->rights, s, clock_wall(), &v->from);
}

static void on_step(void *context, enum err result)
{
    struct serve_evaluations *v = context;
    if (result != ERR_OK && result != v->told) {
        log_warn("evaluations", "an evaluation that is over was not marked as ended: %s",
                 err_sentence(result));
    }
    v->told = result;
    atomic_store(&v->rests, result != ERR_OK || v->from == 0);
    atomic_store(&v->is_posted, false);
}

void serve_evaluations_step(struct serve_gateway *g)
{
    mono_us now = clock_mono();
    struct serve_evaluations *v = g->evaluations;
    if (v == NULL) {
        v = g->evaluations = memory_new(sizeof(*v)); /* without memory the next step tries again */
    }
    if (v == NULL || atomic_load(&v->is_posted) || serve_clock_is_in_doubt(g, now) ||
        (atomic_load(&v->rests) && clock_since(v->next, now) < 0)) {
        return;
    }
    v->rights = g->rights;
    v->next = clock_after_ms(now, REST_MS);
    atomic_store(&v->is_posted, true);
    const struct store_job job = {run_step, on_step, v};
    if (store_thread_post(g->store_thread, &job) != ERR_OK) {
        atomic_store(&v->is_posted, false); /* it is busy: the next step tries again */
    }
}

void serve_evaluations_close(struct serve_gateway *g)
{
    memory_free(g->evaluations);
    g->evaluations = NULL;
}
