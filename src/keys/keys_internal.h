/* SPDX-License-Identifier: Apache-2.0 */
/* keys_internal.h — what the files of keys.h share. */
#ifndef KEYS_KEYS_INTERNAL_H
#define KEYS_KEYS_INTERNAL_H

#include "keys/key_pepper.h"
#include "keys/key_uses.h"
#include "keys/keys_change.h"
#include "store/store_change.h"
#include "store/store_tables.h"

_Static_assert(CRYPTO_SHA256_BYTES == sizeof(((struct store_key *)NULL)->mac) &&
                   CRYPTO_SHA256_BYTES == sizeof(((struct store_key *)NULL)->before_mac),
               "the store keeps whole MACs");

#define KEYS_TRIES 8 /* of a change that another program crosses */

/* Lies in pages of its own that are neither swapped out nor dumped: it holds the peppers. */
struct keys {
    struct key_peppers peppers;
    struct key_table *table;
    struct key_deny *deny; /* NULL before keys_load() */
    struct key_grants grants;
    struct retired_list secrets; /* that were replaced, and may be looked at still */
    struct key_uses *uses;
    keys_bind *bind; /* NULL: keys are nobody's */
    void *bind_ctx;
    _Atomic int64_t turned_us;
};

/* Has the rows follow what was recorded. When they cannot now, they do as soon as they can. */
static inline void keys_follow(struct store *s)
{
    enum err e = store_catch_up(s);
    (void)e; /* the journal's health tells of it (journal_apply.h) */
}

/* Frees secrets that were replaced, once nobody can be looking at them. */
void keys_tidy_secrets(struct keys *k);

/* The secrets that a row says, the newest numbered `number`; NULL in `*out`: it was never rotated.
 * ERR_NO_MEMORY. */
MUST_USE enum err keys_secrets_of(const struct store_key *row, uint32_t number,
                                  struct key_secrets **out);

/* Puts what is kept of a text, by the newest pepper, into its key's row. */
void keys_prove_text(const struct keys *k, const struct key_text *text, struct store_key *row);

/* Takes in when keys were used last. Any error of the store. */
MUST_USE enum err keys_load_uses(struct keys *k, struct store *s);

#endif
