/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h — who calls: keys are made, loaded, revoked, and checked on every call.
 *
 * A check costs one hash and one look-up in memory. It never touches the store; changes go to the
 * store first and to the table then, so a key works, or works no longer, as soon as the change is
 * on the disk. A revocation is seen by every worker at its next look.
 *
 * The order of a check is: shape and checksum, id, MAC (against nothing when the id is unknown, in
 * the same time), kind, revocation, expiry. Only who knows the secret is told why it is no good.
 *
 * Ownership  keys_open() hands the keys to the caller, who gives them back to keys_close().
 * Threads    keys_check(), keys_recheck() and keys_revision() anywhere at any time; the functions
 *            that take a store on the store's thread only.
 * Sources    docs/formats/keys.md.
 */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "keys/key_string.h"
#include "keys/key_table.h"
#include "store/store.h"

#define KEYS_PEPPER_FILE "pepper" /* its name in the data folder */
#define KEYS_NAME_MAX    STORE_TEXT_MAX

/* What a key may be used for; the numbers are kept in the store and never change. */
enum key_scope {
    KEY_SCOPE_CHAT = 1U << 0,
    KEY_SCOPE_COMPLETIONS = 1U << 1,
    KEY_SCOPE_EMBEDDINGS = 1U << 2,
    KEY_SCOPE_MODELS = 1U << 3,
    KEY_SCOPE_ADMIN = 1U << 30,
};

#define KEY_SCOPES_INFERENCE \
    ((uint32_t)(KEY_SCOPE_CHAT | KEY_SCOPE_COMPLETIONS | KEY_SCOPE_EMBEDDINGS | KEY_SCOPE_MODELS))

/* Which routes a key is shown to. */
enum key_use { KEY_USE_INFERENCE, KEY_USE_ADMIN };

struct keys;

/* A key that was checked: what a call keeps of it. */
struct key_handle {
    uint32_t slot;
    uint32_t generation;
    uint32_t scopes; /* a set of enum key_scope */
    uint8_t kind;    /* enum key_kind */
    wall_us expires; /* KEY_NEVER_US: never */
    char id[KEY_ID_CHARS + 1];
};

/* A key that shall be made. */
struct key_wish {
    enum key_kind kind;
    struct span name; /* 1 to KEYS_NAME_MAX bytes of UTF-8 without control characters */
    wall_us expires;  /* 0: never */
    uint32_t scopes;  /* 0: all of its kind */
};

/*
 * Reads the pepper file at `pepper_path`; no key is known yet.
 *
 *   ERR_PEPPER, ERR_PEPPER_OPEN, ERR_FILE, ERR_DISK  as key_peppers_read()
 *   ERR_NO_MEMORY
 */
MUST_USE enum err keys_open(const char *pepper_path, struct keys **out);

/* Wipes and closes `*k` and sets it to NULL. Does nothing if it is NULL already. */
void keys_close(struct keys **k);

/*
 * Takes all keys of the store in, once, before any reader: 1,000,000 in about a second.
 *
 *   ERR_PEPPER  a key was made with a pepper that the file does not hold
 *   any error of the store
 */
MUST_USE enum err keys_load(struct keys *k, struct store *s);

/* The scopes that a key of this wish has; 0 if it asks for some that its kind has not. */
uint32_t keys_scopes(const struct key_wish *wish);

/*
 * Makes a key, keeps it in the store and takes it in. `out` is the only copy of its text; `id` is
 * where its id is written. Works without keys_load(), too.
 *
 *   ERR_VALUE_INVALID  the name or expiry is not valid, or the scopes are not those of the kind
 *   any error of the store: the key does not work. After ERR_STORE_UNSURE it may be listed.
 */
MUST_USE enum err keys_create(struct keys *k, struct store *s, const struct key_wish *wish,
                              wall_us now, struct key_text *out, char id[KEY_ID_CHARS + 1]);

/*
 * Revokes the key of this id. A key that was revoked before keeps its time.
 *
 *   ERR_NOT_FOUND_ROW
 *   any error of the store: the key still works, but not after ERR_STORE_UNSURE
 */
MUST_USE enum err keys_revoke(struct keys *k, struct store *s, struct span id, wall_us now);

/*
 * Checks the token of a request.
 *
 *   ERR_KEY_INVALID     it is no key, or none of ours
 *   ERR_KEY_WRONG_KIND  an admin key on inference routes, or the reverse
 *   ERR_KEY_REVOKED
 *   ERR_KEY_EXPIRED
 */
MUST_USE enum err keys_check(const struct keys *k, struct span token, enum key_use use, wall_us now,
                             struct key_handle *out);

/* Whether a key that was checked is good still, in nanoseconds: ERR_OK, ERR_KEY_REVOKED or
 * ERR_KEY_EXPIRED. */
MUST_USE enum err keys_recheck(const struct keys *k, const struct key_handle *handle, wall_us now);

static inline bool keys_still_valid(const struct keys *k, const struct key_handle *handle,
                                    wall_us now)
{
    return keys_recheck(k, handle, now) == ERR_OK;
}

/* Counts up with each revocation: when it moved, idle connections recheck their keys. */
uint64_t keys_revision(const struct keys *k);

/* The table, for counts and figures. */
const struct key_table *keys_table(const struct keys *k);

#endif
