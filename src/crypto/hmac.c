/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's SHA256_* calls are marked as deprecated, but they hash at once: EVP looks the digest up
 * and allocates a context for each message, which costs more than hashing a key does
 * (docs/decisions: HMAC without EVP). They are used in this file only.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/hmac.h"

#include <openssl/sha.h>

#include "crypto/random.h"

#define BLOCK_BYTES 64

static void sha256_start(SHA256_CTX *c)
{
    (void)SHA256_Init(c); /* these three always return 1 */
}

static void sha256_add(SHA256_CTX *c, const void *at, size_t len)
{
    (void)SHA256_Update(c, at, len);
}

static void sha256_end(SHA256_CTX *c, uint8_t *out)
{
    (void)SHA256_Final(out, c);
}

/* The state after the block that is `key`, zeroes behind it, all XOR `pad`. */
static void state_after_pad(struct span key, uint8_t pad, uint32_t out[8])
{
    uint8_t block[BLOCK_BYTES];
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        block[i] = (uint8_t)((i < key.len ? key.at[i] : 0) ^ pad);
    }
    SHA256_CTX c;
    sha256_start(&c);
    sha256_add(&c, block, BLOCK_BYTES);
    memcpy(out, c.h, sizeof(c.h));
    crypto_wipe(block, sizeof(block));
    crypto_wipe(&c, sizeof(c));
}

/* A context that has hashed one block and stands at `state`. */
static void sha256_resume(SHA256_CTX *c, const uint32_t state[8])
{
    sha256_start(c);
    memcpy(c->h, state, sizeof(c->h));
    c->Nl = BLOCK_BYTES * 8;
}

void crypto_hmac_key_init(struct crypto_hmac_key *k, struct span key)
{
    uint8_t hashed[CRYPTO_SHA256_BYTES];
    if (key.len > BLOCK_BYTES) {
        crypto_sha256(key, hashed);
        key = span_make(hashed, sizeof(hashed));
    }
    state_after_pad(key, 0x36, k->inner);
    state_after_pad(key, 0x5c, k->outer);
    crypto_wipe(hashed, sizeof(hashed));
}

void crypto_hmac(const struct crypto_hmac_key *k, struct span message,
                 uint8_t out[CRYPTO_SHA256_BYTES])
{
    SHA256_CTX c;
    sha256_resume(&c, k->inner);
    sha256_add(&c, message.at, message.len);
    sha256_end(&c, out);
    sha256_resume(&c, k->outer);
    sha256_add(&c, out, CRYPTO_SHA256_BYTES);
    sha256_end(&c, out);
}

void crypto_sha256(struct span message, uint8_t out[CRYPTO_SHA256_BYTES])
{
    crypto_sha256_two(SPAN(""), message, out);
}

void crypto_sha256_two(struct span first, struct span second, uint8_t out[CRYPTO_SHA256_BYTES])
{
    SHA256_CTX c;
    sha256_start(&c);
    sha256_add(&c, first.at, first.len);
    sha256_add(&c, second.at, second.len);
    sha256_end(&c, out);
}
