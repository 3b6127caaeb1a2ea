/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_shape.h — what a text is made of, as far as tokenizers differ in what they make of it: words
 * and their letters, digits, signs, indentation, Arabic letters and vowel marks, other scripts.
 *
 * Counted once, whatever is asked of it: text_tokenizer.h multiplies it by a row of costs.
 *
 * A text may come in pieces that are cut between characters: the shape is that of the whole.
 *
 * Limits   one pass, no allocation; 2^32 - 1 of each trait. Bytes that are no UTF-8 are counted
 *          among others.
 * Threads  any; pure.
 * Sources  docs/decisions/0010-token-estimates.md; The Unicode Standard's blocks.
 */
#ifndef TEXT_TEXT_SHAPE_H
#define TEXT_TEXT_SHAPE_H

#include "base/span.h"

/* What is counted. The words and letters of a line are those of ASCII, if it says nothing else. */
enum text_trait {
    TEXT_WORD,         /* runs of letters */
    TEXT_CAPITAL,      /* of these, that begin with a capital letter */
    TEXT_LETTER,       /* letters */
    TEXT_LATE_LETTER,  /* of these, behind the eighth of a word or of a part that a hump begins */
    TEXT_HUMP,         /* capitals behind a small letter, as in camelCase */
    TEXT_DIGIT,        /* digits */
    TEXT_NUMBER,       /* runs of them */
    TEXT_SIGN,         /* punctuation, symbols, controls */
    TEXT_SIGNS,        /* runs of them */
    TEXT_LONE_SIGN,    /* of these runs, behind one blank */
    TEXT_INDENT,       /* runs of two and more blanks */
    TEXT_LINE,         /* runs of line ends and tabs */
    TEXT_ARABIC_WORD,  /* runs of Arabic */
    TEXT_ARABIC,       /* letters that Arabic is written with */
    TEXT_ARABIC_FIRST, /* first vowel marks of a word: ordinary text has them now and then */
    TEXT_ARABIC_MARK,  /* further ones of the same word: vocalised text */
    TEXT_ARABIC_OTHER, /* what else stands in the block: Persian, Urdu, marks of the Quran, signs */
    TEXT_LATIN,        /* letters beyond ASCII */
    TEXT_GREEK,        /* Greek, Cyrillic, Armenian */
    TEXT_HEBREW,
    TEXT_INDIC,
    TEXT_THAI, /* and Lao */
    TEXT_CJK,
    TEXT_KANA,
    TEXT_HANGUL,
    TEXT_TYPOGRAPHIC, /* dashes, quotation marks, blanks of U+2000 to U+206F */
    TEXT_OTHER,       /* bytes of everything else */
    TEXT_TRAITS
};

struct text_shape {
    uint32_t count[TEXT_TRAITS];
    uint8_t before; /* the kind of the last character, */
    uint8_t run;    /* and how many letters of its word stand behind one another, up to nine */
};

/* Begins a text: nothing stands before it. What was counted so far stays. */
void text_shape_begin(struct text_shape *s);

/* Adds UTF-8 `text` to it. */
void text_shape_add(struct text_shape *s, struct span text);

#endif
