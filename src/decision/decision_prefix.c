/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a model's places has read how a call begins. The longest beginning counts that any of
 * those that the filters left has read, for the more need not be read again; but not at any price:
 * who has half as many calls again as the others, says that more calls wait there, fails, is just
 * back or is many times slower than another is passed over. Of what most calls begin with, whoever
 * read it last is known; so when one has too much to do, others learn it.
 */
#include "base/map.h"
#include "decision/decision_internal.h"
#include "policy/policy_prefixes.h"

#define FACTOR      UINT64_C(0x9E3779B97F4A7C15)
#define LOAD_FACTOR 1.5             /* of the average, */
#define LOAD_MORE   2.0             /* and so many calls */
#define SLOW_FACTOR 8               /* as slow as the quickest: it is read anew there sooner, */
#define SLOW_US     INT64_C(250000) /* but for what a few thousand tokens take */

/* What is noted: the same beginning is another to another model. */
static uint64_t noted(uint64_t prefix, uint64_t model)
{
    uint64_t mixed = (prefix ^ model) * FACTOR;
    return (mixed ^ mixed >> 29) * FACTOR;
}

void decision_add_session(const struct decision_ask *ask, struct openai_prefixes *prefixes)
{
    uint64_t session = decision_session_named(ask);
    if (session != 0) {
        CHECK(prefixes->count < OPENAI_PREFIXES_MAX);
        prefixes->at[prefixes->count++] = session;
    }
}

void decision_note_read(const struct policy *p, const struct decision_candidate *c,
                        const struct openai_prefixes *prefixes)
{
    if (p->prefixes == NULL || c->match.model->place_count < 2) {
        return;
    }
    uint64_t model = map_hash(c->match.shown);
    for (size_t i = 0; i < prefixes->count; i++) {
        policy_prefixes_note(p->prefixes, noted(prefixes->at[i], model), c->match.place->tag);
    }
}

static int64_t own_calls_of(const struct policy_place *place)
{
    return atomic_load_explicit(&place->deployment->in_flight, memory_order_relaxed);
}

/* The places that are left, together. */
struct others {
    double own, calls, weight, count; /* our calls; those and others' */
    int64_t quickest_us;              /* 0: nobody knows */
    int64_t waiting;                  /* where the fewest wait, of two at least who say it */
    unsigned say;
};

/* A report that no second one comes near to moves the average no further than that: or who says
 * much of himself would have the others take more than they should. */
static double calls_together(const struct decision_ask *ask, const struct policy_model *model,
                             uint32_t left)
{
    int64_t most = 0, second = 0, sum = 0;
    for (uint32_t rest = left; rest != 0; rest &= rest - 1) {
        const struct deployment *d = model->places[__builtin_ctz(rest)].deployment;
        int64_t reported = deployment_load_others(&d->load, ask->mono);
        sum += deployment_calls(d, ask->mono);
        second = reported > most ? most : reported > second ? reported : second;
        most = reported > most ? reported : most;
    }
    return (double)(sum - (most - second));
}

static struct others sum_up(const struct decision_ask *ask, const struct policy_model *model,
                            uint32_t left)
{
    struct others sum = {.calls = calls_together(ask, model, left), .waiting = INT64_MAX};
    for (uint32_t rest = left; rest != 0; rest &= rest - 1) {
        const struct policy_place *place = &model->places[__builtin_ctz(rest)];
        int64_t us = decision_latency_us(place);
        int64_t waiting = deployment_load_waiting(&place->deployment->load, ask->mono);
        sum.own += (double)own_calls_of(place);
        sum.weight += place->weight;
        sum.count++;
        sum.say += waiting >= 0;
        sum.waiting = waiting >= 0 && waiting < sum.waiting ? waiting : sum.waiting;
        sum.quickest_us =
            us > 0 && (sum.quickest_us == 0 || us < sum.quickest_us) ? us : sum.quickest_us;
    }
    return sum;
}

/* How many calls a place with this share may have, where all together have so many. */
static double most_of(double together, const struct others *sum, double share)
{
    return (LOAD_FACTOR * together / sum->count + LOAD_MORE) * share;
}

/* Whether it may have one more call before others have it: by our own calls alone, which no report
 * changes, and by those of others, too. */
static bool may_have_more(const struct decision_ask *ask, const struct policy_place *place,
                          const struct others *sum)
{
    double share = place->weight * sum->count / sum->weight;
    int64_t latency = decision_latency_us(place);
    int64_t waiting = deployment_load_waiting(&place->deployment->load, ask->mono);
    return (double)own_calls_of(place) < most_of(sum->own, sum, share) &&
           (double)decision_calls_of(ask, place) < most_of(sum->calls, sum, share) &&
           (sum->say < 2 || (double)waiting <= LOAD_FACTOR * (double)sum->waiting + LOAD_MORE) &&
           (latency <= SLOW_US || latency <= SLOW_FACTOR * sum->quickest_us) &&
           deployment_health_is_at_ease(&place->deployment->health, ask->mono);
}

/* The place of a tag, of those that are left. */
static const struct policy_place *find_place(const struct policy_model *model, uint32_t left,
                                             uint16_t tag)
{
    for (uint32_t rest = tag == 0 ? 0 : left; rest != 0; rest &= rest - 1) {
        const struct policy_place *place = &model->places[__builtin_ctz(rest)];
        if (place->tag == tag) {
            return place;
        }
    }
    return NULL;
}

const struct policy_place *decision_known_place(const struct decision_ask *ask,
                                                const struct policy_match *match, uint32_t left)
{
    const struct policy_prefixes *known = ask->policy->prefixes;
    if (known == NULL || ask->prefixes == NULL || ask->prefixes->count == 0) {
        return NULL;
    }
    uint64_t model = map_hash(match->shown);
    const struct others sum = sum_up(ask, match->model, left);
    const struct policy_place *before = NULL; /* who may not have more is not asked about again */
    for (size_t i = ask->prefixes->count; i-- > 0;) {
        uint16_t tag = policy_prefixes_find(known, noted(ask->prefixes->at[i], model));
        const struct policy_place *place = find_place(match->model, left, tag);
        if (place == NULL || place == before) {
            continue;
        }
        if (may_have_more(ask, place, &sum)) {
            return place;
        }
        before = place;
    }
    return NULL;
}
