/* SPDX-License-Identifier: Apache-2.0 */
/* bench_recorder.h — a journal that is as fast as none: what is recorded is applied at once, in the
 * batch that is open. */
#ifndef BENCH_RECORDER_H
#define BENCH_RECORDER_H

#include "store/store_change.h"

static inline enum err bench_on_publish(void *ctx, const struct store_change *change)
{
    return store_change_apply(ctx, change);
}

static inline enum err bench_on_settle(void *ctx)
{
    (void)ctx;
    return ERR_OK;
}

static inline enum err bench_on_apply(void *ctx, struct store *s)
{
    (void)ctx;
    (void)s;
    return ERR_OK;
}

/* Of a store: goes with it. */
static inline struct store_recorder bench_recorder(struct store *s)
{
    return (struct store_recorder){bench_on_publish, bench_on_settle, bench_on_apply, s};
}

#endif
