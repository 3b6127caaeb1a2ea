/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_reply.h — what a model server would say: replies, events, vectors, errors.
 *
 * Ownership  everything is appended to the caller's buffer.
 * Threads    any; pure.
 * Sources    OpenAI's API reference (chat completion object and chunk, completions, embeddings).
 */
#ifndef SIM_SIM_REPLY_H
#define SIM_SIM_REPLY_H

#include "base/buf.h"
#include "sim/sim_plan.h"
#include "json/json_index.h"

enum sim_endpoint { SIM_CHAT, SIM_COMPLETIONS, SIM_EMBEDDINGS };

#define SIM_NAME_BYTES 128

/* What is asked, as far as the answer depends on it. */
struct sim_question {
    enum sim_endpoint endpoint;
    bool stream, wants_usage, wants_base64;
    uint32_t inputs;
    int64_t prompt_tokens;
    int64_t cached_tokens; /* of these; -1: nothing is remembered */
    struct span prompt;    /* as it is written, but for what closes it; borrowed from the body */
    uint64_t number;       /* of the call */
    char model[SIM_NAME_BYTES];   /* cut */
    char tool[SIM_NAME_BYTES];    /* the function to call; "" for none */
    struct buf echo;              /* the last message's text; the caller's to begin and end */
    bool is_refused;              /* the plan does not take what is asked for */
    char refused[SIM_NAME_BYTES]; /* by this name; cut */
};

/* Reads the body and the plan's changes in it. ERR_BODY_NOT_JSON. */
MUST_USE enum err sim_question_read(struct span body, struct json_index *x,
                                    struct sim_question *question, struct sim_plan *plan);

/* Remembers that the plan does not take what is asked for by `name`. */
void sim_question_refuse(struct sim_question *question, struct span name);

/* A whole reply's body. */
void sim_reply_write(const struct sim_question *q, const struct sim_plan *plan, struct buf *out);

/* Event number `n` of a stream, counting from 0: sim_event_count() events, then [DONE]. */
void sim_event_write(const struct sim_question *q, const struct sim_plan *plan, uint64_t n,
                     struct buf *out);

/* Whether event `n` is a piece of the reply, not what stands around it. */
bool sim_event_is_token(const struct sim_question *q, const struct sim_plan *plan, uint64_t n);

/* How many events there are before [DONE]. */
uint64_t sim_event_count(const struct sim_question *q, const struct sim_plan *plan);

/* The body of an error. */
void sim_error_write(int64_t status, struct buf *out);

/* The body of the 400 for what is refused. */
void sim_refusal_write(const struct sim_question *q, struct buf *out);

#endif
