/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_secret.h — the secrets of a key that was rotated: the one it has now, and the one before.
 *
 * A key that was never rotated has what lies in its slot, and none of these. The block of one that
 * was is replaced as a whole, so whoever looks sees secrets that belong together.
 *
 * Secrets of a key are numbered: 0 is that of its slot, each rotation makes the next. Who was let
 * in by one keeps its number, and can be told later what has become of it.
 *
 * Ownership  a block is its maker's until a slot has it (key_table.h).
 * Threads    a block never changes.
 */
#ifndef KEYS_KEY_SECRET_H
#define KEYS_KEY_SECRET_H

#include "base/clock.h"
#include "base/retired.h"
#include "crypto/hmac.h"

#define KEY_NEVER_US INT64_MAX

/* The version of no pepper: what is kept of such a secret is its SHA-256, which finds it. */
#define KEY_PEPPER_NONE 0

/* What is kept of one secret. */
struct key_proof {
    uint8_t pepper;
    uint8_t mac[CRYPTO_SHA256_BYTES];
};

struct key_secrets {
    struct retired retired;
    uint32_t number; /* of the one that it has now */
    struct key_proof now, before;
    int64_t before_ends_us;
};

/* Until when the secret of this number is good, where a slot has these (NULL: none); 0: no more. */
static inline int64_t key_secret_ends(const struct key_secrets *s, uint32_t number)
{
    uint32_t newest = s == NULL ? 0 : s->number;
    return number == newest ? KEY_NEVER_US : number + 1 == newest ? s->before_ends_us : 0;
}

#endif
