/* SPDX-License-Identifier: Apache-2.0 */
/* openai_request_walk.h — one walk over each object that Atlas interprets: its members, and whether
 * it has one twice. For openai's own files. */
#ifndef OPENAI_OPENAI_REQUEST_WALK_H
#define OPENAI_OPENAI_REQUEST_WALK_H

#include "openai/openai_request.h"

enum openai_walk {
    OPENAI_WALK_BODY,
    OPENAI_WALK_EXTRA,
    OPENAI_WALK_HINTS,
    OPENAI_WALK_OPTIONS, /* of a stream */
    OPENAI_WALK_MESSAGE
};

/* Begins to walk over an object; `name` is the member to blame for equal keys, "": the key. */
void openai_walk_begin(struct openai_reading *r, uint32_t object, enum openai_walk walk,
                       struct span name);

/* Goes on for about `*left` bytes of work, in the measure of json_index_step(); r->object is
 * JSON_NONE when it was walked. ERR_JSON_DUPLICATE, ERR_NO_MEMORY. */
MUST_USE enum err openai_walk_step(struct openai_reading *r, size_t *left);

/* Frees what a walk that was given up holds. */
void openai_walk_fini(struct openai_reading *r);

#endif
