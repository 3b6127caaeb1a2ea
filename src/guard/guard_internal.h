/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_internal.h — what the detectors share: a window of folded text, and where they say what
 * they found. For guard's own files.
 *
 * Each place of a text is decided by what stands before it (GUARD_BEFORE bytes as they came) and by
 * GUARD_VALUE_BYTES + 1 from it on, so that nothing depends on how the text was cut. A detector
 * that would have to see more than the window holds says guard_sink_wait() for the place where its
 * value begins, unless the window is the text's last; it is asked again, with more.
 */
#ifndef GUARD_GUARD_INTERNAL_H
#define GUARD_GUARD_INTERNAL_H

#include "guard/guard_rules.h"
#include "guard/guard_scan.h"

/* A stretch of folded text (text_fold.h): case is kept, digits are ASCII, what has no width is not
 * there. Offsets of findings are offsets into it; guard_scan.c translates them. */
struct guard_window {
    struct span text;
    size_t from;   /* the first place where a value may begin that was not decided; what stands
                      before is context */
    bool is_first; /* the text begins where the window begins */
    bool is_last;  /* and ends where it ends */
};

struct guard_sink;

/* A value was found at [start, end) of the window. One that begins before `from` is ignored. */
void guard_sink_add(struct guard_sink *k, size_t start, size_t end, unsigned type, unsigned percent,
                    bool is_validated);

/* Whether a value begins at `start` is not known before more is there. */
void guard_sink_wait(struct guard_sink *k, size_t start);

/* Detectors. `types`: the bits that are wanted. */
void guard_find_numbers(const struct guard_window *w, uint32_t types, struct guard_sink *k);
void guard_find_addresses(const struct guard_window *w, uint32_t types, struct guard_sink *k);
void guard_find_secrets(const struct guard_window *w, uint32_t types, struct guard_sink *k);
void guard_find_rules(const struct guard_rules *r, const struct guard_window *w,
                      struct guard_scratch *scratch, struct guard_sink *k);

/* Tripwires that the window touches are noted in the scan. */
void guard_find_tripwires(const struct guard_window *w, struct guard_scan *s);

#endif
