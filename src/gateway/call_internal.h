/* SPDX-License-Identifier: Apache-2.0 */
/* call_internal.h — the call itself and its steps. For the call's own files. */
#ifndef GATEWAY_CALL_INTERNAL_H
#define GATEWAY_CALL_INTERNAL_H

#include "base/buf.h"
#include "gateway/call.h"
#include "openai/openai_reply.h"
#include "openai/openai_request.h"
#include "sse/sse_parser.h"

#define CALL_MAGIC          0xca110001u
#define CALL_TURN_BYTES_MAX (256u << 20)
#define CALL_LARGE_BYTES    (32u << 10) /* longer replies are made and put in slices */

enum call_state {
    CALL_HEAD,
    CALL_AUTHENTICATE,
    CALL_ADMIT,
    CALL_BODY,
    CALL_INSPECT,
    CALL_ROUTE,
    CALL_RESERVE,
    CALL_RECORD,
    CALL_ATTEMPT,
    CALL_STREAM,
    CALL_SETTLE,
    CALL_DONE,
    CALL_STATE_COUNT
};

struct call {
    uint32_t magic;
    enum call_state state;
    struct call_shared *shared;
    struct list link;      /* shared->open */
    struct list undurable; /* shared->undurable, in RECORD only */
    struct list yielding;  /* shared->yielding, while a large reply is made or put */
    struct arena arena;
    struct policy *policy;
    struct exchange *client; /* NULL once it was ended */
    const struct route *route;
    struct crypto_call_id id;
    struct key_handle key;
    mono_us started;
    wall_us started_wall;
    bool admitted; /* counted in calls_open */
    bool known;    /* the key was right: the call is recorded */

    /* Why it failed, ERR_OK while it has not; what the caller is told beyond the row's sentence. */
    enum err error;
    struct span message, param;
    int64_t retry_after_s;

    /* The request. */
    uint8_t *body; /* released when no further attempt is possible */
    size_t body_len, body_cap;
    uint64_t body_bytes; /* as received; stays when the body goes */
    struct openai_request request;
    struct policy_match match;
    struct iovec *pieces; /* what the model server is sent: parts of the body and of the arena */
    int piece_count;
    int64_t input_estimate;

    /* The attempt. */
    struct attempt *attempt;
    unsigned attempts; /* that have an intent */
    unsigned begun;    /* of these, started: a call may end while it waits for the disk */
    unsigned sent;     /* of these, noted as sent: see call_note_sent() */
    bool retry_fresh;  /* the next attempt may not use a pooled connection */
    uint64_t intent_ticket;
    mono_us waits_since; /* for the journal, in RECORD; 0: not yet */
    wall_us attempt_wall;
    mono_us first_byte;
    char attempt_peer[48];
    int upstream_status;

    /* The answer. */
    struct openai_plan plan;
    struct openai_usage usage;
    uint64_t text_bytes;
    uint8_t *reply; /* one that is read whole */
    size_t reply_len, reply_cap;
    struct call_large *large; /* one that takes more than a step */
    struct openai_stream stream;
    struct sse_parser events;
    bool streaming;  /* the answer is an event stream */
    bool head_put;   /* the client has a head: errors are events from now on */
    bool reply_done; /* all of the answer was put */
    uint64_t client_bytes;

    struct journal_slot *completion;
};

typedef enum call_state call_step(struct call *call);

call_step call_step_head, call_step_authenticate, call_step_admit; /* call_admit.c */
call_step call_step_body;                                          /* call_body.c */
call_step call_step_inspect, call_step_route, call_step_reserve;   /* call_route.c */
call_step call_step_record;                                        /* call_record.c */
call_step call_step_attempt;                                       /* call_attempt.c */
call_step call_step_stream;                                        /* call_stream.c */
call_step call_step_settle, call_step_done;                        /* call_settle.c */

/* Something happened to the call `ctx`: runs it until it must wait. */
void call_on_event(void *ctx);

/* Notes why the call fails (the first reason stays) and gives the state that follows. */
enum call_state call_fail(struct call *call, enum err e);

/* The same, telling the caller which member and what is wrong with it; the spans are copied. */
enum call_state call_fail_at(struct call *call, enum err e, struct span param, struct span message);

/* Whether the client went away, or the key did; notes it as the failure. Each waiting step asks. */
bool call_is_lost(struct call *call);

/* Estimates the tokens of the body, if nobody counted them and it is still there. */
void call_estimate_input(struct call *call);

/* Tokens of what was generated so far, by its length. */
int64_t call_estimate_output(const struct call *call);

/* Writes into `r` what its tokens cost. */
void call_fill_cost(const struct call *call, struct journal_record *r);

/* Writes into `r` what is known of an answer once it began: when that was, and its status. */
void call_fill_answer(const struct call *call, struct journal_record *r);

/* Notes in the completion, for the case that the process dies, what of an answer was put. */
void call_note_progress(struct call *call);

/* The CORS lines of the reply. */
struct span call_cors_fields(struct call *call);

/* Frees the request's body and gives its bytes back. Nothing if it is gone. */
void call_release_body(struct call *call);

/* Makes the attempt that is going to be recorded, so that nothing is left that could refuse it. */
MUST_USE enum err call_prepare_attempt(struct call *call);

/* Notes whether the attempt, which is about to be closed, was sent, and to whom. */
void call_note_sent(struct call *call);

/* Fills the members of a record that intent and completion share. */
void call_fill_record(const struct call *call, struct journal_record *r);

/* The reply's header lines that every answer of a routed call has. In the call's arena; NULL where
 * there is no memory. */
struct span call_reply_fields(struct call *call, struct span more);

/* Runs the call again in the loop's next turn, whatever happens until then. */
void call_yield(struct call *call);

/* Makes a JSON reply that was read whole into what the client gets, and puts it. One that is larger
 * than CALL_LARGE_BYTES must stay until the call is DONE. */
enum call_state call_put_whole(struct call *call, struct span reply);

/* Sends the events that say the same as a JSON reply: the caller asked for a stream. */
enum call_state call_put_as_events(struct call *call, struct span reply);

/* The reply's head, of so many body bytes. */
MUST_USE enum err call_put_reply_head(struct call *call, uint64_t length);

/* The same for a large one. */
enum call_state call_begin_large(struct call *call, struct span text);

/* Goes on with making it, in ATTEMPT; with putting it, in STREAM. */
enum call_state call_make_large(struct call *call);
enum call_state call_put_large(struct call *call);

/* Frees what belongs to it; nothing if there is none. */
void call_free_large(struct call *call);

/* Reads an error answer of the model server and fails the call with it. `status` 0: the body is an
 * event, or a reply of status 200, that says so itself. */
enum call_state call_fail_upstream(struct call *call, int status, struct span body);

#endif
