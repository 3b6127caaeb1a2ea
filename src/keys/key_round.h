/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_round.h — looks at all keys in small steps, for those that end or should be rotated soon.
 *
 * A round asks what has come since the one before: whose end is 14, 3 or 1 days away now and was
 * further away then; the same of the time at which a key should be rotated, and of that time
 * itself. So a day that passes is told once, without anything being kept; the first round tells of
 * each key the last day that has passed.
 *
 * Ownership  plain values.
 * Limits     a step looks at KEY_ROUND_SLOTS keys.
 * Threads    one at a time; the table may change meanwhile.
 */
#ifndef KEYS_KEY_ROUND_H
#define KEYS_KEY_ROUND_H

#include "keys/key_table.h"

#define KEY_ROUND_SLOTS    16384
#define KEY_ROUND_WARNINGS 32 /* of a step */
#define KEY_ROUND_DAYS     14 /* the first that is told */

struct key_warning {
    char id[KEY_ID_CHARS + 1];
    bool is_rotation; /* it should be rotated; else it ends */
    int days;         /* in so many, or in fewer: 14, 3, 1; 0: it is due */
    wall_us at;       /* it ends, or is due */
    wall_us since;    /* there are that many days or fewer; who made it later knew */
};

struct key_round {
    wall_us from, to; /* of the moments that are told: later than the one, up to the other */
    uint32_t at;      /* the next slot */
    bool is_over;     /* all were looked at */
    size_t expiring;  /* keys that end within KEY_ROUND_DAYS, of those that were looked at */
    size_t due;       /* that should have been rotated */
};

/* Begins a round behind the last one of `r`, which is all zero before the first. */
void key_round_begin(struct key_round *r, wall_us now);

/* Looks at the next keys, until there are KEY_ROUND_WARNINGS or the step is over. */
size_t key_round_step(struct key_round *r, const struct key_table *t,
                      struct key_warning out[KEY_ROUND_WARNINGS]);

#endif
