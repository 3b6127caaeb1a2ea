/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_place.h — where a key's calls may go, by itself and its team, and what data they may bear.
 *
 * Ownership  spans are the directory's: good until the thread's loop turns.
 * Threads    any, at any time.
 * Sources    design.md 4 (residency); docs/routing.md.
 */
#ifndef ACCESS_ACCESS_PLACE_H
#define ACCESS_ACCESS_PLACE_H

#include "access/access.h"
#include "base/data_class.h"

/* Where a key's calls may go, by itself and its team. */
struct access_place {
    struct span regions;         /* a line each; none: neither says so */
    enum data_class most, usual; /* the highest that they may send, that of those that say none */
    bool is_local;               /* the home zone alone */
};
struct access_place access_place_of(const struct access *a, const struct key_handle *key,
                                    const struct limits_subjects *who);

/* What the guard of the call's team does beyond the gateway's; counted for the caller. NULL: its
 * team says nothing, or it has none. */
struct guard_policy *access_guard_of(const struct access *a, const struct limits_subjects *who);

#endif
