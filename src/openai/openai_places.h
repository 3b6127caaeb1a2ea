/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_places.h — what stands where in OpenAI's requests and answers: which channel the strings
 * of a place belong to, and where its members lead. For the walker over texts.
 *
 * A place is what a key means, whatever its value is: a string there has the place's channel, an
 * array's elements lie in `elements`, an object's members where openai_members says, or in
 * `others`.
 */
#ifndef OPENAI_OPENAI_PLACES_H
#define OPENAI_OPENAI_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "openai/openai_names.h"

/* Beyond the channels of openai_texts.h. */
#define PLACES_BY_ROLE    0x40 /* the channel of the message's role */
#define PLACES_NO_TEXT    0x41 /* no text, unless it is long */
#define PLACES_NEVER_TEXT 0x42

enum place {
    PLACE_NONE, /* no place: 0 */
#define PLACE(name, channel, elements, others, keys) PLACE_##name,
#include "openai/openai_places.def"
#undef PLACE
    PLACE_COUNT
};

struct place_row {
    uint8_t channel;  /* enum openai_channel, or one of the above */
    uint8_t elements; /* enum place */
    uint8_t others;
    bool keys_are_text; /* of the place's channel */
};

extern const struct place_row openai_places[PLACE_COUNT];

/* Where the members of each place lead, by their names; NONE: nothing is said of it. */
extern const uint8_t openai_members[PLACE_COUNT][NAME_COUNT];

#endif
