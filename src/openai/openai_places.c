/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member that no row names leads to UNKNOWN nearly everywhere: what a list forgets is looked at,
 * not passed over.
 */
#include "openai/openai_places.h"

#include "openai/openai_texts.h"

#define TEXT(channel) OPENAI_TEXT_##channel

const struct place_row openai_places[PLACE_COUNT] = {
#define PLACE(name, channel, elements, others, keys) \
    [PLACE_##name] = {channel, PLACE_##elements, PLACE_##others, keys},
#include "openai/openai_places.def"
#undef PLACE
};

const uint8_t openai_members[PLACE_COUNT][NAME_COUNT] = {
#define MEMBER(where, name, place) [PLACE_##where][NAME_##name] = PLACE_##place,
#include "openai/openai_places.def"
#undef MEMBER
};
