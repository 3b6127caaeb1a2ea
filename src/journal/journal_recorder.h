/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_recorder.h — has what administrators change in the store recorded in the journal first
 * (store/store_change.h).
 *
 * A change is published in the store thread's own lane, so it is recorded though the process dies
 * right after, and it is applied to the store with all records before it, in their order.
 *
 * Ownership  journal_recorder_open() hands it to the caller, who gives it back to
 *            journal_recorder_close() when the store is closed.
 * Threads    the store's thread uses it, by store_set_recorder(). stop: any.
 * Sources    docs/decisions/0082.
 */
#ifndef JOURNAL_JOURNAL_RECORDER_H
#define JOURNAL_JOURNAL_RECORDER_H

#include "journal/journal.h"

struct journal_apply;
struct journal_recorder;
struct store;

/* Makes one for `s`, whose changes are recorded from now on. `lane` is the store thread's.
 * ERR_NO_MEMORY */
MUST_USE enum err journal_recorder_open(struct journal *j, struct journal_lane *lane,
                                        struct journal_apply *apply, struct store *s,
                                        struct journal_recorder **out);

/* From here on changes fail with ERR_DRAINING: before the journal is closed. Waits for one that is
 * under way. Does nothing for NULL. */
void journal_recorder_stop(struct journal_recorder *r);

/* Frees `*r` and sets it to NULL. Does nothing if it is NULL already. */
void journal_recorder_close(struct journal_recorder **r);

#endif
