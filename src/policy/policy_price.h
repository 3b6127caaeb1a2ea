/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_price.h — what tokens cost, and how a price is named.
 *
 * Money is counted in billionths of a currency. What is no whole number of them is rounded up, so
 * nothing that has a price is ever free; sums that pass what a record holds are as much as that.
 *
 * Threads  any.
 */
#ifndef POLICY_POLICY_PRICE_H
#define POLICY_POLICY_PRICE_H

#include "journal/journal_record.h"
#include "policy/policy_settings.h"

/* What so many tokens of prompt and answer cost, JOURNAL_NUMBER_MAX at most. */
int64_t policy_price_cost(const struct policy_price *price, int64_t input_tokens,
                          int64_t output_tokens);

/* Names the price in a record: its currency, and an id that says what it is. Nothing for a model
 * without one. */
void policy_price_record(const struct policy_price *price, struct journal_record *r);

#endif
