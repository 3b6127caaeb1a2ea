/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h — one call from its head to its journal entry.
 *
 *   HEAD → AUTHENTICATE → ADMIT → BODY → INSPECT → ROUTE → RESERVE → TRY → STREAM → SETTLE → DONE
 *
 * What the guard is asked goes from BODY to SETTLE by MODERATE, and to no model server.
 *
 * In TRY some try lives (call_try.h): a candidate is asked, another when that failed, two at once
 * at most; in STREAM one has won, and its answer goes to the client.
 *
 * From every state a failure leads to SETTLE and nowhere else: the one place where what was taken
 * is given back, the completion is written and the calls are counted.
 *
 * Ownership  call_start() takes the exchange. The call frees itself at DONE.
 * Limits     one arena a call; body, reply, events in pieces and what is made of them count as
 *            buffered memory (base/memory.h), but for some 32 KiB a call and 2 MiB a worker.
 * Threads    the worker's own.
 */
#ifndef CALL_CALL_H
#define CALL_CALL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/log_sink.h"
#include "call/call_ports.h"
#include "limits/limits_gate.h"
#include "net/net_loop.h"
#include "policy/policy.h"
#include "policy/route_table.h"
#include "telemetry/strangers.h"
#include "json/json_index.h"

/* The events of one pull are worked through between two looks at the budget. */
#define CALL_PULL_BYTES (16 * 1024)
/* Refusals that are recorded, of keys whose slots are alike by this number, a worker: so many at
 * once, and then so many a second. The rest is counted. */
#define CALL_REFUSERS      1024
#define CALL_REFUSALS_MOST 1000
#define CALL_REFUSALS_A_S  32
#define CALL_FAILURES_TOLD 20 /* to the log, a second and worker; the rest as a number */

struct call;

/* What all calls of one worker share. */
struct call_shared {
    const struct call_ports *ports;
    struct net_loop *loop;
    const struct keys *keys;
    const struct access *rights; /* who may what; NULL: nobody is limited */
    struct journal_lane *lane;
    struct upstream_pool *pool;
    struct upstream_tries *tries;      /* of the whole process; NULL: calls may make any number */
    struct condition_scratch *scratch; /* for rules */
    struct guard_scratch *guard;       /* for what is looked at */
    struct policy *policy;             /* the one that new calls begin with */
    struct gateway_asks *asks;         /* the gateway's: what keys ask of usage; NULL: nothing */
    const struct policy_book *book;    /* prices before the policy's; NULL: there are none */
    _Atomic int64_t *calls_open;       /* of the whole process */
    int64_t body_bytes_max;
    int64_t
        output_bytes_max;  /* waiting for one client before its model server is read no further */
    struct list open;      /* every call that is not DONE, but for those */
    struct list unchecked; /* whose key is to be looked at again */
    struct list shadows;   /* copies of calls: call_shadow.h */
    struct list undurable; /* the tries that wait for the journal: for slots, or the disk */
    struct list yielding;  /* those that go on in the next turn of the loop, the oldest first; */
    struct list turn_end;  /* up to here in this turn */
    wall_us key_ends;      /* no key of an open call expires before this */
    struct net_task next_turn, recheck;
    struct json_index index; /* reused by every step that looks into JSON */
    struct arena turn;       /* what lives only until a step returns; counted */
    uint8_t *pulled;         /* CALL_PULL_BYTES */
    struct buf out;          /* events on their way, until a step returns */
    int64_t failed_second;   /* the second, on the monotonic clock, of the two below */
    uint32_t failed_told;    /* failures that the log was told of */
    uint32_t failed_untold;  /* and those beyond CALL_FAILURES_TOLD */
    int64_t fallback_second; /* the same of fallbacks */
    uint32_t fallbacks_told;
    int64_t found_second; /* the same of what the guard found */
    uint32_t found_told;
    struct {
        unsigned failed;     /* questions for vectors that came to nothing, in a row */
        mono_us rests_until; /* none is asked before */
        mono_us told;        /* the log, of vectors that are no good; 0: never */
    } learned;
    struct {
        unsigned failed;     /* the same of each scanner of the guard */
        mono_us rests_until; /* 0: it does not */
    } scans[GUARD_EXTERNAL_MAX];
    int64_t scans_second;     /* the second, on the monotonic clock, of */
    uint32_t scans_told;      /* failures of theirs that the log was told of */
    struct limits_gate *gate; /* what addresses may ask; NULL: anything */
    struct limits_gate_terms gate_terms;
    struct strangers strangers; /* who was refused for want of a good key */
    struct log_sink *access;    /* a line a call; NULL: none */
    struct {
        int64_t second; /* of the monotonic clock, of the last refusal */
        uint32_t count; /* recorded, less those that time has made good */
    } refusals[CALL_REFUSERS];
    bool draining;
};

/* Prepares `shared`; the members above `open` are the caller's to fill. ERR_NO_MEMORY. */
MUST_USE enum err call_shared_init(struct call_shared *shared);
void call_shared_fini(struct call_shared *shared);

/* Begins a call for a request whose head is read and whose route was found. */
void call_start(struct call_shared *shared, struct exchange *client, const struct route *route);

/* Tells the log how many calls failed untold in seconds that are over. */
void call_tell_failures(struct call_shared *shared, mono_us now);

/* A log_sink_format: makes a line of what calls put into the access log. */
size_t call_access_format(struct span record, char out[LOG_LINE_MAX]);

/* Runs the calls that wait for the journal; to be called when it has moved on. None waits for ever:
 * a try has a timer. */
void call_wake_durable(struct call_shared *shared);

/* Ends the calls whose key was revoked, has expired or may not do this any more, at once or, of a
 * crowd, in the next turns: `changed` says that some key was changed since the last time; a key
 * that expires is found without. What gets no event ends by this: a stream that says nothing, a
 * call that waits for its first token. */
void call_recheck_keys(struct call_shared *shared, bool changed);

/* Whether no call is open. */
bool call_is_none(const struct call_shared *shared);

/* Ends the copies of calls that nobody waits for, in the loop's next turn at the latest. */
void call_end_shadows(struct call_shared *shared);

/* Ends every call that is open, with ERR_DRAINING. */
void call_stop_all(struct call_shared *shared);

#define CALL_LIMITS_BYTES 512

/* Writes the header lines that tell how limits stand: X-RateLimit-* of the tightest limit of
 * requests, and OpenAI's six. Returns their length. */
size_t call_limits_write(const struct limits_tightest *requests,
                         const struct limits_tightest *tokens, wall_us now,
                         char out[CALL_LIMITS_BYTES]);

#define CALL_SCOPE_BYTES 128

/* Says which scope a key lacks; returns the sentence's length. */
size_t call_say_scope(uint32_t scope, char out[CALL_SCOPE_BYTES]);

#endif
