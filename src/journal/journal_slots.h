/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_slots.h — a worker's records on their way to the journal, safe from the process's death.
 *
 * A lane is a file of fixed slots, mapped into memory that outlives a killed process. The worker
 * takes a slot, fills the record in place and publishes it; the journal thread moves it to a
 * segment and frees the slot. No system call and no lock on the way, unless the thread sleeps.
 *
 *                    give back
 *             ┌──────────────────────┐
 *   FREE ── take ──→ TAKEN ── arm ──→ ARMED ── publish ──→ READY ── (journal thread) ──→ FREE
 *                      └───────────── publish ──────────────↑
 *
 * An ARMED slot is the completion of a call, or the end of a try: if the process dies and the
 * intent was published, the record is journaled as it stands then, with the outcome `interrupted`,
 * at its reservation if something was sent. So a worker may go on storing progress (bytes, tokens)
 * in an armed record, with plain stores, and texts with journal_record_set(). It may also make the
 * completion the end of its try, and then the end of another try of that call the completion.
 *
 * Always true:
 *   1. Records reach the journal in the order in which their lane published them (its *tickets*,
 *      from 1), so an intent before its completion.
 *   2. A slot taken is published or given back; nothing else can take it.
 *
 * Ownership  a slot is the worker's from take to publish or give back.
 * Limits     as many slots as journal_settings.slots; the one given back last is taken next, so
 *            few pages are touched.
 * Threads    all functions here: the lane's worker only.
 * Sources    docs/formats/journal.md, "Lanes".
 */
#ifndef JOURNAL_JOURNAL_SLOTS_H
#define JOURNAL_JOURNAL_SLOTS_H

#include "journal/journal_record.h"

struct journal_lane;
struct journal_slot;

/*
 * Takes a free slot; its record is all zero.
 *
 *   ERR_JOURNAL_FULL  none is free
 *   ERR_DISK_FULL     the disk is full: no call may start until there is room
 *   ERR_DISK          the disk failed: the journal has stopped for good, the process must end
 */
MUST_USE enum err journal_take(struct journal_lane *lane, struct journal_slot **out);

/* The record of a slot that is taken or armed. Not to be read after it was published. */
struct journal_record *journal_slot_record(struct journal_slot *slot);

/*
 * Where the JSON of an admin record goes, JOURNAL_STATE_MAX bytes: one object that
 * journal_state_is_valid() takes; the record's `state_bytes` says how long it is. Only in the lanes
 * of housekeeping and the store thread (journal.h).
 */
char *journal_slot_state(const struct journal_lane *lane, struct journal_slot *slot);

/*
 * Arms a completion or the end of a try, half filled: identity, reservation and what is known so
 * far. It is for the intent that the lane publishes next, which is to be done at once: an intent is
 * never found without its end, and of one that was not published nothing is.
 */
void journal_arm(const struct journal_lane *lane, struct journal_slot *slot);

/* Hands a taken or armed slot over and returns its ticket. The slot must not be touched again. */
uint64_t journal_publish(struct journal_lane *lane, struct journal_slot *slot);

/* Gives back a slot that is taken and was not armed. */
void journal_give_back(struct journal_lane *lane, struct journal_slot *slot);

/* Whether the record of `ticket` and all before it of this lane are on the disk. */
bool journal_is_durable(const struct journal_lane *lane, uint64_t ticket);

/*
 * Asks whether `ticket` is durable, and hurries the commit if it is not. False: the lane's callback
 * (journal_on_commit()) follows when more of the lane is durable, or the journal is in trouble:
 * ask again then, and journal_trouble().
 */
MUST_USE bool journal_await(struct journal_lane *lane, uint64_t ticket);

/*
 * Asks whether two slots can be taken, which is what a call needs, and hurries the commit if not.
 * False: the lane's callback follows when slots were freed, or the journal is in trouble.
 */
MUST_USE bool journal_await_slots(struct journal_lane *lane);

/* Why nothing becomes durable at present: ERR_DISK_FULL or ERR_DISK; ERR_OK if all is well. */
MUST_USE enum err journal_trouble(const struct journal_lane *lane);

/* Slots that can be taken now, at most; for a metric. */
size_t journal_slots_free(const struct journal_lane *lane);

#endif
