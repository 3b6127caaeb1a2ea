/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_fold.h — a text as a scanner should see it, and where each byte of that came from.
 *
 * Digits of other scripts and shapes become ASCII, so do full-width signs, mathematical letters,
 * blanks, dashes, separators, and the Cyrillic and Greek letters that look like Latin ones. What
 * has no width is taken out: joiners, marks of direction, tatweel, soft hyphens, variation
 * selectors, tags. All else stays: Arabic is read as Arabic. A character is folded by itself,
 * whatever stands beside it, so a text may be cut at any character.
 *
 * Text that is JSON may write any character as an escape: text_fold_json() reads these as what they
 * say. It must begin where no escape has begun before.
 *
 * Where nothing changes, which is most text, the folded text is the source itself.
 *
 * Ownership  `text` borrows from the source or from the fold's own room, until the next fold.
 * Limits     a source is less than 4 GiB. What is not UTF-8 stays as it is, byte by byte.
 * Threads    one at a time.
 * Sources    Unicode 15, UnicodeData.txt; UTS 39, confusables.txt, of which few rows are taken.
 */
#ifndef TEXT_TEXT_FOLD_H
#define TEXT_TEXT_FOLD_H

#include "base/buf.h"

/* From `at` of the folded text on, a byte comes from as far behind `from` of the source as it is
 * behind `at`, up to the next point. */
struct text_fold_point {
    uint32_t at, from;
};

struct text_fold {
    struct span text;   /* folded */
    struct span source; /* as it came */
    size_t points;      /* changes; 0: both are the same */
    bool is_json;       /* escapes were read */
    struct buf room, map;
};

void text_fold_init(struct text_fold *f);
void text_fold_fini(struct text_fold *f);

/* Folds `source`, which outlives what is made of it. ERR_NO_MEMORY */
MUST_USE enum err text_fold(struct text_fold *f, struct span source);

/* The same of JSON, or of what is inside a string of it. What is no escape is a backslash. */
MUST_USE enum err text_fold_json(struct text_fold *f, struct span source);

/* Where in the source the character begins that the byte at `at` came from; at the text's end, the
 * source's. */
size_t text_fold_begin(const struct text_fold *f, size_t at);

/* Where in the source the character ends that the byte before `end` came from: behind it may be
 * some that were taken out. `end` is not 0. */
size_t text_fold_end(const struct text_fold *f, size_t end);

/* The first byte of the folded text that came from `from` of the source or from behind it. */
size_t text_fold_find(const struct text_fold *f, size_t from);

/* How many of the bytes are whole characters, or what is none: all but the beginning of one at the
 * end. */
size_t text_fold_whole(struct span s);

/* The same for text_fold_json(): nor is an escape cut. */
size_t text_fold_whole_json(struct span s);

/* Where the character ends that begins at `at`: a byte that is not UTF-8 is one. */
size_t text_fold_next(struct span s, size_t at);

#endif
