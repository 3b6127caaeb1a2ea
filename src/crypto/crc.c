/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight bytes a step from eight tables ("slicing by 8"), filled before main(). Where the processor
 * has SSE 4.2, CRC-32C is its own instruction instead.
 */
#include "crypto/crc.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#define IEEE       0xedb88320U /* the polynomials, lowest bit first */
#define CASTAGNOLI 0x82f63b78U

static uint32_t ieee[8][256];
static uint32_t castagnoli[8][256];
static uint32_t (*crc32c)(uint32_t so_far, struct span bytes) = crypto_crc32c_by_table;

static void fill(uint32_t tables[8][256], uint32_t polynomial)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? polynomial : 0);
        }
        tables[0][byte] = crc;
    }
    for (int t = 1; t < 8; t++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = tables[t - 1][byte];
            tables[t][byte] = before >> 8 ^ tables[0][before & 0xff];
        }
    }
}

static uint32_t by_table(uint32_t tables[8][256], uint32_t so_far, struct span bytes)
{
    uint32_t crc = ~so_far;
    const uint8_t *at = bytes.at;
    size_t left = bytes.len;
    for (; left >= 8; left -= 8, at += 8) {
        crc ^= at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        crc = tables[7][crc & 0xff] ^ tables[6][crc >> 8 & 0xff] ^ tables[5][crc >> 16 & 0xff] ^
              tables[4][crc >> 24] ^ tables[3][at[4]] ^ tables[2][at[5]] ^ tables[1][at[6]] ^
              tables[0][at[7]];
    }
    for (; left > 0; left--) {
        crc = crc >> 8 ^ tables[0][(crc ^ *at++) & 0xff];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t so_far, struct span bytes)
{
    uint64_t crc = ~so_far;
    const uint8_t *at = bytes.at;
    size_t left = bytes.len;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t eight;
        memcpy(&eight, at, sizeof(eight));
        crc = _mm_crc32_u64(crc, eight);
    }
    for (; left > 0; left--) {
        crc = _mm_crc32_u8((uint32_t)crc, *at++);
    }
    return ~(uint32_t)crc;
}
#endif

__attribute__((constructor)) static void prepare(void)
{
    fill(ieee, IEEE);
    fill(castagnoli, CASTAGNOLI);
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2")) {
        crc32c = by_instruction;
    }
#endif
}

uint32_t crypto_crc32(uint32_t so_far, struct span bytes)
{
    return by_table(ieee, so_far, bytes);
}

uint32_t crypto_crc32c_by_table(uint32_t so_far, struct span bytes)
{
    return by_table(castagnoli, so_far, bytes);
}

uint32_t crypto_crc32c(uint32_t so_far, struct span bytes)
{
    return crc32c(so_far, bytes);
}
