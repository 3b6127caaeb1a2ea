/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.h — one request of a client and the reply to it, on whatever HTTP version.
 *
 * The reader pulls: the body is read when it is asked for, and a client that does not take its
 * reply stops the one who writes it. All that happens afterwards is told by one event function that
 * says nothing: look at the facts (exchange_pull(), exchange_waiting(), exchange_is_gone()).
 *
 * Life: the server calls server_on_request with the head read and no body byte consumed. The
 * handler attaches itself, pulls the body or not, puts a head, puts a body, finishes.
 * exchange_finish() or exchange_cancel() ends it: the exchange must not be touched afterwards and
 * no event follows. Each exchange is ended by exactly one of these. The connection then serves the
 * next request, or closes: when the body was not read to its end, the client asked for it, or the
 * reply was broken.
 *
 * Ownership  the server's; the handler has it from server_on_request until it ends it. The head and
 *            its spans live as long as the exchange. Spans put are written or copied before return.
 * Limits     output that the client does not take waits here and counts as buffered memory
 *            (memory.h); its bound is the one who writes: see exchange_waiting().
 * Threads    the worker's own.
 * Sources    RFC 9110, RFC 9112.
 */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include <sys/uio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

struct exchange;
struct http_request;
struct net_loop;

/* Something happened: body bytes came, waiting output was taken, or the client went away. May call
 * everything below, exchange_finish() and exchange_cancel() too. Never called from within one of
 * the functions below, nor before server_on_request has returned. */
typedef void exchange_on_event(void *ctx);

enum exchange_pulled {
    EXCHANGE_SOME,   /* bytes were read */
    EXCHANGE_LATER,  /* none now; an event follows */
    EXCHANGE_END,    /* the body is complete, and these were its last bytes (perhaps none) */
    EXCHANGE_FAILED, /* malformed, too slow, cut off: exchange_error() says which */
};

/* Who is told. */
void exchange_attach(struct exchange *x, exchange_on_event *on_event, void *ctx);

/* The request's head (http/http_request.h). */
const struct http_request *exchange_head(const struct exchange *x);

/* The announced body length; UINT64_MAX for a chunked body, 0 for none. */
uint64_t exchange_body_length(const struct exchange *x);

/* When the head was complete, the loop it runs on, and the client's address in text. */
mono_us exchange_started(const struct exchange *x);
struct net_loop *exchange_loop(const struct exchange *x);
const char *exchange_peer(struct exchange *x);

/* Sends "100 Continue" if the client waits for it. The first exchange_pull() does it too. */
void exchange_continue(struct exchange *x);

/*
 * Reads up to `size` decoded body bytes straight into `to`; `*got` is set for SOME and END.
 * The body timeouts run only while the last pull said LATER: what nobody waits for is not late.
 * FAILED: HTTP_CHUNK, HTTP_BODY_CUT, HTTP_BODY_TIMEOUT, BODY_TOO_LARGE, OVERLOADED or CLIENT_GONE;
 * a reply may still be put, and the connection closes after it.
 */
enum exchange_pulled exchange_pull(struct exchange *x, void *to, size_t size, size_t *got);

/* Why a pull failed, or why the client is gone (ERR_CLIENT_GONE). */
enum err exchange_error(const struct exchange *x);

/*
 * Puts the reply's head. `fields` are complete lines ("Name: value\r\n" each) without framing,
 * Date, Server or Connection, which the server adds. `length` is the body's, or UINT64_MAX for a
 * stream (chunked; for an HTTP/1.0 client until close). It is sent with the first body bytes.
 */
void exchange_put_head(struct exchange *x, int status, struct span fields, uint64_t length);

/* Puts body bytes. Written at once as far as the client takes them; the rest is kept (copied).
 * A HEAD request's body is dropped. With no bytes the head alone is sent. More than the announced
 * length is a mistake of the caller's (CHECK). */
void exchange_put(struct exchange *x, const struct iovec *pieces, int count);

/* Bytes put that the client has not taken. While that is more than you would hold for it, do not
 * put more: an event comes when it is zero again. */
size_t exchange_waiting(const struct exchange *x);

/* Whether the client went away (FIN or reset) or took nothing for too long: cancel then. */
bool exchange_is_gone(const struct exchange *x);

/* Bytes of this reply, head included, that the kernel took. */
uint64_t exchange_sent(const struct exchange *x);

/* The reply is complete. What waits is still sent, by the server alone. */
void exchange_finish(struct exchange *x);

/* exchange_put() and exchange_finish() at once: the last bytes and what ends a chunked body travel
 * in one system call. */
void exchange_put_last(struct exchange *x, const struct iovec *pieces, int count);

/* Ends a reply that cannot be completed: what waits is sent, then the connection is closed without
 * the final chunk, so the client sees a broken body (to an HTTP/1.0 client that reads until close:
 * a reset). With nothing put yet it is just closed. */
void exchange_cancel(struct exchange *x);

/* Like exchange_cancel(), with a TCP reset. For the simulator's faults. */
void exchange_reset(struct exchange *x);

/* Sends bytes as they are, outside HTTP; only exchange_cancel() or exchange_reset() may follow its
 * use. For the simulator's faults. */
void exchange_put_raw(struct exchange *x, struct span bytes);

/*
 * The whole reply for `e`: status and body from err.def in OpenAI's error form, with the common
 * headers (request id, Retry-After on 429 and 503, WWW-Authenticate on 401, Content-Type) and
 * `more_fields` (lines, Allow among them); a common header that is in `more_fields` is not added.
 * `message` replaces the row's sentence unless it is empty; `param` names the field at fault, or is
 * empty. Call it before any head was put. Ends the exchange.
 */
void exchange_refuse(struct exchange *x, enum err e, struct span message, struct span param,
                     struct span more_fields);

#endif
