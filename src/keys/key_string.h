/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_string.h — the text of an API key: made, and read again without knowing any key.
 *
 *     mx4_sk_live_ <id: 12> <secret: 32> <checksum: 6>      inference
 *     mx4_sk_test_ …                                         inference, for evaluation
 *     mx4_ak_      …                                         administration
 *
 * All in Base62. The id names the key in logs and in the store; the secret is 190 random bits; the
 * checksum is the CRC-32 of all before it. The checksum is no security: it tells a mistyped key
 * from a wrong one before anything is looked up, and lets a scanner of leaks decide offline.
 *
 * Ownership  a struct key_text is as secret as the key: wipe it with crypto_wipe().
 * Threads    any.
 * Sources    docs/formats/keys.md.
 */
#ifndef KEYS_KEY_STRING_H
#define KEYS_KEY_STRING_H

#include "base/err.h"
#include "base/span.h"

#define KEY_ID_CHARS 12
#define KEY_TEXT_MAX 62

/* The numbers are kept in the store and never change. */
enum key_kind { KEY_LIVE = 1, KEY_TEST = 2, KEY_ADMIN = 3 };

struct key_text {
    char text[KEY_TEXT_MAX + 1];
};

struct key_parts {
    enum key_kind kind;
    struct span id; /* lies in the text that was read */
};

/* Makes a new key of this kind. */
void key_string_make(enum key_kind kind, struct key_text *out);

#define KEY_SEED_BYTES 32

/* The same, but of a seed that nobody can guess: the same key of the same seed. */
void key_string_make_of(enum key_kind kind, const uint8_t seed[KEY_SEED_BYTES],
                        struct key_text *out);

/* Makes another text of the key of this id: of a seed, or new if that is NULL. */
void key_string_make_again(enum key_kind kind, struct span id, const uint8_t *seed,
                           struct key_text *out);

/*
 * Reads a whole key.
 *
 *   ERR_KEY_INVALID  another prefix, length or character, or the checksum does not match
 */
MUST_USE enum err key_string_parse(struct span text, struct key_parts *out);

/* "live", "test" or "admin"; "unknown" for a number that is no kind. */
const char *key_kind_name(int kind);

#endif
