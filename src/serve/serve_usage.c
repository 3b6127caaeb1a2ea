/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Old usage is summed up while the gateway runs: a step at a time, each a job of the store's thread
 * that takes some milliseconds, so that what else it is asked goes between. When a pass is done the
 * next is looked for after a while: days pass slowly.
 */
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"
#include "serve/serve_internal.h"
#include "settings/settings.h"
#include "store/store_balance.h"
#include "store/store_thread.h"
#include "store/store_usage.h"

#define REST_MS    60000 /* after a pass, or a step that failed */
#define DOUBT_DAYS 2
#define DOUBT_MS   3600000
#define HOUR_S     3600

/* A window lasts a month at most; a journal that is replayed may be some weeks behind. */
#define BALANCES_KEPT_US (INT64_C(100) * 86400 * 1000000)

#define NO_HOURS INT32_MIN

struct serve_usage {
    struct store_usage_keeper keeper; /* the store thread's */
    bool has_no_old_balance;          /* likewise */
    int32_t days_before, gone_before; /* written before a job is posted */
    wall_us balances_before;          /* likewise */
    _Atomic bool is_posted;           /* a job waits or runs, and has all of this */
    _Atomic bool rests;               /* the last one found no more to do, or failed */
    mono_us next;                     /* the housekeeping loop's */
};

static enum err run_step(struct store *s, void *context)
{
    struct serve_usage *u = context;
    enum err e = store_usage_keep(s, &u->keeper, u->days_before, u->gone_before);
    return e == ERR_OK ? store_balance_forget(s, u->balances_before, &u->has_no_old_balance) : e;
}

static void on_step(void *context, enum err result)
{
    struct serve_usage *u = context;
    if (result != ERR_OK) {
        log_warn("usage_kept", "old usage was not summed up, and is as it was: %s",
                 err_sentence(result));
    }
    atomic_store(&u->rests, result != ERR_OK || (u->keeper.is_done && u->has_no_old_balance));
    atomic_store(&u->is_posted, false);
}

/* The first hour of the day that was so many seconds ago. */
static int32_t day_before(wall_us now, int64_t seconds)
{
    int32_t hour = store_hour(now);
    int64_t hours = seconds / HOUR_S;
    return seconds == 0 || hours >= hour ? NO_HOURS : store_day_hour(hour - (int32_t)hours);
}

void serve_look_at_age(struct serve_gateway *g, const char *store)
{
    char log[PATH_MAX + sizeof("-wal")];
    struct stat st;
    (void)snprintf(log, sizeof(log), "%s-wal", store);
    if (stat(store, &st) != 0) {
        return;
    }
    time_t last = st.st_mtime;
    last = stat(log, &st) == 0 && st.st_mtime > last ? st.st_mtime : last;
    int64_t days = (clock_wall().us / 1000000 - last) / 86400;
    if (days >= DOUBT_DAYS) {
        g->clock_jumped = clock_mono();
        log_info("clock_in_doubt",
                 "nothing was written to %s for %lld days, if the clock is right: for an hour no "
                 "evaluation is ended and no usage summed up or forgotten",
                 store, (long long)days);
    }
}

/* A clock that was just set may be set once more: what is forgotten by it would be gone. */
bool serve_clock_is_in_doubt(const struct serve_gateway *g, mono_us now)
{
    return g->clock_jumped.us != 0 &&
           clock_since(clock_after_ms(g->clock_jumped, DOUBT_MS), now) < 0;
}

void serve_usage_step(struct serve_gateway *g)
{
    mono_us now = clock_mono();
    struct serve_usage *u = g->usage;
    if (u == NULL) {
        u = g->usage = memory_new(sizeof(*u)); /* without memory the next step tries again */
    }
    if (u == NULL || atomic_load(&u->is_posted) || serve_clock_is_in_doubt(g, now) ||
        (atomic_load(&u->rests) && clock_since(u->next, now) < 0)) {
        return;
    }
    u->next = clock_after_ms(now, REST_MS);
    u->days_before = day_before(clock_wall(), g->settings->usage.hours_s);
    u->gone_before = day_before(clock_wall(), g->settings->usage.retention_s);
    u->balances_before.us = clock_wall().us - BALANCES_KEPT_US;
    atomic_store(&u->is_posted, true);
    const struct store_job job = {run_step, on_step, u};
    if (store_thread_post(g->store_thread, &job) != ERR_OK) {
        atomic_store(&u->is_posted, false); /* it is busy: the next step tries again */
    }
}

void serve_usage_close(struct serve_gateway *g)
{
    memory_free(g->usage);
    g->usage = NULL;
}
