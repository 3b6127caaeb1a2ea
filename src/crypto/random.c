/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/random.h"

#include <openssl/crypto.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"

#define AT_ONCE 256 /* what getrandom() promises to give whole, signal or not */

void crypto_random(void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        size_t part = len < AT_ONCE ? len : AT_ONCE;
        CHECK(getrandom(at, part, 0) == (ssize_t)part);
        at += part;
        len -= part;
    }
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_wipe(void *at, size_t len)
{
    explicit_bzero(at, len);
}
