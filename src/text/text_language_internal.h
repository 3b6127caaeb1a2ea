/* SPDX-License-Identifier: Apache-2.0 */
/* text_language_internal.h — letters and words. For the part's own files. */
#ifndef TEXT_TEXT_LANGUAGE_INTERNAL_H
#define TEXT_TEXT_LANGUAGE_INTERNAL_H

#include "text/text_language.h"

#define TEXT_GUESS_PERMILLE                                              \
    300 /* that words of which none is known, without marks, are English \
         */

/* The languages that words tell apart, and Arabic in Latin letters. */
enum text_words_language {
    WORDS_EN,
    WORDS_FR,
    WORDS_ES,
    WORDS_PT,
    WORDS_DE,
    WORDS_IT,
    WORDS_NL,
    WORDS_TR,
    WORDS_ID,
    WORDS_TL,
    WORDS_SW,
    WORDS_SV,
    WORDS_PL,
    WORDS_RO,
    WORDS_VI,
    WORDS_ARABIZI,
    WORDS_LANGUAGES
};

/* The character at the beginning of `s`, which is not empty; its length is *len. What is no UTF-8
 * is one byte that no script has. */
uint32_t text_character(struct span s, size_t *len);

/* Tells the language of a text in Latin letters by its words. */
struct text_language text_latin_language(struct span text);

#endif
