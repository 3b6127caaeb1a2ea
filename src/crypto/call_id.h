/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_id.h — the name of a call: x-request-id, X-Audit-Trace-ID and the journal's id.
 *
 * 16 bytes: 48 bits of milliseconds since 1970, highest byte first, then 80 random bits. As text
 * 26 lower-case characters of Crockford's Base32, so ids sort by time.
 *
 * Threads  any; each has its own store of random bytes, which a forked child must not go on using:
 *          ids are made in threads that start after the last fork.
 * Sources  the ULID specification (github.com/ulid/spec), but in lower case.
 */
#ifndef CRYPTO_CALL_ID_H
#define CRYPTO_CALL_ID_H

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

#define CRYPTO_CALL_ID_BYTES 16
#define CRYPTO_CALL_ID_CHARS 26

struct crypto_call_id {
    uint8_t bytes[CRYPTO_CALL_ID_BYTES];
    char text[CRYPTO_CALL_ID_CHARS + 1];
};

/* A new id for a call that starts at `now`. */
void crypto_call_id_make(wall_us now, struct crypto_call_id *out);

/* Writes the text of 16 bytes and a NUL. */
void crypto_call_id_write(const uint8_t bytes[CRYPTO_CALL_ID_BYTES],
                          char out[CRYPTO_CALL_ID_CHARS + 1]);

/*
 * Reads an id's text; upper case is taken too.
 *
 *   ERR_VALUE_INVALID  not 26 characters of the alphabet, or more than 128 bits
 */
MUST_USE enum err crypto_call_id_parse(struct span text, uint8_t out[CRYPTO_CALL_ID_BYTES]);

#endif
