/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 with AVX2: each pair of neighbouring bytes is looked up by three of its nibbles in tables
 * of sixteen; a bit that is set in all three answers is one way in which the pair is wrong. What
 * pairs cannot show, the third and fourth byte of a character, is found from the lead bytes two and
 * three places before.
 */
#include "json/json_scan.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define BLOCK 32

static bool is_special(uint8_t byte)
{
    return byte == '"' || byte == '\\' || byte < 0x20;
}

/* True if one of the eight bytes is special; exact for the word, though not for each byte. */
static bool has_special(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101ULL;
    const uint64_t highs = 0x8080808080808080ULL;
    uint64_t quote = word ^ (ones * '"');
    uint64_t slash = word ^ (ones * '\\');
    uint64_t found = (word - ones * 0x20) & ~word;
    found |= (quote - ones) & ~quote;
    found |= (slash - ones) & ~slash;
    return (found & highs) != 0;
}

const uint8_t *json_scan_special_portable(const uint8_t *at, const uint8_t *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        if (has_special(word)) {
            break;
        }
    }
    while (at < end && !is_special(*at)) {
        at++;
    }
    return at;
}

/* True if none of the eight bytes is above 0x20: between values of JSON that is white space. */
static bool is_blank(uint64_t word)
{
    return ((word | (word + 0x5f5f5f5f5f5f5f5fULL)) & 0x8080808080808080ULL) == 0;
}

size_t json_scan_blanks_before(struct span text, size_t offset)
{
    uint64_t word;
    while (offset >= sizeof(word)) {
        memcpy(&word, text.at + offset - sizeof(word), sizeof(word));
        if (!is_blank(word)) {
            break;
        }
        offset -= sizeof(word);
    }
    while (offset > 0 && text.at[offset - 1] <= ' ') {
        offset--;
    }
    return offset;
}

/* What may follow a lead byte: how long the character is, and the range of its second byte. */
struct lead {
    uint8_t len, low, high;
};

static struct lead lead_of(uint8_t byte)
{
    static const struct lead none = {0, 0, 0}, two = {2, 0x80, 0xbf}, three = {3, 0x80, 0xbf};
    static const struct lead e0 = {3, 0xa0, 0xbf}, ed = {3, 0x80, 0x9f}; /* overlong; surrogates */
    static const struct lead f0 = {4, 0x90, 0xbf}, f4 = {4, 0x80, 0x8f}; /* overlong; too large */
    static const struct lead four = {4, 0x80, 0xbf};
    if (byte < 0xc2 || byte > 0xf4) {
        return none;
    }
    if (byte < 0xe0) {
        return two;
    }
    if (byte < 0xf0) {
        return byte == 0xe0 ? e0 : byte == 0xed ? ed : three;
    }
    return byte == 0xf0 ? f0 : byte == 0xf4 ? f4 : four;
}

bool json_scan_character(const uint8_t *at, const uint8_t *end, size_t *len)
{
    *len = 1;
    if (*at < 0x80) {
        return true;
    }
    struct lead lead = lead_of(*at);
    if (lead.len == 0 || end - at < 2 || at[1] < lead.low || at[1] > lead.high) {
        return false;
    }
    for (*len = 2; *len < lead.len; ++*len) {
        if ((size_t)(end - at) <= *len || (at[*len] & 0xc0) != 0x80) {
            return false;
        }
    }
    return true;
}

/* json_scan_utf8_portable() for the bytes from `i` on, all before them being well-formed. */
static size_t utf8_from(struct span s, size_t i)
{
    while (i < s.len) {
        uint64_t word = UINT64_MAX;
        if (s.len - i >= sizeof(word)) {
            memcpy(&word, s.at + i, sizeof(word));
        }
        if ((word & 0x8080808080808080ULL) == 0) {
            i += sizeof(word);
            continue;
        }
        size_t len;
        if (!json_scan_character(s.at + i, s.at + s.len, &len)) {
            return i;
        }
        i += len;
    }
    return i;
}

size_t json_scan_utf8_portable(struct span s)
{
    return utf8_from(s, 0);
}

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2")))

AVX2 static const uint8_t *special_avx2(const uint8_t *at, const uint8_t *end)
{
    const __m256i quote = _mm256_set1_epi8('"');
    const __m256i slash = _mm256_set1_epi8('\\');
    const __m256i control = _mm256_set1_epi8(0x1f);
    for (; end - at >= BLOCK; at += BLOCK) {
        __m256i in = _mm256_loadu_si256((const __m256i *)(const void *)at);
        __m256i found = _mm256_or_si256(_mm256_cmpeq_epi8(in, quote), _mm256_cmpeq_epi8(in, slash));
        found = _mm256_or_si256(found, _mm256_cmpeq_epi8(_mm256_min_epu8(in, control), in));
        uint32_t bits = (uint32_t)_mm256_movemask_epi8(found);
        if (bits != 0) {
            return at + __builtin_ctz(bits);
        }
    }
    return json_scan_special_portable(at, end);
}

/* The ways in which two neighbouring bytes are wrong; the names are the paper's. */
enum {
    TOO_SHORT = 1 << 0,      /* a lead byte, then no continuation */
    TOO_LONG = 1 << 1,       /* ASCII, then a continuation */
    OVERLONG_3 = 1 << 2,     /* E0 80..9F */
    TOO_LARGE = 1 << 3,      /* F4 90.., F5.. */
    SURROGATE = 1 << 4,      /* ED A0.. */
    OVERLONG_2 = 1 << 5,     /* C0, C1 */
    OVERLONG_4 = 1 << 6,     /* F0 80..8F */
    TOO_LARGE_1000 = 1 << 6, /* F5.. 80..8F */
    TWO_CONTS = 1 << 7,      /* two continuations: right only as third or fourth byte */
    CARRY = TOO_SHORT | TOO_LONG | TWO_CONTS,
    LARGE = CARRY | TOO_LARGE | TOO_LARGE_1000,
    SECOND = TOO_LONG | OVERLONG_2 | TWO_CONTS
};

#define EIGHT(n) n, n, n, n, n, n, n, n

static const uint8_t first_high[16] = {EIGHT(TOO_LONG),
                                       TWO_CONTS,
                                       TWO_CONTS,
                                       TWO_CONTS,
                                       TWO_CONTS,
                                       TOO_SHORT | OVERLONG_2,
                                       TOO_SHORT,
                                       TOO_SHORT | OVERLONG_3 | SURROGATE,
                                       TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4};
static const uint8_t first_low[16] = {CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4,
                                      CARRY | OVERLONG_2,
                                      CARRY,
                                      CARRY,
                                      CARRY | TOO_LARGE,
                                      EIGHT(LARGE),
                                      LARGE | SURROGATE,
                                      LARGE,
                                      LARGE};
static const uint8_t second_high[16] = {EIGHT(TOO_SHORT),
                                        SECOND | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4,
                                        SECOND | OVERLONG_3 | TOO_LARGE,
                                        SECOND | SURROGATE | TOO_LARGE,
                                        SECOND | SURROGATE | TOO_LARGE,
                                        TOO_SHORT,
                                        TOO_SHORT,
                                        TOO_SHORT,
                                        TOO_SHORT};

AVX2 static inline __m256i look_up(const uint8_t table[16], __m256i nibbles)
{
    __m128i half = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(half), nibbles);
}

/* Not zero where `in`, which follows `before`, is wrong. */
AVX2 static inline __m256i utf8_errors(__m256i in, __m256i before)
{
    const __m256i low = _mm256_set1_epi8(0x0f);
    __m256i middle = _mm256_permute2x128_si256(before, in, 0x21);
    __m256i one = _mm256_alignr_epi8(in, middle, 15);
    __m256i two = _mm256_alignr_epi8(in, middle, 14);
    __m256i three = _mm256_alignr_epi8(in, middle, 13);
    __m256i wrong = look_up(first_high, _mm256_and_si256(_mm256_srli_epi16(one, 4), low));
    wrong = _mm256_and_si256(wrong, look_up(first_low, _mm256_and_si256(one, low)));
    __m256i second = _mm256_and_si256(_mm256_srli_epi16(in, 4), low);
    wrong = _mm256_and_si256(wrong, look_up(second_high, second));
    /* A lead of three or four two places before, or of four three before, asks for TWO_CONTS. */
    __m256i third = _mm256_subs_epu8(two, _mm256_set1_epi8((char)(0xe0 - 0x80)));
    __m256i fourth = _mm256_subs_epu8(three, _mm256_set1_epi8((char)(0xf0 - 0x80)));
    __m256i asked = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
    return _mm256_xor_si256(wrong, asked);
}

/* Whether block `in` goes on from `before` without an error. */
AVX2 static inline bool block_fits(__m256i in, __m256i before)
{
    if (_mm256_movemask_epi8(_mm256_or_si256(in, before)) == 0) {
        return true; /* ASCII after ASCII */
    }
    __m256i wrong = utf8_errors(in, before);
    return _mm256_testz_si256(wrong, wrong) != 0;
}

/* The index of the first byte of the block in which something is wrong, or s.len. */
AVX2 static size_t utf8_avx2(struct span s)
{
    __m256i before = _mm256_setzero_si256();
    size_t i = 0;
    for (; s.len - i >= BLOCK; i += BLOCK) {
        __m256i in = _mm256_loadu_si256((const __m256i *)(const void *)(s.at + i));
        if (!block_fits(in, before)) {
            return i;
        }
        before = in;
    }
    uint8_t last[BLOCK] = {0}; /* the zeros show a character that is cut off */
    if (s.len > i) {
        memcpy(last, s.at + i, s.len - i);
    }
    __m256i in = _mm256_loadu_si256((const __m256i *)(const void *)last);
    return block_fits(in, before) ? s.len : i;
}

const uint8_t *json_scan_special(const uint8_t *at, const uint8_t *end)
{
    if (end - at >= BLOCK && __builtin_cpu_supports("avx2")) {
        return special_avx2(at, end);
    }
    return json_scan_special_portable(at, end);
}

size_t json_scan_utf8(struct span s)
{
    if (s.len < BLOCK || !__builtin_cpu_supports("avx2")) {
        return utf8_from(s, 0);
    }
    size_t block = utf8_avx2(s);
    size_t back = 0; /* to the lead byte of a character that began in the block before */
    while (back < 3 && block > back && (s.at[block - back - 1] & 0xc0) == 0x80) {
        back++;
    }
    back += block > back && s.at[block - back - 1] >= 0xc0;
    return utf8_from(s, block - back);
}

#else

const uint8_t *json_scan_special(const uint8_t *at, const uint8_t *end)
{
    return json_scan_special_portable(at, end);
}

size_t json_scan_utf8(struct span s)
{
    return utf8_from(s, 0);
}

#endif

struct span json_scan_piece(struct span s, size_t offset, size_t most)
{
    struct span piece = span_cut(s, offset, most);
    for (int i = 0; i < 3 && offset + piece.len < s.len; i++) {
        piece.len += (s.at[offset + piece.len] & 0xc0) == 0x80;
    }
    return piece;
}

#define REPLACEMENT "\xEF\xBF\xBD"

/* Takes the well-formed bytes at the start of `*s` and gives them; then takes what one U+FFFD
 * stands for. */
static struct span next_good(struct span *s)
{
    struct span good = span_cut(*s, 0, json_scan_utf8(*s));
    size_t bad = 0;
    *s = span_cut(*s, good.len, s->len);
    if (s->len > 0) {
        (void)json_scan_character(s->at, s->at + s->len, &bad); /* it is none */
        *s = span_cut(*s, bad, s->len);
    }
    return good;
}

size_t json_scan_mended_piece(struct span s, size_t most, size_t *parts)
{
    size_t len = 0;
    while (s.len > 0 && *parts <= most) {
        size_t before = s.len;
        struct span good = next_good(&s);
        bool is_bad = before > good.len + s.len;
        *parts += is_bad ? 1 : 0;
        len += good.len + (is_bad ? sizeof(REPLACEMENT) - 1 : 0);
    }
    return len;
}

size_t json_scan_mended(struct span s, size_t most)
{
    size_t parts = 0, len = json_scan_mended_piece(s, most, &parts);
    return parts == 0 || parts > most ? 0 : len;
}

size_t json_scan_mend(struct span s, uint8_t *out)
{
    const uint8_t *begin = out;
    while (s.len > 0) {
        size_t before = s.len;
        struct span good = next_good(&s);
        if (good.len > 0) {
            memcpy(out, good.at, good.len);
            out += good.len;
        }
        if (before > good.len + s.len) {
            memcpy(out, REPLACEMENT, sizeof(REPLACEMENT) - 1);
            out += sizeof(REPLACEMENT) - 1;
        }
    }
    return (size_t)(out - begin);
}
