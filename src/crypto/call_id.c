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

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

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

/* The lowest `count` characters of `number`, the last of them before `end`. */
static void write_low(uint64_t number, int count, char *end)
{
    for (int i = 0; i < count; i++) {
        *--end = alphabet[number & 31];
        number >>= 5;
    }
}

/* In three parts, none of which takes more than 64 bits at a time. */
void crypto_call_id_write(const uint8_t bytes[CRYPTO_CALL_ID_BYTES],
                          char out[CRYPTO_CALL_ID_CHARS + 1])
{
    uint64_t high, low;
    memcpy(&high, bytes, sizeof(high));
    memcpy(&low, bytes + sizeof(high), sizeof(low));
    high = be64toh(high);
    low = be64toh(low);
    write_low(high >> 56, 2, out + 2);
    write_low(high << 4 | low >> 60, 12, out + 14);
    write_low(low, 12, out + 26);
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
