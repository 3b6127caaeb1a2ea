/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/openai_names.h"

#include "json/json_value.h"

#define ESCAPE_BYTES 6 /* of a text, for a byte that it says, at most */

/* Behind the last there is one of no length, where a look for the last length ends. */
const struct openai_name_row openai_names[NAME_COUNT + 1] = {
#define LENGTH(length)
#define NAME(name) [NAME_##name] = {sizeof(#name) - 1, #name},
#include "openai/openai_names.def"
#undef LENGTH
#undef NAME
};

/* The first name of each length; of others UNKNOWN, whose own length is 0. */
const uint8_t openai_names_of_length[NAME_BYTES_MAX + 1] = {
#define LENGTH(length) [length] = NAMES_OF_##length,
#define NAME(name)
#include "openai/openai_names.def"
#undef LENGTH
#undef NAME
};

enum openai_name openai_name_of_escaped(const struct json_index *x, uint32_t key)
{
    uint8_t said[NAME_BYTES_MAX * ESCAPE_BYTES];
    if (json_inside(x, key).len > sizeof(said)) {
        return NAME_UNKNOWN;
    }
    size_t len = json_unescape(x, key, said, NULL); /* no name holds a half pair's U+FFFD */
    if (len == 0 || len > NAME_BYTES_MAX) {
        return NAME_UNKNOWN;
    }
    const struct openai_name_row *row = &openai_names[openai_names_of_length[len]];
    while (row->len == len && memcmp(row->text, said, len) != 0) {
        row++;
    }
    return row->len == len ? (enum openai_name)(row - openai_names) : NAME_UNKNOWN;
}
