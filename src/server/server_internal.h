/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_internal.h — what server's own files share: the connection and its one exchange.
 *
 * Ownership  a server owns its connections; a connection owns its socket, its exchange (a part of
 *            it) and the bytes that wait in either direction. A closed connection's memory stays
 *            until the loop's turn ends, so nobody has to ask whether it was freed meanwhile.
 * Threads    the worker's own, but for struct server_incoming and the atomics.
 */
#ifndef SERVER_SERVER_INTERNAL_H
#define SERVER_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/list.h"
#include "http/http_chunked.h"
#include "http/http_request.h"
#include "net/net_loop.h"
#include "net/net_socket.h"
#include "net/net_timer.h"
#include "server/exchange.h"
#include "server/server.h"
#include "server/server_client.h"
#include "server/server_proxy.h"

#define SERVER_INBOX_BYTES (16 * 1024)  /* what one read takes at most: a head, a usual body */
#define SERVER_FIELDS_MOST 1024         /* whatever the settings say */
#define SERVER_REFUSED_MAX 64           /* connections open only to be told 503 */
#define SERVER_AHEAD_BYTES (128 * 1024) /* pipelined behind a call that runs; then it is cut */
#define SERVER_DATE_BYTES  38           /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" and a NUL */

enum connection_state {
    CONNECTION_PROXY,
    CONNECTION_HANDSHAKE,
    CONNECTION_IDLE,
    CONNECTION_HEAD,
    CONNECTION_ANSWER,
    CONNECTION_SEND,
    CONNECTION_SKIP,
    CONNECTION_LINGER,
    CONNECTION_CLOSED,
    CONNECTION_STATE_COUNT
};

/* A request's head. The exact one of an exchange has its bytes behind its rows. */
struct server_head {
    struct http_request request;
    struct http_field rows[];
};

enum exchange_end { EXCHANGE_OPEN, EXCHANGE_FINISHED, EXCHANGE_CANCELLED, EXCHANGE_RESET };

struct exchange {
    exchange_on_event *on_event;
    void *ctx;
    struct server_head *head; /* NULL while there is no exchange */
    size_t head_taken;        /* bytes of the calls' allowance that a large one holds */
    mono_us started;
    uint64_t put_left; /* bytes of the announced reply that were not put */
    int64_t sent;      /* bytes of the reply that the kernel took */
    enum err error;    /* why a pull failed */
    enum exchange_end end;
    bool told;       /* the handler has it */
    bool event_due;  /* something happened that the handler was not told of */
    bool wants_body; /* the last pull found nothing: tell when there is more */
    bool expects;    /* the client waits for 100 Continue */
    bool head_put;
    bool chunked;  /* the reply is */
    bool bodiless; /* the reply has no body, whatever is put */
    bool gone;     /* the client is */
    bool has_client;
    struct server_client client; /* once somebody asked */
};

/* What is still to come of the request's body. */
struct server_body {
    enum http_body_kind kind;
    bool ended;
    bool pulled;       /* somebody wants it */
    uint64_t left;     /* of a body of known length */
    uint64_t decoded;  /* bytes handed out */
    uint64_t received; /* the same with their framing */
    int64_t waited_us; /* how long the client kept us waiting */
    mono_us waits_since;
    struct http_chunked chunked;
};

struct server_connection {
    uint32_t magic;
    enum connection_state state;
    struct server *server;
    struct net_socket *socket; /* NULL once closed */
    struct list link;
    struct net_timer timer;
    struct net_task task; /* runs on, or frees, at the end of the loop's turn */

    struct span fresh;           /* received this turn, in the server's inbox */
    struct buf in;               /* received earlier; while it holds any, `fresh` is empty */
    uint64_t in_taken;           /* bytes of an allowance that `in` holds: its length */
    bool in_known;               /* it is that of calls, and not that of strangers */
    bool starved;                /* bytes that came found no room and are lost: no more requests */
    struct server_head *partial; /* the parse of a head that came in pieces */
    size_t partial_bytes;        /* taken for it of the strangers' allowance */
    struct server_body body;

    struct buf out;      /* what the client did not take yet */
    mono_us write_since; /* since when it takes nothing */
    uint64_t dropped;    /* bytes that SKIP or LINGER read */

    /* What happened, and nobody looked at yet. */
    bool readable; /* a read may find something */
    bool unwanted; /* bytes came that are not for now: do not poll for them */
    bool hung_up;  /* the peer sent its last byte, or is gone */
    bool blocked;  /* a write found no room */
    bool due;      /* the timer rang */

    bool running, may_call;
    unsigned requests; /* begun in this run */
    bool entered;      /* the state is new: its timeout begins */
    bool holds;        /* `out` is a head that waits for its body's first bytes */
    bool keep;         /* the connection serves another request */
    bool broken;       /* the reply's client must not be sent more: close */
    bool served;       /* a request was answered */
    bool refused;      /* open only to be told 503 */
    bool late;         /* came when the server drained: a request of it is told 503 */
    bool hurried;      /* had brought no request when it drained: it may, within HURRY_MS */
    bool to_head;      /* the method of the head that was read last is HEAD */
    unsigned listener; /* its number */
    bool has_peer, has_client;
    char peer[48];
    struct server_client client;       /* without what a request's head says; once it was asked */
    struct server_proxy_header *proxy; /* while it is read */
    struct net_tls *tls;               /* that begins behind it */
    struct exchange exchange;
};

#define SERVER_CONNECTION_MAGIC 0x636f6e6eu

struct server_listener {
    struct server *server;
    struct net_listener *listener; /* NULL: none of this number */
    struct net_tls *tls;
};

/* Connections that other workers' servers accepted. */
struct server_incoming {
    pthread_mutex_t lock;
    struct list queue;
    struct net_task task;
};

struct server {
    struct net_loop *loop;
    struct server_settings settings;
    server_on_request *on_request;
    void *ctx;
    _Atomic int64_t *connections; /* of the process */
    atomic_uint open;             /* here, those on their way included */
    unsigned refused;
    bool draining, closed_listeners, evicts;
    struct list all;          /* connections */
    struct list closed;       /* those whose memory goes at the turn's end */
    uint8_t *inbox;           /* used by one connection between a read and the end of its run */
    struct server_head *head; /* for heads that come whole */
    struct server_listener listeners[SERVER_LISTENERS_MAX];
    struct server *const *siblings;
    size_t siblings_count;
    struct server_incoming incoming;
    int64_t proxy_told; /* the minute of the last line about a PROXY header */
    int64_t date_second;
    char date[SERVER_DATE_BYTES];
};

/* server_connection.c: the state machine. */

/* Serves `fd`, which is taken, of that listener. `refuse`: only to say 503. Without memory it is
 * just closed. */
void server_connection_open(struct server *s, int fd, unsigned listener, bool refuse);

/* Runs the connection until it must wait. With `may_call` the handler may be called from within;
 * else what is to be told is put off to the end of the loop's turn. */
void server_connection_run(struct server_connection *c, bool may_call);

/* Closes it at once; an open exchange is told first. The memory goes at the turn's end. */
void server_connection_abort(struct server_connection *c);

/* The server drains: one that waits for its next request is closed, unless that has just come; one
 * that waits for its first has a moment more. */
void server_connection_drain(struct server_connection *c);

/* Closes the oldest connection that has no request under way; false if there is none. */
bool server_connection_evict(struct server *s);

/* Frees the memory of a closed connection. */
void server_connection_free(struct server_connection *c);

/* server_input.c: from the socket to heads and bodies. */

/* Bytes received and not consumed. */
static inline struct span server_input_held(const struct server_connection *c)
{
    return c->fresh.len > 0 ? c->fresh : buf_span(&c->in);
}

/* One read; notes whether another may find more. */
MUST_USE enum net_result server_input_read(struct server_connection *c, void *to, size_t size,
                                           size_t *got);

/* Reads more. Only in a run that may call: the inbox is shared. */
MUST_USE enum net_result server_input_fill(struct server_connection *c);

/* Keeps what the inbox holds of this connection, before another may use it. */
void server_input_stash(struct server_connection *c);

/* Reads on behind a request that is being answered: only who reads sees that the client leaves. A
 * client that sends more than SERVER_AHEAD_BYTES there is `broken`. Only in a run that may call. */
void server_input_ahead(struct server_connection *c);

/* Frees what was received and the head that came with it. */
void server_input_forget(struct server_connection *c);

/* Ends the exchange's head. */
void server_input_head_free(struct exchange *x);

/* Goes on with the head. `*whole`: the exchange has its head, and the body is ready to be read. */
MUST_USE enum err server_input_head(struct server_connection *c, bool *whole);

/* Reads body bytes to `to`. NET_AGAIN: none now. NET_EOF: the connection ended too early. */
MUST_USE enum err server_input_body(struct server_connection *c, void *to, size_t size,
                                    size_t *got);

/* Reads and drops up to `most` body bytes; body.ended says whether that was all. */
MUST_USE enum net_result server_input_skip(struct server_connection *c, uint64_t most);

/* Reads once and drops what came: NET_AGAIN until it was `most` bytes, or the end. */
MUST_USE enum net_result server_input_drop(struct server_connection *c, uint64_t most);

/* server_output.c: replies to the socket. */

/* Bytes that the client did not take. */
static inline size_t server_output_waiting(const struct server_connection *c)
{
    return c->holds ? 0 : c->out.len - c->out.from;
}

/* Sends what waits and then the pieces, which are used up; keeps what is not taken. The first of
 * the `count` slots is not a piece but room for what waits. */
void server_output_put(struct server_connection *c, struct iovec *slots, int count);

/* Sends what waits. A client that is gone is noted in `broken`. */
void server_output_flush(struct server_connection *c);

/* Puts the reply's head into `out`, to be sent with what follows. */
void server_output_head(struct server_connection *c, int status, struct span fields,
                        uint64_t length);

void server_output_fini(struct server_connection *c);

/* server_refusal.c: errors in OpenAI's form. */

struct server_refusal {
    int status;
    struct buf fields, body; /* complete lines; OpenAI's error object */
};

/* Writes the reply for `e` (exchange_refuse() says with what). On failure there is nothing to end.
 */
MUST_USE enum err server_refusal_write(struct server_refusal *r, enum err e, struct span message,
                                       struct span param, struct span more_fields);

void server_refusal_fini(struct server_refusal *r);

/* Answers a request that never became an exchange. */
void server_refusal_send(struct server_connection *c, enum err e);

/* server_time.c: how long a client may take. */

/* Sets the connection's timer to what its state, and what it waits for, allow. */
void server_time_set(struct server_connection *c);

/* Whether the body that somebody waits for is overdue; whether the client takes nothing for too
 * long of what waits for it. */
bool server_time_body_is_late(const struct server_connection *c, mono_us now);
bool server_time_output_is_stuck(const struct server_connection *c, mono_us now);

/* server_client.c: who the client is. */

/* Goes on with the PROXY header that a connection begins with. NET_OK: it is whole, and the client
 * is whom it names. NET_FAILED: it is not one, or not from a proxy that is believed. */
MUST_USE enum net_result server_client_read(struct server_connection *c);

/* Ends what was kept of the header. */
void server_client_forget(struct server_connection *c);

/* Who sends the exchange's request. */
struct server_client server_client_of(struct server_connection *c);

/* server.c */

/* The Date line of now. */
struct span server_date(struct server *s);

/* A connection of `s` is no more. */
void server_forget(struct server *s, struct server_connection *c);

/* server_incoming.c: connections on their way from one worker to another. */
void server_incoming_init(struct server *s);
void server_incoming_fini(struct server *s);

/* Serves `fd` here, or lets the least loaded sibling do it. */
void server_incoming_accept(struct server *s, unsigned listener, int fd);

#endif
