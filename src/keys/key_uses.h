/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_uses.h — when each key was used last, from where and by which of its secrets: noted by all
 * workers, read and written down by others.
 *
 * A key's place has the number of its slot. It is written at most once a second, by one at a time:
 * whoever comes while another writes leaves it to that one. A place's count is odd while it is
 * written, so that who reads sees what belongs together. A bit a key says what is to be written
 * down.
 *
 * Ownership  key_uses_open() hands them to the caller, who gives them back to key_uses_close().
 * Limits     2^28 keys; one costs 32 bytes, of which none is touched before it is used.
 * Threads    note and read: any. The others: one at a time.
 */
#ifndef KEYS_KEY_USES_H
#define KEYS_KEY_USES_H

#include "base/clock.h"
#include "base/err.h"
#include "net/net_ip.h"

struct key_uses;

struct key_last_use {
    wall_us at; /* a whole second */
    bool has_address;
    struct net_ip address;
    bool by_previous; /* by the secret before the key's own, as that was then */
};

/* ERR_NO_MEMORY */
MUST_USE enum err key_uses_open(struct key_uses **out);

/* Sets `*u` to NULL. Does nothing if it is NULL already. */
void key_uses_close(struct key_uses **u);

/* Makes places for `count` keys in all. ERR_NO_MEMORY. */
MUST_USE enum err key_uses_reserve(struct key_uses *u, size_t count);

/* Notes a use; there is a place of this number. */
void key_uses_note(struct key_uses *u, uint32_t number, const struct key_last_use *use);

/* The last use; false: there was none. */
bool key_uses_read(const struct key_uses *u, uint32_t number, struct key_last_use *out);

/* Takes in what was written down: there is nothing to write of it. */
void key_uses_put(struct key_uses *u, uint32_t number, const struct key_last_use *use);

/* There is nothing to write of this key. */
void key_uses_forget(struct key_uses *u, uint32_t number);

/* Numbers of at most `most` keys that were used since they were taken last; goes round, so that
 * every key has its turn. */
size_t key_uses_take(struct key_uses *u, uint32_t *numbers, size_t most);

/* Those of a key are to be taken once more. */
void key_uses_give_back(struct key_uses *u, uint32_t number);

/* Whether there are any to take. */
bool key_uses_are_new(const struct key_uses *u);

#endif
