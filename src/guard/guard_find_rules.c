/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's rules in a window, and what a thread needs for that. */
#include "guard/guard_rules_internal.h"

void guard_find_rules(const struct guard_rules *r, const struct guard_window *w,
                      struct guard_rules_scratch *scratch, struct guard_sink *k)
{
    if (r->patterns != NULL) {
        guard_patterns_find(r->patterns, w, scratch, k);
    }
    if (r->words != NULL) {
        guard_words_find(r->words, w, k);
    }
}

enum err guard_rules_scratch_fit(struct guard_rules_scratch *s, const struct guard_rules *r)
{
    return r->patterns == NULL ? ERR_OK : guard_patterns_fit(r->patterns, s);
}
