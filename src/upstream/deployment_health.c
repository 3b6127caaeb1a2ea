/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/deployment_health.h"

#define OUTCOMES         ((UINT64_C(1) << DEPLOYMENT_WINDOW) - 1)
#define TRIED_MAX_US     INT64_C(60000000) /* a call that finds out, and is not heard of any more */
#define PAUSE_MAX_S      60
#define PEAK_FALLS_US    10e6 /* in which a peak is forgotten */
#define UNKNOWN_US       1e6  /* of a server that has calls and no answer yet */
#define BUSY_US          INT64_C(2000000)
#define FAILED_US        INT64_C(10000000) /* in which a failure is held against it */
#define BAD_FACTOR       100 /* it is asked when all others have that much more to do */
#define OUTWAITED_US     INT64_C(5000000)
#define OUTWAITED_FACTOR 4
#define SLOW_START_PART  0.1 /* of its calls, at first */

static int64_t read(const _Atomic int64_t *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

static void put(_Atomic int64_t *at, int64_t value)
{
    atomic_store_explicit(at, value, memory_order_relaxed);
}

const char *deployment_state_name(enum deployment_state state)
{
    static const char *const names[DEPLOYMENT_STATES] = {"up",     "half-open", "open",
                                                         "paused", "down",      "draining"};
    return names[state];
}

enum deployment_state deployment_health_state(const struct deployment_health *h, mono_us now)
{
    int64_t open_until = read(&h->open_until_us), tried = read(&h->tried_us);
    if (atomic_load_explicit(&h->is_drained, memory_order_relaxed)) {
        return DEPLOYMENT_DRAINING;
    }
    if (atomic_load_explicit(&h->is_unreachable, memory_order_relaxed)) {
        return DEPLOYMENT_UNREACHABLE;
    }
    if (open_until != 0) {
        bool is_tried = tried != 0 && now.us - tried < TRIED_MAX_US;
        return now.us < open_until || is_tried ? DEPLOYMENT_OPEN : DEPLOYMENT_HALF_OPEN;
    }
    return now.us < read(&h->pause_until_us) ? DEPLOYMENT_PAUSED : DEPLOYMENT_UP;
}

bool deployment_health_admits(const struct deployment_health *h, mono_us now)
{
    return deployment_health_state(h, now) <= DEPLOYMENT_HALF_OPEN;
}

mono_us deployment_health_again(const struct deployment_health *h, mono_us now)
{
    int64_t open_until = read(&h->open_until_us), pause_until = read(&h->pause_until_us);
    int64_t later = open_until > pause_until ? open_until : pause_until;
    return (mono_us){later > now.us ? later : now.us};
}

bool deployment_health_begin(struct deployment_health *h, mono_us now, int64_t *trial)
{
    enum deployment_state state = deployment_health_state(h, now);
    int64_t tried = read(&h->tried_us);
    bool is_trial = state == DEPLOYMENT_HALF_OPEN &&
                    (tried == 0 || now.us - tried >= TRIED_MAX_US) &&
                    atomic_compare_exchange_strong(&h->tried_us, &tried, now.us);
    *trial = is_trial ? now.us : 0;
    return state == DEPLOYMENT_UP || is_trial;
}

/* Whether a call finds out just now. */
static bool is_tried(const struct deployment_health *h, mono_us now)
{
    int64_t tried = read(&h->tried_us);
    return tried != 0 && now.us - tried < TRIED_MAX_US;
}

bool deployment_health_admits_alone(const struct deployment_health *h, mono_us now)
{
    return deployment_health_state(h, now) <= DEPLOYMENT_PAUSED && !is_tried(h, now);
}

bool deployment_health_begin_alone(struct deployment_health *h, mono_us now, int64_t *trial)
{
    int64_t tried = read(&h->tried_us);
    bool is_open = read(&h->open_until_us) != 0;
    *trial = 0;
    if (!deployment_health_admits_alone(h, now)) {
        return false;
    }
    if (is_open && atomic_compare_exchange_strong(&h->tried_us, &tried, now.us)) {
        *trial = now.us;
    }
    return !is_open || *trial != 0;
}

/* Whether it is the trial that is under way. */
static bool is_current(const struct deployment_health *h, int64_t trial)
{
    return trial != 0 && read(&h->tried_us) == trial;
}

static void open_breaker(struct deployment_health *h, mono_us now)
{
    uint32_t opened = atomic_fetch_add_explicit(&h->opened, 1, memory_order_relaxed);
    int64_t us = DEPLOYMENT_OPEN_US << (opened < 4 ? opened : 4);
    put(&h->open_until_us, now.us + (us < DEPLOYMENT_OPEN_MAX_US ? us : DEPLOYMENT_OPEN_MAX_US));
    put(&h->tried_us, 0);
    atomic_store_explicit(&h->outcomes, 0, memory_order_relaxed);
}

/* Notes an outcome behind the others; tells how many of the last ones failed. */
static unsigned note_outcome(struct deployment_health *h, bool has_failed)
{
    uint64_t before = atomic_load_explicit(&h->outcomes, memory_order_relaxed), after;
    if (!has_failed && before == (uint64_t)DEPLOYMENT_WINDOW << DEPLOYMENT_WINDOW) {
        return 0; /* as it is when all is well: nothing is written that others read */
    }
    do {
        uint64_t count = before >> DEPLOYMENT_WINDOW;
        count += count < DEPLOYMENT_WINDOW;
        after = ((before << 1 | (uint64_t)has_failed) & OUTCOMES) | count << DEPLOYMENT_WINDOW;
    } while (!atomic_compare_exchange_weak_explicit(&h->outcomes, &before, after,
                                                    memory_order_relaxed, memory_order_relaxed));
    return after >> DEPLOYMENT_WINDOW == DEPLOYMENT_WINDOW
               ? (unsigned)__builtin_popcountll(after & OUTCOMES)
               : 0;
}

void deployment_health_failed(struct deployment_health *h, enum err e, int64_t trial, mono_us now)
{
    atomic_store_explicit(&h->last_error, (uint32_t)e, memory_order_relaxed);
    put(&h->failed_us, now.us);
    uint32_t row = atomic_fetch_add_explicit(&h->failed_in_row, 1, memory_order_relaxed) + 1;
    unsigned of_last = note_outcome(h, true);
    bool is_bad = row >= DEPLOYMENT_DOWN || 2 * of_last >= DEPLOYMENT_WINDOW;
    bool is_closed = read(&h->open_until_us) == 0;
    bool broke_off = trial != 0 && read(&h->closed_by) == trial && is_closed;
    bool opens = trial == 0 && is_bad && !h->is_never_left && is_closed;
    if (is_current(h, trial) || broke_off || opens) {
        open_breaker(h, now);
    }
}

void deployment_health_answered(struct deployment_health *h, int64_t trial, mono_us now)
{
    if (atomic_load_explicit(&h->failed_in_row, memory_order_relaxed) != 0) {
        atomic_store_explicit(&h->failed_in_row, 0, memory_order_relaxed);
    }
    bool is_open = read(&h->open_until_us) != 0;
    if (is_current(h, trial)) { /* those that began before it was opened say nothing of it now */
        put(&h->closed_by, trial);
        atomic_store_explicit(&h->outcomes, 0, memory_order_relaxed);
        put(&h->back_us, now.us);
        put(&h->open_until_us, 0);
        put(&h->tried_us, 0);
    } else if (!is_open && atomic_load_explicit(&h->opened, memory_order_relaxed) != 0) {
        atomic_store_explicit(&h->opened, 0, memory_order_relaxed);
        put(&h->closed_by, 0); /* others are answered: the trial may break off as any may */
    }
    (void)note_outcome(h, false);
}

void deployment_health_untried(struct deployment_health *h, int64_t trial)
{
    (void)atomic_compare_exchange_strong(&h->tried_us, &trial, 0); /* else it is another's */
}

void deployment_health_outwaited(struct deployment_health *h, int64_t us, int64_t trial,
                                 mono_us now)
{
    if (us > read(&h->latency_us)) {
        deployment_health_note_latency(h, us, now);
    }
    if (us >= OUTWAITED_US && us >= OUTWAITED_FACTOR * read(&h->slow_us)) {
        deployment_health_failed(h, ERR_UPSTREAM_TIMEOUT, trial, now);
    } else if (trial != 0) {
        deployment_health_untried(h, trial);
    }
}

void deployment_health_pause(struct deployment_health *h, int64_t seconds, mono_us now)
{
    int64_t most = seconds < PAUSE_MAX_S ? seconds : PAUSE_MAX_S;
    if (most > 0 && !h->is_never_left) {
        put(&h->pause_until_us, now.us + most * 1000000);
    }
    put(&h->busy_until_us, now.us + BUSY_US);
}

bool deployment_health_is_down(const struct deployment_health *h)
{
    return atomic_load_explicit(&h->failed_in_row, memory_order_relaxed) >= DEPLOYMENT_DOWN ||
           atomic_load_explicit(&h->is_unreachable, memory_order_relaxed);
}

/* It has failed just now, or had too many calls: others are asked first for a while. */
static bool is_bad_now(const struct deployment_health *h, mono_us now)
{
    bool has_failed = atomic_load_explicit(&h->failed_in_row, memory_order_relaxed) > 0;
    return now.us < read(&h->busy_until_us) ||
           (has_failed && now.us - read(&h->failed_us) < FAILED_US);
}

bool deployment_health_is_at_ease(const struct deployment_health *h, mono_us now)
{
    int64_t back = read(&h->back_us);
    return !is_bad_now(h, now) && (back == 0 || now.us - back >= DEPLOYMENT_SLOW_START_US);
}

void deployment_health_drain(struct deployment_health *h, bool is_drained, mono_us now)
{
    if (atomic_exchange(&h->is_drained, is_drained) && !is_drained) {
        put(&h->back_us, now.us);
    }
}

void deployment_health_probed(struct deployment_health *h, bool is_reached, mono_us now)
{
    if (atomic_exchange(&h->is_unreachable, !is_reached) && is_reached) {
        put(&h->back_us, now.us);
    }
}

/* A twentieth of a step up for nineteen twentieths down: it stands still where one answer in twenty
 * is slower. */
static void note_slow(struct deployment_health *h, int64_t us)
{
    int64_t before = read(&h->slow_us);
    int64_t step = before / 16 + 1;
    int64_t after = before == 0 ? us : us > before ? before + step * 19 / 20 : before - step / 20;
    put(&h->slow_us, after > 0 ? after : 1);
}

void deployment_health_note_latency(struct deployment_health *h, int64_t us, mono_us now)
{
    int64_t before = read(&h->latency_us), peak = read(&h->peak_us);
    int64_t after = before == 0 ? us : before + (us - before) / 8;
    double part = 1 - (double)(now.us - read(&h->peak_at_us)) / PEAK_FALLS_US;
    put(&h->latency_us, after > 0 ? after : 1);
    put(&h->peak_us, us >= peak ? us : us + (int64_t)((double)(peak - us) * (part > 0 ? part : 0)));
    put(&h->peak_at_us, now.us);
    note_slow(h, us);
}

/* What is left of its peak: in a while it is as one that nobody knows, and is asked once. */
static double peak_of(const struct deployment_health *h, mono_us now)
{
    double latency = (double)read(&h->latency_us);
    double falls = 2 * latency > PEAK_FALLS_US ? 2 * latency : PEAK_FALLS_US;
    double part = 1 - (double)(now.us - read(&h->peak_at_us)) / falls;
    part = part < 0 ? 0 : part > 1 ? 1 : part;
    double peak = (double)read(&h->peak_us) * part;
    return peak > latency || part == 0 ? peak : latency;
}

int64_t deployment_health_wait_us(const struct deployment_health *h, mono_us now)
{
    return (int64_t)peak_of(h, now);
}

double deployment_health_cost(const struct deployment_health *h, int64_t calls, mono_us now)
{
    int64_t back = read(&h->back_us);
    if (deployment_health_state(h, now) == DEPLOYMENT_HALF_OPEN) {
        return 0; /* one call is to find out */
    }
    double peak = peak_of(h, now);
    double load = (double)calls;
    bool is_bad = is_bad_now(h, now);
    double cost = peak > 0 ? peak * (1 + load) : UNKNOWN_US * (is_bad ? 1 + load : load);
    cost *= is_bad ? BAD_FACTOR : 1;
    double since = (double)(now.us - back) / (double)DEPLOYMENT_SLOW_START_US;
    if (back == 0 || since >= 1) {
        return cost;
    }
    since = since > 0 ? since : 0;
    return (cost + 1) / (SLOW_START_PART + (1 - SLOW_START_PART) * since);
}
