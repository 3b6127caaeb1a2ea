/* SPDX-License-Identifier: Apache-2.0 */
/* (skeleton) */
#include "guard/guard_internal.h"

void guard_find_secrets(const struct guard_window *w, uint32_t types, struct guard_sink *k)
{
    (void)w, (void)types, (void)k;
}

size_t guard_secret_run(struct span text, size_t from)
{
    (void)text;
    return from;
}
