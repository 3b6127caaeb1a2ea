/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_filter.h — which records `atlas journal print` is asked for.
 *
 * Records lie in the order in which they were written down, but for what waited for a slot or for
 * the disk: MAIN_FILTER_SLACK_MS at most is taken for the difference, on both sides.
 *
 * Ownership  a filter points into what was given.
 * Threads    any; pure, but for the clock.
 * Sources    docs/formats/journal.md; the call id's time: crypto/call_id.h.
 */
#ifndef MAIN_MAIN_FILTER_H
#define MAIN_MAIN_FILTER_H

#include "base/clock.h"
#include "journal/journal_record.h"

#define MAIN_FILTER_SLACK_MS 600000

struct main_filter {
    bool is_set;   /* else every record passes unlooked at */
    bool has_call; /* and `call` is its id */
    uint8_t call[JOURNAL_ID_BYTES];
    char call_member[48];       /* as a line holds it; "" for any */
    char key_members[3][48];    /* one of them, as a line holds it; "" for any */
    int64_t since_ms, until_ms; /* of what is asked for, both included */
    int64_t search_from_ms;     /* nothing older can be asked for; INT64_MIN: unknown */
};

/* What was given, each NULL or a text. */
struct main_wish {
    const char *call, *key, *since, *until;
};

/* Reads a wish. NULL, or a sentence that says what is wrong with it. */
const char *main_filter_read(const struct main_wish *wish, wall_us now, struct main_filter *out);

enum main_filtered {
    MAIN_FILTER_PASSES,
    MAIN_FILTER_NOT,  /* but a later one may */
    MAIN_FILTER_LAST, /* this passes, and nothing behind it can */
    MAIN_FILTER_OVER  /* neither this nor anything behind it can */
};

/* What a line of the journal is to the filter. */
enum main_filtered main_filter_look(const struct main_filter *f, struct span line);

#endif
