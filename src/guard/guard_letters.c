/* SPDX-License-Identifier: Apache-2.0 */
/* Characters, by ranges: what is beyond ASCII and stands in none of them is a letter. */
#include "guard/guard_letters.h"

#define L GUARD_LETTER
#define B GUARD_BLANK
#define S GUARD_SIGN

/* clang-format off */
const uint8_t guard_letter_kinds[128] = {
    S, S, S, S, S, S, S, S, S, B, B, B, B, B, S, S,  S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S,
    B, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S,  L, L, L, L, L, L, L, L, L, L, S, S, S, S, S, S,
    S, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,  L, L, L, L, L, L, L, L, L, L, L, S, S, S, S, S,
    S, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,  L, L, L, L, L, L, L, L, L, L, L, S, S, S, S, S,
};
/* clang-format on */

#undef L
#undef B
#undef S

/* In order; what lies in none is a letter. */
static const struct range {
    uint32_t first, last;
    uint8_t kind;
} ranges[] = {
    {0x0080, 0x0084, GUARD_SIGN},  {0x0085, 0x0085, GUARD_BLANK},  {0x0086, 0x009F, GUARD_SIGN},
    {0x00A0, 0x00A0, GUARD_BLANK}, {0x00A1, 0x00A9, GUARD_SIGN},   {0x00AB, 0x00AC, GUARD_SIGN},
    {0x00AD, 0x00AD, GUARD_MARK},  {0x00AE, 0x00B4, GUARD_SIGN},   {0x00B6, 0x00B9, GUARD_SIGN},
    {0x00BB, 0x00BF, GUARD_SIGN},  {0x00D7, 0x00D7, GUARD_SIGN},   {0x00F7, 0x00F7, GUARD_SIGN},
    {0x0300, 0x036F, GUARD_MARK},  {0x0600, 0x060F, GUARD_SIGN},   {0x0610, 0x061A, GUARD_MARK},
    {0x061B, 0x061F, GUARD_SIGN},  {0x0640, 0x0640, GUARD_MARK},   {0x064B, 0x065F, GUARD_MARK},
    {0x066A, 0x066D, GUARD_SIGN},  {0x0670, 0x0670, GUARD_MARK},   {0x06D4, 0x06D4, GUARD_SIGN},
    {0x06D6, 0x06ED, GUARD_MARK},  {0x08D3, 0x08FF, GUARD_MARK},   {0x1680, 0x1680, GUARD_BLANK},
    {0x2000, 0x200A, GUARD_BLANK}, {0x200B, 0x200F, GUARD_MARK},   {0x2010, 0x2027, GUARD_SIGN},
    {0x2028, 0x2029, GUARD_BLANK}, {0x202A, 0x202E, GUARD_MARK},   {0x202F, 0x202F, GUARD_BLANK},
    {0x2030, 0x205E, GUARD_SIGN},  {0x205F, 0x205F, GUARD_BLANK},  {0x2060, 0x206F, GUARD_MARK},
    {0x207A, 0x207E, GUARD_SIGN},  {0x208A, 0x208E, GUARD_SIGN},   {0x20A0, 0x20CF, GUARD_SIGN},
    {0x20D0, 0x20FF, GUARD_MARK},  {0x2190, 0x2BFF, GUARD_SIGN},   {0x3000, 0x3000, GUARD_BLANK},
    {0x3001, 0x3004, GUARD_SIGN},  {0x3008, 0x3020, GUARD_SIGN},   {0xFD3E, 0xFD3F, GUARD_SIGN},
    {0xFE00, 0xFE0F, GUARD_MARK},  {0xFE10, 0xFE6F, GUARD_SIGN},   {0xFEFF, 0xFEFF, GUARD_MARK},
    {0xFF01, 0xFF0F, GUARD_SIGN},  {0xFF1A, 0xFF20, GUARD_SIGN},   {0xFF3B, 0xFF40, GUARD_SIGN},
    {0xFF5B, 0xFF65, GUARD_SIGN},  {0x1F000, 0x1FAFF, GUARD_SIGN}, {0xE0000, 0xE0FFF, GUARD_MARK},
};

#define RANGES (sizeof(ranges) / sizeof(ranges[0]))

/* Letters that are written for one another. */
static const struct form {
    uint16_t is, as;
} forms[] = {
    {0x0622, 0x0627}, {0x0623, 0x0627}, {0x0624, 0x0648}, {0x0625, 0x0627}, {0x0626, 0x064A},
    {0x0629, 0x0647}, {0x0649, 0x064A}, {0x0671, 0x0627}, {0x06A9, 0x0643}, {0x06C0, 0x0647},
    {0x06C1, 0x0647}, {0x06C3, 0x0647}, {0x06CC, 0x064A}, {0x06D5, 0x0647},
};

/* Letters of the other case lie so far behind. */
static const struct shift {
    uint16_t first, last, by;
} shifts[] = {
    {0x00C0, 0x00D6, 0x20}, {0x00D8, 0x00DE, 0x20}, {0x0391, 0x03A9, 0x20},
    {0x0400, 0x040F, 0x50}, {0x0410, 0x042F, 0x20},
};

/* Letters whose capitals look like Latin ones, which text_fold() makes them: the small ones follow.
 */
static const struct form looks[] = {
    {0x03B1, 'a'}, {0x03B2, 'b'}, {0x03B5, 'e'}, {0x03B6, 'z'}, {0x03B7, 'h'}, {0x03B9, 'i'},
    {0x03BA, 'k'}, {0x03BC, 'm'}, {0x03BD, 'n'}, {0x03BF, 'o'}, {0x03C1, 'p'}, {0x03C4, 't'},
    {0x03C5, 'y'}, {0x03C7, 'x'}, {0x0430, 'a'}, {0x0432, 'b'}, {0x0435, 'e'}, {0x043A, 'k'},
    {0x043C, 'm'}, {0x043D, 'h'}, {0x043E, 'o'}, {0x0440, 'p'}, {0x0441, 'c'}, {0x0442, 't'},
    {0x0443, 'y'}, {0x0445, 'x'}, {0x0455, 's'}, {0x0456, 'i'}, {0x0458, 'j'},
};

static uint32_t look_of(uint32_t code)
{
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        if (looks[i].is == code) {
            return looks[i].as;
        }
    }
    return code;
}

static uint8_t kind_of(uint32_t code)
{
    size_t low = 0, high = RANGES;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > ranges[middle].last) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < RANGES && code >= ranges[low].first ? ranges[low].kind : GUARD_LETTER;
}

static uint32_t fold(uint32_t code)
{
    for (size_t i = 0; code >= 0x0620 && i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (forms[i].is == code) {
            return forms[i].as;
        }
    }
    for (size_t i = 0; code < 0x0500 && i < sizeof(shifts) / sizeof(shifts[0]); i++) {
        if (code >= shifts[i].first && code <= shifts[i].last) {
            code += shifts[i].by;
            break;
        }
    }
    return code >= 0x0390 && code < 0x0460 ? look_of(code) : code;
}

/* Bytes of the character that begins so; 0: none does. */
static unsigned length_of(uint8_t first)
{
    return first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
}

struct guard_letter guard_letter_slow(const uint8_t *at, const uint8_t *end)
{
    unsigned bytes = length_of(*at);
    uint32_t code = bytes == 2 ? *at & 0x1Fu : bytes == 3 ? *at & 0x0Fu : *at & 0x07u;
    for (unsigned i = 1; i < bytes; i++) {
        if (at + i == end || (at[i] & 0xC0) != 0x80) {
            bytes = 0;
            break;
        }
        code = code << 6 | (at[i] & 0x3Fu);
    }
    if (bytes == 0) {
        return (struct guard_letter){*at, GUARD_SIGN, 1};
    }
    if (code >= 0x0627 && code <= 0x063A && code != 0x0629) { /* most of Arabic, at once */
        return (struct guard_letter){code, GUARD_LETTER, 2};
    }
    return (struct guard_letter){fold(code), kind_of(code), (uint8_t)bytes};
}

bool guard_letter_before(struct span text, size_t at)
{
    while (at > 0) {
        size_t from = at - 1;
        while (from > 0 && at - from < 4 && (text.at[from] & 0xC0) == 0x80) {
            from--;
        }
        struct guard_letter c = guard_letter_at(text.at + from, text.at + at);
        if (c.kind != GUARD_MARK) {
            return c.kind == GUARD_LETTER;
        }
        at = from;
    }
    return false;
}
