/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of ASCII, 64 bytes at a time: what stands where are bits of words, and a trait is what is left of
 * them when one is shifted by a character and laid over another. All else, and what is left at the
 * end, is looked at character by character.
 */
#include "text/text_shape.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define WORD_LETTERS 8 /* that most vocabularies have as one token, or nearly so */

/* Of a character, as the next one sees it. */
enum kind {
    KIND_NONE,
    KIND_SMALL,
    KIND_CAPITAL,
    KIND_DIGIT,
    KIND_BLANK,
    KIND_BLANKS, /* the second of a run, and all behind it */
    KIND_LINE,
    KIND_SIGN,
    KIND_ARABIC,
    KIND_MARKED, /* Arabic, of a word that had a vowel mark */
    KIND_OTHER,
};

void text_shape_begin(struct text_shape *s)
{
    s->before = KIND_NONE;
    s->run = 0;
}

/* ---- ASCII ---- */

static bool is_small(uint8_t c)
{
    return (uint8_t)(c - 'a') < 26;
}

static bool is_letter(uint8_t c)
{
    return is_small(c | 0x20);
}

/* So many letters more of the word that is read. */
static inline void add_letters(struct text_shape *s, size_t count)
{
    size_t now = s->run + count;
    size_t late = now > WORD_LETTERS ? now - WORD_LETTERS : 0;
    s->count[TEXT_LETTER] += (uint32_t)count;
    s->count[TEXT_LATE_LETTER] += (uint32_t)(late < count ? late : count);
    s->run = (uint8_t)(now > WORD_LETTERS ? WORD_LETTERS : now);
}

/* Whether a letter goes on with the word that was read; "é" is a letter of its word. */
static bool is_in_word(uint8_t before)
{
    return before == KIND_SMALL || before == KIND_CAPITAL || before == KIND_OTHER;
}

static void begin_letters(struct text_shape *s, bool is_capital)
{
    if (!is_in_word(s->before)) {
        s->count[TEXT_WORD]++;
        s->count[TEXT_CAPITAL] += is_capital;
        s->run = 0;
    } else if (is_capital && s->before == KIND_SMALL) {
        s->count[TEXT_HUMP]++;
        s->run = 0;
    }
}

/* The letters at `at`, capitals one by one; returns how many. */
static size_t take_letters(struct text_shape *s, const uint8_t *at, size_t most)
{
    size_t count = 1;
    bool is_capital = !is_small(*at);
    begin_letters(s, is_capital);
    while (!is_capital && count < most && is_small(at[count])) {
        count++;
    }
    add_letters(s, count);
    s->before = is_capital ? KIND_CAPITAL : KIND_SMALL;
    return count;
}

static void add_sign(struct text_shape *s)
{
    s->count[TEXT_SIGN]++;
    s->count[TEXT_SIGNS] += s->before != KIND_SIGN;
    s->count[TEXT_LONE_SIGN] += s->before == KIND_BLANK;
    s->before = KIND_SIGN;
}

/* What is no letter. */
static void add_ascii(struct text_shape *s, uint8_t c)
{
    if (c == ' ') {
        bool is_second = s->before == KIND_BLANK;
        s->count[TEXT_INDENT] += is_second;
        s->before = is_second || s->before == KIND_BLANKS ? KIND_BLANKS : KIND_BLANK;
    } else if ((uint8_t)(c - '0') < 10) {
        s->count[TEXT_DIGIT]++;
        s->count[TEXT_NUMBER] += s->before != KIND_DIGIT;
        s->before = KIND_DIGIT;
    } else if (c == '\n' || c == '\r' || c == '\t') {
        s->count[TEXT_LINE] += s->before != KIND_LINE;
        s->before = KIND_LINE;
    } else {
        add_sign(s);
    }
}

/* ---- everything else ---- */

static void add_arabic(struct text_shape *s, uint32_t code)
{
    bool is_inside = s->before == KIND_ARABIC || s->before == KIND_MARKED;
    if (code >= 0x621 && code <= 0x64A) {
        s->count[TEXT_ARABIC]++;
        s->count[TEXT_ARABIC_WORD] += !is_inside;
        s->before = is_inside ? s->before : KIND_ARABIC;
    } else if ((code >= 0x64B && code <= 0x655) || code == 0x670) {
        s->count[s->before == KIND_MARKED ? TEXT_ARABIC_MARK : TEXT_ARABIC_FIRST]++;
        s->before = KIND_MARKED;
    } else {
        bool is_mark = code >= 0x6D6 && code <= 0x6ED;
        s->count[TEXT_ARABIC_OTHER]++;
        s->before = is_mark || s->before == KIND_MARKED ? KIND_MARKED : KIND_ARABIC;
    }
}

/* Of two bytes, beyond Arabic. */
static enum text_trait trait_of_two(uint32_t code)
{
    return code < 0x370                    ? TEXT_LATIN
           : code < 0x590                  ? TEXT_GREEK
           : code >= 0x590 && code < 0x600 ? TEXT_HEBREW
                                           : TEXT_OTHER;
}

static enum text_trait trait_of_three(uint32_t code)
{
    static const struct {
        uint32_t below; /* and not below that of the row before */
        enum text_trait trait;
    } blocks[] = {{0x900, TEXT_OTHER},         {0xE00, TEXT_INDIC},  {0xF00, TEXT_THAI},
                  {0x1E00, TEXT_OTHER},        {0x2000, TEXT_LATIN}, {0x2070, TEXT_TYPOGRAPHIC},
                  {0x3000, TEXT_OTHER},        {0x3040, TEXT_CJK},   {0x3100, TEXT_KANA},
                  {0xA000, TEXT_CJK},          {0xAC00, TEXT_OTHER}, {0xD7B0, TEXT_HANGUL},
                  {0xF900, TEXT_OTHER},        {0xFB00, TEXT_CJK},   {0xFB50, TEXT_OTHER},
                  {0xFE00, TEXT_ARABIC_OTHER}, {0xFE70, TEXT_OTHER}, {0xFF00, TEXT_ARABIC_OTHER},
                  {0x10000, TEXT_CJK}};
    size_t i = 0;
    while (code >= blocks[i].below) {
        i++;
    }
    return blocks[i].trait;
}

/* The character at `at`, which begins with no ASCII; returns its bytes. */
static size_t take_other(struct text_shape *s, const uint8_t *at, size_t most)
{
    uint8_t lead = at[0];
    enum text_trait trait = TEXT_OTHER;
    size_t bytes = lead < 0xC2 || lead > 0xF4 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    bytes = bytes > most ? 1 : bytes;
    if (bytes == 2) {
        uint32_t code = (uint32_t)(lead & 0x1F) << 6 | (at[1] & 0x3F);
        if (code >= 0x600 && code < 0x700) {
            add_arabic(s, code);
            return bytes;
        }
        trait = trait_of_two(code);
    } else if (bytes == 3) {
        trait = trait_of_three((uint32_t)(lead & 0x0F) << 12 | (uint32_t)(at[1] & 0x3F) << 6 |
                               (at[2] & 0x3F));
    }
    s->count[trait] += trait == TEXT_OTHER ? (uint32_t)bytes : 1;
    s->run = is_in_word(s->before) ? s->run : 0;
    s->before = trait == TEXT_TYPOGRAPHIC ? KIND_SIGN : KIND_OTHER;
    return bytes;
}

/* Looks at characters from `at` on until `until` is reached or passed; returns the next. */
static const uint8_t *take_each(struct text_shape *s, const uint8_t *at, const uint8_t *until,
                                const uint8_t *end)
{
    while (at < until) {
        if (is_letter(*at)) {
            at += take_letters(s, at, (size_t)(end - at));
        } else if (*at < 0x80) {
            add_ascii(s, *at++);
        } else {
            at += take_other(s, at, (size_t)(end - at));
        }
    }
    return at;
}

/* ---- many at a time ---- */

#if defined(__SSE2__)

#define BLOCK 64
#define LANE  16

/* Where what stands in a block, the first byte in the lowest bit. */
struct places {
    uint64_t high, small, capital, digit, blank, line;
};

static inline uint64_t bits_of(__m128i mask)
{
    return (uint64_t)(uint32_t)_mm_movemask_epi8(mask);
}

/* Lowest to highest, of ASCII. */
static inline __m128i between(__m128i bytes, char lowest, char highest)
{
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8((char)(lowest - 1))),
                         _mm_cmplt_epi8(bytes, _mm_set1_epi8((char)(highest + 1))));
}

static inline __m128i is(__m128i bytes, char byte)
{
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte));
}

static inline struct places look(const uint8_t *at)
{
    struct places p = {.high = 0};
    for (unsigned lane = 0; lane < BLOCK; lane += LANE) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + lane));
        __m128i line =
            _mm_or_si128(is(bytes, '\n'), _mm_or_si128(is(bytes, '\r'), is(bytes, '\t')));
        p.high |= bits_of(bytes) << lane;
        p.small |= bits_of(between(bytes, 'a', 'z')) << lane;
        p.capital |= bits_of(between(bytes, 'A', 'Z')) << lane;
        p.digit |= bits_of(between(bytes, '0', '9')) << lane;
        p.blank |= bits_of(is(bytes, ' ')) << lane;
        p.line |= bits_of(line) << lane;
    }
    return p;
}

static inline uint32_t count_of(uint64_t bits)
{
    return (uint32_t)__builtin_popcountll(bits);
}

/* Each bit one character later; what stood before the block decides about the first. */
static inline uint64_t behind(uint64_t bits, bool is_before)
{
    return bits << 1 | is_before;
}

/* Letters of words, of which these begin one or a part of one. */
static void add_words(struct text_shape *s, uint64_t letters, uint64_t begins)
{
    uint64_t others = ~letters | begins;
    unsigned carried = others == 0 ? BLOCK : (unsigned)__builtin_ctzll(others);
    uint64_t rest = carried == BLOCK ? 0 : letters >> carried << carried;
    if (carried > 0) {
        add_letters(s, carried);
    }
    uint64_t early = begins | begins << 1;
    early |= early << 2;
    early |= early << 4; /* the first eight */
    s->count[TEXT_LETTER] += count_of(rest);
    s->count[TEXT_LATE_LETTER] += count_of(rest & ~early);
    if (begins != 0) {
        unsigned last = (unsigned)__builtin_clzll(begins) + 1;
        s->run = (uint8_t)(last > WORD_LETTERS ? WORD_LETTERS : last);
    }
}

static enum kind last_kind(const struct places *p, uint64_t first_blanks)
{
    const struct {
        uint64_t at;
        enum kind kind;
    } rows[] = {{p->small, KIND_SMALL},     {p->capital, KIND_CAPITAL}, {p->digit, KIND_DIGIT},
                {first_blanks, KIND_BLANK}, {p->blank, KIND_BLANKS},    {p->line, KIND_LINE}};
    enum kind kind = KIND_SIGN;
    for (size_t i = sizeof(rows) / sizeof(rows[0]); i > 0; i--) {
        kind = rows[i - 1].at >> (BLOCK - 1) != 0 ? rows[i - 1].kind : kind;
    }
    return kind;
}

static void add_block(struct text_shape *s, const struct places *p)
{
    uint8_t before = s->before;
    uint64_t letters = p->small | p->capital;
    uint64_t signs = ~(letters | p->digit | p->blank | p->line);
    uint64_t words = letters & ~behind(letters, is_in_word(before));
    uint64_t humps = p->capital & behind(p->small, before == KIND_SMALL);
    bool is_blank = before == KIND_BLANK;
    uint64_t blanks = p->blank & ~behind(p->blank, is_blank || before == KIND_BLANKS);
    s->count[TEXT_WORD] += count_of(words);
    s->count[TEXT_CAPITAL] += count_of(words & p->capital);
    s->count[TEXT_HUMP] += count_of(humps);
    add_words(s, letters, words | humps);
    s->count[TEXT_DIGIT] += count_of(p->digit);
    s->count[TEXT_NUMBER] += count_of(p->digit & ~behind(p->digit, before == KIND_DIGIT));
    s->count[TEXT_SIGN] += count_of(signs);
    s->count[TEXT_SIGNS] += count_of(signs & ~behind(signs, before == KIND_SIGN));
    s->count[TEXT_LONE_SIGN] += count_of(signs & behind(blanks, is_blank));
    s->count[TEXT_INDENT] += count_of(p->blank & behind(blanks, is_blank));
    s->count[TEXT_LINE] += count_of(p->line & ~behind(p->line, before == KIND_LINE));
    s->before = (uint8_t)last_kind(p, blanks);
}

void text_shape_add(struct text_shape *s, struct span text)
{
    const uint8_t *at = text.at, *end = text.at + text.len;
    while (end - at >= BLOCK) {
        struct places p = look(at);
        if (p.high == 0) {
            add_block(s, &p);
            at += BLOCK;
        } else {
            at = take_each(s, at, at + BLOCK, end);
        }
    }
    (void)take_each(s, at, end, end);
}

#else

void text_shape_add(struct text_shape *s, struct span text)
{
    const uint8_t *end = text.at + text.len;
    (void)take_each(s, text.at, end, end);
}

#endif
