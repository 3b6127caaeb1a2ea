/* SPDX-License-Identifier: Apache-2.0 */
/* guard_secrets_internal.h — what the two ways to find a secret share. For guard_secret*.c. */
#ifndef GUARD_GUARD_SECRETS_INTERNAL_H
#define GUARD_GUARD_SECRETS_INTERNAL_H

#include "guard/guard_internal.h"
#include "guard/guard_secret_shape.h"
#include "guard/guard_triggers.h"

/* Adds the words behind which secrets stand, with ids from `first` on. */
void guard_secret_words_add(struct guard_triggers *t, unsigned first);

/* Looks whether the word of this number (from 0 on) ends at `end`, and what stands behind it. */
void guard_secret_words_look(const struct guard_window *w, unsigned number, size_t end,
                             struct guard_sink *k);

#endif
