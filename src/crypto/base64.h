/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.h — bytes as text and back: RFC 4648 section 4, the alphabet with `+` and `/`, padded.
 *
 * Reading is strict: no line ends or spaces, padding exactly where it belongs, and the unused bits
 * of the last character zero, so each value has one text.
 *
 * Threads  any.
 * Sources  RFC 4648 sections 3.5, 4.
 */
#ifndef CRYPTO_BASE64_H
#define CRYPTO_BASE64_H

#include "base/err.h"
#include "base/span.h"

/* How many characters `len` bytes become. */
static inline size_t crypto_base64_chars(size_t len)
{
    return (len + 2) / 3 * 4;
}

/* Writes `bytes` to `out`, which has room for crypto_base64_chars(bytes.len); returns that number.
 * No NUL is written. */
size_t crypto_base64_write(struct span bytes, char *out);

/*
 * Reads all of `text` into `out`, which has room for `room` bytes; `*out_len` is how many it were.
 * text.len / 4 * 3 is always room enough.
 *
 *   ERR_VALUE_INVALID  not strict Base64, or more than `room` bytes; `out` may be half written
 */
MUST_USE enum err crypto_base64_parse(struct span text, uint8_t *out, size_t room, size_t *out_len);

#endif
