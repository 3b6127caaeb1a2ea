/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openai_reply.h — a model server's answers made what OpenAI's clients accept.
 *
 * A whole reply or one event of a stream in, edits out. The vectors of a large batch of embeddings
 * take their time, so these are converted some at a time. What is changed: `model` becomes the name
 * the caller knows, `object` what the answer is; it has an `id` and is `created`, the same in all
 * chunks of a stream; an `error` that says nothing goes; reasoning is said under one name; a
 * finish_reason becomes one of OpenAI's, and that of a choice that called tools "tool_calls", any
 * role "assistant"; choices get their index and a message, those of a chat's stream numbered as
 * they come, and tool calls the index, id, type, name and arguments that clients need, once; a role
 * is said, and once; what is empty or of another type and makes clients stumble goes (no calls, no
 * function_call, no name, logprobs or usage that are no object); of members that are said twice the
 * last stays; usage stands only in the last chunk, alone, with all members that the
 * server wrote, and its three counts are whole numbers; embeddings are in the form and order that
 * was asked for. A failure that is told in a choice is an error. A character whose halves are in
 * two events is in the second. All else passes as it is.
 *
 * Ownership  edits and replacements are in the arena given. openai_stream_fini() frees what a
 *            stream holds.
 * Limits     of openai_answer.h and openai_usage.h; a choice beyond those that are watched passes
 *            without index or role added or taken away, and its end is not waited for.
 * Threads    any; pure.
 * Sources    OpenAI's API reference (chat completion object and chunk, embeddings).
 */
#ifndef OPENAI_OPENAI_REPLY_H
#define OPENAI_OPENAI_REPLY_H

#include "base/buf.h"
#include "openai/openai_answer.h"
#include "openai/openai_count.h"
#include "openai/openai_request.h"
#include "openai/openai_usage.h"
#include "openai/openai_vector.h"

/* Under which name reasoning is said; one who sends both says the same twice. */
enum openai_reasoning {
    OPENAI_REASONING_AS_IS, /* the server's own */
    OPENAI_REASONING,
    OPENAI_REASONING_CONTENT
};

/* What both kinds of answer need to know of the call. */
struct openai_plan {
    enum openai_endpoint endpoint;
    struct span quoted_model; /* the name the caller is shown, as a JSON string */
    struct span call_id;      /* for ids that the model server left out, */
    int64_t created_s;        /* and when the call began, in unix time, for the time it left out */
    bool wants_usage, wants_continuous_usage, wants_base64;
    enum openai_reasoning reasoning;
    uint32_t inputs, choices; /* as asked for */
    int64_t asked;            /* the most tokens of all choices together; -1: nobody said */
};

/* Where one stands in the choices of a whole reply, or of an event. */
struct openai_cursor {
    struct openai_answer
        *answer;                /* of a stream; NULL: a whole reply, whose choices are their own */
    struct openai_choice *said; /* of the choice that has begun; NULL: none has */
    struct openai_choice own;   /* one that has no place in `answer` */
    uint32_t choice;            /* the next one, or that which has begun */
    int64_t position, index;    /* of that */
    struct openai_count count;  /* of what it says, while */
    bool is_counting;
    uint32_t reason, message; /* keys of it, and its message or delta, or JSON_NONE */
    uint32_t text;            /* the one text that it says as it came, or JSON_NONE */
    uint32_t calls, call;     /* the key of its tool calls; the next one of them */
    int64_t call_position;
    uint32_t kept, gap, gap_end; /* calls: the last that stays, and those behind it that do not */
    uint64_t written;            /* eighths of a token of all choices so far, */
    bool counts;                 /* if they are counted */
    struct span failure;         /* with ERR_UPSTREAM_STATUS: JSON that says what failed */
    uint32_t released;           /* calls that were held, and are told with an end */
    bool has_content, is_done;
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
    const struct openai_plan *plan;
    struct json_edits edits; /* good when it is made */
    struct openai_usage usage;
    uint64_t written;    /* eighths of a token of what was generated; 0 if `usage` is to be believed
                            whatever it was, and so it was not counted */
    struct span failure; /* with ERR_UPSTREAM_STATUS: the JSON that says what failed */
    struct openai_cursor cursor;
    struct openai_vectors vectors;
    bool is_made;
};

/*
 * Begins with a whole reply of status 200. Index, plan and arena stay until the edits are no longer
 * used.
 *
 *   ERR_UPSTREAM_JSON    not an object, or not this endpoint's form (no choices, no data)
 *   ERR_UPSTREAM_STATUS  it is an error object after all
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_reply_begin(struct openai_reply *r, const struct json_index *x,
                                     const struct openai_plan *plan, struct arena *arena);

/*
 * Goes on until it is made or the work of about as many floats is done (a choice is that of 16):
 * give or take three thousand. Usage and text are known when it is made.
 *
 *   ERR_UPSTREAM_JSON    not as many vectors as inputs, one for no input or for one that has its
 *                        own already, one that is neither array nor string or cannot be converted;
 *                        a choice that is no object
 *   ERR_UPSTREAM_STATUS  a choice says that it failed
 *   ERR_NO_MEMORY
 */
MUST_USE enum err openai_reply_convert(struct openai_reply *r, int64_t floats);

/* Who an answer is, and of when; as JSON. */
struct openai_identity {
    char id[64];      /* "": not known, or longer than that */
    char created[20]; /* "": not known */
};

struct openai_memo;

/* A stream so far. Small: there is one for each open stream. */
struct openai_stream {
    const struct openai_plan *plan;
    struct openai_answer answer;
    struct openai_usage usage;
    struct span failure; /* with OPENAI_ERROR: the JSON that says what failed */
    /* Not NULL: we end it. Choices without a finish_reason end by `length`, and this is told as
     * what it used. Borrowed. */
    const struct openai_usage *cut;
    bool is_filtered;           /* that is why: they end by `content_filter` */
    struct openai_identity who; /* all chunks, as the first says */
    bool usage_sent;
    bool is_finished; /* openai_stream_finish() has said all */
    bool has_content; /* more was said than a role: text, a call, an end, something unknown */
    struct openai_memo *memo; /* of the last event; NULL until one is worth it */
};

enum openai_verdict {
    OPENAI_SEND,  /* the event with the edits */
    OPENAI_DROP,  /* nothing */
    OPENAI_END,   /* it was [DONE] */
    OPENAI_ERROR, /* the model server reports an error, in `failure` of the stream */
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

/*
 * Whether an event's data, of which `text` is all but the blanks around it, is no chunk but a word:
 * nothing at all, which keeps a connection alive and breaks clients, or [DONE].
 * `*e` is ERR_UPSTREAM_STREAM for [DONE] before any choice.
 */
bool openai_stream_is_word(const struct openai_stream *s, struct span text,
                           enum openai_verdict *verdict, enum err *e);

/* `text` without the blanks of JSON before and behind it, of which `most` are looked at on either
 * side. */
struct span openai_without_blanks(struct span text, size_t most);

/*
 * Whether an event is the one before but for its text: then all is done, and what is to be sent are
 * these pieces, which are one line and stay until the next event. The second is the text as JSON.
 * To be asked before openai_stream_event(); 1 KiB is held, once a stream repeats itself.
 */
bool openai_stream_repeats(struct openai_stream *s, struct span data, struct iovec pieces[3]);

/* One that is too large for that: its index was made elsewhere, in steps. */
struct openai_event {
    const struct json_index *x;
    struct json_edits *edits;
    struct openai_cursor cursor;
    uint32_t usage_key, usage, timings; /* rows of its top, or JSON_NONE */
    enum openai_verdict verdict;        /* once it is made */
    bool is_made;
};

/* Begins with it, `x` being its index; index, edits and their arena stay until it is made, and the
 * stream hears of no other event. Errors as above. */
MUST_USE enum err openai_event_begin(struct openai_event *v, struct openai_stream *s,
                                     const struct json_index *x, struct arena *arena,
                                     struct json_edits *edits);

/* Goes on until it is made or the work of about `budget` floats is done. Errors as above. */
MUST_USE enum err openai_event_step(struct openai_event *v, struct openai_stream *s,
                                    int64_t budget);

/* Whether the answer may end here: a finish_reason was seen for each choice that began. */
bool openai_stream_is_complete(const struct openai_stream *s);

/*
 * The next of the events that end a stream, in the arena: tool calls whose names never came, a
 * finish_reason for each choice that has none yet, the usage chunk where the caller asked for it
 * and has not had it, and [DONE]. Usage that came before the last text is no one's to believe, and
 * is left away. Some hundred calls at a time: to be asked again until the stream `is_finished`.
 * ERR_NO_MEMORY
 */
MUST_USE enum err openai_stream_finish(struct openai_stream *s, struct arena *arena,
                                       struct span *out);

/* Puts an event with these `choices`, an array as JSON, that is of the stream as all others are. */
void openai_stream_say(struct openai_stream *s, struct span choices, struct buf *out);

#endif
