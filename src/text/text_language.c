/* SPDX-License-Identifier: Apache-2.0 */
/* Letters are counted by script; the script that has most of them decides how to go on. */
#include "text/text_language.h"

#include "text/text_language_internal.h"

enum script {
    SCRIPT_NONE,
    SCRIPT_LATIN,
    SCRIPT_GREEK,
    SCRIPT_CYRILLIC,
    SCRIPT_ARMENIAN,
    SCRIPT_HEBREW,
    SCRIPT_ARABIC,
    SCRIPT_DEVANAGARI,
    SCRIPT_BENGALI,
    SCRIPT_GURMUKHI,
    SCRIPT_GUJARATI,
    SCRIPT_TAMIL,
    SCRIPT_TELUGU,
    SCRIPT_KANNADA,
    SCRIPT_MALAYALAM,
    SCRIPT_SINHALA,
    SCRIPT_THAI,
    SCRIPT_LAO,
    SCRIPT_BURMESE,
    SCRIPT_GEORGIAN,
    SCRIPT_ETHIOPIC,
    SCRIPT_KHMER,
    SCRIPT_KANA,
    SCRIPT_HAN,
    SCRIPT_HANGUL,
    SCRIPTS
};

/* The language is that of nearly all texts in it, unless more is known. */
static const struct {
    const char *name, *language;
} scripts[SCRIPTS] = {
    [SCRIPT_NONE] = {"Zyyy", "und"},     [SCRIPT_LATIN] = {"Latn", "und"},
    [SCRIPT_GREEK] = {"Grek", "el"},     [SCRIPT_CYRILLIC] = {"Cyrl", "ru"},
    [SCRIPT_ARMENIAN] = {"Armn", "hy"},  [SCRIPT_HEBREW] = {"Hebr", "he"},
    [SCRIPT_ARABIC] = {"Arab", "ar"},    [SCRIPT_DEVANAGARI] = {"Deva", "hi"},
    [SCRIPT_BENGALI] = {"Beng", "bn"},   [SCRIPT_GURMUKHI] = {"Guru", "pa"},
    [SCRIPT_GUJARATI] = {"Gujr", "gu"},  [SCRIPT_TAMIL] = {"Taml", "ta"},
    [SCRIPT_TELUGU] = {"Telu", "te"},    [SCRIPT_KANNADA] = {"Knda", "kn"},
    [SCRIPT_MALAYALAM] = {"Mlym", "ml"}, [SCRIPT_SINHALA] = {"Sinh", "si"},
    [SCRIPT_THAI] = {"Thai", "th"},      [SCRIPT_LAO] = {"Laoo", "lo"},
    [SCRIPT_BURMESE] = {"Mymr", "my"},   [SCRIPT_GEORGIAN] = {"Geor", "ka"},
    [SCRIPT_ETHIOPIC] = {"Ethi", "am"},  [SCRIPT_KHMER] = {"Khmr", "km"},
    [SCRIPT_KANA] = {"Jpan", "ja"},      [SCRIPT_HAN] = {"Hani", "zh"},
    [SCRIPT_HANGUL] = {"Kore", "ko"},
};

/* Blocks of letters, the first of which come first (Unicode, Blocks.txt). */
static const struct {
    uint32_t first, last;
    enum script script;
} blocks[] = {
    {0x00C0, 0x024F, SCRIPT_LATIN},      {0x0370, 0x03FF, SCRIPT_GREEK},
    {0x0400, 0x052F, SCRIPT_CYRILLIC},   {0x0530, 0x058F, SCRIPT_ARMENIAN},
    {0x05D0, 0x05F4, SCRIPT_HEBREW},     {0x0620, 0x064A, SCRIPT_ARABIC},
    {0x066E, 0x06D3, SCRIPT_ARABIC},     {0x06D5, 0x06FF, SCRIPT_ARABIC},
    {0x0750, 0x077F, SCRIPT_ARABIC},     {0x08A0, 0x08FF, SCRIPT_ARABIC},
    {0x0900, 0x097F, SCRIPT_DEVANAGARI}, {0x0980, 0x09FF, SCRIPT_BENGALI},
    {0x0A00, 0x0A7F, SCRIPT_GURMUKHI},   {0x0A80, 0x0AFF, SCRIPT_GUJARATI},
    {0x0B80, 0x0BFF, SCRIPT_TAMIL},      {0x0C00, 0x0C7F, SCRIPT_TELUGU},
    {0x0C80, 0x0CFF, SCRIPT_KANNADA},    {0x0D00, 0x0D7F, SCRIPT_MALAYALAM},
    {0x0D80, 0x0DFF, SCRIPT_SINHALA},    {0x0E00, 0x0E7F, SCRIPT_THAI},
    {0x0E80, 0x0EFF, SCRIPT_LAO},        {0x1000, 0x109F, SCRIPT_BURMESE},
    {0x10A0, 0x10FF, SCRIPT_GEORGIAN},   {0x1100, 0x11FF, SCRIPT_HANGUL},
    {0x1200, 0x139F, SCRIPT_ETHIOPIC},   {0x1780, 0x17FF, SCRIPT_KHMER},
    {0x1E00, 0x1EFF, SCRIPT_LATIN},      {0x1F00, 0x1FFF, SCRIPT_GREEK},
    {0x3040, 0x30FF, SCRIPT_KANA},       {0x3400, 0x4DBF, SCRIPT_HAN},
    {0x4E00, 0x9FFF, SCRIPT_HAN},        {0xAC00, 0xD7AF, SCRIPT_HANGUL},
    {0xFB50, 0xFDFF, SCRIPT_ARABIC},     {0xFE70, 0xFEFC, SCRIPT_ARABIC},
};

#define HAN_LETTERS 3 /* a character of Han says what so many letters of an alphabet do */

/* Letters of Arabic script that some of its languages have, and others not. */
enum family { FAMILY_ARABIC, FAMILY_PERSIAN, FAMILY_URDU, FAMILY_PASHTO, FAMILY_KURDISH, FAMILIES };

struct counts {
    uint32_t letters[SCRIPTS];
    uint32_t families[FAMILIES];
    uint32_t ukrainian;
};

static enum script script_of(uint32_t c)
{
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]) && c >= blocks[i].first; i++) {
        if (c <= blocks[i].last) {
            return blocks[i].script;
        }
    }
    return SCRIPT_NONE;
}

/* Letters from U+0600 on that tell their language's family, and one more: 0 tells none. */
static const uint8_t families[256] = {
    [0x29] = FAMILY_ARABIC + 1,  /* teh marbuta */
    [0x43] = FAMILY_ARABIC + 1,  /* kaf */
    [0x49] = FAMILY_ARABIC + 1,  /* alef maksura */
    [0x4A] = FAMILY_ARABIC + 1,  /* yeh */
    [0x23] = FAMILY_ARABIC + 1,  /* alef with hamza above, */
    [0x25] = FAMILY_ARABIC + 1,  /* and below */
    [0x7E] = FAMILY_PERSIAN + 1, /* peh */
    [0x86] = FAMILY_PERSIAN + 1, /* tcheh */
    [0x98] = FAMILY_PERSIAN + 1, /* jeh */
    [0xA9] = FAMILY_PERSIAN + 1, /* keheh */
    [0xAF] = FAMILY_PERSIAN + 1, /* gaf */
    [0xCC] = FAMILY_PERSIAN + 1, /* Farsi yeh */
    [0x79] = FAMILY_URDU + 1,    /* tteh */
    [0x88] = FAMILY_URDU + 1,    /* ddal */
    [0x91] = FAMILY_URDU + 1,    /* rreh */
    [0xBA] = FAMILY_URDU + 1,    /* noon ghunna */
    [0xBE] = FAMILY_URDU + 1,    /* heh doachashmee */
    [0xC1] = FAMILY_URDU + 1,    /* heh goal */
    [0xD2] = FAMILY_URDU + 1,    /* yeh barree */
    [0x7C] = FAMILY_PASHTO + 1,  /* teh with ring */
    [0x81] = FAMILY_PASHTO + 1,  /* hah with hamza above */
    [0x85] = FAMILY_PASHTO + 1,  /* hah with three dots above */
    [0x89] = FAMILY_PASHTO + 1,  /* dal with ring */
    [0x93] = FAMILY_PASHTO + 1,  /* reh with ring */
    [0x96] = FAMILY_PASHTO + 1,  /* reh with dots below and above */
    [0x9A] = FAMILY_PASHTO + 1,  /* seen with dots below and above */
    [0xBC] = FAMILY_PASHTO + 1,  /* noon with ring */
    [0xCD] = FAMILY_PASHTO + 1,  /* yeh with tail */
    [0xD0] = FAMILY_PASHTO + 1,  /* e */
    [0x95] = FAMILY_KURDISH + 1, /* reh with small v below */
    [0xB5] = FAMILY_KURDISH + 1, /* lam with small v */
    [0xC6] = FAMILY_KURDISH + 1, /* oe */
    [0xCE] = FAMILY_KURDISH + 1, /* yeh with small v */
    [0xD5] = FAMILY_KURDISH + 1, /* ae */
};

static bool is_arabic_letter(uint32_t c)
{
    return (c >= 0x0620 && c <= 0x064A) || (c >= 0x066E && c <= 0x06D3) ||
           (c >= 0x06D5 && c <= 0x06FF);
}

static void count_wide(struct counts *n, uint32_t c)
{
    enum script script = script_of(c);
    n->letters[script] += script == SCRIPT_HAN ? HAN_LETTERS : 1;
    n->ukrainian += c == 0x0456 || c == 0x0457 || c == 0x0454 || c == 0x0491;
}

/* `b` and what follows it are a letter from U+0600 to U+06FF, which is what Arabic texts are made
 * of. */
static inline bool is_arabic_block(uint8_t b)
{
    return b >= 0xD8 && b <= 0xDB;
}

static void count(struct counts *n, struct span text)
{
    uint32_t latin = 0, arabic = 0;
    uint32_t told[FAMILIES + 1] = {0};
    size_t len = 1;
    for (size_t at = 0; at < text.len; at += len) {
        uint8_t byte = text.at[at];
        if (byte < 0x80) {
            latin += (uint8_t)((byte | 0x20) - 'a') < 26;
            len = 1;
        } else if (is_arabic_block(byte) && at + 1 < text.len) {
            uint32_t c = (uint32_t)(byte & 0x1F) << 6 | (text.at[at + 1] & 0x3F);
            arabic += is_arabic_letter(c);
            told[families[c & 0xFF]]++;
            len = 2;
        } else {
            count_wide(n, text_character(span_cut(text, at, 4), &len));
        }
    }
    n->letters[SCRIPT_LATIN] += latin;
    n->letters[SCRIPT_ARABIC] += arabic;
    memcpy(n->families, told + 1, sizeof(n->families));
}

/* ---- languages of a script ---- */

/* Letters that a language alone has decide, unless Arabic's own are many more: an Arabic text may
 * hold a name with a foreign letter. */
static const char *arabic_script_language(const struct counts *n)
{
    const uint32_t *f = n->families;
    if (f[FAMILY_URDU] > f[FAMILY_ARABIC] / 4 && f[FAMILY_URDU] > f[FAMILY_KURDISH] &&
        f[FAMILY_URDU] > f[FAMILY_PASHTO]) {
        return "ur";
    }
    if (f[FAMILY_PASHTO] > f[FAMILY_ARABIC] / 4 && f[FAMILY_PASHTO] > f[FAMILY_KURDISH]) {
        return "ps";
    }
    if (f[FAMILY_KURDISH] > f[FAMILY_ARABIC] / 4) {
        return "ckb";
    }
    return f[FAMILY_PERSIAN] > f[FAMILY_ARABIC] ? "fa" : "ar";
}

static const char *language_in(enum script script, const struct counts *n)
{
    if (script == SCRIPT_ARABIC) {
        return arabic_script_language(n);
    }
    if (script == SCRIPT_CYRILLIC && n->ukrainian > 0) {
        return "uk";
    }
    if (script == SCRIPT_HAN && n->letters[SCRIPT_KANA] > 0) {
        return "ja";
    }
    return scripts[script].language;
}

/* Signs that only one of the families has make sure; else a short text may be either's. */
static int sureness(enum script script, const struct counts *n)
{
    uint32_t told = 0;
    if (script != SCRIPT_ARABIC) {
        return 1000;
    }
    for (size_t i = 0; i < FAMILIES; i++) {
        told += n->families[i];
    }
    return told > 0 ? 1000 : n->letters[SCRIPT_ARABIC] >= 24 ? 900 : 700;
}

/* That which has most letters beside Latin. */
static enum script second_script(const struct counts *n)
{
    enum script most = SCRIPT_NONE;
    for (unsigned script = SCRIPT_LATIN + 1; script < SCRIPTS; script++) {
        most = n->letters[script] > n->letters[most] ? (enum script)script : most;
    }
    return most;
}

struct text_language text_language_of(struct span text)
{
    struct counts n;
    memset(&n, 0, sizeof(n));
    text = span_cut_text(text, TEXT_LANGUAGE_BYTES);
    count(&n, text);
    enum script most = SCRIPT_NONE;
    uint32_t all = 0;
    n.letters[SCRIPT_NONE] = 0;
    for (unsigned script = 1; script < SCRIPTS; script++) {
        all += n.letters[script];
        most = n.letters[script] > n.letters[most] ? (enum script)script : most;
    }
    if (all == 0) {
        return (struct text_language){"und", scripts[SCRIPT_NONE].name, 0};
    }
    struct text_language found = {language_in(most, &n), scripts[most].name, sureness(most, &n)};
    if (most == SCRIPT_LATIN) {
        found = text_latin_language(text);
        enum script other = second_script(&n);
        if (found.permille <= TEXT_GUESS_PERMILLE && n.letters[other] * 4 >= all) {
            most = other; /* names and terms in Latin letters, within another language */
            found = (struct text_language){language_in(most, &n), scripts[most].name, 1000};
        }
    }
    found.permille = (int)((int64_t)found.permille * n.letters[most] / all);
    return found;
}
