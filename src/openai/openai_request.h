/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_request.h — what a caller asks in OpenAI's form, and what a model server is to be asked.
 *
 * Facts are read from the *effective* request: the members of a literal top-level `extra_body`
 * object count as top-level members where the body has none of that name. Explicit null is absent.
 * Members we do not know are left as they are; those of extra_body with a name of more than 64
 * bytes, which no model server knows, are not lifted.
 *
 * Ownership  facts borrow from the body and the arena; edits from the arena.
 * Limits     1,024 bytes of a model's name (no model has a longer one); 1,024 members of the body,
 *            256 of extra_body, 4,096 messages of the role developer; else the index's. Reading
 *            goes in steps; edits take a short time, whatever the body.
 * Threads    any; pure.
 * Sources    OpenAI's API reference (chat, completions, embeddings).
 */
#ifndef OPENAI_OPENAI_REQUEST_H
#define OPENAI_OPENAI_REQUEST_H

#include "base/arena.h"
#include "base/err.h"
#include "json/json_duplicates.h"
#include "json/json_edit.h"
#include "json/json_index.h"

enum openai_endpoint { OPENAI_CHAT, OPENAI_COMPLETIONS, OPENAI_EMBEDDINGS };

/* Members that Atlas reads or changes. Those before OPENAI_JUDGED it judges by: the model server
 * must see them where we did. */
enum openai_fact {
    OPENAI_FACT_MODEL,
    OPENAI_FACT_MESSAGES,
    OPENAI_FACT_PROMPT,
    OPENAI_FACT_INPUT,
    OPENAI_FACT_STREAM,
    OPENAI_FACT_STREAM_OPTIONS,
    OPENAI_FACT_N,
    OPENAI_FACT_BEST_OF,
    OPENAI_FACT_MAX_COMPLETION_TOKENS,
    OPENAI_FACT_MAX_TOKENS,
    OPENAI_FACT_ENCODING_FORMAT,
    OPENAI_JUDGED,
    OPENAI_FACT_STOP = OPENAI_JUDGED,
    OPENAI_FACT_ROUTING,
    OPENAI_FACT_ROUTING_PREFERENCE,
    OPENAI_FACT_EXTRA_BODY,
    OPENAI_FACTS
};

/* Where they are: rows of keys, in each index of the same text; JSON_NONE: there is none. */
struct openai_facts {
    uint32_t keys[OPENAI_FACTS];
};

struct openai_request {
    enum openai_endpoint endpoint;
    struct span model; /* unescaped */
    bool stream;
    bool wants_usage;            /* stream_options.include_usage: the usage chunk is the caller's */
    bool wants_continuous_usage; /* stream_options.continuous_usage_stats: on every chunk */
    bool wants_base64;           /* embeddings: encoding_format is "base64" */
    bool has_token_arrays;       /* the input or prompt is numbers: input_tokens is exact */
    uint32_t inputs;             /* embeddings: how many vectors come back */
    uint32_t choices;            /* how many answers were asked for: n, of each prompt; */
    uint32_t answers;            /* and are written for these: best_of, if that is more */
    int64_t input_tokens;        /* of token arrays; -1: not known */
    int64_t output_tokens_max;   /* max_completion_tokens or max_tokens, for all choices of all
                                    prompts together; -1: not said */

    /* For the edits. */
    struct openai_facts top, extra; /* of the body; of its extra_body */
    uint32_t include_usage;         /* the value's row in stream_options, or JSON_NONE */
    uint32_t *developers;           /* rows of the roles that are "developer" */
    uint32_t developer_count, developer_cap;
};

/* What the chosen model server needs to be told differently. */
struct openai_target {
    struct span model;                /* its own name for the model */
    bool lacks_max_completion_tokens; /* send max_tokens instead */
    bool refuses_both_max_tokens;     /* of these two, send the newer one alone */
    bool lacks_developer_role;        /* send such messages as "system" */
    bool lacks_stop_text;             /* send a single `stop` as an array */
    bool lacks_stream_options; /* do not ask a stream for its usage, unless the caller does */
    bool lacks_base64;         /* ask it for floats; the reply is converted */
    int64_t max_output;    /* what an answer is bounded to where the caller says nothing; 0: not */
    bool keeps_extra_body; /* it has a use for a literal extra_body: lift it only when
                              it holds what Atlas judges by (model, stream, n, …) */
};

/* A request that is read. Begin, step until it is done or fails, end. */
struct openai_reading {
    const struct json_index *x;
    struct arena *arena;
    struct openai_request request; /* good when it is done */
    struct span param, message;    /* after a failure: the member at fault, and what is wrong */
    bool is_done;

    /* The reader's own. */
    uint8_t stage;
    bool is_entered;      /* the stage */
    uint32_t extra;       /* the object, or JSON_NONE */
    uint8_t walk;         /* what kind of object is walked */
    uint32_t object, key; /* it, or JSON_NONE; its next key */
    struct span object_name;
    uint64_t seen[2]; /* bits of the names of its keys */
    bool is_doubtful; /* it has a key that is none of our names, or one twice */
    bool is_comparing;
    uint32_t role;             /* the value's row in a message, or JSON_NONE */
    uint32_t continuous_usage; /* like include_usage */
    struct json_duplicates duplicates;
    uint32_t list, row; /* messages, prompts, inputs; the next row of it */
    uint8_t kind;       /* of the list's elements */
};

/* Prepares to read `x`. */
void openai_request_begin(struct openai_reading *r, const struct json_index *x,
                          enum openai_endpoint endpoint, struct arena *arena);

/*
 * Goes on for about so much work, in the measure of json_index_step(). `r->param` names the member
 * at fault on ERR_VALUE_INVALID, ERR_VALUE_MISSING and ERR_JSON_DUPLICATE, and `r->message` says
 * what is wrong with it (or is empty).
 *
 *   ERR_BODY_NOT_OBJECT  the body is not an object
 *   ERR_JSON_DUPLICATE   an object that Atlas interprets (the body, extra_body, stream_options,
 *                        routing, a message) holds a key twice
 *   ERR_VALUE_MISSING    model, messages, prompt or input is not there
 *   ERR_VALUE_INVALID    one of these, stream, n, … has a type or value that cannot be right
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_request_step(struct openai_reading *r, size_t bytes);

/* Frees what reading took, at whatever point. */
void openai_request_end(struct openai_reading *r);

/*
 * The edits that a call needs, wherever it goes: routing hints (routing, routing_preference, also
 * inside extra_body) and members whose null we read as absent are taken out; extra_body is lifted
 * to where the wrapper was, if Atlas judges by a member of it. They come behind those that `out`
 * has. ERR_NO_MEMORY
 */
MUST_USE enum err openai_request_edit_call(const struct json_index *x,
                                           const struct openai_request *request,
                                           struct arena *arena, struct json_edits *out);

/*
 * The edits that make it what `target` is sent, upon those of the call: its model name; extra_body
 * lifted, or kept; usage asked for in a stream; the target's needs. `x` may be an index that was
 * made anew of the same bytes. `out` is initialised here.
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_request_edit_target(const struct json_index *x,
                                             const struct openai_request *request,
                                             const struct json_edits *call,
                                             const struct openai_target *target,
                                             struct arena *arena, struct json_edits *out);

/* The most tokens of all its answers together, if one of which nothing is said has `each` at most,
 * and none can have more than `limit`, whatever is said (0: nobody knows); -1: nobody knows. */
int64_t openai_request_output(const struct openai_request *request, int64_t each, int64_t limit);

/* `text` as a JSON string, in the arena; {NULL, 0} without memory. */
struct span openai_quote(struct arena *arena, struct span text);

#endif
