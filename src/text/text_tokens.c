/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Costs are eighths of a token a character. The lead byte of a UTF-8 sequence tells the script well
 * enough, but in Arabic, where a vowel mark costs more than a letter and the second byte tells them
 * apart, and in the blocks where the general punctuation and the Kana live.
 *
 * With AVX2, 32 bytes at a time: each lead byte is looked up by its two nibbles, a byte behind the
 * first costs nothing, and what the second byte changes is added where it stands.
 */
#include "text/text_tokens.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum cost {
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

uint64_t text_token_eighths_portable(struct span text)
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
            eighths += lead < 0x80 ? text_token_eighths_ascii(lead) : COST_BYTE;
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
    return eighths;
}

#if defined(__x86_64__)

#define AVX2  __attribute__((target("avx2,popcnt")))
#define BLOCK 32

/* Costs of lead bytes by their low nibble. C0, C1 and F5 to FF stand nowhere in UTF-8. */
#define LEADS_C 8, 8, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 5, 5, 5
#define LEADS_D 5, 5, 5, 5, 5, 10, 10, 10, 7, 7, 7, 7, 10, 10, 10, 10
#define LEADS_E 10, 24, 16, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 24, 24
#define LEADS_F 32, 32, 32, 32, 32, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8

/* A block of bytes, and those that stand one place earlier. */
struct block {
    __m256i bytes, before;
};

AVX2 static inline __m256i load(const uint8_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

AVX2 static inline uint32_t bits_of(__m256i mask)
{
    return (uint32_t)_mm256_movemask_epi8(mask);
}

AVX2 static inline uint64_t count_of(uint32_t bits)
{
    return (uint64_t)__builtin_popcount(bits);
}

/* 255 where lowest <= bytes <= highest; both below 128, or both not. */
AVX2 static inline __m256i between(__m256i bytes, int lowest, int highest)
{
    __m256i up = _mm256_add_epi8(bytes, _mm256_set1_epi8((char)(127 - highest)));
    return _mm256_cmpgt_epi8(up, _mm256_set1_epi8((char)(127 - (highest - lowest + 1))));
}

AVX2 static inline __m256i is(__m256i bytes, int byte)
{
    return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8((char)byte));
}

/* 255 at letters and spaces of ASCII. */
AVX2 static inline __m256i letters(__m256i bytes)
{
    __m256i lower = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
    return _mm256_or_si256(between(lower, 'a', 'z'), is(bytes, ' '));
}

AVX2 static inline __m256i where(__m256i mask, int cost)
{
    return _mm256_and_si256(mask, _mm256_set1_epi8((char)cost));
}

/* What so many bytes of ASCII cost, of which these are letters. */
static inline uint64_t cost_of_run(uint64_t bytes, uint64_t of_letters)
{
    return bytes * TEXT_TOKEN_SIGN - of_letters * (TEXT_TOKEN_SIGN - TEXT_TOKEN_LETTER);
}

/* 255 at the second bytes of Arabic marks. */
AVX2 static inline __m256i arabic_marks(struct block b)
{
    __m256i marks_d9 = _mm256_or_si256(between(b.bytes, 0x8B, 0x9F), is(b.bytes, 0xB0));
    return _mm256_or_si256(_mm256_and_si256(is(b.before, 0xD9), marks_d9),
                           _mm256_and_si256(is(b.before, 0xDB), between(b.bytes, 0x96, 0xAD)));
}

/* What the second byte of a character changes: in Arabic marks, and in the E2 and E3 rows. */
AVX2 static inline __m256i second_costs(struct block b)
{
    __m256i signs = _mm256_and_si256(is(b.before, 0xE2), between(b.bytes, 0x80, 0x83));
    __m256i kana = _mm256_and_si256(is(b.before, 0xE3), between(b.bytes, 0x81, 0x83));
    __m256i more = where(arabic_marks(b), COST_ARABIC_MARK - COST_ARABIC);
    more = _mm256_sub_epi8(more, where(signs, COST_BYTE));
    return _mm256_sub_epi8(more, where(kana, COST_SYLLABLE - COST_KANA));
}

/* Costs of the lead bytes of the row `row`: F0 says those from F0 to FF. */
AVX2 static inline __m256i row_costs(__m256i bytes, int row, __m256i by_low_nibble)
{
    const __m256i nibble = _mm256_set1_epi8(0x0F);
    __m256i here = is(_mm256_andnot_si256(nibble, bytes), row);
    return _mm256_and_si256(here,
                            _mm256_shuffle_epi8(by_low_nibble, _mm256_and_si256(bytes, nibble)));
}

/* What each byte costs. Second bytes may take something back, so costs are signed; none is below
 * -8 or above 32. */
AVX2 static inline __m256i costs_of(struct block b)
{
    __m256i ascii = _mm256_cmpgt_epi8(b.bytes, _mm256_set1_epi8(-1));
    __m256i costs = _mm256_sub_epi8(where(ascii, TEXT_TOKEN_SIGN),
                                    where(letters(b.bytes), TEXT_TOKEN_SIGN - TEXT_TOKEN_LETTER));
    __m256i leads = _mm256_or_si256(
        _mm256_or_si256(row_costs(b.bytes, 0xC0, _mm256_setr_epi8(LEADS_C, LEADS_C)),
                        row_costs(b.bytes, 0xD0, _mm256_setr_epi8(LEADS_D, LEADS_D))),
        _mm256_or_si256(row_costs(b.bytes, 0xE0, _mm256_setr_epi8(LEADS_E, LEADS_E)),
                        row_costs(b.bytes, 0xF0, _mm256_setr_epi8(LEADS_F, LEADS_F))));
    return _mm256_add_epi8(costs, _mm256_add_epi8(leads, second_costs(b)));
}

/* Sums bytes above -9: in each, 8 is added and taken away again. */
AVX2 static inline uint64_t sum(__m256i costs)
{
    __m256i sums =
        _mm256_sad_epu8(_mm256_add_epi8(costs, _mm256_set1_epi8(8)), _mm256_setzero_si256());
    __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return (uint64_t)_mm_cvtsi128_si64(two) + (uint64_t)_mm_extract_epi64(two, 1) - 8 * BLOCK;
}

#define ZEROS 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define ONES  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255

/* What the last `count` bytes of a block cost that may hold anything. */
AVX2 static __attribute__((noinline)) uint64_t block_of_any(struct block b, unsigned count)
{
    static const uint8_t kept[2 * BLOCK] = {ZEROS, ZEROS, ONES, ONES};
    return sum(_mm256_and_si256(costs_of(b), load(kept + count)));
}

/* What the last `count` bytes of a block cost. Where nothing stands but ASCII, or that and Arabic,
 * the classes are counted. */
AVX2 static inline uint64_t block(struct block b, unsigned count)
{
    unsigned less = BLOCK - count; /* bytes in front, which cost nothing */
    uint32_t high = bits_of(b.bytes);
    uint64_t ascii =
        cost_of_run(count - count_of(high >> less), count_of(bits_of(letters(b.bytes)) >> less));
    if (LIKELY(high == 0)) {
        return ascii;
    }
    __m256i leads = is(_mm256_and_si256(b.bytes, _mm256_set1_epi8((char)0xFC)), 0xD8);
    __m256i others = _mm256_cmpgt_epi8(_mm256_set1_epi8((char)0xC0), b.bytes); /* 80 to BF */
    uint8_t before = (uint8_t)_mm256_extract_epi8(b.before, 0);
    if (UNLIKELY(before >= 0xE0 || bits_of(_mm256_or_si256(leads, others)) != high)) {
        return block_of_any(b, count);
    }
    return ascii + COST_ARABIC * count_of(bits_of(leads) >> less) +
           (COST_ARABIC_MARK - COST_ARABIC) * count_of(bits_of(arabic_marks(b)) >> less);
}

/* Copies less than a block, in two pieces of equal length that may overlap. */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len >= 16) {
        memcpy(to, from, 16);
        memcpy(to + len - 16, from + len - 16, 16);
    } else if (len >= 8) {
        memcpy(to, from, 8);
        memcpy(to + len - 8, from + len - 8, 8);
    } else {
        for (size_t i = 0; i < len; i++) {
            to[i] = from[i];
        }
    }
}

/* A text of less than a block, at the end of one. */
AVX2 static __attribute__((noinline)) uint64_t short_text(struct span text)
{
    uint8_t room[1 + BLOCK] = {0};
    copy_short(room + 1 + BLOCK - text.len, text.at, text.len);
    return block((struct block){load(room + 1), load(room)}, (unsigned)text.len);
}

/* What the ASCII at `*at` costs, as far as its blocks hold nothing else, and `*at` is then behind
 * them. The text that ends at `end` has a block at least: what is left of one at its end is looked
 * at together with bytes before. Out of line, the compiler keeps what it compares with in
 * registers. */
AVX2 static __attribute__((noinline)) uint64_t cost_of_ascii(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *from = *at, *last = end - BLOCK;
    uint64_t found = 0;
    for (; from <= last; from += BLOCK) {
        __m256i bytes = load(from);
        if (UNLIKELY(bits_of(bytes) != 0)) {
            break;
        }
        found += count_of(bits_of(letters(bytes)));
    }
    if (from > last && from < end) {
        __m256i bytes = load(last);
        uint32_t before = (uint32_t)(from - last);
        if (bits_of(bytes) >> before == 0) {
            found += count_of(bits_of(letters(bytes)) >> before);
            from = end;
        }
    }
    uint64_t cost = cost_of_run((uint64_t)(from - *at), found);
    *at = from;
    return cost;
}

/* The block at the front of a text: nothing stands before it. */
AVX2 static inline struct block first_block(const uint8_t *at)
{
    __m256i bytes = load(at);
    __m256i up = _mm256_permute2x128_si256(bytes, bytes, 0x08); /* 0, and the lower half */
    return (struct block){bytes, _mm256_alignr_epi8(bytes, up, 15)};
}

/* What the blocks at `*at` cost, as far as they hold more than ASCII. */
AVX2 static __attribute__((noinline)) uint64_t cost_of_others(const uint8_t **at, struct span text)
{
    const uint8_t *from = *at, *end = text.at + text.len;
    uint64_t cost = 0;
    while (from < end) {
        unsigned count = end - from < BLOCK ? (unsigned)(end - from) : BLOCK;
        const uint8_t *begin = from + count - BLOCK;
        if (bits_of(load(begin)) >> (BLOCK - count) == 0) {
            break;
        }
        cost += block(begin > text.at ? (struct block){load(begin), load(begin - 1)}
                                      : first_block(begin),
                      count);
        from += count;
    }
    *at = from;
    return cost;
}

AVX2 static uint64_t eighths_avx2(struct span text)
{
    if (text.len < BLOCK) {
        return text.len == 0 ? 0 : short_text(text);
    }
    const uint8_t *at = text.at, *end = at + text.len;
    uint64_t eighths = cost_of_ascii(&at, end);
    while (UNLIKELY(at < end)) {
        eighths += cost_of_others(&at, text);
        eighths += cost_of_ascii(&at, end);
    }
    return eighths;
}

uint64_t text_token_eighths(struct span text)
{
    return __builtin_cpu_supports("avx2") ? eighths_avx2(text) : text_token_eighths_portable(text);
}

#else

uint64_t text_token_eighths(struct span text)
{
    return text_token_eighths_portable(text);
}

#endif
