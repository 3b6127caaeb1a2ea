/* SPDX-License-Identifier: Apache-2.0 */
#include "limits/limits_gate.h"

#include "base/map.h"
#include "base/memory.h"

#define REQUEST_SETS 8192
#define GUESS_SETS   1024
#define NEWS_SETS    128

struct limits_gate {
    struct limits_sources *requests, *guesses, *news;
    struct limits_rate listeners[LIMITS_GATE_LISTENERS];
};

struct limits_gate_rate limits_gate_rate_of(int64_t per_minute, int64_t burst)
{
    if (per_minute == 0) {
        return (struct limits_gate_rate){0};
    }
    return (struct limits_gate_rate){per_minute,
                                     limits_pace_of(per_minute, burst == 0 ? per_minute : burst)};
}

enum err limits_gate_open(struct limits_gate **out)
{
    struct limits_gate *g = memory_new(sizeof(*g));
    if (g == NULL) {
        return ERR_NO_MEMORY;
    }
    enum err e = limits_sources_open(REQUEST_SETS, &g->requests);
    if (e == ERR_OK) {
        e = limits_sources_open(GUESS_SETS, &g->guesses);
    }
    if (e == ERR_OK) {
        e = limits_sources_open(NEWS_SETS, &g->news);
    }
    if (e != ERR_OK) {
        limits_gate_close(&g);
        return e;
    }
    *out = g;
    return ERR_OK;
}

void limits_gate_close(struct limits_gate **gate)
{
    struct limits_gate *g = *gate;
    if (g == NULL) {
        return;
    }
    *gate = NULL;
    limits_sources_close(&g->requests);
    limits_sources_close(&g->guesses);
    limits_sources_close(&g->news);
    memory_free(g);
}

/* An address that asks too often takes nothing of its listener's: what was taken there is given
 * back. */
bool limits_gate_enter(struct limits_gate *g, const struct limits_gate_terms *terms,
                       unsigned listener, uint64_t source, mono_us now, struct limits_tightest *out)
{
    const struct limits_gate_rate *of_all = &terms->listener[listener], *own = &terms->address;
    struct limits_tightest all = {.limit = of_all->per_minute}, one = {.limit = own->per_minute};
    CHECK(listener < LIMITS_GATE_LISTENERS);
    if (all.limit > 0 &&
        !limits_rate_take(&g->listeners[listener], of_all->pace, 1, now, &all.standing)) {
        *out = all;
        return false;
    }
    if (one.limit > 0 && !limits_sources_take(g->requests, source, own->pace, now, &one.standing)) {
        if (all.limit > 0) {
            limits_rate_give_back(&g->listeners[listener], of_all->pace,
                                  (struct limits_taken){1, now}, 1, now);
        }
        *out = one;
        return false;
    }
    bool is_one_tighter =
        one.limit > 0 && (all.limit == 0 || one.standing.remaining < all.standing.remaining);
    *out = is_one_tighter ? one : all;
    return true;
}

bool limits_gate_guess(struct limits_gate *g, const struct limits_gate_terms *terms,
                       uint64_t source, mono_us now, struct limits_tightest *out)
{
    *out = (struct limits_tightest){.limit = terms->guesses.per_minute};
    return out->limit == 0 ||
           limits_sources_take(g->guesses, source, terms->guesses.pace, now, &out->standing);
}

bool limits_gate_is_news(struct limits_gate *g, enum limits_gate_news news, struct span who,
                         mono_us now)
{
    struct limits_standing unused;
    uint64_t hash = map_hash(who) * 4 + (uint64_t)news;
    return limits_sources_take(g->news, hash == 0 ? 1 : hash, limits_pace_of(1, 1), now, &unused);
}
