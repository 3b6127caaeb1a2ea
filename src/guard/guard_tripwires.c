/* SPDX-License-Identifier: Apache-2.0 */
/* (skeleton) */
#include "guard/guard_internal.h"

void guard_find_tripwires(const struct guard_window *w, struct guard_tripped *out)
{
    (void)w;
    *out = (struct guard_tripped){0};
}

void guard_find_hidden(struct span raw, uint32_t *run, struct guard_tripped *out)
{
    (void)raw, (void)run;
    *out = (struct guard_tripped){0};
}

unsigned guard_tripwires_score(const uint32_t hits[GUARD_HIT_WORDS])
{
    (void)hits;
    return 0;
}
