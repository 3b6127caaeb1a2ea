/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.h — one request that we send to a model server, and its answer.
 *
 * The reader pulls, so a client that does not read stops our reading of the model server. Events
 * say nothing: look at attempt_state(). Timeouts (connect, first byte, idle, total) are the
 * deployment's; time during which nobody pulled does not count as the upstream's idleness.
 *
 *     CONNECTING → SENDING → WAITING → HEAD → BODY → END
 *          └──────────┴─────────┴────────┴──────┴──→ FAILED
 *
 * Prepared first, then started: what we can refuse is refused before anybody writes down that the
 * attempt is made. Nothing leaves and no time runs before attempt_start().
 *
 * An answer is this attempt's alone: one that begins on a reused connection before the request was
 * sent whole is a failure (UPSTREAM_PROTOCOL), and no connection is lent on which the server said
 * anything after the answer's end.
 *
 * Ownership  attempt_prepare() gives the attempt to the caller, who ends it with attempt_close(),
 *            whatever its state: before END that cancels it and closes the connection at once. At
 *            END the connection has gone back to the pool already, when it may be used again.
 *            The body's pieces, and the array of them, must stay until the state is past SENDING;
 *            path and fields are copied.
 * Limits     the answer's head: 64 KiB, 100 fields, 16 interim (1xx) heads before it; the body: the
 *            caller counts. At most 8 KiB of it are held that nobody pulled. Attempts that wait for
 *            a connection: the deployment's queue_max a worker, fair by owner.
 * Threads    the worker's own.
 * Sources    RFC 9110, RFC 9112.
 */
#ifndef UPSTREAM_ATTEMPT_H
#define UPSTREAM_ATTEMPT_H

#include <sys/uio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"
#include "net/net_socket.h"

struct attempt;
struct deployment;
struct http_response;
struct upstream_pool;

#define ATTEMPT_OWNER_BYTES   16
#define ATTEMPT_ADDRESS_BYTES 48

enum attempt_state {
    ATTEMPT_CONNECTING, /* a name is looked up, a connection made, TLS agreed, or one waited for */
    ATTEMPT_SENDING,
    ATTEMPT_WAITING, /* the request is sent whole */
    ATTEMPT_HEAD,    /* attempt_head() is there; pull the body */
    ATTEMPT_BODY,    /* some of the body was pulled */
    ATTEMPT_END,     /* the answer was pulled whole */
    ATTEMPT_FAILED,  /* attempt_error() says why */
};

/* Who is at the connection's other end, as it showed itself, whatever the configuration says. */
struct attempt_peer {
    char address[ATTEMPT_ADDRESS_BYTES];        /* numeric; "" while nobody is reached */
    uint8_t certificate[NET_CERTIFICATE_BYTES]; /* SHA-256, if it has one: */
    bool has_certificate;                       /* it was reached by TLS */
};

typedef void attempt_on_event(void *ctx);

#define ATTEMPT_TURNS_MAX 64

struct attempt_request {
    struct span path;           /* below the deployment's base path, such as "/chat/completions" */
    struct span fields;         /* lines to send besides Host, Authorization, framing, Via,
                                   Accept-Encoding and X-Request-Id, which are added */
    struct span id;             /* sent as X-Request-Id; empty: none is. An answer with another's is
                                   none where the server is known to send it back */
    struct span owner;          /* whose call it is, ATTEMPT_OWNER_BYTES at most: by it the queue is
                                   fair, and connections are lent where `reuse` says team */
    unsigned turns;             /* in the queue one of its owner's is served after so many of
                                   others, ATTEMPT_TURNS_MAX at most: 1, or 0, comes first */
    mono_us until;              /* ERR_DEADLINE then, and not the server's fault; us 0: never */
    const struct iovec *pieces; /* the body; none and POST not set: a GET */
    int piece_count;
    bool post;
    bool lean;     /* without Via and Accept-Encoding */
    bool fresh;    /* do not use a pooled connection: the last one turned out dead */
    bool alone;    /* nobody else is left: deployment_health_begin_alone() */
    bool probe;    /* whether or not the deployment should be asked now; no call of it */
    bool unjudged; /* its outcome says nothing of the deployment, and it stands in no queue */
    bool at_root;  /* the path stands below the host, not the base path */
};

/*
 * Makes an attempt that attempt_start() can start. ERR_NO_MEMORY, ERR_UPSTREAM_BUSY (as many wait
 * for a connection as may, and this owner has its share of them), ERR_NO_UPSTREAM (it is not to be
 * asked now: deployment_health.h).
 */
MUST_USE enum err attempt_prepare(struct upstream_pool *pool, struct deployment *deployment,
                                  const struct attempt_request *request, attempt_on_event *on_event,
                                  void *ctx, struct attempt **out);

/* Starts it. Never calls `on_event` from within: what goes wrong at once is an event that follows.
 */
void attempt_start(struct attempt *a);

enum attempt_state attempt_state(const struct attempt *a);

/* Why it failed: UPSTREAM_UNREACHED for a time that passed before the request was sent whole,
 * UPSTREAM_TIMEOUT for one after that; UPSTREAM_STALE only for a reused connection that ended
 * before anything of the request was sent, so that it may be sent on another. */
enum err attempt_error(const struct attempt *a);

/* With UPSTREAM_TLS: what is wrong with the certificate, in words that last; else NULL. */
const char *attempt_problem(const struct attempt *a);

/* The answer's head, from HEAD on; its spans live until attempt_close(). */
const struct http_response *attempt_head(const struct attempt *a);

enum attempt_pulled { ATTEMPT_SOME, ATTEMPT_LATER, ATTEMPT_DONE, ATTEMPT_BROKEN };

/*
 * Reads up to `size` decoded body bytes into `to`. SOME: `*got` bytes, more may be there at once.
 * DONE: the body is complete, with `*got` last bytes. LATER: an event follows. BROKEN: the state is
 * FAILED.
 */
enum attempt_pulled attempt_pull(struct attempt *a, void *to, size_t size, size_t *got);

/* When the head's first byte came (us 0 before). To whom it is connected, or was. Whether the
 * connection had served an earlier attempt. Whether any byte of the request was given to the
 * kernel. */
mono_us attempt_first_byte(const struct attempt *a);
const struct attempt_peer *attempt_peer(const struct attempt *a);
bool attempt_was_reused(const struct attempt *a);
bool attempt_has_sent(const struct attempt *a);

/* How long the model server had it: from when the request was being sent until its answer was
 * pulled whole, or it failed, or now. 0: nothing was sent. */
int64_t attempt_served_us(const struct attempt *a);

/* What it was answered was no good, as whoever read it found: the server has failed. */
void attempt_blame(struct attempt *a, enum err e);

/* Ends `*a` and sets it to NULL; nothing if it is NULL. */
void attempt_close(struct attempt **a);

/* Ends it likewise when the caller has all that it wants of the body. If no more than the final
 * chunk is due, which servers send apart, that is waited for here and the connection kept. */
void attempt_finish(struct attempt **a);

#endif
