/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_gist.h — what whoever chooses a model wants to know of a request: the beginning of what
 * was asked last, how many turns there were, tools, pictures; and what its caller wishes.
 *
 * The last turn of the user counts. Where it has fewer than three words ("yes, please"), that of
 * the one before stands in front of it. Of embeddings and completions an input or prompt is a turn.
 *
 * Ownership  texts are copies in the arena.
 * Limits     OPENAI_GIST_BYTES of text.
 * Threads    any; pure.
 */
#ifndef OPENAI_OPENAI_GIST_H
#define OPENAI_OPENAI_GIST_H

#include "base/arena.h"
#include "openai/openai_count.h"
#include "openai/openai_request.h"
#include "openai/openai_session.h"

#define OPENAI_GIST_BYTES 1024
#define OPENAI_WISHES_MAX 6

struct openai_gist {
    struct span asked;
    int64_t turns;
    bool has_tools, has_pictures;
    struct text_shape shape;       /* of all texts that a model reads, */
    int64_t messages, beside;      /* and tokens beside texts and messages */
    bool has_shape;                /* else nobody looked */
    struct openai_session session; /* all empty until openai_session_read() */
};

/* Reads it of the index `x` of a request that was counted (NULL: token numbers, which say nothing).
 * ERR_NO_MEMORY. */
MUST_USE enum err openai_gist_read(const struct openai_count *count, const struct json_index *x,
                                   const struct openai_request *request, struct arena *arena,
                                   struct openai_gist *out);

/* What a caller wishes of routing, by the member that says it. */
struct openai_wish {
    struct span value;
    struct span param; /* "routing.profile", "routing.classification", "routing_preference" */
    bool is_class;     /* of the data, not a profile */
};

/* All of them, and after an error the member at fault and what is wrong with it. */
struct openai_wishes {
    struct openai_wish at[OPENAI_WISHES_MAX];
    size_t count;
    struct span param, message;
};

/*
 * Reads the wishes of a request from its body and its extra_body.
 *
 *   ERR_VALUE_INVALID  `routing` is no object, has a member that nobody knows, or a wish is no text
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_wishes_read(const struct json_index *x,
                                     const struct openai_request *request, struct arena *arena,
                                     struct openai_wishes *out);

/* Whether the request has any. */
bool openai_request_has_wishes(const struct openai_request *request);

#endif
