/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_pepper.h — the secret that turns a key into what the store keeps of it.
 *
 * The store keeps HMAC-SHA-256(pepper, key). The pepper lies in a file of its own and never in the
 * database, so a stolen database can neither be used nor tried against leaked keys. A file holds
 * up to KEY_PEPPERS_MAX of them, each with its version: new keys take the newest, old keys theirs.
 *
 * Ownership  key_peppers_read() fills memory of the caller's, who wipes it with crypto_wipe().
 * Limits     the file must be a regular one of the caller's user with mode 0600 or stricter.
 * Threads    any; read only after reading.
 * Sources    docs/formats/keys.md, section Pepper.
 */
#ifndef KEYS_KEY_PEPPER_H
#define KEYS_KEY_PEPPER_H

#include "base/err.h"
#include "crypto/hmac.h"

#define KEY_PEPPER_BYTES 32
#define KEY_PEPPERS_MAX  8

struct key_peppers {
    size_t count; /* the newest is the last */
    struct {
        uint8_t version; /* 1 to 255 */
        struct crypto_hmac_key hmac;
    } row[KEY_PEPPERS_MAX];
};

/*
 * Makes a file with one new pepper, version 1, and waits for the disk.
 *
 *   ERR_EXISTS  something of this name is there; it was left as it is
 *   ERR_FILE, ERR_DISK, ERR_DISK_FULL  no file is left behind
 */
MUST_USE enum err key_pepper_make(const char *path);

/*
 * Reads the file.
 *
 *   ERR_PEPPER       it is missing or damaged
 *   ERR_PEPPER_OPEN  it is not a regular file, another user's, or others may read it
 *   ERR_FILE         it cannot be opened
 *   ERR_DISK         it cannot be read
 */
MUST_USE enum err key_peppers_read(const char *path, struct key_peppers *out);

/*
 * Adds a new pepper, which new keys take from the next start on. The file is replaced as a whole:
 * whatever fails, it is the old one or the new one.
 *
 *   ERR_EXISTS  there are KEY_PEPPERS_MAX, or version 255 was given away
 *   ERR_FILE, ERR_DISK, ERR_DISK_FULL  the file is as it was
 *   and as key_peppers_read()
 */
MUST_USE enum err key_pepper_add(const char *path, uint8_t *version);

/*
 * Takes the pepper of this version out; the keys that were made with it are refused from the next
 * start on. Fails as key_pepper_add() does, and
 *
 *   ERR_NOT_FOUND_ROW  there is none of this version
 *   ERR_VALUE_INVALID  it is the newest: its number must not be given to another
 */
MUST_USE enum err key_pepper_remove(const char *path, uint8_t version);

/* The pepper of this version, or NULL. */
const struct crypto_hmac_key *key_pepper_find(const struct key_peppers *p, uint8_t version);

#endif
