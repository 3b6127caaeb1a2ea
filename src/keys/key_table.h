/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_table.h — every key in memory, read by all workers without a lock.
 *
 * A key has a slot that never moves and is never given to another key while the table is open:
 * revoked keys stay, deleted ones too, so that they can be told from unknown ones. What may change
 * in a slot (expiry, revocation, scopes, plan, grant, secrets) are single atomic words; the slot's
 * generation counts the changes. An index over the ids finds the slot, another over the digests of
 * secrets that were taken over from other gateways those that have one.
 *
 * Always true between two calls:
 *   1. A slot that the index names is filled; what identifies its key never changes again.
 *   2. The index is at most two thirds full, so a search ends.
 *   3. `count` slots are filled, and each is in the index exactly once.
 *
 * Ownership  key_table_open() hands the table to the caller, who gives it back to
 *            key_table_close(). A grown index replaces its half; the halves are kept until the
 *            table closes, as a reader may be in one: together they are smaller than the newest.
 *            Secrets are the slot's that has them.
 * Limits     2^31 keys. A key costs 104 bytes in its slot and 12 to 24 in the index (up to twice
 *            that with the halves, which key_table_tidy() frees after a load).
 * Threads    one writer at a time (insert, reserve); any number of readers, and revoke, at any
 * time.
 */
#ifndef KEYS_KEY_TABLE_H
#define KEYS_KEY_TABLE_H

#include <stdatomic.h>

#include "base/clock.h"
#include "crypto/hmac.h"
#include "keys/key_secret.h"
#include "keys/key_string.h"

struct key_grant;
struct key_table;

/* Whose a key is: numbers of another part's, SLOTS_NONE for nobody. */
struct key_bonds {
    uint32_t team, user, plan;
};

/* What may change about a key. */
struct key_terms {
    uint32_t scopes;
    wall_us expires; /* 0: never */
    wall_us due;     /* when it should be rotated; 0: never */
    struct key_bonds bonds;
    const struct key_grant *grant; /* NULL: no bound; borrowed for as long as readers may have it */
};

/* A key as one inserts it. */
struct key_facts {
    char id[KEY_ID_CHARS];
    struct key_proof proof;
    uint8_t kind;
    struct key_terms terms;
    wall_us revoked;             /* 0: it was not */
    struct key_secrets *secrets; /* NULL: it was never rotated. The table's once it is in */
};

/* A key in its slot. Read the words of the second half through atomics only. */
struct key_slot {
    char id[KEY_ID_CHARS];
    uint8_t kind;
    struct key_proof proof; /* of its first secret */
    _Atomic bool is_gone;   /* it was deleted: no digest finds it */

    _Atomic uint32_t generation; /* 1 at first; counted up after each change of what follows */
    _Atomic uint32_t scopes;
    _Atomic int64_t expires_us; /* KEY_NEVER_US: never */
    _Atomic int64_t revoked_us; /* KEY_NEVER_US: it was not */
    _Atomic uint32_t team, user, plan;
    _Atomic uint32_t due_s; /* seconds since 1970; 0: never */
    _Atomic(const struct key_grant *) grant;
    _Atomic(struct key_secrets *) secrets; /* NULL: it was never rotated */
};

MUST_USE enum err key_table_open(struct key_table **out);

/* Closes `*t` and sets it to NULL. Does nothing if it is NULL already. No reader may be left. */
void key_table_close(struct key_table **t);

/* Frees the halves. No reader may be in the table: after a load, before the workers start. */
void key_table_tidy(struct key_table *t);

/* Makes room for `count` keys in all, so that inserting up to there cannot fail by
 * ERR_NO_MEMORY. */
MUST_USE enum err key_table_reserve(struct key_table *t, size_t count);

/* The same for `count` more digests. */
MUST_USE enum err key_table_reserve_digests(struct key_table *t, size_t count);

/*
 * Adds a key. One whose secret, or that before it, was taken over is found by its digest from now
 * on.
 *
 *   ERR_EXISTS     there is one of this id; it was left as it is
 *   ERR_NO_MEMORY
 */
MUST_USE enum err key_table_insert(struct key_table *t, const struct key_facts *key);

/*
 * Revokes the key at `when` (not 0); a key revoked before keeps its time. Readers see it at once.
 *
 *   ERR_NOT_FOUND_ROW
 */
MUST_USE enum err key_table_revoke(struct key_table *t, struct span id, wall_us when);

/*
 * Gives the key other terms; `*before` is the grant that it had. Readers see it at once.
 *
 *   ERR_NOT_FOUND_ROW
 */
MUST_USE enum err key_table_change(struct key_table *t, struct span id,
                                   const struct key_terms *terms, const struct key_grant **before);

/*
 * Gives the key other secrets; `*before` are those that it had, NULL: none. A reader may have them
 * still. Readers see it at once.
 *
 *   ERR_NOT_FOUND_ROW
 */
MUST_USE enum err key_table_rotate(struct key_table *t, struct span id, struct key_secrets *secrets,
                                   struct key_secrets **before);

/* The key is revoked, and was deleted: another may have its digest. Nothing if it is not there. */
void key_table_forget(struct key_table *t, struct span id);

/* The number of the slot of the key of this id; false if there is none. */
bool key_table_find(const struct key_table *t, struct span id, uint32_t *out);

/* The same by a secret's digest: `*secret` is the number of the secret, the one that the key has
 * now or the one before. */
bool key_table_find_digest(const struct key_table *t, const uint8_t digest[CRYPTO_SHA256_BYTES],
                           uint32_t *out, uint32_t *secret);

/* Whether there is any digest. */
bool key_table_has_digests(const struct key_table *t);

/* The slot of a number that key_table_find() gave. */
const struct key_slot *key_table_slot(const struct key_table *t, uint32_t number);

/* Keys in the table, revoked ones too. */
size_t key_table_count(const struct key_table *t);

/* Counts up after each change of a key that is in the table: idle connections are swept then. */
uint64_t key_table_revision(const struct key_table *t);

/* Bytes that the table has on the heap; memory that no slot has touched yet is not counted. */
size_t key_table_bytes(const struct key_table *t);

#endif
