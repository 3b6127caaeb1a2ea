/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_request.h — what a caller asks in OpenAI's form, and what a model server is to be asked.
 *
 * Facts are read from the *effective* request: the members of a literal top-level `extra_body`
 * object count as top-level members where the body has none of that name. Explicit null is absent.
 * Members we do not know are left as they are.
 *
 * Ownership  facts borrow from the body and the arena; edits from the arena.
 * Limits     1,024 members of the body, 256 of extra_body; else the index's.
 * Threads    any; pure.
 * Sources    OpenAI's API reference (chat, completions, embeddings).
 */
#ifndef OPENAI_OPENAI_REQUEST_H
#define OPENAI_OPENAI_REQUEST_H

#include "base/arena.h"
#include "base/err.h"
#include "json/json_edit.h"
#include "json/json_index.h"

enum openai_endpoint { OPENAI_CHAT, OPENAI_COMPLETIONS, OPENAI_EMBEDDINGS };

struct openai_request {
    enum openai_endpoint endpoint;
    struct span model; /* unescaped */
    bool stream;
    bool wants_usage;            /* stream_options.include_usage: the usage chunk is the caller's */
    bool wants_continuous_usage; /* stream_options.continuous_usage_stats: on every chunk */
    bool wants_base64;           /* embeddings: encoding_format is "base64" */
    bool has_token_arrays;       /* the input or prompt is numbers: input_tokens is exact */
    uint32_t inputs;             /* embeddings: how many vectors come back */
    uint32_t choices;            /* how many answers were asked for: n, of each prompt */
    int64_t input_tokens;        /* of token arrays; -1: not known */
    int64_t output_tokens_max;   /* max_completion_tokens or max_tokens, for all choices of all
                                    prompts together; -1: not said */
};

/* What the chosen model server needs to be told differently. */
struct openai_target {
    struct span model;                /* its own name for the model */
    bool lacks_max_completion_tokens; /* send max_tokens instead */
    bool refuses_both_max_tokens;     /* of these two, send the newer one alone */
    bool lacks_developer_role;        /* send such messages as "system" */
    bool lacks_stop_text;             /* send a single `stop` as an array */
    bool lacks_base64;                /* ask it for floats; the reply is converted */
    bool keeps_extra_body;            /* it has a use for a literal extra_body: lift it only when
                                         it holds what Atlas judges by (model, stream, n, …) */
};

/*
 * Reads the facts. `*param` names the member at fault on ERR_VALUE_INVALID, ERR_VALUE_MISSING and
 * ERR_JSON_DUPLICATE, and `*message` says what is wrong with it (or is empty).
 *
 *   ERR_BODY_NOT_OBJECT  the body is not an object
 *   ERR_JSON_DUPLICATE   an object that Atlas interprets (the body, extra_body, stream_options,
 *                        routing, a message) holds a key twice
 *   ERR_VALUE_MISSING    model, messages, prompt or input is not there
 *   ERR_VALUE_INVALID    one of these, stream, n, … has a type or value that cannot be right
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_request_read(const struct json_index *x, enum openai_endpoint endpoint,
                                      struct arena *arena, struct openai_request *out,
                                      struct span *param, struct span *message);

/*
 * The edits that make the body what `target` is sent: its model name; routing hints (routing,
 * routing_preference, also inside extra_body) taken out; extra_body's members lifted to where the
 * wrapper was, but for those that the body has itself; usage asked for in a stream; the target's
 * needs. `out` is initialised here.
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_request_edit(const struct json_index *x,
                                      const struct openai_request *request,
                                      const struct openai_target *target, struct arena *arena,
                                      struct json_edits *out);

/* `text` as a JSON string, in the arena; {NULL, 0} without memory. */
struct span openai_quote(struct arena *arena, struct span text);

#endif
