/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys_change.h — keys are made, changed, rotated, revoked and deleted.
 *
 * Whatever changes a key is a record in the journal first, in memory then, in the store last
 * (store/store_change.h). A revocation alone begins in memory, so that nothing can keep it waiting,
 * and in the file of revoked keys (key_deny.h), which a full disk takes, too; its record follows.
 * It is seen by every worker at its next look.
 *
 * Ownership  what is given is borrowed for the call.
 * Threads    the functions that take a store on the store's thread only; the others anywhere at
 *            any time.
 * Sources    docs/formats/keys.md.
 */
#ifndef KEYS_KEYS_CHANGE_H
#define KEYS_KEYS_CHANGE_H

#include "keys/keys.h"
#include "store/store_tables.h"

#define KEYS_NAME_MAX STORE_TEXT_MAX

#define KEY_GRACE_S        86400
#define KEY_GRACE_MOST_S   (7 * KEY_GRACE_S)
#define KEY_RHYTHM_LEAST_S 3600
#define KEY_RHYTHM_MOST_S  (3660 * INT64_C(86400)) /* ten years */

/* Bytes of another gateway's key that is taken over, at most; all printable ASCII without blanks.
 * How short it may be was the other gateway's matter: all that is left of it is its digest. */
#define KEY_FOREIGN_MOST 256

/* Bytes of a key's grant, as the store has room for them. */
#define KEY_MODELS_MAX         1536
#define KEY_NETWORKS_BYTES_MAX 1024
#define KEY_TAGS_MAX           1024

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

/* The row of a key that is made by a wish, but for what proves its secret. Its spans are the wish's
 * and `id`. */
struct store_key keys_row(const struct key_wish *wish, struct span id, wall_us now);

/* What shall be another about a key. */
struct key_change {
    bool has_name, has_expires, has_scopes, has_role;
    bool has_plan, has_models, has_networks, has_tags, has_place, has_rotate_every;
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
    wall_us now;
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
                              const struct key_rotation *rotation, struct store_key *out,
                              struct key_text *text);

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
 * Tells the journal and the store of what they have not heard of yet: what the file of revoked
 * keys holds before its line `end`, and what commands changed while no gateway ran.
 *
 *   any error of the store or the journal: what is left is told the next time. ERR_DISK: the file
 *   cannot be read
 */
MUST_USE enum err keys_tell_store(struct key_deny *deny, struct store *s, uint64_t end);

/*
 * Takes a key that was revoked or has expired out of the store. In memory it stays refused.
 *
 *   ERR_NOT_FOUND_ROW
 *   ERR_VALUE_INVALID  it works still: it must be revoked first
 *   any error of the store: it is still there
 */
MUST_USE enum err keys_delete(struct keys *k, struct store *s, struct span id, struct span actor,
                              wall_us now);

#endif
