/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_price.h — what a call costs, and how a price is named.
 *
 * Money is counted in billionths of a currency. What is no whole number of them is rounded up, once
 * and in the end, so nothing that has a price is ever free; sums that pass what a record holds are
 * as much as that. A price of 0 is a price; a model without one has no struct policy_price.
 *
 * Threads  any.
 */
#ifndef POLICY_POLICY_PRICE_H
#define POLICY_POLICY_PRICE_H

#include "journal/journal_record.h"
#include "policy/policy_settings.h"

/* The most that a price may be: 1,000,000 of a currency. */
#define POLICY_PRICE_NANO_MAX 1000000000000000
#define POLICY_PRICE_PER_MAX  1000000000

/* What was used. Never negative. */
struct policy_amounts {
    int64_t input; /* tokens of prompt; */
    int64_t
        cached; /* of these, what the model server had cached: more than `input` counts as that */
    int64_t output;
    int64_t requests;  /* that were answered */
    int64_t server_us; /* from when a request was being sent until its answer's end */
};

/* Whether each number is in its range and the currency three capital letters. */
MUST_USE bool policy_price_is_valid(const struct policy_price *price);

/* What it costs, JOURNAL_NUMBER_MAX at most. */
int64_t policy_price_cost(const struct policy_price *price, const struct policy_amounts *used);

/* The most that one request may come to: no token of it cached, and `total_ms`, the time in which
 * it must have ended, used up. */
int64_t policy_price_most(const struct policy_price *price, int64_t input, int64_t output,
                          int64_t total_ms);

/* Of prices, the earliest first, the one in force; NULL: there is none yet. */
const struct policy_price *policy_price_at(const struct policy_price *prices, size_t count,
                                           wall_us at);

/*
 * Makes the price's id, which says all of it but the currency: input `/` output `/` tokens that
 * these are for; behind it, each only if it says something, `c` and what cached input costs, `r` a
 * request, `g` a second at the server.
 */
void policy_price_name(struct policy_price *price);

/* Names the price in a record: its currency and its id. */
void policy_price_record(const struct policy_price *price, struct journal_record *r);

#endif
