/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_patterns.h — the patterns of one set of rules. For guard's own files.
 *
 * Vectorscan says where in a window a match of each may end; PCRE2 looks there, says where it
 * begins and what it really is. PCRE2 looks alone where Vectorscan cannot: at a window's end, where
 * a match may have begun, and for the patterns that Vectorscan does not take.
 *
 * Ownership  guard_patterns_new() to guard_patterns_free(); added to, sealed, then only read.
 * Limits     GUARD_RULES_MAX patterns; a search takes GUARD_PATTERN_STEPS at each place at most,
 * and what would take more is taken for found. Threads    one adds; any look, each with its own
 * scratch. Sources    PCRE2's pcre2partial and pcre2api, Vectorscan's developer reference.
 */
#ifndef GUARD_GUARD_PATTERNS_H
#define GUARD_GUARD_PATTERNS_H

#include "guard/guard_internal.h"

#define GUARD_PATTERN_STEPS 4000 /* of PCRE2 at a place */

struct guard_patterns;

MUST_USE enum err guard_patterns_new(struct guard_patterns **out);
void guard_patterns_free(struct guard_patterns **p);

/* ERR_CONFIG: `fault` says why the pattern is refused. */
MUST_USE enum err guard_patterns_add(struct guard_patterns *p, struct span text, unsigned type,
                                     char fault[GUARD_RULES_FAULT]);

/* After the last one. ERR_CONFIG: all together are too large. */
MUST_USE enum err guard_patterns_seal(struct guard_patterns *p, char fault[GUARD_RULES_FAULT]);

void guard_patterns_find(const struct guard_patterns *p, const struct guard_window *w,
                         struct guard_rules_scratch *scratch, struct guard_sink *k);

/* guard_rules_scratch_fit() of these. */
MUST_USE enum err guard_patterns_fit(const struct guard_patterns *p,
                                     struct guard_rules_scratch *scratch);

#endif
