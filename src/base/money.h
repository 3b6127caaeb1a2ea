/* SPDX-License-Identifier: Apache-2.0 */
/*
 * money.h — amounts of money: whole billionths of a currency in memory, decimal text outside.
 *
 * A text is "-", a whole number without needless zeros, and up to nine places: "100", "100.00",
 * "0.000136". No sign "+", no exponent, no spaces: what is read is what was meant.
 *
 * Threads  any.
 * Sources  docs/decisions/0079-money-in-billionths.md.
 */
#ifndef BASE_MONEY_H
#define BASE_MONEY_H

#include "base/span.h"

#define MONEY_UNIT       INT64_C(1000000000)
#define MONEY_PLACES     9
#define MONEY_TEXT_BYTES 24 /* "-9223372036.854775808" and a NUL */

/* Reads an amount. False: it is none, has more than nine places, or is beyond ±9223372036.85…. */
MUST_USE bool money_read(struct span text, int64_t *nano);

/* Writes an amount with two to `places` (2 to 9) places, rounded to the nearest, a half away from
 * zero. */
void money_write(int64_t nano, unsigned places, char out[MONEY_TEXT_BYTES]);

/* Whether it may be a currency's code: three capital letters, as those of ISO 4217. */
bool money_is_currency(struct span text);

#endif
