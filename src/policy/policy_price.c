/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy_price.h"

#include <inttypes.h>
#include <stdio.h>

#define ID_BYTES 64 /* three numbers of 19 digits, and what stands between them */

__extension__ typedef __int128 wide; /* tokens times price may pass 64 bits */

int64_t policy_price_cost(const struct policy_price *price, int64_t input_tokens,
                          int64_t output_tokens)
{
    wide all = (wide)input_tokens * price->input_nano + (wide)output_tokens * price->output_nano;
    wide cost = (all + price->per_tokens - 1) / price->per_tokens;
    return cost < JOURNAL_NUMBER_MAX ? (int64_t)cost : JOURNAL_NUMBER_MAX;
}

void policy_price_record(const struct policy_price *price, struct journal_record *r)
{
    char id[ID_BYTES];
    if (price->input_nano == 0 && price->output_nano == 0) {
        return;
    }
    (void)snprintf(id, sizeof(id), "%" PRId64 "/%" PRId64 "/%" PRId64, price->input_nano,
                   price->output_nano, price->per_tokens); /* fits: they are never negative */
    journal_record_set(r, JOURNAL_TEXT_CURRENCY, span_of(price->currency));
    journal_record_set(r, JOURNAL_TEXT_PRICE, span_of(id));
}
