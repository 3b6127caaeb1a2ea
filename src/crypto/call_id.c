/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel is asked for the random bytes of 25 ids at a time: a system call costs ten times what
 * an id does.
 */
#include "crypto/call_id.h"

#include <endian.h>

#include "crypto/random.h"

#define RANDOM_BYTES 10
#define AT_ONCE      25

static _Thread_local uint8_t pool[AT_ONCE * RANDOM_BYTES];
static _Thread_local size_t pool_left;

void crypto_call_id_make(wall_us now, struct crypto_call_id *out)
{
    if (pool_left == 0) {
        crypto_random(pool, sizeof(pool));
        pool_left = AT_ONCE;
    }
    pool_left--;
    uint64_t ms = (uint64_t)(now.us / 1000);
    for (int i = 0; i < 6; i++) {
        out->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
    memcpy(out->bytes + 6, pool + pool_left * RANDOM_BYTES, RANDOM_BYTES);
    crypto_call_id_write(out->bytes, out->text);
}

#define EACH(byte) ((byte)*0x0101010101010101ULL)

/* In each byte 1 where that of `values`, below 32, is above `value`; else 0. */
static uint64_t above(uint64_t values, uint64_t value)
{
    return (values + EACH(0x7f - value)) >> 7 & EACH(1);
}

/* The low 40 bits as eight characters of five bits, all at once: the bits are spread over the
 * bytes, and each byte becomes its character: a digit; or a letter, the further on the more of i,
 * l, o and u are left out before it. */
static void write_eight(uint64_t bits, char *out)
{
    uint64_t v = (bits & 0xfffff00000ULL) << 12 | (bits & 0xfffff);
    v = (v & 0x000ffc00000ffc00ULL) << 6 | (v & 0x000003ff000003ffULL);
    v = (v & 0x03e003e003e003e0ULL) << 3 | (v & 0x001f001f001f001fULL);
    v += EACH('0') + above(v, 9) * ('a' - '9' - 1) + above(v, 17) + above(v, 19) + above(v, 21) +
         above(v, 26);
    v = htobe64(v);
    memcpy(out, &v, sizeof(v));
}

/* The first of the 26 characters holds three bits. */
void crypto_call_id_write(const uint8_t bytes[CRYPTO_CALL_ID_BYTES],
                          char out[CRYPTO_CALL_ID_CHARS + 1])
{
    uint64_t high, low;
    memcpy(&high, bytes, sizeof(high));
    memcpy(&low, bytes + sizeof(high), sizeof(low));
    high = be64toh(high);
    low = be64toh(low);
    write_eight(high >> 26, out); /* of these, two stay */
    write_eight(high >> 16, out + 2);
    write_eight(high << 24 | low >> 40, out + 10);
    write_eight(low, out + 18);
    out[CRYPTO_CALL_ID_CHARS] = '\0';
}

/* What each character is worth, plus one; 0: it is none of ours. */
static const uint8_t values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['g'] = 17, ['h'] = 18, ['j'] = 19, ['k'] = 20, ['m'] = 21, ['n'] = 22, ['p'] = 23, ['q'] = 24,
    ['r'] = 25, ['s'] = 26, ['t'] = 27, ['v'] = 28, ['w'] = 29, ['x'] = 30, ['y'] = 31, ['z'] = 32,
};

static int value_of(uint8_t c)
{
    return values[c >= 'A' && c <= 'Z' ? c | 0x20 : c] - 1;
}

enum err crypto_call_id_parse(struct span text, uint8_t out[CRYPTO_CALL_ID_BYTES])
{
    if (text.len != CRYPTO_CALL_ID_CHARS || text.at[0] < '0' || text.at[0] > '7') {
        return ERR_VALUE_INVALID; /* 26 characters are 130 bits: the first holds only three */
    }
    uint64_t high = 0, low = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.at[i]);
        if (value < 0) {
            return ERR_VALUE_INVALID;
        }
        high = high << 5 | low >> 59;
        low = low << 5 | (uint64_t)value;
    }
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(high >> (56 - 8 * i));
        out[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    }
    return ERR_OK;
}
