/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h — who calls: keys are made, loaded, revoked, deleted, and checked on every call.
 *
 * A check costs one hash and one look-up in memory. It never touches the store. Whatever changes a
 * key is a record in the journal first, in memory then, in the store last (store/store_change.h).
 * A revocation alone begins in memory, so that nothing can keep it waiting, and in the file of
 * revoked keys (key_deny.h), which a full disk takes, too; its record follows. It is seen by every
 * worker at its next look.
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
#define KEYS_NAME_MAX    STORE_TEXT_MAX

#define KEY_GRACE_S        86400
#define KEY_GRACE_MOST_S   (7 * KEY_GRACE_S)
#define KEY_RHYTHM_LEAST_S 3600
#define KEY_RHYTHM_MOST_S  (3660 * INT64_C(86400)) /* ten years */

/* Bytes of another gateway's key that is taken over; all printable ASCII without blanks. */
#define KEY_FOREIGN_LEAST 16
#define KEY_FOREIGN_MOST  256

/* Bytes of a key's grant, as the store has room for them. */
#define KEY_MODELS_MAX         1536
#define KEY_NETWORKS_BYTES_MAX 1024
#define KEY_TAGS_MAX           1024

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
 * whoever knows teams and plans prepares there what the key may then do. An error keeps the key
 * from working, or the change from being taken in.
 */
typedef enum err keys_bind(void *ctx, uint32_t slot, const struct store_key *row,
                           struct key_bonds *out);

/* A key that shall be made. */
struct key_wish {
    enum key_kind kind;
    struct span name;             /* 1 to KEYS_NAME_MAX bytes of UTF-8 without control characters */
    wall_us expires;              /* 0: never */
    uint32_t scopes;              /* of an inference key; 0: all */
    struct span team, user, plan; /* ids; empty: none */
    struct key_grant_texts grant;
    struct span actor;      /* who makes it, for the journal; empty: not known */
    uint8_t role;           /* enum key_role, of an admin key */
    int64_t rotate_every_s; /* 0: no such rule */
    const uint8_t *seed;    /* KEY_SEED_BYTES that its text is made of; NULL: it is new */
    /* SHA-256 of another gateway's key that shall work on as this one; NULL: a key of ours. Not of
     * an admin key: what opens that must not lie in a database as it is */
    const uint8_t *digest;
};

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

/* The scopes that a key of this wish has, of an admin key what its role says in memory; 0 if it
 * asks for some that its kind has not. */
uint32_t keys_scopes(const struct key_wish *wish);

/*
 * Makes a key: in the journal first (store/store_change.h), in memory then, in the store last.
 * `out` is the only copy of its text, empty of one that is taken over; `id` is where its id is
 * written. Works without keys_load(), too.
 *
 *   ERR_VALUE_INVALID  the name, expiry or a network is not valid, or scopes or role are not those
 *                      of the kind
 *   ERR_EXISTS  the key of the wish's seed was made before; its text and id are told
 *   ERR_KEY_TAKEN  another key has this digest
 *   what the bind says
 *   any error of the store or the journal: the key does not work. After ERR_STORE_UNSURE it may be
 *   listed.
 */
MUST_USE enum err keys_create(struct keys *k, struct store *s, const struct key_wish *wish,
                              wall_us now, struct key_text *out, char id[KEY_ID_CHARS + 1]);

/* What shall be another about a key. */
struct key_change {
    bool has_name, has_expires, has_scopes, has_role;
    bool has_plan, has_models, has_networks, has_tags, has_rotate_every;
    struct span name; /* as a wish's */
    wall_us expires;  /* 0: never */
    uint32_t scopes;  /* some of an inference key's, not none */
    uint8_t role;     /* enum key_role, of an admin key */
    int64_t rotate_every_s;
    struct span plan;
    struct key_grant_texts grant;
    struct span actor; /* as in struct key_wish */
};

/*
 * Changes a key. It works by the change at once, on open streams too. `*out` is its row afterwards;
 * its spans are valid until the next operation on the store.
 *
 *   ERR_NOT_FOUND_ROW
 *   ERR_REVISION       another program changes it again and again
 *   ERR_VALUE_INVALID  as keys_create(), or the row is damaged
 *   any error of the store or the journal: nothing was changed; after ERR_STORE_UNSURE it may be
 */
MUST_USE enum err keys_change(struct keys *k, struct store *s, struct span id,
                              const struct key_change *change, wall_us now, struct store_key *out);

/* How a key is rotated. */
struct key_rotation {
    int64_t grace_s;     /* how long the secret that it has now works on; 0 to KEY_GRACE_MOST_S */
    struct span actor;   /* as in struct key_wish */
    const uint8_t *seed; /* as in struct key_wish */
};

/*
 * Gives the key a new secret, made with the newest pepper; its id stays. The one that it had works
 * until the grace is over. In the journal first, in memory then. `text` is the only copy of the new
 * one; `*out` is the row, whose spans are valid until the next operation on the store.
 *
 *   ERR_NOT_FOUND_ROW
 *   ERR_ROTATION       the secret before works still
 *   ERR_EXISTS         the rotation of this seed was done before; its text and row are told
 *   ERR_REVISION       as keys_change()
 *   ERR_VALUE_INVALID  the key was revoked, has expired or is damaged, or the grace is too long
 *   any error of the store or the journal: the key has the secret that it had. After
 *   ERR_STORE_UNSURE it may have the new one from the next start on
 */
MUST_USE enum err keys_rotate(struct keys *k, struct store *s, struct span id,
                              const struct key_rotation *rotation, wall_us now,
                              struct store_key *out, struct key_text *text);

/* When the key of a row should be rotated; 0: never. It works on: whoever wants it to end gives it
 * an end. */
wall_us keys_due(const struct store_key *row);

/* Whether a key may be due every so many seconds, or never. */
bool keys_is_rhythm(int64_t rotate_every_s);

/*
 * Ends the key of this id at `when` in memory, at once and for this process only: it must be
 * written down, too. A key that was revoked before keeps its time.
 *
 *   ERR_NOT_FOUND_ROW  it was not taken in
 */
MUST_USE enum err keys_deny(struct keys *k, struct span id, wall_us when);

/*
 * Revokes the key of this id in memory, in the file of revoked keys, and as keys_revoke_row(). A
 * key that was revoked before keeps its time. ERR_OK as soon as the file or the journal holds it.
 *
 *   ERR_NOT_FOUND_ROW  the store has no such key
 *   any error of the store or the journal: the key is refused until this process ends
 */
MUST_USE enum err keys_revoke(struct keys *k, struct store *s, struct span id, struct span actor,
                              wall_us now);

/*
 * Writes into the journal and the store that the key of this id was revoked at `when`; without a
 * gateway, into the store and for the next one. One that was revoked before keeps its time.
 *
 *   ERR_NOT_FOUND_ROW
 *   any error of the store or the journal
 */
MUST_USE enum err keys_revoke_row(struct store *s, struct span id, struct span actor, wall_us when);

/*
 * Tells the journal and the store of what they have not heard of yet: all that the file of revoked
 * keys holds, and what commands changed while no gateway ran.
 *
 *   any error of the store or the journal: what is left is told the next time. ERR_DISK: the file
 *   cannot be read
 */
MUST_USE enum err keys_tell_store(struct key_deny *deny, struct store *s);

/*
 * Takes a key that was revoked or has expired out of the store. In memory it stays refused.
 *
 *   ERR_NOT_FOUND_ROW
 *   ERR_VALUE_INVALID  it works still: it must be revoked first
 *   any error of the store: it is still there
 */
MUST_USE enum err keys_delete(struct keys *k, struct store *s, struct span id, struct span actor,
                              wall_us now);

/* The grant of a key, for this turn of the loop; NULL: it is bound to nothing. */
const struct key_grant *keys_grant(const struct keys *k, uint32_t slot);

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
