/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_balance.h — balances of windows that are long over are forgotten.
 *
 * Ownership, threads, common errors: store.h.
 */
#ifndef STORE_STORE_BALANCE_H
#define STORE_STORE_BALANCE_H

#include <stdbool.h>

#include "base/clock.h"
#include "store/store.h"

/*
 * Forgets some of the balances whose windows began before `before`, in a transaction of its own;
 * those of windows that never end stay. `*is_done`: there are no more.
 */
MUST_USE enum err store_balance_forget(struct store *s, wall_us before, bool *is_done);

#endif
