/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys_find.h — a key by its id, for who explains what its calls are answered.
 *
 * Threads  any.
 */
#ifndef KEYS_KEYS_FIND_H
#define KEYS_KEYS_FIND_H

#include "keys/keys.h"

/*
 * The key of an id, as one that was checked by its own secret now: for who explains what its calls
 * are answered.
 *
 *   ERR_NOT_FOUND_ROW  there is none
 *   ERR_KEY_REVOKED, ERR_KEY_EXPIRED
 */
MUST_USE enum err keys_find(const struct keys *k, struct span id, wall_us now,
                            struct key_handle *out);

#endif
