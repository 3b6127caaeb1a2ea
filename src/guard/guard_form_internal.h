/* SPDX-License-Identifier: Apache-2.0 */
/* guard_form_internal.h — how what is wrong with a form is told. For the files that read one. */
#ifndef GUARD_GUARD_FORM_INTERNAL_H
#define GUARD_GUARD_FORM_INTERNAL_H

#include "base/memory.h"
#include "guard/guard_form.h"

struct guard_telling {
    guard_problem *problem;
    void *ctx;
    bool is_wrong; /* something was told */
};

void guard_say(struct guard_telling *t, bool is_name, const char *member, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Whether it may be a type of the operator's. */
bool guard_form_is_name(const char *name);

/* Adds the scanners of `external:` to a policy whose rules are made, and numbers the types that
 * only they find from `first` on. ERR_NO_MEMORY. */
MUST_USE enum err guard_form_external(const struct guard_form *f, unsigned first,
                                      struct guard_telling *t, struct guard_policy *p);

/* SHA-256 of all that a form says, in one order; of the files of lists, of what is in them.
 * ERR_NO_MEMORY. */
MUST_USE enum err guard_form_digest(const struct guard_form *f, uint8_t out[GUARD_DIGEST_BYTES]);

#endif
