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
 * Stops accepting, closes idle connections, and answers what is in flight with Connection: close; a
 * request that the kernel holds already is answered too. server_is_idle() becomes true when the
 * last exchange has ended and its client has taken the reply, or too long for it.
 */
void server_drain(struct server *s);
bool server_is_idle(const struct server *s);

/* Writes an error in OpenAI's form, `{"error":{…}}`: the row's sentence, or `message` unless it is
 * empty; `param` or null. ERR_NO_MEMORY: `out` was full or found no memory. */
MUST_USE enum err server_error_write(enum err e, struct span message, struct span param,
                                     struct buf *out);

/* Closes everything, mid-reply too: open exchanges are gone, get an event, and must be ended in it.
 * Sets `*s` to NULL; nothing if it is NULL. */
void server_close(struct server **s);

#endif
