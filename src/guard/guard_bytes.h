/* SPDX-License-Identifier: Apache-2.0 */
/* guard_bytes.h — kinds of bytes of folded text. For guard's own files. */
#ifndef GUARD_GUARD_BYTES_H
#define GUARD_GUARD_BYTES_H

#include <stdbool.h>
#include <stdint.h>

static inline bool guard_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* ASCII ones. */
static inline bool guard_is_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26;
}

static inline bool guard_is_alnum(uint8_t c)
{
    return guard_is_digit(c) || guard_is_letter(c);
}

static inline bool guard_is_hex(uint8_t c)
{
    return guard_is_digit(c) || (uint8_t)((c | 0x20) - 'a') < 6;
}

static inline uint8_t guard_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* Part of a character of another script. */
static inline bool guard_is_wide(uint8_t c)
{
    return c >= 0x80;
}

#endif
