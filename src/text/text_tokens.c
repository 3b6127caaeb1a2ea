/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Costs are eighths of a token a character. The lead byte of a UTF-8 sequence tells the script well
 * enough, but in Arabic, where a vowel mark costs more than a letter and the second byte tells them
 * apart, and in the block where the general punctuation lives.
 */
#include "text/text_tokens.h"

enum cost {
    COST_LETTER = 2,       /* ASCII letter or space: English has 4.5 to 5.3 characters a token */
    COST_SIGN = 5,         /* ASCII digit or punctuation: code and numbers */
    COST_LATIN = 6,        /* accented Latin, inside words that are cheap otherwise */
    COST_GREEK = 5,        /* Greek, Cyrillic */
    COST_ARABIC = 7,       /* cl100k: 1.16 to 1.45 characters a token */
    COST_ARABIC_MARK = 10, /* cl100k: 0.96 characters a token in vocalised text */
    COST_SYLLABLE = 10,    /* Indic, Thai, Hangul, CJK */
    COST_KANA = 8,
    COST_BYTE = 8, /* scripts that tokenisers spell byte by byte, and emoji: a token a byte */
};

/* How many bytes the sequence that `lead` begins has; 1 for a byte that begins none. */
static size_t length_of(uint8_t lead)
{
    if (lead < 0xC2 || lead > 0xF4) {
        return 1;
    }
    return lead < 0xE0 ? 2 : (lead < 0xF0 ? 3 : 4);
}

static bool is_arabic_mark(uint8_t lead, uint8_t second)
{
    return (lead == 0xD9 && ((second >= 0x8B && second <= 0x9F) || second == 0xB0)) ||
           (lead == 0xDB && second >= 0x96 && second <= 0xAD);
}

static uint64_t cost_of_two(uint8_t lead, uint8_t second)
{
    if (lead < 0xCD) {
        return COST_LATIN;
    }
    if (lead < 0xD5) {
        return COST_GREEK;
    }
    if (lead >= 0xD8 && lead <= 0xDB) {
        return is_arabic_mark(lead, second) ? COST_ARABIC_MARK : COST_ARABIC;
    }
    return COST_SYLLABLE;
}

static uint64_t cost_of_three(uint8_t lead, uint8_t second)
{
    if (lead == 0xE2) {
        return second < 0x84 ? COST_BYTE : 2 * COST_BYTE;
    }
    if (lead == 0xE3) {
        return second >= 0x81 && second <= 0x83 ? COST_KANA : COST_SYLLABLE;
    }
    if (lead == 0xE0 || (lead >= 0xE4 && lead <= 0xED)) {
        return COST_SYLLABLE;
    }
    return 3 * COST_BYTE;
}

static uint64_t cost_of_ascii(uint8_t c)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ' ';
    return letter ? COST_LETTER : COST_SIGN;
}

uint64_t text_estimate_tokens(struct span text)
{
    uint64_t eighths = 0;
    for (size_t i = 0; i < text.len;) {
        uint8_t lead = text.at[i];
        size_t length = length_of(lead);
        if (length > text.len - i) {
            length = 1; /* cut in the middle of a character */
        }
        uint8_t second = length > 1 ? text.at[i + 1] : 0;
        switch (length) {
        case 1:
            eighths += lead < 0x80 ? cost_of_ascii(lead) : COST_BYTE;
            break;
        case 2:
            eighths += cost_of_two(lead, second);
            break;
        case 3:
            eighths += cost_of_three(lead, second);
            break;
        default:
            eighths += 4 * COST_BYTE;
            break;
        }
        i += length;
    }
    return (eighths + 7) / 8;
}
