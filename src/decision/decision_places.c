/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a model's places a call goes to: the one that has read how it begins
 * (decision_prefix.c); else of two that are drawn the one that has less to do, by how slow it is
 * and how much it has (power of two choices over peak EWMA). To ask all for the least would send
 * all callers of a moment to the same one.
 */
#include "decision/decision_internal.h"

#include <stdlib.h>

#define LATENCY_UNKNOWN_US INT64_C(10000000)      /* of a server that has calls and no answer yet */
#define LATENCY_DOWN_US    INT64_C(1000000000000) /* of one that is down */
#define PROBED_IN          64                     /* calls */
#define SECOND_US          INT64_C(1000000)

uint32_t decision_all_places(const struct policy_model *model)
{
    return model->place_count >= POLICY_PLACES_MAX ? UINT32_MAX
                                                   : (UINT32_C(1) << model->place_count) - 1;
}

static bool is_idle(const struct policy_place *place)
{
    return atomic_load_explicit(&place->deployment->in_flight, memory_order_relaxed) <= 0;
}

int64_t decision_latency_of(const struct decision_ask *ask, const struct policy_place *place)
{
    int64_t calls = decision_calls_of(ask, place), latency = decision_latency_us(place);
    if (is_idle(place) && (ask->chance >> 8) % PROBED_IN == PROBED_IN - 1) {
        return 0;
    }
    if (deployment_health_is_down(&place->deployment->health)) {
        return LATENCY_DOWN_US;
    }
    int64_t us = latency == 0 ? calls * LATENCY_UNKNOWN_US : latency * (1 + calls);
    return us < LATENCY_DOWN_US ? us : LATENCY_DOWN_US - 1;
}

/* A place that a call may go to. */
struct rated {
    const struct policy_place *place;
    double cost;
};

static int by_cost(const void *a, const void *b)
{
    const struct rated *x = a, *y = b;
    return (x->cost > y->cost) - (x->cost < y->cost);
}

/* How long the slowest takes to begin its answers. */
static int64_t slowest_of(const struct decision_ask *ask, const struct decision_candidate *c)
{
    int64_t slowest = 0;
    for (uint32_t rest = c->places; rest != 0; rest &= rest - 1) {
        const struct policy_place *place = &c->match.model->places[__builtin_ctz(rest)];
        int64_t us = deployment_health_wait_us(&place->deployment->health, ask->mono);
        slowest = us > slowest ? us : slowest;
    }
    return slowest;
}

/* The calls that it has. Where nobody knows how long its answers take, a call counts a second
 * (deployment_health_cost()); one of others, by which we learn nothing, as long as the slowest of
 * the rest takes: who is known to be busy is not asked for that he is not known to be slow. */
static int64_t calls_of(const struct decision_ask *ask, const struct policy_place *place,
                        int64_t slowest_us)
{
    const struct deployment *d = place->deployment;
    int64_t calls = deployment_calls(d, ask->mono);
    bool is_known = deployment_health_wait_us(&d->health, ask->mono) > 0;
    return is_known || slowest_us < SECOND_US
               ? calls
               : calls + deployment_load_others(&d->load, ask->mono) * (slowest_us / SECOND_US);
}

static size_t rate(const struct decision_ask *ask, const struct decision_candidate *c,
                   struct rated out[POLICY_PLACES_MAX])
{
    size_t count = 0;
    int64_t slowest = slowest_of(ask, c);
    for (uint32_t rest = c->places; rest != 0; rest &= rest - 1) {
        const struct policy_place *place = &c->match.model->places[__builtin_ctz(rest)];
        out[count].place = place;
        out[count++].cost = deployment_health_cost(&place->deployment->health,
                                                   calls_of(ask, place, slowest), ask->mono) /
                            place->weight;
    }
    return count;
}

/* Puts the better of two that are drawn in front; of two alike the first that was drawn. */
static void draw_first(const struct decision_ask *ask, struct rated *rated, size_t count)
{
    uint64_t mixed = (ask->chance + UINT64_C(1)) * UINT64_C(0x9E3779B97F4A7C15);
    size_t one = (size_t)((mixed >> 40) % count);
    size_t other = (one + 1 + (size_t)((mixed >> 16 & 0xFFFFFF) % (count - 1))) % count;
    size_t best = rated[other].cost < rated[one].cost ? other : one;
    struct rated first = rated[best];
    rated[best] = rated[0];
    rated[0] = first;
    qsort(rated + 1, count - 1, sizeof(*rated), by_cost);
}

/* Puts the place in front. */
static void put_first(struct rated *rated, size_t count, const struct policy_place *place)
{
    size_t at = 0;
    while (at < count - 1 && rated[at].place != place) {
        at++;
    }
    struct rated first = rated[at];
    memmove(rated + 1, rated, at * sizeof(*rated));
    rated[0] = first;
}

size_t decision_places(const struct decision_ask *ask, const struct decision_candidate *c,
                       size_t most, struct decision_candidate *out)
{
    struct rated rated[POLICY_PLACES_MAX];
    if (c->match.model->place_count == 1) {
        out[0] = *c;
        return 1;
    }
    size_t count = rate(ask, c, rated);
    const struct policy_place *known = NULL;
    if (count > 1) {
        draw_first(ask, rated, count);
        known = decision_known_place(ask, &c->match, c->places);
    }
    if (known != NULL) {
        put_first(rated, count, known);
    }
    for (size_t i = 0; i < count && i < most; i++) {
        out[i] = *c;
        policy_place_match(&out[i].match, rated[i].place);
        out[i].is_known = i == 0 && known != NULL;
    }
    return count < most ? count : most;
}
