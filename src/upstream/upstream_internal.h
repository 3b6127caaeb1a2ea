/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_internal.h — sites, connections and attempts, as the files of this part see them.
 *
 *     pool (a worker's) ── site (one deployment there) ─┬─ idle connections, newest first, lent
 * from the end ├─ attempts that wait for a connection ├─ attempts that wait for an address └─
 * attempts with a connection each
 *
 * Ownership  a pool owns its sites, a site its idle connections, an attempt the connection that it
 *            holds. A site lives while an attempt or connection is its.
 * Threads    all of a pool the worker's own; only a deployment's atomics are shared.
 */
#ifndef UPSTREAM_UPSTREAM_INTERNAL_H
#define UPSTREAM_UPSTREAM_INTERNAL_H

#include <netinet/in.h>

#include "base/list.h"
#include "http/http_chunked.h"
#include "http/http_response.h"
#include "net/net_loop.h"
#include "net/net_resolve.h"
#include "net/net_socket.h"
#include "net/net_timer.h"
#include "upstream/attempt.h"
#include "upstream/deployment.h"
#include "upstream/upstream_pool.h"

#define UPSTREAM_CONNECTION_MAGIC 0x75c09e11
#define UPSTREAM_ATTEMPT_MAGIC    0x75a77e39
#define UPSTREAM_HEAD_MAX         (64 * 1024)
#define UPSTREAM_FIELDS_MAX       100
#define UPSTREAM_STORE_BYTES      1280

struct upstream_pool {
    struct net_loop *loop;
    struct net_resolver *resolver;
    struct list sites;  /* the one used last first */
    struct list unused; /* attempts that may be used again */
    struct list ending; /* attempts that nobody holds: they wait for a final chunk */
    struct net_timer tick;
    int unused_count;
};

struct upstream_site {
    struct list link; /* in pool->sites */
    struct upstream_pool *pool;
    struct deployment *deployment;
    struct list idle;      /* connections, newest first */
    struct list waiting;   /* attempts without a connection, by their rounds */
    struct list resolving; /* attempts without an address */
    int idle_count, open_count, waiting_count, attempt_count;
    uint64_t round;       /* the one in which who comes now would be served */
    bool echoes;          /* the server sends X-Request-Id back */
    mono_us yields_until; /* no connection is made before: other workers wait for one */
    struct net_lookup *lookup;
    mono_us addresses_until; /* the addresses are good until then */
    bool addresses_failed;   /* none of them could be reached */
    uint32_t address_count, address_first;
    struct net_address addresses[NET_ADDRESSES_MAX];
};

struct upstream_connection {
    uint32_t magic;
    bool readable; /* bytes or an end may be there */
    bool writable; /* the socket said so since it was opened */
    struct upstream_site *site;
    struct net_socket *socket; /* NULL while it is not connecting yet */
    struct attempt *attempt;   /* NULL while idle */
    struct list link;          /* in site->idle */
    mono_us idle_since;
    uint64_t idle_turn;              /* the loop's, in which its answer ended */
    char owner[ATTEMPT_OWNER_BYTES]; /* of the attempt it serves, or served last */
    struct attempt_peer peer;        /* from the connection's making on */
};

/* The states of attempt.h, the first of them in five. */
enum attempt_step {
    STEP_QUEUE,   /* for a connection, or for the right to make one */
    STEP_RESOLVE, /* for the deployment's addresses */
    STEP_DIAL,    /* the next address is tried */
    STEP_CONNECT,
    STEP_TLS,
    STEP_SEND,
    STEP_WAIT, /* for the whole head of the answer */
    STEP_HEAD,
    STEP_BODY,
    STEP_END,
    STEP_FAILED,
    STEP_COUNT
};

/* A head that came in several reads. */
struct attempt_partial {
    struct http_field rows[UPSTREAM_FIELDS_MAX];
    uint32_t len;
    uint8_t bytes[];
};

struct attempt {
    uint32_t magic;
    struct net_timer timer; /* these three stay from one use to the next */
    struct net_task task;
    struct list link; /* in site->waiting, site->resolving, pool->unused, pool->ending */

    uint8_t step;        /* enum attempt_step; only attempt_enter() sets it */
    bool fresh;          /* of the request */
    bool reused;         /* the connection had served before */
    bool paused;         /* in SEND: the server had no room for all at once */
    bool may_keep;       /* so far nothing speaks against using the connection again */
    bool reader_waits;   /* attempt_pull() said LATER, and no event followed yet */
    bool must_tell;      /* an event is due */
    bool is_unjudged;    /* what comes of it says nothing of the deployment */
    bool is_probe;       /* it is no call: in_flight does not count it */
    int64_t trial;       /* not 0: it finds out whether the deployment works again */
    uint8_t interim;     /* 1xx heads skipped */
    uint8_t dial_first;  /* the address tried first, */
    uint8_t dialled;     /* and how many were */
    enum err error;      /* of STEP_FAILED; before it, why addresses failed */
    enum err unresolved; /* why there is no address */
    const char *problem; /* with ERR_UPSTREAM_TLS: what is wrong with the certificate */
    struct upstream_site *site;
    uint64_t round;                         /* in QUEUE: when it is its turn */
    struct upstream_connection *connection; /* in the steps whose row says so */
    attempt_on_event *on_event;
    void *ctx;
    mono_us until;      /* when whoever asks has no use for it any more; us 0: never */
    mono_us total_at;   /* when it must have ended */
    mono_us limit_at;   /* when this step must have; NET_NEVER while nobody waits for the server */
    mono_us connect_at; /* when it must be connected */
    mono_us first_byte;
    mono_us sending_at, ended_at; /* from when to when the server has it; 0: not yet */

    char owner[ATTEMPT_OWNER_BYTES];
    unsigned turns;      /* at least 1 */
    const uint8_t *head; /* of the request, in `store` or `block` */
    size_t head_len;
    struct span id; /* in `head` */
    const struct iovec *pieces;
    int piece_count;
    uint64_t to_send, sent;

    struct http_response response; /* rows and bytes in `store` or `block` */
    struct http_chunked chunked;
    uint64_t body_left; /* of HTTP_BODY_LENGTH */
    struct attempt_partial *partial;
    const uint8_t *carry; /* body bytes that came with the head: in `store` or `carry_block` */
    size_t carry_len;
    uint8_t *carry_block;
    uint8_t *block;           /* a head that is too long for `store` */
    struct attempt_peer peer; /* of the connection that it holds, or held last */
    _Alignas(8) uint8_t store[UPSTREAM_STORE_BYTES];
};

/* --- upstream_site.c --- */

/* The site of `d`, made if there is none. ERR_NO_MEMORY. */
MUST_USE enum err upstream_site_get(struct upstream_pool *pool, struct deployment *d,
                                    struct upstream_site **out);

/* Ends a site without attempts: closes its idle connections, gives its deployment back. */
void upstream_site_free(struct upstream_site *site);

/* How many attempts of other workers wait for a connection to the deployment. */
int64_t upstream_site_others_waiting(const struct upstream_site *site);

/* Whether only pools hold the deployment. */
bool upstream_site_is_retired(const struct upstream_site *site);

/* Closes connections that were idle for too long, that another worker's attempts wait for, or whose
 * deployment is retired; wakes who waits; returns when to look again. */
mono_us upstream_site_look(struct upstream_site *site, mono_us now);

/* When what is idle is to be looked at next: its time is over, or another worker may wait for it.
 */
mono_us upstream_site_idle_look(const struct upstream_site *site, mono_us now);

/* Wakes the attempt that has waited longest: there may be a connection for it. */
void upstream_site_wake(struct upstream_site *site);

/* Whether the site's addresses are known and still good. */
bool upstream_site_has_addresses(const struct upstream_site *site);

/* Forgets them: none of them could be reached. */
void upstream_site_forget_addresses(struct upstream_site *site);

/* Puts `a` on the list of those to wake when the addresses are there, and asks for them.
 * ERR_NO_MEMORY. */
MUST_USE enum err upstream_site_resolve(struct upstream_site *site, struct attempt *a);

/* --- upstream_pool.c --- */

/*
 * Takes an idle connection for `a` (unless that is fresh), or the right to make one: then its
 * socket is NULL. ERR_OK with `*out` NULL: neither is there now. ERR_NO_MEMORY.
 */
MUST_USE enum err upstream_connection_take(const struct attempt *a,
                                           struct upstream_connection **out);

/* Whether a connection of the site could be lent, but for this turn of the loop. */
bool upstream_site_rests(const struct upstream_site *site);

/* Puts a connection on which an answer ended well among the idle ones and sets it to NULL. */
void upstream_connection_give_back(struct upstream_connection **connection);

/* Closes it and sets it to NULL; nothing if it is NULL. */
void upstream_connection_close(struct upstream_connection **connection);

/* The handler of all the part's sockets. */
net_on_ready upstream_connection_on_ready;

/* Makes the tick come at `due` at the latest. */
void upstream_pool_tick_by(struct upstream_pool *pool, mono_us due);

/* --- upstream_queue.c --- */

/* Whether an attempt, whose owner and turns are known, would be let in. */
bool upstream_queue_has_room(const struct upstream_site *site, const struct attempt *a);

/* Lets `a` wait; one whose turn is farther makes room for it. ERR_UPSTREAM_BUSY: the queue is full
 * of those whose turn is nearer. */
MUST_USE enum err upstream_queue_put(struct attempt *a);

/* `a`, which waits, got a connection; nothing if it did not wait. */
void upstream_queue_note_served(const struct attempt *a);

/* Counts it off: it was just taken off the list. */
void upstream_queue_leave(struct attempt *a);

/* --- attempt_state.c --- */

/* Does what can be done; returns the next step, or its own to wait. */
typedef enum attempt_step attempt_do(struct attempt *a);

/* Enters `next`, which must be a step that may follow. */
void attempt_enter(struct attempt *a, enum attempt_step next);

/* Runs the steps until one waits. Calls nobody: a->must_tell says whether to. */
void attempt_run(struct attempt *a);

/* Calls on_event if that is due. The last thing that the caller does: `a` may be gone. */
void attempt_tell(struct attempt *a);

/* Notes why, closes the connection; for steps to return. */
enum attempt_step attempt_fail(struct attempt *a, enum err why);

/* Takes it off the list that it waits on, if any. */
void attempt_leave_lists(struct attempt *a);

/* Sets when the present step must have ended. */
void attempt_limit(struct attempt *a, mono_us limit_at);

/* Says that there is nothing more to read now. */
void attempt_await_bytes(struct attempt *a);

net_on_due attempt_on_due;

/* --- attempt_answer.c --- */

enum attempt_head { ATTEMPT_HEAD_MORE, ATTEMPT_HEAD_WHOLE, ATTEMPT_HEAD_BAD };

/* Reads the answer's head as far as it is there. BAD: a->error says why. */
enum attempt_head attempt_read_head(struct attempt *a);

/* The step of HEAD and BODY: somebody may want to know of what has come. */
attempt_do attempt_notice;

/* Frees what the attempt holds on the heap for its request and answer. */
void attempt_free_blocks(struct attempt *a);

#endif
