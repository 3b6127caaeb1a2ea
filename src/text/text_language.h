/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_language.h — in which language a text is, for choosing a model that speaks it.
 *
 * The script comes first: most scripts have one language, or a few that some letters tell apart
 * (Arabic, Persian, Urdu, Pashto, Kurdish; Russian, Ukrainian; Chinese, Japanese). In Latin letters
 * small words tell. Arabic that is written in Latin letters and digits ("3ayez a3raf") is Arabic.
 *
 *   "ما هي عاصمة السعودية؟"     ar, Arab, 1.0
 *   "پایتخت ایران کجاست؟"       fa, Arab, 1.0
 *   "shlonak ya 7abibi"          ar, Latn, 0.8
 *   "1 + 1"                      und, Zyyy, 0
 *
 * Ownership  none: what is handed out is constant.
 * Limits     the first TEXT_LANGUAGE_BYTES of a text are looked at: some 2 µs where the script
 *            decides, some 6 µs where words do.
 * Threads    any. The table of words is made once, by the first call that needs it.
 * Sources    ISO 639-1 and 639-3 (languages), ISO 15924 (scripts),
 *            docs/decisions/0100-language-by-letters-and-words.md.
 */
#ifndef TEXT_TEXT_LANGUAGE_H
#define TEXT_TEXT_LANGUAGE_H

#include "base/span.h"

#define TEXT_LANGUAGE_BYTES 1024

struct text_language {
    const char *language; /* "ar"; "und": it cannot be told */
    const char *script;   /* of most of its letters: "Arab"; "Zyyy": it has none */
    int permille;         /* how sure that is, of 1,000 */
};

/* Tells the language of `text`, which is UTF-8. */
struct text_language text_language_of(struct span text);

/* Of an Arabic text the dialect: "egy", "glf", "lev", "mag", or "msa" where no word tells. Only
 * what is written in Arabic letters. */
const char *text_dialect_of(struct span text);

#endif
