/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/base62.h"

#include "crypto/random.h"

#define OTHER 0xff

static const char digits_of[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static uint8_t value_of(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return (uint8_t)(c - '0');
    }
    if (c >= 'A' && c <= 'Z') {
        return (uint8_t)(c - 'A' + 10);
    }
    if (c >= 'a' && c <= 'z') {
        return (uint8_t)(c - 'a' + 36);
    }
    return OTHER;
}

void crypto_base62_write(uint64_t value, char *out, size_t digits)
{
    CHECK(digits >= 1 && digits <= 11);
    for (size_t i = digits; i > 0; i--) {
        out[i - 1] = digits_of[value % 62];
        value /= 62;
    }
}

enum err crypto_base62_parse(struct span text, uint64_t *out)
{
    if (text.len < 1 || text.len > 10) { /* 62^10 fits in 64 bits, 62^11 does not */
        return ERR_VALUE_INVALID;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t digit = value_of(text.at[i]);
        if (digit == OTHER) {
            return ERR_VALUE_INVALID;
        }
        value = value * 62 + digit;
    }
    *out = value;
    return ERR_OK;
}

bool crypto_is_base62(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (value_of(s.at[i]) == OTHER) {
            return false;
        }
    }
    return true;
}

void crypto_base62_random(char *out, size_t digits)
{
    CHECK(digits >= 1 && digits <= 256);
    uint8_t bytes[64];
    size_t left = 0;
    for (size_t i = 0; i < digits;) {
        if (left == 0) {
            crypto_random(bytes, sizeof(bytes));
            left = sizeof(bytes);
        }
        uint8_t byte = bytes[--left];
        if (byte < 4 * 62) { /* the rest would make the first eight digits likelier */
            out[i++] = digits_of[byte % 62];
        }
    }
    crypto_wipe(bytes, sizeof(bytes));
}
