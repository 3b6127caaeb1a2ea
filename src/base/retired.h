/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retired.h — what was replaced, and others may still be reading: freed when they cannot any more.
 *
 * A reader takes a pointer and uses it within one turn of its loop. So a block that was replaced is
 * free of readers when every loop has begun a turn since. When it was replaced is what the clock
 * says behind that, and not what anybody read before: a loop may have turned in between, and found
 * it.
 *
 * Ownership  a block is the list's from retired_add() on.
 * Threads    one at a time.
 */
#ifndef BASE_RETIRED_H
#define BASE_RETIRED_H

#include <stdbool.h>

#include "base/clock.h"

/* The first member of every block that is retired. */
struct retired {
    struct retired *next;
    mono_us at;
};

/* Frees a block, or leaves it there: then it is asked again. Whether it is gone. */
typedef bool retired_free(struct retired *block);

struct retired_list {
    struct retired *first, *last; /* the oldest and the newest; NULL at first */
};

/* Has a block freed later. Another has been put in its place by now, by atomic_exchange(): nobody
 * finds it any more. */
void retired_add(struct retired_list *list, struct retired *block);

/* Has those freed that were retired before `turned`. It looks no further than the first that was
 * not, so who retires a million in one turn may tidy after each. */
void retired_tidy(struct retired_list *list, mono_us turned, retired_free *free_block);

#endif
