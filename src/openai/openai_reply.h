/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_reply.h — a model server's answers made what OpenAI's clients accept.
 *
 * A whole reply or one event of a stream in, edits out. The vectors of a large batch of embeddings
 * take their time, so these are converted some at a time. What is changed: `model` becomes the name
 * the caller knows; a null `error` member goes; `reasoning` is copied to `reasoning_content` where
 * only the first is there; a finish_reason of the server's own becomes "stop", and any role
 * "assistant"; choices get their index, and tool calls the index, id, type and name that clients
 * need, once; a role is said once; usage stands only in the
 * last chunk, alone; embeddings are in the form and order that was asked for. All else passes as it
 * is.
 *
 * Ownership  edits and replacements are in the arena given. openai_stream_fini() frees what a
 * stream holds. Limits     of a stream, choices 0 to 127 are watched, and of each its tool calls 0
 * to 127; what lies beyond passes as it came: no index, id or role is added or taken away, and its
 *            end is not waited for. Tool calls of choices other than the first take 48 bytes a
 *            choice, 6 KiB at most.
 * Threads    any; pure.
 * Sources    OpenAI's API reference (chat completion object and chunk, embeddings).
 */
#ifndef OPENAI_OPENAI_REPLY_H
#define OPENAI_OPENAI_REPLY_H

#include "openai/openai_request.h"
#include "openai/openai_vector.h"

struct openai_usage {
    int64_t input_tokens, output_tokens, cached_tokens;
    bool is_known; /* the model server said it */
};

/* What both kinds of answer need to know of the call. */
struct openai_plan {
    enum openai_endpoint endpoint;
    struct span quoted_model; /* the name the caller is shown, as a JSON string */
    struct span call_id;      /* for ids that the model server left out */
    bool wants_usage, wants_continuous_usage, wants_base64;
    uint32_t inputs, choices; /* as asked for */
};

struct openai_place;

/* The vectors of an embeddings reply on their way into the form and order that was asked for. */
struct openai_vectors {
    const struct json_index *x;
    const struct openai_plan *plan;
    struct arena *arena;
    struct openai_place *places;    /* one an input */
    struct openai_place *under_way; /* the one that `vector` is for, or NULL */
    struct openai_vector vector;
    uint32_t first, row;       /* elements of `data`: the first, the next */
    uint32_t position, edited; /* how many were read; and how many have their edits */
    bool is_read;              /* all of them are */
};

/* A reply that was read whole. */
struct openai_reply {
    struct json_edits edits; /* good when it is made */
    struct openai_usage usage;
    uint64_t text_bytes; /* how much text was generated, for an estimate if usage is not known */
    struct openai_vectors vectors;
    bool is_made;
};

/*
 * Begins with a whole reply of status 200; all but an embeddings reply is made then. Index, plan
 * and arena stay until the edits are no longer used.
 *
 *   ERR_UPSTREAM_JSON    not an object, or not this endpoint's form (no choices, no data)
 *   ERR_UPSTREAM_STATUS  it is an error object after all
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_reply_begin(struct openai_reply *r, const struct json_index *x,
                                     const struct openai_plan *plan, struct arena *arena);

/*
 * Goes on until it is made or about as many floats are converted: give or take three thousand.
 *
 *   ERR_UPSTREAM_JSON  not as many vectors as inputs, one for no input or for one that has its
 *                      own already, one that is neither array nor string or cannot be converted
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_reply_convert(struct openai_reply *r, int64_t floats);

#define OPENAI_ID_BYTES    72
#define OPENAI_CHOICES_MAX 128 /* OpenAI's own bound on n; requests for more are refused */
#define OPENAI_TOOLS_MAX   128 /* of one choice */

/* The tool calls of one choice so far. */
struct openai_tools {
    uint64_t seen[OPENAI_TOOLS_MAX / 64];  /* indexes that have begun, */
    uint64_t named[OPENAI_TOOLS_MAX / 64]; /* and those whose name was sent */
    uint64_t id;                           /* hash of the last id; 0: the call has none */
    uint8_t begun, last;                   /* the highest index and one; the last delta's */
    uint8_t moved_from, moved_to;          /* where the server says the first, it is the second */
};

/* A stream so far. Small: there is one for each open stream. */
struct openai_stream {
    const struct openai_plan *plan;
    struct openai_usage usage;
    uint64_t text_bytes;              /* of content, reasoning and arguments, about */
    struct openai_tools tools;        /* of choice 0 */
    struct openai_tools *other_tools; /* of those behind it; NULL until one of them calls */
    uint32_t other_tools_count;
    int64_t created_s; /* the chunks' own; 0: they had none yet */
    uint64_t choices_begun[OPENAI_CHOICES_MAX / 64];
    uint64_t choices_open[OPENAI_CHOICES_MAX / 64]; /* begun and not finished */
    bool any_begun, any_finished, usage_sent;
    char id[OPENAI_ID_BYTES]; /* the chunks' own, quoted as it came; "" if it is longer */
};

enum openai_verdict {
    OPENAI_SEND,  /* the event with the edits */
    OPENAI_DROP,  /* nothing */
    OPENAI_END,   /* it was [DONE] */
    OPENAI_ERROR, /* the model server reports an error: openai_stream_error() reads it */
};

void openai_stream_init(struct openai_stream *s, const struct openai_plan *plan);

/* Frees what is held; nothing, if it is all zero. */
void openai_stream_fini(struct openai_stream *s);

/*
 * One event's data; also a whole reply, of a server that does not stream: its messages become
 * deltas. `x` is room for an index, reused by the caller; it refers to `data` afterwards.
 * `*out` is good with OPENAI_SEND only.
 *   ERR_UPSTREAM_STREAM  not JSON, not a chunk's form, or [DONE] before any choice
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_stream_event(struct openai_stream *s, struct span data,
                                      struct json_index *x, struct arena *arena,
                                      struct json_edits *out, enum openai_verdict *verdict);

/* Whether the answer may end here: a finish_reason was seen for each choice that began. */
bool openai_stream_is_complete(const struct openai_stream *s);

/*
 * The events that end a stream, in the arena: a finish_reason for each choice that has none yet,
 * the usage chunk where the caller asked for it and has not had it, and [DONE]. `created_s` is unix
 * time, for a server that did not say it.
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_stream_finish(struct openai_stream *s, struct arena *arena,
                                       int64_t created_s, struct span *out);

#endif
