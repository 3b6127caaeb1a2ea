/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hmac.h — SHA-256, and HMAC-SHA-256 under a key that is prepared once and used for every call.
 *
 * Preparing hashes the two padded keys; a message of up to 55 bytes then costs two blocks, of up to
 * 119 bytes three.
 *
 * Ownership  a prepared key is as secret as the key: wipe it with crypto_wipe().
 * Threads    any; a prepared key is only read.
 * Sources    FIPS 180-4, RFC 2104, RFC 4231 (test vectors); docs/decisions on the choice of calls.
 */
#ifndef CRYPTO_HMAC_H
#define CRYPTO_HMAC_H

#include "base/span.h"

#define CRYPTO_SHA256_BYTES 32

struct crypto_hmac_key {
    uint32_t inner[8], outer[8]; /* SHA-256's state after the block of key XOR pad */
};

/* Prepares `key`, of any length. */
void crypto_hmac_key_init(struct crypto_hmac_key *k, struct span key);

/* The HMAC-SHA-256 of `message`. */
void crypto_hmac(const struct crypto_hmac_key *k, struct span message,
                 uint8_t out[CRYPTO_SHA256_BYTES]);

/* The SHA-256 of `message`. */
void crypto_sha256(struct span message, uint8_t out[CRYPTO_SHA256_BYTES]);

/* That of two texts, one behind the other. */
void crypto_sha256_two(struct span first, struct span second, uint8_t out[CRYPTO_SHA256_BYTES]);

#endif
