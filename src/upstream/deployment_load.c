/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/deployment_load.h"

static int64_t read(const _Atomic int64_t *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

static void put(_Atomic int64_t *at, int64_t value)
{
    atomic_store_explicit(at, value, memory_order_relaxed);
}

void deployment_load_note(struct deployment_load *l, const struct upstream_load *said, int64_t own,
                          mono_us now)
{
    int64_t others = said->running + said->waiting - (own > 0 ? own : 0);
    put(&l->running, said->running);
    put(&l->waiting, said->waiting);
    put(&l->kv_permille, said->kv_permille);
    put(&l->others, others > 0 ? others : 0);
    put(&l->at_us, now.us);
}

/* Whether the last report counts. The clock of who asks may be a turn of its loop behind. */
static bool is_fresh(const struct deployment_load *l, mono_us now)
{
    int64_t at = l->counts_us == 0 ? 0 : read(&l->at_us);
    return at != 0 && now.us - at < l->counts_us;
}

bool deployment_load_said(const struct deployment_load *l, mono_us now, struct upstream_load *out,
                          int64_t *age_us)
{
    if (!is_fresh(l, now)) {
        return false;
    }
    int64_t age = now.us - read(&l->at_us);
    *out = (struct upstream_load){.running = read(&l->running),
                                  .waiting = read(&l->waiting),
                                  .kv_permille = read(&l->kv_permille)};
    *age_us = age > 0 ? age : 0;
    return true;
}

int64_t deployment_load_others(const struct deployment_load *l, mono_us now)
{
    return is_fresh(l, now) ? read(&l->others) : 0;
}

int64_t deployment_load_waiting(const struct deployment_load *l, mono_us now)
{
    return is_fresh(l, now) ? read(&l->waiting) : -1;
}
