/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_try.h — a call's attempt at one candidate.
 *
 *   PREPARE → SLOTS → DURABLE → RUN → HEAD → WON
 *      └────────┴────────┴───────┴──────┴──→ LOST
 *
 *   PREPARE  makes what the model server is sent, so that nothing is left that could refuse it
 *   SLOTS    waits for room in the journal, and writes the intent
 *   DURABLE  waits until the intent is on the disk, where the candidate is abroad; and starts
 *   RUN      until the answer's head is there
 *   HEAD     reads the answer until it is understood: a whole reply to its end, a stream to its
 *            first content
 *   WON      the answer can be given to the client: a whole reply is in `made`, a stream is read on
 *            with call_try_read()
 *   LOST     there is none, and `error` says why
 *
 * A retry, a fallback and a hedge are the same: another try. A try reports by its state and never
 * reaches for the call's client: what comes of it is decided in call_tries.c. What it understood of
 * a stream lies in the worker's `out`, and before WON in `held`.
 *
 * Ownership  the call's: from call_try_begin() to call_try_free().
 * Limits     a whole reply and an event: the deployment's reply_bytes_max. 16 KiB are held.
 * Threads    the worker's own.
 */
#ifndef CALL_CALL_TRY_H
#define CALL_CALL_TRY_H

#include "call/call_ports.h"
#include "openai/openai_reply.h"
#include "server/server.h"
#include "sse/sse_parser.h"

#define CALL_TRY_MAGIC   0xca110002u
#define CALL_LARGE_BYTES (32u << 10) /* longer replies are made and put in slices, */
#define CALL_LARGE_ROWS  2048        /* and those of more values and keys; */
#define CALL_EVENT_BYTES 4096        /* and longer events */
#define CALL_HELD_MAX    16384       /* bytes of events that wait with the head */
#define CALL_WINDOW      64          /* pieces of these that are read at once */

struct call;

enum call_try_state {
    CALL_TRY_PREPARE,
    CALL_TRY_SLOTS,
    CALL_TRY_DURABLE,
    CALL_TRY_RUN,
    CALL_TRY_HEAD,
    CALL_TRY_WON,
    CALL_TRY_LOST,
    CALL_TRY_STATE_COUNT
};

/* Why a try is made; or, of a lost one, how its own candidate may be tried again. */
enum call_try_why {
    CALL_TRY_USUAL,  /* it is the first; of a lost one: it may not */
    CALL_TRY_FRESH,  /* the connection died before anything was sent: not on a pooled one */
    CALL_TRY_LEANER, /* the server refused what we added, and ran nothing: without it */
};

/* What a try has for the client besides the worker's `out`: a whole reply, or a large event. */
struct call_made {
    struct iovec *pieces; /* the next ones; NULL: none */
    size_t count;
    uint64_t bytes;                   /* of all pieces, but for what is around an event */
    struct json_edits_reader *reader; /* where more come from; NULL: these are all */
    bool is_event;                    /* it becomes one line, with an event's end behind it */
};

/* Whether there is nothing. */
static inline bool call_made_is_empty(const struct call_made *made)
{
    return made->pieces == NULL;
}

struct call_large;

struct call_try {
    uint32_t magic;
    enum call_try_state state;
    struct call *call;
    const struct decision_candidate *candidate;
    struct list undurable;  /* shared->undurable, in SLOTS and DURABLE only */
    struct net_timer timer; /* while it waits for the journal; while it is the only one that runs */
    bool is_due;            /* the timer rang: it waited too long; it is slow */

    /* Why it lost, ERR_OK while it has not; what the caller is told beyond the row. */
    enum err error;
    struct server_words words;
    int64_t retry_after_s;
    enum call_try_why again; /* how it may be tried again */
    uint32_t refused;        /* enum upstream_addition bits: what the server took exception to */

    /* What is sent. */
    struct call_body *body; /* until it is sent whole */
    bool is_fresh;          /* not on a pooled connection */
    uint32_t added;   /* enum upstream_addition bits: what the request has beyond the caller's, */
    uint32_t omitted; /* and what it lacks since its server refused it in this call; */
    uint32_t passing; /* of that, what may have been refused for this call only */
    struct iovec *pieces; /* parts of the body and of the arena */
    int piece_count;
    struct attempt *attempt;
    uint64_t intent_ticket;
    struct journal_slot *end; /* where it is written down; NULL: in the call's completion */
    unsigned number;          /* of its intent in the call, from 1 */
    wall_us began;            /* when the intent was written */
    bool is_waiting, is_started, is_sent;
    int64_t server_us;        /* the model server had it, as last noted */
    struct attempt_peer peer; /* to whom it was sent */

    /* The answer, as it is read. */
    mono_us first_byte;
    int status;         /* the model server's; 0: none yet */
    const char *reason; /* why the server failed, if it said a known cause; or NULL */
    struct openai_plan plan;
    struct openai_usage usage; /* of a whole reply; a stream has its own */
    uint64_t written;          /* eighths of a token; the same */
    uint8_t *reply;            /* one that is read whole */
    size_t reply_len, reply_cap;
    struct call_large *large; /* one that takes more than a step */
    struct openai_stream stream;
    struct sse_parser events;
    bool is_judged;    /* by the first bytes, whether it is what was asked for */
    bool streaming;    /* the answer is an event stream, or is made one */
    bool is_whole;     /* it is made one of a whole reply */
    bool is_ended;     /* the model server's bytes are all there */
    bool is_ending;    /* all of it is said, and the events that end it are made some at a time */
    uint64_t said;     /* events of a stream that said something */
    bool is_cut;       /* we ended the answer: more was said than is held */
    bool is_looked_at; /* a whole reply, or a large event, is or was: by the guard */
    bool is_blocked;   /* the guard lets nothing of it pass any more */
    bool is_done;      /* all of the answer is understood */
    bool has_beat;     /* a comment came before any content: the server lives */
    struct span rest; /* bytes that were read and not yet understood; good until the step returns */
    uint8_t *kept;    /* what `rest` lies in, beyond a step; NULL: elsewhere */
    struct buf held;  /* events before the first content */
    struct call_made made;
};

typedef enum call_try_state call_try_step(struct call_try *t);

call_try_step call_try_step_prepare;                      /* call_try_prepare.c */
call_try_step call_try_step_slots, call_try_step_durable; /* call_try_record.c */
call_try_step call_try_step_run, call_try_step_head;      /* call_try_read.c */

/* Begins a try, which call_try_run() runs. ERR_NO_MEMORY. `call` has a place for it. */
MUST_USE enum err call_try_begin(struct call *call, const struct decision_candidate *candidate,
                                 struct call_try **out);

/* The bound that its model server is told where the caller says none; 0: it is told none. */
int64_t call_try_bound(const struct call_try *t);

/* Runs it until it must wait, or has won or lost. */
void call_try_run(struct call_try *t);

/* Notes whether it was sent, to whom, and how long it was there. */
void call_try_note_sent(struct call_try *t);

/* Ends the attempt, if it is not ended yet; `is_read`: its answer was read as far as it is wanted,
 * and the connection is good. */
void call_try_close(struct call_try *t, bool is_read);

/* Ends it and frees what it holds but for what is to be written down of it. It lives no more, and
 * its place is another's. */
void call_try_retire(struct call_try *t);

/* The most that a reply which is read whole may have, and an event. */
size_t call_try_reply_most(const struct call_try *t);

/* Frees it all. */
void call_try_free(struct call_try *t);

/* Notes why the try loses (the first reason stays) and gives LOST. */
enum call_try_state call_try_fail(struct call_try *t, enum err e);

/* Reads an error answer of the model server and fails with it. `status` 0: the body is an event, or
 * a reply of status 200, that says so itself. */
enum call_try_state call_try_fail_upstream(struct call_try *t, int status, struct span body);

/* ---- a stream ---- */

enum call_read { CALL_READ_SOME, CALL_READ_LATER, CALL_READ_FAILED };

/* Begins with an answer that is an event stream. */
void call_try_begin_stream(struct call_try *t);

/* Reads on: what the events say is in the worker's `out`, and a large event behind it in `made`;
 * both may be there when it failed. SOME: perhaps; more may follow at once, unless it is done. */
enum call_read call_try_read(struct call_try *t);

/* All of `made` was put. */
void call_try_end_made(struct call_try *t);

/* Understands a whole reply as events: the caller asked for a stream. */
enum call_try_state call_try_read_as_events(struct call_try *t, struct span reply);

/* ---- a whole reply ---- */

/* Makes it into what the client gets. One that is larger than CALL_LARGE_BYTES must stay until the
 * try is freed. */
enum call_try_state call_try_make_reply(struct call_try *t, struct span text);

/* Goes on with a large one. */
enum call_try_state call_try_make_large(struct call_try *t);

/* Keeps a piece of a reply that is read whole, behind what is there. ERR_OVERLOADED, ERR_NO_MEMORY.
 */
MUST_USE enum err call_try_keep(struct call_try *t, struct span bytes);

/* Frees what was kept; nothing if there is none. */
void call_try_release_reply(struct call_try *t);

/* Indexes a reply, or an event with its edits: where its text is not all well-formed UTF-8, a
 * mended copy takes its place, which lives as long as the try, or until the turn ends.
 * ERR_UPSTREAM_JSON, or what openai_stream_event() says; ERR_OVERLOADED, ERR_NO_MEMORY. */
MUST_USE enum err call_try_index_reply(struct call_try *t, struct json_index *index,
                                       struct span *reply);
MUST_USE enum err call_try_index_event(struct call_try *t, struct span *data,
                                       struct json_edits *edits, enum openai_verdict *verdict);

#endif
