/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h — one worker's client side: listeners, connections, requests.
 *
 * Ownership  server_open() hands the server to its worker. TLS contexts are counted.
 * Limits     struct server_settings; 64 listeners; 1,024 header fields whatever the settings say.
 *            Past connections_max up to 64 plain clients a worker are told 503, others closed.
 * Threads    the worker's loop, but for server_connection_count() (any).
 * Sources    RFC 9112.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"
#include "server/server_settings.h"

struct exchange;
struct net_loop;
struct net_tls;
struct server;

/* A request's head is complete. `x` is the callee's from now on (exchange.h). */
typedef void server_on_request(void *ctx, struct exchange *x);

struct server_options {
    const struct server_settings *settings; /* copied */
    server_on_request *on_request;
    void *ctx;
    _Atomic int64_t *connections; /* shared by all servers of the process, for connections_max */
    /* Past connections_max the oldest connection without a request under way goes, to let the new
     * one in; where each has one, the new one is closed without a word. */
    bool evicts;
};

MUST_USE enum err server_open(struct net_loop *loop, const struct server_options *options,
                              struct server **out);

/* Accepts from the listening socket `fd` (taken). `tls` is NULL for plain; referenced. `listener`
 * numbers it, for server_set_tls(). */
MUST_USE enum err server_listen(struct server *s, int fd, unsigned listener, struct net_tls *tls);

/* New connections of `listener` get this context (certificate reload). */
void server_set_tls(struct server *s, unsigned listener, struct net_tls *tls);

/* New settings, for connections and requests from now on. */
void server_set_settings(struct server *s, const struct server_settings *settings);

/* Connections open here: for choosing the least loaded worker. Any thread. */
unsigned server_connection_count(const struct server *s);

/*
 * Other workers' servers of the same listeners: a connection accepted here goes to the least loaded
 * when this one has more than max(8, 12 %) above it. `siblings` is borrowed until replaced. No
 * sibling may be closed before all were drained and have turned their loops since.
 */
void server_set_siblings(struct server *s, struct server *const *siblings, size_t count);

/*
 * The end has two steps. server_drain() closes connections that wait for their next request (for a
 * first one they have a second more) and answers what is in flight with Connection: close; a
 * request that the kernel holds already goes to the handler too. Who connects from now on is told
 * 503 (ERR_DRAINING) by the server itself, for each request, and closed. server_stop_accepting()
 * does the same for those who wait to be accepted, and closes the listeners; false: the handler's
 * budget is spent before it came to the end of them, so it is to be called again. server_is_idle()
 * becomes true when it has, and the last exchange has ended and its client has taken the reply, or
 * too long for it. Each may be called again.
 */
void server_drain(struct server *s);
MUST_USE bool server_stop_accepting(struct server *s);
bool server_is_idle(const struct server *s);

/* What an error says beyond its row in err.def. What is empty is the row's (of `param`: null). */
struct server_words {
    struct span message, param, type, code;
    struct span rule, zone, journal_id; /* of what may not leave: written if journal_id is there */
    struct span details;                /* an object as JSON: what the guard found */
};

/* Writes an error in OpenAI's form, `{"error":{…}}`. ERR_NO_MEMORY: `out` was full or found no
 * memory. */
MUST_USE enum err server_error_write(enum err e, const struct server_words *words, struct buf *out);

/* Closes everything, mid-reply too: open exchanges are gone, get an event, and must be ended in it.
 * Sets `*s` to NULL; nothing if it is NULL. */
void server_close(struct server **s);

#endif
