/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_words.h — the word lists and dictionaries of one set of rules. For guard's own files.
 *
 * Ownership  guard_words_new() to guard_words_free(); added to, sealed, then only read.
 * Limits     GUARD_WORDS_MAX entries of GUARD_VALUE_BYTES. What is looked up costs per word of the
 *            text, not per entry.
 * Threads    one adds; any look.
 */
#ifndef GUARD_GUARD_WORDS_H
#define GUARD_GUARD_WORDS_H

#include "guard/guard_internal.h"

struct guard_words;

MUST_USE enum err guard_words_new(struct guard_words **out);
void guard_words_free(struct guard_words **w);

/* Adds a list: an entry a line, `#` begins a comment. ERR_CONFIG: `fault` says what is wrong. */
MUST_USE enum err guard_words_add(struct guard_words *w, struct span text, unsigned type,
                                  bool is_exact, char fault[GUARD_RULES_FAULT]);

/* After the last list. */
MUST_USE enum err guard_words_seal(struct guard_words *w);

void guard_words_find(const struct guard_words *words, const struct guard_window *w,
                      struct guard_sink *k);

#endif
