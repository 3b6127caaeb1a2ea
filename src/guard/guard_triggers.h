/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_triggers.h — the places of a text where three bytes stand that begin something rare.
 *
 *     guard_triggers_add(&t, "hf_", HUGGING_FACE);          once
 *     at = guard_triggers_next(&t, text, at)                 under a nanosecond a byte
 *     for (row = guard_triggers_row(&t, text, at); row != 0; row = guard_triggers_more(&t, row)) …
 *
 * Case is not seen (bit 0x20 of each byte), so a row says where to look and no more.
 *
 * Threads  one adds, before many look.
 */
#ifndef GUARD_GUARD_TRIGGERS_H
#define GUARD_GUARD_TRIGGERS_H

#include "base/span.h"

#define GUARD_TRIGGER_BYTES   3
#define GUARD_TRIGGERS_MAX    400
#define GUARD_TRIGGER_HEADS   1024
#define GUARD_TRIGGER_NIBBLES 16
#define GUARD_TRIGGER_BITS    16 /* of a hash: a set of 8 KiB, that stays in the first cache */

struct guard_triggers {
    uint64_t bits[(1u << GUARD_TRIGGER_BITS) / 64];
    uint16_t heads[GUARD_TRIGGER_HEADS]; /* rows, by hash; 0: none */
    struct guard_trigger {
        uint32_t gram;
        uint16_t next; /* of the same head; 0: none */
        uint16_t id;
    } rows[GUARD_TRIGGERS_MAX + 1]; /* from 1 on */
    size_t count;
    uint8_t low[GUARD_TRIGGER_BYTES][GUARD_TRIGGER_NIBBLES]; /* groups that have such a half */
    uint8_t high[GUARD_TRIGGER_BYTES][GUARD_TRIGGER_NIBBLES];
};

/* Adds the last three bytes of `literal`. */
void guard_triggers_add(struct guard_triggers *t, struct span literal, unsigned id);

/* The next place at or after `from` where three bytes stand that may be a trigger; text.len: none.
 */
size_t guard_triggers_next(const struct guard_triggers *t, struct span text, size_t from);

/* The first trigger that stands at such a place, and the next one that stands there as well; 0. */
unsigned guard_triggers_row(const struct guard_triggers *t, struct span text, size_t at);
unsigned guard_triggers_more(const struct guard_triggers *t, unsigned row);

#endif
