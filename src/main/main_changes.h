/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_changes.h — what other rules would have changed, summed up by what each call went by and
 * would go by.
 *
 * Ownership  main_changes_open() borrows the rules until main_changes_close().
 * Limits     MAIN_CHANGES_MAX different changes are told apart, and of each MAIN_CHANGE_EXAMPLES
 *            calls; further ones are counted together.
 * Threads    the main thread.
 */
#ifndef MAIN_MAIN_CHANGES_H
#define MAIN_MAIN_CHANGES_H

#include "base/arena.h"
#include "base/map.h"
#include "journal/journal_record.h"

#define MAIN_CHANGES_MAX     4096
#define MAIN_CHANGE_EXAMPLES 3

struct routing;

/* What decided, and which model it was: then, and by the rules that are tried. */
struct main_change {
    struct span from_policy, to_policy, from_model, to_model;
};

struct main_changes {
    const struct routing *rules;
    uint64_t calls, same, changed, untold;
    uint64_t *untold_by; /* of each rule: how many calls it could not be told of */
    uint64_t others;     /* changed in ways that are not told apart */
    struct arena arena;
    struct map map;
    struct main_changed **all; /* those of the map */
};

/* ERR_NO_MEMORY. What was opened, main_changes_close() closes. */
MUST_USE enum err main_changes_open(struct main_changes *c, const struct routing *rules);
void main_changes_close(struct main_changes *c);

/* Counts a call that would change so. ERR_NO_MEMORY. */
MUST_USE enum err main_changes_add(struct main_changes *c, const struct main_change *change,
                                   const uint8_t call[JOURNAL_ID_BYTES]);

/* Prints all of it, the most frequent first. ERR_NO_MEMORY. */
MUST_USE enum err main_changes_print(struct main_changes *c, bool is_json);

#endif
