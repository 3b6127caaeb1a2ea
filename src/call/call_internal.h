/* SPDX-License-Identifier: Apache-2.0 */
/* call_internal.h — the call itself and its steps. For the call's own files. */
#ifndef CALL_CALL_INTERNAL_H
#define CALL_CALL_INTERNAL_H

#include "base/buf.h"
#include "call/call.h"
#include "call/call_body.h"
#include "call/call_guard.h"
#include "call/call_moderate.h"
#include "call/call_question.h"
#include "call/call_scan.h"
#include "call/call_shadow.h"
#include "call/call_try.h"
#include "decision/decision.h"
#include "net/net_timer.h"
#include "openai/openai_request.h"
#include "server/server.h"

#define CALL_MAGIC          0xca110001u
#define CALL_TRIES_AT_ONCE  2 /* before STREAM; in it there is one */
#define CALL_TURN_BYTES_MAX (256u << 20)

enum call_state {
    CALL_HEAD,
    CALL_AUTHENTICATE,
    CALL_ADMIT,
    CALL_BODY,
    CALL_INSPECT,
    CALL_MODERATE,
    CALL_ROUTE,
    CALL_RESERVE,
    CALL_TRY,
    CALL_STREAM,
    CALL_SETTLE,
    CALL_DONE,
    CALL_STATE_COUNT
};

/* What the client has of its answer. */
struct call_answer {
    bool head_put;     /* the client has a head: errors are events from now on */
    struct span lines; /* of its head, those that are a candidate's: reply_lines */
    bool is_done;      /* all of it is put, but for what SETTLE puts last */
    uint64_t bytes;    /* of the body, put or about to be */
    size_t at;         /* of a whole reply's pieces, the one that is put next, */
    size_t offset;     /* and how much of it was */
    bool is_inside;    /* the end of a large event is still to be put: nothing else fits there */

    /* The silence of a stream: call_silence.c. */
    struct net_timer silence;
    mono_us head_due;      /* when the head goes out at the latest; 0: nobody watches */
    uint64_t silent_bytes; /* `bytes` at the last look */
    int8_t quiet_looks;    /* since bytes were put; below 0 after a ping */
};

struct call {
    uint32_t magic;
    enum call_state state;
    struct call_shared *shared;
    struct list link;     /* shared->open or unchecked */
    struct list yielding; /* shared->yielding, between two slices of a step */
    struct arena arena;
    struct policy *policy;
    const struct call_client *by; /* what kind of client it is, */
    void *client;                 /* and which; NULL once it was ended */
    const struct route *route;
    struct crypto_call_id id;
    struct key_handle key;
    mono_us started;
    wall_us started_wall;
    mono_us deadline;                 /* when its caller wants it to have ended; us 0: whenever */
    bool admitted;                    /* counted in calls_open */
    const struct call_shadow *shadow; /* it is this copy, which its client ends; NULL: it is none */
    bool known;                       /* the key was right: the call is recorded */

    /* Whose it is, and what it holds of what they may use: call_limits.c. */
    struct limits_subjects who;
    struct limits_hold hold;
    int64_t held_tokens, held_nano;
    int64_t used_tokens, used_nano; /* by its tries, as their records say */
    int64_t input_held; /* tokens of the request, no fewer than it will be said to have */
    int64_t
        answer_most; /* tokens that an answer is bounded to where its caller says nothing, and */
    int64_t answer_else; /* where nobody does; 0: they are not */
    struct span budgets; /* that it counts in, for its records */

    /* Why it failed, ERR_OK while it has not; what the caller is told beyond the row. */
    enum err error;
    struct server_words words;
    int64_t retry_after_s;

    /* The request. */
    struct call_body *body; /* until no further try is possible */
    uint64_t body_bytes;    /* as received; stays when the body goes */
    bool is_indexed;        /* the worker's index is of the body: until something else is read */
    struct call_inspection *inspection; /* of a large body, with an index of its own; or NULL */
    struct openai_request request;
    struct json_edits *edits; /* that the body needs wherever it goes */
    int64_t input_estimate;   /* tokens: reserved, and used where the server does not count */
    struct openai_gist *gist; /* for rules; NULL: nobody asks */
    struct openai_prefixes *prefixes; /* how it begins; NULL: nobody asks */
    struct openai_wishes *wishes;     /* NULL: its body has none */

    /* Where it may go, the best first; and those that were tried. */
    struct decision decision;
    size_t candidate_next;
    struct call_scan *scan; /* scanners that look at it; NULL: none was asked (call_scan.h) */
    struct call_learning *learning;     /* the vector of what it asks; NULL: nobody wants it */
    struct decision_candidate mirror;   /* where a copy of it goes, */
    bool has_mirror;                    /* if one does */
    enum data_class data_class;         /* of what the call bears; unsaid: nobody asked yet */
    struct span policy_lines;           /* header lines that tell who decided; empty: nobody yet */
    struct call_guard *guard;           /* NULL: there is none (call_guard.h) */
    struct call_moderation *moderation; /* NULL: it is asked of a model (call_moderate.h) */
    struct span facts; /* that rules could ask, as records keep them; empty: they could not */

    /* The tries. */
    struct call_try *tries[CALL_TRIES_AT_ONCE]; /* that were begun and are not freed */
    struct call_try *answering; /* whose answer the client gets; or whose failure, from SETTLE on */
    struct call_try
        *unwritten;          /* it lost, and the completion speaks for it until there is a next */
    struct call_try first;   /* most calls need no other */
    unsigned tries_recorded; /* that have an intent */
    unsigned tries_begun;    /* of these, started: a try may end while it waits for the disk */
    unsigned tries_sent;     /* of these, ended, and some of the request was sent */

    struct call_answer answer;
    struct journal_slot *completion;
};

/* Whether it is itself a question to a scanner. */
static inline bool call_is_scan(const struct call *call)
{
    return call->shadow != NULL && call->shadow->scanner != NULL;
}

/* Whether the call is one. */
static inline bool call_is_moderation(const struct call *call)
{
    return call->route->handler == ROUTE_MODERATIONS;
}

typedef enum call_state call_step(struct call *call);

call_step call_step_head, call_step_authenticate, call_step_admit; /* call_admit.c */
call_step call_step_body;                                          /* call_receive.c */
call_step call_step_inspect;                                       /* call_inspect.c */
call_step call_step_moderate;                                      /* call_moderate.c */
call_step call_step_route;                                         /* call_route.c */
call_step call_step_reserve;                                       /* call_limits.c */
call_step call_step_try;                                           /* call_tries.c */
call_step call_step_stream;                                        /* call_stream.c */
call_step call_step_settle, call_step_done;                        /* call_settle.c */

/* What a call is begun with. */
struct call_origin {
    const struct call_client *by;
    void *client;
    const struct route *route;
    const struct key_handle *key; /* in whose name, where the gateway knows; NULL: the head says */
    struct call_body *body;       /* whole; the call takes it over. NULL: the client has it */
    const struct call_shadow *shadow; /* NULL: it is no copy */
};

/* Begins a call of any client. */
void call_begin(struct call_shared *shared, const struct call_origin *from);

/* Something happened to the call `ctx`: runs it until it must wait. */
void call_on_event(void *ctx);

/* The key of the call is known: its expiry is looked for from now on. */
void call_note_key_end(const struct call *call);

/* Whether that key is good still, and may do this still. */
MUST_USE enum err call_recheck_key(struct call *call);

/* For a step that has more to do than a call may do at once, in any state before SETTLE: it does a
 * slice (256 KiB or a quarter of a millisecond), calls this and returns its own state. The step
 * runs again in the loop's next turn and not before, unless the call is lost. What it has of the
 * worker's (index, turn, out) is not its own any more: what it needs again it moves into the call.
 */
void call_yield(struct call *call);

/* ---- failing ---- */

/* Notes why the call fails (the first reason stays) and gives the state that follows. */
enum call_state call_fail(struct call *call, enum err e);

/* The same, telling the caller which member, and what is wrong with it; the spans are copied. */
enum call_state call_fail_at(struct call *call, enum err e, struct span param, struct span message);

/* A copy that lives as long as the call. */
struct server_words call_copy_words(struct call *call, const struct server_words *words);

/* A scanner, or what it found, is the failure. */
enum call_state call_scan_fail(struct call *call, enum err e);

/* A try's failure is the call's. */
enum call_state call_fail_as(struct call *call, const struct call_try *t);

/* The body passes what is accepted; says how much that is. */
enum call_state call_fail_too_large(struct call *call);

/* Whether the client went away, or the key did; notes it as the failure. Each waiting step asks. */
bool call_is_lost(struct call *call);

/* ---- how much may be asked: call_limits.c, call_bounds.c ---- */

/* Whether those whom the key is of are still there, and it may be used from where it is. */
MUST_USE enum err call_look_at_who(struct call *call, wall_us now);

/* Takes what needs the head alone, a request and a place among the calls. False: the call has
 * failed. */
bool call_admit_limits(struct call *call);

/* Whether so much more may be used, if what the try may come to, with what it told its server, is
 * more than is held. Else why
 * not, and the words are noted in it. */
MUST_USE enum err call_extend_limits(struct call_try *t, int64_t told);

/* The call is over: what it holds and did not use is given back. */
void call_settle_limits(struct call *call);

/* Notes what a record of a try, or of the call, says was used. */
void call_note_used(struct call *call, const struct journal_record *r);

/* The call's header lines that tell how its limits stand; `used`: tokens of it that are known to
 * be.
 */
struct span call_limits_fields(struct call *call, int64_t used);

/* Whose calls are served first: by the limits of who calls. */
enum limits_priority call_priority(const struct call *call);

/* Whether the call has to make room for those of a higher priority: so many calls are open, and it
 * is to have so many bytes more. Counts it. */
bool call_is_shed(const struct call *call, int64_t open, uint64_t more);

/* After how many turns of others one of its key's is served, where calls wait for a server. */
unsigned call_turns(const struct call *call);

/* What an answer is bounded to where its caller says nothing; 0: it is not. */
int64_t call_answer_bound(const struct call *call, const struct policy_model *model);

/* The longest answer that a server may write which was told this bound, 0: none. */
int64_t call_answer_most(const struct call *call, const struct policy_model *model, int64_t told);

/* The most that the answers of a call may come to at a model, with what the try told its server
 * (`told`: 0 nothing), and what that costs. */
struct call_most {
    int64_t tokens, nano;
};
struct call_most call_most_of(const struct call *call, const struct decision_candidate *candidate,
                              int64_t told);

/* ---- the request ---- */

/*
 * The index of the body, for the edits of a try: the one that INSPECT made, or one that is made
 * anew. `*out` is NULL while that takes longer than a slice: call_yield(), and ask again.
 *
 *   ERR_OVERLOADED, ERR_NO_MEMORY
 */
MUST_USE enum err call_index_body(struct call *call, const struct json_index **out);

/* The edits are made. False: the index is large and not all given back; call_yield(), and again. */
bool call_release_index(struct call *call);

/* The call needs its body no more, nor what was found of it; nothing if that was said before. */
void call_release_body(struct call *call);

/* ---- what is written down: call_record.c ---- */

/* Where the call goes, or went: the candidate of the try that answers; before there is one, of a
 * try that lives, or the first; NULL before ROUTE found any. */
const struct decision_candidate *call_candidate_of(const struct call *call);

/* Fills the members of a record that intent and completion share: of the try, or where `t` is NULL
 * of the one that call_candidate_of() tells of. */
void call_fill_record(const struct call *call, const struct call_try *t, struct journal_record *r);

/* Fills what a process that dies leaves of the try: it was interrupted, at what is held for it. */
void call_fill_held(const struct call_try *t, enum journal_kind kind, struct journal_record *r);

/* Writes into `r` what the try used, if there is one. */
void call_fill_used(const struct call_try *t, struct journal_record *r);

/* Writes into `r` to whom a try was sent. */
void call_fill_peer(const struct attempt_peer *peer, struct journal_record *r);

/* The series of a candidate's calls in the metrics; NULL: of those that found none. */
uint32_t call_series_of(const struct decision_candidate *candidate);

/* Adds what a record says was used to the metrics: they and the sums of the records agree. */
void call_count_used(const struct decision_candidate *candidate, const struct journal_record *r);

/* Tries whose request may have been sent by now. */
uint8_t call_count_sent_at_most(const struct call *call);

/* Writes into `r` what is known of an answer once it began: when that was, and its status. */
void call_fill_answer(const struct call *call, struct journal_record *r);

/* Notes in the completion, for the case that the process dies, what of an answer was put, or is
 * going to be next. */
void call_note_progress(struct call *call);

/* Puts the call's completion into the access log, if there is one. */
void call_access_put(const struct call *call, const struct journal_record *r);

/* Settles a try whose answer nobody will get: it is written down what it cost, as soon as another
 * has the completion in its place, and freed. */
void call_settle_try(struct call_try *t);

/* Writes down the one that was left, if the next has an intent. */
void call_settle_unwritten(struct call *call);

/* Settles all but the one that the completion speaks for: that of the answer, or else one that was
 * under way. NULL: there was none. */
struct call_try *call_settle_tries(struct call *call);

/* ---- the answer on its way to the client: call_answer.c, call_silence.c ---- */

/* The reply's header lines that every answer of a routed call has. In the call's arena; NULL where
 * there is no memory. */
struct span call_reply_fields(struct call *call, struct span more);

/* Puts the head of a stream, or of a reply of so many bytes, if it was not yet. ERR_NO_MEMORY. */
MUST_USE enum err call_answer_put_stream_head(struct call *call);
MUST_USE enum err call_answer_put_reply_head(struct call *call, uint64_t length);

/* Puts events behind the head, or pieces of a reply; nothing if there are none. */
void call_answer_put(struct call *call, const struct iovec *pieces, int count);

/* The events of the answering try that were gathered and not put; says in how many pieces. */
int call_answer_gathered(const struct call *call, struct iovec pieces[2]);

/* Puts the next slice of a whole reply; false: what is left is little, and put last. */
bool call_answer_put_slice(struct call *call, struct call_made *made);

/* Puts what was left of a whole reply. */
void call_answer_put_rest(struct call *call, struct call_made *made);

/* Puts a slice of a large event; false: that was the last of it. */
bool call_answer_put_event(struct call *call, struct call_made *made);

/* From now on the client of a stream gets a byte now and then, whatever the model server does.
 * ERR_NO_MEMORY. */
MUST_USE enum err call_watch_silence(struct call *call);

/* Of a try: from now on so long, then `is_due`; a time that was set before is forgotten, which is
 * all that `ms` 0 does. ERR_NO_MEMORY. */
MUST_USE enum err call_try_set_due(struct call_try *t, int64_t ms);

#endif
