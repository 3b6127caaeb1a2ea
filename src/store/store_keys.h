/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_keys.h — API keys in the store: never the key, only its id and its MAC.
 *
 * Each change of the table counts the key revision up by one, in the same batch.
 *
 * Ownership, threads, common errors: store.h.
 * Sources    table `api_key`: docs/formats/schema.md.
 */
#ifndef STORE_STORE_KEYS_H
#define STORE_STORE_KEYS_H

#include "store/store.h"

#define STORE_KEY_ID_CHARS  12
#define STORE_KEY_MAC_BYTES 32

struct store_key {
    struct span id;   /* STORE_KEY_ID_CHARS characters of Base62 */
    struct span name; /* what its maker called it; up to STORE_TEXT_MAX bytes */
    uint8_t mac[STORE_KEY_MAC_BYTES];
    uint8_t kind;    /* a number of keys/key_string.h */
    uint8_t pepper;  /* the version of the pepper that `mac` was made with */
    uint32_t scopes; /* a set of keys/keys.h */
    wall_us created;
    wall_us expires; /* 0: never */
    wall_us revoked; /* 0: it was not */
};

/* Receives a row; anything but ERR_OK ends the listing, which then returns it. It may not call the
 * store. */
typedef enum err store_on_key(void *context, const struct store_key *key);

/*
 * Adds a key.
 *
 *   ERR_EXISTS         there is one of this id; it was left as it is
 *   ERR_VALUE_INVALID  an id or name of another length than those above
 */
MUST_USE enum err store_key_insert(struct store *s, const struct store_key *key);

/*
 * Writes down that the key was revoked at `when` (not 0). A key revoked before keeps its time.
 *
 *   ERR_NOT_FOUND_ROW
 */
MUST_USE enum err store_key_revoke(struct store *s, struct span id, wall_us when);

/*
 * Finds the key of this id.
 *
 *   ERR_NOT_FOUND_ROW
 */
MUST_USE enum err store_key_find(struct store *s, struct span id, struct store_key *out);

/* Gives every key to `on_key`, in the order of insertion: 1,000,000 of them in about a second. */
MUST_USE enum err store_key_list(struct store *s, store_on_key *on_key, void *context);

/* How often the keys have changed since the store was made. */
MUST_USE enum err store_key_revision(struct store *s, uint64_t *out);

#endif
