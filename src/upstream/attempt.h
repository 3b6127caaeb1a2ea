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
 * Ownership  attempt_prepare() gives the attempt to the caller, who ends it with attempt_close(),
 *            whatever its state: before END that cancels it and closes the connection at once. At
 *            END the connection has gone back to the pool already, when it may be used again.
 *            The body's pieces, and the array of them, must stay until the state is past SENDING;
 *            path and fields are copied.
 * Limits     the answer's head: 64 KiB, 100 fields, 16 interim (1xx) heads before it; the body: the
 *            caller counts. At most 8 KiB of it are held that nobody pulled. Attempts that wait for
 *            a connection: 1024 a worker.
 * Threads    the worker's own.
 * Sources    RFC 9110, RFC 9112.
 */
#ifndef UPSTREAM_ATTEMPT_H
#define UPSTREAM_ATTEMPT_H

#include <sys/uio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

struct attempt;
struct deployment;
struct http_response;
struct upstream_pool;

enum attempt_state {
    ATTEMPT_CONNECTING, /* a name is looked up, a connection made, TLS agreed, or one waited for */
    ATTEMPT_SENDING,
    ATTEMPT_WAITING, /* the request is sent whole */
    ATTEMPT_HEAD,    /* attempt_head() is there; pull the body */
    ATTEMPT_BODY,    /* some of the body was pulled */
    ATTEMPT_END,     /* the answer was pulled whole */
    ATTEMPT_FAILED,  /* attempt_error() says why */
};

typedef void attempt_on_event(void *ctx);

struct attempt_request {
    struct span path;           /* below the deployment's base path, such as "/chat/completions" */
    struct span fields;         /* lines to send besides Host, Authorization, framing, Via and
                                   Accept-Encoding, which are added */
    const struct iovec *pieces; /* the body; none and POST not set: a GET */
    int piece_count;
    bool post;
    bool fresh; /* do not use a pooled connection: the last one turned out dead */
};

/*
 * Makes an attempt that attempt_start() can start. ERR_NO_MEMORY, ERR_OVERLOADED (attempts wait for
 * this deployment, and the queue is full).
 */
MUST_USE enum err attempt_prepare(struct upstream_pool *pool, struct deployment *deployment,
                                  const struct attempt_request *request, attempt_on_event *on_event,
                                  void *ctx, struct attempt **out);

/* Starts it. Never calls `on_event` from within: what goes wrong at once is an event that follows.
 */
void attempt_start(struct attempt *a);

enum attempt_state attempt_state(const struct attempt *a);

/* Why it failed: UPSTREAM_STALE only for a reused connection that ended before any answer byte. */
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

/* When the head's first byte came (us 0 before). The address connected to, in text. Whether the
 * connection had served an earlier attempt. Whether any byte of the request was given to the
 * kernel. */
mono_us attempt_first_byte(const struct attempt *a);
const char *attempt_peer(const struct attempt *a);
bool attempt_was_reused(const struct attempt *a);
bool attempt_has_sent(const struct attempt *a);

/* Ends `*a` and sets it to NULL; nothing if it is NULL. */
void attempt_close(struct attempt **a);

/* Ends it likewise when the caller has all that it wants of the body. If no more than the final
 * chunk is due, which servers send apart, that is waited for here and the connection kept. */
void attempt_finish(struct attempt **a);

#endif
