/* SPDX-License-Identifier: Apache-2.0 */
/* guard_rules_internal.h — what a set of rules is made of. For guard's own files. */
#ifndef GUARD_GUARD_RULES_INTERNAL_H
#define GUARD_GUARD_RULES_INTERNAL_H

#include <stdatomic.h>

#include "guard/guard_patterns.h"
#include "guard/guard_words.h"

struct guard_rules {
    _Atomic int refs;
    unsigned first;
    size_t count;
    struct guard_patterns *patterns; /* NULL: no rule is one */
    struct guard_words *words;       /* NULL: no rule is a list */
    struct guard_rules_row {
        char name[GUARD_NAME_BYTES];
        enum guard_rule_kind kind;
    } rows[GUARD_RULES_MAX];
};

#endif
