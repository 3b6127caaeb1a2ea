/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frequent words by language, in a table by hash. A word that several languages have says a little
 * for each. Letters that few languages have say as much as a word.
 *
 * Arabic in Latin letters has its own words, and digits for the letters that Latin lacks: a digit
 * between letters, or before three of them, as in "ma3rof", "7abibi", "3ala".
 */
#include <pthread.h>

#include "text/text_language_internal.h"
#include "text/text_table.h"

#define WORD_BYTES_MAX 16
#define SLOTS          2048 /* a power of two, more than twice the words */
#define WORD_POINTS    12   /* of a word that one language has; shared by those that have it */
#define SURE_POINTS    (3 * WORD_POINTS)

static const char *const names[WORDS_LANGUAGES] = {
    [WORDS_EN] = "en", [WORDS_FR] = "fr", [WORDS_ES] = "es", [WORDS_PT] = "pt",
    [WORDS_DE] = "de", [WORDS_IT] = "it", [WORDS_NL] = "nl", [WORDS_TR] = "tr",
    [WORDS_ID] = "id", [WORDS_TL] = "tl", [WORDS_SW] = "sw", [WORDS_SV] = "sv",
    [WORDS_PL] = "pl", [WORDS_RO] = "ro", [WORDS_VI] = "vi", [WORDS_ARABIZI] = "ar",
};

static const char *const lists[WORDS_LANGUAGES] = {
#define WORDS(language, words) [WORDS_##language] = (words),
#include "text/text_words.def"
#undef WORDS
};

static struct text_table_slot slots[SLOTS];
static struct text_table table = {slots, SLOTS, WORD_BYTES_MAX, 0};
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make(void)
{
    for (unsigned language = 0; language < WORDS_LANGUAGES; language++) {
        text_table_add(&table, language, lists[language]);
    }
}

/* ---- a text ---- */

struct scores {
    uint32_t points[WORDS_LANGUAGES];
    uint32_t words;
    uint32_t digits; /* words with a digit that stands for a letter */
    bool has_marks;  /* some letter is not ASCII's */
};

static void add(struct scores *s, uint32_t languages, uint32_t points)
{
    uint32_t share = languages == 0 ? 0 : points / (uint32_t)__builtin_popcount(languages);
    for (; languages != 0; languages &= languages - 1) {
        s->points[__builtin_ctz(languages)] += share;
    }
}

#define BIT(language) (1u << WORDS_##language)

/* The languages that use a letter which most do not. */
static uint32_t languages_of(uint32_t letter)
{
    static const struct {
        uint16_t letter;
        uint32_t languages;
    } rows[] = {
        {0xE0, BIT(FR) | BIT(IT) | BIT(VI)},
        {0xE1, BIT(ES) | BIT(PT) | BIT(VI)},
        {0xE2, BIT(FR) | BIT(PT) | BIT(RO) | BIT(VI)},
        {0xE3, BIT(PT) | BIT(VI)},
        {0xE4, BIT(DE) | BIT(SV)},
        {0xE5, BIT(SV)},
        {0xE7, BIT(FR) | BIT(PT) | BIT(TR)},
        {0xE8, BIT(FR) | BIT(IT)},
        {0xE9, BIT(FR) | BIT(ES) | BIT(PT)},
        {0xEA, BIT(FR) | BIT(PT) | BIT(VI)},
        {0xED, BIT(ES) | BIT(PT)},
        {0xEE, BIT(FR) | BIT(RO)},
        {0xF1, BIT(ES)},
        {0xF3, BIT(ES) | BIT(PL)},
        {0xF4, BIT(FR) | BIT(VI)},
        {0xF5, BIT(PT)},
        {0xF6, BIT(DE) | BIT(SV) | BIT(TR)},
        {0xFC, BIT(DE) | BIT(TR)},
        {0xDF, BIT(DE)},
        {0x103, BIT(RO) | BIT(VI)},
        {0x105, BIT(PL)},
        {0x107, BIT(PL)},
        {0x111, BIT(VI)},
        {0x119, BIT(PL)},
        {0x11F, BIT(TR)},
        {0x131, BIT(TR)},
        {0x142, BIT(PL)},
        {0x15B, BIT(PL)},
        {0x15F, BIT(TR)},
        {0x17C, BIT(PL)},
        {0x1A1, BIT(VI)},
        {0x1B0, BIT(VI)},
        {0x219, BIT(RO)},
        {0x21B, BIT(RO)},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].letter == letter) {
            return rows[i].languages;
        }
    }
    return letter >= 0x1EA0 && letter <= 0x1EF9 ? BIT(VI) : 0;
}

static bool is_small(uint8_t c)
{
    return c >= 'a' && c <= 'z';
}

/* Whether it may be a number of another base, or a name by a machine: "3f2b7a9e", "a1b2c3". */
static bool is_code(struct span word)
{
    size_t digits = 0, beyond_f = 0;
    for (size_t i = 0; i < word.len; i++) {
        digits += word.at[i] >= '0' && word.at[i] <= '9';
        beyond_f += word.at[i] > 'f';
    }
    return digits > 2 || (digits > 0 && beyond_f == 0 && word.len > 4) || digits * 2 >= word.len;
}

/* Whether a digit of the word stands for a letter: "3ala", "ma7al"; not "3rd", "mp3", "5kg". */
static bool has_digit_for_letter(struct span word)
{
    static const char standing[] = "2356789";
    for (size_t i = 0; i < word.len; i++) {
        if (word.at[i] == 0 || strchr(standing, word.at[i]) == NULL) {
            continue;
        }
        size_t behind = 0;
        while (i + 1 + behind < word.len && is_small(word.at[i + 1 + behind])) {
            behind++;
        }
        bool is_between = i > 0 && is_small(word.at[i - 1]) && behind > 0 && word.len > 3;
        bool is_first = i == 0 && behind >= 3 && behind + 1 == word.len &&
                        !span_is(span_cut(word, 1, 3), "min") &&
                        !span_is(span_cut(word, 1, 3), "day");
        if (is_between || is_first) {
            return true;
        }
    }
    return false;
}

static void add_word(struct scores *s, struct span word)
{
    bool has_letter = false, has_digit = false;
    for (size_t i = 0; i < word.len; i++) {
        has_digit = has_digit || (word.at[i] >= '0' && word.at[i] <= '9');
        has_letter = has_letter || is_small(word.at[i]) || word.at[i] >= 0x80;
    }
    if (has_letter && !(has_digit && is_code(word))) {
        s->words++;
        add(s, text_table_find(&table, word), WORD_POINTS);
        if (has_digit && has_digit_for_letter(word)) {
            s->digits++;
            s->points[WORDS_ARABIZI] += WORD_POINTS;
        }
    }
}

/* The letter in small; 0: it is none. Digits count, for they may stand for letters. */
static uint8_t ascii_in_word(uint8_t c)
{
    uint8_t small = c | 0x20;
    if (is_small(small) && c >= 'A') {
        return small;
    }
    return c >= '0' && c <= '9' ? c : 0;
}

/* A word as it is read. */
struct reading {
    bool is_skipped; /* it is a part of an address, or of a name by a machine */
    uint8_t at[WORD_BYTES_MAX];
    size_t len; /* more than that: it is too long to be one that we know */
};

static void put(struct reading *word, struct span letter)
{
    if (word->len + letter.len <= WORD_BYTES_MAX) {
        memcpy(word->at + word->len, letter.at, letter.len);
        word->len += letter.len;
    } else {
        word->len = WORD_BYTES_MAX + 1;
    }
}

static void end_word(struct scores *s, struct reading *word)
{
    bool is_none = word->len > WORD_BYTES_MAX || word->is_skipped;
    add_word(s, span_make(word->at, is_none ? 0 : word->len));
    word->len = 0;
}

/* A letter beyond ASCII, as it is written. Of Latin-1 capitals become small. */
static void put_wide(struct scores *s, struct reading *word, uint32_t c, struct span written)
{
    uint8_t small[2] = {0xC3, 0};
    if (c >= 0xC0 && c <= 0xDE) {
        c += 0x20;
        small[1] = (uint8_t)(0x80 | (c & 0x3F));
        written = span_make(small, 2);
    }
    s->has_marks = true;
    add(s, languages_of(c), WORD_POINTS / 2);
    put(word, written);
}

static void add_text(struct scores *s, struct span text)
{
    struct reading word = {.len = 0};
    size_t step;
    for (size_t at = 0; at < text.len; at += step) {
        uint32_t c = text_character(span_cut(text, at, 4), &step);
        uint8_t ascii = c < 0x80 ? ascii_in_word((uint8_t)c) : 0;
        if (ascii != 0) {
            put(&word, span_make(&ascii, 1));
        } else if (c >= 0xC0 && c <= 0x1EFF) {
            put_wide(s, &word, c, span_cut(text, at, step));
        } else {
            end_word(s, &word);
            word.is_skipped = c < 0x80 && c != 0 && strchr("./@#=&_~%\\", (int)c) != NULL;
        }
    }
    end_word(s, &word);
}

/* The language of most points, and the points of the next. */
static unsigned find_best(const struct scores *s, uint32_t *second)
{
    unsigned best = 0;
    *second = 0;
    for (unsigned language = 1; language < WORDS_LANGUAGES; language++) {
        best = s->points[language] > s->points[best] ? language : best;
    }
    for (unsigned language = 0; language < WORDS_LANGUAGES; language++) {
        bool is_more = language != best && s->points[language] > *second;
        *second = is_more ? s->points[language] : *second;
    }
    return best;
}

/* A few short words of a longer text may be another language's. */
static bool is_weak_arabizi(const struct scores *s, unsigned best)
{
    return best == WORDS_ARABIZI && s->digits == 0 && s->words > 4 && s->points[best] < SURE_POINTS;
}

struct text_language text_latin_language(struct span text)
{
    struct scores s;
    uint32_t second;
    memset(&s, 0, sizeof(s));
    (void)pthread_once(&made, make); /* it cannot fail */
    add_text(&s, text);
    unsigned best = find_best(&s, &second);
    uint32_t points = s.points[best];
    if (points == 0 && s.words > 1 && !s.has_marks) {
        return (struct text_language){"en", "Latn", TEXT_GUESS_PERMILLE};
    }
    if (points == 0 || points == second || is_weak_arabizi(&s, best)) {
        return (struct text_language){"und", "Latn", 0};
    }
    /* One word of few is a guess, three of ten are as sure as words can be. */
    uint32_t margin = 1000 - second * 1000 / points;
    uint32_t seen = points >= SURE_POINTS ? 1000 : points * 1000 / SURE_POINTS;
    return (struct text_language){names[best], "Latn", (int)(500 + margin * seen / 2000)};
}
