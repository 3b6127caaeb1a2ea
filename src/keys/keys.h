/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h — who calls: keys are loaded, and checked on every call. What changes them is
 * keys_change.h.
 *
 * A check costs one hash and one look-up in memory. It never touches the store.
 *
 * What is wrong with one key stops that key: a row that is damaged, or whose pepper is not in the
 * pepper file, is counted, and the others are loaded.
 *
 * The order of a check is: shape and checksum, id, MAC (against nothing when the id is unknown, in
 * the same time), kind, revocation, expiry, the end of a secret that was replaced. Only who knows
 * the secret is told why it is no good. What has another shape is looked for among the keys that
 * were taken over from other gateways, by its digest, if there are any.
 *
 * Ownership  keys_open() hands the keys to the caller, who gives them back to keys_close().
 * Threads    the functions that take a store on the store's thread only; the others anywhere at
 *            any time.
 * Sources    docs/formats/keys.md.
 */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "crypto/hmac.h"
#include "keys/key_deny.h"
#include "keys/key_grant.h"
#include "keys/key_scope.h"
#include "keys/key_string.h"
#include "keys/key_table.h"
#include "keys/key_uses.h"
#include "store/store.h"

#define KEYS_PEPPER_FILE "pepper" /* its name in the data folder */

/* Which routes a key is shown to. */
enum key_use { KEY_USE_INFERENCE, KEY_USE_ADMIN };

struct keys;
struct store_key;

/* A key that was checked: what a call keeps of it. */
struct key_handle {
    uint32_t slot;
    uint32_t generation;
    uint32_t scopes;     /* a set of enum key_scope; of an admin key its role */
    uint8_t kind;        /* enum key_kind */
    wall_us expires;     /* the key, or its secret if that is sooner; KEY_NEVER_US: never */
    uint32_t team, user; /* struct key_bonds */
    uint32_t secret;     /* the number of the one that it was checked by (key_secret.h) */
    bool is_previous;    /* that is the one before the key's own */
    char id[KEY_ID_CHARS + 1];
};

/*
 * Says whose the key of a row is, before the key works in `slot`, and again with each change of it;
 * whoever knows teams and plans prepares there what the key may then do, and marks the grant that
 * it will have (NULL: none). An error keeps the key from working, or the change from being taken
 * in.
 */
typedef enum err keys_bind(void *ctx, uint32_t slot, const struct store_key *row,
                           struct key_grant *grant, struct key_bonds *out);

/*
 * Reads the pepper file at `pepper_path`; no key is known yet.
 *
 *   ERR_PEPPER, ERR_PEPPER_OPEN, ERR_FILE, ERR_DISK  as key_peppers_read()
 *   ERR_NO_MEMORY
 */
MUST_USE enum err keys_open(const char *pepper_path, struct keys **out);

/* Has keys bound from now on; before keys_load(). */
void keys_set_bind(struct keys *k, keys_bind *bind, void *ctx);

/* What other threads may read still is freed later: every reader's loop has turned since `turned`.
 */
void keys_set_turned(struct keys *k, mono_us turned);

/* Wipes and closes `*k` and sets it to NULL. Does nothing if it is NULL already. */
void keys_close(struct keys **k);

/* What keys_load() found. */
struct keys_report {
    uint64_t damaged;       /* rows that cannot be what Atlas wrote: these keys do not work */
    uint64_t no_pepper;     /* keys whose pepper is not in the file: nor do these */
    uint64_t unbound;       /* whose team, user or plan is not there: nor do these */
    uint64_t denied;        /* keys that the file of revoked keys ends, though the store does not */
    uint64_t damaged_lines; /* of that file */
};

/*
 * Whether the peppers are those that the store's keys were made with; what proves a new one is put
 * into the store, unless that cannot be written just now.
 *
 *   ERR_PEPPER_WRONG  one of them is another of the same version
 *   any error of the store in reading
 */
MUST_USE enum err keys_prove(const struct keys *k, struct store *s);

/*
 * Takes all keys of the store in, once, before any reader: 1,000,000 in about a second. Those that
 * `deny` holds are revoked, whatever the store says. `deny` is borrowed until keys_close().
 *
 *   ERR_PEPPER_WRONG  as keys_prove()
 *   any error of the store; ERR_DISK: the file of revoked keys cannot be read
 */
MUST_USE enum err keys_load(struct keys *k, struct store *s, struct key_deny *deny,
                            struct keys_report *report);

/* The grant of a key, for this turn of the loop; NULL: it is bound to nothing. */
const struct key_grant *keys_grant(const struct keys *k, uint32_t slot);

/* All grants that keys have, for the store's thread. */
const struct key_grants *keys_grants(const struct keys *k);

/* When the key of this id was revoked, as far as memory knows; 0: it was not. */
wall_us keys_revoked(const struct keys *k, struct span id);

/* Makes a secret of `message`, for another use than checking keys, with the pepper of a version.
 * False: the file lacks it. */
MUST_USE bool keys_derive(const struct keys *k, uint8_t version, struct span message,
                          uint8_t out[CRYPTO_SHA256_BYTES]);

/* Whether the pepper file holds this version, or a secret of it needs none, and which one new keys
 * take. */
bool keys_has_pepper(const struct keys *k, uint8_t version);
uint8_t keys_newest_pepper(const struct keys *k);

/*
 * Checks the token of a request.
 *
 *   ERR_KEY_INVALID     it is no key, or none of ours
 *   ERR_KEY_WRONG_KIND  an admin key on inference routes, or the reverse
 *   ERR_KEY_REVOKED
 *   ERR_KEY_EXPIRED
 *   ERR_KEY_REPLACED    by the secret before the key's own, whose grace is over
 */
MUST_USE enum err keys_check(const struct keys *k, struct span token, enum key_use use, wall_us now,
                             struct key_handle *out);

/*
 * Whether a key that was checked is good still, in nanoseconds: ERR_OK, ERR_KEY_REVOKED,
 * ERR_KEY_EXPIRED or ERR_KEY_REPLACED. After ERR_OK the handle's end and scopes are what they are
 * now; whoever needs a scope looks at them.
 */
MUST_USE enum err keys_recheck(const struct keys *k, struct key_handle *handle, wall_us now);

/* Counts up with each change of a key: when it moved, open calls recheck theirs. */
uint64_t keys_revision(const struct keys *k);

/* ---- when keys were used last ---- */

/* Notes that a key that was checked is used now, from this address (::, not known): a store or
 * two, once a second. */
void keys_note_use(const struct keys *k, const struct key_handle *handle, const struct net_ip *from,
                   wall_us now);

/* When the key of this id was used last; false: never, as far as is known. */
bool keys_last_use(const struct keys *k, struct span id, struct key_last_use *out);

/*
 * Writes uses that the store has not heard of, KEYS_USES_A_STEP keys at most. Never a record: they
 * are worth no more than what a crash takes, the last few seconds. Any error of the store: they are
 * written the next time.
 */
#define KEYS_USES_A_STEP 512
MUST_USE enum err keys_save_uses(struct keys *k, struct store *s);

/* Whether there is any for keys_save_uses(). */
bool keys_has_uses(const struct keys *k);

/* The table, for counts and figures. */
const struct key_table *keys_table(const struct keys *k);

#endif
