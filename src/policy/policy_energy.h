/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_energy.h — what a call took of electricity, and what of CO2 that stands for.
 *
 * By numbers of the operator's: how much a model's tokens take, prompt and answer alike, and how
 * much the grid emits. Both are those in force when the call began; a sum of calls is the sum of
 * what each took then. Integers of billionths alone, rounded up, so that sums are exact.
 *
 * Threads  any; pure.
 * Sources  docs/reference/settings.md (`energy`, `grid`).
 */
#ifndef POLICY_POLICY_ENERGY_H
#define POLICY_POLICY_ENERGY_H

#include <stdint.h>

/* Billionths of a Wh that so many tokens take, at so many billionths of a Wh a thousand. At most
 * JOURNAL_NUMBER_MAX. */
int64_t policy_energy_of(int64_t tokens, int64_t nano_a_thousand);

/* Billionths of a gram of CO2 equivalent, where so many billionths of a gram stand for a kWh. */
int64_t policy_energy_co2e(int64_t energy_nano, int64_t nano_a_kwh);

#endif
