/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy_price.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/money.h"

#define SECOND_US 1000000

__extension__ typedef __int128 wide; /* tokens times price may pass 64 bits */

static bool is_amount(int64_t nano)
{
    return nano >= 0 && nano <= POLICY_PRICE_NANO_MAX;
}

bool policy_price_is_valid(const struct policy_price *price)
{
    return money_is_currency(span_of(price->currency)) && is_amount(price->input_nano) &&
           is_amount(price->cached_nano) && is_amount(price->output_nano) &&
           is_amount(price->request_nano) && is_amount(price->gpu_second_nano) &&
           price->per_tokens >= 1 && price->per_tokens <= POLICY_PRICE_PER_MAX;
}

/* A sum of money in three parts: whole billionths, and what is left of tokens and of time. */
int64_t policy_price_cost(const struct policy_price *price, const struct policy_amounts *used)
{
    int64_t cached = used->cached < used->input ? used->cached : used->input;
    wide tokens = (wide)(used->input - cached) * price->input_nano +
                  (wide)cached * price->cached_nano + (wide)used->output * price->output_nano;
    wide time = (wide)used->server_us * price->gpu_second_nano;
    wide whole =
        (wide)used->requests * price->request_nano + tokens / price->per_tokens + time / SECOND_US;
    wide part = tokens % price->per_tokens * SECOND_US + time % SECOND_US * price->per_tokens;
    wide one = (wide)price->per_tokens * SECOND_US;
    wide cost = whole + (part + one - 1) / one;
    return cost < JOURNAL_NUMBER_MAX ? (int64_t)cost : JOURNAL_NUMBER_MAX;
}

int64_t policy_price_most(const struct policy_price *price, int64_t input, int64_t output,
                          int64_t total_ms)
{
    const struct policy_amounts most = {
        .input = input,
        .cached = price->cached_nano > price->input_nano ? input : 0,
        .output = output,
        .requests = 1,
        .server_us = total_ms * 1000,
    };
    return policy_price_cost(price, &most);
}

const struct policy_price *policy_price_at(const struct policy_price *prices, size_t count,
                                           wall_us at)
{
    while (count > 0 && prices[count - 1].from.us > at.us) {
        count--;
    }
    return count == 0 ? NULL : &prices[count - 1];
}

/* Puts a letter and what it costs, if it costs anything else than what goes without saying. */
static void put_part(struct policy_price *price, char letter, int64_t nano, int64_t unsaid)
{
    size_t len = strlen(price->id);
    if (nano != unsaid) {
        (void)snprintf(price->id + len, sizeof(price->id) - len, "%c%" PRId64, letter, nano);
    }
}

void policy_price_name(struct policy_price *price)
{
    /* fits: five numbers of 16 digits at most and one of 10, none of them negative */
    _Static_assert(POLICY_PRICE_NANO_MAX < 9999999999999999 && POLICY_PRICE_PER_MAX < 9999999999 &&
                       sizeof(price->id) > 5 * 17 + 11,
                   "a price's id fits");
    (void)snprintf(price->id, sizeof(price->id), "%" PRId64 "/%" PRId64 "/%" PRId64,
                   price->input_nano, price->output_nano, price->per_tokens);
    put_part(price, 'c', price->cached_nano, price->input_nano);
    put_part(price, 'r', price->request_nano, 0);
    put_part(price, 'g', price->gpu_second_nano, 0);
}

void policy_price_record(const struct policy_price *price, struct journal_record *r)
{
    journal_record_set(r, JOURNAL_TEXT_CURRENCY, span_of(price->currency));
    journal_record_set(r, JOURNAL_TEXT_PRICE, span_of(price->id));
}
