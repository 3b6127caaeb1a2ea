/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_near.h — the name that was probably meant, for "did you mean".
 *
 * Distance counts inserted, missing, changed and swapped neighbouring bytes (optimal string
 * alignment), ASCII letters without regard to case.
 *
 * Limits   names of more than TEXT_NEAR_BYTES_MAX bytes are near to nothing.
 * Threads  any; no state.
 * Sources  F. J. Damerau, "A technique for computer detection and correction of spelling errors",
 *          CACM 7(3), 1964.
 */
#ifndef TEXT_TEXT_NEAR_H
#define TEXT_TEXT_NEAR_H

#include "base/span.h"

#define TEXT_NEAR_BYTES_MAX 64

/* How many edits lie between `a` and `b`; SIZE_MAX when one is too long. */
size_t text_distance(struct span a, struct span b);

/*
 * The one of `count` candidates that is nearest to `word`, the first of equals; NULL when none is
 * within a third of the word's length (at least one edit).
 */
const char *text_nearest(struct span word, const char *const *candidates, size_t count);

#endif
