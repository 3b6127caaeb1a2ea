/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three bytes are four characters. Reading looks four characters up at once and asks once whether
 * any of them was foreign: a foreign character's value has a bit above the 24 that can be set.
 */
#include "crypto/base64.h"

#define OTHER 0x80

static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// clang-format off
static const uint8_t values[256] = {
#define X OTHER
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X,62, X, X, X,63,52,53,54,55,56,57,58,59,60,61, X, X, X, X, X, X,
    X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25, X, X, X, X, X,
    X,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
#undef X
};
// clang-format on

static void write_quad(uint32_t bits, char *out)
{
    out[0] = chars[bits >> 18];
    out[1] = chars[bits >> 12 & 63];
    out[2] = chars[bits >> 6 & 63];
    out[3] = chars[bits & 63];
}

size_t crypto_base64_write(struct span bytes, char *out)
{
    char *start = out;
    const uint8_t *at = bytes.at;
    size_t left = bytes.len;
    for (; left >= 3; left -= 3, at += 3, out += 4) {
        write_quad((uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2], out);
    }
    if (left > 0) {
        uint32_t second = left == 2 ? at[1] : 0;
        write_quad((uint32_t)at[0] << 16 | second << 8, out);
        out[3] = '=';
        if (left == 1) {
            out[2] = '=';
        }
        out += 4;
    }
    return (size_t)(out - start);
}

/* The 24 bits of four characters; bit 31 is set if one is foreign. */
static uint32_t read_quad(const uint8_t *at)
{
    uint32_t a = values[at[0]], b = values[at[1]], c = values[at[2]], d = values[at[3]];
    return ((a | b | c | d) & OTHER) << 24 | (a << 18 | b << 12 | c << 6 | d);
}

/* Reads the last four characters, which end in `pads` signs of padding. */
static enum err read_last(const uint8_t *at, size_t pads, uint8_t *out)
{
    uint8_t quad[4] = {at[0], at[1], pads == 2 ? 'A' : at[2], 'A'};
    uint32_t bits = read_quad(quad);
    if ((bits & 0x80000000U) != 0 || (bits & (pads == 2 ? 0xffffU : 0xffU)) != 0) {
        return ERR_VALUE_INVALID;
    }
    out[0] = (uint8_t)(bits >> 16);
    if (pads == 1) {
        out[1] = (uint8_t)(bits >> 8);
    }
    return ERR_OK;
}

enum err crypto_base64_parse(struct span text, uint8_t *out, size_t room, size_t *out_len)
{
    if (text.len % 4 != 0) {
        return ERR_VALUE_INVALID;
    }
    size_t pads = 0;
    if (text.len > 0 && text.at[text.len - 1] == '=') {
        pads = text.at[text.len - 2] == '=' ? 2 : 1;
    }
    size_t len = text.len / 4 * 3 - pads;
    if (len > room) {
        return ERR_VALUE_INVALID;
    }
    const uint8_t *at = text.at;
    const uint8_t *end = text.len == 0 ? at : at + text.len - (pads > 0 ? 4 : 0);
    uint32_t foreign = 0;
    for (; at != end; at += 4, out += 3) {
        uint32_t bits = read_quad(at);
        foreign |= bits;
        out[0] = (uint8_t)(bits >> 16);
        out[1] = (uint8_t)(bits >> 8);
        out[2] = (uint8_t)bits;
    }
    if ((foreign & 0x80000000U) != 0) {
        return ERR_VALUE_INVALID;
    }
    if (pads > 0) {
        enum err e = read_last(at, pads, out);
        if (e != ERR_OK) {
            return e;
        }
    }
    *out_len = len;
    return ERR_OK;
}
