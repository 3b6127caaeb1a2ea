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

/* SHA-256 of all that a form says, in one order; of the files of lists, of what is in them.
 * ERR_NO_MEMORY. */
MUST_USE enum err guard_form_digest(const struct guard_form *f, uint8_t out[GUARD_DIGEST_BYTES]);

#endif
