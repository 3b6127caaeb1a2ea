/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_settings.h — what the operator may decide about the record of calls.
 *
 * Filled by main from the settings table (src/settings/settings.def), where each field's default,
 * range and explanation stand.
 *
 * Threads  any; read only.
 */
#ifndef JOURNAL_JOURNAL_SETTINGS_H
#define JOURNAL_JOURNAL_SETTINGS_H

#include <stdint.h>

#define JOURNAL_SLOTS_A_CALL \
    2 /* to begin: its intent and its completion; then it holds the latter */

struct journal_settings {
    int64_t commit_interval_ms; /* the longest a record waits for its fdatasync */
    int64_t segment_bytes;      /* a segment that would pass it is closed and the next begun */
    int64_t slots;              /* a worker's records on their way to the disk; even */
    int64_t unapplied_max; /* records that the store has not taken; past it calls are refused */
};

#endif
