/* SPDX-License-Identifier: Apache-2.0 */
/* guard_tripwires_internal.h — the tripwires' tables, and the words of a text. For guard_trip*.c.
 */
#ifndef GUARD_GUARD_TRIPWIRES_INTERNAL_H
#define GUARD_GUARD_TRIPWIRES_INTERNAL_H

#include "guard/guard_internal.h"
#include "guard/guard_triggers.h"

enum guard_trip_words {
#define TRIP_WORDS(id, is_anchor, words) TRIP_##id,
#define TRIP_PHRASE(...)
#define TRIP_SIGN(percent, is_line, text)
#include "guard/guard_tripwires.def"
#undef TRIP_WORDS
#undef TRIP_PHRASE
#undef TRIP_SIGN
    TRIP_WORDS_COUNT
};

#define GUARD_TRIP_PARTS 4   /* of a phrase */
#define GUARD_TRIP_SET   128 /* the most lists of words */
#define GUARD_TRIP_SETS  2

_Static_assert(TRIP_WORDS_COUNT <= GUARD_TRIP_SET, "a bit each");

/* Which lists a word stands in. */
struct guard_trip_set {
    uint64_t bits[GUARD_TRIP_SETS];
};

/* A word of the text. */
struct guard_trip_word {
    size_t start, end;
    struct guard_trip_set set;
    unsigned number; /* counts words, and more where a sentence ends */
    bool is_encoded; /* letters of it are written as %6f or &#111; */
};

/* Reads words from a place on. */
struct guard_trip_reader {
    const struct guard_window *w;
    size_t at;
    unsigned number;
};

/* Makes the table of words; once, before any is read. */
void guard_trip_words_make(void);

/* Letters of the i-th anchor, of which the last three bytes are the trigger; empty behind the last.
 */
struct span guard_trip_anchor(size_t i);

/* Whether the word around `at` stands in a list. */
bool guard_trip_stands(const struct guard_window *w, size_t at);

/* Goes to the first word that begins at or after `at`. */
void guard_trip_begin(struct guard_trip_reader *in, const struct guard_window *w, size_t at);

/* The next word that stands in a list and ends before `end`; false: there is none. */
bool guard_trip_next(struct guard_trip_reader *in, size_t end, struct guard_trip_word *out);

static inline bool guard_trip_is(const struct guard_trip_word *word, unsigned list)
{
    return (word->set.bits[list / 64] >> (list % 64) & 1) != 0;
}

#endif
