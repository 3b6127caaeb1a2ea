/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy_energy.h"

#include "journal/journal_record.h"

#define THOUSAND    1000
#define KWH_IN_NANO INT64_C(1000000000000) /* billionths of a Wh */

__extension__ typedef __int128 wide; /* both products may pass 64 bits */

static int64_t divide_up(wide amount, int64_t by)
{
    wide parts = (amount + by - 1) / by;
    return parts < JOURNAL_NUMBER_MAX ? (int64_t)parts : JOURNAL_NUMBER_MAX;
}

int64_t policy_energy_of(int64_t tokens, int64_t nano_a_thousand)
{
    return divide_up((wide)tokens * nano_a_thousand, THOUSAND);
}

int64_t policy_energy_co2e(int64_t energy_nano, int64_t nano_a_kwh)
{
    return divide_up((wide)energy_nano * nano_a_kwh, KWH_IN_NANO);
}
