/* SPDX-License-Identifier: Apache-2.0 */
/* json_walk.h — the walk that fills an index. For json's own files. */
#ifndef JSON_JSON_WALK_H
#define JSON_JSON_WALK_H

#include "json/json_index.h"

#define INLINE static inline __attribute__((always_inline))

/* 1: may follow a backslash alone; 2: `u`, and four hexadecimal digits. */
extern const uint8_t json_escapes[256];

/* 1: a hexadecimal digit. */
extern const uint8_t json_hex_digits[256];

/* Goes past the escape whose backslash is at `at`; NULL if it is none. */
INLINE const uint8_t *json_skip_escape(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *hex = json_hex_digits;
    uint8_t kind = end - at < 2 ? 0 : json_escapes[at[1]];
    if (kind == 1) {
        return at + 2;
    }
    bool is_code =
        kind == 2 && end - at >= 6 && (hex[at[2]] & hex[at[3]] & hex[at[4]] & hex[at[5]]) != 0;
    return is_code ? at + 6 : NULL;
}

/* Makes room for more rows. ERR_JSON_TOO_MANY, ERR_OVERLOADED, ERR_NO_MEMORY. */
MUST_USE enum err json_index_grow(struct json_index *x);

/* Walks on for about so many bytes; x->walk says whether it is done. Errors as of
 * json_index_step(); x->error_at says where. */
MUST_USE enum err json_walk_on(struct json_index *x, size_t bytes);

/* Whether the text of a begun index is for the quick walk, and the processor has what that needs.
 */
bool json_walk_may_be_quick(struct json_index *x);

/* Walks on quickly for about so many bytes. Where it cannot, x->walk is begun anew for the walk
 * above. */
void json_walk_quickly(struct json_index *x, size_t bytes);

#endif
