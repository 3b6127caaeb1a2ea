/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base62.h — numbers and names in the 62 characters 0-9, A-Z, a-z, in this order of value.
 *
 * Fixed width, most significant digit first, so texts of one width sort as their numbers do.
 *
 * Threads  any.
 */
#ifndef CRYPTO_BASE62_H
#define CRYPTO_BASE62_H

#include "base/err.h"
#include "base/span.h"

#define CRYPTO_BASE62_U32_CHARS 6 /* 62^6 is more than 2^32 */

/* Writes `value` as `digits` characters (1 to 11), without a NUL; higher digits are lost. */
void crypto_base62_write(uint64_t value, char *out, size_t digits);

/*
 * Reads all of `text`, 1 to 10 characters.
 *
 *   ERR_VALUE_INVALID  another length, or another character
 */
MUST_USE enum err crypto_base62_parse(struct span text, uint64_t *out);

/* Whether each byte of `s` is one of the 62; true of an empty span. */
bool crypto_is_base62(struct span s);

/* Writes `digits` characters (1 to 256), each of them random with the same chance, without a NUL.
 * Each is worth 5.95 bits. */
void crypto_base62_random(char *out, size_t digits);

#endif
